//! Weights and biases, a few layers at a time: what rounding its input does to a layer decides how its weights are rounded and what its
//! bias has to make good. What the layers before it lost does not count here: their own biases make that good, and twice is too much.

use crate::QuantizeError;
use crate::calibrate::Quant;
use crate::decisions::Solved;
use crate::layer::rounding::{self, Rounded};
use crate::layer::{Kind, Layer, patches};
use crate::network::Network;
use crate::options::{Options, Stage};
use crate::placement::Placement;
use crate::ranges::outputs;
use crate::samples::spread;
use crate::study::Study;
use std::collections::HashMap;

/// Samples from which rows are taken.
const SAMPLES: usize = 48;
/// Numbers in the rows of one layer, in floats and in bytes each.
const MOST_NUMBERS: usize = 4 << 20;
/// Numbers in the rows of layers that are solved together.
const HELD: usize = 12 << 20;

/// The weights to the nearest and the biases as they are.
pub fn nearest(network: &Network, placement: &Placement, options: &Options) -> Result<Solved, QuantizeError> {
    let mut solved = Solved::default();
    for (&at, layer) in &placement.layers {
        if layer.kind == Kind::Product {
            continue;
        }
        let weights = layer.weights(network)?;
        let per_channel = options.per_channel;
        solved.weights.insert(at, rounding::nearest(&weights, &rounding::steps(&weights, layer.outputs, per_channel)));
        if let Some(bias) = layer.bias.as_ref().and_then(|name| network.floats(name)) {
            solved.biases.insert(at, bias);
        }
    }
    Ok(solved)
}

/// Improves those of the layers for which `which` holds, in their order, for what they take in the bytes of `quants`; a tensor without any
/// is taken as it is. Returns how many were improved before a stated time was over, and how many there are.
///
/// # Errors
/// [`QuantizeError::Engine`] where the network cannot be run.
pub fn improve(
    study: &mut Study<'_, '_>,
    quants: &HashMap<String, Quant>,
    solved: &mut Solved,
    which: impl Fn(&Layer) -> bool,
) -> Result<(usize, usize), QuantizeError> {
    let Study { network, placement, options, .. } = *study;
    let few = spread(&study.indices, SAMPLES);
    let layers: Vec<&Layer> =
        placement.layers.values().filter(|layer| patches::width(layer) > 0 && which(layer)).collect();
    let mut rest = layers.as_slice();
    while !rest.is_empty() && !study.is_over(1.0) {
        study.report(Stage::Weights, layers.len() - rest.len(), layers.len())?;
        let mut held = 0;
        let fitting = rest.iter().take_while(|layer| {
            held += patches::width(layer) * count(layer);
            held <= HELD
        });
        let (part, after) = rest.split_at(fitting.count().max(1));
        rest = after;
        let rows = study.rows(part, &few, count)?;
        let jobs: Vec<(&Layer, Vec<f32>)> = part.iter().copied().zip(rows).collect();
        let results = in_parallel(&jobs, options.threads, |(layer, rows)| {
            let quant = quants.get(&layer.input).copied();
            let bytes = rows.iter().map(|&value| quant.map_or(value, |quant| quant.rounded(value))).collect();
            solve(network, layer, rows, bytes, options)
        });
        for result in results {
            let (at, rounded, bias) = result?;
            solved.weights.insert(at, rounded);
            if let Some(bias) = bias {
                solved.biases.insert(at, bias);
            }
        }
    }
    Ok((layers.len() - rest.len(), layers.len()))
}

/// The largest bias in steps of the sums: far enough below the end of i32 that sums have room.
const MOST_BIAS: f64 = (1 << 30) as f64;
/// Steps of a bias whose channel has no weights: more than `f32` tells apart.
const LONE_BIAS: f64 = (1 << 24) as f64;

/// Widens the steps of channels whose bias would not fit into 32 bits beside weights that are nearly zero, as trained networks have
/// them in dead channels; a channel without any weight gets the steps that its bias needs.
pub fn make_room(placement: &Placement, quants: &HashMap<String, Quant>, solved: &mut Solved, per_channel: bool) {
    for (at, rounded) in &mut solved.weights {
        let input = placement.layers.get(at).and_then(|layer| quants.get(&layer.input));
        let (Some(input), Some(biases)) = (input, solved.biases.get(at)) else { continue };
        let depth = (rounded.weights.len() / rounded.scales.len().max(1)).max(1);
        let least = |bias: f32, of: f64| (f64::from(bias.abs()) / (of * f64::from(input.scale))) as f32;
        let mut steps: Vec<f32> = rounded.scales.clone();
        for ((step, levels), &bias) in steps.iter_mut().zip(rounded.weights.chunks(depth)).zip(biases) {
            if per_channel && bias != 0.0 && levels.iter().all(|&level| level == 0) {
                *step = least(bias, LONE_BIAS).max(f32::MIN_POSITIVE);
            } else {
                *step = step.max(least(bias, MOST_BIAS));
            }
        }
        if !per_channel {
            let most = steps.iter().copied().fold(0f32, f32::max);
            steps.fill(most);
        }
        for (channel, levels) in rounded.weights.chunks_mut(depth).enumerate() {
            let ratio = rounded.scales[channel] / steps[channel];
            if ratio < 1.0 {
                levels.iter_mut().for_each(|level| *level = (f32::from(*level) * ratio).round_ties_even() as i8);
            }
        }
        rounded.scales = steps;
    }
}

type Solution = (usize, Rounded, Option<Vec<f32>>);

fn solve(
    network: &Network,
    layer: &Layer,
    floats: &[f32],
    bytes: Vec<f32>,
    options: &Options,
) -> Result<Solution, QuantizeError> {
    let weights = layer.weights(network)?;
    let rounded = rounding::for_output(layer, &weights, &bytes, patches::width(layer), options.per_channel);
    // A product of matrices has no bias to correct.
    let bias = if layer.kind == Kind::MatMul || floats.is_empty() {
        None
    } else {
        let wanted = means(&outputs(layer, floats, &weights), layer.outputs);
        let found = means(&outputs(layer, &bytes, &rounded.floats()), layer.outputs);
        let stated = layer.bias.as_ref().and_then(|name| network.floats(name));
        let bias = stated.unwrap_or_else(|| vec![0.0; layer.outputs]);
        Some(bias.iter().zip(wanted).zip(found).map(|((bias, wanted), found)| bias + (wanted - found) as f32).collect())
    };
    Ok((layer.at, rounded, bias))
}

/// The mean of each output.
fn means(values: &[f32], outputs: usize) -> Vec<f64> {
    let mut sums = vec![0f64; outputs];
    for row in values.chunks_exact(outputs) {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let count = (values.len() / outputs.max(1)).max(1) as f64;
    sums.iter().map(|sum| sum / count).collect()
}

/// Rows that a layer is solved from: a few for each weight of an output, as far as memory goes.
fn count(layer: &Layer) -> usize {
    let width = patches::width(layer).max(1);
    (4 * layer.depth).clamp(2048, 6144).min((MOST_NUMBERS / width).max(96))
}

/// The results in the order of the jobs, whatever the number of threads.
fn in_parallel<J: Sync, R: Send>(jobs: &[J], threads: usize, work: impl Fn(&J) -> R + Sync) -> Vec<R> {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<R>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(place) else { break };
                    let result = work(job);
                    if let Ok(mut slot) = results[place].lock() {
                        *slot = Some(result);
                    }
                }
            });
        }
    });
    results.into_iter().filter_map(|slot| slot.into_inner().ok().flatten()).collect()
}
