//! A JPEG stream made plain before it is decoded.
//!
//! The segments that matter (tables, frame, scans) are copied, the rest (EXIF, comments, thumbnails, what lies behind
//! the end) is dropped. Three things are settled on the way:
//!
//! - What the header states of size and colour is known before anything is allocated for pixels.
//! - Frames of USB cameras leave out the Huffman tables (OpenDML motion JPEG); the decoder is made to use the standard
//!   ones, ITU-T T.81 annex K.
//! - A lost USB packet leaves a scan that ends too early, and decoders fill what is missing with grey. So before each
//!   marker that ends a stretch of entropy-coded data stand 64 one-bits more than the camera sent: nobody reads them in
//!   a whole scan, and in a cut one they are no Huffman code (T.81 annex C keeps the code of all ones free), which is
//!   an error. (Not so with several scans: a progressive file that lost some of them and still ends in its marker
//!   cannot be distinguished from one that never had them.)

use super::PictureError;

/// A stream without anything that the decoder does not need.
pub(super) struct PlainStream {
    /// From start of image to end of image.
    pub bytes: Vec<u8>,
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Colour components: 1 luma, 3 YCbCr or RGB, 4 CMYK or YCCK.
    pub components: u8,
    /// Whether an Adobe segment states that the components are RGB (or CMYK) as they stand.
    pub adobe_untransformed: bool,
}

// Markers: ITU-T T.81, table B.1.
const SOF_BASELINE: u8 = 0xC0;
const SOF_EXTENDED: u8 = 0xC1;
const SOF_PROGRESSIVE: u8 = 0xC2;
const DHT: u8 = 0xC4;
const RST_FIRST: u8 = 0xD0;
const RST_LAST: u8 = 0xD7;
const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DQT: u8 = 0xDB;
const DRI: u8 = 0xDD;
const APP_ADOBE: u8 = 0xEE;

/// An APP0 segment that marks "motion JPEG of an AVI file": missing Huffman tables are the standard ones.
const STANDARD_TABLES: &[u8] = b"\xFF\xE0\x00\x07AVI1\0";
/// 64 one-bits, with the zero bytes that stuff them.
const ONES: [u8; 16] = [0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00];

struct Frame {
    progressive: bool,
    width: usize,
    height: usize,
    components: u8,
}

/// Reads the segments of a JPEG up to its end-of-image marker.
pub(super) fn plain_stream(jpeg: &[u8]) -> Result<PlainStream, PictureError> {
    let mut rest = jpeg.strip_prefix(&[0xFF, SOI]).ok_or_else(|| broken("it does not start as a JPEG"))?;
    let mut bytes = Vec::with_capacity(jpeg.len() + STANDARD_TABLES.len() + 2 * ONES.len());
    bytes.extend([0xFF, SOI]);
    let (mut frame, mut adobe_untransformed, mut has_tables, mut has_scan) = (None, false, false, false);
    loop {
        let marker = next_marker(&mut rest)?;
        if marker == EOI {
            break;
        }
        let payload = segment(&mut rest)?;
        match marker {
            DQT | DRI => copy_segment(&mut bytes, marker, payload),
            DHT => {
                has_tables = true;
                copy_segment(&mut bytes, marker, payload);
            }
            SOF_BASELINE | SOF_EXTENDED | SOF_PROGRESSIVE => {
                frame = Some(read_frame(marker, payload)?);
                copy_segment(&mut bytes, marker, payload);
            }
            SOS => {
                let frame = frame.as_ref().ok_or_else(|| broken("a scan comes before the size of the picture"))?;
                if !has_tables {
                    bytes.extend(STANDARD_TABLES);
                    has_tables = true;
                }
                copy_segment(&mut bytes, marker, payload);
                let complete = !frame.progressive && payload.first() == Some(&frame.components);
                copy_scan(&mut bytes, &mut rest, complete)?;
                has_scan = true;
            }
            APP_ADOBE => adobe_untransformed |= payload.starts_with(b"Adobe") && payload.get(11) == Some(&0),
            0xC3 | 0xC5..=0xCF => {
                return Err(PictureError::Unsupported(
                    "JPEG with lossless, hierarchical or arithmetic coding: save it as baseline or progressive",
                ));
            }
            _ => {}
        }
    }
    bytes.extend([0xFF, EOI]);
    match frame {
        Some(Frame { width, height, components, .. }) if has_scan => {
            Ok(PlainStream { bytes, width, height, components, adobe_untransformed })
        }
        _ => Err(broken("it ends before the picture begins")),
    }
}

