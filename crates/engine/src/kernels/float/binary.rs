//! Functions of two numbers over float tensors that are broadcast against each other.

use super::isa::{Lanes, Loop};
use crate::graph::Binary;
use crate::unary::power;

/// The most axes of a shape that is broadcast.
pub const MAX_AXES: usize = 8;

/// The axes of a result with the strides of its operands in floats, neighbouring axes joined where both operands allow it.
#[derive(Debug, Clone, PartialEq)]
pub struct Broadcast {
    axes: Vec<Axis>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    count: usize,
    a: usize,
    b: usize,
}

impl Broadcast {
    /// Of a result of `shape` with strides of both operands as [`broadcast_strides`](super::broadcast_strides) gives them.
    pub fn new(shape: &[usize], a: &[usize], b: &[usize]) -> Broadcast {
        let mut axes: Vec<Axis> = Vec::new();
        for ((&count, &a), &b) in shape.iter().zip(a).zip(b).filter(|((count, _), _)| **count != 1) {
            match axes.last_mut() {
                Some(outer) if outer.a == a * count && outer.b == b * count => {
                    *outer = Axis { count: outer.count * count, a, b };
                }
                _ => axes.push(Axis { count, a, b }),
            }
        }
        if axes.is_empty() {
            axes.push(Axis { count: 1, a: 1, b: 1 });
        }
        Broadcast { axes }
    }

    /// Whether operands of so many elements and a result of `y` are what it is for.
    pub fn fits(&self, a: usize, b: usize, y: usize) -> bool {
        let last =
            |stride: fn(&Axis) -> usize| self.axes.iter().map(|axis| (axis.count - 1) * stride(axis)).sum::<usize>();
        self.axes.len() <= MAX_AXES
            && self.axes.iter().map(|axis| axis.count).product::<usize>() == y
            && last(|axis| axis.a) < a
            && last(|axis| axis.b) < b
    }

    /// Calls `visit` with the places in `y`, `a` and `b` and the length of every stretch of `start..end` along the last axis.
    #[inline(always)]
    fn for_each_run(&self, start: usize, end: usize, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let (inner, outer) = match self.axes.split_last() {
            Some((inner, outer)) if outer.len() <= MAX_AXES => (inner, outer),
            _ => return,
        };
        // Offsets advance like an odometer.
        let mut index = [0usize; MAX_AXES];
        let (mut a, mut b) = (0, 0);
        let mut rest = start / inner.count;
        for (i, axis) in outer.iter().enumerate().rev() {
            index[i] = rest % axis.count;
            rest /= axis.count;
            a += index[i] * axis.a;
            b += index[i] * axis.b;
        }
        let mut at = start;
        while at < end {
            let first = at % inner.count;
            let run = (inner.count - first).min(end - at);
            visit(at - start, a + first * inner.a, b + first * inner.b, run);
            at += run;
            for (i, axis) in outer.iter().enumerate().rev() {
                index[i] += 1;
                a += axis.a;
                b += axis.b;
                if index[i] < axis.count {
                    break;
                }
                a -= axis.a * axis.count;
                b -= axis.b * axis.count;
                index[i] = 0;
            }
        }
    }
}

/// Results `start..start + y.len()` of `y = op(a, b)`.
pub struct Zip<'a> {
    pub op: Binary,
    pub shape: &'a Broadcast,
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub start: usize,
    pub y: &'a mut [f32],
}

impl Loop for Zip<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Zip { op, shape, a, b, start, y } = self;
        let Some(inner) = shape.axes.last() else { return };
        let end = start + y.len();
        // A loop for each way in which the last axis repeats; one operand of a stretch at least is as long as it.
        macro_rules! each {
            ($a:ident, $b:ident => $value:expr) => {
                shape.for_each_run(start, end, |at, at_a, at_b, count| {
                    let y = &mut y[at..at + count];
                    match (inner.a, inner.b) {
                        (0, 0) => {
                            let ($a, $b) = (a[at_a], b[at_b]);
                            y.fill($value);
                        }
                        (0, _) => {
                            let $a = a[at_a];
                            for (y, &$b) in y.iter_mut().zip(&b[at_b..at_b + count]) {
                                *y = $value;
                            }
                        }
                        (_, 0) => {
                            let $b = b[at_b];
                            for (y, &$a) in y.iter_mut().zip(&a[at_a..at_a + count]) {
                                *y = $value;
                            }
                        }
                        _ => {
                            let both = a[at_a..at_a + count].iter().zip(&b[at_b..at_b + count]);
                            for (y, (&$a, &$b)) in y.iter_mut().zip(both) {
                                *y = $value;
                            }
                        }
                    }
                })
            };
        }
        match op {
            Binary::Add => each!(a, b => a + b),
            Binary::Sub => each!(a, b => a - b),
            Binary::Mul => each!(a, b => a * b),
            Binary::Div => each!(a, b => a / b),
            // NaN in either stays NaN.
            Binary::Min => each!(a, b => if b < a || b.is_nan() { b } else { a }),
            Binary::Max => each!(a, b => if b > a || b.is_nan() { b } else { a }),
            Binary::PRelu => each!(a, b => if a < 0.0 { a * b } else { a }),
            Binary::Pow => each!(a, b => power(a, b)),
        }
    }
}
