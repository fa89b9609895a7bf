//! From the cached features to a trained model.
//!
//! Scales, threshold and the selection of scorers come from cross-validation; the selected scorers are then trained once more
//! with all pictures. With labelled defects, cross-validation runs with and without their help, and the better variant is kept.

use super::cached_features::{CachedFeatures, LabelledFeatures};
use super::cross_validation::{CrossValidation, CrossValidator};
use super::dataset_check::FoldAssignment;
use super::detail::Views;
use super::false_alarms::{FewPictures, false_alarm_interval};
use super::feature_cache::FeatureCache;
use super::fold_data::FoldData;
use super::scheme::{CANDIDATES, HEATMAP, IMAGE_LEVEL, Scale, TeachError};
use super::selection::{HeldOutScore, HeldOutScores, auroc_by_fold, auroc_combined, combined, is_worse, terms};
use super::standardizer::Standardizer;
use super::threshold_check::ThresholdCheck;
use super::trained_model::{
    LabelGain, ScorerResult, ScorerStatistics, TrainedModel, half_distances, outliers, threshold,
};
use crate::task::anomaly::calibration::Calibration;
use crate::task::anomaly::normal_frames::{GoodFrame, NormalFrames};
use crate::task::anomaly::pooled_scale::PooledScale;
use crate::task::anomaly::view::Layer;

/// The fold whose pictures a bundle keeps.
const KEPT_FOLD: usize = 0;

/// What training starts from.
pub struct TrainingInput<'a> {
    /// Features of normal pictures.
    pub normal: &'a FeatureCache,
    /// The sizes of the views.
    pub views: Views,
    /// The layers of each view.
    pub layers: &'a [&'a [Layer]],
    /// How normal pictures are held out.
    pub assignment: &'a FoldAssignment,
    /// Features of labelled defects, and the fold in which each is held out.
    pub defects: Option<(&'a FeatureCache, Vec<usize>)>,
}

