//! JPEG, as a file and as the frame of a camera.

use super::Target;
use super::picture::{LIMIT, check_picture};
use super::text::check_line;
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
    let (width, height) = (whole.width(), whole.height());
    let frame =
        |width, height, range| RawFrame { format: PixelFormat::Mjpeg, range, width, height, stride: None, bytes: data };
    let mut decoded = Picture::default();
    decode_into(&frame(width, height, Range::Full), &mut decoded).expect("a frame of the size in its header");
    assert!(decoded == whole, "the camera's decoder gives other pixels");
    decode_into(&frame(width, height, Range::Limited), &mut decoded).expect("a frame of the other range");
    assert!(decode_into(&frame(width + 1, height, Range::Full), &mut decoded).is_err(), "a frame of another size");
}
