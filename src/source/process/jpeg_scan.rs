//! Finds where JPEG files begin and end in a stream, by their markers (ITU-T T.81, B.1.1). What lies between them is passed over:
//! the boundaries of a multipart stream, or the rest of a file that was cut.

/// Where in a file the stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a file: how many bytes of `FF D8` have come.
    Before(u8),
    /// A marker is due.
    Marker,
    /// After the `FF` of a marker.
    Code,
    /// The length of a segment is due: its marker, and the first byte where that has come.
    Length(u8, Option<u8>),
    /// Inside of a segment: what is left of it, and whether a scan follows.
    Segment(usize, bool),
    /// In a scan's coded data.
    Scan,
    /// In a scan, after an `FF`.
    ScanCode,
}

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
/// A file that breaks off within so many bytes was none: `FF D8` stood there by chance.
const FALSE_START: usize = 3;

/// Looks for files.
#[derive(Debug)]
pub(super) struct JpegScan {
    place: Place,
    /// Bytes that were passed over since the last file.
    passed_over: usize,
}

impl Default for JpegScan {
    fn default() -> Self {
        JpegScan { place: Place::Before(0), passed_over: 0 }
    }
}

impl JpegScan {
    /// Appends to `frame` what belongs to a file, up to `max` bytes; returns how many bytes of `input` were used, and whether the
    /// file has ended. One that is too long, or whose markers make no sense, ends as far as it has come; decoding it will say what
    /// is wrong. An empty one stands for `max` bytes without a file.
    pub(super) fn push(&mut self, input: &[u8], frame: &mut Vec<u8>, max: usize) -> (usize, bool) {
        let mut at = 0;
        while let Some(byte) = input.get(at).copied() {
            // Stretches in which nothing changes are taken at once.
            let stretch = match self.place {
                Place::Segment(left, _) => left.min(input.len() - at),
                Place::Scan => input[at..].iter().position(|byte| *byte == 0xFF).unwrap_or(input.len() - at),
                _ => 0,
            };
            if stretch > 0 {
                take(&input[at..at + stretch], frame, max);
                at += stretch;
                if let Place::Segment(left, is_scan) = self.place {
                    self.place = Place::after_segment(left - stretch, is_scan);
                }
                continue;
            }
            at += 1;
            if let Place::Before(matched) = self.place {
                self.place = match (matched, byte) {
                    (_, 0xFF) => Place::Before(1),
                    (1, SOI) => Place::Marker,
                    _ => Place::Before(0),
                };
                self.passed_over += 1;
                if self.place == Place::Marker {
                    self.passed_over = 0;
                    take(&[0xFF, SOI], frame, max);
                } else if self.passed_over >= max {
                    self.passed_over = 0;
                    return (at, true);
                }
                continue;
            }
            match self.place.next(byte) {
                Next::Place(place) => {
                    take(&[byte], frame, max);
                    self.place = place;
                }
                Next::End => {
                    take(&[byte], frame, max);
                    self.place = Place::Before(0);
                    return (at, true);
                }
                Next::Broken if frame.len() > FALSE_START => {
                    // What came so far ends here; an `FF` before this byte may begin the next file.
                    self.place = Place::Before(u8::from(byte == SOI));
                    return (at - 1, true);
                }
                Next::Broken => {
                    self.passed_over += frame.len();
                    frame.clear();
                    self.place = if byte == SOI { Place::Marker } else { Place::Before(u8::from(byte == 0xFF)) };
                    if byte == SOI {
                        take(&[0xFF, SOI], frame, max);
                    }
                }
            }
        }
        (at, false)
    }
}

/// Where a byte inside of a file leads.
enum Next {
    Place(Place),
    /// It is the last one.
    End,
    /// There is no such file: a marker makes no sense, or begins the next file.
    Broken,
}

