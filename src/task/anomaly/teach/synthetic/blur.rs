//! Gaussian blur of one channel of a part of a picture, a wide one on a reduced copy.

use super::shapes::mirrored;
use lineside_picture::{Picture, Rect};

/// Weights beyond this many standard deviations are omitted: they sum to 0.3 %.
const REACH: f64 = 3.0;
/// A picture is reduced as long as the standard deviation of the Gaussian is at least this many cells.
const FINE: f64 = 2.0;

/// Scratch of [`Blur::run`]. A cell is the mean of `step * step` pixels.
#[derive(Default)]
pub(super) struct Blur {
    kernel: Vec<f32>,
    /// Pixels added up over the rows of one row of cells.
    sums: Vec<u32>,
    /// One row of cells with its margins left and right.
    wide: Vec<f32>,
    /// The rows blurred along x, with those above and below the area.
    tall: Vec<f32>,
    /// The blurred cells, `[rows, columns]`.
    cells: Vec<f32>,
    /// One row between two rows of them.
    row: Vec<f32>,
    /// For each column of pixels the cell to its left and the distance from it, 0..1.
    columns: Vec<(u32, f32)>,
}

impl Blur {
    /// Fills `out`, `[area.height, area.width]`, with the channel blurred by a Gaussian of `sigma` pixels. The picture is continued
    /// by its mirror image.
    pub fn run(&mut self, picture: &Picture, channel: usize, area: Rect, sigma: f64, out: &mut Vec<f32>) {
        let step = ((sigma / FINE) as usize).max(1);
        if step == 1 {
            let corner = (area.x as i64, area.y as i64);
            self.blur(picture, channel, corner, (area.width, area.height), 1, sigma);
            std::mem::swap(&mut self.cells, out);
            return;
        }
        // The variance of a mean of `step` pixels is (step² - 1) / 12, that of the line between two cells twice that.
        let sigma = (sigma * sigma - (step * step - 1) as f64 / 4.0).sqrt() / step as f64;
        // The cells with the corner's pixel, less one: left of its cell's centre a pixel lies between the two.
        let first = |start: usize| (start / step) as i64 - 1;
        let count = |start: usize, end: usize| end.div_ceil(step) - start / step + 2;
        let corner = (first(area.x), first(area.y));
        let size = (count(area.x, area.right()), count(area.y, area.bottom()));
        self.blur(picture, channel, corner, size, step, sigma);
        let place = |pixel: usize, first: i64| {
            let at = (pixel as f64 + 0.5) / step as f64 - 0.5 - first as f64;
            (at as u32, (at - at.floor()) as f32)
        };
        self.columns.clear();
        self.columns.extend((area.x..area.right()).map(|x| place(x, corner.0)));
        out.resize(area.width * area.height, 0.0);
        for (y, out) in (area.y..).zip(out.chunks_exact_mut(area.width.max(1))) {
            let (above, part) = place(y, corner.1);
            let (upper, lower) = self.cells[above as usize * size.0..][..2 * size.0].split_at(size.0);
            self.row.clear();
            self.row.extend(upper.iter().zip(lower).map(|(a, b)| a + (b - a) * part));
            for (out, &(left, part)) in out.iter_mut().zip(&self.columns) {
                let (a, b) = (self.row[left as usize], self.row[left as usize + 1]);
                *out = a + (b - a) * part;
            }
        }
    }

    /// Fills `self.cells` with the blurred cells from `corner` on, `(x, y)` in cells of `step` pixels, `size` (width, height) many;
    /// `sigma` is in cells.
    fn blur(
        &mut self,
        picture: &Picture,
        channel: usize,
        corner: (i64, i64),
        size: (usize, usize),
        step: usize,
        sigma: f64,
    ) {
        let radius = (REACH * sigma).ceil() as usize;
        let weight = |i: usize| {
            let distance = i as f64 - radius as f64;
            libm::exp(-0.5 * distance * distance / (sigma * sigma))
        };
        let total: f64 = (0..=2 * radius).map(weight).sum();
        self.kernel.clear();
        self.kernel.extend((0..=2 * radius).map(|i| (weight(i) / total) as f32));

        let (width, height) = size;
        self.wide.resize(width + 2 * radius, 0.0);
        self.tall.clear();
        self.tall.resize(width * (height + 2 * radius), 0.0);
        let left = (corner.0 - radius as i64) * step as i64;
        let top = (corner.1 - radius as i64) * step as i64;
        let share = 1.0 / (step * step) as f32;
        for (i, blurred) in self.tall.chunks_exact_mut(width.max(1)).enumerate() {
            self.sums.clear();
            self.sums.resize(self.wide.len() * step, 0);
            for y in 0..step {
                let row = picture.row(mirrored(top + (i * step + y) as i64, picture.height()));
                add_row(row, picture.channels(), channel, left, &mut self.sums);
            }
            for (cell, sums) in self.wide.iter_mut().zip(self.sums.chunks_exact(step)) {
                *cell = sums.iter().sum::<u32>() as f32 * share;
            }
            for (k, &weight) in self.kernel.iter().enumerate() {
                add(blurred, &self.wide[k..], weight);
            }
        }
        self.cells.clear();
        self.cells.resize(width * height, 0.0);
        for (y, cells) in self.cells.chunks_exact_mut(width.max(1)).enumerate() {
            for (k, &weight) in self.kernel.iter().enumerate() {
                add(cells, &self.tall[(y + k) * width..], weight);
            }
        }
    }
}

