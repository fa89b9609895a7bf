//! Groups of pictures that look alike as a whole: stand-ins for the batches, lights and designs that are yet to come.
//!
//! Which scorers take another batch for a defect cannot be seen from folds, each of which holds some of every batch, nor from
//! painted defects, which are in pictures of known batches. A group that is held out as a whole shows it.

use super::standardizer::Standardizer;
use crate::task::anomaly::pooled::{PooledStatistic, means_and_spreads};
use crate::task::anomaly::scorer::dot_f32;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// The number of groups.
pub const GROUPS: usize = 4;
/// Starts, of which the best one counts, and rounds of each.
const STARTS: u64 = 8;
const ROUNDS: usize = 20;

/// The group of each picture, from its pooled features: k-means (Lloyd 1982) from spread starts (Arthur and Vassilvitskii 2007).
pub fn look_alikes(pictures: &[&[u16]]) -> Vec<usize> {
    let standardizer = Standardizer::fit(pictures, PooledStatistic::is_mean_or_spread);
    let means: Vec<f32> = means_and_spreads(&standardizer.means).collect();
    let scales: Vec<f32> = means_and_spreads(&standardizer.scales).collect();
    let standardize = |picture: &&[u16]| -> Vec<f32> {
        let parameters = means.iter().zip(&scales);
        means_and_spreads(picture)
            .zip(parameters)
            .map(|(value, (mean, scale))| (f32::from(value) - mean) * scale)
            .collect()
    };
    let rows: Vec<Vec<f32>> = pictures.iter().map(standardize).collect();
    let runs = (0..STARTS).map(|seed| k_means(&rows, SplitMix64::seed_from_u64(seed)));
    // Of equal ones the first.
    runs.reduce(|best, run| if run.error < best.error { run } else { best }).map_or(Vec::new(), |best| best.groups)
}

/// A result of k-means.
struct Clustering {
    groups: Vec<usize>,
    /// The sum of the squared distances to the centres.
    error: f64,
}

fn k_means(rows: &[Vec<f32>], mut random: SplitMix64) -> Clustering {
    let mut centres: Vec<Vec<f32>> = Vec::new();
    let mut nearest = vec![(0, f64::INFINITY); rows.len()];
    for _ in 0..GROUPS.min(rows.len()) {
        // A picture is drawn by its squared distance from the nearest centre so far; the first one evenly.
        let weights = nearest.iter().map(|(_, distance)| if distance.is_finite() { *distance } else { 1.0 });
        let share = (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let mut left = share * weights.clone().sum::<f64>();
        let drawn = weights.into_iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        centres.push(rows[drawn.unwrap_or(0)].clone());
        assign(rows, &centres, &mut nearest);
    }
    for _ in 0..ROUNDS {
        let before: Vec<usize> = nearest.iter().map(|(group, _)| *group).collect();
        for (group, centre) in centres.iter_mut().enumerate() {
            let members = || rows.iter().zip(&before).filter(|(_, own)| **own == group).map(|(row, _)| row);
            let count = members().count();
            if count == 0 {
                continue;
            }
            centre.fill(0.0);
            members().for_each(|row| centre.iter_mut().zip(row).for_each(|(sum, value)| *sum += value));
            centre.iter_mut().for_each(|value| *value /= count as f32);
        }
        assign(rows, &centres, &mut nearest);
        if nearest.iter().zip(&before).all(|((group, _), before)| group == before) {
            break;
        }
    }
    let error = nearest.iter().map(|(_, distance)| distance).sum();
    Clustering { groups: nearest.into_iter().map(|(group, _)| group).collect(), error }
}

/// The nearest centre of each row, and its squared distance.
fn assign(rows: &[Vec<f32>], centres: &[Vec<f32>], nearest: &mut [(usize, f64)]) {
    let squares: Vec<f64> = centres.iter().map(|centre| dot_f32(centre, centre)).collect();
    for (row, nearest) in rows.iter().zip(nearest) {
        let own = dot_f32(row, row);
        let distances = centres.iter().zip(&squares);
        let distances = distances.map(|(centre, square)| (own - 2.0 * dot_f32(row, centre) + square).max(0.0));
        let best = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
        *nearest = best.unwrap_or((0, 0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::anomaly::pooled::STATISTICS;

    #[test]
    fn batches_are_told_apart() {
        let mut random = SplitMix64::seed_from_u64(2);
        let mut picture = |batch: usize| -> Vec<u16> {
            (0..8 * STATISTICS)
                .map(|at| {
                    20_000 + (random.next_u64() % 400) as u16 + if at / STATISTICS % 4 == batch { 900 } else { 0 }
                })
                .collect()
        };
        let all: Vec<Vec<u16>> = (0..60).map(|number| picture(number % 4)).collect();
        let rows: Vec<&[u16]> = all.iter().map(|row| &row[..]).collect();
        let groups = look_alikes(&rows);
        assert!((0..60).all(|number| groups[number] == groups[number % 4]), "{groups:?}");
        assert!((1..4).all(|batch| (0..batch).all(|other| groups[batch] != groups[other])), "{groups:?}");
    }

    #[test]
    fn few_and_equal_pictures_have_a_group_each_or_one() {
        let row = vec![700u16; STATISTICS];
        assert_eq!(look_alikes(&[]), [0usize; 0]);
        assert_eq!(look_alikes(&[&row]), [0]);
        assert_eq!(look_alikes(&[&row[..]; 6]), [0; 6]);
    }
}
