//! Files: a picture from the bytes of a file, whose format is known by how they begin.

use super::PictureError;
use super::codecs::WholeFormat;
use super::colour::Range;
use super::depth::{DecodeOptions, SampleDepth};
use super::jpeg::{decode_stream, plain_stream};
use super::picture::Picture;
use super::text_mode;
use image::metadata::Orientation;
use std::path::Path;

/// Endings of the names of picture files that are read, in lower case.
pub const EXTENSIONS: [&str; 14] =
    ["png", "jpg", "jpeg", "jpe", "jfif", "bmp", "tif", "tiff", "webp", "pnm", "pgm", "ppm", "pbm", "pam"];

const TEXT_MODE: &str =
    "it is a PNG that was changed by a transfer in text mode (line ends, or characters), fetch it again in binary mode";

/// Files of other formats that are met among pictures, by how they begin.
const OTHER_FORMATS: [(&[u8], &str); 10] = [
    (b"\x89PNG", TEXT_MODE),
    // Without its highest bits, and as text that was taken for UTF-8.
    (b"\x09PNG", TEXT_MODE),
    (b"\xEF\xBF\xBDPNG", TEXT_MODE),
    (b"GIF8", "it is a GIF"),
    (b"RIFF", "it is an AVI or sound"),
    (b"%PDF", "it is a PDF"),
    (b"PK", "it is a ZIP archive"),
    (b"\x1F\x8B", "it is compressed with gzip"),
    (b"\x93NUMPY", "it is a NumPy array"),
    (b"version https://git-lfs", "it is a Git LFS pointer, fetch the file itself"),
];

/// The most bytes that a file of so many pixels may have to be read: four channels of 16 bits each, and 16 MiB for what
/// describes the picture.
pub const fn max_file_bytes(limit_pixels: usize) -> u64 {
    (limit_pixels as u64).saturating_mul(8).saturating_add(16 << 20)
}

/// Whether a file's name ends as that of a picture that is read ([`EXTENSIONS`], in any case).
pub fn is_picture_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// What was found in a file beside the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// The range of its samples.
    pub depth: SampleDepth,
    /// Whether it has further pictures (pages, or frames of an animation), which were not read.
    pub has_more_pictures: bool,
}

/// Decodes a picture file (PNG, JPEG, BMP, TIFF, WebP, PNM) of at most `limit_pixels` pixels into `out`: grey where the
/// file is grey, otherwise RGB, upright where the file states how it lies (EXIF, eXIf or TIFF orientation). The size is
/// checked against the limit before memory is taken for pixels. 16 bits are rounded to 8; an alpha channel is dropped where it
/// is opaque everywhere; of an animation or several pages the first is taken.
///
/// # Errors
/// - [`PictureError::UnknownFile`] for another format, with what the file looks like.
/// - [`PictureError::Empty`], [`PictureError::TooLarge`] by the header alone.
/// - [`PictureError::Unsupported`], [`PictureError::UnsupportedCoding`] for CMYK, transparency and rare codings.
/// - [`PictureError::Broken`] for damaged files and those cut short.
///
/// After an error the content of `out` is unspecified.
pub fn decode_file(bytes: &[u8], limit_pixels: usize, out: &mut Picture) -> Result<(), PictureError> {
    decode_file_with(bytes, limit_pixels, DecodeOptions::default(), out).map(|_| ())
}

/// The same with what the caller knows of the file, and returns what was found in it.
///
/// # Errors
/// As [`decode_file`], and [`PictureError::TooManyBits`] where samples are larger than `options` states.
pub fn decode_file_with(
    bytes: &[u8],
    limit_pixels: usize,
    options: DecodeOptions,
    out: &mut Picture,
) -> Result<Decoded, PictureError> {
    if let Some(format) = WholeFormat::of(bytes) {
        let whole = format.decode(bytes, limit_pixels, options)?;
        let decoded = Decoded { depth: whole.depth, has_more_pictures: whole.metadata.has_more_pictures };
        *out = whole.opaque()?;
        Ok(decoded)
    } else if is_jpeg(bytes) {
        let stream = plain_stream(bytes)?;
        let orientation = stream.metadata.orientation;
        decode_stream(stream, Range::Full, limit_pixels, out).map_err(|error| {
            let changed = text_mode::changed(bytes);
            changed.map_or(error, |reason| PictureError::Broken { kind: "JPEG", reason: reason.into() })
        })?;
        if orientation != Orientation::NoTransforms {
            *out = std::mem::take(out).upright(orientation);
        }
        Ok(Decoded { depth: SampleDepth::EIGHT, has_more_pictures: false })
    } else {
        Err(unknown(bytes))
    }
}

