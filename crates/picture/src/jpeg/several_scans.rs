//! Files of several scans and of rare sampling, made by libjpeg-turbo: `testdata/make_jpeg.sh`.

use super::*;

fn decode(jpeg: &[u8]) -> Result<Picture, PictureError> {
    let mut out = Picture::default();
    decode_jpeg(jpeg, Range::Full, 1 << 16, &mut out).map(|()| out)
}

fn message(jpeg: &[u8]) -> String {
    decode(jpeg).unwrap_err().to_string()
}

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../testdata/", $name, ".jpg")).as_slice()
    };
}

const P444: &[u8] = file!("444");
const P420: &[u8] = file!("420");
const GREY: &[u8] = file!("grey");

/// Where the segment of this marker begins, the marker itself included.
fn position(jpeg: &[u8], marker: u8) -> usize {
    jpeg.windows(2).position(|pair| pair == [0xFF, marker]).unwrap()
}

#[test]
fn a_picture_is_the_same_however_it_is_coded() {
    for jpeg in [
        file!("scans_420"),
        file!("scans_420_restart"),
        file!("scans_420_chroma_together"),
        file!("scans_420_mixed"),
        file!("progressive_by_component"),
    ] {
        assert_eq!(decode(jpeg).unwrap(), decode(P420).unwrap());
    }
    for jpeg in [file!("scans_444_restart"), file!("scans_444_chroma_first"), file!("progressive_restart")] {
        assert_eq!(decode(jpeg).unwrap(), decode(P444).unwrap());
    }
}

#[test]
fn both_decoders_give_the_same_bytes() {
    for (jpeg, pixels) in [
        (P444, 45 * 35),
        (GREY, 45 * 35),
        (file!("rgb"), 45 * 35),
        (file!("aligned_420"), 64 * 48),
        (file!("aligned_422"), 48 * 35),
    ] {
        let stream = || plain_stream(jpeg).unwrap();
        assert!(stream().is_simple);
        let mut ours = vec![0; pixels * usize::from(stream().components)];
        let mut theirs = ours.clone();
        let components = decoder::decode_components(&stream()).unwrap();
        decoder::interleave(&components, stream().width, &mut ours);
        zune_planes(stream(), &mut theirs).unwrap();
        assert_eq!(ours, theirs);
    }
    for jpeg in [P420, file!("422"), file!("scans_444_restart"), file!("progressive")] {
        assert!(!plain_stream(jpeg).unwrap().is_simple);
    }
}

/// What an encoder puts beyond the edge of a picture is its own affair.
#[test]
fn what_fills_up_the_last_blocks_does_not_show() {
    let picture = decode(file!("aligned_420")).unwrap();
    let mut smaller = file!("aligned_420").to_vec();
    let frame = position(&smaller, 0xC0);
    // 50 by 36: as many units, of which the last are filled up with what was a part of the picture.
    smaller[frame + 5..frame + 9].copy_from_slice(&[0, 36, 0, 50]);
    let cut = decode(&smaller).unwrap();
    let mut expected = Picture::default();
    picture.crop_into(crate::Rect { x: 0, y: 0, width: 50, height: 36 }, &mut expected);
    for y in 0..36 {
        for (x, (cut, whole)) in cut.row(y).chunks(3).zip(expected.row(y).chunks(3)).enumerate() {
            assert!(cut == whole || x == 49 || y == 35, "{x} {y}");
        }
    }
    assert_ne!(cut, expected, "the last column and row are interpolated with themselves");
}

#[test]
fn every_sampling_gives_the_colours_that_were_saved() {
    for (together, apart) in [
        (file!("sampled_411"), file!("sampled_411_scans")),
        (file!("sampled_440"), file!("sampled_440_scans")),
        (file!("sampled_410"), file!("sampled_410_scans")),
        (file!("sampled_311"), file!("sampled_311_scans")),
        (file!("sampled_luma_less"), file!("sampled_luma_less_scans")),
        (file!("sampled_mixed"), file!("sampled_mixed_scans")),
        (file!("sampled_all_doubled"), file!("sampled_all_doubled_scans")),
    ] {
        let picture = decode(together).unwrap();
        assert_eq!(picture, decode(apart).unwrap());
        let saved = decode(P444).unwrap();
        let errors = saved.data().iter().zip(picture.data()).map(|(a, b)| a.abs_diff(*b));
        let mean = errors.map(f64::from).sum::<f64>() / saved.data().len() as f64;
        // libjpeg-turbo's own: 5.0, where four columns share a chroma.
        assert!(mean < 5.2, "mean {mean}");
    }
    let fraction = "JPEG with sampling factors that do not divide: save it as 4:4:4 or 4:2:0";
    let mut jpeg = file!("sampled_311").to_vec();
    let second = position(&jpeg, 0xC0) + 14;
    assert_eq!(jpeg[second], 0x11);
    jpeg[second] = 0x21;
    assert_eq!(message(&jpeg), fraction);
}

