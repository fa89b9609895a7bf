//! One step of a plan: a computation with all its offsets and numbers, ready to run in the arena.

mod check;

use super::ElementKind;
use super::graph::{ForeignInput, ForeignOp, NumberOp, Quant, stored_range};
use super::kernels::Kernels;
use super::kernels::add::AddStep;
use super::kernels::arena::{Arena, View};
use super::kernels::conv::ConvStep;
use super::kernels::copy::CopyStep;
use super::kernels::depthwise::DepthwiseStep;
use super::kernels::epilogue::round_and_clamp;
use super::kernels::float::FloatStep;
use super::kernels::gather::GatherStep;
use super::kernels::live::Live;
use super::kernels::matmul::MatMulStep;
use super::kernels::mul::MulStep;
use super::kernels::portable::{self, BilinearStep, HaloStep, PoolingStep, StoredZeroPoint};
use super::kernels::quantize::{QuantParams, dynamic_range};
use super::kernels::recurrent::RecurrentStep;
use super::kernels::suppression::SuppressionStep;
use super::kernels::thread_share;
use super::numbers::{self, Elements, ElementsMut};
use std::ops::Range;
use std::sync::Arc;

pub use check::CheckedStep;

/// A row-major tensor in the arena.
#[derive(Debug, Clone)]
pub struct ArenaTensor {
    pub at: usize,
    pub kind: ElementKind,
    pub shape: Vec<usize>,
}

impl ArenaTensor {
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Its elements, of any kind.
    fn elements<'a>(&'a self, arena: Arena, signed: bool) -> Elements<'a> {
        let bytes = arena.read::<u8>(self.at, self.len() * self.kind.size());
        Elements { kind: self.kind, shape: &self.shape, bytes, flip: flip(self.kind, signed) }
    }

    /// As [`ArenaTensor::elements`], to write.
    fn elements_mut<'a>(&'a self, arena: Arena, signed: bool) -> ElementsMut<'a> {
        let bytes = arena.write::<u8>(self.at, self.len() * self.kind.size());
        ElementsMut { kind: self.kind, shape: &self.shape, bytes, flip: flip(self.kind, signed) }
    }

    fn floats<'a>(&self, arena: Arena) -> &'a [f32] {
        arena.read(self.at, self.len())
    }
}

/// A step of a plan.
pub enum Step {
    Conv(ConvStep),
    Depthwise(DepthwiseStep),
    Add(AddStep),
    Mul(MulStep),
    Lut {
        table: Arc<[u8; 256]>,
        x: View,
        y: View,
    },
    /// A table for each channel: the last dimension of the views, or their rows where the last is not as long as the tables.
    ChannelLut {
        tables: Arc<[[u8; 256]]>,
        x: View,
        y: View,
    },
    Pool(PoolingStep),
    Bilinear(BilinearStep),
    Nearest {
        x: View,
        y: View,
        rows: Vec<u32>,
        columns: Vec<u32>,
    },
    Copy(CopyStep),
    Halo(HaloStep),
    /// Rows of a view filled with one element.
    Fill {
        y: View,
        element: Vec<u8>,
    },
    MatMul {
        step: MatMulStep,
        a: StoredZeroPoint,
        b: StoredZeroPoint,
    },
    /// Takes `zero_point * sums[c]` from accumulators.
    Correct {
        at: usize,
        rows: usize,
        sums: Vec<i32>,
        zero: StoredZeroPoint,
    },
    Gather(GatherStep),
    Suppression(SuppressionStep),
    /// The places of elements that are not 0, `y [rank, bound]`, and their number (`i64`).
    NonZero {
        x: ArenaTensor,
        live: Option<Live>,
        y: ArenaTensor,
        count: usize,
    },
    /// The greatest or the least along an axis, and their places (`i64`).
    TopK {
        x: ArenaTensor,
        y: ArenaTensor,
        indices: usize,
        axis: usize,
        greatest: bool,
    },
    Recurrent(Box<RecurrentStep>),
    Softmax {
        x: usize,
        y: usize,
        size: [usize; 3],
        table: Arc<[f32; 256]>,
        quant: Quant,
    },
    Quantize {
        x: ArenaTensor,
        y: ArenaTensor,
        scale: Vec<f32>,
        zero_point: Vec<i32>,
        inner: usize,
    },
    Dequantize {
        x: ArenaTensor,
        y: usize,
        scale: Vec<f32>,
        zero_point: Vec<i32>,
        inner: usize,
    },
    DynamicQuantize {
        x: ArenaTensor,
        y: usize,
        scale: usize,
        zero_point: usize,
    },
    Float(FloatStep),
    /// Between kinds.
    Cast {
        x: ArenaTensor,
        y: ArenaTensor,
    },
    Number {
        op: NumberOp,
        x: Vec<ArenaTensor>,
        y: ArenaTensor,
    },
    Island {
        island: Box<dyn ForeignOp>,
        x: Vec<ArenaTensor>,
        y: Vec<ArenaTensor>,
    },
}

