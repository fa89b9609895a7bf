//! A JPEG stream made plain before it is decoded.
//!
//! The segments that matter (tables, frame, scans) are copied, the rest (EXIF, comments, thumbnails, what lies behind
//! the end) is dropped. These things are settled on the way:
//!
//! - What the header states of size and colour is known before anything is allocated for pixels.
//! - Which of two decoders reads it: zune-jpeg what cameras send, baseline with all components in one scan, ours the rest.
//! - A height that stands behind the first scan (DNL) is put where decoders look for it.
//! - Some cameras send no end-of-image marker, and zeros up to the end of their buffer: the marker is added, and our decoder
//!   sees to it that the scan is whole.
//! - Frames of USB cameras leave out the Huffman tables (OpenDML motion JPEG); the decoder is made to use the standard
//!   ones, ITU-T T.81 annex K.
//! - A lost USB packet leaves a scan that ends too early, and decoders fill what is missing with grey. So before each
//!   marker that ends a stretch of entropy-coded data stand 64 one-bits more than the camera sent: nobody reads them in
//!   a whole scan, and in a cut one they are no Huffman code (T.81 annex C keeps the code of all ones free), which is
//!   an error. (Not so with several scans: a progressive file that lost some of them and still ends in its marker
//!   cannot be distinguished from one that never had them.)

use super::super::PictureError;
use super::super::metadata::{Density, Metadata};
use super::super::orientation::from_exif;
use image::metadata::Orientation;

/// A stream without anything that the decoder does not need.
pub(crate) struct PlainStream {
    /// From start of image to end of image.
    pub bytes: Vec<u8>,
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Colour components: 1 luma, 3 YCbCr or RGB, 4 CMYK or YCCK.
    pub components: u8,
    /// What is stated beside the pixels: EXIF, ICC and JFIF.
    pub metadata: Metadata,
    /// Whether three components are RGB as they stand.
    pub is_rgb: bool,
    /// Whether it is as cameras send it: baseline, all components in one scan, sampled in a usual way, in whole blocks of chroma, and with
    /// an end.
    pub is_simple: bool,
    /// Whether its end-of-image marker was missing.
    pub open_ended: bool,
    /// Whether the data before it ended in zeros, of which one byte was kept.
    pub ends_in_zero: bool,
}

// Markers: ITU-T T.81, table B.1.
pub(super) const SOF_BASELINE: u8 = 0xC0;
pub(super) const SOF_EXTENDED: u8 = 0xC1;
pub(super) const SOF_PROGRESSIVE: u8 = 0xC2;
pub(super) const DHT: u8 = 0xC4;
const RST_FIRST: u8 = 0xD0;
const RST_LAST: u8 = 0xD7;
const SOI: u8 = 0xD8;
pub(super) const EOI: u8 = 0xD9;
pub(super) const SOS: u8 = 0xDA;
pub(super) const DQT: u8 = 0xDB;
const DNL: u8 = 0xDC;
pub(super) const DRI: u8 = 0xDD;
const APP_JFIF: u8 = 0xE0;
const APP_EXIF: u8 = 0xE1;
const APP_ICC: u8 = 0xE2;
const APP_ADOBE: u8 = 0xEE;

/// An APP0 segment that marks "motion JPEG of an AVI file": missing Huffman tables are the standard ones.
const STANDARD_TABLES: &[u8] = b"\xFF\xE0\x00\x07AVI1\0";
/// 64 one-bits, with the zero bytes that stuff them.
const ONES: [u8; 16] = [0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00, 0xFF, 0x00];

struct Frame {
    marker: u8,
    width: usize,
    height: usize,
    /// Name, sampling factors and quantization table of each component.
    components: Vec<[u8; 3]>,
    /// Where its height stands in the bytes copied.
    height_at: usize,
}

