//! Rounding of weights that makes the layer's output, not the weights, least wrong.
//!
//! With x̃ what the layer takes in bytes, the weights w of an output are rounded one after another, each taking what the ones before lost:
//! `argmin |R (w − q)|` with `RᵀR = E x̃ x̃ᵀ` by successive rounding (Babai 1986; with weights in the same order that is GPTQ, Frantar et
//! al. 2023). Weights moved beforehand to the least squares solution of `x̃ w' = x w` were worse on every network that was measured:
//! channels that seldom fire, and are cut off where they do, got weights that the few samples with them asked for.

use super::Layer;
use crate::linear::{Columns, factor, products, subtract};

/// The largest magnitude of a rounded weight.
const MOST: f32 = 127.0;
/// Added to the diagonal, as a part of its mean: directions that samples hardly show are not trusted.
const DAMPING: f32 = 0.01;
/// More weights of an output than this are rounded to the nearest: the matrix would take more than 64 MiB.
const MOST_DEPTH: usize = 4096;

/// Rounded weights of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Rounded {
    /// Output after output.
    pub weights: Vec<i8>,
    /// The step of each output.
    pub scales: Vec<f32>,
}

impl Rounded {
    /// The floats that the rounded weights stand for, output after output.
    pub fn floats(&self) -> Vec<f32> {
        let depth = self.weights.len() / self.scales.len().max(1);
        self.weights.iter().enumerate().map(|(at, &w)| f32::from(w) * self.scales[at / depth.max(1)]).collect()
    }
}

/// The step of each output: that of the largest weight, or of all where there is to be one.
pub fn steps(weights: &[f32], outputs: usize, per_channel: bool) -> Vec<f32> {
    let depth = (weights.len() / outputs.max(1)).max(1);
    let largest = |row: &[f32]| row.iter().fold(0f32, |most, w| most.max(w.abs()));
    let step = |most: f32| if most > 0.0 { (most / MOST).max(f32::MIN_POSITIVE) } else { 1.0 };
    if per_channel {
        weights.chunks(depth).map(|row| step(largest(row))).collect()
    } else {
        vec![step(largest(weights)); outputs]
    }
}

/// Each weight to the nearest.
pub fn nearest(weights: &[f32], scales: &[f32]) -> Rounded {
    let depth = (weights.len() / scales.len().max(1)).max(1);
    let rounded = weights.iter().enumerate().map(|(at, w)| level(w / scales[at / depth])).collect();
    Rounded { weights: rounded, scales: scales.to_vec() }
}

fn level(value: f32) -> i8 {
    value.round_ties_even().clamp(-MOST, MOST) as i8
}

/// The weights rounded for the least error of the output over `rows`, of `width` numbers each: what the layer takes, as bytes have it.
pub fn for_output(layer: &Layer, weights: &[f32], rows: &[f32], width: usize, per_channel: bool) -> Rounded {
    let scales = steps(weights, layer.outputs, per_channel);
    let mut rounded = nearest(weights, &scales);
    if width == 0 || rows.is_empty() || layer.depth > MOST_DEPTH {
        return rounded;
    }
    let per_group = layer.outputs / layer.groups;
    for group in 0..layer.groups {
        let part = group * per_group..(group + 1) * per_group;
        let own = &weights[part.start * layer.depth..part.end * layer.depth];
        let columns = Columns { values: rows, width, from: group * layer.depth, count: layer.depth };
        if let Some((levels, steps)) = group_levels(own, columns, &scales[part.clone()], per_channel) {
            rounded.weights[part.start * layer.depth..part.end * layer.depth].copy_from_slice(&levels);
            rounded.scales[part].copy_from_slice(&steps);
        }
    }
    rounded
}