/// Trains a model; see [`Trainer::train`](super::Trainer::train).
///
/// # Errors
/// [`TeachError::Refused`] where nothing can be learned from these pictures, [`TeachError::Cache`] where the cache cannot be read.
pub fn train(input: TrainingInput<'_>, share: f64, mut progress: impl FnMut(f64)) -> Result<TrainedModel, TeachError> {
    let TrainingInput { normal, views, layers, assignment, defects } = input;
    let cached = CachedFeatures::read(normal, layers, assignment, |done| progress(0.2 * done))?;
    if cached.patches.all_defects.count() == 0.0 {
        let problem = "no synthetic defect is visible in these pictures: they are black";
        return Err(TeachError::Refused(problem.into()));
    }
    let labels = defects.map(|(cache, folds)| LabelledFeatures::read(cache, layers, folds, &cached)).transpose()?;
    let mut data = FoldData::new(&cached, labels.as_ref());

    let variants: &[bool] = if labels.is_some() { &[false, true] } else { &[false] };
    let mut results: Vec<CrossValidation> = Vec::new();
    for &use_labels in variants {
        let from = 0.2 + 0.65 * results.len() as f64 / variants.len() as f64;
        let report = |done: f64| progress(from + 0.65 * done / variants.len() as f64);
        let validator = CrossValidator { layers, cached: &cached, labels: labels.as_ref(), use_labels };
        results.push(validator.cross_validate(&mut data, results.last(), report)?);
    }
    let aurocs: Vec<f64> = results.iter().map(CrossValidation::labelled_auroc).collect();
    // Labelled defects are real ones: they are used unless they clearly mislead.
    let label_count = labels.as_ref().map_or(0, LabelledFeatures::count);
    let helped = aurocs.len() == 2 && !is_worse(aurocs[1], aurocs[0], assignment.folds.len(), label_count);
    let CrossValidation { held_out, selected } = results.swap_remove(usize::from(helped));
    let validator = CrossValidator { layers, cached: &cached, labels: labels.as_ref(), use_labels: helped };
    let distances = validator.heatmap_distances(&mut data)?;

    let terms = terms(&held_out);
    let values = |scores: &[HeldOutScore]| scores.iter().map(|score| score.value).collect::<Vec<f64>>();
    let normal_scores = combined(&held_out, &selected, &terms, |scores| &scores.normal);
    let normal_sums = values(&normal_scores);
    let labelled_sums = values(&combined(&held_out, &selected, &terms, |scores| &scores.labelled));
    let is_original = |picture: &usize| normal.pictures()[*picture].copy == 0;
    let originals: Vec<usize> = (0..normal_scores.len()).filter(is_original).collect();
    let original_scores: Vec<HeldOutScore> = originals.iter().map(|&picture| normal_scores[picture]).collect();
    let calibration = Calibration::fit(&normal_sums);
    let mut scorers = Vec::new();
    for &candidate in &selected {
        let spec = CANDIDATES[candidate];
        let matrix = data.train(spec, helped)?;
        let spec = spec.on(layers[spec.view]);
        scorers
            .push(ScorerStatistics { section: spec.section(terms[candidate].scale, terms[candidate].weight), matrix });
        progress(0.85 + 0.15 * scorers.len() as f64 / (selected.len() + 1) as f64);
    }
    let matrix = data.train(HEATMAP, helped)?;
    scorers.push(ScorerStatistics { section: HEATMAP.section(Scale::IDENTITY, 0.0), matrix });
    let normal = normal_frames(&mut data, &cached, &held_out, &selected, helped)?;
    let threshold = threshold(&calibration, &labelled_sums, share);
    let painted = combined(&held_out, &selected, &terms, |scores| &scores.synthetic);
    let reaches = |sum: f64| calibration.score(sum) >= threshold;
    let check = ThresholdCheck::new(&original_scores, &painted, reaches);
    let few = FewPictures::new(&normal_sums, &assignment.clusters, &originals, 1.0 - threshold, reaches);
    let false_alarm_interval = few
        .as_ref()
        .map_or_else(|| false_alarm_interval(&normal_sums, &assignment.clusters, 1.0 - threshold), |few| few.interval);
    let gain = |labels: &LabelledFeatures| LabelGain {
        without: aurocs[0],
        with: aurocs[1],
        helped,
        kinds: labels.cache.pictures().iter().map(|p| p.label.as_ref().map_or("", |l| &l.kind).into()).collect(),
        sums: labelled_sums.clone(),
    };
    let candidates = CANDIDATES.iter().enumerate().map(|(candidate, spec)| ScorerResult {
        method: spec.method,
        auroc: auroc_by_fold(&held_out[candidate].normal, &held_out[candidate].synthetic).unwrap_or(0.0),
        selected: selected.contains(&candidate),
    });
    Ok(TrainedModel {
        views,
        normal,
        scorers,
        heat_scorer: selected.len(),
        half_distances: half_distances(&distances),
        outliers: outliers(&values(&original_scores)).into_iter().map(|original| originals[original]).collect(),
        candidates: candidates.collect(),
        auroc: auroc_combined(&held_out, &selected, &terms, |scores| &scores.synthetic).unwrap_or(0.0),
        false_alarm_interval,
        few,
        threshold,
        check,
        gain: labels.as_ref().map(gain),
        calibration,
        sums: normal_sums,
    })
}

/// What the bundle keeps of the pictures for recalibration. Trains the selected image-level scorers without one fold.
fn normal_frames(
    data: &mut FoldData<'_>,
    cached: &CachedFeatures<'_>,
    held_out: &[HeldOutScores],
    selected: &[usize],
    use_labels: bool,
) -> Result<NormalFrames, TeachError> {
    let folds = &cached.assignment.folds;
    let rows: Vec<&[u16]> = (0..folds.len()).map(|picture| cached.pooled.of_picture(picture)).collect();
    let Standardizer { means, scales } = Standardizer::fit(&rows, |_| true);
    data.hold_out(Some(KEPT_FOLD));
    let trained = selected.iter().map(|&candidate| match CANDIDATES[candidate] {
        spec if spec.top.is_none() && spec.view == IMAGE_LEVEL => data.train(spec, use_labels).map(Some),
        _ => Ok(None),
    });
    // The scorer behind the heatmap is no part of the sum.
    let matrices = trained.chain([Ok(None)]).collect::<Result<Vec<_>, TeachError>>()?;
    data.hold_out(None);
    let frames: Vec<GoodFrame> = rows
        .iter()
        .enumerate()
        .map(|(picture, row)| {
            let values = selected.iter().map(|&candidate| held_out[candidate].normal[picture].value);
            ((folds[picture] == KEPT_FOLD).then_some(*row), values.chain([0.0]).collect())
        })
        .collect();
    let mut normal = NormalFrames::new(IMAGE_LEVEL, PooledScale { means, scales }, matrices);
    normal.extend(0, &frames);
    Ok(normal)
}
