//! Ops in plain Rust for every CPU: their time is small beside the convolutions', or follows the memory's.
//!
//! Bytes are in the stored domain: `signed` says whether a byte stands for -128 to 127 or for 0 to 255.

use super::memory::{Memory, View, share};
use super::scalar::{for_each_row, requantize, round, stored};
use crate::engine::graph::{Quant, Sampling, Window};

/// Elements copied from one arrangement to another; the axes are few and the innermost steps are the smallest.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyStep {
    pub x: usize,
    pub y: usize,
    /// Count, step in the input, step in the output (bytes; input steps may run backwards), outermost first.
    pub axes: Vec<(usize, isize, usize)>,
    /// Bytes of an element.
    pub size: usize,
    /// Flips the top bit of each byte, between `u8` and `i8`.
    pub flip: bool,
}

impl CopyStep {
    /// Joins axes that are one in both arrangements, and drops those of one element.
    pub fn joined(mut self) -> CopyStep {
        self.axes.retain(|axis| axis.0 != 1);
        let mut joined: Vec<(usize, isize, usize)> = Vec::new();
        for axis in self.axes.drain(..) {
            match joined.last_mut() {
                Some(outer) if outer.1 == axis.1 * axis.0 as isize && outer.2 == axis.2 * axis.0 => {
                    *outer = (outer.0 * axis.0, axis.1, axis.2);
                }
                _ => joined.push(axis),
            }
        }
        // A few bytes that stay together are one element.
        let size = self.size;
        let few = |axis: &(usize, isize, usize)| axis.1 == size as isize && axis.2 == size && axis.0 * size <= 8;
        if !self.flip && joined.len() > 1 && joined.last().is_some_and(few) {
            self.size *= joined.pop().map_or(1, |axis| axis.0);
        }
        self.axes = joined;
        self.ordered()
    }

    /// Puts the axes that the innermost loops walk last.
    fn ordered(mut self) -> CopyStep {
        let at = |axes: &[(usize, isize, usize)], found: &dyn Fn(&(usize, isize, usize)) -> bool| {
            axes.iter().position(found)
        };
        // Planes to pixels or back: bytes that follow one another in the input, then those that do in the output.
        let (columns, rows) = (at(&self.axes, &|axis| axis.1 == 1), at(&self.axes, &|axis| axis.2 == 1));
        if let (Some(columns), Some(rows)) = (columns, rows)
            && columns != rows
        {
            let mut turned = self.axes.clone();
            turned.retain(|axis| axis.1 != 1 && axis.2 != 1);
            turned.extend([self.axes[columns], self.axes[rows]]);
            let turned = CopyStep { axes: turned, ..self.clone() };
            if turned.turns() {
                return turned;
            }
        }
        // Else bytes that follow one another in both, where there are enough of them, or the longest axis.
        let size = self.size as isize;
        let dense = |axis: &(usize, isize, usize)| axis.1 == size && axis.2 == self.size && axis.0 * self.size >= 16;
        let innermost = at(&self.axes, &dense).or_else(|| (0..self.axes.len()).max_by_key(|&i| self.axes[i].0));
        if let Some(axis) = innermost.map(|i| self.axes.remove(i)) {
            self.axes.push(axis);
        }
        self
    }

    /// Whether the last two axes turn planes to pixels or back, in a way that `turn` has.
    fn turns(&self) -> bool {
        let [.., columns, rows] = &self.axes[..] else { return false };
        let few = matches!(rows.0, 2..=4) && columns.2 == rows.0;
        let many = rows.0 >= 8 && columns.0 >= 8;
        self.size == 1 && !self.flip && columns.1 == 1 && rows.2 == 1 && rows.1 > 0 && (few || many)
    }

    pub fn run(&self, memory: Memory, part: (usize, usize)) {
        match &self.axes[..] {
            [] if part.0 == 0 => self.stretch(memory, 0, 0, 1, self.size as isize, self.size),
            [] => {}
            [only] => {
                let mine = share(only.0, part.0, part.1);
                let (x, y) = (mine.start as isize * only.1, mine.start * only.2);
                self.stretch(memory, x, y, mine.len(), only.1, only.2);
            }
            [columns, rows] if self.turns() => {
                let mine = share(columns.0, part.0, part.1);
                let (x, y) = (mine.start as isize, mine.start * columns.2);
                self.turn(memory, x, y, (mine.len(), columns.2), (rows.0, rows.1 as usize));
            }
            [outer, inner @ ..] => {
                let turns = self.turns();
                for i in share(outer.0, part.0, part.1) {
                    self.walk(memory, inner, i as isize * outer.1, i * outer.2, turns);
                }
            }
        }
    }

