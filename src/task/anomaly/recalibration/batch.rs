//! Good frames of a new batch, as a bundle judges them.

use crate::bundle::{Bundle, Combination, ScorerSection};
use crate::task::anomaly::calibration::{Calibration, SeverityScale};
use crate::task::anomaly::image_stats::ImageStats;
use crate::task::anomaly::inspector::Inspector;
use crate::task::anomaly::nuisance::Nuisance;
use crate::task::anomaly::scorer::{Matrix, Scorer, build_scorer, combine};
use crate::task::anomaly::teach::QualityMeter;
use crate::task::error::TaskError;
use lineside_picture::Picture;

/// A good frame.
pub struct BatchFrame {
    /// Its name in messages.
    pub name: String,
    /// Its severity by the bundle as it is: 1 is the threshold.
    pub severity: f64,
    /// Pooled features of the view in question, as the backbone gives them.
    pub pooled: Vec<u16>,
    /// The value of each scorer, by the bundle as it is.
    pub values: Vec<f64>,
    /// Brightness and sharpness.
    pub image_stats: ImageStats,
    /// Grey and small, for near-duplicates.
    pub thumbnail: Picture,
}

/// Which scorers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScoredBy {
    /// Those of the bundle.
    Bundle,
    /// Those that were trained without the frames first taught that have features.
    HeldOut,
}

/// Reads frames of a batch by a bundle.
pub struct BatchReader {
    inspector: Inspector,
    sections: Vec<ScorerSection>,
    combination: Combination,
    /// Scorers that were trained without some frames, once they are built.
    held_out: Vec<Option<Box<dyn Scorer>>>,
    view: usize,
    threshold: f64,
    quality_meter: QualityMeter,
}

impl BatchReader {
    /// For a bundle of anomaly detection.
    ///
    /// # Errors
    /// As [`Inspector::new`].
    pub fn new(bundle: &Bundle) -> Result<BatchReader, TaskError> {
        let inspector = Inspector::new(bundle, None)?;
        let section = bundle.manifest().anomaly.as_ref();
        Ok(BatchReader {
            sections: section.map_or_else(Vec::new, |section| section.scorer.clone()),
            combination: section.map_or_else(Combination::default, |section| section.combination),
            view: section.and_then(|section| section.normal.as_ref()).map_or(0, |normal| normal.view),
            threshold: inspector.threshold(),
            held_out: Vec::new(),
            quality_meter: QualityMeter::default(),
            inspector,
        })
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// [`TaskError`] where it cannot be inspected.
    pub fn read(&mut self, name: String, picture: &Picture) -> Result<BatchFrame, TaskError> {
        let size = (picture.width(), picture.height());
        self.inspector.require_taught_size(size)?;
        self.inspector.prepare(picture)?;
        if self.inspector.is_unfound() {
            return Err(TaskError::Unfound);
        }
        let image_stats = *self.inspector.image_stats();
        self.inspector.extract()?;
        let scale = SeverityScale::new(self.inspector.calibration(), self.threshold);
        let (features, sum, nuisance) = self.inspector.parts();
        let pooled = features.pooled[self.view].clone();
        if let Some((view, nuisance)) = nuisance.filter(|(view, _)| !features.pooled[*view].is_empty()) {
            nuisance.remove(&mut features.pooled[*view]);
        }
        let values = sum.values(features);
        let sum = self.combined(&self.sections, &values);
        let score = self.inspector.calibration().score(sum);
        let thumbnail = self.quality_meter.measure(self.inspector.inspected(picture))?.thumbnail;
        Ok(BatchFrame { name, severity: scale.severity(sum, score), pooled, values, image_stats, thumbnail })
    }

    /// The value of each scorer for a frame with these pooled features, without `nuisance`; of scorers that do not use them `values`.
    pub(super) fn values_without(
        &mut self,
        pooled: &[u16],
        nuisance: Option<&mut Nuisance>,
        values: &[f64],
        by: ScoredBy,
    ) -> Vec<f64> {
        let (features, sum, _) = self.inspector.parts();
        features.pooled[self.view].clear();
        features.pooled[self.view].extend_from_slice(pooled);
        if let Some(nuisance) = nuisance {
            nuisance.remove(&mut features.pooled[self.view]);
        }
        let found = match by {
            ScoredBy::Bundle => sum.image_level_values(features, self.view),
            ScoredBy::HeldOut => {
                self.held_out.iter_mut().map(|scorer| scorer.as_mut().map(|scorer| scorer.score(features))).collect()
            }
        };
        values.iter().copied().zip(found).map(|(value, found)| found.unwrap_or(value)).collect()
    }

    /// Builds the scorers that were trained without some frames.
    ///
    /// # Errors
    /// One line, where their statistics do not fit.
    pub(super) fn build_held_out(&mut self, matrices: &[Option<Matrix>]) -> Result<(), String> {
        let pairs = self.sections.iter().zip(matrices);
        let built = pairs.map(|(section, matrix)| {
            matrix.as_ref().map(|matrix| build_scorer(section, self.inspector.layers(section.view), matrix)).transpose()
        });
        self.held_out = built.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// What the bundle takes out already.
    pub(super) fn nuisance(&mut self) -> Option<Nuisance> {
        self.inspector.parts().2.map(|(_, nuisance)| nuisance.clone())
    }

    /// The scorers' values as one, as a verdict has it, by these sections.
    pub(super) fn combined(&self, sections: &[ScorerSection], values: &[f64]) -> f64 {
        let terms = sections.iter().zip(values);
        combine(self.combination, terms.map(|(section, value)| section.term(*value)))
    }

    /// The scorers' sections.
    pub(super) fn sections(&self) -> &[ScorerSection] {
        &self.sections
    }

    /// The distribution of sums of normal frames.
    pub(super) fn calibration(&self) -> &Calibration {
        self.inspector.calibration()
    }

    /// The threshold, a score.
    pub(super) fn threshold(&self) -> f64 {
        self.threshold
    }
}
