//! Ops in plain Rust for every CPU: their time is small beside the convolutions', or follows the memory's.
//!
//! Bytes are in the stored domain: where `signed`, a byte stands for -128 to 127, otherwise for 0 to 255.

use super::arena::{Arena, View};
use super::elementwise::for_each_contiguous_run;
use super::epilogue::{requantize, round_and_clamp, stored_value};
use super::grid::thread_share;
use crate::graph::{Quant, Sampling, Window};

/// A zero point in the stored domain, or the offset of its byte where it is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StoredZeroPoint {
    Known(i32),
    At(usize),
}

impl StoredZeroPoint {
    /// The number, read from the arena where it is computed.
    pub fn number(self, signed: bool, arena: Arena) -> i32 {
        match self {
            StoredZeroPoint::Known(number) => number,
            StoredZeroPoint::At(at) => stored_value(arena.read::<u8>(at, 1)[0], signed),
        }
    }
}

/// The border around a picture, filled with one byte: its zero point.
#[derive(Debug, Clone, PartialEq)]
pub struct HaloStep {
    /// First byte of the picture with its halo.
    pub at: usize,
    pub images: usize,
    pub image_bytes: usize,
    pub row_bytes: usize,
    pub pixel_bytes: usize,
    /// Rows with the halo.
    pub rows: usize,
    /// Top, left, bottom, right, in pixels.
    pub halo: [usize; 4],
    pub zero: StoredZeroPoint,
}

impl HaloStep {
    pub fn run(&self, arena: Arena) {
        // Either way the stored byte.
        let byte = self.zero.number(false, arena) as u8;
        let [top, left, bottom, right] = self.halo;
        for image in 0..self.images {
            let base = self.at + image * self.image_bytes;
            arena.write::<u8>(base, top * self.row_bytes).fill(byte);
            arena.write::<u8>(base + (self.rows - bottom) * self.row_bytes, bottom * self.row_bytes).fill(byte);
            for row in top..self.rows - bottom {
                let row = base + row * self.row_bytes;
                arena.write::<u8>(row, left * self.pixel_bytes).fill(byte);
                let right = right * self.pixel_bytes;
                arena.write::<u8>(row + self.row_bytes - right, right).fill(byte);
            }
        }
    }
}

/// `y[i] = table[x[i]]`; input and output may be the same.
pub fn lookup(table: &[u8; 256], x: &View, y: &View, arena: Arena, part: (usize, usize)) {
    for_each_contiguous_run(y, &[*x, *x], part, |y, [x, _], count| {
        let (x, y) = (arena.at(x), arena.at(y));
        for i in 0..count {
            // SAFETY: within rows of checked views; a byte is read before it is written.
            unsafe { *y.add(i) = table[usize::from(*x.add(i))] };
        }
    });
}

/// As [`lookup`], with a table for each channel: the last dimension of the views where it is as long as the tables, else their
/// rows.
pub fn lookup_by_channel(tables: &[[u8; 256]], x: &View, y: &View, arena: Arena, part: (usize, usize)) {
    let [images, rows, columns, channels] = y.dims;
    for row in thread_share(images * rows, part.0, part.1) {
        let (n, r) = (row / rows, row % rows);
        for column in 0..columns {
            let (x, y) = (arena.at(x.pixel(n, r, column)), arena.at(y.pixel(n, r, column)));
            let tables = if channels == tables.len() { tables } else { &tables[r..=r] };
            for (c, table) in tables.iter().enumerate() {
                // SAFETY: within pixels of checked views; a byte is read before it is written.
                unsafe { *y.add(c) = table[usize::from(*x.add(c))] };
            }
        }
    }
}

/// A pool over a picture; windows are cut off at its border.
#[derive(Debug, Clone)]
pub struct PoolingStep {
    pub x: View,
    pub y: View,
    pub window: Window,
    pub kind: PoolKind,
}

#[derive(Debug, Clone, Copy)]
pub enum PoolKind {
    Max,
    /// `scale` is that of the input over that of the output.
    Average {
        x_zero_point: i32,
        scale: f32,
        zero_point: i32,
    },
}

