//! From good frames of a new batch to a new bundle's directions, scales and calibration.
//!
//! 1. What the new batch differs by becomes nuisance directions ([`Nuisance`]).
//! 2. Every scorer's spread is that of the batch in which it varies most.
//! 3. The sums of a later batch have the shape of those first taught, about their own median and as wide as they are: from thirty
//!    frames a median and a width can be told, the tail of one in a hundred cannot.
//! 4. The calibration is that of whichever batch has the higher sums, so the stated rate of false alarms holds for each.

use super::batch::{BatchFrame, BatchReader, ScoredBy};
use super::report::RecalibrationReport;
use crate::bundle::ScorerSection;
use crate::task::anomaly::baseline::{Baseline, ImageStatsBaseline};
use crate::task::anomaly::calibration::{Calibration, SeverityScale};
use crate::task::anomaly::image_stats::ImageStats;
use crate::task::anomaly::normal_frames::{GoodFrame, NormalFrames};
use crate::task::anomaly::nuisance::Nuisance;
use crate::task::anomaly::teach::{assign_folds, near_duplicates};

/// The fewest frames of a batch.
pub const MIN_FRAMES: usize = 8;
/// Parts of which each is scored by directions from the others.
const FOLDS: usize = 5;
/// From this severity on a frame does not look like what was taught.
const OTHER_PRODUCT: f64 = 3.0;

/// What a new bundle has instead of the old one's.
pub struct Recalibrated {
    /// The scorers' sections, with new medians and spreads.
    pub scorers: Vec<ScorerSection>,
    /// From sum to score.
    pub calibration: Calibration,
    /// The score from which on a frame counts as defect.
    pub threshold: f64,
    /// Directions that are taken out of pooled features; `None` where the bundle keeps no frames of what was taught.
    pub nuisance: Option<Nuisance>,
    /// Frames for the next recalibration.
    pub normal: Option<NormalFrames>,
    /// The baseline for drift detection.
    pub baseline: Option<Baseline>,
    /// What changed.
    pub report: RecalibrationReport,
}

/// Sums of the frames of a batch.
struct BatchSums {
    batch: usize,
    sums: Vec<f64>,
}

/// With this many frames a change of their distribution is believed by half.
const DOUBT: f64 = 8.0;

/// Takes frames of a new batch into a bundle. `normal` and `baseline` are the bundle's; `threshold` is a score.
///
/// # Errors
/// In one line, where there are too few frames, or they do not look like what was taught at all.
pub fn recalibrate(
    reader: &mut BatchReader,
    frames: &[BatchFrame],
    normal: Option<NormalFrames>,
    baseline: Option<Baseline>,
    threshold: Option<f64>,
) -> Result<Recalibrated, String> {
    if frames.len() < MIN_FRAMES {
        return Err(format!("{} different pictures: at least {MIN_FRAMES} are needed, 30 are better", frames.len()));
    }
    let far = frames.iter().filter(|frame| frame.severity > OTHER_PRODUCT).count();
    if 2 * far > frames.len() {
        return Err(format!(
            "these look like another product: {far} of {} pictures have a severity over {OTHER_PRODUCT}; teach anew with pictures of it",
            frames.len()
        ));
    }
    let threshold = threshold.unwrap_or(reader.threshold());
    let before = Before { calibration: reader.calibration().clone(), threshold: reader.threshold() };
    let usable = normal.filter(|normal| frames.iter().all(|frame| frame.pooled.len() == normal.scale.count()));
    let Some(mut normal) = usable else {
        return Ok(threshold_only(reader, frames, baseline, threshold, &before));
    };

    let earlier = reader.nuisance();
    let rows: Vec<&[u16]> = frames.iter().map(|frame| &frame.pooled[..]).collect();
    let nuisance = Nuisance::fit(&normal.scale, &rows, earlier.as_ref());
    let new_values = cross_fitted(reader, frames, &normal, earlier.as_ref());
    let old_sections = reader.sections().to_vec();
    let sums_before: Vec<f64> =
        (0..normal.count()).map(|frame| reader.combined(&old_sections, normal.values(frame))).collect();
    adjust_first(reader, &mut normal, &nuisance)?;
    adjust_later(reader, &mut normal, earlier, &nuisance);
    let taught = normal.count();
    let batch = taught.checked_sub(1).map_or(0, |last| normal.batch(last) + 1);
    let pairs: Vec<GoodFrame> = rows.iter().map(|row| Some(*row)).zip(new_values.iter().cloned()).collect();
    let values_of = |batch: usize, normal: &NormalFrames| -> Vec<Vec<f64>> {
        let of_batch = (0..taught).filter(|frame| normal.batch(*frame) == batch);
        of_batch.map(|frame| normal.values(frame).to_vec()).collect()
    };
    let mut batches: Vec<Vec<Vec<f64>>> = (0..batch).map(|batch| values_of(batch, &normal)).collect();
    batches.push(new_values);
    batches.retain(|batch| !batch.is_empty());

    let scorers = rescaled(&old_sections, &batches);
    let sums: Vec<BatchSums> = batches
        .iter()
        .enumerate()
        .map(|(batch, values)| BatchSums {
            batch,
            sums: values.iter().map(|values| reader.combined(&scorers, values)).collect(),
        })
        .collect();
    let first = Calibration::fit(&sums[0].sums);
    let calibration = sums[1..].iter().fold(first, |all, later| all.envelope(&like(&sums[0].sums, &later.sums)));
    // What the frames of before would give without the new ones.
    let known = sums[1..sums.len() - 1].iter();
    let without =
        known.fold(Calibration::fit(&sums[0].sums), |all, later| all.envelope(&like(&sums[0].sums, &later.sums)));
    normal.extend(batch, &pairs);

    let (new, old): (Vec<&BatchSums>, Vec<&BatchSums>) = sums.iter().partition(|part| part.batch + 1 == sums.len());
    let new_sums: Vec<f64> = new.iter().flat_map(|part| part.sums.iter().copied()).collect();
    let old_sums: Vec<f64> = old.iter().flat_map(|part| part.sums.iter().copied()).collect();
    let after = After { calibration: &calibration, threshold, sums: &new_sums };
    let mut report = after.report(frames, &without);
    report.taught = Some([
        taught,
        sums_before.iter().filter(|sum| before.calibration.score(**sum) >= before.threshold).count(),
        old_sums.iter().filter(|sum| calibration.score(**sum) >= threshold).count(),
    ]);
    report.directions = nuisance.count();
    let baseline = baseline.map(|baseline| {
        let scores = old_sums.iter().chain(&new_sums).map(|sum| calibration.score(*sum)).collect();
        with_frames(baseline, scores, frames)
    });
    Ok(Recalibrated {
        scorers,
        threshold,
        nuisance: Some(nuisance),
        normal: Some(normal),
        baseline,
        report,
        calibration,
    })
}

