//! A picture: rows of 8-bit pixels without padding, in a buffer that can be used again.

use super::PictureError;

/// What one pixel consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Layout {
    /// One byte: luma, 0 is black.
    #[default]
    Grey,
    /// Three bytes: red, green, blue.
    Rgb,
}

impl Layout {
    /// Bytes of one pixel.
    pub fn channels(self) -> usize {
        match self {
            Layout::Grey => 1,
            Layout::Rgb => 3,
        }
    }
}

/// What one pixel of a row consists of, where a file may have an alpha channel: interleaved bytes, alpha behind the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RowLayout {
    /// Grey or RGB.
    pub layout: Layout,
    /// Whether a byte of opacity follows.
    pub alpha: bool,
}

impl RowLayout {
    /// Bytes of one pixel: 1 to 4.
    pub fn channels(self) -> usize {
        self.layout.channels() + usize::from(self.alpha)
    }
}

/// Pixels `[height, width, channels]`, interleaved, rows without padding. The default is the empty picture, 0 by 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Picture {
    width: usize,
    height: usize,
    layout: Layout,
    data: Vec<u8>,
}

impl Picture {
    /// A black picture.
    pub fn new(layout: Layout, width: usize, height: usize) -> Picture {
        let mut picture = Picture::default();
        picture.reshape(layout, width, height);
        picture
    }

    /// A picture of bytes that are already in order `[height, width, channels]`.
    ///
    /// # Errors
    /// [`PictureError::BufferLength`] when `data` is not exactly as long as the size calls for.
    pub fn from_data(layout: Layout, width: usize, height: usize, data: Vec<u8>) -> Result<Picture, PictureError> {
        let expected = bytes_of(layout, width, height);
        if data.len() != expected {
            return Err(PictureError::BufferLength { what: "picture", expected, actual: data.len() });
        }
        Ok(Picture { width, height, layout, data })
    }

    /// Gives the picture another shape. The allocation stays and grows only where it is too small; what the pixels
    /// hold afterwards is left open.
    pub fn reshape(&mut self, layout: Layout, width: usize, height: usize) {
        self.data.resize(bytes_of(layout, width, height), 0);
        (self.layout, self.width, self.height) = (layout, width, height);
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Grey or RGB.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Bytes of one pixel: 1 or 3.
    pub fn channels(&self) -> usize {
        self.layout.channels()
    }

    /// Whether there is no pixel at all.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// All bytes, `[height, width, channels]`.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The bytes themselves, without the picture.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// All bytes, to be written.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// One row, `[width, channels]`.
    ///
    /// # Panics
    /// When `y` is not below the height.
    pub fn row(&self, y: usize) -> &[u8] {
        let length = self.row_length();
        &self.data[y * length..][..length]
    }

    /// One row, to be written.
    ///
    /// # Panics
    /// When `y` is not below the height.
    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        let length = self.row_length();
        &mut self.data[y * length..][..length]
    }

    /// Copies the part of the picture that lies in `rect` (clamped to the picture) into `out`.
    pub fn crop_into(&self, rect: Rect, out: &mut Picture) {
        let rect = rect.clamp_to(self.width, self.height);
        out.reshape(self.layout, rect.width, rect.height);
        let columns = rect.x * self.channels()..rect.right() * self.channels();
        for y in 0..rect.height {
            out.row_mut(y).copy_from_slice(&self.row(rect.y + y)[columns.clone()]);
        }
    }

    /// Makes this picture equal to another one.
    pub fn copy_from(&mut self, other: &Picture) {
        self.reshape(other.layout, other.width, other.height);
        self.data.copy_from_slice(&other.data);
    }

    /// Bytes of one row.
    pub(super) fn row_length(&self) -> usize {
        self.width * self.channels()
    }
}

/// Bytes of a picture. Saturates, so that a size beyond the address space fails in the allocator and not later.
fn bytes_of(layout: Layout, width: usize, height: usize) -> usize {
    width.saturating_mul(height).saturating_mul(layout.channels())
}

/// Refuses a picture without pixels, or with more than `limit`: asked before anything is allocated for it.
pub(super) fn check_size(width: usize, height: usize, limit: usize) -> Result<(), PictureError> {
    if width == 0 || height == 0 {
        return Err(PictureError::Empty { width, height });
    }
    match width.checked_mul(height) {
        Some(pixels) if pixels <= limit => Ok(()),
        _ => Err(PictureError::TooLarge { width, height, limit }),
    }
}

