//! The interface of a kernel set: what each instruction set implements.

use super::add::AddStep;
use super::arena::Arena;
use super::conv::{ConvStep, ConvWeights, PackedConv};
use super::depthwise::{DepthwiseStep, DepthwiseWeights, PackedDepthwise};
use super::elementwise::for_each_contiguous_pair;
use super::float::Isa;
use super::matmul::{self, MatMulRows, MatMulStep};
use super::mul::{MulStep, mul_contiguous};
use super::quantize::{self, QuantParams};

/// One instruction set's kernels.
pub trait Kernels: Sync {
    /// The name by which callers ask for it.
    fn name(&self) -> &'static str;

    /// Whether activations are stored as `i8`.
    fn signed(&self) -> bool;

    /// How many of a convolution's outputs to compute with one panel width. The remaining outputs are computed as a
    /// second step, with a width that suits them better.
    fn split_outputs(&self, outputs: usize) -> usize {
        outputs
    }

    /// Reorders weights for this set's convolution kernels.
    fn pack(&self, weights: &ConvWeights) -> PackedConv;

    /// Runs a thread's share of a convolution.
    fn conv(&self, step: &ConvStep, arena: Arena, part: (usize, usize));

    /// Reorders weights for this set's depthwise kernels.
    fn pack_depthwise(&self, weights: &DepthwiseWeights) -> PackedDepthwise;

    /// Runs a thread's share of a depthwise convolution.
    fn depthwise(&self, step: &DepthwiseStep, arena: Arena, part: (usize, usize));

    /// `count` contiguous elements of a sum; `y` may be one of the operands.
    ///
    /// # Safety
    /// The pointers must be valid for as many bytes.
    unsafe fn add_contiguous(&self, step: &AddStep, x: [*const u8; 2], y: *mut u8, count: usize);

    /// Runs a thread's share of a sum.
    fn add(&self, step: &AddStep, arena: Arena, part: (usize, usize)) {
        for_each_contiguous_pair(&step.y, &[step.a, step.b], arena, part, |x, y, count| {
            // SAFETY: rows of checked views.
            unsafe { self.add_contiguous(step, x, y, count) }
        });
    }

    /// `count` contiguous elements of a product; `y` may be one of the operands.
    ///
    /// # Safety
    /// The pointers must be valid for as many bytes.
    unsafe fn mul_contiguous(&self, step: &MulStep, x: [*const u8; 2], y: *mut u8, count: usize) {
        // SAFETY: promised by the caller.
        unsafe { mul_contiguous(step, self.signed(), x, y, count) }
    }

    /// Runs a thread's share of a product.
    fn mul(&self, step: &MulStep, arena: Arena, part: (usize, usize)) {
        for_each_contiguous_pair(&step.y, &[step.a, step.b], arena, part, |x, y, count| {
            // SAFETY: rows of checked views.
            unsafe { self.mul_contiguous(step, x, y, count) }
        });
    }

    /// What float ops are compiled for.
    fn float_isa(&self) -> Isa {
        Isa::PLAIN
    }

    /// Some rows of a product of two computed matrices.
    ///
    /// # Safety
    /// The matrices must be those of a checked step.
    unsafe fn matmul_rows(&self, job: &MatMulRows) {
        // SAFETY: promised by the caller.
        unsafe { matmul::rows(job, self.signed()) }
    }

    /// Runs a thread's share of a product of two computed matrices.
    fn matmul(&self, step: &MatMulStep, zero_points: (i32, i32), arena: Arena, part: (usize, usize)) {
        step.for_each_rows(zero_points, arena, part, |job| {
            // SAFETY: rows of a checked step.
            unsafe { self.matmul_rows(job) }
        });
    }

    /// Floats to bytes.
    fn quantize(&self, x: &[f32], y: &mut [u8], params: QuantParams) {
        quantize::quantize(x, y, params);
    }

    /// Bytes to floats.
    fn dequantize(&self, x: &[u8], y: &mut [f32], params: QuantParams) {
        quantize::dequantize(x, y, params);
    }
}
