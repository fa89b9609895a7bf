//! Mixed precision: the layers that cost most accuracy for their time leave A8W8, until a stated loss is met.
//!
//! Each layer is taken out by itself once, and once together with those that take what it makes: the tensor between them keeps its bytes
//! as long as one of both is in A8W8. The noise that this takes away is the gain, the multiply-accumulates are the price. Those of the best
//! gain for their price are taken, as few as meet the loss. All of it is measured with what runs, on samples that nothing was taken from.
//! They become floats or A16W8: what this CPU runs the whole network faster in, unless one of them is asked for.

use crate::QuantizeError;
use crate::calibrate::{Quant, WideQuant};
use crate::decisions::{Decisions, Solved, WideDecisions};
use crate::groups::groups;
use crate::network::Network;
use crate::noise::{Loss, Reference};
use crate::options::{Fallback, MaxLoss, Stage};
use crate::placement::{Placement, place};
use crate::rounds;
use crate::run::times;
use crate::samples::spread;
use crate::study::Study;
use crate::types;
use crate::wide::Wide;
use crate::write::quantized;
use lineside_engine::Model;
use std::collections::{BTreeSet, HashMap};

/// Layers that are not in A8W8, for a stated loss or by request.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct Mixed {
    /// What was lost with all layers in A8W8 that are not in floats by request.
    pub before: Loss,
    /// What is lost now.
    pub reached: Loss,
    /// For a stated loss: layers, and those that take what they make, in the order in which they are taken out of A8W8: the best gain
    /// for its price first.
    pub layers: Vec<Sensitivity>,
    /// Layers that were taken out for the stated loss.
    pub taken: Vec<String>,
    /// Layers in A16W8, by request or for the stated loss.
    pub a16w8: Vec<String>,
    /// Multiply-accumulates of the layers that were taken out for the stated loss, as a part of all.
    pub price: f64,
    /// Samples on which it was measured.
    pub samples: usize,
    /// The least time of a run here.
    pub milliseconds: Milliseconds,
}

/// The least time of some runs of a sample on this CPU, in milliseconds.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Milliseconds {
    /// As it was before layers were taken out of A8W8.
    pub before: f64,
    /// As it is now.
    pub reached: f64,
    /// All of it in floats, where that was asked.
    pub floats: Option<f64>,
    /// All layers in A16W8, where that was asked.
    pub a16w8: Option<f64>,
}

/// What some layers cost in accuracy, and outside A8W8 in time.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct Sensitivity {
    /// Their names: one layer, or one and those that take what it makes.
    pub names: Vec<String>,
    /// The part of the noise that is gone where they alone are not in A8W8.
    pub gain: f64,
    /// Their multiply-accumulates, as a part of all.
    pub price: f64,
    /// Whether they were taken out.
    pub kept: bool,
}

/// What was decided for all layers in A8W8, and in A16W8.
pub struct Whole<'a> {
    /// The bytes of each tensor.
    pub quants: &'a HashMap<String, Quant>,
    /// Its 16 bits.
    pub wide_quants: &'a HashMap<String, WideQuant>,
    /// Weights and biases.
    pub solved: &'a Solved,
    /// Those of layers that take 16 bits.
    pub wide_solved: &'a Solved,
    /// Tables that are stored as bytes.
    pub tables: &'a [String],
    /// Layers in A16W8 by request, by their place.
    pub wide: &'a BTreeSet<usize>,
}

/// A network that was written, and what runs in integers of it.
pub struct Written {
    /// The network.
    pub network: Network,
    /// What runs in integers.
    pub placement: Placement,
    /// What has 16 bits.
    pub wide: Wide,
}

/// Samples on which each layer is tried: more of small networks, as any change moves the noise of all that follows by chance.
const TRIED_ON: (usize, usize) = (8, 32);
/// Multiply-accumulates of all these samples, as far as their number is free.
const TRIED_MACS: u64 = 16_000_000_000;
/// Samples on which the loss is measured.
const MEASURED_ON: usize = 100;
/// What a layer costs outside A8W8 beside its multiply-accumulates, as a part of all of them.
const CONVERSION: f64 = 1e-2;
/// Floats beyond this part of all multiply-accumulates are no INT8 any more.
const MOST_PRICE: f64 = 0.5;

impl Whole<'_> {
    /// The network with the layers of `outputs` in floats and those of `wide` in A16W8, besides those by request.
    pub fn written(&self, study: &Study<'_, '_>, outputs: &[String], wide: &[usize]) -> Written {
        let mut keep = study.options.keep.clone();
        keep.extend(outputs.iter().cloned());
        let placement = place(study.network, &types::of(study.network), &keep);
        let layers = self.wide.iter().chain(wide).copied().collect();
        let wide = Wide::over(study.network, &placement, &layers);
        let known = |name: &String| Some((name.clone(), *self.quants.get(name)?));
        let quants: HashMap<String, Quant> = placement.tensors.iter().filter_map(known).collect();
        let of_wide = WideDecisions { wide: &wide, quants: self.wide_quants, solved: self.wide_solved };
        let decisions = Decisions {
            placement: &placement,
            quants: &quants,
            solved: self.solved,
            wide: Some(of_wide),
            tables: self.tables,
        };
        Written { network: quantized(study.network, &decisions), placement, wide }
    }
}