/// What steps run with.
#[derive(Clone, Copy)]
pub struct StepContext {
    pub kernels: &'static dyn Kernels,
    pub arena: Arena,
    /// Which thread of how many.
    pub part: (usize, usize),
}

impl Step {
    /// Whether threads share the step; all others run on the first thread alone.
    pub fn is_shared(&self) -> bool {
        matches!(
            self,
            Step::Conv(_)
                | Step::Depthwise(_)
                | Step::Add(_)
                | Step::Mul(_)
                | Step::Lut { .. }
                | Step::ChannelLut { .. }
                | Step::Pool(_)
                | Step::Bilinear(_)
                | Step::Copy(_)
                | Step::Nearest { .. }
                | Step::Quantize { .. }
                | Step::Dequantize { .. }
                | Step::MatMul { .. }
                | Step::Float(_)
                | Step::Recurrent(_)
        )
    }

    /// Runs a thread's share; see [`CheckedStep::run`].
    fn run(&self, context: &StepContext) -> Result<(), String> {
        let StepContext { kernels, arena, part } = *context;
        let signed = kernels.signed();
        match self {
            Step::Conv(step) => kernels.conv(step, arena, part),
            Step::Depthwise(step) => kernels.depthwise(step, arena, part),
            Step::Add(step) => kernels.add(step, arena, part),
            Step::Mul(step) => kernels.mul(step, arena, part),
            Step::Lut { table, x, y } => portable::lookup(table, x, y, arena, part),
            Step::ChannelLut { tables, x, y } => portable::lookup_by_channel(tables, x, y, arena, part),
            Step::Pool(step) => step.run(signed, arena, part),
            Step::Bilinear(step) => step.run(signed, arena, part),
            Step::Nearest { x, y, rows, columns } => nearest(x, y, rows, columns, arena, part),
            Step::Copy(step) => step.run(arena, part),
            Step::Halo(step) => step.run(arena),
            Step::Fill { y, element } => fill(y, element, arena),
            Step::MatMul { step, a, b } => {
                let zero_points = (a.number(signed, arena), b.number(signed, arena));
                kernels.matmul(step, zero_points, arena, part);
            }
            Step::Correct { at, rows, sums, zero } => {
                portable::subtract_zero_point(*at, *rows, sums, zero.number(signed, arena), arena);
            }
            Step::Gather(step) => return step.run(arena),
            Step::Suppression(step) => return step.run(arena),
            Step::NonZero { x, live, y, count } => {
                let live = live.map(|live| (live, live.count(arena)));
                let is_live = |place: usize| live.is_none_or(|(live, count)| live.contains(place, count));
                let places = arena.write::<i64>(y.at, y.len());
                let found = numbers::non_zero(x.elements(arena, signed), is_live, places);
                arena.write::<i64>(*count, 1)[0] = found as i64;
            }
            Step::TopK { x, y, indices, axis, greatest } => {
                let indices = arena.write::<i64>(*indices, y.len());
                numbers::top_k(x.elements(arena, signed), y.elements_mut(arena, signed), indices, *axis, *greatest);
            }
            Step::Recurrent(step) => return step.run(kernels.float_isa(), arena, part),
            Step::Softmax { x, y, size, table, quant } => {
                portable::softmax((*x, *y), *size, table, *quant, signed, arena);
            }
            Step::Quantize { x, y, scale, zero_point, inner } => {
                let (floats, y_kind) = (x.floats(arena), y.kind);
                for (index, range) in scale_ranges(x.len(), *inner, scale.len(), part) {
                    if y.kind.size() == 2 {
                        let y = arena.write::<u16>(y.at + range.start * 2, range.len());
                        quantize_to_16_bits(&floats[range], y, (scale[index], zero_point[index]), stored_range(y_kind));
                        continue;
                    }
                    let scaling = QuantParams { scale: scale[index], zero_point: zero_point[index], signed };
                    let y = arena.write(y.at + range.start, range.len());
                    kernels.quantize(&floats[range], y, scaling);
                }
            }
            Step::Dequantize { x, y, scale, zero_point, inner } => {
                for (index, range) in scale_ranges(x.len(), *inner, scale.len(), part) {
                    let y = arena.write::<f32>(*y + range.start * 4, range.len());
                    let (scale, zero_point) = (scale[index], zero_point[index]);
                    let real = |number: i32| number.wrapping_sub(zero_point) as f32 * scale;
                    let at = x.at + range.start * x.kind.size();
                    match x.kind {
                        ElementKind::I32 => {
                            let numbers = arena.read::<i32>(at, range.len());
                            y.iter_mut().zip(numbers).for_each(|(y, &number)| *y = real(number));
                        }
                        ElementKind::U16 => {
                            let numbers = arena.read::<u16>(at, range.len());
                            y.iter_mut().zip(numbers).for_each(|(y, &number)| *y = real(number.into()));
                        }
                        ElementKind::I16 => {
                            let numbers = arena.read::<i16>(at, range.len());
                            y.iter_mut().zip(numbers).for_each(|(y, &number)| *y = real(number.into()));
                        }
                        _ => {
                            let bytes = arena.read(at, range.len());
                            kernels.dequantize(bytes, y, QuantParams { scale, zero_point, signed });
                        }
                    }
                }
            }
            Step::DynamicQuantize { x, y, scale, zero_point } => {
                let floats = x.floats(arena);
                let (found, zero) = dynamic_range(floats);
                arena.write::<f32>(*scale, 1)[0] = found;
                let flip = if signed { 0x80 } else { 0 };
                arena.write::<u8>(*zero_point, 1)[0] = zero ^ flip;
                let zero = i32::from(zero) - if signed { 128 } else { 0 };
                let scaling = QuantParams { scale: found, zero_point: zero, signed };
                kernels.quantize(floats, arena.write(*y, x.len()), scaling);
            }
            Step::Float(step) => step.run(kernels.float_isa(), arena, part),
            Step::Cast { x, y } => numbers::cast(x.elements(arena, signed), y.elements_mut(arena, signed)),
            Step::Number { op, x, y } => {
                // Where is what has most operands.
                let none = Elements { kind: ElementKind::Bool, shape: &[], bytes: &[], flip: 0 };
                let mut operands = [none; 3];
                operands.iter_mut().zip(x).for_each(|(operand, x)| *operand = x.elements(arena, signed));
                return numbers::run(op, &operands[..x.len().min(3)], y.elements_mut(arena, signed));
            }
            Step::Island { island, x, y } => return run_island(island.as_ref(), x, y, arena, signed),
        }
        Ok(())
    }
}

