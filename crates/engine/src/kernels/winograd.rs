//! 3×3 convolutions with a stride of 1 by Winograd's minimal filtering F(4×4, 3×3), in integers and exact.
//!
//! Four by four outputs come from a patch of six by six inputs `d` and the kernel `g` as
//! `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A` (Lavin and Gray, *Fast algorithms for convolutional neural networks*, 2015, section
//! 4.3): 36 products instead of 144. The rows of `G` have denominators of 4, 6, 6, 24, 24 and 1. Here `G` is multiplied by
//! these and the columns of `A` by what is left to 24, so that everything is whole and `Y` comes out 576 = 9 · 2⁶ times too
//! large. Sums may wrap around 2³²: multiplying by the inverse of 9 modulo 2³² takes the nine back, a shift the rest, and
//! the result is right whenever it fits 26 bits, which packing makes sure of.
//!
//! Transformed bytes need 16 bits and transformed weights 14, so that products take 16-bit multiplications: a quarter of
//! them at half the rate or better, and eight times the memory for weights.

use super::arena::{AlignedBytes, Arena};
use super::conv::{Algorithm, ConvStep, ConvWeights, PackedConv};
use super::epilogue::Epilogue;
use super::grid::{GridIndex, thread_share};
use super::set::Kernels;
use super::tiles::run_fused_add;

/// Elements of a patch.
pub const PATCH: usize = 36;

/// 9 · this = 1 modulo 2³².
pub const INVERSE_OF_9: i32 = 954_437_177;

/// Bytes of transformed input that one group of tiles may take; they stay in the second-level cache.
const GROUP: usize = 128 << 10;

/// The steps of the method for one width of panels.
pub struct Method {
    /// Outputs of a panel.
    pub panel: usize,
    /// Input channels that are transformed at once.
    pub channels: usize,
    /// Input channels whose weights lie side by side for one output.
    pub depth: usize,
    /// The position of an output in the vectors of its panel.
    pub position: fn(usize) -> usize,
    pub input: Input,
    /// By tiles less one.
    pub products: &'static [Products],
    pub output: Output,
}

/// `Bᵀ d B` of as many channels, of the pixels at six rows and, from there, six columns: position `i` of the patch goes to
/// `u + i * step`.
///
/// # Safety
/// Needs the set's features. Each of the pixels must be valid for that many channels, and so must each position of `u`.
pub type Input = unsafe fn(rows: &[*const u8; 6], columns: &[usize; 6], channels: usize, u: *mut i16, step: usize);

/// `m[tile][output] = Σ u[tile][channel] * weights[channel][output]` for one position, a panel and some tiles.
///
/// # Safety
/// Needs the set's features; the pointers must be valid for that many.
pub type Products = unsafe fn(u: *const i16, channels: usize, weights: *const i16, m: *mut i32);

/// `Aᵀ m A / 576 + bias` of one tile; positions are `step` apart in `m`.
///
/// # Safety
/// Needs the set's features; `m`, bias and scale must be valid for a panel of outputs, `y` for its rows, columns and outputs.
pub type Output =
    unsafe fn(m: *const i32, step: usize, numbers: (*const i32, *const f32), epilogue: Epilogue, y: &Pixels);

/// Where a tile's outputs go.
pub struct Pixels {
    pub first: *mut u8,
    /// Bytes from one row, one column to the next.
    pub steps: [usize; 2],
    /// Rows and columns that exist, at most four.
    pub counts: [usize; 2],
    /// Outputs of a pixel.
    pub outputs: usize,
}

/// Weights for [`run`], where the convolution is one for it.
pub fn pack(method: &Method, from: &ConvWeights) -> Option<PackedConv> {
    let inputs = from.column?;
    let shape = from.rows_adjacent && from.taps == 3 && from.run == 3 * inputs;
    let sum = |weights: &[i8]| weights.iter().map(|&weight| i64::from(weight).abs()).sum::<i64>();
    // 26 bits with their sign, for any input bytes.
    if !shape || !from.weights.chunks_exact(9 * inputs).all(|weights| sum(weights) * 255 < 1 << 25) {
        return None;
    }
    let channels = inputs.next_multiple_of(method.channels);
    let panel_bytes = PATCH * channels * method.panel * 2;
    let panels = from.outputs.div_ceil(method.panel);
    let mut weights = AlignedBytes::zeroed(panels * panel_bytes);
    let bytes = weights.bytes_mut();
    let (mut bias, mut scale) = (vec![0; panels * method.panel], vec![1.0; panels * method.panel]);
    for o in 0..from.outputs {
        let (panel, lane) = (o / method.panel, (method.position)(o % method.panel));
        bias[panel * method.panel + lane] = from.bias[o];
        scale[panel * method.panel + lane] = from.scale[o];
        for channel in 0..inputs {
            let kernel = |row: usize, column: usize| i32::from(from.weight(o, row, column * inputs + channel));
            for (position, weight) in transformed(kernel).into_iter().enumerate() {
                let (group, within) = (channel / method.depth, channel % method.depth);
                let group = position * channels / method.depth + group;
                let at = panel * panel_bytes + ((group * method.panel + lane) * method.depth + within) * 2;
                bytes[at..at + 2].copy_from_slice(&weight.to_ne_bytes());
            }
        }
    }
    let max_tiles = method.products.len();
    let tiles = (GROUP / (PATCH * channels * 2) / max_tiles).max(1) * max_tiles;
    // Patches of a group, products of as many tiles as are computed at once.
    let scratch = (PATCH * (tiles * channels * 2 + max_tiles * method.panel * 4)).next_multiple_of(64);
    let algorithm = Algorithm::Winograd { channels, tiles, scratch };
    Some(PackedConv {
        weights,
        bias,
        scale,
        panel: method.panel,
        groups: 0,
        panel_bytes,
        algorithm,
        widen_each_product: false,
    })
}

