//! Before learning: which pictures are near-duplicates, which are held out together, and whether the set is fit at all.

use super::folds;
use super::notebook::Picture;
use super::quality::{Finding, Quality, Severity, findings};

/// Parts into which the pictures are split; each is held out once.
const FOLDS: usize = 4;

/// Near-duplicates and folds, by picture.
pub struct Grouping {
    /// The cluster of near-duplicates that a picture is in.
    pub clusters: Vec<usize>,
    /// The fold in which it is held out.
    pub folds: Vec<usize>,
}

impl Grouping {
    /// How many clusters there are: pictures that are really different.
    pub fn different(&self) -> usize {
        self.clusters.iter().max().map_or(0, |last| last + 1)
    }
}

/// What is to be said of a set of pictures before anything is learned from it.
pub struct Advice {
    /// Near-duplicates and folds.
    pub grouping: Grouping,
    /// What should be looked at, a line each.
    pub warnings: Vec<String>,
    /// Why nothing can be learned from it.
    pub refusal: Option<String>,
}

/// Looks at what the pictures are like.
pub fn advise(pictures: &[Picture]) -> Advice {
    let names: Vec<String> = pictures.iter().map(|picture| picture.name.clone()).collect();
    let qualities: Vec<Quality> = pictures.iter().map(|picture| picture.quality.clone()).collect();
    let thumbnails: Vec<_> = qualities.iter().map(|quality| quality.thumbnail.clone()).collect();
    let clusters = folds::groups(&thumbnails);
    let folds = folds::folds(&clusters, FOLDS);
    let (refusals, warnings): (Vec<Finding>, Vec<Finding>) =
        findings(&names, &qualities).into_iter().partition(|finding| finding.severity() == Severity::Refuse);
    Advice {
        grouping: Grouping { clusters, folds },
        warnings: warnings.iter().map(Finding::to_string).collect(),
        refusal: refusals.first().map(Finding::to_string),
    }
}
