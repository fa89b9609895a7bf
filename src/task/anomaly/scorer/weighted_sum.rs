//! The sum of the scorers of a bundle, each in standard deviations from its median on normal frames.

use super::interface::{Features, Scorer};
use super::linear::LinearScorer;
use super::matrix::Matrix;
use super::memory_bank::MemoryBank;
use super::patch_projection::PatchProjection;
use super::subspace::SubspaceScorer;
use crate::bundle::{Method, ScorerSection};
use crate::task::anomaly::pooled::pooled_len;
use crate::task::anomaly::view::Layer;

/// A scorer and the parameters of its term.
struct Term {
    scorer: Box<dyn Scorer>,
    median: f64,
    spread: f64,
    weight: f64,
}

/// A weighted sum of scorers.
#[derive(Default)]
pub struct WeightedSum {
    terms: Vec<Term>,
}

impl WeightedSum {
    /// Adds a scorer with the parameters of its section.
    pub fn push(&mut self, scorer: Box<dyn Scorer>, section: &ScorerSection) {
        let &ScorerSection { median, spread, weight, .. } = section;
        self.terms.push(Term { scorer, median, spread, weight });
    }

    /// `Σ weight · (value - median) / spread`, in the order of the scorers.
    pub fn score(&mut self, features: &Features) -> f64 {
        let value = |term: &mut Term| term.weight * ((term.scorer.score(features) - term.median) / term.spread);
        self.terms.iter_mut().map(value).sum()
    }

    /// The value of each scorer, in its own unit.
    pub fn values(&mut self, features: &Features) -> Vec<f64> {
        self.terms.iter_mut().map(|term| term.scorer.score(features)).collect()
    }

    /// The value of each image-level scorer of a view, in its own unit; `None` for the others.
    pub fn image_level_values(&mut self, features: &Features, view: usize) -> Vec<Option<f64>> {
        let value = |term: &mut Term| {
            let is_asked = term.scorer.view() == view && term.scorer.distances().is_none();
            is_asked.then(|| term.scorer.score(features))
        };
        self.terms.iter_mut().map(value).collect()
    }

    /// The scorers, in their order.
    pub fn scorers(&self) -> impl ExactSizeIterator<Item = &dyn Scorer> {
        self.terms.iter().map(|term| &*term.scorer)
    }
}

/// Builds a scorer for features of `layers` from its statistics.
///
/// # Errors
/// One line, where the statistics do not fit.
pub fn build_scorer(section: &ScorerSection, layers: &[Layer], matrix: &Matrix) -> Result<Box<dyn Scorer>, String> {
    let channels = layers.iter().map(|layer| layer.channels).sum();
    let (view, top) = (section.view, section.top.unwrap_or(1.0));
    Ok(match section.method {
        Method::Contrast | Method::Gaussian => Box::new(PatchProjection::new(view, channels, top, matrix)?),
        Method::Bank => Box::new(MemoryBank::new(view, channels, top, matrix)?),
        Method::Subspace => Box::new(SubspaceScorer::new(view, pooled_len(layers), matrix)?),
        Method::Linear => Box::new(LinearScorer::new(view, pooled_len(layers), matrix)?),
    })
}