    fn walk(&self, memory: Memory, axes: &[(usize, isize, usize)], x: isize, y: usize, turns: bool) {
        match axes {
            [] => {}
            [columns, rows] if turns => {
                self.turn(memory, x, y, (columns.0, columns.2), (rows.0, rows.1 as usize));
            }
            [last] => self.stretch(memory, x, y, last.0, last.1, last.2),
            [axis, inner @ ..] => {
                for i in 0..axis.0 {
                    self.walk(memory, inner, x + i as isize * axis.1, y + i * axis.2, turns);
                }
            }
        }
    }

    /// `y[column * step + row] = x[row * step + column]`, with the counts and steps of columns and rows.
    fn turn(&self, memory: Memory, x: isize, y: usize, columns: (usize, usize), rows: (usize, usize)) {
        let x = memory.at(0).wrapping_offset(self.x as isize + x).cast_const();
        let y = memory.at(self.y + y);
        // SAFETY: the planner's axes stay within both values, which do not overlap.
        unsafe {
            match rows.0 {
                2 => join::<2>(x, rows.1, y, columns.0),
                3 => join::<3>(x, rows.1, y, columns.0),
                4 => join::<4>(x, rows.1, y, columns.0),
                _ if columns.0 >= 8 => turn_blocks(x, y, columns, rows),
                _ => {
                    for column in 0..columns.0 {
                        for row in 0..rows.0 {
                            *y.add(column * columns.1 + row) = *x.add(row * rows.1 + column);
                        }
                    }
                }
            }
        }
    }

    fn stretch(&self, memory: Memory, x: isize, y: usize, count: usize, x_step: isize, y_step: usize) {
        if count == 0 {
            return;
        }
        let x = memory.at(0).wrapping_offset(self.x as isize + x);
        let y = memory.at(self.y + y);
        // SAFETY: the planner's axes stay within both values, which do not overlap.
        unsafe {
            if x_step == self.size as isize && y_step == self.size && !self.flip {
                std::ptr::copy_nonoverlapping(x, y, count * self.size);
                return;
            }
            let flip = if self.flip { 0x80 } else { 0 };
            match self.size {
                1 => {
                    for i in 0..count {
                        *y.add(i * y_step) = *x.offset(i as isize * x_step) ^ flip;
                    }
                }
                4 => {
                    for i in 0..count {
                        let value = x.offset(i as isize * x_step).cast::<u32>().read_unaligned();
                        y.add(i * y_step).cast::<u32>().write_unaligned(value);
                    }
                }
                8 => {
                    for i in 0..count {
                        let value = x.offset(i as isize * x_step).cast::<u64>().read_unaligned();
                        y.add(i * y_step).cast::<u64>().write_unaligned(value);
                    }
                }
                3 if y_step == 3 => {
                    // Four bytes at once: the fourth is written over by the next element. Reading it meets the same
                    // value, or the arena's slack.
                    for i in 0..count - 1 {
                        let value = x.offset(i as isize * x_step).cast::<u32>().read_unaligned();
                        y.add(i * 3).cast::<u32>().write_unaligned(value);
                    }
                    std::ptr::copy_nonoverlapping(x.offset((count - 1) as isize * x_step), y.add((count - 1) * 3), 3);
                }
                size => {
                    for i in 0..count {
                        for byte in 0..size {
                            *y.add(i * y_step + byte) = *x.offset(i as isize * x_step).add(byte);
                        }
                    }
                }
            }
        }
    }
}

/// Joins `count` bytes of each of `N` planes to pixels without gaps.
///
/// # Safety
/// The planes, `plane` bytes apart, must be valid for `count` bytes each, `y` for all of them.
unsafe fn join<const N: usize>(x: *const u8, plane: usize, y: *mut u8, count: usize) {
    // SAFETY: promised by the caller; four bytes are written where more than one pixel is left.
    unsafe {
        let pixel = |i: usize| (0..N).fold(0, |all, p| all | u32::from(*x.add(p * plane + i)) << (8 * p));
        // Four bytes at once: those beyond the pixel are written over by the next.
        let last = count.saturating_sub(2);
        for i in 0..last {
            y.add(i * N).cast::<u32>().write_unaligned(pixel(i));
        }
        for i in last..count {
            std::ptr::copy_nonoverlapping(pixel(i).to_le_bytes().as_ptr(), y.add(i * N), N);
        }
    }
}

