//! Ranges by what they do to the outputs of the network, on a few of the samples that were calibrated with: the error behind the next
//! layer, which chose them first, knows nothing of what the layers after it make of it.

use crate::QuantizeError;
use crate::calibrate::Histogram;
use crate::decisions::Decisions;
use crate::noise::{Behind, Reference};
use crate::options::Stage;
use crate::ranges::Candidates;
use crate::rounds;
use crate::run::Runner;
use crate::samples::spread;
use crate::study::Study;
use crate::write::quantized;
use lineside_engine::Tensor;
use std::collections::BTreeMap;

/// Samples on which ranges are compared: more of small networks.
const SAMPLES: (usize, usize) = (8, 32);
/// Multiply-accumulates of all these samples, as far as their number is free.
const SAMPLE_MACS: u64 = 8_000_000_000;
/// Samples on which most candidates are dropped, as a part of all.
const FIRST: usize = 4;
/// Candidates that are compared on all samples.
const FINALISTS: usize = 3;
/// Another candidate is taken where it makes so much less noise: less than that may be chance on so few samples.
const CLEARLY: f64 = 0.9;
/// Tensors whose noise is a smaller part of the whole are left as they are.
const NEGLIGIBLE: f64 = 1e-3;
/// Numbers of tensors that are held together; a tensor that is larger in all samples is compared on fewer of them, these at least.
const HELD: usize = 4 << 20;
const FEWEST: usize = 4;
/// Multiply-accumulates that may be spent: some minutes on two cores of a PC. A limit in time gives another file on another CPU, so that
/// there is one only where the caller states it.
const MACS: u64 = 500_000_000_000;
/// The part of a stated time that may be over: rounding weights, which comes after it, gives more.
const TIME: f64 = 0.5;

/// Replaces the choice for each tensor by the one that does least to the outputs, where the network in integers is the better for it on
/// samples that were not compared on. Returns how many tensors were compared before a stated time was over, and how many there are.
///
/// # Errors
/// [`QuantizeError::Engine`] where the network cannot be run.
pub fn refine(
    study: &mut Study<'_, '_>,
    histograms: &BTreeMap<String, Histogram>,
    candidates: &mut Candidates,
) -> Result<(usize, usize), QuantizeError> {
    let (reference, others) = references(study)?;
    let before = candidates.clone();
    let all = whole_noise(study, histograms, &before, &reference)?;
    let of_calibration = study.indices.len().max(1);
    let everywhere: Vec<usize> = (0..reference.samples.len()).collect();
    let mut open = Vec::new();
    for name in &study.placement.tensors {
        let Some(histogram) = histograms.get(name).filter(|_| candidates.ranges(name).len() > 1) else { continue };
        let numbers = (histogram.total() as usize / of_calibration).max(1);
        let places = spread(&everywhere, (HELD / numbers).max(FEWEST));
        open.push(Open { name, held: numbers * places.len(), places });
    }
    let mut rest = open.as_slice();
    let (mut spent, mut compared) = (0u64, 0);
    while !rest.is_empty() && spent < MACS && !study.is_over(TIME) {
        let mut held = 0;
        let fitting = rest.iter().take_while(|tensor| {
            held += tensor.held;
            held <= HELD
        });
        let (part, after) = rest.split_at(fitting.count().max(1));
        let values = values(study, part, &reference)?;
        for (place, (tensor, values)) in part.iter().zip(values).enumerate() {
            if study.is_over(TIME) {
                break;
            }
            study.report(Stage::Refinement, open.len() - rest.len() + place, open.len())?;
            spent += compare(study, tensor, &values, &reference, candidates, all * NEGLIGIBLE)?;
            compared += 1;
        }
        rest = after;
    }
    let open = if study.is_over(TIME) { open.len() } else { compared };
    let found = whole_noise(study, histograms, candidates, &others)?;
    if found >= whole_noise(study, histograms, &before, &others)? {
        *candidates = before;
    }
    Ok((compared, open))
}

/// A tensor with several candidates.
struct Open<'a> {
    name: &'a str,
    /// Samples on which they are compared.
    places: Vec<usize>,
    /// Its numbers in all of these.
    held: usize,
}

