//! Cuts convolutions into tiles: some pixels by some panels of outputs, in an order that keeps inputs and weights in the
//! caches.

use super::arena::{Arena, View};
use super::conv::ConvStep;
use super::epilogue::Epilogue;
use super::grid::{GridIndex, thread_share};
use super::set::Kernels;

/// A function that computes one tile.
pub type TileKernel = unsafe fn(&Tile);

/// The most pixels of one tile.
pub const MAX_TILE_PIXELS: usize = 16;

/// A tile: up to [`MAX_TILE_PIXELS`] pixels by some panels, one after the other.
pub struct Tile {
    pub x: [*const u8; MAX_TILE_PIXELS],
    /// Where the first panel's outputs go; those of the next follow.
    pub y: [*mut u8; MAX_TILE_PIXELS],
    pub pixels: usize,
    pub taps: *const u32,
    pub tap_count: usize,
    pub groups: usize,
    /// Weights of all panels, without gaps.
    pub weights: *const u8,
    pub bias: *const i32,
    pub scale: *const f32,
    pub panels: usize,
    /// Outputs of these panels that exist.
    pub outputs: usize,
    pub epilogue: Epilogue,
}

/// Bytes of input that all panels are multiplied with before the next bytes are read; they stay in the second-level cache.
const INPUT_BLOCK: usize = 128 << 10;

/// Bytes of weights that every tile is multiplied with before the next weights are; they stay in the first-level cache.
const WEIGHT_BLOCK: usize = 16 << 10;

/// Cuts a thread's share of a convolution into tiles of at most `max_pixels` pixels.
pub fn for_each_tile(
    kernels: &dyn Kernels,
    step: &ConvStep,
    arena: Arena,
    (part, parts): (usize, usize),
    max_pixels: usize,
    mut run: impl FnMut(&Tile),
) {
    let [images, rows, columns] = step.dims;
    let mine = thread_share(images * rows * columns, part, parts);
    let packed = &step.packed;
    let panels = step.outputs.div_ceil(packed.panel);
    let block = (WEIGHT_BLOCK / packed.panel_bytes.max(1)).max(1);
    let chunk = if panels <= block && step.fused_add.is_none() {
        mine.len()
    } else {
        (INPUT_BLOCK * columns / step.x_steps[1].max(1)).max(4 * max_pixels)
    };
    let element = step.epilogue.bytes();
    let mut tile = Tile {
        x: [std::ptr::null(); MAX_TILE_PIXELS],
        y: [std::ptr::null_mut(); MAX_TILE_PIXELS],
        pixels: 0,
        taps: step.taps.as_ptr(),
        tap_count: step.taps.len(),
        groups: packed.groups,
        weights: std::ptr::null(),
        bias: std::ptr::null(),
        scale: std::ptr::null(),
        panels: 0,
        outputs: 0,
        epilogue: step.epilogue,
    };
    let mut start = mine.start;
    while start < mine.end {
        let end = mine.end.min(start + chunk.max(1));
        for panel in (0..panels).step_by(block) {
            let first = panel * packed.panel;
            tile.weights = packed.weights.as_ptr().wrapping_add(panel * packed.panel_bytes);
            tile.bias = packed.bias[first..].as_ptr();
            tile.scale = packed.scale[first..].as_ptr();
            tile.panels = block.min(panels - panel);
            tile.outputs = (tile.panels * packed.panel).min(step.outputs - first);
            // Tiles of nearly equal size: a short last one would waste the weights it loads.
            let tiles = (end - start).div_ceil(max_pixels);
            let mut index = GridIndex::of(start, step.dims);
            for i in 0..tiles {
                let count = thread_share(end - start, i, tiles).len();
                tile.pixels = count;
                let mut at = 0;
                while at < count {
                    let here = (count - at).min(columns - index.column);
                    let x = arena.at(step.x + index.offset(step.x_steps));
                    let y = arena.at(step.y + index.offset(step.y_steps) + first * element);
                    for i in 0..here {
                        tile.x[at + i] = x.wrapping_add(i * step.x_steps[2]);
                        tile.y[at + i] = y.wrapping_add(i * step.y_steps[2]);
                    }
                    at += here;
                    index.advance(here, step.dims);
                }
                run(&tile);
            }
        }
        let mut index = GridIndex::of(start, step.dims);
        let mut left = if step.fused_add.is_some() { end - start } else { 0 };
        while left > 0 {
            let here = left.min(columns - index.column);
            run_fused_add(step, kernels, arena, index, here);
            left -= here;
            index.advance(here, step.dims);
        }
        start = end;
    }
}

/// Computes the sum that is fused into a convolution, if there is one, of `count` pixels of a row.
pub fn run_fused_add(step: &ConvStep, kernels: &dyn Kernels, arena: Arena, first: GridIndex, count: usize) {
    let Some(add) = &step.fused_add else { return };
    // Whole pixels without gaps are one stretch.
    let dense = [add.a, add.b, add.y].iter().all(|view| view.strides[2] == step.outputs);
    let (stretches, len) = if dense { (1, count * step.outputs) } else { (count, step.outputs) };
    for column in first.column..first.column + stretches {
        let at = |view: &View| arena.at(view.pixel(first.image, first.row, column));
        // SAFETY: pixels of the step's checked views.
        unsafe { kernels.add_contiguous(add, [at(&add.a), at(&add.b)], at(&add.y), len) };
    }
}

/// Calls `run` with pointers to the first input byte and the first output byte of every row of a thread's share.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub fn for_each_output_row(
    step: &ConvStep,
    arena: Arena,
    (part, parts): (usize, usize),
    mut run: impl FnMut(*const u8, *mut u8),
) {
    let [images, rows, _] = step.dims;
    for row in thread_share(images * rows, part, parts) {
        let index = GridIndex { image: row / rows, row: row % rows, column: 0 };
        run(arena.at(step.x + index.offset(step.x_steps)), arena.at(step.y + index.offset(step.y_steps)));
    }
}
