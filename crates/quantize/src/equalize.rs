//! Channels of a tensor between two convolutions, brought to like ranges: all of them share one step, which the widest decides.
//!
//! A factor for each channel goes into the weights of the convolution before and out of those of the one behind: in floats nothing changes
//! (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction"). Weights before have a step for each of
//! these channels anyway. Those behind share a step over the channels that they take, unless the convolution is depthwise: what the tensor
//! gains, these weights may lose. Both are estimated, and the factors that leave the least noise are taken.

use crate::check::is_kept;
use crate::function::clip;
use crate::network::{Attributes, Edges, Network};
use crate::options::{Options, Progress, Stage};
use crate::run::Runner;
use crate::samples::{SampleSet, spread};
use crate::{QuantizeError, array};

/// Samples over which channels are measured.
const SAMPLES: usize = 64;
/// No channel is brought nearer to the widest than this: in other samples it may reach further than it was seen to.
const ROOM: f64 = 2.0;
/// No factor is larger: a channel that is nearly dead says little about how far it reaches.
const MOST: f64 = 16.0;
/// Steps of a tensor's bytes, and of weights to one side.
const STEPS: (f64, f64) = (255.0, 127.0);

/// A tensor that one convolution makes, behind a function that keeps factors, and one other takes.
struct Pair {
    maker: Weights,
    /// The function between, where there is one.
    between: Option<usize>,
    taker: Weights,
}

/// What was measured of one channel.
#[derive(Debug, Default, Clone, Copy)]
struct Channel {
    low: f64,
    high: f64,
    /// The mean square.
    power: f64,
    /// The part of the values that is not 0: that is exact in bytes.
    active: f64,
}

/// Equalizes in place; returns the number of tensors that changed.
///
/// # Errors
/// [`QuantizeError::Engine`] where the network cannot be run, and what `progress` gives.
pub fn equalize(
    network: &mut Network,
    samples: &mut SampleSet<'_>,
    indices: &[usize],
    options: &Options,
    progress: &mut Progress<'_>,
) -> Result<usize, QuantizeError> {
    // Where all weights of a layer share a step, the factors would decide that.
    if !options.per_channel {
        return Ok(0);
    }
    let edges = network.edges();
    let found = (0..network.nodes().len()).filter_map(|at| pair(network, &edges, at, options));
    let pairs: Vec<Pair> = found.collect();
    let names: Vec<String> = pairs.iter().map(|pair| network.nodes()[pair.taker.at].input[0].clone()).collect();
    let measured = measure(network, &names, samples, indices, options.threads, progress)?;
    let mut equalized = 0;
    for (pair, channels) in pairs.iter().zip(measured) {
        if channels.len() != pair.maker.outputs || channels.len() != pair.taker.inputs {
            continue;
        }
        let factors = best(network, &channels, &pair.taker);
        if factors.iter().any(|&factor| factor != 1.0) {
            apply(network, pair, &factors)?;
            equalized += 1;
        }
    }
    Ok(equalized)
}

fn pair(network: &Network, edges: &Edges, maker: usize, options: &Options) -> Option<Pair> {
    let free = |at: usize| !is_kept(&network.nodes()[at], &options.keep);
    let maker = Weights::of(network, maker).filter(|maker| free(maker.at))?;
    let next = edges.only_taker(&network.nodes()[maker.at].output[0]).filter(|&at| free(at))?;
    if let Some(taker) = Weights::of(network, next) {
        return Some(Pair { maker, between: None, taker });
    }
    let function = &network.nodes()[next];
    // What is cut off above reaches no further than that as it is, and a channel that is raised would be cut off where it was not before.
    let keeps_factors = function.op_type == "LeakyRelu" || clip(network, function) == Some((0.0, f32::INFINITY));
    let taker = keeps_factors.then(|| edges.only_taker(&function.output[0])).flatten().filter(|&at| free(at))?;
    Some(Pair { maker, between: Some(next), taker: Weights::of(network, taker)? })
}