/// Reads the segments of a JPEG up to its end-of-image marker, or to its end where that is missing behind a scan.
pub(crate) fn plain_stream(jpeg: &[u8]) -> Result<PlainStream, PictureError> {
    let mut rest = jpeg.strip_prefix(&[0xFF, SOI]).ok_or_else(|| broken("it does not start as a JPEG"))?;
    let mut bytes = Vec::with_capacity(jpeg.len() + STANDARD_TABLES.len() + 2 * ONES.len());
    bytes.extend([0xFF, SOI]);
    let mut frame = None::<Frame>;
    let (mut orientation, mut profile) = (None::<Orientation>, Vec::<(u8, &[u8])>::new());
    let mut density = None;
    let (mut adobe_transform, mut is_jfif, mut has_tables) = (None, false, false);
    let (mut scans, mut is_simple, mut open_ended) = (0, false, false);
    loop {
        let marker = match next_marker(&mut rest) {
            // Nothing but zeros and fill behind a scan: whether that is whole is seen when it is decoded.
            Err(_) if open_ended => EOI,
            marker => marker?,
        };
        if marker == EOI {
            break;
        }
        open_ended = false;
        let payload = segment(&mut rest)?;
        match marker {
            DQT | DRI => copy_segment(&mut bytes, marker, payload),
            DHT => {
                has_tables = true;
                copy_segment(&mut bytes, marker, payload);
            }
            SOF_BASELINE | SOF_EXTENDED | SOF_PROGRESSIVE if frame.is_some() => {
                return Err(broken("it has two frame headers"));
            }
            SOF_BASELINE | SOF_EXTENDED | SOF_PROGRESSIVE => {
                let height_at = bytes.len() + 5;
                frame = Some(read_frame(marker, payload, height_at)?);
                copy_segment(&mut bytes, marker, payload);
            }
            SOS => {
                let frame = frame.as_ref().ok_or_else(|| broken("a scan comes before the size of the picture"))?;
                if !has_tables {
                    bytes.extend(STANDARD_TABLES);
                    has_tables = true;
                }
                copy_segment(&mut bytes, marker, payload);
                scans += 1;
                is_simple = scans == 1 && frame.is_simple(payload);
                let complete =
                    frame.marker != SOF_PROGRESSIVE && payload.first() == Some(&(frame.components.len() as u8));
                open_ended = copy_scan(&mut bytes, &mut rest, complete, frame.marker != SOF_PROGRESSIVE)?;
            }
            DNL => {
                if let (Some(frame), Some(&[high, low])) =
                    (frame.as_mut().filter(|frame| frame.height == 0), payload.first_chunk())
                {
                    frame.height = u16::from_be_bytes([high, low]).into();
                    bytes[frame.height_at..frame.height_at + 2].copy_from_slice(&[high, low]);
                }
            }
            APP_JFIF if payload.starts_with(b"JFIF\0") => {
                is_jfif = true;
                density = jfif_density(payload);
            }
            // The first counts.
            APP_EXIF if payload.starts_with(b"Exif\0\0") => orientation = orientation.or(Some(from_exif(payload))),
            APP_ICC => profile.extend(profile_part(payload)),
            APP_ADOBE if payload.starts_with(b"Adobe") => adobe_transform = payload.get(11).copied(),
            0xC3 | 0xC5..=0xCF => {
                return Err(PictureError::Unsupported(
                    "JPEG with lossless, hierarchical or arithmetic coding: save it as baseline or progressive",
                ));
            }
            _ => {}
        }
    }
    let ends_in_zero = open_ended && matches!(bytes[..], [.., before, 0] if before != 0xFF);
    bytes.extend([0xFF, EOI]);
    match frame {
        Some(Frame { width, height, components, .. }) if scans > 0 => {
            let names: Vec<u8> = components.iter().map(|component| component[0]).collect();
            // As libjpeg decides: JFIF is YCbCr whatever else is stated.
            let is_simple = is_simple && !open_ended;
            // ICC.1, annex B.4: parts are numbered.
            profile.sort_by_key(|(number, _)| *number);
            let icc_profile: Vec<u8> = profile.into_iter().flat_map(|(_, part)| part).copied().collect();
            let metadata = Metadata {
                orientation: orientation.unwrap_or(Orientation::NoTransforms),
                icc_profile: Some(icc_profile).filter(|profile| !profile.is_empty()),
                density,
                has_more_pictures: false,
            };
            let is_rgb =
                names.len() == 3 && !is_jfif && adobe_transform.map_or(names == *b"RGB", |transform| transform == 0);
            Ok(PlainStream {
                bytes,
                width,
                height,
                components: names.len() as u8,
                metadata,
                is_rgb,
                is_simple,
                open_ended,
                ends_in_zero,
            })
        }
        _ => Err(broken("it ends before the picture begins")),
    }
}

impl Frame {
    /// Whether a scan with this header holds all that the frame has, in the order and with the sampling that cameras use.
    fn is_simple(&self, scan: &[u8]) -> bool {
        let names =
            |scan: &[u8]| scan.chunks_exact(2).map(|selector| selector[0]).eq(self.components.iter().map(|c| c[0]));
        let count = self.components.len();
        let all = scan.first().is_some_and(|selectors| usize::from(*selectors) == count)
            && scan.get(1..1 + 2 * count).is_some_and(names)
            && scan.get(1 + 2 * count..) == Some(&[0, 63, 0]);
        let sampling: Vec<u8> = self.components.iter().map(|component| component[1]).collect();
        // zune-jpeg interpolates chroma with what fills up the last blocks, so there must be nothing of that.
        let fills = |side: usize, factor: u8| factor == 1 || side.div_ceil(2).is_multiple_of(8);
        let usual = match sampling[..] {
            [0x11] => true,
            [luma @ (0x11 | 0x21 | 0x22), 0x11, 0x11] => fills(self.width, luma >> 4) && fills(self.height, luma & 15),
            _ => false,
        };
        self.marker == SOF_BASELINE && all && usual
    }
}

