//! From a float network to integers, step by step.

use crate::calibrate::{Method, Quant};
use crate::check::{is_kept, refuse_quantized, refuse_strange_weights, unknown};
use crate::comparison::OutputDifference;
use crate::equalize::equalize;
use crate::mixed::{Mixed, Whole, Written, by_request, take_out_for};
use crate::network::Network;
use crate::options::{Form, Options, Progress, Stage};
use crate::placement::{Placement, place};
use crate::quality::{Sqnr, numbers};
use crate::ranges::{self, Outlier, Ranges};
use crate::refinement::refine;
use crate::rounds;
use crate::run::Runner;
use crate::samples::{SampleSet, UnreadSample, is_held_out, spread};
use crate::simplify::{Simplified, simplify};
use crate::study::Study;
use crate::{QuantizeError, Samples, qoperator, tables, types, wide};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Instant;

/// A quantized network.
#[derive(Debug)]
#[non_exhaustive]
pub struct Quantized {
    /// The ONNX file.
    pub bytes: Vec<u8>,
    /// What was done, and what it cost.
    pub report: Report,
}

/// What was done, and what it cost.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What the network lost before.
    pub simplified: Simplified,
    /// The largest difference that this made to a float output, as a part of the output's largest value; infinite where a number became
    /// NaN or infinite.
    pub float_drift: f64,
    /// Samples that ranges were taken from.
    pub calibrated: usize,
    /// Samples that nothing was taken from, over which the result was compared.
    pub held_out: usize,
    /// Samples that could not be read and were left out.
    pub unread: Vec<UnreadSample>,
    /// The outputs: signal to noise against the floats, in decibels, over the samples held out (over all where none are).
    pub outputs: Vec<OutputDifference>,
    /// The nodes with weights in A8W8 or A16W8, in the network's order.
    pub layers: Vec<LayerReport>,
    /// Tables (of embeddings) that are stored as bytes.
    pub tables: Vec<String>,
    /// The nodes with weights that stay in floats, and why.
    pub left: Vec<(String, String)>,
    /// How the stated loss was met, where one was, and what layers in A16W8 by request cost and gave.
    pub mixed: Option<Mixed>,
    /// What a stated time left undone.
    pub unfinished: Option<Unfinished>,
    /// What was to be kept in floats and is no node's name, output or operator.
    pub unknown_keep: Vec<String>,
    /// What was to be in A16W8 and is no layer that could run in A8W8.
    pub unknown_wide: Vec<String>,
    /// Tensors that hold one value alone in all samples, such as black pictures.
    pub constant_tensors: Vec<String>,
    /// Tensors whose range was drawn in to less than half.
    pub outliers: Vec<Outlier>,
}

/// What a stated time was enough for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Unfinished {
    /// Tensors whose ranges were compared at the outputs of the network.
    pub compared: usize,
    /// All of them.
    pub tensors: usize,
    /// Layers whose weights were rounded for their outputs; those of the others are the nearest.
    pub rounded: usize,
    /// All of them.
    pub layers: usize,
}

/// A node with weights.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct LayerReport {
    /// Its name.
    pub name: String,
    /// The step and zero point of what it takes, where these are bytes.
    pub input: Option<Quant>,
    /// Whether what it makes has 16 bits.
    pub is_a16w8: bool,
}