/// Ranges of a thread's share of `len` elements that have one scale, with the scale's index: `scales` of them repeat, for
/// `inner` elements each.
fn scale_ranges(
    len: usize,
    inner: usize,
    scales: usize,
    (part, parts): (usize, usize),
) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mine = thread_share(len, part, parts);
    let inner = inner.max(1);
    let whole = mine.start / inner..mine.end.div_ceil(inner);
    let ranges = whole.map(move |i| (i % scales.max(1), (i * inner).max(mine.start)..((i + 1) * inner).min(mine.end)));
    ranges.filter(|(_, range)| !range.is_empty())
}

fn nearest(x: &View, y: &View, rows: &[u32], columns: &[u32], arena: Arena, (part, parts): (usize, usize)) {
    let bytes = y.dims[3] * y.strides[3];
    let dense = y.strides[2] == bytes;
    let mine = thread_share(y.dims[0] * rows.len(), part, parts);
    for row in mine.clone() {
        let (n, oy) = (row / rows.len(), row % rows.len());
        // A row like the one before, which this thread wrote too.
        if dense && row > mine.start && oy > 0 && rows[oy] == rows[oy - 1] {
            let above = arena.read::<u8>(y.pixel(n, oy - 1, 0), columns.len() * bytes);
            arena.write::<u8>(y.pixel(n, oy, 0), columns.len() * bytes).copy_from_slice(above);
            continue;
        }
        for (ox, &ix) in columns.iter().enumerate() {
            let from = arena.read::<u8>(x.pixel(n, rows[oy] as usize, ix as usize), bytes);
            arena.write::<u8>(y.pixel(n, oy, ox), bytes).copy_from_slice(from);
        }
    }
}