impl Place {
    fn next(self, byte: u8) -> Next {
        let place = match (self, byte) {
            (Place::Marker | Place::Code, 0xFF) => Place::Code,
            (Place::Marker | Place::Before(_), _) => return Next::Broken,
            (Place::Scan | Place::ScanCode, 0xFF) => Place::ScanCode,
            (Place::Scan, _) | (Place::ScanCode, 0 | 0xD0..=0xD7) => Place::Scan,
            (Place::Code | Place::ScanCode, EOI) => return Next::End,
            (Place::Code | Place::ScanCode, SOI | 0) => return Next::Broken,
            // Markers without a length.
            (Place::Code, 1 | 0xD0..=0xD7) => Place::Marker,
            (Place::Code | Place::ScanCode, code) => Place::Length(code, None),
            (Place::Length(code, None), high) => Place::Length(code, Some(high)),
            (Place::Length(code, Some(high)), low) => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                let Some(left) = length.checked_sub(2) else { return Next::Broken };
                Place::after_segment(left, code == SOS)
            }
            (Place::Segment(left, is_scan), _) => Place::after_segment(left - 1, is_scan),
        };
        Next::Place(place)
    }

    fn after_segment(left: usize, is_scan: bool) -> Place {
        match (left, is_scan) {
            (0, true) => Place::Scan,
            (0, false) => Place::Marker,
            (left, is_scan) => Place::Segment(left, is_scan),
        }
    }
}

fn take(bytes: &[u8], frame: &mut Vec<u8>, max: usize) {
    let count = bytes.len().min(max - frame.len());
    frame.extend_from_slice(&bytes[..count]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All files of a stream that comes in pieces of `piece` bytes, and what is left.
    fn cut(stream: &[u8], piece: usize, max: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
        let (mut scan, mut files, mut file) = (JpegScan::default(), Vec::new(), Vec::new());
        for mut input in stream.chunks(piece) {
            while !input.is_empty() {
                let (used, is_whole) = scan.push(input, &mut file, max);
                input = &input[used..];
                if is_whole {
                    files.push(std::mem::take(&mut file));
                }
            }
        }
        (files, file)
    }

    fn jpeg(width: usize) -> Vec<u8> {
        let mut picture = lineside_picture::Picture::new(lineside_picture::Layout::Rgb, width, 24);
        picture.data_mut().iter_mut().enumerate().for_each(|(i, level)| *level = (i * 37 % 251) as u8);
        let mut bytes = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
        encoder.encode(picture.data(), width as u16, 24, jpeg_encoder::ColorType::Rgb).unwrap();
        bytes
    }

    #[test]
    fn files_are_found_between_anything_and_in_any_pieces() {
        let (a, b) = (jpeg(32), jpeg(48));
        // A thumbnail inside of a segment is no file of its own; nor are two bytes by chance.
        let segment = [&[0xFF, 0xE1, 0, 9][..], &[0xFF, 0xD8, 0xFF, 0xD9, 1, 2, 3]].concat();
        let with_thumbnail = [&a[..2], &segment, &a[2..]].concat();
        let boundary = b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n".as_slice();
        let chance = b"\xff\xd8x\xff\xd8\xff\0\xff".as_slice();
        let stream = [chance, &a, boundary, &with_thumbnail, b"\xff", &b, &b].concat();
        for piece in [1, 2, 3, 100, 100_000] {
            let (files, left) = cut(&stream, piece, 100_000);
            assert!(files == [a.clone(), with_thumbnail.clone(), b.clone(), b.clone()] && left.is_empty(), "{piece}");
        }
    }

    #[test]
    fn a_file_that_breaks_off_or_is_too_long_costs_only_itself() {
        let (a, b) = (jpeg(32), jpeg(48));
        let cut_off = &a[..a.len() / 2];
        for piece in [1, 100_000] {
            let (files, left) = cut(&[cut_off, &b, &a].concat(), piece, 100_000);
            assert!(files.len() == 3 && files[0].starts_with(cut_off) && files[1..] == [b.clone(), a.clone()]);
            assert!(left.is_empty());
            let (files, _) = cut(&[b.as_slice(), &a].concat(), piece, b.len() - 10);
            assert_eq!(files, [b[..b.len() - 10].to_vec(), a.clone()]);
        }
        let (files, left) = cut(&vec![7; 1000], 10, 300);
        assert_eq!((files, left), (vec![vec![]; 3], vec![]), "a stretch without a file");
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(
            stream in prop::collection::vec(prop::sample::select(vec![0xFF_u8, 0xD8, 0xD9, 0xDA, 0xC4, 0, 1, 2, 3, 9]), 0..600),
            piece in 1..40_usize,
        ) {
            let whole = cut(&stream, stream.len().max(1), 100);
            prop_assert!(whole.0.iter().all(|file| file.len() <= 100));
            prop_assert_eq!(cut(&stream, piece, 100), whole);
        }
    }
}
