//! The part of a picture that is being enlarged, as planes, with the border on which the enlarged pixels depend.

use super::alpha_bleed::bleed;
use lineside_picture::{Layout, Picture, PictureError, Rect, RowLayout, RowReader, split_row};

/// Planes of a part of a picture: luma, then Cb and Cr of a colour picture, then opacity where there is any.
#[derive(Default)]
pub(super) struct PlaneWindow {
    row_layout: RowLayout,
    /// The picture's width and height.
    size: (usize, usize),
    /// The area of the picture that is held, in the first rows of the planes.
    held: Rect,
    planes: [Picture; 4],
    /// The colour planes after alpha bleeding; used if there is opacity.
    bled: [Picture; 3],
    known: Vec<u8>,
    row: Vec<u8>,
    colour: Vec<u8>,
}

impl PlaneWindow {
    /// The channels of a pixel.
    pub fn row_layout(&self) -> RowLayout {
        self.row_layout
    }

    /// Copies `area` of a picture and `margin` pixels around it, within the picture.
    pub fn copy_area(&mut self, picture: &Picture, area: Rect, margin: usize) {
        let row_layout = RowLayout { layout: picture.layout(), alpha: false };
        let held = Rect {
            x: area.x.saturating_sub(margin),
            y: area.y.saturating_sub(margin),
            width: (area.width + margin).saturating_add(area.x.min(margin)),
            height: (area.height + margin).saturating_add(area.y.min(margin)),
        };
        let held = held.clamp_to(picture.width(), picture.height());
        self.shape(row_layout, (picture.width(), picture.height()), held.width, held.height);
        self.held = held;
        let channels = picture.channels();
        for y in 0..held.height {
            let from = &picture.row(held.y + y)[held.x * channels..held.right() * channels];
            split(&mut self.planes, row_layout.layout, y, from);
        }
    }

    /// Begins with a picture that is read row by row, of which at most `rows` are held at a time.
    pub fn begin(&mut self, reader: &RowReader, rows: usize) {
        let (width, height) = (reader.width(), reader.height());
        self.shape(reader.row_layout(), (width, height), width, rows.min(height));
        self.held = Rect { x: 0, y: 0, width, height: 0 };
        self.row.resize(width * reader.row_layout().channels(), 0);
        self.colour.resize(width * reader.row_layout().layout.channels(), 0);
    }

    /// Moves to the rows from `top` to `bottom`: drops those above and reads more.
    ///
    /// # Errors
    /// [`PictureError`] where a row cannot be read.
    pub fn read_to(&mut self, reader: &mut RowReader, top: usize, bottom: usize) -> Result<(), PictureError> {
        let PlaneWindow { row_layout, held, planes, row, colour, .. } = self;
        let width = held.width;
        let gone = top.saturating_sub(held.y).min(held.height);
        for plane in planes.iter_mut().take(row_layout.channels()) {
            plane.data_mut().copy_within(gone * width..held.height * width, 0);
        }
        held.y += gone;
        held.height -= gone;
        while held.bottom() < bottom {
            reader.next(row)?;
            if row_layout.alpha {
                let channels = row_layout.channels();
                let opacity = planes[channels - 1].row_mut(held.height);
                for ((pixel, opacity), colour) in
                    row.chunks_exact(channels).zip(opacity).zip(colour.chunks_exact_mut(channels - 1))
                {
                    colour.copy_from_slice(&pixel[..channels - 1]);
                    *opacity = pixel[channels - 1];
                }
                split(planes, row_layout.layout, held.height, colour);
            } else {
                split(planes, row_layout.layout, held.height, row);
            }
            held.height += 1;
        }
        Ok(())
    }

    /// Fills transparent pixels with the colour of visible ones beside them, `steps` pixels deep. The window must extend that much
    /// beyond the part that is used.
    pub fn bleed_alpha(&mut self, steps: usize) {
        if !self.row_layout.alpha {
            return;
        }
        let colours = self.row_layout.layout.channels();
        let bled = &mut self.bled[..colours];
        bled.iter_mut().zip(&self.planes).for_each(|(bled, plane)| bled.copy_from(plane));
        bleed(bled, &self.planes[colours], self.held.height, steps, &mut self.known);
    }

    fn plane(&self, index: usize) -> &Picture {
        if self.row_layout.alpha && index < self.row_layout.layout.channels() {
            &self.bled[index]
        } else {
            &self.planes[index]
        }
    }

    /// Copies luma from `(x, y)` on, which may lie outside the window: there the nearest pixel of the window is repeated, at the
    /// edge of the picture the edge.
    pub fn luma_into(&self, x: isize, y: isize, out: &mut [u8]) {
        let inside =
            |at: isize, first: usize, length: usize| at.saturating_sub_unsigned(first).clamp(0, length as isize - 1);
        let row = &self.plane(0).row(inside(y, self.held.y, self.held.height) as usize)[..self.held.width];
        for (at, pixel) in (x..).zip(out) {
            *pixel = row[inside(at, self.held.x, self.held.width) as usize];
        }
    }

