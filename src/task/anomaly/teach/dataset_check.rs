//! The check before training: near-duplicates, folds, and whether the set of pictures is fit for training.

use super::feature_cache::TrainingPicture;
use super::folds;
use super::quality::{Finding, PictureQuality, Severity, findings};

/// Number of folds; each is held out once.
const FOLDS: usize = 4;

/// Near-duplicates and folds, by picture. Varied copies have those of their original.
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

/// Checks a set of normal pictures; varied copies follow their original, and are not looked at.
pub fn check_dataset(all: &[TrainingPicture]) -> DatasetCheck {
    let pictures: Vec<&TrainingPicture> = all.iter().filter(|picture| picture.copy == 0).collect();
    let names: Vec<String> = pictures.iter().map(|picture| picture.name.clone()).collect();
    let qualities: Vec<PictureQuality> = pictures.iter().map(|picture| picture.quality.clone()).collect();
    let thumbnails: Vec<_> = qualities.iter().map(|quality| quality.thumbnail.clone()).collect();
    let clusters = folds::near_duplicates(&thumbnails);
    let folds = folds::assign_folds(&clusters, FOLDS);
    let with_copies = |of_originals: Vec<usize>| -> Vec<usize> {
        let mut originals = of_originals.into_iter();
        let mut last = 0;
        let of = |picture: &TrainingPicture| {
            if picture.copy == 0 {
                last = originals.next().unwrap_or(last);
            }
            last
        };
        all.iter().map(of).collect()
    };
    let (refusals, warnings): (Vec<Finding>, Vec<Finding>) =
        findings(&names, &qualities).into_iter().partition(|finding| finding.severity() == Severity::Refuse);
    DatasetCheck {
        assignment: FoldAssignment { clusters: with_copies(clusters), folds: with_copies(folds) },
        warnings: warnings.iter().map(Finding::to_string).collect(),
        refusal: refusals.first().map(Finding::to_string),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::anomaly::teach::folds::THUMBNAIL_SIDE;
    use lineside_picture::{Layout, Picture};

    #[test]
    fn copies_are_held_out_with_their_original_and_do_not_count_as_pictures() {
        let entry = |number: usize, copy: usize| {
            let pixels =
                (0..THUMBNAIL_SIDE * THUMBNAIL_SIDE).map(|at| (at * (number + 3) * (number + 5) % 97) as u8).collect();
            let quality = PictureQuality {
                size: (640, 480),
                contrast: 30.0,
                sharpness: 0.2,
                thumbnail: Picture::from_data(Layout::Grey, THUMBNAIL_SIDE, THUMBNAIL_SIDE, pixels).unwrap(),
                ..PictureQuality::default()
            };
            let (name, key) = (format!("{number}.png"), format!("{number}"));
            TrainingPicture { name, key, quality, image_stats: (5, 7), copy, label: None }
        };
        let pictures: Vec<TrainingPicture> = (0..36).map(|at| entry(at / 3, at % 3)).collect();
        let check = check_dataset(&pictures);
        assert_eq!(check.refusal, None);
        assert!(check.warnings[0].starts_with("12 distinct picture(s) among 12:"), "{:?}", check.warnings);
        let originals: Vec<TrainingPicture> = (0..12).map(|number| entry(number, 0)).collect();
        let alone = check_dataset(&originals).assignment;
        let thrice = |values: &[usize]| -> Vec<usize> { values.iter().flat_map(|&value| [value; 3]).collect() };
        assert_eq!(check.assignment.folds, thrice(&alone.folds));
        assert_eq!(check.assignment.clusters, thrice(&alone.clusters));
    }
}
