//! Files as other programs write them (`testdata/make_files.sh`), and what they state beside their pixels.

use crate::testing::synthetic;
use crate::{
    DecodeOptions, Density, Layout, Metadata, Picture, PictureError, RowReader, decode_file, decode_file_with,
};
use crate::{write_png, write_png_rows_with};
use image::metadata::Orientation;
use image::{ExtendedColorType, ImageEncoder};
use png::{BitDepth, ColorType, Encoder};
use std::io::{Cursor, Seek, Write};

const LIMIT: usize = 1 << 16;

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("testdata/", $name)).as_slice()
    };
}

fn decode(file: &[u8]) -> Picture {
    let mut out = Picture::default();
    decode_file(file, LIMIT, &mut out).unwrap();
    out
}

fn message(file: &[u8]) -> String {
    decode_file(file, LIMIT, &mut Picture::default()).unwrap_err().to_string()
}

fn rows_of(file: &[u8], options: DecodeOptions) -> Result<(RowReader, Picture), PictureError> {
    let mut on_disk = tempfile::tempfile().unwrap();
    on_disk.write_all(file).unwrap();
    on_disk.rewind().unwrap();
    let mut reader = RowReader::open_with(on_disk, LIMIT, LIMIT, options)?;
    let mut picture = Picture::new(reader.row_layout().layout, reader.width(), reader.height());
    for y in 0..reader.height() {
        reader.next(picture.row_mut(y))?;
    }
    Ok((reader, picture))
}

/// Grey, and RGB, as `make_files.sh` has them.
fn saved(layout: Layout) -> Picture {
    let grey = |x: usize, y: usize| ((19 * x + 36 * y) % 256) as u8;
    let pixels = (0..7).flat_map(|y| (0..13).map(move |x| (x, y)));
    let data = match layout {
        Layout::Grey => pixels.map(|(x, y)| grey(x, y)).collect(),
        Layout::Rgb => pixels.flat_map(|(x, y)| [grey(x, y), 255 - grey(x, y), 11 * x as u8]).collect(),
    };
    Picture::from_data(layout, 13, 7, data).unwrap()
}

#[test]
fn files_of_other_programs_are_read() {
    for file in [
        file!("rgb.tif"),
        file!("rgb_lzw.tif"),
        file!("rgb_packbits.tif"),
        file!("tiles.tif"),
        file!("planes.tif"),
        file!("big.tif"),
        file!("pages.tif"),
        file!("top_down.bmp"),
        file!("os2.bmp"),
        file!("32.bmp"),
        file!("alpha.bmp"),
        file!("lossless.webp"),
    ] {
        assert_eq!(decode(file), saved(Layout::Rgb));
    }
    let grey = saved(Layout::Grey);
    let (mut as_rgb, mut of_16) = (Picture::default(), grey.clone());
    crate::rgb_into(&grey, &mut as_rgb);
    assert_eq!(decode(file!("rle8.bmp")), as_rgb);
    assert_eq!(decode(file!("palette.tif")), as_rgb);
    of_16.data_mut().iter_mut().for_each(|value| *value = (*value >> 4) * 17);
    crate::rgb_into(&of_16, &mut as_rgb);
    assert_eq!(decode(file!("rle4.bmp")), as_rgb);
    let bits = decode(file!("bits_group4.tif"));
    assert!(bits.data().iter().zip(grey.data()).all(|(&bit, &grey)| bit == if grey > 127 { 255 } else { 0 }));
    for (file, bits) in [(file!("565.bmp"), [5, 6, 5]), (file!("555.bmp"), [5, 5, 5])] {
        for (i, (read, saved)) in decode(file).data().iter().zip(saved(Layout::Rgb).data()).enumerate() {
            let white = (1_u32 << bits[i % 3]) - 1;
            let expected = u32::from(*saved >> (8 - bits[i % 3])) * 255 / white;
            assert!(u32::from(*read).abs_diff(expected) <= 1, "{i}: {read}, expected {expected}");
        }
    }
}

#[test]
fn lossy_webp_has_the_same_bytes_on_every_cpu() {
    assert_eq!(crate::testing::checksum(&decode(file!("lossy.webp"))), 0xe554_dd65_94bd_8f65);
}