/// `G g Gᵀ` with the rows of `G` made whole: numbers of at max_tiles 14 bits.
fn transformed(kernel: impl Fn(usize, usize) -> i32) -> [i16; PATCH] {
    let along = |a: i32, b: i32, c: i32| [a, -a - b - c, -a + b - c, a + 2 * b + 4 * c, a - 2 * b + 4 * c, c];
    let columns: [[i32; 6]; 3] = std::array::from_fn(|x| along(kernel(0, x), kernel(1, x), kernel(2, x)));
    let mut all = [0; PATCH];
    for row in 0..6 {
        let across = along(columns[0][row], columns[1][row], columns[2][row]);
        for column in 0..6 {
            all[row * 6 + column] = across[column] as i16;
        }
    }
    all
}

/// Bytes that a thread needs for its patches and products.
pub fn scratch_bytes(packed: &PackedConv) -> usize {
    if let Algorithm::Winograd { scratch, .. } = packed.algorithm { scratch } else { 0 }
}

/// Runs a thread's share: groups of tiles, for each all panels of outputs.
pub fn run(kernels: &dyn Kernels, method: &Method, step: &ConvStep, arena: Arena, (part, parts): (usize, usize)) {
    let Algorithm::Winograd { channels, tiles: group, scratch } = step.packed.algorithm else { return };
    let scratch = arena.at(step.scratch + part * scratch);
    let u = scratch.cast::<i16>();
    let m = scratch.wrapping_add(PATCH * group * channels * 2).cast::<i32>();
    let (panel, element) = (step.packed.panel, step.epilogue.bytes());
    let [images, rows, columns] = step.dims;
    let across = [images, rows.div_ceil(4), columns.div_ceil(4)];
    let mine = thread_share(across.iter().product(), part, parts);
    let mut index = GridIndex::of(mine.start, across);
    for start in mine.clone().step_by(group) {
        let count = group.min(mine.end - start);
        let first_index = index;
        for tile in 0..count {
            let GridIndex { image, row, column } = index;
            // What lies beyond the inputs of the last outputs that exist cancels out of these: any byte will do.
            let row_of = |i: usize| step.x + image * step.x_steps[0] + (row * 4 + i).min(rows + 1) * step.x_steps[1];
            let x: [*const u8; 6] = std::array::from_fn(|i| arena.at(row_of(i)).cast_const());
            let offsets = std::array::from_fn(|i| (column * 4 + i).min(columns + 1) * step.x_steps[2]);
            // SAFETY: a set is offered only where the CPU has its features; the patch lies within the input and its halo,
            // and channels beyond the last, which are multiplied by weights of zero, within the arena and its slack.
            unsafe { (method.input)(&x, &offsets, channels, u.add(tile * channels), group * channels) };
            index.advance(1, across);
        }
        for first in (0..step.outputs).step_by(panel) {
            let weights = step.packed.weights.as_ptr().wrapping_add(first / panel * step.packed.panel_bytes);
            let numbers = (step.packed.bias[first..].as_ptr(), step.packed.scale[first..].as_ptr());
            let blocks = count.div_ceil(method.products.len());
            let mut index = first_index;
            for block in (0..blocks).map(|i| thread_share(count, i, blocks)) {
                for position in 0..PATCH {
                    // SAFETY: packed for as many channels and outputs; the scratch holds as many tiles.
                    unsafe {
                        let weights = weights.cast::<i16>().add(position * channels * panel);
                        let u = u.add((position * group + block.start) * channels);
                        let m = m.add(position * block.len() * panel);
                        method.products[block.len() - 1](u, channels, weights, m);
                    }
                }
                for tile in 0..block.len() {
                    let (row, column) = (index.row * 4, index.column * 4);
                    let at = index.image * step.y_steps[0] + row * step.y_steps[1] + column * step.y_steps[2];
                    let y = Pixels {
                        first: arena.at(step.y + at + first * element),
                        steps: [step.y_steps[1], step.y_steps[2]],
                        counts: [(rows - row).min(4), (columns - column).min(4)],
                        outputs: panel.min(step.outputs - first),
                    };
                    // SAFETY: existing outputs of a checked step.
                    unsafe { (method.output)(m.add(tile * panel), block.len() * panel, numbers, step.epilogue, &y) };
                    index.advance(1, across);
                }
            }
        }
        let mut index = first_index;
        for _ in 0..if step.fused_add.is_some() { count } else { 0 } {
            let (row, column) = (index.row * 4, index.column * 4);
            for row in row..rows.min(row + 4) {
                run_fused_add(
                    step,
                    kernels,
                    arena,
                    GridIndex { image: index.image, row, column },
                    (columns - column).min(4),
                );
            }
            index.advance(1, across);
        }
    }
}
