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
    match &layer.kind {
        Kind::Conv(_) => layer.groups * layer.depth,
        Kind::Gemm { .. } | Kind::MatMul => layer.depth,
        Kind::ConvTranspose(window) if window.pads.is_some() => layer.depth,
        Kind::ConvTranspose(_) | Kind::Product => 0,
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
        Kind::Conv(window) => {
            let axes = |size: [usize; 2]| [0, 1].map(|axis| Axis::of_convolution(window, axis, size[axis]));
            windows(layer, window, axes, (input, shape), count, places, rows);
        }
        Kind::ConvTranspose(window) => {
            let Some(pads) = window.pads else { return };
            let axes = |size: [usize; 2]| [0, 1].map(|axis| Axis::of_transposed(window, axis, size[axis], pads[axis]));
            windows(layer, window, axes, (input, shape), count, places, rows);
        }
        Kind::Product => {}
    }
}

/// All places where there are few, else `count` of them at random.
fn chosen(all: usize, count: usize, places: &mut Places) -> Vec<usize> {
    if all <= count { (0..all).collect() } else { (0..count).map(|_| places.below(all)).collect() }
}

/// How outputs and taps along one axis meet inputs.
struct Axis {
    /// Inputs.
    size: usize,
    /// Outputs.
    outputs: usize,
    /// Padding before the first input (of a transposed convolution: outputs that are cut off).
    before: isize,
    stride: isize,
    dilation: isize,
    transposed: bool,
}

impl Axis {
    fn of_convolution(window: &Window, axis: usize, size: usize) -> Axis {
        let (before, outputs) = along(window, axis, size);
        Axis::new(window, axis, size, (before, outputs), false)
    }

    /// What `output_padding` adds at the end is left out: rows are a choice anyway.
    fn of_transposed(window: &Window, axis: usize, size: usize, [before, behind]: [usize; 2]) -> Axis {
        let reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
        let outputs = (size.saturating_sub(1) * window.stride[axis] + reach).saturating_sub(before + behind);
        Axis::new(window, axis, size, (before, outputs), true)
    }

    fn new(window: &Window, axis: usize, size: usize, (before, outputs): (usize, usize), transposed: bool) -> Axis {
        let (stride, dilation) = (window.stride[axis] as isize, window.dilation[axis] as isize);
        Axis { size, outputs, before: before as isize, stride, dilation, transposed }
    }

    /// The input that an output takes by a tap, where there is one.
    fn input(&self, output: usize, tap: usize) -> Option<usize> {
        let (output, tap) = (output as isize, tap as isize * self.dilation);
        let at = match self.transposed {
            false => output * self.stride - self.before + tap,
            // An input reaches its outputs from `stride * input - before` on.
            true => {
                let at = output + self.before - tap;
                if at % self.stride != 0 {
                    return None;
                }
                at / self.stride
            }
        };
        usize::try_from(at).ok().filter(|&at| at < self.size)
    }
}

/// Rows of a convolution, or of a transposed one: what an output takes by each of the taps, 0 where that is nothing.
fn windows(
    layer: &Layer,
    window: &Window,
    axes: impl Fn([usize; 2]) -> [Axis; 2],
    (input, shape): (&[f32], &[usize]),
    count: usize,
    places: &mut Places,
    rows: &mut Vec<f32>,
) {
    let (batch, channels, size) = match *shape {
        [n, c, w] => (n, c, [1, w]),
        [n, c, h, w] => (n, c, [h, w]),
        _ => return,
    };
    if channels * window.taps() != layer.groups * layer.depth {
        return;
    }
    let [vertical, horizontal] = axes(size);
    let all = batch * vertical.outputs * horizontal.outputs;
    for at in chosen(all, count, places) {
        let (n, x) = (at / (vertical.outputs * horizontal.outputs), at % horizontal.outputs);
        let y = at / horizontal.outputs % vertical.outputs;
        for channel in 0..channels {
            let plane = &input[(n * channels + channel) * size[0] * size[1]..][..size[0] * size[1]];
            for ky in 0..window.kernel[0] {
                let row = vertical.input(y, ky);
                for kx in 0..window.kernel[1] {
                    let place = row.zip(horizontal.input(x, kx));
                    rows.push(place.map_or(0.0, |(row, column)| plane[row * size[1] + column]));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(kind: Kind, outputs: usize, depth: usize) -> Layer {
        let text = String::new;
        Layer {
            at: 0,
            name: text(),
            kind,
            input: text(),
            weight: text(),
            bias: None,
            output: text(),
            groups: 1,
            outputs,
            depth,
        }
    }

    /// All rows of one plane of 3 × 4.
    fn rows(kind: Kind, taps: usize) -> Vec<Vec<f32>> {
        let input: Vec<f32> = (1..=12).map(|value| value as f32).collect();
        let mut rows = Vec::new();
        add(&layer(kind, 1, taps), &input, &[1, 1, 3, 4], 1000, &mut Places::new(), &mut rows);
        rows.chunks(taps).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn a_transposed_convolution_gives_each_output_the_inputs_that_reach_it() {
        let window = |kernel, stride, pads| Window { kernel, stride, dilation: [1; 2], pads: Some(pads), lower: false };
        for (kernel, stride, pads) in [
            ([2, 2], [2, 2], [[0; 2]; 2]),
            ([4, 4], [2, 2], [[1; 2]; 2]),
            ([3, 3], [2, 2], [[1, 1], [0, 1]]),
            ([3, 2], [1, 3], [[0, 2], [1, 0]]),
        ] {
            let found = rows(Kind::ConvTranspose(window(kernel, stride, pads)), kernel[0] * kernel[1]);
            // As ONNX defines it: each input adds to a window of outputs, from which the padding is cut.
            let full = [2 * stride[0] + kernel[0], 3 * stride[1] + kernel[1]];
            let mut wanted = vec![vec![0.0; kernel[0] * kernel[1]]; full[0] * full[1]];
            for at in 0..12 {
                let (top, left) = (at / 4 * stride[0], at % 4 * stride[1]);
                for (ky, kx) in (0..kernel[0]).flat_map(|ky| (0..kernel[1]).map(move |kx| (ky, kx))) {
                    wanted[(top + ky) * full[1] + left + kx][ky * kernel[1] + kx] = (at + 1) as f32;
                }
            }
            let rows = pads[0][0]..full[0] - pads[0][1];
            let columns = pads[1][0]..full[1] - pads[1][1];
            let places = rows.flat_map(|y| columns.clone().map(move |x| y * full[1] + x));
            let wanted: Vec<Vec<f32>> = places.map(|place| wanted[place].clone()).collect();
            assert!(found == wanted, "{kernel:?} {stride:?} {pads:?}");
        }
    }

    #[test]
    fn a_convolution_takes_its_window_with_zeros_beyond_the_edge() {
        let pads = Some([[1, 0], [0, 0]]);
        let window = Window { kernel: [2, 3], stride: [2, 1], dilation: [1; 2], pads, lower: false };
        let found = rows(Kind::Conv(window), 6);
        assert_eq!(found[0], [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!(found[3], [6.0, 7.0, 8.0, 10.0, 11.0, 12.0]);
        assert_eq!(found.len(), 4);
    }
}
