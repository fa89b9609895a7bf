//! `lineside upscale`, and that tiles do not show.

use crate::common::{arg, refuse, root, succeed};
use lineside::bundle::Bundle;
use lineside::task::super_resolution::{Enlarger, spot};
use lineside_picture::{Layout, Picture, Rect, RowLayout, RowReader, decode_file, write_png, write_png_rows};
use std::path::{Path, PathBuf};

fn save(path: &Path, picture: &Picture) {
    write_png(std::fs::File::create(path).unwrap(), picture).unwrap();
}

fn load(path: &Path) -> Picture {
    let mut picture = Picture::default();
    decode_file(&std::fs::read(path).unwrap(), 10_000_000, &mut picture).unwrap();
    picture
}

/// Waves, an edge and a gradient; grey has one channel of it.
fn textured(layout: Layout, width: usize, height: usize) -> Picture {
    let mut picture = Picture::new(layout, width, height);
    let channels = picture.channels();
    for y in 0..height {
        for (x, pixel) in picture.row_mut(y).chunks_exact_mut(channels).enumerate() {
            for (channel, value) in pixel.iter_mut().enumerate() {
                *value = ((x * x / 9 + y * (5 + channel)) % 200 + if x > y { 40 } else { 0 }) as u8;
            }
        }
    }
    picture
}

#[test]
fn pictures_of_every_size_come_out_three_times_as_large() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::create_dir_all(input.join("sub")).unwrap();
    for (name, layout, width, height) in
        [("one.png", Layout::Grey, 1, 1), ("strip.png", Layout::Rgb, 2000, 3), ("sub/photo.png", Layout::Rgb, 61, 47)]
    {
        save(&input.join(name), &textured(layout, width, height));
    }
    succeed(&["upscale", arg(&input), arg(&output)]);
    for (name, layout, width, height) in
        [("one.png", Layout::Grey, 3, 3), ("strip.png", Layout::Rgb, 6000, 9), ("sub/photo.png", Layout::Rgb, 183, 141)]
    {
        let large = load(&output.join(name));
        assert_eq!((large.layout(), large.width(), large.height()), (layout, width, height), "{name}");
    }
    refuse(&["upscale", arg(&folder.path().join("none.png")), "x.png"], 1, &["none.png: No such file"]);
}

#[test]
fn grey_in_colour_stays_grey_and_flat_stays_flat() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("a.png"), folder.path().join("b.png"));
    let grey = textured(Layout::Grey, 40, 30);
    let data = grey.data().iter().flat_map(|&level| [level; 3]).collect();
    save(&path, &Picture::from_data(Layout::Rgb, 40, 30, data).unwrap());
    succeed(&["upscale", arg(&path), arg(&out)]);
    assert!(load(&out).data().chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]));

    save(&path, &Picture::from_data(Layout::Grey, 50, 50, vec![128; 2500]).unwrap());
    succeed(&["upscale", arg(&path), arg(&out)]);
    let worst = load(&out).data().iter().map(|level| level.abs_diff(128)).max().unwrap();
    assert!(worst <= 3, "a flat picture must stay flat up to its very edge, found {worst} steps");
}

/// The super-resolution bundles that are shipped.
fn bundles() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(root().join("models"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name().unwrap().to_str().unwrap().starts_with("superres-") && path.join("model.onnx").is_file()
        })
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn enlarger(bundle: &Path) -> Enlarger {
    Enlarger::new(Bundle::open(bundle).unwrap()).unwrap()
}

/// Whatever tiles, bands, threads or parts a picture is enlarged in: the bytes are those of one tile that holds it all.
#[test]
fn how_a_picture_is_cut_does_not_show() {
    for bundle in bundles() {
        for layout in [Layout::Grey, Layout::Rgb] {
            let picture = textured(layout, 330, 190);
            let mut whole = Picture::default();
            enlarger(&bundle).with_tile(10_000).enlarge(&picture, &mut whole).unwrap();
            let same = |other: &Picture, how: &str| assert!(*other == whole, "{} {layout:?}: {how}", bundle.display());
            let mut other = Picture::default();
            for tile in [1, 97, 256] {
                enlarger(&bundle).with_tile(tile).enlarge(&picture, &mut other).unwrap();
                same(&other, &format!("tiles of {tile}"));
            }
            for threads in [2, 3] {
                enlarger(&bundle).with_threads(threads).unwrap().enlarge(&picture, &mut other).unwrap();
                same(&other, &format!("{threads} threads"));
            }
            let mut rows = Vec::new();
            let mut by_rows = enlarger(&bundle).with_tile(100);
            let give = |row: &[u8]| {
                rows.extend(row);
                Ok(())
            };
            by_rows.enlarge_rows(&mut RowReader::from_picture(picture.clone()), give).unwrap();
            same(&Picture::from_data(layout, whole.width(), whole.height(), rows).unwrap(), "row by row");
        }
    }
}

