//! What makes a kernel set of the functions that are generic over [`Simd`]: the table of an instruction set's functions,
//! and the trait [`Kernels`] for it.

use super::depthwise::{is_whole, uses_row_pairs};
use super::lanes::{in_lane_order, write_dot4_group};
use super::narrow_output;
use super::simd::{AddParams, Simd, order};
use crate::kernels::Kernels;
use crate::kernels::add::AddStep;
use crate::kernels::arena::{AlignedBytes, Arena, SIGNED};
use crate::kernels::conv::{Algorithm, ConvStep, ConvWeights, PackedConv};
use crate::kernels::depthwise::{DepthwiseStep, DepthwiseWeights, PackedDepthwise, for_each_row_group};
use crate::kernels::float::Isa;
use crate::kernels::matmul::MatMulRows;
use crate::kernels::mul::MulStep;
use crate::kernels::quantize::QuantParams;
use crate::kernels::tiles::{TileKernel, for_each_tile};
use crate::kernels::winograd::{self, Method};
use std::marker::PhantomData;

/// The functions of one instruction set, compiled with its features.
pub struct Set<S> {
    pub name: &'static str,
    /// By vectors of a panel less one, then by pixels less one.
    pub tiles: [&'static [TileKernel]; 4],
    pub depthwise: unsafe fn(&DepthwiseStep, *const u8, *mut u8, usize),
    pub narrow_output: narrow_output::SumColumns,
    pub add: unsafe fn([*const u8; 2], *mut u8, usize, &AddParams),
    pub matmul: unsafe fn(&MatMulRows),
    pub mul: unsafe fn(&MulStep, [*const u8; 2], *mut u8, usize),
    /// By width of panels.
    pub winograd: &'static [Method],
    pub quantize: unsafe fn(&[f32], &mut [u8], QuantParams),
    pub dequantize: unsafe fn(&[u8], &mut [f32], QuantParams),
    pub float: Isa,
    pub simd: PhantomData<fn() -> S>,
}

impl<S: Simd> Set<S> {
    /// Vectors of a panel: as few padded outputs as possible, then as wide as possible.
    fn vectors(&self, outputs: usize) -> usize {
        let cost = |nv: &usize| (outputs.div_ceil(nv * S::LANES) * nv, usize::MAX - nv);
        (1..=4).filter(|nv| !self.tiles[nv - 1].is_empty()).min_by_key(cost).unwrap_or(1)
    }
}

impl<S: Simd> Kernels for Set<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signed(&self) -> bool {
        SIGNED
    }

    fn float_isa(&self) -> Isa {
        self.float
    }

    fn split_outputs(&self, outputs: usize) -> usize {
        let vectors = outputs.div_ceil(S::LANES);
        let widest = self.tiles.iter().rposition(|tiles| !tiles.is_empty()).unwrap_or(0) + 1;
        match vectors {
            5 if widest > 2 => 3 * S::LANES,
            // Panels of four until panels of three take the rest.
            7.. if widest == 4 && vectors % 4 != 0 && vectors % 3 != 0 => vectors % 3 * 4 * S::LANES,
            _ => outputs,
        }
    }

    fn pack(&self, from: &ConvWeights) -> PackedConv {
        if let Some(packed) = narrow_output::pack::<S>(&self.tiles, from) {
            return packed;
        }
        if let Some(packed) = super::winograd::pack(self.winograd, from) {
            return packed;
        }
        let nv = self.vectors(from.outputs);
        let panel = nv * S::LANES;
        let order = order(nv, S::LANES);
        let groups = from.run.div_ceil(4);
        let vector = S::LANES * S::QUAD;
        let panel_bytes = from.taps * groups * nv * vector;
        let mut weights = AlignedBytes::zeroed(from.outputs.div_ceil(panel) * panel_bytes);
        let bytes = weights.bytes_mut();
        for (index, panel_weights) in bytes.chunks_exact_mut(panel_bytes.max(1)).enumerate() {
            // In the order in which they are written: what is read lies apart, but in few places.
            for (at, to) in panel_weights.chunks_exact_mut(nv * vector).enumerate() {
                let (tap, first) = (at / groups, at % groups * 4);
                for (position, &output) in order.iter().enumerate() {
                    let output = index * panel + output;
                    if output >= from.outputs {
                        continue;
                    }
                    let run = &from.weights[(output * from.taps + tap) * from.run..][..from.run];
                    let quad = std::array::from_fn(|i| run.get(first + i).copied().unwrap_or(0).into());
                    let to = &mut to[position / S::LANES * vector..][..vector];
                    write_dot4_group(to, S::LANES, position % S::LANES, quad, S::QUAD);
                }
            }
        }
        let (bias, scale) = (in_lane_order(from.bias, 0, panel, &order), in_lane_order(from.scale, 1.0, panel, &order));
        PackedConv {
            weights,
            bias,
            scale,
            panel,
            groups,
            panel_bytes,
            algorithm: Algorithm::Tiles,
            widen_each_product: false,
        }
    }

