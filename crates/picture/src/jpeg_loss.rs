//! What JPEG takes from a picture: 8×8 cosine transform, quantization, and back (ITU-T T.81, A.3.3 and A.3.4), with the
//! tables of annex K and chroma at half resolution. Coding the coefficients loses nothing, so it is left out.

use super::PictureError;
use super::colour::{merge_ycbcr, split_ycbcr};
use super::picture::{Layout, Picture};
use super::resize::Resizer;
use super::taps::Filter;
use std::f64::consts::PI;

const SIDE: usize = 8;

type Block = [[f64; SIDE]; SIDE];
type Table = [[u16; SIDE]; SIDE];

/// T.81, table K.1.
const LUMA: Table = [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
];

/// T.81, table K.2.
const CHROMA: Table = [
    [17, 18, 24, 47, 99, 99, 99, 99],
    [18, 21, 26, 66, 99, 99, 99, 99],
    [24, 26, 56, 99, 99, 99, 99, 99],
    [47, 66, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99],
];

/// Leaves of a picture what a JPEG of this quality, 1..=100, leaves of it. Quality scales the tables as the library of
/// the Independent JPEG Group does.
///
/// # Errors
/// [`PictureError::Empty`] for a picture without pixels.
pub fn simulate_jpeg(picture: &mut Picture, quality: u8) -> Result<(), PictureError> {
    if picture.layout() == Layout::Grey {
        lose(picture, &scaled(&LUMA, quality));
        return Ok(());
    }
    let (mut y, mut cb, mut cr) = Default::default();
    split_ycbcr(picture, &mut y, &mut cb, &mut cr);
    lose(&mut y, &scaled(&LUMA, quality));
    let size = (picture.width(), picture.height());
    let half = (size.0.div_ceil(2), size.1.div_ceil(2));
    let mut halve = Resizer::new(Filter::Area, Layout::Grey, size, half)?;
    let mut double = Resizer::new(Filter::Bilinear, Layout::Grey, half, size)?;
    let mut small = Picture::default();
    for plane in [&mut cb, &mut cr] {
        halve.run(plane, &mut small)?;
        lose(&mut small, &scaled(&CHROMA, quality));
        double.run(&small, plane)?;
    }
    merge_ycbcr(&y, &cb, &cr, picture)
}

fn scaled(table: &Table, quality: u8) -> Block {
    let quality = u32::from(quality.clamp(1, 100));
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    table.map(|row| row.map(|step| f64::from(((u32::from(step) * percent + 50) / 100).clamp(1, 255))))
}

/// Quantizes one plane block by block; what lies over its edge repeats the edge.
fn lose(plane: &mut Picture, steps: &Block) {
    let basis = basis();
    let (width, height) = (plane.width(), plane.height());
    for top in (0..height).step_by(SIDE) {
        for left in (0..width).step_by(SIDE) {
            let mut block = Block::default();
            for (y, row) in block.iter_mut().enumerate() {
                let from = plane.row((top + y).min(height - 1));
                for (x, value) in row.iter_mut().enumerate() {
                    *value = f64::from(from[(left + x).min(width - 1)]) - 128.0;
                }
            }
            let mut coefficients = product(&product(&basis, &block), &transposed(&basis));
            for (value, step) in coefficients.iter_mut().flatten().zip(steps.iter().flatten()) {
                *value = (*value / step).round() * step;
            }
            let block = product(&product(&transposed(&basis), &coefficients), &basis);
            for (y, row) in block.iter().enumerate().take(height - top) {
                let to = &mut plane.row_mut(top + y)[left..];
                for (to, value) in to.iter_mut().zip(row) {
                    *to = (value + 128.0).round().clamp(0.0, 255.0) as u8;
                }
            }
        }
    }
}

/// The orthonormal cosine transform, a row for each frequency. Cosines from libm: the same on every CPU.
fn basis() -> Block {
    let mut basis = Block::default();
    for (frequency, row) in basis.iter_mut().enumerate() {
        let norm = if frequency == 0 { 1.0 / SIDE as f64 } else { 2.0 / SIDE as f64 };
        for (x, value) in row.iter_mut().enumerate() {
            *value = norm.sqrt() * libm::cos(((2 * x + 1) * frequency) as f64 * PI / (2 * SIDE) as f64);
        }
    }
    basis
}

fn product(a: &Block, b: &Block) -> Block {
    let mut out = Block::default();
    for (row, out) in a.iter().zip(&mut out) {
        for (x, out) in out.iter_mut().enumerate() {
            *out = row.iter().zip(b).map(|(a, b)| a * b[x]).sum();
        }
    }
    out
}

fn transposed(a: &Block) -> Block {
    let mut out = Block::default();
    for (y, row) in a.iter().enumerate() {
        for (x, value) in row.iter().enumerate() {
            out[x][y] = *value;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode_file;
    use crate::testing::{checksum, synthetic};

    /// Files of another encoder: of quality 90, with the same tables, from pixels that are known.
    #[test]
    fn a_real_encoder_loses_the_same() {
        let mut file = Picture::default();
        let saved: Vec<u8> = (0..35)
            .flat_map(|y| (0..45).flat_map(move |x| [5 * x, 7 * y, 250 - 3 * x - 3 * y]))
            .map(|v| v as u8)
            .collect();
        // Each with the worst and the mean difference allowed: chroma is halved and doubled by other filters, and rounded
        // twice; luma may be quantized to the next step where it is a tie.
        for (jpeg, worst_allowed, mean_allowed) in
            [(&include_bytes!("testdata/420.jpg")[..], 8, 1.0), (&include_bytes!("testdata/grey.jpg")[..], 3, 0.2)]
        {
            decode_file(jpeg, 1 << 16, &mut file).unwrap();
            let mut ours = Picture::from_data(Layout::Rgb, 45, 35, saved.clone()).unwrap();
            if file.layout() == Layout::Grey {
                let mut luma = Picture::default();
                crate::luma_into(&ours, &mut luma);
                ours = luma;
            }
            simulate_jpeg(&mut ours, 90).unwrap();
            let errors: Vec<u8> = ours.data().iter().zip(file.data()).map(|(a, b)| a.abs_diff(*b)).collect();
            let mean = errors.iter().map(|e| f64::from(*e)).sum::<f64>() / errors.len() as f64;
            let worst = errors.iter().max().copied().unwrap();
            assert!(worst <= worst_allowed && mean <= mean_allowed, "worst {worst}, mean {mean}");
        }
    }

    #[test]
    fn less_quality_loses_more_and_flat_stays_flat() {
        let original = synthetic(Layout::Grey, 61, 37);
        let lost = |quality: u8| {
            let mut picture = original.clone();
            simulate_jpeg(&mut picture, quality).unwrap();
            original.data().iter().zip(picture.data()).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum::<f64>()
        };
        assert!(lost(100) < lost(90) && lost(90) < lost(60) && lost(60) < lost(10));
        let mut flat = Picture::from_data(Layout::Grey, 9, 9, vec![77; 81]).unwrap();
        simulate_jpeg(&mut flat, 100).unwrap();
        assert_eq!(flat.data(), [77; 81]);
    }

    #[test]
    fn same_bytes_on_every_cpu() {
        let actual = [Layout::Grey, Layout::Rgb].map(|layout| {
            let mut picture = synthetic(layout, 61, 37);
            simulate_jpeg(&mut picture, 75).unwrap();
            checksum(&picture)
        });
        assert_eq!(actual, [0x94e4a842e77bd761, 0xe966d61b9f7a84c7], "{actual:#x?}");
    }
}