/// `None` where the samples say too little.
fn group_levels(weights: &[f32], rows: Columns<'_>, scales: &[f32], per_channel: bool) -> Option<(Vec<i8>, Vec<f32>)> {
    let (n, outputs) = (rows.count, scales.len());
    let mut gram = products(rows, rows);
    let mean = (0..n).map(|k| gram[k * n + k]).sum::<f32>() / n as f32;
    if !(mean > 0.0 && mean.is_finite()) {
        return None;
    }
    (0..n).for_each(|k| gram[k * n + k] += DAMPING * mean);
    // Those whose input is largest are rounded first (at the end of the order): the others can take what they lose.
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| gram[a * n + a].total_cmp(&gram[b * n + b]).then(a.cmp(&b)));
    // Input × output, in that order.
    let target: Vec<f32> = order.iter().flat_map(|&k| (0..outputs).map(move |o| weights[o * n + k])).collect();
    let mut ordered = vec![0f32; n * n];
    for (i, &from) in order.iter().enumerate() {
        for (j, &to) in order.iter().enumerate() {
            ordered[i * n + j] = gram[from * n + to];
        }
    }
    drop(gram);
    factor(&mut ordered, n)?;
    let scales = if per_channel { best_steps(&target, &ordered, n, scales) } else { scales.to_vec() };
    let levels = successive(&target, &ordered, n, &scales);
    // Back to output × input.
    let mut result = vec![0i8; outputs * n];
    for (place, &k) in order.iter().enumerate() {
        (0..outputs).for_each(|o| result[o * n + k] = levels[place * outputs + o]);
    }
    Some((result, scales))
}

/// Steps below that of the largest weight: a few clipped weights may cost less than rounding all coarsely. Each weight's error counts
/// by what it alone does to the output when those rounded later take their share: the square of the factor's diagonal.
fn best_steps(target: &[f32], factor: &[f32], n: usize, scales: &[f32]) -> Vec<f32> {
    let outputs = scales.len();
    let mut largest = vec![0f32; outputs];
    for row in target.chunks_exact(outputs) {
        largest.iter_mut().zip(row).for_each(|(most, w)| *most = most.max(w.abs()));
    }
    let mut best: Vec<(f32, f32)> = vec![(f32::INFINITY, 1.0); outputs];
    for ratio in (10..=20).map(|step| step as f32 / 20.0) {
        let steps: Vec<f32> = largest.iter().map(|most| (most / MOST * ratio).max(f32::MIN_POSITIVE)).collect();
        let mut errors = vec![0f32; outputs];
        for (k, row) in target.chunks_exact(outputs).enumerate() {
            let weight = factor[k * n + k] * factor[k * n + k];
            for ((error, w), step) in errors.iter_mut().zip(row).zip(&steps) {
                let lost = w - f32::from(level(w / step)) * step;
                *error += weight * lost * lost;
            }
        }
        for ((best, error), step) in best.iter_mut().zip(errors).zip(steps) {
            if error < best.0 {
                *best = (error, step);
            }
        }
    }
    best.into_iter()
        .zip(scales)
        .map(|((_, step), &old)| if step.is_finite() && step > f32::MIN_POSITIVE { step } else { old })
        .collect()
}

/// From the last to the first: `q[j] = round(w[j] + Σ_{i>j} R[j][i] / R[j][j] · (w[i] − q[i]))`.
fn successive(target: &[f32], factor: &[f32], n: usize, scales: &[f32]) -> Vec<i8> {
    let outputs = scales.len();
    let mut levels = vec![0i8; n * outputs];
    let mut lost = vec![0f32; n * outputs];
    let mut wanted = vec![0f32; outputs];
    for j in (0..n).rev() {
        wanted.copy_from_slice(&target[j * outputs..][..outputs]);
        let inverse = 1.0 / factor[j * n + j];
        for i in j + 1..n {
            subtract(&mut wanted, &lost[i * outputs..][..outputs], -factor[j * n + i] * inverse);
        }
        for o in 0..outputs {
            let level = level(wanted[o] / scales[o]);
            levels[j * outputs + o] = level;
            lost[j * outputs + o] = target[j * outputs + o] - f32::from(level) * scales[o];
        }
    }
    levels
}