#[test]
fn of_several_pages_the_first_is_read_and_that_is_reported() {
    let read = |file| decode_file_with(file, LIMIT, DecodeOptions::default(), &mut Picture::default()).unwrap();
    assert!(read(file!("pages.tif")).has_more_pictures);
    assert!(!read(file!("rgb.tif")).has_more_pictures);
    let (one, two) = (b"P5 2 1 255\n\x01P", b"P5 2 1 255\n\x01PP5 1 1 255\n\x07");
    assert!(!read(one).has_more_pictures && read(two).has_more_pictures);
}

#[test]
fn what_is_not_read_of_tiff_is_named() {
    let mut floats = Cursor::new(Vec::new());
    let mut tiff = tiff::encoder::TiffEncoder::new(&mut floats).unwrap();
    tiff.write_image::<tiff::encoder::colortype::Gray32Float>(2, 1, &[0.0, 1.0]).unwrap();
    assert_eq!(message(floats.get_ref()), "TIFF with floats, or with more than 16 bits a sample: save it with 8 or 16");
    // Compression 7, JPEG, in the place of none.
    let mut jpeg = file!("rgb.tif").to_vec();
    let entry = jpeg.windows(4).position(|start| start == [0x03, 0x01, 0x03, 0x00]).unwrap();
    jpeg[entry + 8] = 7;
    assert_eq!(
        message(&jpeg),
        "TIFF of a kind that is not read (compression method ModernJPEG is unsupported): save it in another"
    );
}

/// An EXIF block with this orientation, in either byte order.
fn exif(orientation: u8, big_endian: bool) -> Vec<u8> {
    let mut exif = if big_endian {
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0".to_vec()
    } else {
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec()
    };
    exif[if big_endian { 19 } else { 18 }] = orientation;
    exif
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind, data].concat();
    let sum = !body.iter().fold(!0_u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    });
    [&(data.len() as u32).to_be_bytes(), &body[..], &sum.to_be_bytes()].concat()
}

/// A PNG with a chunk behind its header, or before its end.
fn png_with(picture: &Picture, extra: &[u8], at_end: bool) -> Vec<u8> {
    let mut png = Vec::new();
    write_png(&mut png, picture).unwrap();
    let at = if at_end { png.len() - 12 } else { 33 };
    png.splice(at..at, extra.iter().copied());
    png
}

#[test]
fn every_format_is_turned_as_it_states() {
    let lying = saved(Layout::Rgb);
    let jpeg = file!("420.jpg");
    for tag in 1..=8 {
        let orientation = Orientation::from_exif(tag).unwrap();
        let upright = lying.clone().upright(orientation);
        for big_endian in [false, true] {
            let exif = exif(tag, big_endian);
            let segment = [b"Exif\0\0", &exif[..]].concat();
            let segment = [&[0xFF, 0xE1], &(segment.len() as u16 + 2).to_be_bytes()[..], &segment].concat();
            let turned = [&jpeg[..2], &segment, &jpeg[2..]].concat();
            let mut webp = Vec::new();
            let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut webp);
            encoder.set_exif_metadata(exif.clone()).unwrap();
            encoder.write_image(lying.data(), 13, 7, ExtendedColorType::Rgb8).unwrap();
            for (file, expected) in [
                (turned, decode(jpeg).upright(orientation)),
                (png_with(&lying, &chunk(b"eXIf", &exif), false), upright.clone()),
                (png_with(&lying, &chunk(b"eXIf", &exif), true), upright.clone()),
                (webp, upright.clone()),
            ] {
                assert_eq!(decode(&file), expected, "{tag}");
                let (reader, rows) = rows_of(&file, DecodeOptions::default()).unwrap();
                assert_eq!(rows, expected, "{tag}, row by row");
                assert_eq!(reader.metadata().orientation, Orientation::NoTransforms);
            }
        }
        let mut tiff = Cursor::new(Vec::new());
        let mut encoder = tiff::encoder::TiffEncoder::new(&mut tiff).unwrap();
        let mut image = encoder.new_image::<tiff::encoder::colortype::RGB8>(13, 7).unwrap();
        image.encoder().write_tag(tiff::tags::Tag::Orientation, u16::from(tag)).unwrap();
        image.write_data(lying.data()).unwrap();
        assert_eq!(decode(tiff.get_ref()), upright, "{tag}");
        assert_eq!(rows_of(tiff.get_ref(), DecodeOptions::default()).unwrap().1, upright, "{tag}");
    }
}