/// Quantizes an ONNX file.
///
/// # Errors
/// [`QuantizeError::Model`] where there is nothing to quantize, the network is quantized already, or holds NaN;
/// [`QuantizeError::Data`] without samples; [`QuantizeError::Engine`] where the engine cannot run the network.
pub fn quantize(
    bytes: &[u8],
    samples: &mut dyn Samples,
    options: &Options,
    progress: &mut Progress<'_>,
) -> Result<Quantized, QuantizeError> {
    let begun = Instant::now();
    let original = Network::parse(bytes)?;
    refuse_quantized(&original)?;
    let mut samples = SampleSet::new(samples, "calibrate with")?;
    let (calibrated, held_out) = split(samples.count());
    let mut network = original.clone();
    let fixed_shapes = if options.fix_shapes { Some(samples.first(&calibrated)?) } else { None };
    let mut simplified = simplify(&mut network, fixed_shapes.as_deref(), options.threads)?;
    drop(fixed_shapes);
    if options.improve {
        simplified.equalized = equalize(&mut network, &mut samples, &calibrated, options, progress)?;
    }
    let placement = place(&network, &types::of(&network), &options.keep);
    let unknown_keep = unknown(&network, &options.keep);
    let unknown_wide = unknown_layers(&network, &placement, &options.wide);
    if placement.layers.is_empty() {
        let why = placement.left.first().map_or(String::new(), |(name, reason)| format!(" (\"{name}\": {reason})"));
        return Err(QuantizeError::Model(format!("no convolution or matrix product in it can run in integers{why}")));
    }
    refuse_strange_weights(&network, placement.layers.values())?;
    let samples = &mut samples;
    let mut study =
        Study { network: &network, placement: &placement, samples, indices: calibrated, options, begun, progress };
    let histograms = ranges::histograms(&mut study)?;
    let float_drift = drift(&original, &mut study)?;
    drop(original);
    let mut candidates = ranges::choose(&mut study, &histograms)?;
    let mut compared = (0, 0);
    if options.improve && options.method == Method::Auto {
        compared = refine(&mut study, &histograms, &mut candidates)?;
    }
    let ranges = candidates.finish(&study, &histograms);
    let wide_quants = wide::quants(&network, &placement, &histograms, options);
    drop(histograms);
    let mut solved = rounds::nearest(&network, &placement, options)?;
    let mut wide_solved = solved.clone();
    let wide = layers_by_request(&network, &placement, &options.wide);
    let mut rounded = (0, 0);
    if options.improve {
        rounded = rounds::improve(&mut study, &ranges.quants, &mut solved, |_| true)?;
        rounds::improve(&mut study, &HashMap::new(), &mut wide_solved, |layer| wide.contains(&layer.at))?;
    }
    let done = Unfinished { compared: compared.0, tensors: compared.1, rounded: rounded.0, layers: rounded.1 };
    let unfinished = (compared.0 < compared.1 || rounded.0 < rounded.1).then_some(done);
    let Ranges { quants, constant, outliers } = ranges;
    for solved in [&mut solved, &mut wide_solved] {
        rounds::make_room(&placement, &quants, solved, options.per_channel);
    }
    let tables = tables::find(&network, &options.keep);
    let (solved, wide_solved) = (&solved, &wide_solved);
    let whole = Whole { quants: &quants, wide_quants: &wide_quants, solved, wide_solved, tables: &tables, wide: &wide };
    let (written, mixed) = match options.max_loss {
        Some(limit) => {
            take_out_for(&mut study, &whole, &held_out, limit).map(|(written, mixed)| (written, Some(mixed)))?
        }
        None if wide.is_empty() => (whole.written(&study, &[], &[]), None),
        None => by_request(&mut study, &whole, &held_out).map(|(written, mixed)| (written, Some(mixed)))?,
    };
    let Written { network: mut written, placement: placed, wide } = written;
    if options.form == Form::QOperator {
        qoperator::spell(&mut written);
    }
    let calibrated = study.indices.len();
    let (outputs, held_out) = compare(&mut study, &written, &held_out)?;
    let unread = study.samples.unread();
    let layers = placed
        .layers
        .values()
        .map(|layer| LayerReport {
            name: layer.name.clone(),
            input: quants.get(&layer.input).filter(|_| !wide.takes(layer.at, &layer.input)).copied(),
            is_a16w8: wide.layers.contains(&layer.at),
        })
        .collect();
    let report = Report {
        simplified,
        float_drift,
        calibrated,
        held_out,
        unread,
        outputs,
        layers,
        tables,
        left: placed.left,
        mixed,
        unfinished,
        unknown_keep,
        unknown_wide,
        constant_tensors: constant,
        outliers,
    };
    Ok(Quantized { bytes: written.encode(), report })
}