/// Whether a file that begins with these bytes is a JPEG.
pub(super) fn is_jpeg(start: &[u8]) -> bool {
    start.starts_with(b"\xFF\xD8")
}

/// The error for a file of no format that is read: what it looks like.
pub(super) fn unknown(bytes: &[u8]) -> PictureError {
    let known = OTHER_FORMATS.iter().find(|(start, _)| bytes.starts_with(start));
    PictureError::UnknownFile(match known {
        Some((_, name)) => (*name).to_string(),
        None if bytes.is_empty() => "it is empty".to_string(),
        None if let Some(changed) = text_mode::changed(bytes) => changed.to_string(),
        None if bytes.get(4..8) == Some(b"ftyp") => "it is a HEIC, AVIF or MP4".to_string(),
        None => {
            let start: Vec<String> = bytes.iter().take(4).map(|byte| format!("{byte:02X}")).collect();
            format!("it begins with {}", start.join(" "))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(bytes: &[u8]) -> String {
        decode_file(bytes, 1 << 20, &mut Picture::default()).unwrap_err().to_string()
    }

    #[test]
    fn other_files_are_named() {
        assert_eq!(message(b""), "not a PNG, JPEG, BMP, TIFF, WebP or PNM file: it is empty");
        assert_eq!(message(b"GIF89a"), "not a PNG, JPEG, BMP, TIFF, WebP or PNM file: it is a GIF");
        assert_eq!(
            message(b"\0\0\0\x18ftypheic"),
            "not a PNG, JPEG, BMP, TIFF, WebP or PNM file: it is a HEIC, AVIF or MP4"
        );
        assert_eq!(message(b"\x01\x02"), "not a PNG, JPEG, BMP, TIFF, WebP or PNM file: it begins with 01 02");
    }

    #[test]
    fn huge_and_empty_sizes_are_refused_by_the_header() {
        let png = |width: u32, height: u32| {
            let mut chunk = b"IHDR".to_vec();
            chunk.extend(width.to_be_bytes());
            chunk.extend(height.to_be_bytes());
            chunk.extend([8, 2, 0, 0, 0]);
            let mut png = b"\x89PNG\r\n\x1A\n\0\0\0\x0D".to_vec();
            png.extend(&chunk);
            png.extend(crc32(&chunk).to_be_bytes());
            png
        };
        let jpeg = |width: u16, height: u16| {
            let mut jpeg = b"\xFF\xD8\xFF\xC0\0\x11\x08".to_vec();
            jpeg.extend(height.to_be_bytes());
            jpeg.extend(width.to_be_bytes());
            jpeg.extend(b"\x03\x01\x11\0\x02\x11\0\x03\x11\0\xFF\xDA\0\x0C\x03\x01\0\x02\0\x03\0\0\x3F\0\xFF\xD9");
            jpeg
        };
        let large = "picture is 60000x60000, more than the limit of 1048576 pixels: shrink it or raise the limit";
        assert_eq!(message(&png(60_000, 60_000)), large);
        assert_eq!(message(&jpeg(60_000, 60_000)), large);
        assert_eq!(message(&jpeg(0, 5)), "picture is 0x5: width and height must be at least 1");
        assert_eq!(message(&png(0, 5)), "broken PNG: Invalid image dimensions");
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
        })
    }

    #[test]
    fn picture_files_are_known_by_their_ending() {
        assert!(["a.png", "B.JPG", "c.Tiff", "x/d.pgm"].iter().all(|name| is_picture_name(Path::new(name))));
        assert!(!["png", "a.txt", "a.png.tmp", ".png"].iter().any(|name| is_picture_name(Path::new(name))));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), start in 0..3_usize) {
            let mut file = [&b""[..], b"\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR", b"\xFF\xD8\xFF"][start].to_vec();
            file.extend(bytes);
            let _ = decode_file(&file, 1 << 16, &mut Picture::default());
        }
    }
}
