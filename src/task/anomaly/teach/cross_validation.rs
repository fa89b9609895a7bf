//! Cross-validation of the candidate scorers.
//!
//! Every candidate is trained once per fold, each time without that fold of the pictures and without some kinds of synthetic
//! defects, and scored on exactly those. Its scores on pictures that it was trained with would be worthless, because it
//! remembers them, and scores on kinds of defects that it was trained with say little about kinds to come.

use super::cached_features::{CachedFeatures, LabelledFeatures};
use super::feature_cache::FeatureSample;
use super::fold_data::{FoldData, uses_labels};
use super::look_alikes::{GROUPS, look_alikes};
use super::mahalanobis::mahalanobis;
use super::scheme::{CANDIDATES, HEATMAP, IMAGE_LEVEL, PATCH_LEVEL, Scale, ScorerSpec, TeachError, fold_of};
use super::selection::{HeldOutScore, HeldOutScores, auroc_combined, select, terms};
use crate::task::anomaly::cells::Cells;
use crate::task::anomaly::scorer::{Features, Scorer, build_scorer};
use crate::task::anomaly::view::{FeatureMaps, Layer};

/// Results of all candidates on held-out pictures.
pub struct CrossValidation {
    /// By candidate.
    pub held_out: Vec<HeldOutScores>,
    /// The candidates whose combination is the score, by number.
    pub selected: Vec<usize>,
}

impl CrossValidation {
    /// Area under the ROC curve of the selected combination, held-out normal pictures against held-out labelled defects.
    pub fn labelled_auroc(&self) -> f64 {
        let terms = terms(&self.held_out);
        auroc_combined(&self.held_out, &self.selected, &terms, |scores| &scores.labelled).unwrap_or(0.0)
    }
}

/// The data of a cross-validation.
#[derive(Clone, Copy)]
pub struct CrossValidator<'a> {
    /// The layers of each view.
    pub layers: &'a [&'a [Layer]],
    /// Features of normal pictures.
    pub cached: &'a CachedFeatures<'a>,
    /// Features of labelled defects, on which candidates are scored in any case.
    pub labels: Option<&'a LabelledFeatures<'a>>,
    /// Whether labelled defects are used for training too.
    pub use_labels: bool,
}

