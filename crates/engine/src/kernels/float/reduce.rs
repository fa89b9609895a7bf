//! Reductions, in `f64`: as exact as an `f32` can tell, and summed in one stated order.
//!
//! Along contiguous elements, [`WAYS`] partial results take one element in turn and are then joined in pairs (`0+8, 1+9, …`, then
//! `0+4, …`). Elsewhere each output goes through its elements from the first to the last.

use super::isa::{Lanes, Loop};
use crate::graph::Reduction;
use crate::kernels::arena::Arena;
use crate::kernels::grid::thread_share;

/// Partial results.
pub const WAYS: usize = 16;

/// How a reduction takes elements in: `part = take(part, element)`, joined by the same rule, then finished.
trait Rule: Copy {
    const START: f64;
    fn take(self, part: f64, x: f64) -> f64;
    fn join(a: f64, b: f64) -> f64;
}

macro_rules! rule {
    ($name:ident, $start:expr, |$part:ident, $x:ident| $take:expr, |$a:ident, $b:ident| $join:expr) => {
        #[derive(Clone, Copy)]
        struct $name;
        impl Rule for $name {
            const START: f64 = $start;
            #[inline(always)]
            fn take(self, $part: f64, $x: f64) -> f64 {
                $take
            }
            #[inline(always)]
            fn join($a: f64, $b: f64) -> f64 {
                $join
            }
        }
    };
}
rule!(Sum, 0.0, |sum, x| sum + x, |a, b| a + b);
rule!(Absolute, 0.0, |sum, x| sum + x.abs(), |a, b| a + b);
rule!(Square, 0.0, |sum, x| sum + x * x, |a, b| a + b);
rule!(Product, 1.0, |product, x| product * x, |a, b| a * b);
rule!(Max, f64::NEG_INFINITY, |max, x| greater(max, x), |a, b| greater(a, b));
rule!(Min, f64::INFINITY, |min, x| smaller(min, x), |a, b| smaller(a, b));

/// The sum of `exp(x - greatest)`.
#[derive(Clone, Copy)]
struct Exponentials(f32);

impl Rule for Exponentials {
    const START: f64 = 0.0;
    #[inline(always)]
    fn take(self, sum: f64, x: f64) -> f64 {
        sum + f64::from(super::math::exp(x as f32 - self.0))
    }
    #[inline(always)]
    fn join(a: f64, b: f64) -> f64 {
        a + b
    }
}

/// NaN wins.
#[inline(always)]
fn greater(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

#[inline(always)]
fn smaller(a: f64, b: f64) -> f64 {
    if b < a || b.is_nan() { b } else { a }
}

/// Contiguous elements by a rule.
#[inline(always)]
fn along(rule: impl Rule, x: &[f32]) -> f64 {
    joined(rule, partial(rule, x))
}

#[inline(always)]
fn partial<R: Rule>(rule: R, x: &[f32]) -> [f64; WAYS] {
    let mut parts = [R::START; WAYS];
    let (whole, rest) = x.as_chunks::<WAYS>();
    for x in whole {
        for i in 0..WAYS {
            parts[i] = rule.take(parts[i], f64::from(x[i]));
        }
    }
    for (part, &x) in parts.iter_mut().zip(rest) {
        *part = rule.take(*part, f64::from(x));
    }
    parts
}

#[inline(always)]
fn joined<R: Rule>(_: R, mut parts: [f64; WAYS]) -> f64 {
    let mut half = WAYS / 2;
    while half > 0 {
        for i in 0..half {
            parts[i] = R::join(parts[i], parts[i + half]);
        }
        half /= 2;
    }
    parts[0]
}

/// The sum of contiguous elements.
#[inline(always)]
pub fn sum(x: &[f32]) -> f64 {
    along(Sum, x)
}

/// The greatest of contiguous elements; NaN where one is.
#[inline(always)]
pub fn greatest(x: &[f32]) -> f32 {
    let mut parts = [f32::NEG_INFINITY; WAYS];
    let pick = |a: f32, b: f32| if b > a || b.is_nan() { b } else { a };
    let (whole, rest) = x.as_chunks::<WAYS>();
    for x in whole {
        for i in 0..WAYS {
            parts[i] = pick(parts[i], x[i]);
        }
    }
    parts.iter_mut().zip(rest).for_each(|(part, &x)| *part = pick(*part, x));
    parts.into_iter().fold(f32::NEG_INFINITY, pick)
}

/// The sum of squared distances from `mean`.
#[inline(always)]
pub fn squared_distances(x: &[f32], mean: f64) -> f64 {
    let mut parts = [0.0; WAYS];
    let (whole, rest) = x.as_chunks::<WAYS>();
    for x in whole {
        for i in 0..WAYS {
            let distance = f64::from(x[i]) - mean;
            parts[i] += distance * distance;
        }
    }
    for (part, &x) in parts.iter_mut().zip(rest) {
        let distance = f64::from(x) - mean;
        *part += distance * distance;
    }
    joined(Sum, parts)
}

/// A reduction. Outputs are counted by `kept` axes, the elements of each by `reduced` axes: `(count, stride in floats)`, outermost
/// first, neighbours joined.
#[derive(Debug, Clone)]
pub struct Reduce {
    pub kind: Reduction,
    pub kept: Vec<(usize, usize)>,
    pub reduced: Vec<(usize, usize)>,
}

impl Reduce {
    /// Over `axes` of `shape`.
    pub fn new(kind: Reduction, shape: &[usize], axes: &[usize]) -> Reduce {
        let (mut kept, mut reduced) = (Vec::new(), Vec::new());
        let mut stride: usize = shape.iter().product();
        for (axis, &count) in shape.iter().enumerate() {
            stride /= count;
            if count == 1 {
                continue;
            }
            let list: &mut Vec<(usize, usize)> = if axes.contains(&axis) { &mut reduced } else { &mut kept };
            match list.last_mut() {
                Some((outer, step)) if *step == stride * count => (*outer, *step) = (*outer * count, stride),
                _ => list.push((count, stride)),
            }
        }
        Reduce { kind, kept, reduced }
    }

    fn count(axes: &[(usize, usize)]) -> usize {
        axes.iter().map(|axis| axis.0).product()
    }
}

/// The offset of the `index`-th position of some axes.
#[inline(always)]
fn offset(axes: &[(usize, usize)], mut index: usize) -> usize {
    let mut at = 0;
    for &(count, stride) in axes.iter().rev() {
        at += index % count * stride;
        index /= count;
    }
    at
}

/// A run of [`Reduce`].
pub struct ReduceRun<'a> {
    pub op: &'a Reduce,
    pub x: &'a [f32],
    pub arena: Arena,
    /// Byte offset of the output.
    pub y: usize,
    pub part: (usize, usize),
}