/// Calibration and threshold of the old bundle.
struct Before {
    calibration: Calibration,
    threshold: f64,
}

/// The new batch by the new bundle.
struct After<'a> {
    calibration: &'a Calibration,
    threshold: f64,
    /// By frame of the new batch.
    sums: &'a [f64],
}

impl After<'_> {
    /// The report but for what is known of the frames taught before. `without` is the calibration without the new batch.
    fn report(&self, frames: &[BatchFrame], without: &Calibration) -> RecalibrationReport {
        let scale = SeverityScale::new(self.calibration, self.threshold);
        let severities: Vec<f64> =
            self.sums.iter().map(|&sum| scale.severity(sum, self.calibration.score(sum))).collect();
        let limit = self.calibration.sum_at(self.threshold);
        let doubtful = frames.iter().zip(&severities).filter(|(_, severity)| **severity > OTHER_PRODUCT);
        RecalibrationReport {
            frames: frames.len(),
            false_alarms_before: frames.iter().filter(|frame| frame.severity >= 1.0).count(),
            false_alarms_after: severities.iter().filter(|severity| **severity >= 1.0).count(),
            severity_before: median(frames.iter().map(|frame| frame.severity).collect()),
            threshold_severity: SeverityScale::new(without, self.threshold).distance(limit),
            doubtful: doubtful.map(|(frame, _)| frame.name.clone()).collect(),
            severity_after: median(severities),
            taught: None,
            directions: 0,
        }
    }
}

/// Where a bundle keeps no frames of what was taught: only the calibration learns.
fn threshold_only(
    reader: &BatchReader,
    frames: &[BatchFrame],
    baseline: Option<Baseline>,
    threshold: f64,
    before: &Before,
) -> Recalibrated {
    let sums: Vec<f64> = frames.iter().map(|frame| reader.combined(reader.sections(), &frame.values)).collect();
    let taught: Vec<f64> = (1..200).map(|i| before.calibration.sum_at(f64::from(i) / 200.0)).collect();
    let calibration = before.calibration.envelope(&like_calibration(&before.calibration, &taught, &sums));
    let report = After { calibration: &calibration, threshold, sums: &sums }.report(frames, &before.calibration);
    let baseline = baseline.map(|baseline| {
        let known = baseline.scores.iter().map(|score| before.calibration.sum_at(*score));
        let scores = known.chain(sums.iter().copied()).map(|sum| calibration.score(sum)).collect();
        with_frames(baseline, scores, frames)
    });
    let scorers = reader.sections().to_vec();
    Recalibrated { scorers, calibration, threshold, nuisance: None, normal: None, baseline, report }
}