/// Measures what layers in A16W8 by request cost and gave.
///
/// # Errors
/// [`QuantizeError::Engine`] where the engine cannot run the network.
pub fn by_request(
    study: &mut Study<'_, '_>,
    whole: &Whole<'_>,
    held_out: &[usize],
) -> Result<(Written, Mixed), QuantizeError> {
    let threads = study.options.threads;
    let all = measured_on(study, held_out, MEASURED_ON)?;
    let written = whole.written(study, &[], &[]);
    let narrow = Whole { wide: &BTreeSet::new(), ..*whole }.written(study, &[], &[]);
    let [before, reached] = times([&narrow.network, &written.network], &all.samples, threads)?;
    let mixed = Mixed {
        before: all.loss_of(&narrow.network, threads)?,
        reached: all.loss_of(&written.network, threads)?,
        layers: Vec::new(),
        taken: Vec::new(),
        a16w8: names_of(&written),
        price: 0.0,
        samples: all.samples.len(),
        milliseconds: Milliseconds { before, reached, ..Milliseconds::default() },
    };
    Ok((written, mixed))
}

/// Takes layers out of A8W8 until `limit` is met. `held_out` are the samples that nothing was taken from.
///
/// # Errors
/// [`QuantizeError::Loss`] where half of all multiply-accumulates in floats, or all in A16W8, do not meet it, [`QuantizeError::Data`] without
/// an output of floats, and for a loss in first places where the first of these has none.
pub fn take_out_for(
    study: &mut Study<'_, '_>,
    whole: &Whole<'_>,
    held_out: &[usize],
    limit: MaxLoss,
) -> Result<(Written, Mixed), QuantizeError> {
    let threads = study.options.threads;
    let all = measured_on(study, held_out, MEASURED_ON)?;
    if !all.has_outputs() {
        return Err(QuantizeError::Data(
            "no output of the network has floats, so that no loss of them can be stated".into(),
        ));
    }
    if matches!(limit, MaxLoss::FirstPlaces(_)) && !all.has_places() {
        let message = "the first output is one number, which has no first place: state the loss in decibels, as 20dB";
        return Err(QuantizeError::Data(message.into()));
    }
    let integers = whole.written(study, &[], &[]);
    let before = all.loss_of(&integers.network, threads)?;
    let mut mixed = Mixed {
        before,
        reached: before,
        layers: Vec::new(),
        taken: Vec::new(),
        a16w8: names_of(&integers),
        price: 0.0,
        samples: all.samples.len(),
        milliseconds: Milliseconds::default(),
    };
    if limit.is_met(&before) {
        let [time] = times([&integers.network], &all.samples, threads)?;
        (mixed.milliseconds.before, mixed.milliseconds.reached) = (time, time);
        return Ok((integers, mixed));
    }
    let layers: Vec<usize> = integers.placement.layers.keys().filter(|at| !whole.wide.contains(*at)).copied().collect();
    let floats = in_floats(study, whole, &layers, &integers, &all, &mut mixed.milliseconds)?;
    let mut wide_solved = whole.wide_solved.clone();
    if !floats && study.options.improve {
        rounds::improve(study, &HashMap::new(), &mut wide_solved, |layer| layers.contains(&layer.at))?;
        rounds::make_room(study.placement, whole.quants, &mut wide_solved, study.options.per_channel);
    }
    let whole = &Whole { wide_solved: &wide_solved, ..*whole };
    let candidates = groups(study.network, &integers.placement, &layers);
    let written = |study: &Study<'_, '_>, layers: &BTreeSet<usize>| {
        let places: Vec<usize> = layers.iter().copied().collect();
        let outputs: Vec<String> = places.iter().map(|at| study.placement.layers[at].output.clone()).collect();
        if floats { whole.written(study, &outputs, &[]) } else { whole.written(study, &[], &places) }
    };
    // Which layers gain most may be asked of the samples that were calibrated with; what is lost then is not.
    let count = usize::try_from(TRIED_MACS / all.macs.max(1)).unwrap_or(usize::MAX).clamp(TRIED_ON.0, TRIED_ON.1);
    let few = measured_on(study, &[], count)?;
    let noise = few.loss_of(&integers.network, threads)?.noise.max(f64::MIN_POSITIVE);
    let mut gains = Vec::with_capacity(candidates.len());
    for (at, candidate) in candidates.iter().enumerate() {
        study.report(Stage::Sensitivity, at, candidates.len())?;
        gains.push(1.0 - few.loss_of(&written(study, candidate).network, threads)?.noise / noise);
    }
    let shares = shares(study, &integers.network, &few, &layers)?;
    let price = |layers: &BTreeSet<usize>| layers.iter().map(|at| shares.get(at).copied().unwrap_or(0.0)).sum::<f64>();
    // Layers almost without price are not free: their bytes are made to floats and back.
    let value = |at: usize| gains[at] / (price(&candidates[at]) + CONVERSION);
    let mut order: Vec<usize> = (0..candidates.len()).filter(|&at| gains[at] > 0.0).collect();
    order.sort_by(|&a, &b| value(b).total_cmp(&value(a)).then(a.cmp(&b)));
    let together = |count: usize| -> BTreeSet<usize> {
        order[..count].iter().flat_map(|&at| candidates[at].iter().copied()).collect()
    };
    let most_price = if floats { MOST_PRICE } else { f64::INFINITY };
    let most = (0..=order.len()).take_while(|&count| price(&together(count)) <= most_price).last().unwrap_or(0);
    let mut measured = |count: usize| {
        study.report(Stage::Sensitivity, candidates.len(), candidates.len())?;
        let written = written(study, &together(count));
        let loss = all.loss_of(&written.network, threads)?;
        Ok::<_, QuantizeError>((written, loss))
    };
    // Twice as many each time, then in halves: the smallest number that meets it.
    let (mut too_few, mut enough) = (0, 1.min(most));
    let mut best = measured(enough)?;
    while !limit.is_met(&best.1) {
        if enough == most {
            let kept = together(most).len();
            return Err(QuantizeError::Loss { limit, before, reached: best.1, kept, of: layers.len(), floats });
        }
        (too_few, enough) = (enough, (2 * enough).min(most));
        best = measured(enough)?;
    }
    while enough - too_few > 1 {
        let middle = usize::midpoint(too_few, enough);
        let found = measured(middle)?;
        if limit.is_met(&found.1) { (enough, best) = (middle, found) } else { too_few = middle }
    }
    let (mut result, reached) = best;
    let name = |at: &usize| study.placement.layers[at].name.clone();
    let taken = together(enough);
    mixed.taken = taken.iter().map(name).collect();
    for (left, reason) in &mut result.placement.left {
        if mixed.taken.contains(left) {
            *reason = "kept for the stated loss".into();
        }
    }
    let sensitivity = |(rank, &at): (usize, &usize)| Sensitivity {
        names: candidates[at].iter().map(name).collect(),
        gain: gains[at],
        price: price(&candidates[at]),
        kept: rank < enough,
    };
    mixed.layers = order.iter().enumerate().map(sensitivity).collect();
    (mixed.reached, mixed.price, mixed.a16w8) = (reached, price(&taken), names_of(&result));
    let [before, reached] = times([&integers.network, &result.network], &all.samples, threads)?;
    (mixed.milliseconds.before, mixed.milliseconds.reached) = (before, reached);
    Ok((result, mixed))
}