impl Loop for ReduceRun<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let mine = thread_share(Reduce::count(&self.op.kept), self.part.0, self.part.1);
        let y = self.arena.write::<f32>(self.y + mine.start * 4, mine.len());
        let count = Reduce::count(&self.op.reduced) as f64;
        let (x, op, first) = (self.x, self.op, mine.start);
        match op.kind {
            Reduction::Mean => outputs(op, x, first, y, Sum, |sum| (sum / count) as f32),
            Reduction::Sum => outputs(op, x, first, y, Sum, |sum| sum as f32),
            Reduction::L1 => outputs(op, x, first, y, Absolute, |sum| sum as f32),
            Reduction::L2 => outputs(op, x, first, y, Square, |sum| sum.sqrt() as f32),
            Reduction::SumSquare => outputs(op, x, first, y, Square, |sum| sum as f32),
            Reduction::LogSum => outputs(op, x, first, y, Sum, |sum| libm::log(sum) as f32),
            Reduction::Prod => outputs(op, x, first, y, Product, |product| product as f32),
            Reduction::Max => outputs(op, x, first, y, Max, |max| max as f32),
            Reduction::Min => outputs(op, x, first, y, Min, |min| min as f32),
            Reduction::LogSumExp => {
                // Each output by its own greatest element.
                for (i, y) in y.iter_mut().enumerate() {
                    let base = offset(&op.kept, first + i);
                    let greatest = one(op, &x[base..], Max) as f32;
                    let shift = if greatest.is_infinite() { 0.0 } else { greatest };
                    let sum = one(op, &x[base..], Exponentials(shift));
                    *y = (f64::from(shift) + libm::log(sum)) as f32;
                }
            }
        }
    }
}

/// One output, whose first element is `x[0]`.
#[inline(always)]
fn one<R: Rule>(op: &Reduce, x: &[f32], rule: R) -> f64 {
    if let [(count, 1)] = op.reduced[..] {
        return along(rule, &x[..count]);
    }
    let mut part = R::START;
    for i in 0..Reduce::count(&op.reduced) {
        part = rule.take(part, f64::from(x[offset(&op.reduced, i)]));
    }
    part
}

#[inline(always)]
fn outputs<R: Rule>(op: &Reduce, x: &[f32], first: usize, y: &mut [f32], rule: R, finish: impl Fn(f64) -> f32 + Copy) {
    // Outputs side by side, whose elements lie side by side too.
    let (Some(&(inner, 1)), false) = (op.kept.last(), matches!(op.reduced[..], [(_, 1)])) else {
        for (i, y) in y.iter_mut().enumerate() {
            *y = finish(one(op, &x[offset(&op.kept, first + i)..], rule));
        }
        return;
    };
    let mut done = 0;
    while done < y.len() {
        let at = first + done;
        let here = (inner - at % inner).min(y.len() - done).min(WAYS);
        let x = &x[offset(&op.kept, at)..];
        let mut parts = [R::START; WAYS];
        for i in 0..Reduce::count(&op.reduced) {
            let x = &x[offset(&op.reduced, i)..];
            match x.first_chunk::<WAYS>() {
                Some(x) if here == WAYS => {
                    for i in 0..WAYS {
                        parts[i] = rule.take(parts[i], f64::from(x[i]));
                    }
                }
                _ => parts.iter_mut().zip(&x[..here]).for_each(|(part, &x)| *part = rule.take(*part, f64::from(x))),
            }
        }
        y[done..done + here].iter_mut().zip(parts).for_each(|(y, part)| *y = finish(part));
        done += here;
    }
}
