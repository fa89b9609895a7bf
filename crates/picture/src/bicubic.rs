//! Bicubic enlargement by a whole number, one row at a time.
//!
//! The same arithmetic as [`Resizer`](super::Resizer) has for [`Filter::Bicubic`], but without edges: the plane comes with
//! two more pixels on each side. Outputs of one phase share their weights then, which makes a loop without gathers.

use super::PictureError;
use super::picture::{Layout, Picture};
use super::resize::{blend_rows, rounded};
use super::taps::{Filter, Taps};

/// How far an output looks, in input pixels.
const REACH: usize = 2;
/// Input pixels around an output.
const AROUND: usize = 2 * REACH + 1;

/// Enlarges planes with a margin, row by row.
#[derive(Debug, Clone)]
pub struct BicubicRows {
    scale: usize,
    /// Of five pixels, of which the middle one's outputs are taken.
    taps: Taps,
    /// One blended row, margins included.
    blended: Vec<i16>,
    /// Outputs by phase.
    phases: Vec<u8>,
}

impl BicubicRows {
    /// Pixels that a plane needs on each side.
    pub const MARGIN: usize = REACH;

    /// Enlargement by `scale`, which is at least 1.
    pub fn new(scale: usize) -> BicubicRows {
        let scale = scale.max(1);
        let taps = Taps::new(Filter::Bicubic, AROUND, AROUND * scale);
        BicubicRows { scale, taps, blended: Vec::new(), phases: Vec::new() }
    }

    /// Makes row `y` of the enlarged plane, margins left out: `scale` times as many bytes as the plane has between them.
    ///
    /// # Errors
    /// [`PictureError::LayoutMismatch`] for a plane that is not grey, [`PictureError::BufferLength`] when `out` or the plane
    /// has another size than the row calls for.
    pub fn row(&mut self, plane: &Picture, y: usize, out: &mut [u8]) -> Result<(), PictureError> {
        if plane.layout() != Layout::Grey {
            let what = "plane to enlarge";
            return Err(PictureError::LayoutMismatch { what, expected: 1, actual: plane.channels() });
        }
        let width = plane.width().saturating_sub(2 * REACH);
        if out.len() != width * self.scale || out.is_empty() || y / self.scale + 2 * REACH >= plane.height() {
            let expected = width * self.scale;
            return Err(PictureError::BufferLength { what: "enlarged row", expected, actual: out.len() });
        }
        let (first, weights) = self.taps.of(REACH * self.scale + y % self.scale);
        self.blended.resize(plane.width(), 0);
        blend_rows(plane, y / self.scale + first, weights, &mut self.blended);
        self.phases.resize(out.len(), 0);
        for (phase, out) in self.phases.chunks_exact_mut(width).enumerate() {
            let (first, weights) = self.taps.of(REACH * self.scale + phase);
            let mut around = [0; AROUND];
            around[first..first + weights.len()].copy_from_slice(weights);
            along(&self.blended, around, out);
        }
        match self.scale {
            2 => interleave::<2>(&self.phases, out),
            3 => interleave::<3>(&self.phases, out),
            4 => interleave::<4>(&self.phases, out),
            scale => {
                for (x, pixel) in out.chunks_exact_mut(scale).enumerate() {
                    for (phase, byte) in pixel.iter_mut().enumerate() {
                        *byte = self.phases[phase * width + x];
                    }
                }
            }
        }
        Ok(())
    }
}

/// The weighted sum of the five values from each on.
fn along(blended: &[i16], weights: [i16; AROUND], out: &mut [u8]) {
    let from: [&[i16]; AROUND] = [0, 1, 2, 3, 4].map(|i| &blended[i..i + out.len()]);
    for (x, out) in out.iter_mut().enumerate() {
        let mut sum = 0;
        for i in 0..AROUND {
            sum += i32::from(weights[i]) * i32::from(from[i][x]);
        }
        *out = rounded(sum);
    }
}

/// Outputs by phase, put in order.
fn interleave<const SCALE: usize>(phases: &[u8], out: &mut [u8]) {
    let width = phases.len() / SCALE;
    let mut by_phase = [&phases[..0]; SCALE];
    for (phase, row) in by_phase.iter_mut().zip(phases.chunks_exact(width)) {
        *phase = row;
    }
    for (x, pixel) in out.chunks_exact_mut(SCALE).enumerate().take(width) {
        for phase in 0..SCALE {
            pixel[phase] = by_phase[phase][x];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::synthetic;
    use crate::{Rect, Resizer};

    #[test]
    fn rows_are_those_of_the_resizer() {
        let plane = synthetic(Layout::Grey, 45, 33);
        for scale in 1..=8 {
            let to = (45 * scale, 33 * scale);
            let (mut whole, mut inside) = (Picture::default(), Picture::default());
            Resizer::new(Filter::Bicubic, Layout::Grey, (45, 33), to).unwrap().run(&plane, &mut whole).unwrap();
            let margin = 2 * scale;
            let area = Rect { x: margin, y: margin, width: 41 * scale, height: 29 * scale };
            whole.crop_into(area, &mut inside);
            let mut rows = BicubicRows::new(scale);
            let mut row = vec![0; 41 * scale];
            for y in 0..29 * scale {
                rows.row(&plane, y, &mut row).unwrap();
                assert_eq!(row, inside.row(y), "x{scale}, row {y}");
            }
            assert!(rows.row(&plane, 29 * scale, &mut row).is_err());
            assert!(rows.row(&plane, 0, &mut row[1..]).is_err());
        }
        let rgb = Picture::new(Layout::Rgb, 9, 9);
        assert!(BicubicRows::new(2).row(&rgb, 0, &mut [0; 10]).is_err());
    }
}