/// Spots in all corners, at all edges and inside: of one size, and the same pixels as in the enlarged whole.
#[test]
fn a_spot_is_the_same_part_of_the_whole_wherever_it_lies() {
    for bundle in bundles() {
        let mut enlarger = enlarger(&bundle);
        let scale = enlarger.scale();
        for layout in [Layout::Grey, Layout::Rgb] {
            let picture = textured(layout, 330, 190);
            let (mut whole, mut part, mut same) = Default::default();
            enlarger.enlarge(&picture, &mut whole).unwrap();
            for y in [0, 1, 50, 95, 141, 188, 189] {
                for x in [0, 2, 47, 165, 281, 282, 329] {
                    let area = spot((x, y), 96, &picture);
                    assert!(
                        area.x <= x && x < area.right() && area.y <= y && y < area.bottom(),
                        "{area:?} holds {x} {y}"
                    );
                    enlarger.enlarge_area(&picture, area, &mut part).unwrap();
                    assert_eq!((part.width(), part.height()), (96 * scale, 96 * scale));
                    let of_whole = Rect { x: area.x * scale, y: area.y * scale, width: 96 * scale, height: 96 * scale };
                    whole.crop_into(of_whole, &mut same);
                    assert!(part == same, "{} {layout:?} at {x} {y}", bundle.display());
                }
            }
        }
    }
    let small = textured(Layout::Rgb, 40, 30);
    let area = spot((39, 29), 96, &small);
    assert_eq!((area.width, area.height), (40, 30), "a frame smaller than the spot is enlarged whole");
}

/// Opacity goes by bicubic, whatever lies beneath; where it is the same everywhere it stays so.
#[test]
fn opacity_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("a.png"), folder.path().join("b.png"));
    for layout in [Layout::Grey, Layout::Rgb] {
        let plain = textured(layout, 50, 40);
        let colours = plain.channels();
        let form = RowLayout { layout, alpha: true };
        let with_opacity = |opacity: &dyn Fn(usize, usize) -> u8| {
            let pixels = plain.data().chunks_exact(colours).enumerate();
            let bytes: Vec<u8> = pixels.flat_map(|(i, pixel)| [pixel, &[opacity(i % 50, i / 50)]].concat()).collect();
            let file = std::fs::File::create(&path).unwrap();
            write_png_rows(file, form, (50, 40), |rows| rows.write(&bytes)).unwrap();
            succeed(&["upscale", arg(&path), arg(&out)]);
            let mut reader = RowReader::open(std::fs::File::open(&out).unwrap(), 1 << 20, 0).unwrap();
            assert_eq!((reader.row_layout(), reader.width(), reader.height()), (form, 150, 120));
            let mut large = vec![0; 150 * 120 * (colours + 1)];
            large.chunks_exact_mut(150 * (colours + 1)).for_each(|row| reader.next(row).unwrap());
            large
        };
        let flat = with_opacity(&|_, _| 77);
        assert!(flat.chunks_exact(colours + 1).all(|pixel| pixel[colours] == 77));
        save(&path, &plain);
        succeed(&["upscale", arg(&path), arg(&out)]);
        let colour: Vec<u8> = flat.chunks_exact(colours + 1).flat_map(|pixel| &pixel[..colours]).copied().collect();
        assert!(colour == load(&out).data(), "colour is enlarged as without opacity");
        // What lies under transparent pixels does not shine through where opacity begins.
        let disc = |i: usize| (i % 50).abs_diff(25).pow(2) + (i / 50).abs_diff(20).pow(2) < 150;
        let bytes: Vec<u8> = (0..2000).flat_map(|i| vec![if disc(i) { 200 } else { 0 }; colours + 1]).collect();
        let file = std::fs::File::create(&path).unwrap();
        write_png_rows(file, form, (50, 40), |rows| rows.write(&bytes)).unwrap();
        for (tile, what) in [(256, "at once"), (1, "in bands of 16 rows")] {
            let mut large = Vec::new();
            let mut reader = RowReader::open(std::fs::File::open(&path).unwrap(), 1 << 20, 0).unwrap();
            let mut enlarger = enlarger(&root().join("models/superres-x3")).with_tile(tile);
            let give = |row: &[u8]| {
                large.extend(row);
                Ok(())
            };
            enlarger.enlarge_rows(&mut reader, give).unwrap();
            let visible: Vec<&[u8]> = large.chunks_exact(colours + 1).filter(|pixel| pixel[colours] > 0).collect();
            assert!(visible.len() > 9 * 400 && visible.iter().any(|pixel| pixel[colours] < 100));
            let worst = visible.iter().flat_map(|pixel| &pixel[..colours]).map(|v| v.abs_diff(200)).max().unwrap();
            assert!(worst <= 4, "{layout:?} {what}: {worst} steps from the disc's colour");
        }
        let edge = with_opacity(&|x, _| if x < 25 { 255 } else { 0 });
        let row: Vec<u8> = edge[..150 * (colours + 1)].chunks_exact(colours + 1).map(|pixel| pixel[colours]).collect();
        assert!(row[..70].iter().all(|a| *a == 255) && row[80..].iter().all(|a| *a == 0), "{row:?}");
    }
}

