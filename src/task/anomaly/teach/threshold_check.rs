//! What a threshold is worth: how many of the held-out defects it finds, and whether the parts of the set agree about it.

use super::selection::HeldOutScore;

/// Up to this share of the painted defects a threshold finds next to nothing. Painted defects are faint and visible ones in equal
/// parts, so that even a fine threshold does not find all of them.
const NEXT_TO_NOTHING: f64 = 0.1;
/// The Kolmogorov-Smirnov distance from which a fold differs from the others, if it is not by chance: half of its pictures lie
/// where the others have none.
const DISAGREEMENT: f64 = 0.5;
/// By chance alone two samples of `n` and `m` values are further apart than this, times `sqrt(1/n + 1/m)`, once in a thousand times
/// (Smirnov 1948).
const BY_CHANCE: f64 = 1.95;

/// What a threshold finds of held-out defects, and where its pictures disagree.
#[derive(Debug, Clone, PartialEq)]
pub struct ThresholdCheck {
    /// Painted defects that reach the threshold.
    pub found: usize,
    /// All painted defects that were held out.
    pub painted: usize,
    /// The share of the normal pictures of the fold that differs most from the others which reach the threshold; `None` where no
    /// fold differs.
    pub disagreement: Option<f64>,
}

impl ThresholdCheck {
    /// Checks a threshold on the sums of scorers of held-out pictures. `reaches` is whether a sum counts as defect.
    pub fn new(normal: &[HeldOutScore], painted: &[HeldOutScore], reaches: impl Fn(f64) -> bool) -> ThresholdCheck {
        let share = |fold: usize| {
            let of_fold = normal.iter().filter(|score| score.fold == fold);
            of_fold.clone().filter(|score| reaches(score.value)).count() as f64 / of_fold.count().max(1) as f64
        };
        let folds = normal.iter().map(|score| score.fold + 1).max().unwrap_or(0);
        let worst = (0..folds).filter(|&fold| differs(normal, fold)).map(share).reduce(f64::max);
        ThresholdCheck {
            found: painted.iter().filter(|score| reaches(score.value)).count(),
            painted: painted.len(),
            disagreement: worst,
        }
    }

    /// What the user should know and do, a line each; `groups` of pictures are no near-duplicates of each other.
    pub fn warnings(&self, groups: usize) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.painted > 0 && self.found as f64 <= NEXT_TO_NOTHING * self.painted as f64 {
            warnings.push(format!(
                "the threshold finds only {} of {} painted defects: most real ones would pass; take more good pictures of \
                 different parts (there are {groups}), allow more false alarms (--false-alarms), or show defects (--defects)",
                self.found, self.painted
            ));
        }
        if let Some(share) = self.disagreement {
            warnings.push(format!(
                "a quarter of the pictures, held out, looks unlike the others ({:.0} % of it reach the threshold): the rate of false \
                 alarms is uncertain; take as many pictures of each kind of part, light and position as there will be, or teach \
                 products apart",
                100.0 * share
            ));
        }
        warnings
    }
}

/// Whether the sums of a fold lie above those of all others by more than chance.
fn differs(normal: &[HeldOutScore], fold: usize) -> bool {
    let mut all: Vec<(f64, bool)> = normal.iter().map(|score| (score.value, score.fold == fold)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let own = all.iter().filter(|(_, own)| *own).count() as f64;
    let others = all.len() as f64 - own;
    if own == 0.0 || others == 0.0 {
        return false;
    }
    let (mut below, mut others_below, mut distance) = (0.0, 0.0, 0.0f64);
    for (at, &(value, is_own)) in all.iter().enumerate() {
        *(if is_own { &mut below } else { &mut others_below }) += 1.0;
        // Equal values count together.
        if all.get(at + 1).is_none_or(|next| next.0 > value) {
            distance = distance.max(others_below / others - below / own);
        }
    }
    distance > DISAGREEMENT.max(BY_CHANCE * (1.0 / own + 1.0 / others).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(values: impl Iterator<Item = (usize, f64)>) -> Vec<HeldOutScore> {
        values.map(|(fold, value)| HeldOutScore { fold, value }).collect()
    }

    #[test]
    fn what_is_found_is_counted_and_next_to_nothing_is_a_warning() {
        let normal = scores((0..100).map(|i| (i % 4, i as f64)));
        let painted = scores((0..50).map(|i| (i % 4, 96.0 + (i % 10) as f64)));
        let check = ThresholdCheck::new(&normal, &painted, |sum| sum >= 99.0);
        assert_eq!(check, ThresholdCheck { found: 35, painted: 50, disagreement: None });
        assert_eq!(check.warnings(100), [""; 0]);
        let check = ThresholdCheck::new(&normal, &painted, |sum| sum >= 105.0);
        let warnings = check.warnings(100);
        assert!(warnings.len() == 1 && warnings[0].contains("finds only 5 of 50 painted defects"), "{warnings:?}");
        assert!(ThresholdCheck::new(&normal, &painted, |sum| sum > 105.0).warnings(9)[0].contains("only 0 of 50"));
    }

    #[test]
    fn a_fold_of_another_design_disagrees_and_one_of_chance_does_not() {
        // The last fold lies above all others.
        let normal = scores((0..100).map(|i| (i / 25, if i < 75 { (i * 7 % 75) as f64 } else { i as f64 })));
        let check = ThresholdCheck::new(&normal, &[], |sum| sum >= 90.0);
        assert_eq!(check.disagreement, Some(10.0 / 25.0));
        assert!(check.warnings(3)[0].contains("40 % of it reach the threshold"));
        // Five pictures are too few to say so, and a fold below the others does no harm.
        let few = scores([(0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0), (3, 5.0)].into_iter());
        assert_eq!(ThresholdCheck::new(&few, &[], |_| false).disagreement, None);
        let below = scores((0..100).map(|i| (i / 25, if i < 25 { -(i as f64) } else { (i * 7 % 75) as f64 })));
        assert_eq!(ThresholdCheck::new(&below, &[], |_| false).disagreement, None);
        assert_eq!(ThresholdCheck::new(&[], &[], |_| true).warnings(0), [""; 0]);
    }
}
