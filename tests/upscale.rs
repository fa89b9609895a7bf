//! `lineside upscale`, and that tiles do not show.

mod common;

use common::{arg, refuse, root, succeed};
use lineside::bundle::Bundle;
use lineside::picture::{Layout, Picture, Rect, decode_file, write_png};
use lineside::task::super_resolution::Enlarger;
use std::path::Path;

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
    let path = folder.path().join("a.png");
    let grey = textured(Layout::Grey, 40, 30);
    let data = grey.data().iter().flat_map(|&level| [level; 3]).collect();
    save(&path, &Picture::from_data(Layout::Rgb, 40, 30, data).unwrap());
    succeed(&["upscale", arg(&path), arg(&path)]);
    assert!(load(&path).data().chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]));

    save(&path, &Picture::from_data(Layout::Grey, 50, 50, vec![128; 2500]).unwrap());
    succeed(&["upscale", arg(&path), arg(&path)]);
    let worst = load(&path).data().iter().map(|level| level.abs_diff(128)).max().unwrap();
    assert!(worst <= 3, "a flat picture must stay flat up to its very edge, found {worst} steps");
}

#[test]
fn a_part_enlarged_by_itself_equals_the_same_part_of_the_whole() {
    let mut enlarger = Enlarger::new(Bundle::open(&root().join("models/superres-x3")).unwrap()).unwrap();
    // Wider and higher than a tile, so that the whole has seams.
    let picture = textured(Layout::Rgb, 330, 190);
    let mut large = Picture::default();
    enlarger.enlarge(&picture, &mut large).unwrap();
    let area = Rect { x: 120, y: 60, width: 96, height: 96 };
    let mut part = Picture::default();
    enlarger.enlarge_area(&picture, area, &mut part).unwrap();
    let mut same = Picture::default();
    large.crop_into(Rect { x: 360, y: 180, width: 288, height: 288 }, &mut same);
    // Chroma is bicubic over the part alone, so its outermost pixels differ.
    let mut worst = 0;
    for y in 9..279 {
        for (a, b) in part.row(y)[27..279 * 3].iter().zip(&same.row(y)[27..279 * 3]) {
            worst = worst.max(a.abs_diff(*b));
        }
    }
    assert_eq!(worst, 0);
}