#[test]
fn a_missing_end_marker_is_no_loss_and_a_cut_scan_is_an_error() {
    for jpeg in
        [P444, P420, file!("restart"), GREY, file!("scans_420"), file!("scans_444_restart"), file!("progressive")]
    {
        let whole = decode(jpeg).unwrap();
        for padding in [0, 1, 2, 700] {
            let padded = [&jpeg[..jpeg.len() - 2], &vec![0; padding]].concat();
            assert_eq!(decode(&padded).unwrap(), whole, "{padding} zeros");
            // One byte may be no more than padding. One zero is taken for code: that can end the last unit, and where a unit is one
            // flat block a few of the last.
            for lost in 2..60 {
                let Ok(read) = decode(&[&jpeg[..jpeg.len() - 2 - lost], &vec![0; padding]].concat()) else { continue };
                assert!(padding > 0, "{lost} of {} bytes less", jpeg.len());
                let channels = read.channels();
                let differs = (0..35 * 45).filter(|&i| {
                    let pixel = channels * i..channels * (i + 1);
                    read.data()[pixel.clone()] != whole.data()[pixel]
                });
                let scans = jpeg.windows(2).filter(|pair| *pair == [0xFF, 0xDA]).count();
                let last_unit = |i: usize| (i % 45 >= 30 || scans > 1) && i / 45 >= 30;
                assert!(differs.clone().all(last_unit), "{lost} of {} bytes less, {padding} zeros", jpeg.len());
            }
        }
        assert_eq!(decode(&[&jpeg[..jpeg.len() - 2], &[0xFF; 5]].concat()).unwrap(), whole, "filled with ones");
    }
}

#[test]
fn a_scan_that_ends_too_early_is_an_error_among_several() {
    for jpeg in [file!("scans_420"), file!("scans_444_restart"), file!("progressive_by_component")] {
        let mut at = 0;
        while let Some(scan) = jpeg[at..].windows(2).position(|pair| pair == [0xFF, 0xDA]).map(|place| at + place) {
            let data = scan + 2 + usize::from(jpeg[scan + 3]);
            let end = data
                + jpeg[data..]
                    .windows(2)
                    .position(|pair| pair[0] == 0xFF && pair[1] > 0 && !(0xD0..0xD8).contains(&pair[1]))
                    .unwrap();
            for lost in (2..end - data).step_by(3) {
                let cut = [&jpeg[..end - lost], &jpeg[end..]].concat();
                assert!(decode(&cut).is_err(), "scan at {scan}, {lost} bytes less");
            }
            at = end;
        }
    }
}

#[test]
fn a_component_without_a_scan_is_an_error() {
    let jpeg = file!("scans_420");
    let scans: Vec<usize> =
        jpeg.windows(2).enumerate().filter(|(_, pair)| *pair == [0xFF, 0xDA]).map(|(at, _)| at).collect();
    assert_eq!(scans.len(), 3);
    let without = [&jpeg[..scans[2]], &[0xFF, 0xD9]].concat();
    assert_eq!(message(&without), "broken JPEG: a component has no scan");
    assert!(message(&jpeg[..scans[2]]).contains("cut short"));
}

#[test]
fn a_height_behind_the_scan_is_taken() {
    for jpeg in [P420, file!("scans_420")] {
        let mut file = jpeg.to_vec();
        let frame = position(jpeg, 0xC0);
        file[frame + 5..frame + 7].fill(0);
        assert_eq!(message(&file), "picture is 45x0: width and height must be at least 1");
        let scan = position(jpeg, 0xDA) + 12;
        let end = scan + jpeg[scan..].windows(2).position(|pair| pair[0] == 0xFF && pair[1] > 0).unwrap();
        file.splice(end..end, [0xFF, 0xDC, 0, 4, 0, 35]);
        assert_eq!(decode(&file).unwrap(), decode(jpeg).unwrap());
    }
}

#[test]
fn colours_are_taken_as_libjpeg_takes_them() {
    // Named R, G and B, and JFIF: YCbCr all the same.
    let jpeg = P444;
    let (frame, scan) = (position(jpeg, 0xC0), position(jpeg, 0xDA));
    let mut named = jpeg.to_vec();
    for (i, name) in (0..).zip(b"RGB") {
        named[frame + 10 + 3 * i] = *name;
        named[scan + 5 + 2 * i] = *name;
    }
    assert_eq!(decode(&named).unwrap(), decode(jpeg).unwrap());
    let jfif = position(&named, 0xE0);
    named.drain(jfif..jfif + 18);
    assert_ne!(decode(&named).unwrap(), decode(jpeg).unwrap());
}

#[test]
fn damage_among_several_scans_never_panics() {
    // Every byte in turn, changed in three ways.
    for jpeg in [file!("scans_420_mixed"), file!("progressive_by_component"), file!("sampled_410_scans")] {
        for at in 2..jpeg.len() {
            for change in [0x01, 0x80, 0xFF] {
                let mut damaged = jpeg.to_vec();
                damaged[at] ^= change;
                let _ = decode(&damaged);
            }
        }
    }
}
