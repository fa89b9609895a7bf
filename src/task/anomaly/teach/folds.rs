//! Folds: which pictures are held out together, so that no scorer is tested on a near-duplicate of a picture that it was trained
//! with.
//!
//! Pictures of the same part, taken under another light or a moment later, are recognized by the correlation of their thumbnails.
//! All parts on a line look similar, so the mean thumbnail is subtracted first. Groups grow by average linkage (Sokal and
//! Michener 1958), which does not join A and C only because both resemble B, and their size is limited so that folds can be
//! balanced.
//!
//! How much alike is alike? Parts of one design or of one batch correlate as highly as exposures of one part do elsewhere, and
//! must *not* be held out together: scored by a model that has never seen their design they set a threshold which finds nothing. What
//! tells the two apart is how many there are. So distances are measured in units of the distance to each picture's twelfth neighbour
//! (self-tuning: Zelnik-Manor and Perona 2004): few pictures that are much closer to each other than to the thirteenth are
//! exposures of one part, many that are equally close are parts of one design. Groups are then put into folds at random, not in the
//! order in which they were taken, so that each fold holds some of each batch.

use lineside_picture::Picture;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::cmp::Ordering;

/// The side of a thumbnail, in pixels.
pub const THUMBNAIL_SIDE: usize = 32;
/// Pixels of a thumbnail.
const PIXELS: usize = THUMBNAIL_SIDE * THUMBNAIL_SIDE;
/// Two groups are joined while the mean closeness of their pictures is above this: nearer than 0.8 of their scale.
const MIN_CLOSENESS: f32 = 0.2;
/// A picture's scale is its distance from this neighbour: more exposures than one part usually has.
const SCALE_NEIGHBOUR: usize = 12;
/// The least scale: pictures that correlate above 0.96 are of the same part however many there are.
const MIN_SCALE: f32 = 0.25;
/// A group holds at most one picture in this many: half a fold of four.
const MAX_GROUP_PART: usize = 8;
/// Steps of an `i8` per standard deviation: 127 is four standard deviations.
const QUANTIZATION: f64 = 32.0;

/// Groups near-duplicates: for each picture the number of its group. Thumbnails are in the order in which they were taken, grey,
/// [`THUMBNAIL_SIDE`] by [`THUMBNAIL_SIDE`] pixels. Groups are numbered by their first picture.
pub fn near_duplicates(thumbnails: &[Picture]) -> Vec<usize> {
    let residuals = residuals(thumbnails);
    let count = residuals.len();
    let mut similarity = vec![f32::NEG_INFINITY; count * count];
    for a in 0..count {
        for b in 0..a {
            let value = correlation(&residuals[a], &residuals[b]);
            (similarity[a * count + b], similarity[b * count + a]) = (value, value);
        }
    }
    to_closeness(&mut similarity, count);
    renumber(&average_linkage(similarity, count, count.div_ceil(MAX_GROUP_PART)))
}

/// For each picture the fold, below `folds`, in which it is held out. Groups stay whole and are assigned in a random order, the same in
/// each call; no fold exceeds its share by more than one group.
pub fn assign_folds(groups: &[usize], folds: usize) -> Vec<usize> {
    let mut sizes = vec![0; groups.iter().max().map_or(0, |last| last + 1)];
    groups.iter().for_each(|&group| sizes[group] += 1);
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    let mut random = SplitMix64::seed_from_u64(0);
    for left in (1..order.len()).rev() {
        order.swap(left, (random.next_u64() % (left as u64 + 1)) as usize);
    }
    let (mut before, mut places) = (0, vec![0; sizes.len()]);
    for group in order {
        // The position of the group's middle among all pictures.
        places[group] = (2 * before + sizes[group]) * folds / (2 * groups.len());
        before += sizes[group];
    }
    groups.iter().map(|&group| places[group]).collect()
}

/// For each labelled defect the fold in which it is held out, among those of the normal pictures, `used`. Groups stay whole and are
/// assigned in turn, so that a kind of defect, whose pictures follow each other, is spread over all folds.
pub fn assign_in_turn(groups: &[usize], used: &[usize]) -> Vec<usize> {
    let folds = used.iter().max().map_or(1, |last| last + 1);
    groups.iter().map(|group| group % folds).collect()
}

/// Each thumbnail minus the mean thumbnail, in steps of 1/[`QUANTIZATION`] of its standard deviation.
fn residuals(thumbnails: &[Picture]) -> Vec<Vec<i8>> {
    let mut planes: Vec<Vec<f64>> = thumbnails
        .iter()
        .map(|thumbnail| {
            let mut plane: Vec<f64> = thumbnail.data().iter().map(|&byte| f64::from(byte)).collect();
            plane.resize(PIXELS, 0.0);
            standardize(&mut plane);
            plane
        })
        .collect();
    let mut mean_thumbnail = vec![0.0; PIXELS];
    for plane in &planes {
        mean_thumbnail.iter_mut().zip(plane).for_each(|(sum, value)| *sum += value / thumbnails.len() as f64);
    }
    planes
        .iter_mut()
        .map(|plane| {
            plane.iter_mut().zip(&mean_thumbnail).for_each(|(value, mean_thumbnail)| *value -= mean_thumbnail);
            standardize(plane);
            plane.iter().map(|value| (value * QUANTIZATION).round() as i8).collect()
        })
        .collect()
}

