//! JPEG, as a file and as the frame of a camera.

use super::Target;
use super::picture::{LIMIT, check_picture};
use super::text::check_line;
use lineside_picture::image::metadata::Orientation;
use lineside_picture::{Picture, PixelFormat, Range, RawFrame, decode_file, decode_into};

/// This target.
pub const TARGET: Target = Target {
    name: "jpeg",
    run: target,
    max_len: 4096,
    max_memory: 16 << 20,
    iterations: 3000,
    words: &[
        b"\xFF\xD8",
        b"\xFF\xD9",
        b"\xFF\xC0\0\x11\x08",
        b"\xFF\xC2\0\x11\x08",
        b"\xFF\xC4",
        b"\xFF\xDB",
        b"\xFF\xDA",
        b"\xFF\xDD\0\x04\0\x01",
        b"\xFF\xD0",
        b"\xFF\xEE\0\x0EAdobe",
        b"\xFF\xE1",
        b"\xFF\0",
        b"\xFF\xFF",
    ],
};

/// Decodes a file; the camera's decoder must agree about its size and its pixels.
pub fn target(data: &[u8]) {
    let mut whole = Picture::default();
    if !data.starts_with(b"\xFF\xD8") {
        return;
    }
    if let Err(error) = decode_file(data, LIMIT, &mut whole) {
        return check_line(&error.to_string());
    }
    check_picture(&whole);
    let frame = |width, height, range| RawFrame {
        format: PixelFormat::Mjpeg,
        range,
        width,
        height,
        stride: None,
        bytes: data,
        apart: &[],
    };
    let mut decoded = Picture::default();
    // A camera's frame is taken as it lies, a file is turned as it states.
    let (mut width, mut height) = (whole.width(), whole.height());
    if decode_into(&frame(width, height, Range::Full), &mut decoded).is_err() {
        (width, height) = (height, width);
        decode_into(&frame(width, height, Range::Full), &mut decoded).expect("a frame of the size in its header");
    }
    let mut orientations = (1..=8).filter_map(Orientation::from_exif);
    let is_the_same = orientations.any(|orientation| decoded.clone().upright(orientation) == whole);
    assert!(is_the_same, "the camera's decoder gives other pixels");
    decode_into(&frame(width, height, Range::Limited), &mut decoded).expect("a frame of the other range");
    assert!(decode_into(&frame(width + 1, height, Range::Full), &mut decoded).is_err(), "a frame of another size");
}