/// Steps behind the next marker that is neither fill nor stuffing. What lies between segments is skipped, as all
/// decoders do.
fn next_marker(rest: &mut &[u8]) -> Result<u8, PictureError> {
    loop {
        let ff = rest.iter().position(|&byte| byte == 0xFF).ok_or_else(cut_short)?;
        let code = rest[ff..].iter().position(|&byte| byte != 0xFF).ok_or_else(cut_short)? + ff;
        let marker = rest[code];
        *rest = &rest[code + 1..];
        if marker != 0 {
            return Ok(marker);
        }
    }
}

/// Takes the payload of a segment: two bytes of length, themselves included, then the payload.
fn segment<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], PictureError> {
    let (length, after) = rest.split_first_chunk::<2>().ok_or_else(cut_short)?;
    let length = usize::from(u16::from_be_bytes(*length))
        .checked_sub(2)
        .ok_or_else(|| broken("a segment is shorter than its own length"))?;
    let (payload, after) = after.split_at_checked(length).ok_or_else(cut_short)?;
    *rest = after;
    Ok(payload)
}

fn copy_segment(bytes: &mut Vec<u8>, marker: u8, payload: &[u8]) {
    let length = payload.len() as u16 + 2; // came from 16 bits
    bytes.extend([0xFF, marker]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(payload);
}

/// Copies entropy-coded data up to the marker behind it, which stays in `rest`. `guard` puts the one-bits before each
/// marker; it is meant for files whose only scan holds everything, as of cameras. (A progressive decoder wants to meet
/// the marker at once.)
fn copy_scan(bytes: &mut Vec<u8>, rest: &mut &[u8], guard: bool) -> Result<(), PictureError> {
    let mut from = 0;
    loop {
        let ff = rest[from..].iter().position(|&byte| byte == 0xFF).ok_or_else(cut_short)? + from;
        match rest.get(ff + 1).ok_or_else(cut_short)? {
            0x00 | 0xFF => {
                // Stuffing, or fill before a marker: of fill, one byte is dropped at a time.
                let stuffing = rest[ff + 1] == 0;
                bytes.extend(&rest[from..ff]);
                if stuffing {
                    bytes.extend([0xFF, 0x00]);
                }
                from = ff + 1 + usize::from(stuffing);
            }
            &marker => {
                bytes.extend(&rest[from..ff]);
                if guard {
                    bytes.extend(ONES);
                }
                if !(RST_FIRST..=RST_LAST).contains(&marker) {
                    *rest = &rest[ff..];
                    return Ok(());
                }
                bytes.extend([0xFF, marker]);
                from = ff + 2;
            }
        }
    }
}

/// Size and number of components: T.81, B.2.2.
fn read_frame(marker: u8, payload: &[u8]) -> Result<Frame, PictureError> {
    let Some(&[precision, h1, h0, w1, w0, components]) = payload.first_chunk::<6>() else {
        return Err(broken("its frame header is too short"));
    };
    if precision != 8 {
        return Err(PictureError::Unsupported("JPEG with 12 bits per sample: save it with 8"));
    }
    Ok(Frame {
        progressive: marker == SOF_PROGRESSIVE,
        width: u16::from_be_bytes([w1, w0]).into(),
        height: u16::from_be_bytes([h1, h0]).into(),
        components,
    })
}

pub(super) fn broken(reason: impl Into<String>) -> PictureError {
    PictureError::Broken { kind: "JPEG", reason: reason.into() }
}

fn cut_short() -> PictureError {
    broken("it is cut short, its end-of-image marker is missing")
}
