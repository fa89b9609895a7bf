//! What is trained and on which views; the types that every step of training shares.

use super::detail::top_of;
use crate::bundle::{Combination, Method, ScorerSection};
use crate::task::anomaly::view::{Layer, MIN_SIDE};
use lineside_engine::EngineError;
use lineside_picture::PictureError;
use std::io;

/// The view of the image-level scorers, and of the heatmap.
pub const IMAGE_LEVEL: usize = 0;
/// The view of the patch-level scorers.
pub const PATCH_LEVEL: usize = 1;

/// The feature planes of each layer that the place scorer uses. With 25 or 32 it did no better in any data set, and its statistics
/// grow with the square (docs/anomaly.md).
pub const PLANES: usize = 16;

/// A scorer to be trained.
#[derive(Debug, Clone, Copy)]
pub struct ScorerSpec {
    /// How it scores.
    pub method: Method,
    /// The view whose features it uses.
    pub view: usize,
    /// Patch-level scorers: the share of the cells, the most distant ones, whose mean distance is the frame's.
    pub top: Option<f64>,
}

impl ScorerSpec {
    const fn image_level(method: Method) -> ScorerSpec {
        ScorerSpec { method, view: IMAGE_LEVEL, top: None }
    }

    const fn patch_level(method: Method) -> ScorerSpec {
        ScorerSpec { method, view: PATCH_LEVEL, top: Some(0.05) }
    }

    /// What it measures: cells of the smaller view, pooled features as defects change them, planes, or pooled features as normal
    /// pictures have them. One scorer of each is enough; of the image-level ones `subspace` takes a change of light or batch for a defect
    /// more than `linear` does (docs/anomaly.md).
    pub fn family(self) -> usize {
        match self {
            ScorerSpec { method: Method::Mahalanobis, .. } => 3,
            ScorerSpec { view: PATCH_LEVEL, .. } => 0,
            ScorerSpec { top: None, .. } => 1,
            ScorerSpec { .. } => 2,
        }
    }

    /// The same for a view with these layers.
    pub fn on(self, layers: &[Layer]) -> ScorerSpec {
        let cells = layers.first().map_or(0, Layer::plane);
        let top = self.top.map(|top| if self.method == Method::Place { top_of(cells, top) } else { top });
        ScorerSpec { top, ..self }
    }

    /// The largest value that counts, in standard deviations; `None` where all do. Of a frame that is unlike all normal ones as a
    /// whole nobody can tell whether it has a defect or is of another batch: it counts as the most unlike of fifty normal frames.
    pub fn ceiling(self) -> Option<f64> {
        (self.method == Method::Mahalanobis).then_some(2.0)
    }

    /// Its section in a manifest, without the name of its file.
    pub fn section(self, scale: Scale, weight: f64) -> ScorerSection {
        let ScorerSpec { method, view, top } = self;
        let Scale { median, spread } = scale;
        ScorerSection { method, view, statistics: String::new(), top, median, spread, weight, ceiling: self.ceiling() }
    }
}

/// The scorers that are trained and compared. On equal results the first ones win: they did best on other data.
pub const CANDIDATES: [ScorerSpec; 7] = [
    ScorerSpec::patch_level(Method::Contrast),
    ScorerSpec::patch_level(Method::Gaussian),
    ScorerSpec::patch_level(Method::Bank),
    ScorerSpec::image_level(Method::Linear),
    ScorerSpec::image_level(Method::Subspace),
    ScorerSpec { method: Method::Place, view: IMAGE_LEVEL, top: Some(0.01) },
    ScorerSpec::image_level(Method::Mahalanobis),
];

/// How the selected scorers become one value.
pub const COMBINATION: Combination = Combination::SoftMaximum;

/// The scorer behind the heatmap. It is no part of the score: the larger view localizes better and detects worse.
pub const HEATMAP: ScorerSpec = ScorerSpec { method: Method::Contrast, view: IMAGE_LEVEL, top: Some(0.05) };

/// Median and standard deviation of a scorer's values on normal frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Their median.
    pub median: f64,
    /// Their standard deviation, over 0.
    pub spread: f64,
}

impl Scale {
    /// Leaves a value as it is.
    pub const IDENTITY: Scale = Scale { median: 0.0, spread: 1.0 };

    /// The value in standard deviations from the median.
    pub fn apply(self, value: f64) -> f64 {
        (value - self.median) / self.spread
    }
}

/// Rows of pooled features that share a weight in the training of an image-level scorer.
pub struct WeightedRows<T> {
    /// The weight of all rows together.
    pub weight: f64,
    /// The rows.
    pub rows: Vec<T>,
}

/// Pooled features of a picture with a defect and, where it is known, of the same picture without it.
pub type RowPair<'a> = (&'a [u16], Option<&'a [u16]>);

/// The fold in which a kind of synthetic defect is held out.
pub fn fold_of(kind: u8, folds: usize) -> usize {
    usize::from(kind) % folds.max(1)
}

/// Why training failed.
#[derive(Debug, thiserror::Error)]
pub enum TeachError {
    /// The pictures or the backbone are not fit for training.
    #[error("{0}")]
    Refused(String),
    /// A picture cannot be used.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A picture is too small to be inspected.
    #[error("{width}x{height} is too small: at least {MIN_SIDE} pixels per side are needed")]
    TooSmall {
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
    },
    /// A picture has another size than those in which the region was drawn.
    #[error("{0}")]
    OtherSize(String),
    /// The part was looked for and not found.
    #[error("the part was not found in it")]
    Unfound,
    /// A labelled defect lies outside the region.
    #[error("its defect lies outside the region")]
    DefectOutside,
    /// The backbone failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The feature cache cannot be read or written.
    #[error("the cache of features: {0}")]
    Cache(#[from] io::Error),
}
