//! Picture files beside JPEG and PNG: BMP, TIFF, WebP, PNM.

use super::Target;
use super::file::file_with;
use super::text::check_line;
use lineside_picture::{Picture, RowReader, decode_file};

/// The most pixels of a picture here.
pub const LIMIT: usize = 1 << 16;

/// This target.
pub const TARGET: Target = Target {
    name: "picture",
    run: target,
    max_len: 4096,
    max_memory: 48 << 20,
    iterations: 5000,
    words: &[
        b"BM",
        b"II*\0",
        b"MM\0*",
        b"RIFF",
        b"WEBPVP8 ",
        b"VP8L\x2f",
        b"VP8X",
        b"ANIM",
        b"ANMF",
        b"ALPH",
        b"P1\n",
        b"P2\n",
        b"P3\n",
        b"P4\n",
        b"P5\n",
        b"P6\n",
        b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 3\nMAXVAL 255\nENDHDR\n",
        b"65535",
        b"# a\n",
        b"\x28\0\0\0",
        b"\x03\x01",
        b"\x53\x01",
    ],
};

/// Decodes a picture whole and row by row.
pub fn target(data: &[u8]) {
    if data.starts_with(b"\xFF\xD8") || data.starts_with(b"\x89PNG") {
        return;
    }
    compare_rows(data);
}

/// A picture that was decoded whole is that of its rows, up to opacity.
pub fn compare_rows(data: &[u8]) {
    let mut whole = Picture::default();
    let decoded = decode_file(data, LIMIT, &mut whole);
    match &decoded {
        Ok(()) => check_picture(&whole),
        Err(error) => check_line(&error.to_string()),
    }
    let rows = rows_of(data);
    let (Ok(()), Some((channels, bytes))) = (&decoded, &rows) else {
        assert!(decoded.is_err() || rows.is_some(), "the rows of a picture that can be decoded cannot be read");
        return;
    };
    let colours = whole.channels();
    let pixels = bytes.chunks_exact(*channels).flat_map(|pixel| &pixel[..colours.min(pixel.len())]);
    assert!(pixels.eq(whole.data()), "rows one by one are not those of the whole picture");
}

/// The channels of a picture and all its rows; `None` if it cannot be decoded.
fn rows_of(data: &[u8]) -> Option<(usize, Vec<u8>)> {
    let mut reader = match RowReader::open(file_with(data), LIMIT, LIMIT) {
        Ok(reader) => reader,
        Err(error) => {
            check_line(&error.to_string());
            return None;
        }
    };
    assert!(reader.width() * reader.height() <= LIMIT && reader.width() > 0, "more pixels than the limit");
    let channels = reader.row_layout().channels();
    let mut bytes = vec![0; channels * reader.width() * reader.height()];
    for row in bytes.chunks_exact_mut(channels * reader.width()) {
        if let Err(error) = reader.next(row) {
            check_line(&error.to_string());
            return None;
        }
    }
    Some((channels, bytes))
}

/// A picture within its limits.
pub fn check_picture(picture: &Picture) {
    let pixels = picture.width() * picture.height();
    assert!(
        (1..=LIMIT).contains(&pixels) && picture.data().len() == pixels * picture.channels(),
        "a picture of a wrong size"
    );
}
