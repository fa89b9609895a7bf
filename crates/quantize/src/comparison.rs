//! Two networks on the same samples: how near their outputs are, what each costs, and which is to be shipped.

use crate::census::{LayerCounts, census};
use crate::network::Network;
use crate::quality::{Sqnr, numbers};
use crate::run::Runner;
use crate::samples::{SampleSet, UnreadSample};
use crate::{QuantizeError, Samples, function, types};
use lineside_engine::{Model, Session, Tensor};
use std::sync::Arc;
use std::time::Instant;
use tract_onnx::pb::ValueInfoProto;

/// What one of the two costs.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct Cost {
    /// Bytes of the file.
    pub size_bytes: u64,
    /// To parse, plan and run it once, in milliseconds.
    pub load_ms: f64,
    /// Median of a run, in milliseconds.
    pub p50_ms: f64,
    /// 95th percentile of a run, in milliseconds.
    pub p95_ms: f64,
    /// Weights and arena, in bytes.
    pub memory_bytes: u64,
    /// Multiply-accumulates that run in integers, as a part of all; ops in a network without any.
    pub integer_coverage: f64,
    /// Its layers, by what they are computed on.
    pub layers: LayerCounts,
}

/// An output of both.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct OutputDifference {
    /// Its name in the first network.
    pub name: String,
    /// Whether all numbers are the same, and none is NaN.
    pub is_same: bool,
    /// Signal to noise of the second against the first, in decibels, over the numbers that are finite in both; none where these are the
    /// same, or all 0 in the first.
    pub sqnr_db: Option<f64>,
    /// The largest difference between numbers that are finite in both.
    pub largest_difference: f64,
    /// The cosine of the angle between both.
    pub cosine: f64,
    /// Numbers that are NaN or infinite, of the first and of the second.
    pub not_finite: [u64; 2],
    /// Places where one of both is NaN or infinite and the other is not the same infinity.
    pub not_finite_apart: u64,
    /// Samples in which the second found another number of things, as of NonMaxSuppression; they are left out of the figures.
    pub sizes_apart: u64,
}

impl OutputDifference {
    /// What was counted of an output.
    pub(crate) fn new(name: String, sqnr: &Sqnr) -> OutputDifference {
        OutputDifference {
            name,
            is_same: sqnr.is_same(),
            sqnr_db: sqnr.finite_db(),
            largest_difference: sqnr.largest_difference(),
            cosine: sqnr.cosine(),
            not_finite: sqnr.not_finite(),
            not_finite_apart: sqnr.not_finite_apart(),
            sizes_apart: sqnr.sizes_apart(),
        }
    }
}

/// Both on the same samples.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Samples that could be read.
    pub samples: usize,
    /// Samples that could not be read and were left out.
    pub unread: Vec<UnreadSample>,
    /// What the first costs.
    pub a: Cost,
    /// What the second costs.
    pub b: Cost,
    /// Their outputs, in the first network's order.
    pub outputs: Vec<OutputDifference>,
    /// Inputs and outputs, each of the first with that of the second, which were paired in their order as their names differ. None where
    /// there is one of a kind only.
    pub paired_in_order: Vec<(String, String)>,
    /// Samples whose greatest place in the first output is the same, as a part of all; none where that output is one number, or things
    /// that are found in a run.
    pub top1_agreement: Option<f64>,
    /// Samples whose greatest place by the first is among the five greatest by the second.
    pub top5_agreement: Option<f64>,
    /// Samples whose greatest place is their label's, of the first and of the second.
    pub accuracy: Option<(f64, f64)>,
    /// How the scores moved: the score of a sample is the greatest number of its first output.
    pub score_shift: ScoreShift,
}

