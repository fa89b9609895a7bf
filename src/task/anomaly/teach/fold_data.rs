//! The training data with one fold held out: every method is trained from it, with the help of labelled defects or without.

use super::cached_features::{CachedFeatures, FoldMoments, LabelledFeatures};
use super::coreset::coreset;
use super::directions::{contrast, gaussian};
use super::logistic::logistic;
use super::mahalanobis::mahalanobis;
use super::moments::Moments;
use super::place::place;
use super::scheme::{IMAGE_LEVEL, RowPair, ScorerSpec, TeachError, WeightedRows, fold_of};
use super::subspace::subspace;
use crate::bundle::Method;
use crate::task::anomaly::scorer::Matrix;

/// Directions of a patch-level scorer, and of the one on the larger view.
const DIRECTIONS: usize = 128;
const DETAIL_DIRECTIONS: usize = 32;
/// Cells of a memory bank.
const BANK_SIZE: usize = 256;
/// With this many labels, labelled defects have half of the weight that they can have at most.
const HALF_TRUST: f64 = 5.0;

/// Whether a method uses labelled defects in training.
pub fn uses_labels(method: Method) -> bool {
    !matches!(method, Method::Gaussian | Method::Bank | Method::Place | Method::Mahalanobis)
}

/// What scorers are trained from.
pub struct FoldData<'a> {
    cached: &'a CachedFeatures<'a>,
    labels: Option<&'a LabelledFeatures<'a>>,
    held_out: Option<usize>,
    patches: TrainingMoments,
    detail: TrainingMoments,
}

/// Moments of the cells that are not held out.
struct TrainingMoments {
    normal: Moments,
    /// Of cells under synthetic defects.
    synthetic: Moments,
    /// Of cells under the masks of labelled defects.
    labelled: Moments,
}

impl TrainingMoments {
    fn new(cached: &FoldMoments, labelled: Option<&FoldMoments>) -> TrainingMoments {
        let empty = || Moments::new(cached.all_defects.channels());
        let mut normal = empty();
        cached.normal.iter().for_each(|fold| normal.add(fold, 1.0));
        let labelled = labelled.map_or_else(empty, |labelled| labelled.all_defects.clone());
        TrainingMoments { normal, synthetic: cached.all_defects.clone(), labelled }
    }

    /// Adds a fold, or with `sign` -1 removes it.
    fn add(&mut self, cached: &FoldMoments, labelled: Option<&FoldMoments>, fold: usize, sign: f64) {
        self.normal.add(&cached.normal[fold], sign);
        self.synthetic.add(&cached.defects[fold], sign);
        if let Some(labelled) = labelled {
            self.labelled.add(&labelled.defects[fold], sign);
        }
    }
}