/// Turns blocks of eight by eight bytes; the last ones overlap those before.
///
/// # Safety
/// Rows and columns (count and step of each) must lie within `x` and `y`; there must be eight or more of both.
unsafe fn turn_blocks(x: *const u8, y: *mut u8, columns: (usize, usize), rows: (usize, usize)) {
    let starts = |count: usize| (0..count.div_ceil(8)).map(move |i| (i * 8).min(count - 8));
    for row in starts(rows.0) {
        for column in starts(columns.0) {
            // SAFETY: promised by the caller.
            unsafe {
                let (x, y) = (x.add(row * rows.1 + column), y.add(column * columns.1 + row));
                let mut words = [0u64; 8];
                for i in 0..8 {
                    words[i] = x.add(i * rows.1).cast::<u64>().read_unaligned().to_le();
                }
                // Halves of the block are exchanged across its diagonal, then quarters, then single bytes.
                for (distance, mask) in [(4, 0xffff_ffffu64), (2, 0xffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)] {
                    for i in (0..8).filter(|i| i & distance == 0) {
                        let shift = 8 * distance;
                        let swapped = (words[i] >> shift ^ words[i + distance]) & mask;
                        words[i + distance] ^= swapped;
                        words[i] ^= swapped << shift;
                    }
                }
                for i in 0..8 {
                    y.add(i * columns.1).cast::<u64>().write_unaligned(words[i].to_le());
                }
            }
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
    pub byte: Result<u8, usize>,
}

impl HaloStep {
    pub fn run(&self, memory: Memory) {
        // A zero point that is computed lies in the arena.
        let byte = self.byte.unwrap_or_else(|at| memory.read::<u8>(at, 1)[0]);
        let [top, left, bottom, right] = self.halo;
        for image in 0..self.images {
            let base = self.at + image * self.image_bytes;
            memory.write::<u8>(base, top * self.row_bytes).fill(byte);
            memory.write::<u8>(base + (self.rows - bottom) * self.row_bytes, bottom * self.row_bytes).fill(byte);
            for row in top..self.rows - bottom {
                let row = base + row * self.row_bytes;
                memory.write::<u8>(row, left * self.pixel_bytes).fill(byte);
                let right = right * self.pixel_bytes;
                memory.write::<u8>(row + self.row_bytes - right, right).fill(byte);
            }
        }
    }
}

/// `y[i] = table[x[i]]`; input and output may be the same.
pub fn look_up(table: &[u8; 256], x: &View, y: &View, memory: Memory, part: (usize, usize)) {
    for_each_row(y, &[*x, *x], part, |y, [x, _], count| {
        let (x, y) = (memory.at(x), memory.at(y));
        for i in 0..count {
            // SAFETY: within rows of checked views; a byte is read before it is written.
            unsafe { *y.add(i) = table[usize::from(*x.add(i))] };
        }
    });
}

/// A product of two quantized tensors.
#[derive(Debug, Clone, Copy)]
pub struct MulStep {
    pub a: View,
    pub b: View,
    pub y: View,
    pub zero_points: [i32; 2],
    pub ratio: f32,
    pub zero_point: i32,
    pub low: i32,
    pub high: i32,
}

impl MulStep {
    pub fn run(&self, signed: bool, memory: Memory, part: (usize, usize)) {
        for_each_row(&self.y, &[self.a, self.b], part, |y, [a, b], count| {
            let (a_step, b_step) = (self.a.strides[3], self.b.strides[3]);
            let (a, b, y) = (memory.at(a), memory.at(b), memory.at(y));
            for i in 0..count {
                // SAFETY: within rows of checked views.
                unsafe {
                    let a = stored(*a.add(i * a_step), signed) - self.zero_points[0];
                    let b = stored(*b.add(i * b_step), signed) - self.zero_points[1];
                    *y.add(i) = requantize(a * b, self.ratio, self.zero_point, self.low, self.high) as u8;
                }
            }
        });
    }
}

/// A pool over a picture; windows are cut off at its border.
#[derive(Debug, Clone)]
pub struct PoolStep {
    pub x: View,
    pub y: View,
    pub window: Window,
    pub kind: Pool,
}

#[derive(Debug, Clone, Copy)]
pub enum Pool {
    Max,
    /// `scale` is that of the input over that of the output.
    Average {
        x_zero_point: i32,
        scale: f32,
        zero_point: i32,
    },
}

impl PoolStep {
    pub fn run(&self, signed: bool, memory: Memory, part: (usize, usize)) {
        let [images, rows, columns, channels] = self.y.dims;
        let [_, height, width, _] = self.x.dims;
        for row in share(images * rows, part.0, part.1) {
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
                    Pool::Max => {
                        let mut channel = 0;
                        // As many channels at a time as stay in registers.
                        while channel + 64 <= channels {
                            let x = |(iy, ix)| memory.read::<u8>(self.x.pixel(n, iy, ix) + channel, 64);
                            greatest::<64>(inside().map(x), memory.write(y + channel, 64), signed);
                            channel += 64;
                        }
                        while channel < channels {
                            let here = (channels - channel).min(16);
                            let x = |(iy, ix)| memory.read::<u8>(self.x.pixel(n, iy, ix) + channel, here);
                            greatest::<16>(inside().map(x), memory.write(y + channel, here), signed);
                            channel += here;
                        }
                    }
                    Pool::Average { x_zero_point, scale, zero_point } => {
                        let inner =
                            ys.len().div_ceil(self.window.dilation[0]) * xs.len().div_ceil(self.window.dilation[1]);
                        let count = if self.window.count_pads { self.padded_count(oy, ox) } else { inner };
                        let scale = scale / count as f32;
                        let out = memory.write::<u8>(y, channels);
                        // Sixty-four channels at a time, in registers.
                        for first in (0..channels).step_by(64) {
                            let here = (channels - first).min(64);
                            let mut sums = [0i32; 64];
                            for (iy, ix) in inside() {
                                let x = memory.read::<u8>(self.x.pixel(n, iy, ix) + first, here);
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
            let places = (0..self.window.kernel[axis]).filter(|k| start + k * self.window.dilation[axis] < end);
            places.count()
        };
        along(0, oy, self.x.dims[1]) * along(1, ox, self.x.dims[2])
    }
}

/// The greatest of each of at most `N` bytes over some rows of them.
fn greatest<'a, const N: usize>(rows: impl Iterator<Item = &'a [u8]>, y: &mut [u8], signed: bool) {
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
    pub fn run(&self, signed: bool, memory: Memory, part: (usize, usize)) {
        let [images, rows, columns, channels] = self.y.dims;
        for row in share(images * rows, part.0, part.1) {
            let (n, oy) = (row / rows, row % rows);
            let (y0, y1, b) = (self.rows.first[oy] as usize, self.rows.second[oy] as usize, self.rows.weight[oy]);
            for ox in 0..columns {
                let (x0, x1) = (self.columns.first[ox] as usize, self.columns.second[ox] as usize);
                let a = self.columns.weight[ox];
                let at = |y: usize, x: usize| memory.read::<u8>(self.x.pixel(n, y, x), channels);
                let (x00, x01, x10, x11) = (at(y0, x0), at(y0, x1), at(y1, x0), at(y1, x1));
                let out = memory.write::<u8>(self.y.pixel(n, oy, ox), channels);
                for c in 0..channels {
                    let v = |byte: u8| self.x_quant.dequantize(stored(byte, signed));
                    let top = (1.0 - a) * (1.0 - b) * v(x00[c]) + a * (1.0 - b) * v(x01[c]);
                    let real = top + (1.0 - a) * b * v(x10[c]) + a * b * v(x11[c]);
                    let (low, high) = self.range;
                    out[c] = round(real / self.y_quant.scale, self.y_quant.zero_point, low, high) as u8;
                }
            }
        }
    }
}

/// A product of two computed matrices, `[batch, m, k]` by `[batch, k, n]`, each with its zero point.
#[derive(Debug, Clone)]
pub struct MatMulStep {
    pub a: usize,
    pub b: usize,
    pub y: usize,
    /// Bytes from one matrix to the next, for each batch: where each lies.
    pub batches: Vec<(usize, usize)>,
    pub size: [usize; 3],
    pub ending: super::conv::Ending,
    pub scale: f32,
}

impl MatMulStep {
    pub fn run(&self, signed: bool, zero_points: (i32, i32), memory: Memory, part: (usize, usize)) {
        let [m, k, n] = self.size;
        let element = self.ending.bytes();
        for (batch, &(a, b)) in self.batches.iter().enumerate() {
            for row in share(m, part.0, part.1) {
                let a = memory.read::<u8>(self.a + a + row * k, k);
                for first in (0..n).step_by(64) {
                    let here = (n - first).min(64);
                    let mut sums = [0i32; 64];
                    for (i, &a) in a.iter().enumerate() {
                        let a = stored(a, signed) - zero_points.0;
                        let b = memory.read::<u8>(self.b + b + i * n + first, here);
                        for (sum, &b) in sums.iter_mut().zip(b) {
                            *sum = sum.wrapping_add(a * (stored(b, signed) - zero_points.1));
                        }
                    }
                    let y = memory.at(self.y + ((batch * m + row) * n + first) * element);
                    for (i, &sum) in sums[..here].iter().enumerate() {
                        // SAFETY: within the row of a checked step.
                        unsafe { super::scalar::end(sum, self.scale, self.ending, y.add(i * element)) };
                    }
                }
            }
        }
    }
}

/// `y -= zero_point * sums[c]` over rows of accumulators, for a zero point that is computed.
pub fn correct(at: usize, rows: usize, sums: &[i32], zero_point: i32, memory: Memory) {
    for row in 0..rows {
        let row = memory.write::<i32>(at + row * sums.len() * 4, sums.len());
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
    memory: Memory,
) {
    let (low, high) = if signed { (-128, 127) } else { (0, 255) };
    let count = outer * length * inner;
    let (x, y) = (memory.read::<u8>(x, count), memory.write::<u8>(y, count));
    for o in 0..outer {
        for i in 0..inner {
            let at = |l: usize| (o * length + l) * inner + i;
            let greatest = (0..length).map(|l| stored(x[at(l)], signed)).max().unwrap_or(0);
            let e = |l: usize| table[(255 - greatest + stored(x[at(l)], signed)) as usize & 255];
            let sum: f32 = (0..length).map(e).sum();
            let steps = (1.0 / quant.scale).floor();
            for l in 0..length {
                y[at(l)] = round(e(l) * steps / sum, quant.zero_point, low, high) as u8;
            }
        }
    }
}

/// What turns numbers into bytes: `clamp(round_half_even(x / scale) + zero_point)` in the stored domain.
#[derive(Debug, Clone, Copy)]
pub struct Scaling {
    pub scale: f32,
    pub zero_point: i32,
    pub signed: bool,
}

impl Scaling {
    fn range(&self) -> (i32, i32) {
        if self.signed { (-128, 127) } else { (0, 255) }
    }
}

/// `f32` to bytes by division.
pub fn quantize(x: &[f32], y: &mut [u8], scaling: Scaling) {
    let (low, high) = scaling.range();
    for (x, y) in x.iter().zip(y) {
        *y = round(x / scaling.scale, scaling.zero_point, low, high) as u8;
    }
}

/// The same bytes as [`quantize`] without dividing; worth it where fused multiplication is one instruction.
///
/// With `r` the rounded reciprocal and `q` the rounded `x * r`, the remainder `x - q * scale` is exact, and
/// `q + remainder * r` is the rounded quotient (Markstein, *Computation of elementary functions on the IBM RISC
/// System/6000*, 1990, theorem 7), unless the divisor's fraction is all ones or something leaves the normal range. `x` is
/// clamped beforehand to just beyond what all saturates alike.
#[inline(always)]
pub fn quantize_by_reciprocal(x: &[f32], y: &mut [u8], scaling: Scaling) {
    let Scaling { scale, zero_point, .. } = scaling;
    if !(1e-18..1e18).contains(&scale) || scale.to_bits() & 0x7f_ffff == 0x7f_ffff {
        return quantize(x, y, scaling);
    }
    let (low, high) = scaling.range();
    let (least, most) = ((low - zero_point - 2) as f32 * scale, (high - zero_point + 2) as f32 * scale);
    let reciprocal = 1.0 / scale;
    for (&x, y) in x.iter().zip(y) {
        // What is no number becomes the least, as in `round`.
        let x = if x > least { x } else { least };
        let x = if x < most { x } else { most };
        let near = x * reciprocal;
        let quotient = (-near).mul_add(scale, x).mul_add(reciprocal, near);
        *y = round(quotient, zero_point, low, high) as u8;
    }
}

/// Bytes to `f32`.
#[inline(always)]
pub fn dequantize(x: &[u8], y: &mut [f32], scaling: Scaling) {
    let flip = if scaling.signed { 0x80 } else { 0 };
    let zero_point = scaling.zero_point + if scaling.signed { 128 } else { 0 };
    for (&x, y) in x.iter().zip(y) {
        *y = (i32::from(x ^ flip) - zero_point) as f32 * scaling.scale;
    }
}

/// DynamicQuantizeLinear: scale and zero point (as `u8`) of a tensor from its range, which is widened to hold 0.
pub fn dynamic_range(x: &[f32]) -> (f32, u8) {
    let (low, high) = x.iter().fold((0f32, 0f32), |(low, high), &x| (low.min(x), high.max(x)));
    let scale = (high - low) / 255.0;
    if !(scale > 0.0 && scale.is_finite()) {
        return (1.0, 0);
    }
    let zero_point = (-low / scale).round_ties_even().clamp(0.0, 255.0);
    (scale, zero_point as u8)
}