/// Brings mean and standard deviation to 0 and 1; values that vary by less than rounding become 0.
fn standardize(values: &mut [f64]) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    values.iter_mut().for_each(|value| *value -= mean);
    let deviation = (values.iter().map(|value| value * value).sum::<f64>() / count).sqrt();
    let factor = if deviation > 1e-9 { 1.0 / deviation } else { 0.0 };
    values.iter_mut().for_each(|value| *value *= factor);
}

/// The correlation of two residuals, -1..1. The sums are integers below 2²⁴ and exact.
fn correlation(a: &[i8], b: &[i8]) -> f32 {
    let dot = |a: &[i8], b: &[i8]| a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
    let norms = f64::from(dot(a, a)) * f64::from(dot(b, b));
    if norms > 0.0 { (f64::from(dot(a, b)) / norms.sqrt()) as f32 } else { 0.0 }
}

/// Turns correlations, `[count, count]`, into closeness: 1 less the distance in units of both pictures' scales.
fn to_closeness(correlations: &mut [f32], count: usize) {
    let distance = |correlation: f32| (1.0 - correlation).max(0.0).sqrt();
    let scales: Vec<f32> = correlations
        .chunks_exact(count.max(1))
        .map(|row| {
            let mut distances: Vec<f32> = row.iter().map(|&value| distance(value)).collect();
            distances.sort_by(f32::total_cmp);
            // The last is the picture itself, at an infinite distance.
            let at = SCALE_NEIGHBOUR.min(count.saturating_sub(1)).saturating_sub(1);
            distances.get(at).copied().unwrap_or(1.0).clamp(MIN_SCALE, 2.0)
        })
        .collect();
    for (a, row) in correlations.chunks_exact_mut(count.max(1)).enumerate() {
        for (b, value) in row.iter_mut().enumerate().filter(|(b, _)| *b != a) {
            *value = 1.0 - distance(*value) / (scales[a] * scales[b]).sqrt();
        }
    }
}

/// Joins the two most similar groups repeatedly, while their similarity is above [`MIN_CLOSENESS`] and the joined group is no
/// larger than `largest`. Returns for each picture one picture of its group. `similarity` is `[count, count]`, -∞ on the diagonal.
fn average_linkage(mut similarity: Vec<f32>, count: usize, largest: usize) -> Vec<usize> {
    let mut group: Vec<usize> = (0..count).collect();
    let mut sizes = vec![1usize; count];
    let nearest = |similarity: &[f32], row: usize| {
        let row = &similarity[row * count..][..count];
        // The first of equals, so that the result does not depend on the order of the search.
        row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).map_or(0, |(at, _)| at)
    };
    let mut nearest_of: Vec<usize> = (0..count).map(|row| nearest(&similarity, row)).collect();
    loop {
        let at = |row: usize| similarity[row * count + nearest_of[row]];
        let best = (0..count).max_by(|&a, &b| at(a).total_cmp(&at(b)).then(b.cmp(&a)));
        let Some(kept) = best.filter(|&row| at(row).partial_cmp(&MIN_CLOSENESS) == Some(Ordering::Greater)) else {
            break;
        };
        let removed = nearest_of[kept];
        let (own, other) = (sizes[kept] as f32, sizes[removed] as f32);
        sizes[kept] += sizes[removed];
        for row in 0..count {
            let mean =
                (own * similarity[kept * count + row] + other * similarity[removed * count + row]) / (own + other);
            let open = row != kept && row != removed && sizes[kept] + sizes[row] <= largest;
            let value = if open { mean } else { f32::NEG_INFINITY };
            (similarity[kept * count + row], similarity[row * count + kept]) = (value, value);
            (similarity[removed * count + row], similarity[row * count + removed]) =
                (f32::NEG_INFINITY, f32::NEG_INFINITY);
        }
        group.iter_mut().filter(|group| **group == removed).for_each(|group| *group = kept);
        for row in 0..count {
            if row == kept || row == removed || nearest_of[row] == kept || nearest_of[row] == removed {
                nearest_of[row] = nearest(&similarity, row);
            } else if similarity[row * count + kept] > similarity[row * count + nearest_of[row]] {
                nearest_of[row] = kept;
            }
        }
    }
    group
}