/// How the scores of all samples moved from the first to the second.
#[derive(Debug, Clone, Copy, serde::Serialize)]
#[non_exhaustive]
pub struct ScoreShift {
    /// The largest difference of the two distribution functions (Kolmogorov and Smirnov).
    pub kolmogorov_smirnov: f64,
    /// The difference of the medians, as a part of the spread of the first: from its 5th to its 95th percentile. None where that has no
    /// spread, as of one sample, or no sample has a finite score.
    pub median: Option<f64>,
    /// Whether more samples moved one way than chance explains (the sign test at 5 %): where not, a shift of the medians says only that
    /// there are few samples, or that their scores are much alike.
    pub beyond_chance: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The second is as good and pays.
    Ship,
    /// The second is as good, but does not pay.
    Keep,
    /// The second is not as good.
    Improve,
}

/// Speed gains below this do not pay for the trouble.
const WORTH: f64 = 1.3;
/// Files below this are small enough as they are.
const SMALL: u64 = 10 << 20;
/// Scores may move so far.
const SHIFT: f64 = 0.05;
/// So many samples must keep their greatest place.
const AGREEMENT: f64 = 0.96;
/// Outputs besides the first, of which places and scores are compared, may have a tenth of noise in their power.
const OTHER_OUTPUTS_DB: f64 = 10.0;
/// Accuracy may fall so far.
const ACCURACY: f64 = 0.01;

impl Comparison {
    /// What is to be done, and why, in words.
    pub fn verdict(&self) -> (Verdict, Vec<String>) {
        let mut worse = Vec::new();
        for output in self.outputs.iter().filter(|output| output.not_finite_apart > 0) {
            let ([first, second], name) = (output.not_finite, &output.name);
            worse.push(format!(
                "\"{name}\" has {first} numbers that are NaN or infinite in the first and {second} in the second, not all the same"
            ));
        }
        for output in &self.outputs {
            let part = output.sizes_apart as f64 / self.samples.max(1) as f64;
            if part > 1.0 - AGREEMENT {
                worse.push(format!(
                    "\"{}\" has another number of elements in {:.1} % of the samples, more than {:.0} %",
                    output.name,
                    100.0 * part,
                    100.0 * (1.0 - AGREEMENT)
                ));
            }
        }
        for output in self.outputs.iter().skip(1).filter(|output| output.not_finite_apart == 0) {
            match output.sqnr_db {
                Some(db) if db < OTHER_OUTPUTS_DB => worse.push(format!(
                    "\"{}\" has a signal to noise of {db:.1} dB, less than {OTHER_OUTPUTS_DB:.0}",
                    output.name
                )),
                None if output.largest_difference > 0.0 => {
                    worse.push(format!("\"{}\" is 0 everywhere in the first, and not in the second", output.name));
                }
                _ => {}
            }
        }
        match self.score_shift.median.map(f64::abs) {
            _ if !self.score_shift.beyond_chance => {}
            Some(shift) if shift > SHIFT => worse.push(format!(
                "the scores moved by {:.1} % of their spread, more than {:.0} %",
                100.0 * shift,
                100.0 * SHIFT
            )),
            Some(_) => {}
            None => worse.push("the scores moved, and those of the first have no spread to measure that by".into()),
        }
        if let Some(top1) = self.top1_agreement.filter(|&top1| top1 < AGREEMENT) {
            worse.push(format!(
                "only {:.1} % of the samples keep their first place, less than {:.0} %",
                100.0 * top1,
                100.0 * AGREEMENT
            ));
        }
        if let Some((a, b)) = self.accuracy
            && b < a - ACCURACY
        {
            worse.push(format!("the accuracy falls from {:.1} to {:.1} %", 100.0 * a, 100.0 * b));
        }
        if !worse.is_empty() {
            return (Verdict::Improve, worse);
        }
        let gain = self.a.p50_ms / self.b.p50_ms.max(f64::MIN_POSITIVE);
        let [before, after] = [self.a.size_bytes, self.b.size_bytes].map(|bytes| bytes as f64 / 1e6);
        let facts =
            format!("{gain:.2} times as fast on this CPU, {after:.2} MB instead of {before:.2} MB, and as good");
        if gain < WORTH && self.a.size_bytes < SMALL {
            let small = format!("the first has {:.1} MB, so its size hardly matters", self.a.size_bytes as f64 / 1e6);
            return (
                Verdict::Keep,
                vec![format!("it is only {gain:.2} times as fast on this CPU, less than {WORTH}"), small],
            );
        }
        if gain < 1.0 {
            return (Verdict::Keep, vec![format!("it is slower on this CPU ({gain:.2} times as fast)")]);
        }
        (Verdict::Ship, vec![facts])
    }
}

