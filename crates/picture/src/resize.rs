//! Resizing in fixed point, planned once for a pair of sizes and then run on every frame.
//!
//! An output row is made in two steps: the source rows below it are blended into one row of 16-bit values with 6
//! fraction bits, then that row is resampled along x and rounded to bytes, once. Blending rows first keeps the step
//! that touches every source pixel free of gathers, so that it vectorizes, and needs one row of scratch memory.

use super::PictureError;
use super::picture::{Layout, Picture};
use super::taps::{Filter, Taps, WEIGHT_BITS};
use multiversion::multiversion;

/// Fraction bits between the two steps. Keys' cubic can reach 1.13 * 255, which leaves 6 in an `i16`.
const ROW_BITS: u32 = 6;
/// Bytes blended at a time: the accumulators of a block stay in the first-level cache.
const BLOCK: usize = 256;

/// Resizes pictures of one size and layout to another size.
#[derive(Debug, Clone)]
pub struct Resizer {
    layout: Layout,
    src: (usize, usize),
    columns: Taps,
    rows: Taps,
    /// One blended row, `[source width, channels]`.
    blended: Vec<i16>,
    /// The same in bytes, each with its neighbour's.
    pairs: Vec<u8>,
}

impl Resizer {
    /// Plans resizing with one filter; sizes are `(width, height)` in pixels.
    ///
    /// # Errors
    /// [`PictureError::Empty`] when a size is zero.
    pub fn new(
        filter: Filter,
        layout: Layout,
        src: (usize, usize),
        dst: (usize, usize),
    ) -> Result<Resizer, PictureError> {
        Resizer::per_axis((filter, filter), layout, src, dst)
    }

    /// Plans resizing to the size a model wants, with the filter that suits each axis ([`Filter::for_scale`]).
    ///
    /// # Errors
    /// [`PictureError::Empty`] when a size is zero.
    pub fn fit(layout: Layout, src: (usize, usize), dst: (usize, usize)) -> Result<Resizer, PictureError> {
        Resizer::per_axis((Filter::for_scale(src.0, dst.0), Filter::for_scale(src.1, dst.1)), layout, src, dst)
    }

    fn per_axis(
        filters: (Filter, Filter),
        layout: Layout,
        src: (usize, usize),
        dst: (usize, usize),
    ) -> Result<Resizer, PictureError> {
        for (width, height) in [src, dst] {
            if width == 0 || height == 0 {
                return Err(PictureError::Empty { width, height });
            }
        }
        Ok(Resizer {
            layout,
            src,
            columns: Taps::new(filters.0, src.0, dst.0),
            rows: Taps::new(filters.1, src.1, dst.1),
            blended: vec![0; src.0 * layout.channels()],
            pairs: vec![0; src.0 * layout.channels()],
        })
    }

    /// Resizes one picture; `dst` takes the planned size and, once it has it, is not allocated again.
    ///
    /// # Errors
    /// [`PictureError::SizeMismatch`] or [`PictureError::LayoutMismatch`] when `src` is not what was planned for.
    pub fn run(&mut self, src: &Picture, dst: &mut Picture) -> Result<(), PictureError> {
        let what = "picture to resize";
        if src.layout() != self.layout {
            let (expected, actual) = (self.layout.channels(), src.channels());
            return Err(PictureError::LayoutMismatch { what, expected, actual });
        }
        if (src.width(), src.height()) != self.src {
            let ((width, height), (actual_width, actual_height)) = (self.src, (src.width(), src.height()));
            return Err(PictureError::SizeMismatch { what, width, height, actual_width, actual_height });
        }
        dst.reshape(self.layout, self.columns.outputs(), self.rows.outputs());
        for (y, (first, weights)) in self.rows.iter().enumerate() {
            blend_rows(src, first, weights, &mut self.blended);
            if self.columns.halve() {
                mean_of_pairs(&self.blended, self.layout.channels(), &mut self.pairs);
                every_second(&self.pairs, self.layout, dst.row_mut(y));
                continue;
            }
            let resample = match (self.layout, self.columns.count()) {
                (Layout::Grey, 1) => resample_row::<1, 1>,
                (Layout::Grey, 2) => resample_row::<1, 2>,
                (Layout::Grey, 3) => resample_row::<1, 3>,
                (Layout::Grey, 4) => resample_row::<1, 4>,
                (Layout::Grey, _) => resample_row_of_many::<1>,
                (Layout::Rgb, 1) => resample_row::<3, 1>,
                (Layout::Rgb, 2) => resample_row::<3, 2>,
                (Layout::Rgb, 3) => resample_row::<3, 3>,
                (Layout::Rgb, 4) => resample_row::<3, 4>,
                (Layout::Rgb, _) => resample_row_of_many::<3>,
            };
            resample(&self.blended, &self.columns, dst.row_mut(y));
        }
        Ok(())
    }
}

