//! Convolutions of float pictures `[N, C, H, W]`, plain and transposed, as matrix products: weights `[outputs, k]` by columns of
//! inputs `[k, pixels]`, which are gathered a panel of pixels at a time. `k` runs over channels, then kernel rows, then kernel columns.

use super::isa::{Lanes, Loop, ProductTile, Start};
use super::product::{panel, rows};
use super::strided::{copy, zero, zip_strided};
use crate::kernels::arena::Arena;
use crate::kernels::grid::thread_share;
use std::ops::Range;

/// A convolution, or all phases of a transposed one.
#[derive(Debug, Clone)]
pub struct Im2colConv {
    pub images: usize,
    pub groups: usize,
    /// Of one group.
    pub inputs: usize,
    pub outputs: usize,
    /// Height and width of the input and of the output.
    pub input: [usize; 2],
    pub output: [usize; 2],
    /// One number an output, or none.
    pub bias: Vec<f32>,
    pub phases: Vec<ConvPhase>,
}

/// The outputs that one set of taps gives: all of them, or every `stride`-th of a transposed convolution.
#[derive(Debug, Clone)]
pub struct ConvPhase {
    /// `[groups * outputs, inputs, rows of taps, columns of taps]`.
    pub weights: std::sync::Arc<[f32]>,
    pub rows: Axis,
    pub columns: Axis,
}

/// One direction of a phase.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Outputs, the first of them, and the step between them.
    pub count: usize,
    pub start: usize,
    pub step: usize,
    /// Input positions from one of these outputs to the next.
    pub stride: usize,
    /// Input position of each tap of the first output; outside the picture it reads 0.
    pub taps: Vec<isize>,
}

impl Axis {
    /// Of an ordinary convolution.
    pub fn plain(count: usize, kernel: usize, stride: usize, dilation: usize, pad: usize) -> Axis {
        let taps = (0..kernel).map(|k| (k * dilation) as isize - pad as isize).collect();
        Axis { count, start: 0, step: 1, stride, taps }
    }

    /// Of a transposed convolution, with the kernel position of each tap: output `o` gets input `i` through position `k` where
    /// `o + pad = i * stride + k * dilation`, so outputs of one remainder by `stride` read the same positions.
    pub fn transposed(
        out: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        pad: usize,
    ) -> Vec<(Axis, Vec<usize>)> {
        let phase = |start: usize| {
            let from = |k: usize| (start + pad) as isize - (k * dilation) as isize;
            let positions: Vec<usize> = (0..kernel).filter(|&k| from(k).rem_euclid(stride as isize) == 0).collect();
            let taps = positions.iter().map(|&k| from(k).div_euclid(stride as isize)).collect();
            (Axis { count: (out - start).div_ceil(stride), start, step: stride, stride: 1, taps }, positions)
        };
        (0..stride.min(out)).map(phase).collect()
    }
}

impl ConvPhase {
    fn k(&self, inputs: usize) -> usize {
        inputs * self.rows.taps.len() * self.columns.taps.len()
    }

    /// Whether its weights and outputs are those of a convolution.
    pub fn is_whole(&self, op: &Im2colConv) -> bool {
        let inside = |axis: &Axis, size: usize| {
            axis.count > 0 && axis.stride > 0 && axis.start + (axis.count - 1) * axis.step < size
        };
        self.weights.len() == op.groups * op.outputs * self.k(op.inputs)
            && inside(&self.rows, op.output[0])
            && inside(&self.columns, op.output[1])
            && (op.is_scattered() || (self.rows.count, self.columns.count) == (op.output[0], op.output[1]))
    }

    fn pixels(&self) -> usize {
        self.rows.count * self.columns.count
    }
}

impl Im2colConv {
    /// Floats that each thread needs: a panel of inputs, and one of outputs where they are not written in place.
    pub fn scratch(&self, panel: usize) -> usize {
        let k = self.phases.iter().map(|phase| phase.k(self.inputs)).max().unwrap_or(0);
        (k + if self.is_scattered() { self.outputs } else { 0 }) * panel
    }

