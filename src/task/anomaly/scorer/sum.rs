//! The sum of the scorers of a bundle, each told in spreads of its values on normal frames.

use super::{Bank, Linear, Matrix, Patch, Scorer, Seen, Subspace};
use crate::bundle::{Method, ScorerSection};
use crate::task::anomaly::pooled::pooled_len;
use crate::task::anomaly::view::Layer;

/// A scorer and its part in the sum.
struct Part {
    scorer: Box<dyn Scorer>,
    median: f64,
    spread: f64,
    weight: f64,
}

/// Scorers, summed up.
#[derive(Default)]
pub struct Sum {
    parts: Vec<Part>,
}

impl Sum {
    /// Adds a scorer with its part in the sum.
    pub fn push(&mut self, scorer: Box<dyn Scorer>, section: &ScorerSection) {
        let &ScorerSection { median, spread, weight, .. } = section;
        self.parts.push(Part { scorer, median, spread, weight });
    }

    /// `Σ weight · (value - median) / spread`, in the scorers' order.
    pub fn score(&mut self, seen: &Seen) -> f64 {
        let value = |part: &mut Part| part.weight * ((part.scorer.score(seen) - part.median) / part.spread);
        self.parts.iter_mut().map(value).sum()
    }

    /// The scorers, in their order.
    pub fn scorers(&self) -> impl ExactSizeIterator<Item = &dyn Scorer> {
        self.parts.iter().map(|part| &*part.scorer)
    }
}

/// Rebuilds a scorer for features of `layers` from its statistics.
///
/// # Errors
/// One line, where the statistics do not fit.
pub fn rebuild(section: &ScorerSection, layers: &[Layer], matrix: &Matrix) -> Result<Box<dyn Scorer>, String> {
    let channels = layers.iter().map(|layer| layer.channels).sum();
    let (view, top) = (section.view, section.top.unwrap_or(1.0));
    Ok(match section.method {
        Method::Contrast | Method::Gaussian => Box::new(Patch::new(view, channels, top, matrix)?),
        Method::Bank => Box::new(Bank::new(view, channels, top, matrix)?),
        Method::Subspace => Box::new(Subspace::new(view, pooled_len(layers), matrix)?),
        Method::Linear => Box::new(Linear::new(view, pooled_len(layers), matrix)?),
    })
}