/// A rectangle of pixels; `x` and `y` are its upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rect {
    /// First column.
    pub x: usize,
    /// First row.
    pub y: usize,
    /// Number of columns.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

impl Rect {
    /// The column after the last.
    pub fn right(&self) -> usize {
        self.x.saturating_add(self.width)
    }

    /// The row after the last.
    pub fn bottom(&self) -> usize {
        self.y.saturating_add(self.height)
    }

    /// The part that lies in a picture of the given size; empty when nothing does.
    pub fn clamp_to(&self, picture_width: usize, picture_height: usize) -> Rect {
        let (x, y) = (self.x.min(picture_width), self.y.min(picture_height));
        Rect { x, y, width: self.right().min(picture_width) - x, height: self.bottom().min(picture_height) - y }
    }

    /// The rectangle of the wanted size around a point. It is shifted to lie inside the picture, and shrinks only
    /// where the picture is smaller.
    pub fn around(
        centre_x: usize,
        centre_y: usize,
        width: usize,
        height: usize,
        picture_width: usize,
        picture_height: usize,
    ) -> Rect {
        let (width, height) = (width.min(picture_width), height.min(picture_height));
        Rect {
            x: centre_x.saturating_sub(width / 2).min(picture_width - width),
            y: centre_y.saturating_sub(height / 2).min(picture_height - height),
            width,
            height,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_data_takes_only_the_right_length() {
        assert!(Picture::from_data(Layout::Rgb, 2, 2, vec![0; 12]).is_ok());
        let message = Picture::from_data(Layout::Rgb, 2, 2, vec![0; 11]).unwrap_err().to_string();
        assert!(message.contains("12 bytes, got 11"), "{message}");
    }

    #[test]
    fn reshape_keeps_the_allocation() {
        let mut picture = Picture::new(Layout::Rgb, 64, 48);
        let before = picture.data().as_ptr();
        picture.reshape(Layout::Grey, 10, 10);
        picture.reshape(Layout::Rgb, 48, 64);
        assert_eq!(picture.data().as_ptr(), before);
        assert_eq!((picture.width(), picture.height(), picture.data().len()), (48, 64, 48 * 64 * 3));
    }

    #[test]
    fn crop_takes_the_clamped_part() {
        let picture = Picture::from_data(Layout::Grey, 4, 3, (0..12).collect()).unwrap();
        let mut part = Picture::default();
        picture.crop_into(Rect { x: 2, y: 1, width: 9, height: 9 }, &mut part);
        assert_eq!((part.width(), part.height(), part.data()), (2, 2, &[6, 7, 10, 11][..]));
        picture.crop_into(Rect { x: 9, y: 9, width: 1, height: 1 }, &mut part);
        assert!(part.is_empty());
    }

    #[test]
    fn rect_around_stays_inside() {
        let rect = |x, y, width, height| Rect { x, y, width, height };
        assert_eq!(Rect::around(50, 40, 20, 10, 100, 80), rect(40, 35, 20, 10));
        assert_eq!(Rect::around(1, 79, 20, 10, 100, 80), rect(0, 70, 20, 10));
        assert_eq!(Rect::around(50, 40, 300, 10, 100, 80), rect(0, 35, 100, 10));
        assert_eq!(Rect::around(usize::MAX, 5, 3, 3, 10, 10), rect(7, 4, 3, 3));
        assert_eq!(Rect::around(3, 3, 3, 3, 0, 0), rect(0, 0, 0, 0));
    }

    #[test]
    fn rect_clamps_without_overflow() {
        let rect = Rect { x: 5, y: usize::MAX, width: usize::MAX, height: usize::MAX }.clamp_to(8, 8);
        assert_eq!(rect, Rect { x: 5, y: 8, width: 3, height: 0 });
    }

    #[test]
    fn size_is_checked_without_overflow() {
        assert!(check_size(3, 4, 12).is_ok());
        assert!(check_size(3, 4, 11).is_err());
        assert!(check_size(0, 4, 11).is_err());
        assert!(check_size(usize::MAX, 2, usize::MAX).is_err());
    }
}
