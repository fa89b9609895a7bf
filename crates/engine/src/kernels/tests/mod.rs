//! Every kernel set of this CPU against the definition of each op, over shapes, strides, zero points, extreme scales and
//! saturating values: by equality.
//!
//! The definitions below read plain `[N, C, H, W]` numbers and know nothing of packing, halos or tiles; one-op graphs go
//! through the planner, so that layout and lowering are tested with the kernels.

mod add_pool;
mod convolution;
mod float;
mod float_math;
mod matmul;
mod products;
mod quantize_copy;
mod shared_buffers;

use super::available;
use crate::graph::Graph;
use crate::plan::Plan;
use crate::session::Session;
use crate::{ElementKind, Tensor};
use std::sync::Arc;

/// Miri and QEMU are slow.
const CASES: u32 = match () {
    () if cfg!(miri) => 3,
    () if cfg!(target_arch = "x86_64") => 2000,
    () => 200,
};

/// Runs a graph on every set, which must agree with `expected`.
fn check(build: impl Fn() -> Graph, inputs: &[Tensor], expected: &Tensor) {
    for set in available() {
        let plan = Plan::new(build(), set).unwrap();
        // Miri finds threads that meet at the same bytes.
        let threads = if cfg!(miri) { 2 } else { 1 };
        let mut session = Session::with_threads(Arc::new(plan), threads).unwrap();
        for (i, input) in inputs.iter().enumerate() {
            session.set_input(i, input.clone()).unwrap();
        }
        // Twice: a run must leave nothing behind that changes the next.
        for _ in 0..2 {
            session.run().unwrap();
            assert_eq!(session.outputs()[0], *expected, "{}", set.name());
        }
    }
}

/// Bytes from a small generator: mostly anything, sometimes only the extremes.
fn bytes(seed: u64, count: usize, extremes: bool) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..count).map(|_| if extremes { [0, 127, 128, 255][usize::from(next() % 4)] } else { next() }).collect()
}

fn tensor(kind: ElementKind, shape: &[usize], bytes: Vec<u8>) -> Tensor {
    if kind == ElementKind::I8 {
        Tensor::new(shape.to_vec(), bytes.into_iter().map(|b| b as i8).collect()).unwrap()
    } else {
        Tensor::new(shape.to_vec(), bytes).unwrap()
    }
}

fn number(kind: ElementKind, byte: u8) -> i32 {
    if kind == ElementKind::I8 { i32::from(byte as i8) } else { i32::from(byte) }
}

/// The contract's rule, in the output's own numbers.
fn requantized(acc: i32, multiplier: f32, zero_point: i32, low: i32, high: i32) -> u8 {
    let rounded = f64::from(acc as f32 * multiplier).round_ties_even();
    (rounded + f64::from(zero_point)).clamp(f64::from(low), f64::from(high)) as i32 as u8
}