    fn conv(&self, step: &ConvStep, arena: Arena, part: (usize, usize)) {
        match step.packed.algorithm {
            Algorithm::Tiles => {}
            Algorithm::Columns(columns) => {
                let tiles = self.tiles[step.packed.panel / S::LANES - 1];
                return narrow_output::run(tiles, self.narrow_output, step, columns, arena, part);
            }
            Algorithm::Winograd { .. } => {
                let method = self.winograd.iter().find(|method| method.panel == step.packed.panel);
                return method.into_iter().for_each(|method| winograd::run(self, method, step, arena, part));
            }
        }
        let tiles = self.tiles[step.packed.panel / S::LANES - 1];
        for_each_tile(self, step, arena, part, tiles.len(), |tile| {
            // SAFETY: a set is offered only where the CPU has its features; steps are checked when planned.
            unsafe { tiles[tile.pixels - 1](tile) }
        });
    }

    fn pack_depthwise(&self, from: &DepthwiseWeights) -> PackedDepthwise {
        let (quads, pixels) = (from.quads(), from.pixels(S::MAX_PIXELS_AT_ONCE));
        // Weights of sixteen bits hold the whole sum.
        let summands = if S::QUAD == 8 { 1 } else { from.summands };
        let (mut bytes, mut bias, mut scale) = (Vec::new(), Vec::new(), Vec::new());
        let mut channel = 0;
        while channel < from.channels {
            let lanes = if is_whole::<S>(from.channels - channel) { S::LANES } else { S::Half::LANES };
            let (order, vector) = (order(4, lanes), lanes * S::QUAD);
            let of = |position: usize| Some(channel + order[position]).filter(|&c| c < from.channels);
            for row in 0..from.kernel[0] {
                for quad in 0..quads {
                    for (summand, pixel) in (0..summands).flat_map(|s| (0..pixels).map(move |p| (s, p))) {
                        let mut to = vec![0; 4 * vector];
                        for position in 0..4 * lanes {
                            let Some(channel) = of(position) else { continue };
                            let at = position / lanes * vector;
                            let part = |summand: usize| from.quad(channel, row, quad, pixel, summand).map(i16::from);
                            let quad = match S::QUAD {
                                8 => (0..from.summands)
                                    .map(part)
                                    .fold([0; 4], |all, part| std::array::from_fn(|i| all[i] + part[i])),
                                _ => part(summand),
                            };
                            write_dot4_group(&mut to[at..at + vector], lanes, position % lanes, quad, S::QUAD);
                        }
                        bytes.extend(to);
                    }
                }
            }
            for position in 0..4 * lanes {
                bias.push(of(position).map_or(0, |c| from.bias[c]));
                scale.push(of(position).map_or(1.0, |c| from.scale[c]));
            }
            channel += 4 * lanes;
        }
        let mut weights = AlignedBytes::zeroed(bytes.len());
        weights.bytes_mut().copy_from_slice(&bytes);
        PackedDepthwise { weights, bias, scale, pixels, summands, columns: from.columns(), widen_each_product: false }
    }

    fn depthwise(&self, step: &DepthwiseStep, arena: Arena, part: (usize, usize)) {
        let max_rows = if S::MAX_PIXELS_AT_ONCE >= 4 && uses_row_pairs(step) { 2 } else { 1 };
        for_each_row_group(step, arena, part, max_rows, |x, y, rows| {
            // SAFETY: as in `conv`; two rows only where these make patches.
            unsafe { (self.depthwise)(step, x, y, rows) }
        });
    }