/// The weights of a convolution, transposed or not.
struct Weights {
    /// The node.
    at: usize,
    /// Channels that it takes, in all groups.
    inputs: usize,
    /// Channels that it makes.
    outputs: usize,
    /// Channels that one output takes.
    together: usize,
    /// Weights between one input and one output.
    taps: usize,
    transposed: bool,
}

impl Weights {
    /// Those of a node; `None` where it is no convolution, or its weights and bias may not be changed.
    fn of(network: &Network, at: usize) -> Option<Weights> {
        let node = &network.nodes()[at];
        let transposed = match node.op_type.as_str() {
            "Conv" => false,
            "ConvTranspose" if node.int("group", 1) == 1 => true,
            _ => return None,
        };
        let constant = network.constant(node.input.get(1)?).filter(|constant| array::is_float(constant))?;
        let shape = array::shape(constant);
        let [first, second, taps @ ..] = shape.as_slice() else { return None };
        let groups = usize::try_from(node.int("group", 1)).ok().filter(|&groups| groups > 0)?;
        let (inputs, outputs) = if transposed { (*first, *second) } else { (second.checked_mul(groups)?, *first) };
        let whole = outputs.is_multiple_of(groups) && !shape.contains(&0) && !taps.is_empty();
        let bias = node.input.get(2).filter(|name| !name.is_empty());
        let known = bias.is_none_or(|bias| network.floats(bias).is_some_and(|bias| bias.len() == outputs));
        let (together, taps) = (inputs / groups, taps.iter().product());
        (whole && known).then_some(Weights { at, inputs, outputs, together, taps, transposed })
    }

    /// The input and the output channel between which element `at` of the stored weights lies.
    fn channels(&self, at: usize) -> (usize, usize) {
        let row = at / self.taps;
        if self.transposed {
            return (row / self.outputs, row % self.outputs);
        }
        let output = row / self.together;
        let per_group = self.outputs / (self.inputs / self.together);
        (output / per_group * self.together + row % self.together, output)
    }

    fn values(&self, network: &Network) -> Vec<f32> {
        network.floats(&network.nodes()[self.at].input[1]).unwrap_or_default()
    }
}

fn measure(
    network: &Network,
    names: &[String],
    samples: &mut SampleSet<'_>,
    indices: &[usize],
    threads: usize,
    progress: &mut Progress<'_>,
) -> Result<Vec<Vec<Channel>>, QuantizeError> {
    let mut all: Vec<Vec<Channel>> = vec![Vec::new(); names.len()];
    if names.is_empty() {
        return Ok(all);
    }
    let mut counts = vec![0.0; names.len()];
    let mut runner = Runner::new(network, names, threads)?;
    let few = spread(indices, SAMPLES);
    for (done, &index) in few.iter().enumerate() {
        progress(Stage::Channels, done, few.len())?;
        let Some(sample) = samples.get(index)? else { continue };
        for ((channels, measured), tensor) in all.iter_mut().zip(&mut counts).zip(runner.run(&sample)?) {
            let values = tensor.values::<f32>().unwrap_or_default();
            let [batch, count, size @ ..] = tensor.shape() else { continue };
            let size: usize = size.iter().product();
            if values.is_empty() || values.len() != batch * count * size {
                continue;
            }
            channels.resize(*count, Channel::default());
            *measured += (batch * size) as f64;
            for (at, plane) in values.chunks_exact(size).enumerate() {
                let channel = &mut channels[at % count];
                for value in plane.iter().map(|&value| f64::from(value)) {
                    (channel.low, channel.high) = (channel.low.min(value), channel.high.max(value));
                    channel.power += value * value;
                    channel.active += f64::from(u8::from(value != 0.0));
                }
            }
        }
    }
    for (channels, measured) in all.iter_mut().zip(counts) {
        for channel in channels {
            channel.power /= measured;
            channel.active /= measured;
        }
    }
    Ok(all)
}