impl PoolingStep {
    pub fn run(&self, signed: bool, arena: Arena, part: (usize, usize)) {
        let [images, rows, columns, channels] = self.y.dims;
        let [_, height, width, _] = self.x.dims;
        for row in thread_share(images * rows, part.0, part.1) {
            let (n, oy) = (row / rows, row % rows);
            let ys = self.reach(0, oy, height);
            for ox in 0..columns {
                let xs = self.reach(1, ox, width);
                let y = self.y.pixel(n, oy, ox);
                let inside = || {
                    ys.clone()
                        .step_by(self.window.dilation[0])
                        .flat_map(|iy| xs.clone().step_by(self.window.dilation[1]).map(move |ix| (iy, ix)))
                };
                match self.kind {
                    PoolKind::Max => {
                        let mut channel = 0;
                        // As many channels at a time as stay in registers.
                        while channel + 64 <= channels {
                            let x = |(iy, ix)| arena.read::<u8>(self.x.pixel(n, iy, ix) + channel, 64);
                            channel_maxima::<64>(inside().map(x), arena.write(y + channel, 64), signed);
                            channel += 64;
                        }
                        while channel < channels {
                            let here = (channels - channel).min(16);
                            let x = |(iy, ix)| arena.read::<u8>(self.x.pixel(n, iy, ix) + channel, here);
                            channel_maxima::<16>(inside().map(x), arena.write(y + channel, here), signed);
                            channel += here;
                        }
                    }
                    PoolKind::Average { x_zero_point, scale, zero_point } => {
                        let inner =
                            ys.len().div_ceil(self.window.dilation[0]) * xs.len().div_ceil(self.window.dilation[1]);
                        let count = if self.window.count_pads { self.padded_count(oy, ox) } else { inner };
                        let scale = scale / count as f32;
                        let out = arena.write::<u8>(y, channels);
                        // Sixty-four channels at a time, in registers.
                        for first in (0..channels).step_by(64) {
                            let here = (channels - first).min(64);
                            let mut sums = [0i32; 64];
                            for (iy, ix) in inside() {
                                let x = arena.read::<u8>(self.x.pixel(n, iy, ix) + first, here);
                                if signed {
                                    sums.iter_mut().zip(x).for_each(|(sum, &x)| *sum += i32::from(x as i8));
                                } else {
                                    sums.iter_mut().zip(x).for_each(|(sum, &x)| *sum += i32::from(x));
                                }
                            }
                            let (low, high) = if signed { (-128, 127) } else { (0, 255) };
                            for (y, sum) in out[first..first + here].iter_mut().zip(sums) {
                                let acc = sum - inner as i32 * x_zero_point;
                                *y = requantize(acc, scale, zero_point, low, high) as u8;
                            }
                        }
                    }
                }
            }
        }
    }

    /// Inputs that a window covers along one axis, in steps of the dilation.
    fn reach(&self, axis: usize, out: usize, size: usize) -> std::ops::Range<usize> {
        let (stride, dilation) = (self.window.stride[axis], self.window.dilation[axis]);
        let start = (out * stride) as isize - self.window.pads[axis] as isize;
        let end = start + (dilation * (self.window.kernel[axis] - 1) + 1) as isize;
        let first = if start < 0 { (-start) as usize % dilation } else { start as usize };
        let first = if start < 0 && first != 0 { dilation - first } else { first };
        first..(end.max(0) as usize).min(size).max(first)
    }

    /// Places of a window that lie within the picture or its stated padding.
    fn padded_count(&self, oy: usize, ox: usize) -> usize {
        let along = |axis: usize, out: usize, size: usize| {
            let start = out * self.window.stride[axis];
            let end = size + self.window.pads[axis] + self.window.pads[axis + 2];
            let positions = (0..self.window.kernel[axis]).filter(|k| start + k * self.window.dilation[axis] < end);
            positions.count()
        };
        along(0, oy, self.x.dims[1]) * along(1, ox, self.x.dims[2])
    }
}