/// By frame: the values of the scorers, by nuisance directions from other frames.
fn cross_fitted(
    reader: &mut BatchReader,
    frames: &[BatchFrame],
    normal: &NormalFrames,
    earlier: Option<&Nuisance>,
) -> Vec<Vec<f64>> {
    let thumbnails: Vec<_> = frames.iter().map(|frame| frame.thumbnail.clone()).collect();
    let folds = assign_folds(&near_duplicates(&thumbnails), FOLDS);
    let mut values = vec![Vec::new(); frames.len()];
    for fold in 0..FOLDS {
        let others = frames.iter().zip(&folds).filter(|(_, other)| **other != fold);
        let others: Vec<&[u16]> = others.map(|(frame, _)| &frame.pooled[..]).collect();
        let mut nuisance = Nuisance::fit(&normal.scale, &others, earlier);
        for ((frame, values), _) in frames.iter().zip(&mut values).zip(&folds).filter(|(_, own)| **own == fold) {
            *values = reader.values_without(&frame.pooled, Some(&mut nuisance), &frame.values, ScoredBy::Bundle);
        }
    }
    values
}

/// Gives the frames first taught the values that they have without `nuisance`. Those with features are scored anew, by scorers that
/// were trained without them; the values of the others move and narrow by as much as theirs do.
fn adjust_first(reader: &mut BatchReader, normal: &mut NormalFrames, nuisance: &Nuisance) -> Result<(), String> {
    reader.build_held_out(&normal.held_out)?;
    let first: Vec<usize> = (0..normal.count()).filter(|frame| normal.batch(*frame) == 0).collect();
    let (mut was, mut is): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (Vec::new(), Vec::new());
    let (mut nuisance, mut scored) = (nuisance.clone(), Vec::new());
    for &frame in &first {
        let Some(pooled) = normal.pooled(frame) else { continue };
        was.push(normal.values(frame).to_vec());
        is.push(reader.values_without(&pooled, Some(&mut nuisance), normal.values(frame), ScoredBy::HeldOut));
        scored.push(frame);
    }
    let trust = scored.len() as f64 / (scored.len() as f64 + DOUBT);
    let changes: Vec<Change> = (0..normal.held_out.len())
        .map(|scorer| {
            let of = |values: &[Vec<f64>]| values.iter().map(|values| values[scorer]).collect::<Vec<f64>>();
            Change::between(&of(&was), &of(&is), trust)
        })
        .collect();
    for &frame in first.iter().filter(|frame| !scored.contains(frame)) {
        let moved = normal.values(frame).iter().zip(&changes).map(|(value, change)| change.apply(*value)).collect();
        normal.set_values(frame, moved);
    }
    scored.into_iter().zip(is).for_each(|(frame, values)| normal.set_values(frame, values));
    Ok(())
}

/// The same for frames of later batches, which no scorer was trained with: their values change as those of the bundle's scorers do.
fn adjust_later(
    reader: &mut BatchReader,
    normal: &mut NormalFrames,
    mut earlier: Option<Nuisance>,
    nuisance: &Nuisance,
) {
    let mut nuisance = nuisance.clone();
    for frame in 0..normal.count() {
        let Some(pooled) = normal.pooled(frame).filter(|_| normal.batch(frame) > 0) else { continue };
        let values = normal.values(frame).to_vec();
        let was = reader.values_without(&pooled, earlier.as_mut(), &values, ScoredBy::Bundle);
        let is = reader.values_without(&pooled, Some(&mut nuisance), &values, ScoredBy::Bundle);
        let changed = values.iter().zip(was.iter().zip(&is)).map(|(value, (was, is))| value + (is - was)).collect();
        normal.set_values(frame, changed);
    }
}

/// How the distribution of a scorer's values changes.
struct Change {
    from: f64,
    to: f64,
    width: f64,
}

impl Change {
    /// The change of median and width from some values to others; of little `trust`, 0..1, little changes.
    fn between(was: &[f64], is: &[f64], trust: f64) -> Change {
        let from = median(was.to_vec());
        let ratio = if was == is { 1.0 } else { deviation(is) / deviation(was).max(1e-9) };
        let to = from + trust * (median(is.to_vec()) - from);
        Change { from, to, width: 1.0 + trust * (ratio.clamp(0.1, 10.0) - 1.0) }
    }

    fn apply(&self, value: f64) -> f64 {
        self.to + (value - self.from) * self.width
    }
}