/// The factors that leave the least noise behind the taker, of those that make good some part of the difference between channels.
fn best(network: &Network, channels: &[Channel], taker: &Weights) -> Vec<f64> {
    let reach = |channel: &Channel| channel.high.max(-channel.low);
    let weights = taker.values(network);
    let widest = channels.iter().map(reach).fold(0.0, f64::max);
    let mut least = (noise(channels, taker, &weights, &vec![1.0; channels.len()]), vec![1.0; channels.len()]);
    let parts: [fn(f64) -> f64; 2] = [|ratio| ratio.sqrt().sqrt(), f64::sqrt];
    for part in parts {
        let factor = |channel: &Channel| match reach(channel) {
            reach if reach > 0.0 => part(widest / reach / ROOM).clamp(1.0, MOST),
            _ => 1.0,
        };
        let factors: Vec<f64> = channels.iter().map(factor).collect();
        let found = noise(channels, taker, &weights, &factors);
        if found < least.0 {
            least = (found, factors);
        }
    }
    least.1
}

/// The noise behind the taker, up to a factor: of the tensor's step through the weights, and of the weights' steps through the tensor.
fn noise(channels: &[Channel], taker: &Weights, weights: &[f32], factors: &[f64]) -> f64 {
    let scaled = || channels.iter().zip(factors);
    let high = scaled().map(|(channel, factor)| channel.high * factor).fold(0.0, f64::max);
    let low = scaled().map(|(channel, factor)| channel.low * factor).fold(0.0, f64::min);
    let step = (high - low) / STEPS.0;
    let (mut heard, mut widest) = (0.0, vec![0f64; taker.outputs]);
    for (at, &weight) in weights.iter().enumerate() {
        let (input, output) = taker.channels(at);
        let weight = f64::from(weight) / factors[input];
        widest[output] = widest[output].max(weight.abs());
        heard += channels[input].active * weight * weight;
    }
    let mut noise = step * step * heard;
    for at in 0..weights.len() {
        let (input, output) = taker.channels(at);
        let step = widest[output] / STEPS.1;
        noise += step * step * channels[input].power * factors[input] * factors[input];
    }
    noise
}

/// Puts the factors into the weights before, and takes them out of those behind. The tensors between get names of their own, as they hold
/// other numbers now.
fn apply(network: &mut Network, pair: &Pair, factors: &[f64]) -> Result<(), QuantizeError> {
    let Pair { maker, between, taker, .. } = pair;
    scale(network, maker.at, 1, |at| factors[maker.channels(at).1])?;
    if network.nodes()[maker.at].input.get(2).is_some_and(|bias| !bias.is_empty()) {
        scale(network, maker.at, 2, |at| factors[at])?;
    }
    scale(network, taker.at, 1, |at| 1.0 / factors[taker.channels(at).0])?;
    for at in [Some(maker.at), *between].into_iter().flatten() {
        let old = network.nodes()[at].output[0].clone();
        let new = network.fresh(&format!("{old}_equalized"));
        network.graph_mut().node[at].output[0].clone_from(&new);
        network.rewire(&old, &new);
    }
    Ok(())
}

/// Scales a constant that a node takes; it becomes one of its own, as others may take it, too.
fn scale(network: &mut Network, at: usize, input: usize, factor: impl Fn(usize) -> f64) -> Result<(), QuantizeError> {
    let name = network.nodes()[at].input[input].clone();
    let Some(constant) = network.constant(&name) else { return Ok(()) };
    let (shape, values) = (array::shape(constant), array::floats(constant)?);
    let scaled = values.iter().enumerate().map(|(at, &value)| (f64::from(value) * factor(at)) as f32);
    let scaled: Vec<f32> = scaled.collect();
    let new = network.fresh(&format!("{}.equalized_{input}", network.nodes()[at].output[0]));
    network.set_constant(array::of_floats(&new, &shape, &scaled));
    network.graph_mut().node[at].input[input] = new;
    Ok(())
}