/// Whether layers become floats: as asked for, or as this CPU is faster in.
fn in_floats(
    study: &Study<'_, '_>,
    whole: &Whole<'_>,
    layers: &[usize],
    integers: &Written,
    reference: &Reference,
    found: &mut Milliseconds,
) -> Result<bool, QuantizeError> {
    if study.options.fallback != Fallback::Auto {
        return Ok(study.options.fallback == Fallback::Float);
    }
    let wide = whole.written(study, &[], layers);
    let networks = [&integers.network, study.network, &wide.network];
    let [_, floats, a16w8] = times(networks, &reference.samples, study.options.threads)?;
    (found.floats, found.a16w8) = (Some(floats), Some(a16w8));
    Ok(floats <= a16w8)
}

fn names_of(written: &Written) -> Vec<String> {
    written.wide.layers.iter().filter_map(|at| Some(written.placement.layers.get(at)?.name.clone())).collect()
}

/// The held out samples, as far as there are any; `count` of them at most.
fn measured_on(study: &mut Study<'_, '_>, held_out: &[usize], count: usize) -> Result<Reference, QuantizeError> {
    let indices = spread(if held_out.is_empty() { &study.indices } else { held_out }, count);
    let mut samples = Vec::new();
    for &index in &indices {
        samples.extend(study.samples.get(index)?);
    }
    study.samples.readable(&indices)?;
    Reference::new(study.network, samples, study.options.threads)
}

/// The multiply-accumulates of each layer, as a part of all.
fn shares(
    study: &Study<'_, '_>,
    written: &Network,
    few: &Reference,
    layers: &[usize],
) -> Result<HashMap<usize, f64>, QuantizeError> {
    let shapes: Vec<Vec<usize>> =
        few.samples.first().into_iter().flatten().map(|tensor| tensor.shape().to_vec()).collect();
    let mut written = written.clone();
    written.forget_output_shapes();
    let plan = Model::parse(&written.encode())?.plan(&shapes)?;
    let all = plan.macs().max(1) as f64;
    let of = |name: &String| plan.ops().iter().filter(|op| op.name == *name).map(|op| op.macs).sum::<u64>();
    Ok(layers.iter().map(|&at| (at, of(&study.placement.layers[&at].name) as f64 / all)).collect())
}