/// For each name of the first its place in the second: by name where both have the same names, and in order where they do not. `None` where
/// one has more names than the other.
pub fn pairs<Name: AsRef<str>>(first: &[Name], second: &[Name]) -> Option<Vec<usize>> {
    if first.len() != second.len() {
        return None;
    }
    let place = |name: &Name| second.iter().position(|other| other.as_ref() == name.as_ref());
    let by_name: Option<Vec<usize>> = first.iter().map(place).collect();
    Some(by_name.unwrap_or_else(|| (0..first.len()).collect()))
}

/// Compares the networks of two files; samples have the inputs of the first, in its order. `labels` has the right place of each sample.
///
/// # Errors
/// [`QuantizeError::Model`] where they have other numbers of inputs or outputs, [`QuantizeError::Data`] without samples or with another number of
/// labels, [`QuantizeError::Engine`] where one cannot be run on a sample.
pub fn compare(
    files: [&[u8]; 2],
    samples: &mut dyn Samples,
    labels: Option<&[usize]>,
    threads: usize,
    progress: &mut dyn FnMut(usize, usize) -> Result<(), QuantizeError>,
) -> Result<Comparison, QuantizeError> {
    let mut samples = SampleSet::new(samples, "compare on")?;
    let all: Vec<usize> = (0..samples.count()).collect();
    if let Some(labels) = labels.filter(|labels| labels.len() != all.len()) {
        return Err(QuantizeError::Data(format!("{} labels for {} samples", labels.len(), all.len())));
    }
    let networks = [Network::parse(files[0])?, Network::parse(files[1])?];
    let [inputs, other_inputs] = &networks.each_ref().map(|network| names_of(&network.graph().input));
    let [outputs, other_outputs] = &networks.each_ref().map(|network| names_of(&network.graph().output));
    let taken = pairs(other_inputs, inputs).ok_or_else(|| unlike("inputs", inputs, other_inputs))?;
    let shown = pairs(outputs, other_outputs).ok_or_else(|| unlike("outputs", outputs, other_outputs))?;
    let in_order = |a: &[&str], b: &[&str]| -> Vec<(String, String)> {
        let is_by_name = a.len() < 2 || a.iter().all(|name| b.contains(name));
        let pair = |(a, b): (&&str, &&str)| (a.to_string(), b.to_string());
        if is_by_name { Vec::new() } else { a.iter().zip(b).map(pair).collect() }
    };
    let paired_in_order = [in_order(inputs, other_inputs), in_order(outputs, other_outputs)].concat();
    let shown: [Vec<String>; 2] = [
        outputs.iter().map(|name| name.to_string()).collect(),
        shown.iter().map(|&at| other_outputs[at].to_string()).collect(),
    ];
    let mut runners = [Runner::new(&networks[0], &shown[0], threads)?, Runner::new(&networks[1], &shown[1], threads)?];
    let mut quality = vec![Sqnr::default(); outputs.len()];
    let mut places = Places::default();
    for &index in &all {
        progress(index, all.len())?;
        let Some(sample) = samples.get(index)? else { continue };
        let [first, second] = &mut runners;
        let ((made, counted), (other, other_counted)) =
            (first.run_counted(&sample)?, second.run_counted(&ordered(&sample, &taken))?);
        let counted: Vec<bool> = counted.iter().zip(other_counted).map(|(a, b)| a | b).collect();
        for (((quality, a), b), &is_counted) in quality.iter_mut().zip(made).zip(other).zip(&counted) {
            quality.add_found(a, b, is_counted)?;
        }
        // Things that are found have no places of their own, and no score.
        if counted.first() == Some(&true) {
            if labels.is_some() {
                return Err(QuantizeError::Data(format!(
                    "labels are places in the first output, but how many elements \"{}\" has differs: compare without labels",
                    outputs[0]
                )));
            }
        } else if let (Some(a), Some(b)) = (made.first(), other.first()) {
            let (a, b, label) = (numbers(a)?, numbers(b)?, labels.map(|labels| labels[index]));
            if let Some(label) = label {
                check_label(label, a.len(), outputs[0], &samples.name(index))?;
            }
            places.add(&a, &b, label);
        }
    }
    let count = samples.readable(&all)?.len();
    let first = samples.first(&all)?;
    let outputs = outputs.iter().zip(&quality).map(|(name, sqnr)| OutputDifference::new(name.to_string(), sqnr));
    let part = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    let classes = places.classes;
    let [a, b] = costs(files, [&first, &ordered(&first, &taken)], threads)?;
    Ok(Comparison {
        samples: count,
        unread: samples.unread(),
        a,
        b,
        outputs: outputs.collect(),
        paired_in_order,
        top1_agreement: classes.then(|| part(places.same, count)),
        top5_agreement: classes.then(|| part(places.among_five, count)),
        accuracy: labels.filter(|_| classes).map(|_| (part(places.right[0], count), part(places.right[1], count))),
        score_shift: shift(places.scores),
    })
}