    fn is_scattered(&self) -> bool {
        self.phases.len() > 1
    }
}

/// A run of [`Im2colConv`].
pub struct ConvRun<'a> {
    pub op: &'a Im2colConv,
    pub x: &'a [f32],
    pub arena: Arena,
    /// Byte offset of the output.
    pub y: usize,
    /// [`Im2colConv::scratch`] floats of this thread.
    pub scratch: &'a mut [f32],
    pub part: (usize, usize),
}

impl Loop for ConvRun<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let op = self.op;
        let width = panel::<L>();
        let planes = op.images * op.groups;
        for phase in &op.phases {
            let k = phase.k(op.inputs);
            let panels = phase.pixels().div_ceil(width);
            let tiles = op.outputs.div_ceil(L::ROWS);
            // Threads share pixels, or outputs where there are too few pixels.
            let share_pixels = planes * panels >= 4 * self.part.1 || tiles == 1;
            let units = if share_pixels { panels } else { tiles };
            let mine = thread_share(planes * units, self.part.0, self.part.1);
            if mine.is_empty() {
                continue;
            }
            for plane in mine.start / units..mine.end.div_ceil(units) {
                let first = mine.start.max(plane * units) - plane * units;
                let last = mine.end.min((plane + 1) * units) - plane * units;
                let (panels, outputs) = if share_pixels {
                    (first..last, 0..op.outputs)
                } else {
                    (0..panels, first * L::ROWS..(last * L::ROWS).min(op.outputs))
                };
                let channels = op.inputs * op.input[0] * op.input[1];
                let x = &self.x[plane * channels..][..channels];
                for index in panels {
                    let pixels = index * width..((index + 1) * width).min(phase.pixels());
                    let (to, rest) = self.scratch.split_at_mut(k * width);
                    let (b, b_row) = if is_direct(op, phase) && pixels.len() == width && outputs.len() <= L::ROWS {
                        (&x[pixels.start..], op.input[0] * op.input[1])
                    } else {
                        gather::<L>(op, phase, x, pixels.clone(), to);
                        (&*to, width)
                    };
                    let output = plane % op.groups * op.outputs + outputs.start;
                    let a = &phase.weights[output * k..][..outputs.len() * k];
                    let start = match op.bias.get(output..output + outputs.len()) {
                        Some(bias) => Start::Rows(bias.as_ptr()),
                        None => Start::Zero,
                    };
                    let size = op.output[0] * op.output[1];
                    let y = self.y + (plane * op.outputs + outputs.start) * size * 4;
                    let scattered = op.is_scattered();
                    let (to, y_row) = if scattered {
                        (rest.as_mut_ptr(), width)
                    } else {
                        (self.arena.at(y + pixels.start * 4).cast(), size)
                    };
                    let (count, columns) = (outputs.len(), pixels.len());
                    let tile = ProductTile {
                        a: a.as_ptr(),
                        a_row: k,
                        b: b.as_ptr(),
                        b_row,
                        k,
                        start,
                        y: to,
                        y_row,
                        rows: count,
                        columns,
                    };
                    // SAFETY: `a`, `b` and the bias have what the tile reads, and `rest` holds `outputs` rows of a panel; the output
                    // is this thread's part of a checked step.
                    unsafe { rows::<L>(tile) };
                    if scattered {
                        let size = (y, size);
                        scatter(op, phase, self.arena, size, pixels, rest.chunks_exact(width).take(count));
                    }
                }
            }
        }
    }
}

/// Whether the input's channels are the columns already: one tap, a pixel for each pixel.
#[inline(always)]
fn is_direct(op: &Im2colConv, phase: &ConvPhase) -> bool {
    let same = |axis: &Axis, size: usize| axis.taps == [0] && axis.stride == 1 && axis.count == size;
    same(&phase.rows, op.input[0]) && same(&phase.columns, op.input[1])
}