/// JFIF 1.02: unit (1 inch, 2 centimetre), and numbers across and down.
fn jfif_density(payload: &[u8]) -> Option<Density> {
    let [unit, x1, x0, y1, y0] = *payload.get(7..)?.first_chunk()?;
    let (x, y) = (u16::from_be_bytes([x1, x0]), u16::from_be_bytes([y1, y0]));
    match unit {
        1 => Density::per_inch(x.into(), y.into()),
        2 => Density::per_centimetre(x.into(), y.into()),
        // A ratio, which is stated where it is not 1.
        _ => (x > 0 && y > 0 && x != y).then_some(Density { x: x.into(), y: y.into(), per_metre: false }),
    }
}

/// A part of an ICC profile with its number.
fn profile_part(payload: &[u8]) -> Option<(u8, &[u8])> {
    match payload.strip_prefix(b"ICC_PROFILE\0")? {
        [number, _count, part @ ..] => Some((*number, part)),
        _ => None,
    }
}

/// Steps behind the next marker that is neither fill nor stuffing. What lies between segments is skipped, as all
/// decoders do.
pub(super) fn next_marker(rest: &mut &[u8]) -> Result<u8, PictureError> {
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
pub(super) fn segment<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], PictureError> {
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
/// the marker at once.) Returns whether the data ends without a marker.
///
/// # Errors
/// Where restart markers do not count from 0 to 7 and again: what lies between two of them is missing, and all that follows would be
/// decoded to another place.
fn copy_scan(bytes: &mut Vec<u8>, rest: &mut &[u8], guard: bool, keep_zero: bool) -> Result<bool, PictureError> {
    let (mut from, begin) = (0, bytes.len());
    let mut restart = RST_FIRST;
    loop {
        let at = rest[from..].iter().position(|&byte| byte == 0xFF).map(|ff| ff + from);
        let Some((ff, code)) = at.and_then(|ff| Some((ff, *rest.get(ff + 1)?))) else {
            // Of zeros behind the scan, which may be padding or code, `keep_zero` keeps one byte.
            bytes.extend(&rest[from..at.unwrap_or(rest.len())]);
            let data = bytes.iter().skip(begin).rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            let stuffing = usize::from(data > 0 && bytes[begin + data - 1] == 0xFF);
            bytes.truncate(begin + data + stuffing + usize::from(keep_zero));
            *rest = &[];
            return Ok(true);
        };
        match code {
            0x00 | 0xFF => {
                // Stuffing, or fill before a marker: of fill, one byte is dropped at a time.
                let stuffing = code == 0;
                bytes.extend(&rest[from..ff]);
                if stuffing {
                    bytes.extend([0xFF, 0x00]);
                }
                from = ff + 1 + usize::from(stuffing);
            }
            marker => {
                bytes.extend(&rest[from..ff]);
                if guard {
                    bytes.extend(ONES);
                }
                if !(RST_FIRST..=RST_LAST).contains(&marker) {
                    *rest = &rest[ff..];
                    return Ok(false);
                }
                if marker != restart {
                    return Err(broken("a restart marker is missing: a part of it is lost"));
                }
                restart = if restart == RST_LAST { RST_FIRST } else { restart + 1 };
                bytes.extend([0xFF, marker]);
                from = ff + 2;
            }
        }
    }
}

/// Size and components: T.81, B.2.2.
fn read_frame(marker: u8, payload: &[u8], height_at: usize) -> Result<Frame, PictureError> {
    let Some(&[precision, h1, h0, w1, w0, count]) = payload.first_chunk::<6>() else {
        return Err(broken("its frame header is too short"));
    };
    if precision != 8 {
        return Err(PictureError::Unsupported("JPEG with 12 bits per sample: save it with 8"));
    }
    let components = payload[6..].as_chunks::<3>().0.get(..count.into());
    Ok(Frame {
        marker,
        width: u16::from_be_bytes([w1, w0]).into(),
        height: u16::from_be_bytes([h1, h0]).into(),
        components: components.ok_or_else(|| broken("its frame header is too short"))?.to_vec(),
        height_at,
    })
}

pub(super) fn broken(reason: impl Into<String>) -> PictureError {
    PictureError::Broken { kind: "JPEG", reason: reason.into() }
}

fn cut_short() -> PictureError {
    broken("it is cut short, its end-of-image marker is missing")
}
