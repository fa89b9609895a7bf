//! One colour component of a frame: its blocks, and its samples at the size of the picture.

use super::super::PictureError;
use super::idct::{Block, idct};
use super::stream::broken;

/// Natural order of the coefficients that come in zigzag: T.81, figure A.6.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// A component of a frame.
pub(super) struct Component {
    pub id: u8,
    /// Blocks in one unit of an interleaved scan, across and down.
    pub sampling: (usize, usize),
    /// Which quantization table.
    pub table: usize,
    /// That table, in natural order, as it was when the component's first scan began.
    pub steps: Option<[i32; 64]>,
    /// Blocks across and down.
    pub blocks: (usize, usize),
    /// Pixels of the picture for one sample, across and down.
    factors: (usize, usize),
    /// Samples that belong to the picture, across and down; what fills up the last blocks lies beyond.
    samples: (usize, usize),
    /// Samples, in rows of whole blocks.
    plane: Vec<u8>,
    /// Coefficients of all blocks, in natural order, where scans refine them; empty otherwise.
    pub coefficients: Vec<i16>,
    /// For each coefficient, in zigzag order: the lowest bit that has come, `None` before any has.
    pub lowest_bits: [Option<u8>; 64],
}

impl Component {
    /// The component `id` of a picture of `size` pixels whose largest sampling factors are `largest`.
    pub fn new(
        id: u8,
        sampling: (usize, usize),
        table: usize,
        size: (usize, usize),
        largest: (usize, usize),
    ) -> Result<Component, PictureError> {
        if !largest.0.is_multiple_of(sampling.0) || !largest.1.is_multiple_of(sampling.1) {
            return Err(PictureError::Unsupported(
                "JPEG with sampling factors that do not divide: save it as 4:4:4 or 4:2:0",
            ));
        }
        let factors = (largest.0 / sampling.0, largest.1 / sampling.1);
        let samples = (size.0.div_ceil(factors.0), size.1.div_ceil(factors.1));
        let blocks = (samples.0.div_ceil(8), samples.1.div_ceil(8));
        Ok(Component {
            id,
            sampling,
            table,
            steps: None,
            blocks,
            factors,
            samples,
            plane: Vec::new(),
            coefficients: Vec::new(),
            lowest_bits: [None; 64],
        })
    }

    /// Takes memory for the samples, or for all coefficients where scans refine them.
    pub fn allocate(&mut self, progressive: bool) {
        let samples = 64 * self.blocks.0 * self.blocks.1;
        if progressive {
            self.coefficients = vec![0; samples];
        } else {
            self.plane = vec![0; samples];
        }
    }

    /// Takes the dequantized coefficients of one block.
    pub fn put(&mut self, (across, down): (usize, usize), block: &mut Block) {
        let stride = 8 * self.blocks.0;
        idct(block, &mut self.plane[8 * (down * stride + across)..], stride);
    }

    /// Makes samples of the coefficients that scans have refined.
    pub fn transform(&mut self) -> Result<(), PictureError> {
        let steps = self.steps.ok_or_else(|| broken("a component has no scan"))?;
        let coefficients = std::mem::take(&mut self.coefficients);
        self.plane = vec![0; coefficients.len()];
        let mut block = [0; 64];
        for (place, values) in coefficients.as_chunks::<64>().0.iter().enumerate() {
            for i in 0..64 {
                block[i] = i32::from(values[i]).wrapping_mul(steps[i]);
            }
            self.put((place % self.blocks.0, place / self.blocks.0), &mut block);
        }
        Ok(())
    }

    /// Whether every coefficient has come to its last bit.
    pub fn is_complete(&self) -> bool {
        self.lowest_bits.iter().all(|bit| *bit == Some(0))
    }

    /// Row `y` of the picture in this component. Half resolution is interpolated, 3 parts of the nearer sample and 1 of the
    /// farther, with the rounding of zune-jpeg, and at an edge the sample itself; of other factors, and of rows of one or two samples, the nearest is taken, as
    /// libjpeg does. `wide` is scratch.
    pub fn row<'a>(&'a self, y: usize, width: usize, wide: &'a mut Vec<u8>) -> &'a [u8] {
        let stride = 8 * self.blocks.0;
        let line = |at: usize| &self.plane[at * stride..][..self.samples.0];
        let smooth = self.factors.0 <= 2 && self.factors.1 <= 2 && width > 2 * self.factors.0;
        wide.clear();
        match self.factors {
            (1, 1) => return line(y),
            (1 | 2, 2) if self.factors.0 == 1 || smooth => {
                let near = y / 2;
                let far = if y.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(self.samples.1 - 1) };
                wide.extend(line(near).iter().zip(line(far)).map(|(&near, &far)| mix(near, far)));
            }
            (across, down) => {
                let nearest = line(y / down);
                if across == 1 {
                    return nearest;
                }
                wide.extend(nearest);
            }
        }
        match self.factors.0 {
            1 => {}
            2 if smooth => double(wide),
            across => {
                let samples = std::mem::take(wide);
                wide.extend(samples.iter().flat_map(|sample| std::iter::repeat_n(*sample, across)).take(width));
            }
        }
        wide
    }
}

#[inline]
fn mix(near: u8, far: u8) -> u8 {
    ((3 * u16::from(near) + u16::from(far) + 2) >> 2) as u8
}

/// Makes two samples of each, in place.
fn double(row: &mut Vec<u8>) {
    let length = row.len();
    row.resize(2 * length, 0);
    // From the end: what is read lies before what is written, but for the neighbour on the right, which is kept.
    let mut right = row[length - 1];
    for x in (0..length).rev() {
        let (sample, left) = (row[x], row[x.saturating_sub(1)]);
        row[2 * x + 1] = mix(sample, right);
        row[2 * x] = mix(sample, left);
        right = sample;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_doubled_by_the_triangle_filter() {
        let mut row = vec![0, 100, 200];
        double(&mut row);
        assert_eq!(row, [0, 25, 75, 125, 175, 200]);
        let mut row = vec![7];
        double(&mut row);
        assert_eq!(row, [7, 7]);
    }
}