#[test]
fn a_damaged_exif_block_is_no_error() {
    let lying = saved(Layout::Grey);
    for block in
        [&b""[..], b"II", b"Exif\0\0MM\0*\xFF\xFF\xFF\xFF", &exif(9, false), &exif(0, true), &exif(6, false)[..20]]
    {
        for at_end in [false, true] {
            let png = png_with(&lying, &chunk(b"eXIf", block), at_end);
            assert_eq!(decode(&png), lying);
            assert_eq!(rows_of(&png, DecodeOptions::default()).unwrap().1, lying);
        }
        let jpeg = file!("grey.jpg");
        let segment = [b"Exif\0\0", block].concat();
        let segment = [&[0xFF, 0xE1], &(segment.len() as u16 + 2).to_be_bytes()[..], &segment].concat();
        assert_eq!(decode(&[&jpeg[..2], &segment, &jpeg[2..]].concat()), decode(jpeg));
    }
}

/// A grey PNG of 16 bits.
fn deep_png(samples: &[u16], significant: Option<u8>) -> Vec<u8> {
    let mut png = Vec::new();
    let mut encoder = Encoder::new(&mut png, samples.len() as u32, 1);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::Sixteen);
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_be_bytes()).collect();
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
    if let Some(bits) = significant {
        png.splice(33..33, chunk(b"sBIT", &[bits]));
    }
    png
}

#[test]
fn twelve_bits_in_sixteen_are_scaled_as_the_file_or_the_caller_states() {
    let samples = [0, 2048, 4080];
    let scaled = [0, 128, 254];
    for (png, bits, expected, leaves_unused) in [
        (deep_png(&samples, None), Some(12), scaled, false),
        (deep_png(&samples, Some(12)), None, scaled, false),
        (deep_png(&samples, None), None, [0, 8, 16], true),
        (deep_png(&[0, 0x8000, 0xFFF0], Some(12)), None, [0, 128, 255], false),
    ] {
        let options = DecodeOptions { bits };
        let mut picture = Picture::default();
        let decoded = decode_file_with(&png, LIMIT, options, &mut picture).unwrap();
        assert_eq!((picture.data(), decoded.depth.leaves_high_bits_unused()), (&expected[..], leaves_unused));
        let (reader, rows) = rows_of(&png, options).unwrap();
        assert_eq!((rows.data(), reader.depth()), (&expected[..], decoded.depth));
    }
    let png = deep_png(&[4096], None);
    let error = rows_of(&png, DecodeOptions { bits: Some(12) }).err().unwrap();
    assert!(matches!(error, PictureError::TooManyBits { bits: 12, largest: 4096 }), "{error}");
}

#[test]
fn white_of_pnm_is_what_its_header_states() {
    for white in [1_u16, 15, 100, 255, 1000, 4095, 65_535] {
        let samples = [0, white / 3, white];
        let expected =
            samples.map(|sample| ((u32::from(sample) * 255 + u32::from(white) / 2) / u32::from(white)) as u8);
        let bytes = |sample: &u16| if white > 255 { sample.to_be_bytes().to_vec() } else { vec![*sample as u8] };
        let raw: Vec<u8> = samples.iter().flat_map(bytes).collect();
        let header = format!("P5\n# made by hand\n3 1\n{white}\n");
        let pam = format!("P7\nWIDTH 3\nHEIGHT 1\nDEPTH 1\nMAXVAL {white}\nTUPLTYPE GRAYSCALE\nENDHDR\n");
        let plain = format!("P2 3 1 {white} {} {} {}\n", samples[0], samples[1], samples[2]);
        for file in [[header.as_bytes(), &raw].concat(), [pam.as_bytes(), &raw].concat(), plain.into_bytes()] {
            // What 12 bits a caller states is of no matter: the header states more.
            let mut picture = Picture::default();
            let bits = (white < 65_535).then_some(12);
            decode_file_with(&file, LIMIT, DecodeOptions { bits }, &mut picture).unwrap();
            let worst = picture.data().iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max().unwrap();
            assert!(worst <= 1, "{white}: {:?}, expected {expected:?}", picture.data());
        }
    }
    assert_eq!(decode(b"P1 3 1 1 0 1").data(), [0, 255, 0]);
    assert_eq!(decode(b"P4 3 1 \xA0").data(), [0, 255, 0]);
    assert_eq!(decode(b"P3 1 1 255 1 2 3").data(), [1, 2, 3]);
    assert_eq!(decode(b"P6 1 1 255 \x01\x02\x03").data(), [1, 2, 3]);
    let untyped = b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 1000\nENDHDR\n\0\0";
    assert_eq!(message(untyped), "PAM of 16 bits without a TUPLTYPE: give its header one");
}

