//! Folds: which taught pictures are held out together, so that no scorer is tested on a picture whose twin taught it.
//!
//! Pictures of one part, taken again under another light or a moment later, are found by how their thumbnails
//! correlate. Parts on a line look all alike; so what all pictures have in common, the mean thumbnail, is taken away
//! first. Groups grow by average linkage (Sokal and Michener 1958), which does not chain A to C because both resemble
//! B, and none may become so large that folds could not be balanced. Where nothing is found, folds are blocks in the
//! order of taking.

use lineside_picture::Picture;
use std::cmp::Ordering;

/// The thumbnail's side, pixels.
pub const SIDE: usize = 32;
/// Its pixels.
const PIXELS: usize = SIDE * SIDE;
/// Two groups become one while their pictures correlate by more than this on average. Chosen on the magnetic tiles.
const ALIKE: f32 = 0.7;
/// A group holds at most this part of all pictures: half a fold of four.
const LARGEST_PART: usize = 8;
/// Standard deviations in one step of an `i8`: 127 is four of them.
const STEPS: f64 = 32.0;

/// For each picture the number of its group, from the thumbnails in order of taking, grey and of [`SIDE`] by [`SIDE`]
/// pixels. Groups are numbered by their first picture.
pub fn groups(thumbnails: &[Picture]) -> Vec<usize> {
    let patterns = patterns(thumbnails);
    let count = patterns.len();
    let mut likeness = vec![f32::NEG_INFINITY; count * count];
    for a in 0..count {
        for b in 0..a {
            let value = correlation(&patterns[a], &patterns[b]);
            (likeness[a * count + b], likeness[b * count + a]) = (value, value);
        }
    }
    numbered(&link(likeness, count, count.div_ceil(LARGEST_PART)))
}

/// For each picture the fold, below `folds`, in which it is held out. Groups stay whole; they are taken in order of
/// their first picture, so that folds are blocks of the order of taking as far as groups allow, and no fold is larger
/// than its share by more than one group.
pub fn folds(groups: &[usize], folds: usize) -> Vec<usize> {
    let mut sizes = vec![0; groups.iter().max().map_or(0, |last| last + 1)];
    groups.iter().for_each(|&group| sizes[group] += 1);
    let mut before = 0;
    let places: Vec<usize> = sizes
        .iter()
        .map(|size| {
            // Where the group's middle falls among all pictures.
            let place = (2 * before + size) * folds / (2 * groups.len());
            before += size;
            place
        })
        .collect();
    groups.iter().map(|&group| places[group]).collect()
}

/// For each labelled defect the fold in which it is held out, one of those that `used` names: groups stay whole and take
/// turns, so that a kind of defect, whose pictures come one after the other, is spread over all folds.
pub fn spread(groups: &[usize], used: &[usize]) -> Vec<usize> {
    let folds = used.iter().max().map_or(1, |last| last + 1);
    groups.iter().map(|group| group % folds).collect()
}

/// What is left of each thumbnail without what all have in common, in steps of 1/[`STEPS`] of its standard deviation.
fn patterns(thumbnails: &[Picture]) -> Vec<Vec<i8>> {
    let mut planes: Vec<Vec<f64>> = thumbnails
        .iter()
        .map(|thumbnail| {
            let mut plane: Vec<f64> = thumbnail.data().iter().map(|&byte| f64::from(byte)).collect();
            plane.resize(PIXELS, 0.0);
            standardize(&mut plane);
            plane
        })
        .collect();
    let mut common = vec![0.0; PIXELS];
    for plane in &planes {
        common.iter_mut().zip(plane).for_each(|(sum, value)| *sum += value / thumbnails.len() as f64);
    }
    planes
        .iter_mut()
        .map(|plane| {
            plane.iter_mut().zip(&common).for_each(|(value, common)| *value -= common);
            standardize(plane);
            plane.iter().map(|value| (value * STEPS).round() as i8).collect()
        })
        .collect()
}

/// Brings mean and standard deviation to 0 and 1; what varies by less than rounding becomes 0.
fn standardize(values: &mut [f64]) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    values.iter_mut().for_each(|value| *value -= mean);
    let deviation = (values.iter().map(|value| value * value).sum::<f64>() / count).sqrt();
    let factor = if deviation > 1e-9 { 1.0 / deviation } else { 0.0 };
    values.iter_mut().for_each(|value| *value *= factor);
}

/// The correlation of two patterns, -1..1. The sums are whole numbers below 2²⁴ and exact.
fn correlation(a: &[i8], b: &[i8]) -> f32 {
    let dot = |a: &[i8], b: &[i8]| a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
    let norms = f64::from(dot(a, a)) * f64::from(dot(b, b));
    if norms > 0.0 { (f64::from(dot(a, b)) / norms.sqrt()) as f32 } else { 0.0 }
}