/// Sections with the median of what was first taught, and the spread of the batch in which the scorer varies most.
fn rescaled(sections: &[ScorerSection], batches: &[Vec<Vec<f64>>]) -> Vec<ScorerSection> {
    let rescale = |(at, section): (usize, &ScorerSection)| {
        // A scorer that only makes the heatmap keeps its scale.
        if section.weight == 0.0 {
            return section.clone();
        }
        let of = |batch: &Vec<Vec<f64>>| batch.iter().map(|values| values[at]).collect::<Vec<f64>>();
        let spread = batches.iter().map(|batch| deviation(&of(batch))).fold(0.0, f64::max);
        let median = batches.first().map_or(section.median, |first| median(of(first)));
        ScorerSection { median, spread: spread.max(1e-6), ..section.clone() }
    };
    sections.iter().enumerate().map(rescale).collect()
}

/// The distribution of the first sums, about the median of the later ones and as wide as these.
fn like(first: &[f64], later: &[f64]) -> Calibration {
    like_calibration(&Calibration::fit(first), first, later)
}

fn like_calibration(calibration: &Calibration, first: &[f64], later: &[f64]) -> Calibration {
    let width = (deviation(later) / deviation(first).max(1e-9)).clamp(1e-3, 1e3);
    calibration.moved(median(first.to_vec()), median(later.to_vec()), width)
}

/// The middle of the values, of an even number the mean of both.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.get(half) {
        None => 0.0,
        Some(upper) if values.len() % 2 == 1 => *upper,
        Some(upper) => (values[half - 1] + upper) / 2.0,
    }
}

fn deviation(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count).sqrt()
}

/// A baseline with other scores, and the image statistics of the new frames besides its own.
fn with_frames(baseline: Baseline, mut scores: Vec<f64>, frames: &[BatchFrame]) -> Baseline {
    scores.sort_by(f64::total_cmp);
    let merged = |mut values: Vec<f64>, more: &dyn Fn(&ImageStats) -> f64| {
        values.extend(frames.iter().map(|frame| more(&frame.image_stats)));
        values.sort_by(f64::total_cmp);
        values
    };
    let image_stats = baseline.image_stats.map(|stats| ImageStatsBaseline {
        brightness: merged(stats.brightness, &|stats| ImageStats::grey_levels(stats.brightness)),
        sharpness: merged(stats.sharpness, &|stats| ImageStats::thousandths(stats.sharpness)),
    });
    Baseline { scores, image_stats }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_batch_has_the_shape_of_the_first() {
        let first: Vec<f64> = (0..=400).map(f64::from).collect();
        let later: Vec<f64> = (0..30).map(|i| 300.0 + 2.0 * 400.0 * f64::from(i) / 29.0).collect();
        let calibration = like(&first, &later);
        assert!((calibration.sum_at(0.5) - 700.0).abs() < 1.0);
        let wide = calibration.sum_at(0.9) - calibration.sum_at(0.1);
        // Twice as wide; the deviation of thirty values is a little larger.
        assert!((wide / 320.0 - 2.0).abs() < 0.1, "{wide}");
    }

    #[test]
    fn a_change_that_few_frames_show_is_believed_by_half() {
        let (was, is) = ([0.0, 2.0, 4.0, 6.0], [10.0, 11.0, 12.0, 13.0]);
        let all = Change::between(&was, &is, 1.0);
        assert_eq!([0.0, 3.0, 6.0].map(|value| all.apply(value)), [10.0, 11.5, 13.0]);
        let half = Change::between(&was, &is, 0.5);
        assert_eq!([3.0, 7.0].map(|value| half.apply(value)), [7.25, 10.25]);
        let none = Change::between(&was, &was, 1.0);
        assert_eq!(none.apply(5.0), 5.0);
        // Without a frame nothing changes.
        assert_eq!(Change::between(&[], &[], 0.0).apply(5.0), 5.0);
    }

    #[test]
    fn a_scorer_is_as_wide_as_where_it_varies_most() {
        let section = |weight| ScorerSection {
            method: crate::bundle::Method::Linear,
            view: 0,
            statistics: String::new(),
            top: None,
            median: 5.0,
            spread: 7.0,
            weight,
            ceiling: None,
        };
        let batch = |values: &[f64]| values.iter().map(|&value| vec![value, value]).collect::<Vec<_>>();
        let scaled = rescaled(&[section(1.0), section(0.0)], &[batch(&[0.0, 2.0]), batch(&[10.0, 18.0])]);
        assert_eq!((scaled[0].median, scaled[0].spread), (1.0, 4.0));
        assert_eq!((scaled[1].median, scaled[1].spread), (5.0, 7.0));
    }

    #[test]
    fn the_middle_of_an_even_number_is_between() {
        assert_eq!((median(vec![3.0, 1.0]), median(vec![3.0, 1.0, 9.0]), median(Vec::new())), (2.0, 3.0, 0.0));
    }
}