/// The maximum of each of at most `N` bytes over some rows of them.
fn channel_maxima<'a, const N: usize>(rows: impl Iterator<Item = &'a [u8]>, y: &mut [u8], signed: bool) {
    // Signed bytes are in order when their top bit is flipped.
    let flip = if signed { 0x80 } else { 0 };
    let mut all = [0u8; N];
    for row in rows {
        if let Ok(row) = <&[u8; N]>::try_from(row) {
            for i in 0..N {
                all[i] = all[i].max(row[i] ^ flip);
            }
        } else {
            all.iter_mut().zip(row).for_each(|(all, &x)| *all = (*all).max(x ^ flip));
        }
    }
    y.iter_mut().zip(all).for_each(|(y, all)| *y = all ^ flip);
}

/// Resizing between neighbours: `(1-a)(1-b) x00 + a(1-b) x01 + (1-a)b x10 + ab x11` in `f32` over dequantized numbers, from
/// left to right, then quantized.
#[derive(Debug, Clone)]
pub struct BilinearStep {
    pub x: View,
    pub y: View,
    pub rows: Sampling,
    pub columns: Sampling,
    pub x_quant: Quant,
    pub y_quant: Quant,
    /// Smallest and greatest stored value.
    pub range: (i32, i32),
}

impl BilinearStep {
    pub fn run(&self, signed: bool, arena: Arena, part: (usize, usize)) {
        let [images, rows, columns, channels] = self.y.dims;
        for row in thread_share(images * rows, part.0, part.1) {
            let (n, oy) = (row / rows, row % rows);
            let (y0, y1, b) = (self.rows.first[oy] as usize, self.rows.second[oy] as usize, self.rows.weight[oy]);
            for ox in 0..columns {
                let (x0, x1) = (self.columns.first[ox] as usize, self.columns.second[ox] as usize);
                let a = self.columns.weight[ox];
                let at = |y: usize, x: usize| arena.read::<u8>(self.x.pixel(n, y, x), channels);
                let (x00, x01, x10, x11) = (at(y0, x0), at(y0, x1), at(y1, x0), at(y1, x1));
                let out = arena.write::<u8>(self.y.pixel(n, oy, ox), channels);
                for c in 0..channels {
                    let v = |byte: u8| self.x_quant.dequantize(stored_value(byte, signed));
                    let top = (1.0 - a) * (1.0 - b) * v(x00[c]) + a * (1.0 - b) * v(x01[c]);
                    let real = top + (1.0 - a) * b * v(x10[c]) + a * b * v(x11[c]);
                    let (low, high) = self.range;
                    out[c] = round_and_clamp(real / self.y_quant.scale, self.y_quant.zero_point, low, high) as u8;
                }
            }
        }
    }
}

/// `y -= zero_point * sums[c]` over rows of accumulators, for a zero point that is computed.
pub fn subtract_zero_point(at: usize, rows: usize, sums: &[i32], zero_point: i32, arena: Arena) {
    for row in 0..rows {
        let row = arena.write::<i32>(at + row * sums.len() * 4, sums.len());
        row.iter_mut().zip(sums).for_each(|(y, &sum)| *y = y.wrapping_sub(zero_point.wrapping_mul(sum)));
    }
}

/// Over the middle of `[outer, length, inner]`: `y = clamp(round_half_even(e * floor(1 / y_scale) / sum) + zero_point)`
/// with `e = table[255 - greatest + x]`, summed from first to last: ONNX Runtime's QLinearSoftmax.
pub fn softmax(
    (x, y): (usize, usize),
    [outer, length, inner]: [usize; 3],
    table: &[f32; 256],
    quant: Quant,
    signed: bool,
    arena: Arena,
) {
    let (low, high) = if signed { (-128, 127) } else { (0, 255) };
    let count = outer * length * inner;
    let (x, y) = (arena.read::<u8>(x, count), arena.write::<u8>(y, count));
    for o in 0..outer {
        for i in 0..inner {
            let at = |l: usize| (o * length + l) * inner + i;
            let greatest = (0..length).map(|l| stored_value(x[at(l)], signed)).max().unwrap_or(0);
            let e = |l: usize| table[(255 - greatest + stored_value(x[at(l)], signed)) as usize & 255];
            let sum: f32 = (0..length).map(e).sum();
            let steps = (1.0 / quant.scale).floor();
            for l in 0..length {
                y[at(l)] = round_and_clamp(e(l) * steps / sum, quant.zero_point, low, high) as u8;
            }
        }
    }
}
