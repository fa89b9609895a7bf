//! The part of a frame where the mark may lie, in grey and reduced.

use crate::picture::{Layout, Picture, Rect};

/// The longest side of a reduced mark, in pixels.
const REDUCED_SIDE: usize = 160;
/// The fewest pixels per side of a mark.
pub(super) const MIN_MARK: usize = 16;

/// How far a mark may lie from where it was learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoseLimits {
    /// To each side and up and down, in pixels of the frame.
    pub shift: (f64, f64),
    /// To both sides, in degrees; 0: it does not turn.
    pub turn: f64,
    /// Change of size as a share, 0.05 for 5 %; 0: the size stays.
    pub scale: f64,
}

/// The part of frames of one size where a mark may lie.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchWindow {
    frame: (usize, usize),
    mark: Rect,
    limits: PoseLimits,
    /// Pixels of the frame per reduced pixel.
    step: usize,
    /// Of the frame, in its pixels: whole reduced pixels.
    area: Rect,
}

impl SearchWindow {
    /// The window for a mark in frames of a size (width, height). `None` where the mark reaches beyond the frame or is smaller than 16
    /// pixels per side.
    pub fn new(frame: (usize, usize), mark: Rect, limits: PoseLimits) -> Option<SearchWindow> {
        let (width, height) = frame;
        let end = (mark.x.checked_add(mark.width)?, mark.y.checked_add(mark.height)?);
        if end.0 > width || end.1 > height || mark.width < MIN_MARK || mark.height < MIN_MARK {
            return None;
        }
        let step = mark.width.max(mark.height).div_ceil(REDUCED_SIDE);
        let (columns, rows) = (mark.width / step, mark.height / step);
        // What a corner moves by when the mark turns and grows.
        let reach = (mark.width + mark.height) as f64 / 2.0 * (limits.turn.abs().to_radians() + limits.scale.abs());
        let margin = |shift: f64| ((shift.abs() + reach) / step as f64).ceil() as usize + 2;
        // Before and after the mark, in reduced pixels, as far as the frame reaches.
        let span = |start: usize, count: usize, side: usize, shift: f64| {
            let before = margin(shift).min(start / step);
            let after = margin(shift).min((side - start - count * step) / step);
            (start - before * step, (before + count + after) * step)
        };
        let (x, area_width) = span(mark.x, columns, width, limits.shift.0);
        let (y, area_height) = span(mark.y, rows, height, limits.shift.1);
        let area = Rect { x, y, width: area_width, height: area_height };
        Some(SearchWindow { frame, mark, limits, step, area })
    }

    /// The size of the frames: width and height in pixels.
    pub fn frame(&self) -> (usize, usize) {
        self.frame
    }

    /// The mark as it was learned, in pixels of the frame.
    pub fn mark(&self) -> Rect {
        self.mark
    }

    /// How far it may lie from there.
    pub fn limits(&self) -> PoseLimits {
        self.limits
    }

    /// Pixels of the frame per reduced pixel.
    pub fn step(&self) -> usize {
        self.step
    }

    /// Width and height of the reduced mark in pixels.
    pub fn template_size(&self) -> (usize, usize) {
        (self.mark.width / self.step, self.mark.height / self.step)
    }

    /// Width and height of the reduced window in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.area.width / self.step, self.area.height / self.step)
    }

    /// Where the reduced mark begins in the reduced window.
    pub(super) fn origin(&self) -> (usize, usize) {
        ((self.mark.x - self.area.x) / self.step, (self.mark.y - self.area.y) / self.step)
    }

    /// The centre of the reduced mark, in coordinates of pixels' centres of the frame.
    pub fn centre(&self) -> (f64, f64) {
        let (columns, rows) = self.template_size();
        let middle = |start: usize, count: usize| start as f64 + (count * self.step) as f64 / 2.0 - 0.5;
        (middle(self.mark.x, columns), middle(self.mark.y, rows))
    }

    /// Makes `out` the reduced window of a frame of its size, `[H, W]`, grey: means over squares. `sums` is scratch.
    pub fn reduce(&self, frame: &Picture, out: &mut Picture, sums: &mut Vec<u16>) {
        debug_assert_eq!((frame.width(), frame.height()), self.frame);
        let ((width, height), step, channels) = (self.size(), self.step, frame.channels());
        out.reshape(Layout::Grey, width, height);
        let (from, until) = (self.area.x * channels, (self.area.x + self.area.width) * channels);
        let squares = (step * step) as u32;
        for y in 0..height {
            sums.clear();
            sums.resize(until - from, 0);
            // At most 103 rows of 255.
            for row in 0..step {
                let row = frame.row(self.area.y + y * step + row);
                sums.iter_mut().zip(&row[from..until]).for_each(|(sum, byte)| *sum += u16::from(*byte));
            }
            for (pixel, sums) in out.row_mut(y).iter_mut().zip(sums.chunks_exact(step * channels)) {
                let luma: u32 = match channels {
                    1 => 256 * sums.iter().map(|sum| u32::from(*sum)).sum::<u32>(),
                    _ => sums.chunks_exact(3).map(luma).sum(),
                };
                *pixel = ((luma + 128 * squares) / (256 * squares)) as u8;
            }
        }
    }
}

/// BT.601 in 256ths.
fn luma(rgb: &[u16]) -> u32 {
    77 * u32::from(rgb[0]) + 150 * u32::from(rgb[1]) + 29 * u32::from(rgb[2])
}

/// Makes `out` half as large: means over squares of 2 x 2; a last odd column or row is dropped.
pub(super) fn halve(picture: &Picture, out: &mut Picture) {
    let (width, height) = (picture.width() / 2, picture.height() / 2);
    out.reshape(Layout::Grey, width, height);
    for y in 0..height {
        let (upper, lower) = (picture.row(2 * y), picture.row(2 * y + 1));
        let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
        for (pixel, (upper, lower)) in out.row_mut(y).iter_mut().zip(pairs) {
            let sum = [upper[0], upper[1], lower[0], lower[1]].map(u16::from).iter().sum::<u16>();
            *pixel = ((sum + 2) / 4) as u8;
        }
    }
}