#[test]
fn sixteen_bits_are_said_to_become_eight() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("deep.png"), folder.path().join("out.png"));
    let mut encoder = png::Encoder::new(std::fs::File::create(&path).unwrap(), 20, 20);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Sixteen);
    let deep: Vec<u8> = (0..400u16).flat_map(|i| (i * 160).to_be_bytes()).collect();
    encoder.write_header().unwrap().write_image_data(&deep).unwrap();
    let output = crate::common::run(&["upscale", arg(&path), arg(&out)]);
    let said = crate::common::text(&output.stderr);
    assert!(output.status.success() && said.contains("record=depth_reduced"), "{said}");
    assert!(said.contains("bits=16 written_bits=8"), "{said}");
    let large = load(&out);
    assert_eq!((large.layout(), large.width()), (Layout::Grey, 60));

    refuse(&["upscale", arg(&path), arg(&folder.path().join("out.jpg"))], 2, &["out.jpg: pictures are written as PNG"]);
}

/// Peak memory of the whole process, as the kernel saw it, for 12 megapixels in colour.
#[test]
fn twelve_megapixels_fit_into_64_mebibytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.png");
    let mut row = vec![0; 3 * WIDTH];
    let file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    write_png_rows(file, RowLayout { layout: Layout::Rgb, alpha: false }, (WIDTH, HEIGHT), |rows| {
        (0..HEIGHT).try_for_each(|y| {
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                pixel.copy_from_slice(&[(x / 16) as u8, (y / 12) as u8, ((x ^ y) & 31) as u8]);
            }
            rows.write(&row)
        })
    })
    .unwrap();
    let jpeg = folder.path().join("large.jpg");
    std::fs::write(&jpeg, grey_jpeg(WIDTH, HEIGHT)).unwrap();
    fits(&jpeg, "superres-x3");
    for bundle in bundles() {
        let name = bundle.file_name().unwrap().to_str().unwrap();
        // The others of a scale have no larger output, and tiles of the same size.
        if name.strip_prefix("superres-x").is_some_and(|scale| scale.parse::<u32>().is_ok()) {
            fits(&path, name);
        }
    }
}

const WIDTH: usize = 4000;
const HEIGHT: usize = 3000;

