//! The check before training: near-duplicates, folds, and whether the set of pictures is fit for training.

use super::feature_cache::TrainingPicture;
use super::folds;
use super::quality::{Finding, PictureQuality, Severity, findings};

/// Number of folds; each is held out once.
const FOLDS: usize = 4;

/// Near-duplicates and folds, by picture.
pub struct FoldAssignment {
    /// The cluster of near-duplicates to which a picture belongs.
    pub clusters: Vec<usize>,
    /// The fold in which it is held out.
    pub folds: Vec<usize>,
}

impl FoldAssignment {
    /// The number of clusters, that is of pictures that really differ.
    pub fn distinct(&self) -> usize {
        self.clusters.iter().max().map_or(0, |last| last + 1)
    }
}

/// The result of the check.
pub struct DatasetCheck {
    /// Near-duplicates and folds.
    pub assignment: FoldAssignment,
    /// What the user should look at, a line each.
    pub warnings: Vec<String>,
    /// Why the set cannot be used; `None` where it can.
    pub refusal: Option<String>,
}

/// Checks a set of normal pictures.
pub fn check_dataset(pictures: &[TrainingPicture]) -> DatasetCheck {
    let names: Vec<String> = pictures.iter().map(|picture| picture.name.clone()).collect();
    let qualities: Vec<PictureQuality> = pictures.iter().map(|picture| picture.quality.clone()).collect();
    let thumbnails: Vec<_> = qualities.iter().map(|quality| quality.thumbnail.clone()).collect();
    let clusters = folds::near_duplicates(&thumbnails);
    let folds = folds::assign_folds(&clusters, FOLDS);
    let (refusals, warnings): (Vec<Finding>, Vec<Finding>) =
        findings(&names, &qualities).into_iter().partition(|finding| finding.severity() == Severity::Refuse);
    DatasetCheck {
        assignment: FoldAssignment { clusters, folds },
        warnings: warnings.iter().map(Finding::to_string).collect(),
        refusal: refusals.first().map(Finding::to_string),
    }
}
