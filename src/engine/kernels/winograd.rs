//! 3×3 convolutions with a stride of 1 by Winograd's minimal filtering F(2×2, 3×3), in integers and exact.
//!
//! Two by two outputs come from a patch of four by four inputs `d` and the kernel `g` as
//! `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A` (Lavin and Gray, *Fast algorithms for convolutional neural networks*, 2015, eq. 8): 16
//! products instead of 36. `G` has halves; with `2G` everything is whole, and `Y` comes out four times too large, which a
//! shift takes back without a remainder. Transformed bytes and weights need 11 and 12 bits, so that products take 16-bit
//! multiplications: worth it where those are no slower than the set's way with bytes.

use super::conv::{ConvStep, Ending, Packed, Unpacked, Way};
use super::memory::{Aligned, Memory, share};
use std::mem::MaybeUninit;

/// Input channels beyond which patches no longer fit their scratch; four times the greatest sum of products stays below
/// 2^31 too.
const MOST_INPUTS: usize = 512;
const MOST_TILES: usize = 8;
const MOST_OUTPUTS: usize = 16;

/// A set's vectors: the steps of the method on a group of tiles.
pub trait Transform {
    /// Tiles of a group.
    const TILES: usize;
    /// Outputs of a panel.
    const PANEL: usize;
    /// Input channels whose weights lie side by side for one output.
    const DEPTH: usize;

    /// `Bᵀ d B` of all channels: position `i` of the patch goes to `u + i * step`.
    ///
    /// # Safety
    /// Needs the set's features; each of `x` must be valid for `channels`, rounded up to eight, and so must each place of `u`.
    unsafe fn input(x: &[*const u8; 16], channels: usize, u: *mut i16, step: usize);

    /// Products of one position: `m[tile][output] = Σ u[tile][channel] * weights[channel][output]`.
    ///
    /// # Safety
    /// Needs the set's features; the pointers must be valid for `TILES` tiles and `PANEL` outputs.
    unsafe fn product(u: *const i16, channels: usize, weights: *const i16, m: *mut i32);

    /// `Aᵀ m A / 4 + bias` of one tile, stored where `y` is not null; positions are `step` apart in `m`.
    ///
    /// # Safety
    /// Needs the set's features; `m`, `bias` and `scale` must be valid for `PANEL` outputs, `y` for `n`.
    unsafe fn output(
        m: *const i32,
        step: usize,
        numbers: (*const i32, *const f32),
        ending: Ending,
        y: [*mut u8; 4],
        n: usize,
    );
}

/// Weights for [`run`], where the convolution is one for it and `pays` says that it is worth it.
pub fn pack<T: Transform>(from: &Unpacked, pays: impl Fn(usize) -> bool) -> Option<Packed> {
    let inputs = from.column?;
    let fits = from.rows_follow && from.taps == 3 && from.run == 3 * inputs && (8..=MOST_INPUTS).contains(&inputs);
    if !fits || !pays(from.outputs) {
        return None;
    }
    let channels = inputs.next_multiple_of(8);
    let panel_bytes = 16 * channels * T::PANEL * 2;
    let mut weights = Aligned::zeroed(from.outputs.div_ceil(T::PANEL) * panel_bytes);
    for o in 0..from.outputs {
        let start = o / T::PANEL * panel_bytes;
        for channel in 0..inputs {
            let kernel = |row: usize, column: usize| i32::from((from.weight)(o, row, column * inputs + channel));
            for (position, weight) in transformed(kernel).into_iter().enumerate() {
                let (group, within) = (channel / T::DEPTH, channel % T::DEPTH);
                let place = ((position * channels / T::DEPTH + group) * T::PANEL + o % T::PANEL) * T::DEPTH + within;
                let at = start + place * 2;
                weights.bytes_mut()[at..at + 2].copy_from_slice(&weight.to_ne_bytes());
            }
        }
    }
    let (bias, scale) = from.filled(T::PANEL);
    let way = Way::Winograd { channels };
    Some(Packed { weights, bias, scale, panel: T::PANEL, groups: 0, panel_bytes, way, widen_at_once: false })
}