fn names_of(values: &[ValueInfoProto]) -> Vec<&str> {
    values.iter().map(|value| value.name.as_str()).collect()
}

fn unlike(what: &str, first: &[&str], second: &[&str]) -> QuantizeError {
    QuantizeError::Model(format!("the first has {} {what}, the second {}", first.len(), second.len()))
}

/// A sample of the first network as the second takes it.
fn ordered(sample: &[Tensor], places: &[usize]) -> Vec<Tensor> {
    places.iter().filter_map(|&at| sample.get(at)).cloned().collect()
}

/// Refuses a label that is no place of an output with so many numbers.
fn check_label(label: usize, count: usize, output: &str, sample: &str) -> Result<(), QuantizeError> {
    match count {
        0 | 1 => Err(QuantizeError::Data(format!(
            "labels are places in the first output, but \"{output}\" has {count} number for a sample: compare without labels"
        ))),
        _ if label >= count => Err(QuantizeError::Data(format!(
            "{sample}: its label is {label}, but the places of \"{output}\" are 0 to {}",
            count - 1
        ))),
        _ => Ok(()),
    }
}

/// The layers of the first network that the second has in the same size, too: signal to noise of each tensor over the samples, in the network's order.
/// Tensors that only functions of them take are left out: what of them is lost is seen behind these, and their flat ends are cut off.
///
/// # Errors
/// As [`compare`].
pub fn layers(
    files: [&[u8]; 2],
    samples: &mut dyn Samples,
    threads: usize,
) -> Result<Vec<OutputDifference>, QuantizeError> {
    let networks = [Network::parse(files[0])?, Network::parse(files[1])?];
    let types = networks.each_ref().map(types::of);
    let known = networks[1].edges().producer;
    let made = networks[0].nodes().iter().flat_map(|node| &node.output);
    let (edges, functions) = (networks[0].edges(), function::find(&networks[0], |_| false));
    let is_within = |name: &str| {
        let takers = edges.takers(name);
        let into_functions = takers.iter().all(|&at| functions.holds(&networks[0].nodes()[at]));
        !takers.is_empty() && into_functions && !edges.outputs.contains(name)
    };
    let names: Vec<String> = made
        .filter(|name| known.contains_key(*name) && types.iter().all(|types| types.is_float(name)))
        .filter(|name| !is_within(name))
        .cloned()
        .collect();
    if names.is_empty() {
        return Err(QuantizeError::Model("no tensor of one name holds floats in both networks".into()));
    }
    let [inputs, other_inputs] = networks.each_ref().map(|network| names_of(&network.graph().input));
    let taken = pairs(&other_inputs, &inputs).ok_or_else(|| unlike("inputs", &inputs, &other_inputs))?;
    let mut a = Runner::new(&networks[0], &names, threads)?;
    let mut b = Runner::new(&networks[1], &names, threads)?;
    // None for a tensor that has another size in the second.
    let mut quality = vec![Some(Sqnr::default()); names.len()];
    let mut samples = SampleSet::new(samples, "compare on")?;
    for index in 0..samples.count() {
        let Some(sample) = samples.get(index)? else { continue };
        for ((known, a), b) in quality.iter_mut().zip(a.run(&sample)?).zip(b.run(&ordered(&sample, &taken))?) {
            *known = known.and_then(|mut sqnr| sqnr.add(a, b).is_ok().then_some(sqnr));
        }
    }
    let of_both = names.into_iter().zip(quality).filter_map(|(name, sqnr)| Some(OutputDifference::new(name, &sqnr?)));
    Ok(of_both.collect())
}