/// Samples to compare on, and others to see whether that helped; the same where there are too few.
fn references(study: &mut Study<'_, '_>) -> Result<(Reference, Reference), QuantizeError> {
    let (network, threads) = (study.network, study.options.threads);
    let first = vec![study.samples.first(&study.indices)?];
    let macs = Reference::new(network, first, threads)?.macs.max(1);
    let count = usize::try_from(SAMPLE_MACS / macs).unwrap_or(usize::MAX).clamp(SAMPLES.0, SAMPLES.1);
    let chosen = spread(&study.indices, 2 * count);
    let (even, odd): (Vec<usize>, Vec<usize>) = (0..chosen.len()).partition(|at| at % 2 == 0);
    let odd = if odd.len() < SAMPLES.0 { even.clone() } else { odd };
    let mut of = |places: &[usize]| {
        let mut samples = Vec::new();
        for &at in places {
            samples.extend(study.samples.get(chosen[at])?);
        }
        Reference::new(network, samples, threads)
    };
    Ok((of(&even)?, of(&odd)?))
}

/// The noise of the whole network in integers with what is chosen so far, weights to the nearest.
fn whole_noise(
    study: &Study<'_, '_>,
    histograms: &BTreeMap<String, Histogram>,
    candidates: &Candidates,
    reference: &Reference,
) -> Result<f64, QuantizeError> {
    let quants = candidates.clone().finish(study, histograms).quants;
    let mut solved = rounds::nearest(study.network, study.placement, study.options)?;
    rounds::make_room(study.placement, &quants, &mut solved, study.options.per_channel);
    let decisions = Decisions { placement: study.placement, quants: &quants, solved: &solved, wide: None, tables: &[] };
    Ok(reference.loss_of(&quantized(study.network, &decisions), study.options.threads)?.noise)
}

/// Chooses for one tensor; returns the multiply-accumulates that it took.
fn compare(
    study: &Study<'_, '_>,
    tensor: &Open<'_>,
    values: &[Tensor],
    reference: &Reference,
    candidates: &mut Candidates,
    negligible: f64,
) -> Result<u64, QuantizeError> {
    let Study { network, placement, options, .. } = *study;
    let name = tensor.name;
    let rank = values.first().map_or(0, |tensor| tensor.shape().len());
    let mut behind = Behind::new(network, placement, name, rank, reference, options.threads)?;
    let ranges = candidates.ranges(name).to_vec();
    let mut runs = 0;
    let mut noise = |at: usize, step: usize| {
        let quant = options.quant(ranges[at]);
        let chosen = tensor.places.iter().zip(values).step_by(step);
        runs += chosen.len();
        behind.noise(chosen.map(|(&place, values)| (place, rounded(values, quant))))
    };
    let step = FIRST.min(values.len()).max(1);
    let chosen = candidates.chosen(name);
    let own = noise(chosen, step)?;
    if own > negligible {
        let mut first = vec![f64::INFINITY; ranges.len()];
        for (at, first) in first.iter_mut().enumerate() {
            *first = if at == chosen { own } else { noise(at, step)? };
        }
        let mut order: Vec<usize> = (0..ranges.len()).collect();
        order.sort_by(|&a, &b| first[a].total_cmp(&first[b]).then(a.cmp(&b)));
        let mut found = vec![f64::INFINITY; ranges.len()];
        found[chosen] = CLEARLY * noise(chosen, 1)?;
        for &at in order.iter().filter(|&&at| at != chosen).take(FINALISTS - 1) {
            found[at] = noise(at, 1)?;
        }
        candidates.choose(name, &found);
    }
    Ok(behind.macs() * runs as u64)
}

/// What some tensors hold, in those samples on which each is compared.
fn values(study: &Study<'_, '_>, part: &[Open<'_>], reference: &Reference) -> Result<Vec<Vec<Tensor>>, QuantizeError> {
    let names: Vec<String> = part.iter().map(|tensor| tensor.name.to_string()).collect();
    let mut runner = Runner::new(study.network, &names, study.options.threads)?;
    let mut values = vec![Vec::new(); names.len()];
    for (place, sample) in reference.samples.iter().enumerate() {
        for ((values, tensor), found) in values.iter_mut().zip(part).zip(runner.run(sample)?) {
            if tensor.places.contains(&place) {
                values.push(found.clone());
            }
        }
    }
    Ok(values)
}

fn rounded(tensor: &Tensor, quant: crate::calibrate::Quant) -> Tensor {
    let mut rounded = tensor.clone();
    if let Some(values) = rounded.values_mut::<f32>() {
        values.iter_mut().for_each(|value| *value = quant.rounded(*value));
    }
    rounded
}
