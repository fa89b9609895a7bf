//! Mixed precision: the layers that cost most accuracy for their time stay in floats, until a stated loss is met.
//!
//! Each layer is kept in floats by itself once, and the noise that this takes away is its gain; the multiply-accumulates that then run in
//! floats are its price. The layers of the best gain for their price are kept, as few as meet the loss. All of it is measured with the
//! integers that run, on samples that nothing was taken from.

use crate::QuantizeError;
use crate::calibrate::Quant;
use crate::network::Network;
use crate::noise::{Loss, Reference};
use crate::options::{MaxLoss, Stage};
use crate::placement::{Placement, place};
use crate::rounds::Solved;
use crate::samples::spread;
use crate::study::Study;
use crate::types;
use crate::write::{Decisions, quantized};
use lineside_engine::Model;
use std::collections::HashMap;

/// Layers in floats for a stated loss.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct Mixed {
    /// What was lost with all layers in integers.
    pub before: Loss,
    /// What is lost now.
    pub reached: Loss,
    /// All layers in the order in which they are kept: the best gain for its price first.
    pub layers: Vec<Sensitivity>,
    /// Multiply-accumulates of the kept layers, as a part of all.
    pub price: f64,
    /// Samples on which it was measured.
    pub samples: usize,
}

/// What a layer costs in accuracy, and in floats in time.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct Sensitivity {
    /// Its name.
    pub name: String,
    /// The part of the noise that is gone where it alone is in floats.
    pub gain: f64,
    /// Its multiply-accumulates, as a part of all.
    pub price: f64,
    /// Whether it stays in floats.
    pub kept: bool,
}

/// The network, and what was decided for all layers in integers.
pub struct Whole<'a> {
    /// The bytes of each tensor.
    pub quants: &'a HashMap<String, Quant>,
    /// Weights and biases.
    pub solved: &'a Solved,
    /// Tables that are stored as bytes.
    pub tables: &'a [String],
}

/// Samples on which each layer is tried.
const TRIED_ON: usize = 8;
/// Samples on which the loss is measured.
const MEASURED_ON: usize = 100;
/// Floats beyond this part of all multiply-accumulates are no INT8 any more.
const MOST_PRICE: f64 = 0.5;