#[derive(Default)]
struct Places {
    /// Whether the first output has more than one number.
    classes: bool,
    same: usize,
    among_five: usize,
    right: [usize; 2],
    scores: [Vec<f64>; 2],
}

impl Places {
    /// What is NaN has no place; a sample that has none in one of both keeps none.
    fn add(&mut self, a: &[f64], b: &[f64], label: Option<usize>) {
        self.classes |= a.len() > 1;
        let order = |values: &[f64]| {
            let mut order: Vec<usize> = (0..values.len()).filter(|&at| !values[at].is_nan()).collect();
            order.sort_by(|&i, &j| values[j].total_cmp(&values[i]).then(i.cmp(&j)));
            order.truncate(5);
            order
        };
        let (first, second) = (order(a), order(b));
        for (right, best) in self.right.iter_mut().zip([first.first(), second.first()]) {
            *right += usize::from(label.is_some() && best.copied() == label);
        }
        let (Some(&best_a), Some(&best_b)) = (first.first(), second.first()) else { return };
        self.same += usize::from(best_a == best_b);
        self.among_five += usize::from(second.contains(&best_a));
        if a[best_a].is_finite() && b[best_b].is_finite() {
            self.scores[0].push(a[best_a]);
            self.scores[1].push(b[best_b]);
        }
    }
}

fn shift([mut a, mut b]: [Vec<f64>; 2]) -> ScoreShift {
    let moved = |up: bool| a.iter().zip(&b).filter(|(a, b)| if up { b > a } else { b < a }).count() as f64;
    let (up, down) = (moved(true), moved(false));
    // Of n samples that move either way alike, the difference lies within 1.96 √n in 95 of 100 cases.
    let beyond_chance = (up - down).abs() > 1.96 * (up + down).sqrt();
    a.sort_by(f64::total_cmp);
    b.sort_by(f64::total_cmp);
    let count = a.len().min(b.len()).max(1) as f64;
    let below = |sorted: &[f64], limit: f64| sorted.partition_point(|&value| value <= limit) as f64 / count;
    let distance = a.iter().chain(&b).map(|&limit| (below(&a, limit) - below(&b, limit)).abs()).fold(0.0, f64::max);
    let at = |sorted: &[f64], part: f64| sorted.get((part * (count - 1.0)).round() as usize).copied().unwrap_or(0.0);
    let spread = at(&a, 0.95) - at(&a, 0.05);
    let moved = at(&b, 0.5) - at(&a, 0.5);
    let part = if a.is_empty() {
        None
    } else if moved == 0.0 {
        Some(0.0)
    } else {
        (spread > 0.0).then(|| moved / spread)
    };
    ScoreShift { kolmogorov_smirnov: distance, median: part, beyond_chance }
}