fn fill(y: &View, element: &[u8], arena: Arena) {
    for n in 0..y.dims[0] {
        for row in 0..y.dims[1] {
            for column in 0..y.dims[2] {
                let pixel = arena.write::<u8>(y.pixel(n, row, column), y.dims[3] * element.len());
                pixel.chunks_exact_mut(element.len()).for_each(|to| to.copy_from_slice(element));
            }
        }
    }
}

/// What the bytes of a kind are stored flipped by.
fn flip(kind: ElementKind, signed: bool) -> u8 {
    if is_sign_flipped(kind, signed) { 0x80 } else { 0 }
}

/// QuantizeLinear to `u16` or `i16`: `clamp(round_half_even(x / scale) + zero_point)`; NaN becomes the least number, as in bytes.
fn quantize_to_16_bits(x: &[f32], y: &mut [u16], (scale, zero_point): (f32, i32), (low, high): (i32, i32)) {
    for (x, y) in x.iter().zip(y) {
        *y = round_and_clamp(x / scale, zero_point, low, high) as u16;
    }
}

/// Whether bytes of this kind are stored with their top bit flipped.
pub fn is_sign_flipped(kind: ElementKind, signed: bool) -> bool {
    (kind == ElementKind::U8 && signed) || (kind == ElementKind::I8 && !signed)
}

fn run_island(
    island: &dyn ForeignOp,
    x: &[ArenaTensor],
    y: &[ArenaTensor],
    arena: Arena,
    signed: bool,
) -> Result<(), String> {
    let flipped: Vec<Option<Vec<u8>>> = x
        .iter()
        .map(|plain| {
            let bytes = arena.read::<u8>(plain.at, plain.len() * plain.kind.size());
            is_sign_flipped(plain.kind, signed).then(|| bytes.iter().map(|byte| byte ^ 0x80).collect())
        })
        .collect();
    let inputs: Vec<ForeignInput> = x
        .iter()
        .zip(&flipped)
        .map(|(plain, flipped)| {
            let stored = arena.read::<u8>(plain.at, plain.len() * plain.kind.size());
            ForeignInput { kind: plain.kind, shape: &plain.shape, bytes: flipped.as_deref().unwrap_or(stored) }
        })
        .collect();
    let mut outputs: Vec<&mut [u8]> =
        y.iter().map(|plain| arena.write::<u8>(plain.at, plain.len() * plain.kind.size())).collect();
    island.run(&inputs, &mut outputs)?;
    for (plain, bytes) in y.iter().zip(outputs) {
        if is_sign_flipped(plain.kind, signed) {
            bytes.iter_mut().for_each(|byte| *byte ^= 0x80);
        }
    }
    Ok(())
}