    unsafe fn add_contiguous(&self, step: &AddStep, x: [*const u8; 2], y: *mut u8, count: usize) {
        let AddStep { shifts, ratios, fixed, low, high, .. } = *step;
        // SAFETY: as in `conv`; the pointers are promised by the caller.
        unsafe { (self.add)(x, y, count, &AddParams { shifts, ratios, fixed, low, high }) }
    }

    unsafe fn matmul_rows(&self, job: &MatMulRows) {
        // SAFETY: as in `conv`; the matrices are promised by the caller.
        unsafe { (self.matmul)(job) }
    }

    unsafe fn mul_contiguous(&self, step: &MulStep, x: [*const u8; 2], y: *mut u8, count: usize) {
        // SAFETY: as in `conv`; the pointers are promised by the caller.
        unsafe { (self.mul)(step, x, y, count) }
    }

    fn quantize(&self, x: &[f32], y: &mut [u8], params: QuantParams) {
        // SAFETY: as in `conv`.
        unsafe { (self.quantize)(x, y, params) }
    }

    fn dequantize(&self, x: &[u8], y: &mut [f32], params: QuantParams) {
        // SAFETY: as in `conv`.
        unsafe { (self.dequantize)(x, y, params) }
    }
}

/// The table of tile functions of a set: for each panel width, one for each number of pixels.
macro_rules! tile_table {
    ($simd:ty, $features:literal, $($nv:literal: [$($mr:literal)*]),*) => {{
        #[target_feature(enable = $features)]
        unsafe fn run<const MR: usize, const NV: usize>(t: &$crate::kernels::tiles::Tile) {
            // SAFETY: passed on to the caller.
            unsafe { $crate::kernels::x86_64::tile::tile::<$simd, MR, NV>(t) }
        }
        [$(&[$(run::<$mr, $nv> as $crate::kernels::tiles::TileKernel),*]),*]
    }};
}
pub(super) use tile_table;

/// The functions of a set other than tiles, compiled with its features.
macro_rules! row_kernels {
    ($simd:ty, $features:literal) => {
        #[target_feature(enable = $features)]
        unsafe fn depthwise(step: &$crate::kernels::depthwise::DepthwiseStep, x: *const u8, y: *mut u8, rows: usize) {
            // SAFETY: passed on to the caller.
            unsafe { $crate::kernels::x86_64::depthwise::depthwise::<$simd>(step, x, y, rows) }
        }

        #[target_feature(enable = $features)]
        unsafe fn narrow_output(step: &$crate::kernels::conv::ConvStep, lanes: *const i32, y: *mut u8, count: usize) {
            // SAFETY: passed on to the caller.
            unsafe { $crate::kernels::x86_64::narrow_output::sum_columns::<$simd>(step, lanes, y, count) }
        }

        #[target_feature(enable = $features)]
        unsafe fn add(x: [*const u8; 2], y: *mut u8, count: usize, params: &$crate::kernels::x86_64::simd::AddParams) {
            // SAFETY: passed on to the caller.
            unsafe { $crate::kernels::x86_64::tile::add_contiguous::<$simd>(x, y, count, params) }
        }

        #[target_feature(enable = $features)]
        unsafe fn matmul(job: &$crate::kernels::matmul::MatMulRows) {
            // SAFETY: passed on to the caller.
            unsafe { $crate::kernels::x86_64::matmul::matmul::<$simd>(job) }
        }

        // Portable loops, compiled with the set's features.
        #[target_feature(enable = $features)]
        unsafe fn mul(step: &$crate::kernels::mul::MulStep, x: [*const u8; 2], y: *mut u8, count: usize) {
            // SAFETY: passed on to the caller.
            unsafe { $crate::kernels::mul::mul_contiguous(step, $crate::kernels::arena::SIGNED, x, y, count) }
        }

        #[target_feature(enable = $features)]
        unsafe fn quantize(x: &[f32], y: &mut [u8], params: $crate::kernels::quantize::QuantParams) {
            $crate::kernels::quantize::quantize_by_reciprocal(x, y, params);
        }

        #[target_feature(enable = $features)]
        unsafe fn dequantize(x: &[u8], y: &mut [f32], params: $crate::kernels::quantize::QuantParams) {
            $crate::kernels::quantize::dequantize(x, y, params);
        }
    };
}
pub(super) use row_kernels;