fn fits(path: &Path, bundle: &str) {
    let out = path.with_file_name("out.png");
    let output = crate::common::lineside()
        .args(["upscale", "--bundle", bundle, arg(path), arg(&out)])
        .env("LINESIDE_LOG", "debug")
        .output()
        .unwrap();
    let said = crate::common::text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let line = said.lines().find(|line| line.contains("record=enlarged")).unwrap();
    let peak: u64 = line.split("peak_rss_bytes=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    eprintln!("{bundle}, {}: {:.1} MiB at most", path.display(), peak as f64 / f64::from(1 << 20));
    assert!(peak > 1 << 20 && peak < 64 << 20, "{line}");
    let scale = Bundle::open(&root().join("models").join(bundle)).unwrap().manifest().super_resolution.unwrap().scale;
    let reader = RowReader::open(std::fs::File::open(&out).unwrap(), usize::MAX, 0).unwrap();
    assert_eq!((reader.width(), reader.height()), (WIDTH * scale, HEIGHT * scale));
}

/// A baseline JPEG in YCbCr, all middle grey: every block is "no change, end of block", a bit each.
fn grey_jpeg(width: usize, height: usize) -> Vec<u8> {
    let segment = |marker: u8, payload: &[u8]| {
        let length = (payload.len() as u16 + 2).to_be_bytes();
        [&[0xFF, marker][..], &length, payload].concat()
    };
    let [h1, h0] = (height as u16).to_be_bytes();
    let [w1, w0] = (width as u16).to_be_bytes();
    // One code of one bit, 0, for the symbol 0: of the DC table, then of the AC table.
    let table = |class: u8| segment(0xC4, &[&[class, 1][..], &[0; 15], &[0]].concat());
    let blocks = 3 * width.div_ceil(8) * height.div_ceil(8);
    [
        vec![0xFF, 0xD8],
        segment(0xDB, &[&[0][..], &[1; 64]].concat()),
        segment(0xC0, &[8, h1, h0, w1, w0, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]),
        table(0x00),
        table(0x10),
        segment(0xDA, &[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]),
        vec![0; (2 * blocks).div_ceil(8)],
        vec![0xFF, 0xD9],
    ]
    .concat()
}

/// A picture is never written over, two are never merged into one, and what was written is not enlarged again.
#[test]
fn no_picture_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in");
    std::fs::create_dir(&input).unwrap();
    let (a, png) = (input.join("a.png"), textured(Layout::Grey, 9, 8));
    save(&a, &png);
    let before = std::fs::read(&a).unwrap();
    refuse(&["upscale", arg(&a), arg(&a)], 2, &["a.png: is the picture", "give the output another name"]);
    let link = folder.path().join("link.png");
    std::os::unix::fs::symlink(&a, &link).unwrap();
    refuse(&["upscale", arg(&a), arg(&link)], 2, &["link.png: is the picture"]);
    refuse(&["upscale", arg(&input), arg(&input)], 2, &["in: is the folder of the pictures itself"]);
    refuse(&["upscale", arg(&input), arg(&link)], 2, &["link.png: is a file: give a folder"]);
    let hard = folder.path().join("hard");
    std::fs::create_dir(&hard).unwrap();
    std::fs::hard_link(&a, hard.join("a.png")).unwrap();
    refuse(&["upscale", arg(&input), arg(&hard)], 2, &["a.png: is a picture to be enlarged"]);
    assert_eq!(std::fs::read(&a).unwrap(), before);

    // One name before the ending: three files, three enlargements. Twice, for the output lies inside the input.
    std::fs::write(input.join("a.pgm"), b"P5 2 1 255 \x10\x20").unwrap();
    lineside_picture::image::RgbImage::from_raw(2, 1, vec![9; 6]).unwrap().save(input.join("a.bmp")).unwrap();
    let out = input.join("out");
    for _ in 0..2 {
        succeed(&["upscale", arg(&input), arg(&out)]);
        let mut names: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a.bmp.png", "a.pgm.png", "a.png"]);
        assert_eq!(load(&out.join("a.png")).width(), 27);
        assert_eq!(load(&out.join("a.pgm.png")).width(), 6);
    }
    assert_eq!(std::fs::read(&a).unwrap(), before);

    // A folder of pictures inside the input is no output: one of the same name would be written over.
    let sub = input.join("sub");
    std::fs::create_dir(&sub).unwrap();
    save(&sub.join("a.png"), &png);
    refuse(&["upscale", arg(&input), arg(&sub)], 2, &["sub/a.png: is there already, and is no enlargement of"]);
    assert_eq!(std::fs::read(sub.join("a.png")).unwrap(), before);
    std::fs::rename(sub.join("a.png"), sub.join("b.png")).unwrap();
    let output = crate::common::run(&["upscale", arg(&input), arg(&sub)]);
    assert!(output.status.success());
    let told = crate::common::text(&output.stderr);
    assert!(told.contains("record=passed_over pictures=1 ") && told.contains("sub/b.png"), "{told}");
}