impl CrossValidator<'_> {
    /// By fold: scorers that are trained without it, one per spec.
    fn train_without_each_fold(
        &self,
        data: &mut FoldData<'_>,
        specs: &[ScorerSpec],
        mut progress: impl FnMut(f64),
    ) -> Result<Vec<Vec<Box<dyn Scorer>>>, TeachError> {
        let mut trained = Vec::new();
        for fold in 0..self.cached.folds {
            data.hold_out(Some(fold));
            let mut scorers = Vec::new();
            for &spec in specs {
                let matrix = data.train(spec, self.use_labels)?;
                let layers = self.layers[spec.view];
                let scorer = build_scorer(&spec.on(layers).section(Scale::IDENTITY, 1.0), layers, &matrix);
                scorers.push(scorer.map_err(TeachError::Refused)?);
                let done = fold * specs.len() + scorers.len();
                progress(done as f64 / (self.cached.folds * specs.len()) as f64);
            }
            trained.push(scorers);
        }
        data.hold_out(None);
        Ok(trained)
    }

    /// Buffers for the features of a sample.
    fn feature_buffers(&self) -> Result<Features, TeachError> {
        let cells = self.layers.iter().map(|layers| Cells::new(layers).map_err(TeachError::Refused));
        let views = self.layers.len();
        let cells = cells.collect::<Result<_, _>>()?;
        Ok(Features { pooled: vec![Vec::new(); views], cells, planes: vec![Vec::new(); views] })
    }

    /// Trains every candidate without each fold and scores it on that fold. Candidates that labels do not influence are taken
    /// from `earlier`. `progress` receives the share that is done.
    ///
    /// # Errors
    /// [`TeachError`] where a candidate cannot be trained or the cache cannot be read.
    pub fn cross_validate(
        &self,
        data: &mut FoldData<'_>,
        earlier: Option<&CrossValidation>,
        mut progress: impl FnMut(f64),
    ) -> Result<CrossValidation, TeachError> {
        let new: Vec<usize> =
            (0..CANDIDATES.len()).filter(|&c| earlier.is_none() || uses_labels(CANDIDATES[c].method)).collect();
        let specs: Vec<ScorerSpec> = new.iter().map(|&c| CANDIDATES[c]).collect();
        let mut trained = self.train_without_each_fold(data, &specs, |done| progress(0.8 * done))?;
        let mut scores: Vec<HeldOutScores> = specs.iter().map(|_| HeldOutScores::default()).collect();
        let (cached, mut features) = (self.cached, self.feature_buffers()?);
        let samples = cached.cache.layout().samples;
        cached.cache.read(|picture, number, sample| {
            let fold = cached.assignment.folds[picture];
            let kind = cached.kinds[picture * samples + number];
            if number > 0 && kind.is_none_or(|kind| fold_of(kind, cached.folds) != fold) {
                return Ok(());
            }
            features.load(self.layers, sample);
            for (scorer, scores) in trained[fold].iter_mut().zip(&mut scores) {
                let score = HeldOutScore { fold, value: scorer.score(&features) };
                if number == 0 { scores.normal.push(score) } else { scores.synthetic.push(score) }
            }
            Ok::<(), TeachError>(())
        })?;
        if let Some(labels) = self.labels {
            labels.cache.read(|label, number, sample| {
                let fold = labels.folds[label];
                if number == 0 {
                    features.load(self.layers, sample);
                    for (scorer, scores) in trained[fold].iter_mut().zip(&mut scores) {
                        scores.labelled.push(HeldOutScore { fold, value: scorer.score(&features) });
                    }
                }
                Ok::<(), TeachError>(())
            })?;
        }
        for (spec, scores) in specs.iter().zip(&mut scores).filter(|(spec, _)| spec.ceiling().is_some()) {
            scores.ceiling = spec.ceiling();
            scores.unfamiliar = self.unfamiliar(*spec, &mut features)?;
        }
        progress(1.0);
        let mut held_out: Vec<HeldOutScores> = earlier.map_or_else(Vec::new, |earlier| earlier.held_out.clone());
        held_out.resize_with(CANDIDATES.len(), HeldOutScores::default);
        for (candidate, scores) in new.into_iter().zip(scores) {
            held_out[candidate] = scores;
        }
        let selected = select(&held_out, &CANDIDATES.map(ScorerSpec::family));
        Ok(CrossValidation { held_out, selected })
    }

    /// The values of normal pictures by a scorer that was trained without all that look like them. Copies are held out with their
    /// originals.
    fn unfamiliar(&self, spec: ScorerSpec, features: &mut Features) -> Result<Vec<f64>, TeachError> {
        let pictures = self.cached.cache.pictures();
        let rows: Vec<&[u16]> = (0..pictures.len()).map(|picture| self.cached.pooled.of_picture(picture)).collect();
        let originals = rows.iter().zip(pictures).filter(|(_, picture)| picture.copy == 0).map(|(row, _)| *row);
        let mut of_originals = look_alikes(&originals.collect::<Vec<&[u16]>>()).into_iter();
        let mut groups: Vec<usize> = Vec::with_capacity(rows.len());
        for picture in pictures {
            let last = groups.last().copied();
            groups.push(if picture.copy == 0 { of_originals.next() } else { last }.unwrap_or(0));
        }
        let mut values = Vec::new();
        for group in 0..GROUPS {
            let (own, others): (Vec<_>, Vec<_>) = rows.iter().zip(&groups).partition(|(_, other)| **other == group);
            let others: Vec<&[u16]> = others.into_iter().map(|(row, _)| *row).collect();
            if own.is_empty() || others.is_empty() {
                continue;
            }
            let matrix = mahalanobis(&others).map_err(TeachError::Refused)?;
            let scorer = build_scorer(&spec.section(Scale::IDENTITY, 1.0), self.layers[spec.view], &matrix);
            let mut scorer = scorer.map_err(TeachError::Refused)?;
            for (row, _) in own {
                features.pooled[spec.view].clear();
                features.pooled[spec.view].extend_from_slice(row);
                values.push(scorer.score(features));
            }
        }
        Ok(values)
    }

    /// By normal picture with cached detail: the distances of its cells, by the heatmap's scorer trained without its fold.
    ///
    /// # Errors
    /// As [`CrossValidator::cross_validate`].
    pub fn heatmap_distances(&self, data: &mut FoldData<'_>) -> Result<Vec<Vec<u32>>, TeachError> {
        let mut trained = self.train_without_each_fold(data, &[HEATMAP], |_| ())?;
        let (mut distances, mut features) = (Vec::new(), self.feature_buffers()?);
        self.cached.cache.read(|picture, number, sample| {
            if number == 0 && !sample.detail.is_empty() {
                features.load(self.layers, sample);
                for scorer in &mut trained[self.cached.assignment.folds[picture]] {
                    scorer.score(&features);
                    distances.extend(scorer.distances().map(<[u32]>::to_vec));
                }
            }
            Ok::<(), TeachError>(())
        })?;
        Ok(distances)
    }
}

impl Features {
    /// Fills the buffers with a cached sample.
    fn load(&mut self, layers: &[&[Layer]], sample: &FeatureSample) {
        self.cells[PATCH_LEVEL].fill(FeatureMaps { layers: layers[PATCH_LEVEL], bytes: &sample.features });
        self.cells[PATCH_LEVEL].join();
        if !sample.detail.is_empty() {
            self.cells[IMAGE_LEVEL].fill(FeatureMaps { layers: layers[IMAGE_LEVEL], bytes: &sample.detail });
        }
        self.pooled[IMAGE_LEVEL].clone_from(&sample.pooled);
        self.planes[IMAGE_LEVEL].clone_from(&sample.planes);
    }
}