/// Keeps layers in floats until `limit` is met; returns the network, what runs in integers of it, and how it came to that. `held_out` are
/// the samples that nothing was taken from.
///
/// # Errors
/// [`QuantizeError::Loss`] where half of all multiply-accumulates in floats do not meet it, [`QuantizeError::Data`] for a loss in first
/// places where the first output has none.
pub fn keep_for(
    study: &mut Study<'_, '_>,
    whole: &Whole<'_>,
    held_out: &[usize],
    limit: MaxLoss,
) -> Result<(Network, Placement, Mixed), QuantizeError> {
    let threads = study.options.threads;
    let indices = if held_out.is_empty() { study.indices.clone() } else { held_out.to_vec() };
    let all = reference(study, &spread(&indices, MEASURED_ON))?;
    if matches!(limit, MaxLoss::FirstPlaces(_)) && !all.has_places() {
        let message = "the first output is one number, which has no first place: state the loss in decibels, as 20dB";
        return Err(QuantizeError::Data(message.into()));
    }
    let few = reference(study, &spread(&indices, TRIED_ON))?;
    let layers: Vec<(String, String)> =
        study.placement.layers.values().map(|layer| (layer.name.clone(), layer.output.clone())).collect();
    let (written, placement) = with_kept(study, whole, &[]);
    let before = all.loss_of(&written, threads)?;
    let prices = prices(&written, &few, &layers)?;
    let finish = |written, placement, reached, order: &[usize], gains: &[f64], kept: usize| {
        let sensitivity = |(rank, &at): (usize, &usize)| Sensitivity {
            name: layers[at].0.clone(),
            gain: gains[at],
            price: prices[at],
            kept: rank < kept,
        };
        let price = order[..kept].iter().map(|&at| prices[at]).sum();
        let layers = order.iter().enumerate().map(sensitivity).collect();
        (written, placement, Mixed { before, reached, layers, price, samples: all.samples.len() })
    };
    if limit.is_met(&before) {
        return Ok(finish(written, placement, before, &[], &[], 0));
    }
    let noise = few.loss_of(&written, threads)?.noise;
    let mut gains = Vec::with_capacity(layers.len());
    for (at, (_, output)) in layers.iter().enumerate() {
        study.report(Stage::Sensitivity, at, layers.len())?;
        let (written, _) = with_kept(study, whole, std::slice::from_ref(output));
        let left = few.loss_of(&written, threads)?.noise;
        gains.push(1.0 - left / noise.max(f64::MIN_POSITIVE));
    }
    // A layer without price (a few numbers) is not free: its bytes are made to floats and back.
    let value = |at: usize| gains[at] / (prices[at] + 1e-3);
    let mut order: Vec<usize> = (0..layers.len()).collect();
    order.sort_by(|&a, &b| value(b).total_cmp(&value(a)).then(a.cmp(&b)));
    let mut price = 0.0;
    let affordable = order.iter().take_while(|&&at| {
        price += prices[at];
        price <= MOST_PRICE
    });
    let most = affordable.count();
    let mut measured = |kept: usize| {
        let names: Vec<String> = order[..kept].iter().map(|&at| layers[at].1.clone()).collect();
        study.report(Stage::Sensitivity, layers.len() - most + kept, layers.len())?;
        let (written, placement) = with_kept(study, whole, &names);
        let loss = all.loss_of(&written, threads)?;
        Ok::<_, QuantizeError>((written, placement, loss))
    };
    // Twice as many each time, then in halves: the smallest number that meets it.
    let (mut too_few, mut enough) = (0, 1.min(most));
    let mut best = measured(enough)?;
    while !limit.is_met(&best.2) {
        if enough == most {
            return Err(QuantizeError::Loss { limit, before, reached: best.2, kept: most, of: layers.len() });
        }
        (too_few, enough) = (enough, (2 * enough).min(most));
        best = measured(enough)?;
    }
    while enough - too_few > 1 {
        let middle = usize::midpoint(too_few, enough);
        let found = measured(middle)?;
        if limit.is_met(&found.2) { (enough, best) = (middle, found) } else { too_few = middle }
    }
    let (written, mut placement, reached) = best;
    for (name, reason) in &mut placement.left {
        if order[..enough].iter().any(|&at| layers[at].0 == *name) {
            *reason = "kept for the stated loss".into();
        }
    }
    Ok(finish(written, placement, reached, &order, &gains, enough))
}

fn reference(study: &mut Study<'_, '_>, indices: &[usize]) -> Result<Reference, QuantizeError> {
    let mut samples = Vec::new();
    for &index in indices {
        samples.extend(study.samples.get(index)?);
    }
    study.samples.readable(indices)?;
    Reference::new(study.network, samples, study.options.threads)
}

/// The network with the layers that make `outputs` in floats, besides those that are kept by request.
fn with_kept(study: &Study<'_, '_>, whole: &Whole<'_>, outputs: &[String]) -> (Network, Placement) {
    let mut keep = study.options.keep.clone();
    keep.extend(outputs.iter().cloned());
    let placement = place(study.network, &types::of(study.network), &keep);
    let known = |name: &String| Some((name.clone(), *whole.quants.get(name)?));
    let quants: HashMap<String, Quant> = placement.tensors.iter().filter_map(known).collect();
    let (weights, biases) = (&whole.solved.weights, &whole.solved.biases);
    let decisions = Decisions { placement: &placement, quants: &quants, weights, biases, tables: whole.tables };
    (quantized(study.network, &decisions), placement)
}

/// The multiply-accumulates of each layer, as a part of all.
fn prices(written: &Network, few: &Reference, layers: &[(String, String)]) -> Result<Vec<f64>, QuantizeError> {
    let shapes: Vec<Vec<usize>> =
        few.samples.first().into_iter().flatten().map(|tensor| tensor.shape().to_vec()).collect();
    let mut written = written.clone();
    written.forget_output_shapes();
    let plan = Model::parse(&written.encode())?.plan(&shapes)?;
    let all = plan.macs().max(1) as f64;
    let of = |name: &String| plan.ops().iter().filter(|op| op.name == *name).map(|op| op.macs).sum::<u64>();
    Ok(layers.iter().map(|(name, _)| of(name) as f64 / all).collect())
}