/// Upright, with its profile and its resolution, and without a tag that would turn it again.
#[test]
fn what_a_file_states_beside_its_pixels_is_carried_through() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("a.png"), folder.path().join("b.png"));
    let mut info = png::Info::with_size(10, 6);
    (info.color_type, info.bit_depth) = (png::ColorType::Rgb, png::BitDepth::Eight);
    let profile = [&[1; 16][..], b"RGB ", &[2; 100]].concat();
    info.icc_profile = Some(profile.clone().into());
    info.pixel_dims = Some(png::PixelDimensions { xppu: 11_811, yppu: 5906, unit: png::Unit::Meter });
    // Orientation 6: the first row is the right side.
    info.exif_metadata = Some(b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec().into());
    let mut encoder =
        png::Encoder::with_info(std::fs::File::create(&path).unwrap(), info).unwrap().write_header().unwrap();
    encoder.write_image_data(&[7; 180]).unwrap();
    encoder.finish().unwrap();
    succeed(&["upscale", arg(&path), arg(&out)]);
    let reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&out).unwrap())).read_info().unwrap();
    let info = reader.info();
    assert_eq!((info.width, info.height), (18, 30));
    assert_eq!(info.icc_profile.as_deref(), Some(&profile[..]));
    let density = info.pixel_dims.unwrap();
    assert_eq!((density.xppu, density.yppu, density.unit), (5906, 11_811, png::Unit::Meter));
    assert!(info.exif_metadata.is_none());
}

#[test]
fn twelve_bits_in_sixteen_are_advised_and_scaled() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("a.png"), folder.path().join("b.png"));
    let mut encoder = png::Encoder::new(std::fs::File::create(&path).unwrap(), 4, 4);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Sixteen);
    let bytes: Vec<u8> = [4080_u16; 16].iter().flat_map(|sample| sample.to_be_bytes()).collect();
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
    let stderr = |arguments: &[&str]| {
        let output = crate::common::run(arguments);
        assert!(output.status.success());
        crate::common::text(&output.stderr)
    };
    let advice = stderr(&["upscale", arg(&path), arg(&out)]);
    assert!(advice.contains("record=high_bits_unused") && advice.contains("used_bits=12"), "{advice}");
    assert!(load(&out).data().iter().all(|level| *level < 24));
    let silent = stderr(&["upscale", "--bits", "12", arg(&path), arg(&out)]);
    assert!(!silent.contains("high_bits_unused"), "{silent}");
    assert!(load(&out).data().iter().all(|level| *level > 245));
    refuse(
        &["upscale", "--bits", "11", arg(&path), arg(&out)],
        1,
        &["a.png: has samples up to 4080, more than 11 bits"],
    );
}

#[test]
fn a_damaged_picture_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("cut.png"), folder.path().join("out.png"));
    save(&path, &textured(Layout::Rgb, 600, 500));
    let whole = std::fs::read(&path).unwrap();
    for share in [0, 1, 50, 99] {
        std::fs::write(&path, &whole[..whole.len() * share / 100]).unwrap();
        refuse(&["upscale", arg(&path), arg(&out)], 1, &["cut.png: "]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{share} %");
    }
    std::fs::write(&path, &whole).unwrap();
    let nowhere = folder.path().join("none/out.png");
    refuse(&["upscale", arg(&path), arg(&nowhere)], 1, &["none/out.png: no file can be written in ", "No such file"]);
}

/// A run that is killed leaves the picture that was there.
#[test]
fn a_killed_run_leaves_the_old_picture() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("large.png"), folder.path().join("out.png"));
    save(&path, &textured(Layout::Rgb, 3000, 2000));
    save(&out, &textured(Layout::Grey, 9, 9));
    let mut child = crate::common::lineside().args(["upscale", arg(&path), arg(&out)]).spawn().unwrap();
    let part = folder.path().join(".out.png.part");
    while std::fs::metadata(&part).map_or(0, |file| file.len()) < 1 << 16 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(load(&out), textured(Layout::Grey, 9, 9));
    save(&path, &textured(Layout::Rgb, 30, 20));
    succeed(&["upscale", arg(&path), arg(&out)]);
    assert_eq!((load(&out).width(), load(&out).height()), (90, 60));
    assert!(!part.exists());
}