impl<'a> FoldData<'a> {
    /// All that is cached; no fold is held out.
    pub fn new(cached: &'a CachedFeatures<'a>, labels: Option<&'a LabelledFeatures<'a>>) -> FoldData<'a> {
        let patches = TrainingMoments::new(&cached.patches, labels.map(|labels| &labels.patches));
        let detail = TrainingMoments::new(&cached.detail, labels.map(|labels| &labels.detail));
        FoldData { cached, labels, held_out: None, patches, detail }
    }

    /// Holds a fold out of all training from now on, or none.
    pub fn hold_out(&mut self, fold: Option<usize>) {
        for (fold, sign) in [(self.held_out, 1.0), (fold, -1.0)] {
            let Some(fold) = fold else { continue };
            self.patches.add(&self.cached.patches, self.labels.map(|labels| &labels.patches), fold, sign);
            self.detail.add(&self.cached.detail, self.labels.map(|labels| &labels.detail), fold, sign);
        }
        self.held_out = fold;
    }

    /// Trains a scorer: its statistics. `use_labels`: whether labelled defects are used too.
    ///
    /// # Errors
    /// [`TeachError::Refused`] where nothing can be learned from these pictures.
    pub fn train(&self, spec: ScorerSpec, use_labels: bool) -> Result<Matrix, TeachError> {
        let labels = self.labels.filter(|_| use_labels);
        match spec.method {
            Method::Contrast if spec.view == IMAGE_LEVEL => self.contrast(&self.detail, labels, DETAIL_DIRECTIONS),
            Method::Contrast => self.contrast(&self.patches, labels, DIRECTIONS),
            Method::Gaussian => gaussian(&self.patches.normal, DIRECTIONS).map_err(TeachError::Refused),
            Method::Bank => {
                let channels = self.patches.normal.channels();
                let cells: Vec<&[i16]> =
                    self.pictures().flat_map(|picture| self.cached.cells[picture].chunks_exact(channels)).collect();
                Ok(coreset(&cells, BANK_SIZE))
            }
            Method::Place => {
                let mut kept = self.cached.places.iter().enumerate().filter(|(fold, _)| self.in_training(*fold));
                let first = kept.next().map(|(_, moments)| moments.clone());
                let mut moments =
                    first.ok_or_else(|| TeachError::Refused("too few pictures to hold any out".into()))?;
                kept.for_each(|(_, fold)| moments.add(fold));
                place(&moments).map_err(TeachError::Refused)
            }
            Method::Mahalanobis => mahalanobis(&self.normal_rows()).map_err(TeachError::Refused),
            Method::Subspace => {
                let trust = labels.map_or(0.0, |labels| self.trust(labels));
                let mut parts = vec![WeightedRows { weight: 1.0 - 0.75 * trust, rows: self.synthetic() }];
                if let Some(labels) = labels {
                    let mut labelled: WeightedRows<RowPair> = WeightedRows { weight: 0.25 * trust, rows: Vec::new() };
                    let mut transplants: WeightedRows<RowPair> = WeightedRows { weight: 0.5 * trust, rows: Vec::new() };
                    labelled.rows.extend(self.labelled(labels).map(|row| (row, None)));
                    transplants.rows.extend(self.transplants(labels));
                    parts.extend([labelled, transplants]);
                }
                subspace(&self.normal_rows(), &parts).map_err(TeachError::Refused)
            }
            Method::Linear => {
                let trust = labels.map_or(0.0, |labels| self.trust(labels));
                let synthetic = self.synthetic().into_iter().map(|(row, _)| row).collect();
                let mut parts = vec![WeightedRows { weight: 1.0 - 0.8 * trust, rows: synthetic }];
                if let Some(labels) = labels {
                    parts.push(WeightedRows { weight: 0.4 * trust, rows: self.labelled(labels).collect() });
                    parts.push(WeightedRows {
                        weight: 0.4 * trust,
                        rows: self.transplants(labels).map(|(row, _)| row).collect(),
                    });
                }
                // Real defects may be fitted more closely than synthetic ones.
                Ok(logistic(&self.normal_rows(), &parts, (0.15 - 0.1 * trust) as f32))
            }
        }
    }

    fn contrast(
        &self,
        moments: &TrainingMoments,
        labels: Option<&LabelledFeatures>,
        count: usize,
    ) -> Result<Matrix, TeachError> {
        let TrainingMoments { normal, synthetic, labelled } = moments;
        let real = labels.filter(|_| labelled.count() > 0.5).map_or(0.0, |labels| 0.5 * self.trust(labels));
        contrast(normal, &[(1.0 - real, synthetic), (real, labelled)], count).map_err(TeachError::Refused)
    }

    /// The share, 0..1, of their largest possible weight that labels get: a few labels are easily overfitted.
    fn trust(&self, labels: &LabelledFeatures) -> f64 {
        let count = self.labelled(labels).count() as f64;
        count / (count + HALF_TRUST)
    }

    fn in_training(&self, fold: usize) -> bool {
        self.held_out != Some(fold)
    }

    fn label_in_training(&self, labels: &LabelledFeatures, label: usize) -> bool {
        self.in_training(labels.folds[label]) && self.in_training(labels.nearest_folds[label])
    }

    fn pictures(&self) -> impl Iterator<Item = usize> {
        let folds = &self.cached.assignment.folds;
        (0..folds.len()).filter(|picture| self.in_training(folds[*picture]))
    }

    fn normal_rows(&self) -> Vec<&'a [u16]> {
        self.pictures().map(|picture| self.cached.pooled.of_picture(picture)).collect()
    }

    /// Pictures with synthetic defects, and the same without.
    fn synthetic(&self) -> Vec<RowPair<'a>> {
        let (cached, samples) = (self.cached, self.cached.cache.layout().samples);
        let kept =
            |sample: &usize| cached.kinds[*sample].is_some_and(|kind| self.in_training(fold_of(kind, cached.folds)));
        let copies = self.pictures().flat_map(|picture| picture * samples + 1..(picture + 1) * samples).filter(kept);
        copies.map(|sample| (cached.pooled.of(sample), Some(cached.pooled.original_of(sample)))).collect()
    }

    fn labelled(&self, labels: &'a LabelledFeatures) -> impl Iterator<Item = &'a [u16]> {
        let kept = (0..labels.count()).filter(|&label| self.label_in_training(labels, label));
        kept.map(|label| labels.pooled.of_picture(label))
    }

    /// Normal pictures with a transplanted labelled defect, and the same without.
    fn transplants(&self, labels: &'a LabelledFeatures) -> impl Iterator<Item = RowPair<'a>> {
        let samples = labels.cache.layout().samples;
        labels.hosts.iter().enumerate().filter_map(move |(sample, host)| {
            let host = (*host)?;
            let kept = self.label_in_training(labels, sample / samples)
                && self.in_training(self.cached.assignment.folds[host]);
            kept.then(|| (labels.pooled.of(sample), Some(self.cached.pooled.of_picture(host))))
        })
    }
}