/// `2G g (2G)ᵀ`: sixteen numbers of at most 12 bits.
fn transformed(kernel: impl Fn(usize, usize) -> i32) -> [i16; 16] {
    let along = |a: i32, b: i32, c: i32| [2 * a, a + b + c, a - b + c, 2 * c];
    let columns: [[i32; 4]; 3] = std::array::from_fn(|x| along(kernel(0, x), kernel(1, x), kernel(2, x)));
    let mut all = [0; 16];
    for row in 0..4 {
        let across = along(columns[0][row], columns[1][row], columns[2][row]);
        for column in 0..4 {
            all[row * 4 + column] = across[column] as i16;
        }
    }
    all
}

#[repr(C, align(64))]
struct Scratch<T, const N: usize>([MaybeUninit<T>; N]);

/// Runs a thread's share: groups of tiles, for each all panels of outputs.
///
/// # Safety
/// Needs the features of `T`; the step must be a checked one with weights of [`pack`].
#[inline(always)]
pub unsafe fn run<T: Transform>(step: &ConvStep, channels: usize, memory: Memory, (part, parts): (usize, usize)) {
    let mut patches = Scratch([const { MaybeUninit::<i16>::uninit() }; 16 * MOST_TILES * MOST_INPUTS]);
    let mut products = Scratch([const { MaybeUninit::<i32>::uninit() }; 16 * MOST_TILES * MOST_OUTPUTS]);
    let (u, m) = (patches.0.as_mut_ptr().cast::<i16>(), products.0.as_mut_ptr().cast::<i32>());
    let [images, rows, columns] = step.dims;
    let tiles = [images, rows.div_ceil(2), columns.div_ceil(2)];
    let mine = share(tiles[0] * tiles[1] * tiles[2], part, parts);
    let element = step.ending.bytes();
    let place = |tile: usize| (tile / tiles[2] / tiles[1], tile / tiles[2] % tiles[1] * 2, tile % tiles[2] * 2);
    for start in mine.clone().step_by(T::TILES) {
        let count = T::TILES.min(mine.end - start);
        for tile in 0..T::TILES {
            // A group that is not full repeats its last tile.
            let (image, row, column) = place(start + tile.min(count - 1));
            let mut x = [std::ptr::null(); 16];
            for i in 0..16 {
                // What lies beyond the last outputs' inputs cancels out of those that exist: any byte will do.
                let (row, column) = ((row + i / 4).min(rows + 1), (column + i % 4).min(columns + 1));
                x[i] = memory.at(step.x + image * step.x_steps[0] + row * step.x_steps[1] + column * step.x_steps[2]);
            }
            // SAFETY: the patch lies within the input and its halo; the last channels may be read beyond, into the next
            // pixel or the arena's slack, and meet weights of zero.
            unsafe { T::input(&x, channels, u.add(tile * channels), T::TILES * channels) };
        }
        for first in (0..step.outputs).step_by(T::PANEL) {
            let weights = step.packed.weights.as_ptr().wrapping_add(first / T::PANEL * step.packed.panel_bytes);
            let numbers = (step.packed.bias[first..].as_ptr(), step.packed.scale[first..].as_ptr());
            for position in 0..16 {
                // SAFETY: packed for as many channels and outputs.
                unsafe {
                    let weights = weights.cast::<i16>().add(position * channels * T::PANEL);
                    let u = u.add(position * T::TILES * channels);
                    T::product(u, channels, weights, m.add(position * T::TILES * T::PANEL));
                }
            }
            for tile in 0..count {
                let (image, row, column) = place(start + tile);
                let mut y = [std::ptr::null_mut(); 4];
                for i in 0..4 {
                    let (row, column) = (row + i / 2, column + i % 2);
                    if row < rows && column < columns {
                        let at = image * step.y_steps[0] + row * step.y_steps[1] + column * step.y_steps[2];
                        y[i] = memory.at(step.y + at + first * element);
                    }
                }
                let n = T::PANEL.min(step.outputs - first);
                // SAFETY: existing outputs of a checked step.
                unsafe { T::output(m.add(tile * T::PANEL), T::TILES * T::PANEL, numbers, step.ending, y, n) };
            }
        }
    }
}