/// What calibration may take something from, and what is held out.
fn split(count: usize) -> (Vec<usize>, Vec<usize>) {
    (0..count).partition(|&index| !is_held_out(index, count))
}

/// The places of the layers that `names` name, as `--keep` has it.
fn layers_by_request(network: &Network, placement: &Placement, names: &HashSet<String>) -> BTreeSet<usize> {
    placement.layers.keys().copied().filter(|&at| is_kept(&network.nodes()[at], names)).collect()
}

/// Those of the names that name no layer.
fn unknown_layers(network: &Network, placement: &Placement, names: &HashSet<String>) -> Vec<String> {
    let none = |name: &&String| layers_by_request(network, placement, &HashSet::from([(*name).clone()])).is_empty();
    let mut unknown: Vec<String> = names.iter().filter(none).cloned().collect();
    unknown.sort();
    unknown
}

fn output_names(network: &Network) -> Vec<String> {
    network.graph().output.iter().map(|output| output.name.clone()).collect()
}

/// How far simplification moved the outputs, on two samples.
fn drift(original: &Network, study: &mut Study<'_, '_>) -> Result<f64, QuantizeError> {
    let names = output_names(original);
    let mut before = Runner::new(original, &names, study.options.threads)?;
    let mut after = Runner::new(study.network, &names, study.options.threads)?;
    let mut drift = 0f64;
    for index in spread(&study.indices, 2) {
        let Some(sample) = study.samples.get(index)? else { continue };
        let (after, counted) = after.run_counted(&sample)?;
        let pairs = before.run(&sample)?.iter().zip(after).zip(counted);
        for ((a, b), &is_counted) in pairs.filter(|((a, _), _)| a.kind().is_float()) {
            let mut sqnr = Sqnr::default();
            sqnr.add_found(a, b, is_counted)?;
            if sqnr.sizes_apart() > 0 {
                return Ok(f64::INFINITY);
            }
            let finite = numbers(a)?.into_iter().filter(|value| value.is_finite());
            let largest = finite.fold(f64::from(f32::MIN_POSITIVE), |most, value| most.max(value.abs()));
            let [before, after] = sqnr.not_finite();
            drift = drift.max(if before == after { sqnr.largest_difference() / largest } else { f64::INFINITY });
        }
    }
    Ok(drift)
}

/// The outputs in integers against those in floats over the samples held out, and how many these are; over those of the study where
/// none can be read.
fn compare(
    study: &mut Study<'_, '_>,
    integers: &Network,
    held_out: &[usize],
) -> Result<(Vec<OutputDifference>, usize), QuantizeError> {
    let names = output_names(study.network);
    let mut reference = Runner::new(study.network, &names, study.options.threads)?;
    let mut quantized = Runner::new(integers, &names, study.options.threads)?;
    let calibrated = study.indices.clone();
    for (indices, is_held_out) in [(held_out, true), (&calibrated, false)] {
        let mut found: BTreeMap<usize, Sqnr> = BTreeMap::new();
        let mut read = 0;
        for (done, &index) in indices.iter().enumerate() {
            study.report(Stage::Comparison, done, indices.len())?;
            let Some(sample) = study.samples.get(index)? else { continue };
            read += 1;
            let wanted = reference.run(&sample)?;
            let (made, counted) = quantized.run_counted(&sample)?;
            for (at, ((a, b), &is_counted)) in wanted.iter().zip(made).zip(counted).enumerate() {
                found.entry(at).or_default().add_found(a, b, is_counted)?;
            }
        }
        if read > 0 {
            let report = |(at, sqnr): (usize, Sqnr)| OutputDifference::new(names[at].clone(), &sqnr);
            return Ok((found.into_iter().map(report).collect(), if is_held_out { read } else { 0 }));
        }
    }
    Ok((Vec::new(), 0))
}