/// Numbers groups in the order of their first appearance.
fn renumber(groups: &[usize]) -> Vec<usize> {
    let mut numbers = vec![None; groups.len()];
    let mut next = 0;
    groups
        .iter()
        .map(|&group| {
            *numbers[group].get_or_insert_with(|| {
                next += 1;
                next - 1
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_picture::Layout;
    use rand_xoshiro::Xoshiro256PlusPlus;

    /// Thumbnails of parts that look similar; each part has marks of its own and is taken several times with another brightness
    /// and noise.
    fn thumbnails_of(parts: usize, times: usize, marks: i64) -> Vec<Picture> {
        let mut bits = Xoshiro256PlusPlus::seed_from_u64(5);
        let mut byte =
            move |assign_in_turn: i64| (bits.next_u64() >> 33) as i64 % (2 * assign_in_turn + 1) - assign_in_turn;
        let mean_thumbnail: Vec<i64> = (0..PIXELS).map(|i| 120 + 60 * ((i / 256) as i64 % 2) + byte(20)).collect();
        let mut thumbnails = Vec::new();
        for _ in 0..parts {
            let own: Vec<i64> = (0..PIXELS).map(|_| byte(marks.max(1)) * marks.min(1)).collect();
            for time in 0..times as i64 {
                let level = |(mean_thumbnail, own): (&i64, &i64)| {
                    ((mean_thumbnail + own) * (10 + time) / 12 + byte(2)).clamp(0, 255) as u8
                };
                let data = mean_thumbnail.iter().zip(&own).map(level).collect();
                thumbnails.push(Picture::from_data(Layout::Grey, THUMBNAIL_SIDE, THUMBNAIL_SIDE, data).unwrap());
            }
        }
        thumbnails
    }

    #[test]
    fn pictures_of_one_part_stay_together_however_similar_the_parts_are() {
        let groups = near_duplicates(&thumbnails_of(20, 3, 8));
        let expected: Vec<usize> = (0..60).map(|i| i / 3).collect();
        assert_eq!(groups, expected);
        let folds = assign_folds(&groups, 4);
        assert!(folds.chunks_exact(3).all(|part| part == [part[0]; 3]), "{folds:?}");
        assert_eq!([0, 1, 2, 3].map(|fold| folds.iter().filter(|f| **f == fold).count()), [15; 4]);
    }

    #[test]
    fn many_parts_of_one_design_are_no_near_duplicates_and_each_fold_has_some_of_each() {
        // Four designs, thirty parts of each, which vary as much by themselves as the designs do.
        let mut bits = Xoshiro256PlusPlus::seed_from_u64(9);
        let mut plane = move || -> Vec<i64> { (0..PIXELS).map(|_| (bits.next_u64() >> 33) as i64 % 21 - 10).collect() };
        let mut thumbnails = Vec::new();
        for _ in 0..4 {
            let design = plane();
            for _ in 0..30 {
                let data = design.iter().zip(plane()).map(|(design, own)| (128 + design + own) as u8).collect();
                thumbnails.push(Picture::from_data(Layout::Grey, THUMBNAIL_SIDE, THUMBNAIL_SIDE, data).unwrap());
            }
        }
        let groups = near_duplicates(&thumbnails);
        let folds = assign_folds(&groups, 4);
        for (design, folds) in folds.chunks_exact(30).enumerate() {
            for fold in 0..4 {
                let there = folds.iter().filter(|other| **other == fold).count();
                assert!(there >= 2, "design {design} has {there} of 30 pictures in fold {fold}");
            }
        }
    }

    #[test]
    fn no_group_is_too_large_to_balance_folds() {
        for (name, thumbnails) in [
            ("only noise differs", thumbnails_of(1, 40, 0)),
            ("two parts, forty times each", thumbnails_of(2, 40, 20)),
            ("the same picture", vec![thumbnails_of(1, 1, 9).remove(0); 40]),
            ("black", vec![Picture::new(Layout::Grey, THUMBNAIL_SIDE, THUMBNAIL_SIDE); 40]),
        ] {
            let groups = near_duplicates(&thumbnails);
            let folds = assign_folds(&groups, 4);
            for fold in 0..4 {
                let size = folds.iter().filter(|f| **f == fold).count();
                assert!((thumbnails.len() / 8..=thumbnails.len() * 3 / 8).contains(&size), "{name}: {folds:?}");
            }
            let together = groups.iter().zip(&folds).all(|(group, fold)| {
                groups.iter().zip(&folds).all(|(other, other_fold)| group != other || fold == other_fold)
            });
            assert!(together, "{name}");
        }
    }

    #[test]
    fn a_few_pictures_or_none_have_folds_too() {
        assert_eq!(near_duplicates(&[]), [0usize; 0]);
        assert_eq!(assign_folds(&[], 4), [0usize; 0]);
        for groups in [[0, 1, 2, 3, 4], [0, 1, 0, 2, 1]] {
            let folds = assign_folds(&groups, 2);
            assert!(folds.contains(&0) && folds.contains(&1) && folds.iter().all(|fold| *fold < 2), "{folds:?}");
            let whole = |a: usize, b: usize| groups[a] != groups[b] || folds[a] == folds[b];
            assert!((0..5).all(|a| (0..5).all(|b| whole(a, b))), "{folds:?}");
        }
    }
}