    /// Copies `area` of a plane with `margin` pixels around it. Beyond the edge the picture is mirrored, as in bicubic enlarging.
    /// The window must hold the margin.
    pub fn mirrored_into(&self, plane: usize, area: Rect, margin: usize, out: &mut Picture) {
        out.reshape(Layout::Grey, area.width + 2 * margin, area.height + 2 * margin);
        let near = |at: usize, i: usize, length: usize, first: usize, count: usize| {
            let at = mirrored((at + i) as i64 - margin as i64, length);
            at.saturating_sub(first).min(count - 1)
        };
        for y in 0..out.height() {
            let from = self.plane(plane).row(near(area.y, y, self.size.1, self.held.y, self.held.height));
            for (x, pixel) in out.row_mut(y).iter_mut().enumerate() {
                *pixel = from[near(area.x, x, self.size.0, self.held.x, self.held.width)];
            }
        }
    }

    fn shape(&mut self, row_layout: RowLayout, size: (usize, usize), width: usize, height: usize) {
        (self.row_layout, self.size) = (row_layout, size);
        for plane in self.planes.iter_mut().take(row_layout.channels()) {
            plane.reshape(Layout::Grey, width, height);
        }
    }
}

/// Writes row `y` of the colour planes.
fn split(planes: &mut [Picture; 4], layout: Layout, y: usize, row: &[u8]) {
    let [luma, cb, cr, _] = planes;
    match layout {
        Layout::Grey => luma.row_mut(y).copy_from_slice(row),
        Layout::Rgb => split_row(row, luma.row_mut(y), cb.row_mut(y), cr.row_mut(y)),
    }
}

/// … 1 0 | 0 1 2 … last | last …: the period is two pictures.
fn mirrored(at: i64, length: usize) -> usize {
    let at = at.rem_euclid(2 * length as i64);
    at.min(2 * length as i64 - 1 - at) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(width: usize, height: usize) -> Picture {
        Picture::from_data(Layout::Grey, width, height, (0..width * height).map(|i| i as u8).collect()).unwrap()
    }

    #[test]
    fn edges_are_repeated_for_luma_and_mirrored_for_the_rest() {
        let mut window = PlaneWindow::default();
        let picture = numbered(5, 3);
        window.copy_area(&picture, Rect { x: 0, y: 0, width: 5, height: 3 }, 2);
        let mut row = [0; 9];
        window.luma_into(-2, -9, &mut row);
        assert_eq!(row, [0, 0, 0, 1, 2, 3, 4, 4, 4]);
        window.luma_into(-2, 2, &mut row);
        assert_eq!(row, [10, 10, 10, 11, 12, 13, 14, 14, 14]);
        let mut plane = Picture::default();
        window.mirrored_into(0, Rect { x: 0, y: 0, width: 5, height: 3 }, 2, &mut plane);
        assert_eq!((plane.width(), plane.height()), (9, 7));
        assert_eq!(plane.row(0), [6, 5, 5, 6, 7, 8, 9, 9, 8]);
        assert_eq!(plane.row(6), [6, 5, 5, 6, 7, 8, 9, 9, 8]);
        let mut one = PlaneWindow::default();
        one.copy_area(&numbered(1, 1), Rect { x: 0, y: 0, width: 1, height: 1 }, 2);
        one.mirrored_into(0, Rect { x: 0, y: 0, width: 1, height: 1 }, 2, &mut plane);
        assert_eq!(plane.data(), [0; 25]);
    }

    #[test]
    fn a_part_holds_what_lies_around_it() {
        let mut window = PlaneWindow::default();
        window.copy_area(&numbered(9, 9), Rect { x: 3, y: 0, width: 2, height: 2 }, 2);
        assert_eq!(window.held, Rect { x: 1, y: 0, width: 6, height: 4 });
        let mut row = [0; 6];
        window.luma_into(1, 3, &mut row);
        assert_eq!(row, [28, 29, 30, 31, 32, 33]);
        window.copy_area(&numbered(9, 9), Rect { x: 7, y: 7, width: 2, height: 2 }, 30);
        assert_eq!(window.held, Rect { x: 0, y: 0, width: 9, height: 9 });
    }

    #[test]
    fn rows_come_and_go() {
        let mut reader = RowReader::from_picture(numbered(4, 20));
        let mut window = PlaneWindow::default();
        window.begin(&reader, 7);
        for (top, bottom) in [(0, 5), (1, 8), (6, 13), (13, 20)] {
            window.read_to(&mut reader, top, bottom).unwrap();
            let mut row = [0; 4];
            for y in top..bottom {
                window.luma_into(0, y as isize, &mut row);
                assert_eq!(row[0], 4 * y as u8);
            }
        }
        assert!(window.read_to(&mut reader, 20, 21).is_err());
    }
}