/// Both are timed in turns, so that what else the machine does meets both.
fn costs(files: [&[u8]; 2], samples: [&[Tensor]; 2], threads: usize) -> Result<[Cost; 2], QuantizeError> {
    const RUNS: usize = 21;
    let mut sessions = Vec::new();
    for (file, sample) in files.into_iter().zip(samples) {
        let mut network = Network::parse(file)?;
        network.forget_output_shapes();
        let file = network.encode();
        let start = Instant::now();
        let shapes: Vec<Vec<usize>> = sample.iter().map(|tensor| tensor.shape().to_vec()).collect();
        let plan = Arc::new(Model::parse(&file)?.plan(&shapes)?);
        let mut session = Session::with_threads(Arc::clone(&plan), threads)?;
        for (index, tensor) in sample.iter().enumerate() {
            session.set_input(index, tensor.clone())?;
        }
        session.run()?;
        sessions.push((session, plan, start.elapsed().as_secs_f64() * 1e3, census(&network)));
    }
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        for ((session, ..), times) in sessions.iter_mut().zip(&mut times) {
            let start = Instant::now();
            session.run()?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let cost = |index: usize| {
        let mut sorted = times[index].clone();
        sorted.sort_by(f64::total_cmp);
        let (_, plan, load_ms, layers) = &sessions[index];
        let memory = plan.memory();
        Cost {
            size_bytes: files[index].len() as u64,
            load_ms: *load_ms,
            p50_ms: sorted[RUNS / 2],
            p95_ms: sorted[RUNS * 95 / 100],
            memory_bytes: memory.weights_bytes + memory.arena_bytes,
            integer_coverage: plan.integer_coverage(),
            layers: *layers,
        }
    };
    Ok([cost(0), cost(1)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_that_move_are_seen_and_those_that_do_not_are_not() {
        let scores: Vec<f64> = (0..101).map(|i| f64::from(i) / 100.0).collect();
        let same = shift([scores.clone(), scores.clone()]);
        assert_eq!((same.kolmogorov_smirnov, same.median), (0.0, Some(0.0)));
        let moved = shift([scores.clone(), scores.iter().map(|score| score + 0.2).collect()]);
        assert!((moved.median.unwrap() - 0.2 / 0.9).abs() < 1e-6, "{moved:?}");
        assert!((moved.kolmogorov_smirnov - 0.198).abs() < 0.01, "{moved:?}");
        assert!(moved.beyond_chance && !same.beyond_chance, "{moved:?}");
        // Up and down by turns, as rounding does: whatever the medians of a few samples say, nothing has moved.
        let by_turns = |(i, score): (usize, &f64)| score + if i % 2 == 0 { 0.2 } else { -0.2 };
        let noisy = shift([scores.clone(), scores.iter().enumerate().map(by_turns).collect()]);
        assert!(!noisy.beyond_chance, "{noisy:?}");
        // One sample, or samples of one score, have no spread that a shift could be a part of.
        assert_eq!(shift([vec![0.5], vec![0.7]]).median, None);
        assert_eq!(shift([vec![0.5; 9], vec![0.5; 9]]).median, Some(0.0));
        assert_eq!(shift([Vec::new(), Vec::new()]).median, None);
    }

    #[test]
    fn what_is_nan_has_no_place() {
        let mut places = Places::default();
        places.add(&[0.1, 0.9], &[f64::NAN, f64::NAN], Some(1));
        places.add(&[0.1, 0.9], &[f64::NAN, 0.8], Some(1));
        places.add(&[f64::NAN, f64::NAN], &[f64::NAN, f64::NAN], Some(0));
        assert_eq!((places.same, places.among_five, places.right), (1, 1, [2, 1]));
        assert_eq!(places.scores, [vec![0.9], vec![0.8]]);
    }
}