/// The weighted sum of the source rows from `first` on, with [`ROW_BITS`] fraction bits.
pub(super) fn blend_rows(src: &Picture, first: usize, weights: &[i16], out: &mut [i16]) {
    const SHIFT: u32 = WEIGHT_BITS - ROW_BITS;
    match *weights {
        [weight] => blend([src.row(first)], [weight], out),
        [a, b] if a >= 0 && b >= 0 => {
            blend_two([src.row(first), src.row(first + 1)], [a, b].map(i16::cast_unsigned), out);
        }
        [a, b] => blend([src.row(first), src.row(first + 1)], [a, b], out),
        [a, b, c] => blend([src.row(first), src.row(first + 1), src.row(first + 2)], [a, b, c], out),
        _ => {
            for (block, out) in out.chunks_mut(BLOCK).enumerate() {
                let mut sums = [1 << (SHIFT - 1); BLOCK];
                for (y, &weight) in (first..).zip(weights) {
                    let row = &src.row(y)[block * BLOCK..][..out.len()];
                    for (sum, &byte) in sums.iter_mut().zip(row) {
                        *sum += i32::from(weight) * i32::from(byte);
                    }
                }
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = (sum >> SHIFT) as i16;
                }
            }
        }
    }
}

/// The same for a known number of rows: sums stay in registers.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn blend<const N: usize>(rows: [&[u8]; N], weights: [i16; N], out: &mut [i16]) {
    const SHIFT: u32 = WEIGHT_BITS - ROW_BITS;
    let rows = rows.map(|row| &row[..out.len()]);
    for (i, out) in out.iter_mut().enumerate() {
        let mut sum = 1 << (SHIFT - 1);
        for (row, weight) in rows.iter().zip(weights) {
            sum += i32::from(weight) * i32::from(row[i]);
        }
        *out = (sum >> SHIFT) as i16;
    }
}

/// The same for two rows and weights that are not negative, in 16 bits, of which twice as many fit into a register: a weight
/// is split into 128ths and a rest. Weights add up to 2¹⁴, so `high` is at most 255 · 128, and `low` 2 · 255 · 127.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn blend_two(rows: [&[u8]; 2], weights: [u16; 2], out: &mut [i16]) {
    const { assert!(WEIGHT_BITS - ROW_BITS == 8) };
    let [a, b] = rows.map(|row| &row[..out.len()]);
    let ([high_a, high_b], [low_a, low_b]) = (weights.map(|weight| weight >> 7), weights.map(|weight| weight & 127));
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        let (a, b) = (u16::from(a), u16::from(b));
        let (high, low) = (a * high_a + b * high_b, a * low_a + b * low_b);
        // (128 high + low + 128) >> 8
        *out = ((high + ((low + 128) >> 7)) >> 1) as i16;
    }
}

/// The weighted sums along a row of `C` channels, rounded to bytes.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn resample_row_of_many<const C: usize>(blended: &[i16], columns: &Taps, out: &mut [u8]) {
    for ((first, weights), out) in columns.iter().zip(out.chunks_exact_mut(C)) {
        resample_pixel::<C>(&blended[first * C..], weights, out);
    }
}

/// The same for `N` taps each: with their number known the compiler unrolls the loop over them.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn resample_row<const C: usize, const N: usize>(blended: &[i16], columns: &Taps, out: &mut [u8]) {
    for ((first, weights), out) in columns.iter().zip(out.chunks_exact_mut(C)) {
        resample_pixel::<C>(&blended[first * C..][..N * C], &weights[..N], out);
    }
}

/// The rounded mean of each pixel and its right neighbour. Halving needs every second of them, but so they are sums of two
/// stretches of memory. The area filter's blended rows are not negative and at most 255 · 64, so two of them fit an `i16`.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn mean_of_pairs(blended: &[i16], channels: usize, out: &mut [u8]) {
    const SHIFT: u32 = ROW_BITS + 1;
    let right = &blended[channels..];
    for ((out, &a), &b) in out.iter_mut().zip(blended).zip(right) {
        *out = ((a + b + (1 << (SHIFT - 1))) >> SHIFT) as u8;
    }
}