/// Adds the channel of a row of pixels from column `left` on; the row is continued by its mirror image.
fn add_row(row: &[u8], channels: usize, channel: usize, left: i64, sums: &mut [u32]) {
    let length = row.len() / channels;
    let place = |column: i64| column.clamp(0, sums.len() as i64) as usize;
    let (start, end) = (place(-left), place(length as i64 - left));
    let mirror = |sums: &mut [u32], from: i64| {
        for (sum, x) in sums.iter_mut().zip(from..) {
            *sum += u32::from(row[mirrored(x, length) * channels + channel]);
        }
    };
    mirror(&mut sums[..start], left);
    mirror(&mut sums[end..], left + end as i64);
    let inside = row[(left + start as i64) as usize * channels..].chunks_exact(channels);
    for (sum, pixel) in sums[start..end].iter_mut().zip(inside) {
        *sum += u32::from(pixel[channel]);
    }
}

/// Adds weighted values. The loop has no sum over its own elements, so it vectorizes without changing the order of additions.
fn add(sums: &mut [f32], values: &[f32], weight: f32) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value * weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_picture::Layout;

    #[test]
    fn a_point_becomes_a_gaussian_and_a_flat_picture_stays() {
        let mut picture = Picture::new(Layout::Rgb, 41, 31);
        picture.data_mut()[(15 * 41 + 20) * 3 + 1] = 200;
        let (mut blur, mut out) = (Blur::default(), Vec::new());
        let area = Rect { x: 10, y: 5, width: 21, height: 21 };
        blur.run(&picture, 1, area, 2.0, &mut out);
        // 200 / (2 π σ²) at the centre; times exp(-1/2) one σ away. The kernel that is cut at 3 σ holds 0.3 % more an
        // axis.
        let centre = 200.0 / (std::f32::consts::TAU * 4.0);
        for (at, expected) in
            [(10 * 21 + 10, centre), (10 * 21 + 12, centre * 0.606_53), (8 * 21 + 10, centre * 0.606_53)]
        {
            assert!((out[at] / expected - 1.0).abs() < 0.01, "{at}: {} instead of {expected}", out[at]);
        }
        blur.run(&picture, 0, area, 2.0, &mut out);
        assert!(out.iter().all(|&v| v == 0.0));
        picture.data_mut().fill(77);
        for sigma in [1.0, 6.0, 50.0] {
            blur.run(&picture, 2, Rect { x: 0, y: 0, width: 41, height: 31 }, sigma, &mut out);
            // A few dozen roundings of 2⁻²⁴ each.
            assert!(out.iter().all(|&v| (v - 77.0).abs() < 0.001));
        }
    }

    #[test]
    fn a_wide_gaussian_on_a_reduced_copy_is_close_to_a_plain_one() {
        // A square of 30 on a large ground, across the picture's upper edge.
        let mut picture = Picture::new(Layout::Grey, 203, 151);
        for y in 0..20 {
            picture.row_mut(y)[80..110].fill(240);
        }
        let area = Rect { x: 51, y: 0, width: 101, height: 77 };
        let (mut blur, mut plain, mut out) = (Blur::default(), Vec::new(), Vec::new());
        for sigma in [4.5, 8.0, 13.0] {
            blur.blur(&picture, 0, (51, 0), (101, 77), 1, sigma);
            std::mem::swap(&mut blur.cells, &mut plain);
            blur.run(&picture, 0, area, sigma, &mut out);
            // Straight lines between cells that lie half a deviation apart miss a bend by a sixtieth of the square's
            // height.
            let worst = out.iter().zip(&plain).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 4.0, "{sigma}: off by {worst}");
        }
    }
}