/// Joins the two groups that are most alike, again and again, while they are [`ALIKE`] and together no more than
/// `largest`; gives for each picture one picture of its group. `likeness` is `[count, count]`, -∞ on the diagonal.
fn link(mut likeness: Vec<f32>, count: usize, largest: usize) -> Vec<usize> {
    let mut group: Vec<usize> = (0..count).collect();
    let mut sizes = vec![1usize; count];
    let nearest = |likeness: &[f32], row: usize| {
        let row = &likeness[row * count..][..count];
        // The first of equals, so that the answer does not depend on how it is searched.
        row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).map_or(0, |(at, _)| at)
    };
    let mut nearest_of: Vec<usize> = (0..count).map(|row| nearest(&likeness, row)).collect();
    loop {
        let at = |row: usize| likeness[row * count + nearest_of[row]];
        let best = (0..count).max_by(|&a, &b| at(a).total_cmp(&at(b)).then(b.cmp(&a)));
        let Some(kept) = best.filter(|&row| at(row).partial_cmp(&ALIKE) == Some(Ordering::Greater)) else { break };
        let gone = nearest_of[kept];
        let (own, other) = (sizes[kept] as f32, sizes[gone] as f32);
        sizes[kept] += sizes[gone];
        for row in 0..count {
            let mean = (own * likeness[kept * count + row] + other * likeness[gone * count + row]) / (own + other);
            let open = row != kept && row != gone && sizes[kept] + sizes[row] <= largest;
            let value = if open { mean } else { f32::NEG_INFINITY };
            (likeness[kept * count + row], likeness[row * count + kept]) = (value, value);
            (likeness[gone * count + row], likeness[row * count + gone]) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
        }
        group.iter_mut().filter(|group| **group == gone).for_each(|group| *group = kept);
        for row in 0..count {
            if row == kept || row == gone || nearest_of[row] == kept || nearest_of[row] == gone {
                nearest_of[row] = nearest(&likeness, row);
            } else if likeness[row * count + kept] > likeness[row * count + nearest_of[row]] {
                nearest_of[row] = kept;
            }
        }
    }
    group
}

/// Numbers groups in the order in which they first appear.
fn numbered(groups: &[usize]) -> Vec<usize> {
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
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    /// Thumbnails of parts that share most of their look; each part has marks of its own and is seen several times with
    /// another brightness and grain.
    fn seen(parts: usize, times: usize, marks: i64) -> Vec<Picture> {
        let mut bits = Xoshiro256PlusPlus::seed_from_u64(5);
        let mut byte = move |spread: i64| (bits.next_u64() >> 33) as i64 % (2 * spread + 1) - spread;
        let common: Vec<i64> = (0..PIXELS).map(|i| 120 + 60 * ((i / 256) as i64 % 2) + byte(20)).collect();
        let mut thumbnails = Vec::new();
        for _ in 0..parts {
            let own: Vec<i64> = (0..PIXELS).map(|_| byte(marks.max(1)) * marks.min(1)).collect();
            for time in 0..times as i64 {
                let level =
                    |(common, own): (&i64, &i64)| ((common + own) * (10 + time) / 12 + byte(2)).clamp(0, 255) as u8;
                let data = common.iter().zip(&own).map(level).collect();
                thumbnails.push(Picture::from_data(Layout::Grey, SIDE, SIDE, data).unwrap());
            }
        }
        thumbnails
    }

    #[test]
    fn pictures_of_one_part_stay_together_however_alike_the_parts_are() {
        let groups = groups(&seen(20, 3, 8));
        let expected: Vec<usize> = (0..60).map(|i| i / 3).collect();
        assert_eq!(groups, expected);
        let folds = folds(&groups, 4);
        assert!(folds.is_sorted(), "blocks in the order of taking");
        assert_eq!([0, 1, 2, 3].map(|fold| folds.iter().filter(|f| **f == fold).count()), [15; 4]);
    }

    #[test]
    fn no_group_becomes_so_large_that_folds_could_not_be_balanced() {
        for (name, thumbnails) in [
            ("nothing but grain tells them apart", seen(1, 40, 0)),
            ("two parts, forty times each", seen(2, 40, 20)),
            ("the very same picture", vec![seen(1, 1, 9).remove(0); 40]),
            ("black", vec![Picture::new(Layout::Grey, SIDE, SIDE); 40]),
        ] {
            let groups = groups(&thumbnails);
            let folds = folds(&groups, 4);
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
    fn few_pictures_and_none_have_folds_too() {
        assert_eq!(groups(&[]), [0usize; 0]);
        assert_eq!(folds(&[], 4), [0usize; 0]);
        assert_eq!(folds(&[0, 1, 2, 3, 4], 4), [0, 1, 2, 2, 3]);
        assert_eq!(folds(&[0, 1, 0, 2, 1], 2), [0, 1, 0, 1, 1]);
    }
}
