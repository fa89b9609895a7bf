//! Pictures that lie on their side or are mirrored, turned as their file states (EXIF, tag 274).

use super::picture::{Picture, Rect};
use super::tiff_directory;
use image::metadata::Orientation;

impl Picture {
    /// The picture as a viewer sees it, given how its file states that it lies. Pixels are moved, none is computed.
    pub fn upright(self, orientation: Orientation) -> Picture {
        let (layout, size) = (self.layout(), (self.width(), self.height()));
        let (bytes, (width, height)) = upright(orientation, self.into_data(), size, layout.channels());
        // Of the same length, so never absent.
        Picture::from_data(layout, width, height, bytes).unwrap_or_default()
    }

    /// Width and height once it is turned.
    pub fn upright_size(&self, orientation: Orientation) -> (usize, usize) {
        let (width, height) = (self.width(), self.height());
        if swaps_sides(orientation) { (height, width) } else { (width, height) }
    }

    /// The part of the turned picture that lies in `area` (clamped to it), in `out`, whose buffer is used again.
    pub fn upright_into(&self, orientation: Orientation, area: Rect, out: &mut Picture) {
        let (width, height) = self.upright_size(orientation);
        let area = area.clamp_to(width, height);
        let (channels, steps) = (self.channels(), Steps::of(orientation, (self.width(), self.height())));
        out.reshape(self.layout(), area.width, area.height);
        for y in 0..area.height {
            let row = out.row_mut(y).chunks_exact_mut(channels);
            for (x, pixel) in row.enumerate() {
                let from = steps.to(area.x + x, area.y + y) * channels;
                pixel.copy_from_slice(&self.data()[from..from + channels]);
            }
        }
    }
}

/// Where a pixel of the turned picture comes from.
struct Steps {
    /// The upper left one, as a number of pixels from the file's first.
    first: usize,
    /// From column to column, and from row to row.
    across: isize,
    down: isize,
}

impl Steps {
    fn of(orientation: Orientation, (width, height): (usize, usize)) -> Steps {
        let (right, bottom) = (width.saturating_sub(1), (height.saturating_sub(1)) * width);
        let (one, row) = (1_isize, width as isize);
        let (first, across, down) = match orientation {
            Orientation::NoTransforms => (0, one, row),
            Orientation::FlipHorizontal => (right, -one, row),
            Orientation::Rotate180 => (bottom + right, -one, -row),
            Orientation::FlipVertical => (bottom, one, -row),
            Orientation::Rotate90FlipH => (0, row, one),
            Orientation::Rotate90 => (bottom, -row, one),
            Orientation::Rotate270FlipH => (bottom + right, -row, -one),
            Orientation::Rotate270 => (right, row, -one),
        };
        Steps { first, across, down }
    }

    fn to(&self, x: usize, y: usize) -> usize {
        self.first.wrapping_add_signed(y as isize * self.down + x as isize * self.across)
    }
}

/// What an EXIF block states, with or without the six bytes that JPEG puts before it. A damaged one states nothing.
pub(super) fn from_exif(exif: &[u8]) -> Orientation {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    tiff_directory::orientation(tiff).and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

/// Whether width and height change places.
pub(super) fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Bytes `[height, width, channels]` turned, and the new width and height.
pub(super) fn upright(
    orientation: Orientation,
    bytes: Vec<u8>,
    (width, height): (usize, usize),
    channels: usize,
) -> (Vec<u8>, (usize, usize)) {
    if orientation == Orientation::NoTransforms {
        return (bytes, (width, height));
    }
    let steps = Steps::of(orientation, (width, height));
    let (new_width, new_height) = if swaps_sides(orientation) { (height, width) } else { (width, height) };
    let mut turned = Vec::with_capacity(bytes.len());
    for y in 0..new_height {
        for x in 0..new_width {
            let from = steps.to(x, y) * channels;
            turned.extend_from_slice(&bytes[from..from + channels]);
        }
    }
    (turned, (new_width, new_height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Layout;

    /// EXIF 2.32, 4.6.4: which sides of the picture the file's first row and first column are.
    #[test]
    fn all_eight_orientations() {
        // 1 2 3
        // 4 5 6
        let rows: [(u8, usize, [u8; 6]); 8] = [
            (1, 3, [1, 2, 3, 4, 5, 6]),
            (2, 3, [3, 2, 1, 6, 5, 4]),
            (3, 3, [6, 5, 4, 3, 2, 1]),
            (4, 3, [4, 5, 6, 1, 2, 3]),
            (5, 2, [1, 4, 2, 5, 3, 6]),
            (6, 2, [4, 1, 5, 2, 6, 3]),
            (7, 2, [6, 3, 5, 2, 4, 1]),
            (8, 2, [3, 6, 2, 5, 1, 4]),
        ];
        for (tag, width, expected) in rows {
            let orientation = Orientation::from_exif(tag).unwrap();
            let grey = Picture::from_data(Layout::Grey, 3, 2, (1..=6).collect()).unwrap().upright(orientation);
            assert_eq!((grey.width(), grey.height(), grey.data()), (width, 6 / width, &expected[..]), "{tag}");
            let rgb = (1..=6).flat_map(|value| [value, value + 10, value + 20]).collect();
            let rgb = Picture::from_data(Layout::Rgb, 3, 2, rgb).unwrap().upright(orientation);
            let expected: Vec<u8> = expected.iter().flat_map(|&value| [value, value + 10, value + 20]).collect();
            assert_eq!((rgb.width(), rgb.data()), (width, &expected[..]), "{tag}");
            // The same in another picture's buffer, whole and in part.
            let (as_it_lies, mut out) =
                (Picture::from_data(Layout::Grey, 3, 2, (1..=6).collect()).unwrap(), Picture::default());
            let (all, part) = (Rect { x: 0, y: 0, width: 9, height: 9 }, Rect { x: 1, y: 1, width: 1, height: 1 });
            as_it_lies.upright_into(orientation, all, &mut out);
            assert_eq!(out, grey, "{tag}");
            as_it_lies.upright_into(orientation, part, &mut out);
            assert_eq!(out.data(), [grey.row(1)[1]], "{tag}");
        }
        assert!(Picture::default().upright(Orientation::Rotate90).is_empty());
    }

    #[test]
    fn a_damaged_block_states_nothing() {
        let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        assert_eq!(from_exif(exif), Orientation::Rotate90);
        assert_eq!(from_exif(&exif[6..]), Orientation::Rotate90);
        // As 8 and as 32 bits.
        for kind in [1, 4] {
            let mut other = exif.to_vec();
            other[18] = kind;
            assert_eq!(from_exif(&other), Orientation::Rotate90);
        }
        for length in 0..28 {
            let _ = from_exif(&exif[..length]);
        }
        for at in 0..exif.len() {
            for value in [0, 9, 255] {
                let mut damaged = exif.to_vec();
                damaged[at] = value;
                let _ = from_exif(&damaged);
            }
        }
        assert_eq!(from_exif(b"Exif\0\0II*\0\xFF\xFF\xFF\xFF"), Orientation::NoTransforms);
    }
}