/// Writes panels of a phase between those of the others: rows of so many pixels, one for each output from byte `y` on.
#[inline(always)]
fn scatter<'a>(
    op: &Im2colConv,
    phase: &ConvPhase,
    arena: Arena,
    (y, size): (usize, usize),
    pixels: Range<usize>,
    rows: impl Iterator<Item = &'a [f32]>,
) {
    let columns = &phase.columns;
    let (first_row, first_column) = (pixels.start / columns.count, pixels.start % columns.count);
    for (output, from) in rows.enumerate() {
        let (mut row, mut column, mut done) = (first_row, first_column, 0);
        while done < pixels.len() {
            let run = (columns.count - column).min(pixels.len() - done);
            let line = (phase.rows.start + row * phase.rows.step) * op.output[1];
            let to = y + (output * size + line + columns.start + column * columns.step) * 4;
            let from = &from[done..done + run];
            // Other threads write between these elements: no slice may cover them.
            for (i, &value) in from.iter().enumerate() {
                // SAFETY: an element of this thread's part of a checked step; phases lie within the output.
                unsafe { arena.at(to + i * columns.step * 4).cast::<f32>().write(value) };
            }
            done += run;
            (row, column) = (row + 1, 0);
        }
    }
}

/// Neighbouring pixels of a panel whose inputs through one tap lie in one row of the picture.
#[derive(Clone, Copy, Default)]
struct Run {
    /// First pixel in the panel.
    to: usize,
    /// First input in its channel.
    from: usize,
    count: usize,
}

/// The inputs of so many output pixels: a row of a panel for each channel and tap, 0 where a tap lies outside the picture and
/// behind the last pixel.
#[inline(always)]
fn gather<L: Lanes>(op: &Im2colConv, phase: &ConvPhase, x: &[f32], pixels: Range<usize>, to: &mut [f32]) {
    let (width, [height, line]) = (panel::<L>(), op.input);
    let (plane, stride) = (height * line, phase.columns.stride);
    let taps = phase.rows.taps.len() * phase.columns.taps.len();
    // One for each pixel at most.
    let mut runs = [Run::default(); 64];
    let places = phase.rows.taps.iter().flat_map(|&down| phase.columns.taps.iter().map(move |&right| (down, right)));
    for (tap, (down, right)) in places.enumerate() {
        let (count, inside) = runs_of(op, phase, pixels.clone(), (down, right), &mut runs);
        for (channel, x) in x.chunks_exact(plane).enumerate() {
            let to = &mut to[(channel * taps + tap) * width..][..width];
            if inside < width {
                zero::<L>(to);
            }
            for run in &runs[..count] {
                let to = &mut to[run.to..run.to + run.count];
                if stride == 1 {
                    copy::<L>(&x[run.from..run.from + run.count], to);
                } else {
                    zip_strided(to, &x[run.from..], stride, |to, from| *to = from);
                }
            }
        }
    }
}

/// What a tap reads for the pixels of a panel; returns how many runs there are, and how many inputs.
#[inline(always)]
fn runs_of(
    op: &Im2colConv,
    phase: &ConvPhase,
    pixels: Range<usize>,
    (down, right): (isize, isize),
    runs: &mut [Run; 64],
) -> (usize, usize) {
    let ([height, line], columns) = (op.input, &phase.columns);
    let (mut row, mut column) = (pixels.start / columns.count, pixels.start % columns.count);
    let (mut done, mut count, mut inside) = (0, 0, 0);
    while done < pixels.len() {
        let run = (columns.count - column).min(pixels.len() - done);
        let from = (row * phase.rows.stride) as isize + down;
        if let Some(from) = usize::try_from(from).ok().filter(|&from| from < height) {
            let first = (column * columns.stride) as isize + right;
            let before = if first < 0 { first.unsigned_abs().div_ceil(columns.stride).min(run) } else { 0 };
            let start = (first + (before * columns.stride) as isize).max(0) as usize;
            let within = line.saturating_sub(start).div_ceil(columns.stride).min(run - before);
            if within > 0 {
                runs[count] = Run { to: done + before, from: from * line + start, count: within };
                count += 1;
                inside += within;
            }
        }
        done += run;
        (row, column) = (row + 1, 0);
    }
    (count, inside)
}
