//! What a layer takes for single elements of its output: rows, each with one number for each weight of all groups.

use super::{Kind, Layer, Window};

/// Chooses places in outputs, the same for the same number of calls.
pub struct Places(u64);

impl Places {
    /// Begins anew.
    pub fn new() -> Places {
        Places::seeded(0)
    }

    /// Another sequence for each seed.
    pub fn seeded(seed: u64) -> Places {
        Places(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// A number below `end` (SplitMix64, Steele et al. 2014).
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((u128::from(z) * end as u128) >> 64) as usize
    }
}

/// Numbers in a row of `layer`; 0 where it gives none.
pub fn width(layer: &Layer) -> usize {
    match layer.kind {
        Kind::Conv(_) => layer.groups * layer.depth,
        Kind::Gemm { .. } | Kind::MatMul => layer.depth,
        Kind::ConvTranspose | Kind::Product => 0,
    }
}

/// Adds up to `count` rows of one sample's input to `rows`. An input of another shape than the layer takes adds none.
pub fn add(layer: &Layer, input: &[f32], shape: &[usize], count: usize, places: &mut Places, rows: &mut Vec<f32>) {
    match &layer.kind {
        Kind::Gemm { .. } | Kind::MatMul => {
            let all = input.len() / layer.depth.max(1);
            if shape.last() != Some(&layer.depth) {
                return;
            }
            for at in chosen(all, count, places) {
                rows.extend_from_slice(&input[at * layer.depth..][..layer.depth]);
            }
        }
        Kind::Conv(window) => convolution(layer, window, input, shape, count, places, rows),
        Kind::ConvTranspose | Kind::Product => {}
    }
}

/// All places where there are few, else `count` of them at random.
fn chosen(all: usize, count: usize, places: &mut Places) -> Vec<usize> {
    if all <= count { (0..all).collect() } else { (0..count).map(|_| places.below(all)).collect() }
}

fn convolution(
    layer: &Layer,
    window: &Window,
    input: &[f32],
    shape: &[usize],
    count: usize,
    places: &mut Places,
    rows: &mut Vec<f32>,
) {
    let (batch, channels, size) = match *shape {
        [n, c, w] => (n, c, [1, w]),
        [n, c, h, w] => (n, c, [h, w]),
        _ => return,
    };
    let taps = window.kernel[0] * window.kernel[1];
    if channels * taps != layer.groups * layer.depth {
        return;
    }
    let [(first_row, output_rows), (first_column, output_columns)] = [0, 1].map(|axis| along(window, axis, size[axis]));
    let all = batch * output_rows * output_columns;
    for at in chosen(all, count, places) {
        let (n, y, x) = (at / (output_rows * output_columns), at / output_columns % output_rows, at % output_columns);
        let origin = [
            (y * window.stride[0]) as isize - first_row as isize,
            (x * window.stride[1]) as isize - first_column as isize,
        ];
        for channel in 0..channels {
            let plane = &input[(n * channels + channel) * size[0] * size[1]..][..size[0] * size[1]];
            for ky in 0..window.kernel[0] {
                for kx in 0..window.kernel[1] {
                    let row = origin[0] + (ky * window.dilation[0]) as isize;
                    let column = origin[1] + (kx * window.dilation[1]) as isize;
                    let inside = (0..size[0] as isize).contains(&row) && (0..size[1] as isize).contains(&column);
                    rows.push(if inside { plane[row as usize * size[1] + column as usize] } else { 0.0 });
                }
            }
        }
    }
}

/// Padding before, and the number of outputs, along one axis.
fn along(window: &Window, axis: usize, size: usize) -> (usize, usize) {
    let reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
    let stride = window.stride[axis];
    match window.pads {
        Some(pads) => {
            let [before, behind] = pads[axis];
            (before, (size + before + behind + stride).saturating_sub(reach) / stride)
        }
        None => {
            let outputs = size.div_ceil(stride);
            let total = ((outputs.max(1) - 1) * stride + reach).saturating_sub(size);
            (if window.lower { total.div_ceil(2) } else { total / 2 }, outputs)
        }
    }
}