#[test]
fn profile_and_density_are_carried_from_file_to_file() {
    let profile = |space: &[u8; 4]| [&[7; 16][..], space, &[9; 108]].concat();
    let density = Some(Density { x: 11_811, y: 5906, per_metre: true });
    let picture = synthetic(Layout::Rgb, 6, 3);
    let row = crate::RowLayout { layout: Layout::Rgb, alpha: false };
    let write = |metadata: &Metadata| {
        let mut png = Vec::new();
        write_png_rows_with(&mut png, row, (6, 3), metadata, |rows| rows.write(picture.data())).unwrap();
        png
    };
    let metadata = Metadata { icc_profile: Some(profile(b"RGB ")), density, ..Metadata::default() };
    let png = write(&metadata);
    assert_eq!(rows_of(&png, DecodeOptions::default()).unwrap().0.metadata(), &metadata);
    let of_grey = write(&Metadata { icc_profile: Some(profile(b"GRAY")), ..metadata.clone() });
    assert_eq!(rows_of(&of_grey, DecodeOptions::default()).unwrap().0.metadata().icc_profile, None);

    // JPEG: 300 by 150 to the inch, a profile in two parts, the second first, and lying on its side.
    let mut jpeg = file!("420.jpg").to_vec();
    jpeg[13..18].copy_from_slice(&[1, 1, 44, 0, 150]);
    let profile = profile(b"RGB ");
    for (number, part) in [(2, &profile[50..]), (1, &profile[..50])] {
        let payload = [b"ICC_PROFILE\0", &[number, 2][..], part].concat();
        let segment = [&[0xFF, 0xE2], &(payload.len() as u16 + 2).to_be_bytes()[..], &payload].concat();
        jpeg.splice(20..20, segment);
    }
    let exif = [b"Exif\0\0", &exif(6, false)[..]].concat();
    jpeg.splice(20..20, [&[0xFF, 0xE1], &(exif.len() as u16 + 2).to_be_bytes()[..], &exif].concat());
    let (reader, _) = rows_of(&jpeg, DecodeOptions::default()).unwrap();
    let density = Some(Density { x: 5906, y: 11_811, per_metre: true });
    let expected = Metadata { icc_profile: Some(profile), density, ..Metadata::default() };
    assert_eq!((reader.width(), reader.metadata()), (35, &expected));

    let density = |file| rows_of(file, DecodeOptions::default()).unwrap().0.metadata().density.unwrap().x;
    assert_eq!(density(file!("top_down.bmp")), 3780);
}

#[test]
fn a_transfer_in_text_mode_is_named() {
    let mut png = Vec::new();
    write_png(&mut png, &saved(Layout::Grey)).unwrap();
    let replaced = |from: &[u8], to: &[u8]| {
        let mut out = Vec::new();
        let mut rest = &png[..];
        while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(to);
            rest = &rest[at + from.len()..];
        }
        [&out[..], rest].concat()
    };
    let seven_bits: Vec<u8> = png.iter().map(|byte| byte & 0x7F).collect();
    let utf8: Vec<u8> = String::from_utf8_lossy(&png).into_owned().into_bytes();
    for damaged in [
        replaced(b"\r\n", b"\n"),
        replaced(b"\n", b"\r\n"),
        replaced(b"\n", b"\r"),
        replaced(b"\r", b"\n"),
        replaced(b"\r", b""),
        replaced(b"\r\n", b"\r"),
        seven_bits,
        utf8,
    ] {
        let message = message(&damaged);
        assert!(message.contains("it is a PNG that was changed by a transfer in text mode"), "{message}");
    }
}
