//! The scorers of a bundle, combined into one value: each counts in standard deviations from its median on normal frames.

use super::interface::{Features, Scorer};
use super::linear::LinearScorer;
use super::mahalanobis::MahalanobisScorer;
use super::matrix::Matrix;
use super::memory_bank::MemoryBank;
use super::patch_projection::PatchProjection;
use super::place::PlaceScorer;
use super::subspace::SubspaceScorer;
use crate::bundle::{Combination, Method, ScorerSection};
use crate::task::anomaly::pooled::pooled_len;
use crate::task::anomaly::view::Layer;

/// Standard deviations by which a scorer's share in a soft maximum grows `e`-fold.
const SOFTNESS: f64 = 2.0;

/// A scorer and the parameters of its term.
struct Term {
    scorer: Box<dyn Scorer>,
    section: ScorerSection,
}

/// The scorers of a bundle, and how they become one value.
pub struct Ensemble {
    combination: Combination,
    terms: Vec<Term>,
}

impl Ensemble {
    /// Without any scorer.
    pub fn new(combination: Combination) -> Ensemble {
        Ensemble { combination, terms: Vec::new() }
    }

    /// Adds a scorer with the parameters of its section.
    pub fn push(&mut self, scorer: Box<dyn Scorer>, section: &ScorerSection) {
        self.terms.push(Term { scorer, section: section.clone() });
    }

    /// The scorers' values as one; see [`combine`].
    pub fn score(&mut self, features: &Features) -> f64 {
        let value = |term: &mut Term| term.section.term(term.scorer.score(features));
        combine(self.combination, self.terms.iter_mut().map(value))
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

/// Combines weights and values, these in standard deviations from the median on normal frames; the order counts.
///
/// - Sum: `Σ w z`, by which scorers that agree a little outvote one that is certain.
/// - Soft maximum: `2 ln (Σ w exp(z / 2) / Σ w)`: near the weighted mean where all are close to each other, and near the largest
///   where one stands out, as for a small part that only one of them sees.
pub fn combine(combination: Combination, terms: impl Iterator<Item = (f64, f64)>) -> f64 {
    match combination {
        Combination::Sum => terms.map(|(weight, value)| weight * value).sum(),
        Combination::SoftMaximum => {
            // A value is a logarithm over a standard deviation; what would overflow counts as 600 of these.
            let share = |value: f64| libm::exp((value / SOFTNESS).min(300.0));
            let (sum, weights) = terms
                .fold((0.0, 0.0), |(sum, weights), (weight, value)| (sum + weight * share(value), weights + weight));
            SOFTNESS * libm::log((sum / weights).max(f64::MIN_POSITIVE))
        }
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
        Method::Place => Box::new(PlaceScorer::new(view, layers, top, matrix)?),
        Method::Subspace => Box::new(SubspaceScorer::new(view, pooled_len(layers), matrix)?),
        Method::Linear => Box::new(LinearScorer::new(view, pooled_len(layers), matrix)?),
        Method::Mahalanobis => Box::new(MahalanobisScorer::new(view, pooled_len(layers), matrix)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_certain_is_not_outvoted() {
        let of = |rule, values: [f64; 4]| combine(rule, [2.0, 1.0, 1.0, 1.0].into_iter().zip(values));
        let (calm, alarmed) = ([1.0, 1.5, 2.0, 1.5], [9.0, -1.0, -1.0, -1.0]);
        assert!(of(Combination::SoftMaximum, alarmed) > 3.0 * of(Combination::SoftMaximum, calm));
        assert_eq!(of(Combination::Sum, alarmed), 15.0);
        // Equal values stay what they are, and nothing overflows.
        for value in [-3.0, 0.0, 5.0] {
            assert!((of(Combination::SoftMaximum, [value; 4]) - value).abs() < 1e-12);
        }
        assert!(of(Combination::SoftMaximum, [1e9, 0.0, f64::NEG_INFINITY, -1e9]).is_finite());
        assert!(of(Combination::SoftMaximum, [f64::NEG_INFINITY; 4]).is_finite());
    }

    #[test]
    fn a_scorer_without_weight_does_not_count() {
        for rule in [Combination::Sum, Combination::SoftMaximum] {
            let with = combine(rule, [(1.0, 0.5), (0.0, 700.0)].into_iter());
            assert_eq!(with, combine(rule, [(1.0, 0.5)].into_iter()));
        }
    }
}