/// Every second pixel of a row.
fn every_second(row: &[u8], layout: Layout, out: &mut [u8]) {
    match layout {
        Layout::Grey => {
            for (out, [byte, _]) in out.iter_mut().zip(row.as_chunks().0) {
                *out = *byte;
            }
        }
        Layout::Rgb => {
            // Three bytes are moved as four, the fourth written over by the next; all but the last.
            let last = out.len() - 3;
            for (x, pixels) in (0..last).step_by(3).zip(row.as_chunks::<6>().0) {
                out[x..x + 4].copy_from_slice(&pixels[..4]);
            }
            out[last..].copy_from_slice(&row[2 * last..][..3]);
        }
    }
}

#[inline(always)]
fn resample_pixel<const C: usize>(pixels: &[i16], weights: &[i16], out: &mut [u8]) {
    let mut sums = [0; C];
    for (pixel, &weight) in pixels.chunks_exact(C).zip(weights) {
        for (sum, &value) in sums.iter_mut().zip(pixel) {
            *sum += i32::from(weight) * i32::from(value);
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = rounded(sum);
    }
}

/// A weighted sum of blended values as a byte.
#[inline(always)]
pub(super) fn rounded(sum: i32) -> u8 {
    const SHIFT: u32 = WEIGHT_BITS + ROW_BITS;
    ((sum + (1 << (SHIFT - 1))) >> SHIFT).clamp(0, 255) as u8
}

/// Enlarges a picture by an integer factor with [`Filter::Bicubic`]: the baseline of super-resolution.
///
/// # Errors
/// [`PictureError`] where the picture has no pixels.
pub fn upscale_bicubic(picture: &Picture, scale: usize, large: &mut Picture) -> Result<(), PictureError> {
    let (width, height) = (picture.width(), picture.height());
    let to = (width * scale, height * scale);
    Resizer::new(Filter::Bicubic, picture.layout(), (width, height), to)?.run(picture, large)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{checksum, synthetic};

    const FILTERS: [Filter; 3] = [Filter::Area, Filter::Bilinear, Filter::Bicubic];

    fn resize(filter: Filter, src: &Picture, width: usize, height: usize) -> Picture {
        let mut out = Picture::default();
        Resizer::new(filter, src.layout(), (src.width(), src.height()), (width, height))
            .unwrap()
            .run(src, &mut out)
            .unwrap();
        out
    }

    /// The definition, in real numbers and without tables: weight of source pixel `j` for output `i`.
    fn reference_weights(filter: Filter, src: usize, dst: usize, i: usize) -> Vec<f64> {
        let scale = src as f64 / dst as f64;
        let mut weights = vec![0.0; src];
        let reach = (4.0 * scale).ceil() as i64 + 4;
        let middle = ((i as f64 + 0.5) * scale) as i64;
        for j in middle - reach..=middle + reach {
            let distance = j as f64 + 0.5 - (i as f64 + 0.5) * scale;
            let (weight, inside) = match filter {
                Filter::Area => {
                    let overlap = (j as f64 + 1.0).min((i as f64 + 1.0) * scale) - (j as f64).max(i as f64 * scale);
                    (overlap.max(0.0), j.clamp(0, src as i64 - 1))
                }
                Filter::Bilinear => ((1.0 - distance.abs()).max(0.0), j.clamp(0, src as i64 - 1)),
                Filter::Bicubic => {
                    let x = (distance / scale.max(1.0)).abs();
                    let weight = match x {
                        x if x <= 1.0 => 1.5 * x.powi(3) - 2.5 * x.powi(2) + 1.0,
                        x if x <= 2.0 => -0.5 * x.powi(3) + 2.5 * x.powi(2) - 4.0 * x + 2.0,
                        _ => 0.0,
                    };
                    let mut mirrored = j;
                    while !(0..src as i64).contains(&mirrored) {
                        mirrored = if mirrored < 0 { -1 - mirrored } else { 2 * src as i64 - 1 - mirrored };
                    }
                    (weight, mirrored)
                }
            };
            weights[inside as usize] += weight;
        }
        let total: f64 = weights.iter().sum();
        weights.iter().map(|w| w / total).collect()
    }

    fn reference(filter: Filter, src: &Picture, width: usize, height: usize) -> Picture {
        let mut out = Picture::new(src.layout(), width, height);
        let channels = src.channels();
        for y in 0..height {
            let wy = reference_weights(filter, src.height(), height, y);
            for x in 0..width {
                let wx = reference_weights(filter, src.width(), width, x);
                for c in 0..channels {
                    let mut sum = 0.0;
                    for (sy, wy) in wy.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                        for (sx, wx) in wx.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                            sum += wy * wx * f64::from(src.row(sy)[sx * channels + c]);
                        }
                    }
                    out.row_mut(y)[x * channels + c] = sum.round().clamp(0.0, 255.0) as u8;
                }
            }
        }
        out
    }

    #[test]
    fn at_most_one_lsb_from_real_numbers() {
        for layout in [Layout::Grey, Layout::Rgb] {
            let src = synthetic(layout, 41, 29);
            for filter in FILTERS {
                for (width, height) in [(41, 29), (20, 13), (82, 87), (7, 60), (97, 3), (1, 1)] {
                    let (actual, expected) =
                        (resize(filter, &src, width, height), reference(filter, &src, width, height));
                    let worst = actual.data().iter().zip(expected.data()).map(|(a, b)| a.abs_diff(*b)).max();
                    assert!(worst <= Some(1), "{filter:?} {layout:?} to {width}x{height}: {worst:?}");
                }
            }
        }
    }

    #[test]
    fn same_size_is_identity() {
        let src = synthetic(Layout::Rgb, 300, 20);
        for filter in FILTERS {
            assert_eq!(resize(filter, &src, 300, 20), src, "{filter:?}");
        }
    }

    #[test]
    fn constant_stays_constant() {
        for value in [0, 1, 127, 128, 254, 255] {
            let mut src = Picture::new(Layout::Grey, 31, 17);
            src.data_mut().fill(value);
            for filter in FILTERS {
                for (width, height) in [(5, 40), (64, 2), (1, 1), (31, 17)] {
                    assert!(resize(filter, &src, width, height).data().iter().all(|&v| v == value), "{filter:?}");
                }
            }
        }
    }

    #[test]
    fn area_by_a_whole_number_is_the_rounded_mean() {
        for (ratio, layout) in [2, 3, 4, 8].into_iter().flat_map(|r| [(r, Layout::Grey), (r, Layout::Rgb)]) {
            let channels = layout.channels();
            let src = synthetic(layout, 12 * ratio, 9 * ratio);
            let small = resize(Filter::Area, &src, 12, 9);
            for (y, i) in (0..9).flat_map(|y| (0..12 * channels).map(move |i| (y, i))) {
                let (x, channel) = (i / channels, i % channels);
                let sum: usize = (0..ratio * ratio)
                    .map(|at| (y * ratio + at / ratio, x * ratio + at % ratio))
                    .map(|(y, x)| usize::from(src.row(y)[x * channels + channel]))
                    .sum();
                let area = ratio * ratio;
                let mean = (2 * sum + area) / (2 * area);
                assert_eq!(usize::from(small.row(y)[i]), mean, "{layout:?}, 1/{ratio} at {x} {y}");
            }
        }
    }

    #[test]
    fn fit_chooses_per_axis() {
        let src = synthetic(Layout::Rgb, 20, 30);
        let (mut out, mut narrow) = Default::default();
        Resizer::fit(Layout::Rgb, (20, 30), (10, 60)).unwrap().run(&src, &mut out).unwrap();
        Resizer::new(Filter::Area, Layout::Rgb, (20, 30), (10, 30)).unwrap().run(&src, &mut narrow).unwrap();
        let expected = resize(Filter::Bilinear, &narrow, 10, 60);
        // The expected one was rounded to bytes in between.
        assert!(out.data().iter().zip(expected.data()).all(|(a, b)| a.abs_diff(*b) <= 1));
    }

    #[test]
    fn refuses_what_was_not_planned() {
        assert!(Resizer::fit(Layout::Grey, (0, 4), (4, 4)).is_err());
        assert!(Resizer::fit(Layout::Grey, (4, 4), (4, 0)).is_err());
        let mut resizer = Resizer::fit(Layout::Grey, (4, 4), (2, 2)).unwrap();
        let mut out = Picture::default();
        let message = resizer.run(&Picture::new(Layout::Grey, 5, 4), &mut out).unwrap_err().to_string();
        assert_eq!(message, "picture to resize is 5x4, expected 4x4");
        assert!(resizer.run(&Picture::new(Layout::Rgb, 4, 4), &mut out).is_err());
    }

    #[test]
    fn same_bytes_on_every_cpu() {
        let src = synthetic(Layout::Rgb, 301, 203);
        let actual = FILTERS.map(|filter| {
            [(128, 96), (301, 203), (640, 481)].map(|(width, height)| checksum(&resize(filter, &src, width, height)))
        });
        let recorded = [
            [0xf183af107b94851e, 0x1aff104a3e1579f6, 0x1a528ed2574772b8],
            [0xad92fe5f8d077c0f, 0x1aff104a3e1579f6, 0xec1c2c6d18353896],
            [0x4e0cbb7a83e84310, 0x1aff104a3e1579f6, 0xed9b0fd345bf912f],
        ];
        assert_eq!(actual, recorded, "{actual:#x?}");
    }
}
