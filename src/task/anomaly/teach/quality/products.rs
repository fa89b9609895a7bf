//! Whether pictures show two products: thumbnails in two groups, all pairs across which are unlike, and one of which is alike in itself.
//!
//! Two designs of one product, several exposures, a few outliers are no two products: designs resemble each other, and pictures that vary
//! freely lie as far apart within a group as across.

use lineside_picture::Picture;

/// Groups smaller than this share of the pictures, or than so many pictures, are no product.
const MIN_PART: usize = 10;
const MIN_PICTURES: usize = 5;
/// The distance of two thumbnails of mean 0 and length 1 from which on they are unlike: they correlate by less than 0.68.
const UNLIKE: f64 = 0.8;
/// Pairs across are this many times as far apart as the pictures of the group that is more alike in itself.
const SEPARATION: f64 = 1.6;
/// The share of pairs across that may be nearer.
const NEARER: f64 = 0.05;
/// Steps of the power iteration, and of the assignment to the nearer mean.
const STEPS: usize = 50;

/// A group of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// Its number of pictures.
    pub count: usize,
    /// The number of the picture nearest to its mean.
    pub example: usize,
}

/// The two products that the pictures show; `None` where they show one. Thumbnails are grey and of one size.
pub fn two_products(thumbnails: &[&Picture]) -> Option<[Product; 2]> {
    let rows: Vec<Vec<f64>> = thumbnails.iter().map(|thumbnail| standardized(thumbnail.data())).collect();
    let in_second = two_means(&rows);
    let members = |second: bool| -> Vec<usize> { (0..rows.len()).filter(|&i| in_second[i] == second).collect() };
    let groups = [members(false), members(true)];
    if groups.iter().any(|group| group.len() < MIN_PICTURES || group.len() * MIN_PART < rows.len()) {
        return None;
    }
    let mut across: Vec<f64> = groups[0]
        .iter()
        .flat_map(|&a| groups[1].iter().map(move |&b| (a, b)))
        .map(|(a, b)| distance(&rows[a], &rows[b]))
        .collect();
    across.sort_by(f64::total_cmp);
    let nearest = across[(NEARER * (across.len() - 1) as f64) as usize];
    let within = |group: &[usize]| {
        let pairs = group.iter().enumerate().flat_map(|(i, &a)| group[..i].iter().map(move |&b| (a, b)));
        let sum: f64 = pairs.map(|(a, b)| distance(&rows[a], &rows[b])).sum();
        sum / (group.len() * (group.len() - 1) / 2) as f64
    };
    if nearest < UNLIKE || nearest < SEPARATION * within(&groups[0]).min(within(&groups[1])) {
        return None;
    }
    let product = |group: &Vec<usize>| {
        let mean = mean(group.iter().map(|&i| &rows[i]));
        let example =
            group.iter().copied().min_by(|&a, &b| distance(&rows[a], &mean).total_cmp(&distance(&rows[b], &mean)));
        Product { count: group.len(), example: example.unwrap_or(0) }
    };
    Some([product(&groups[0]), product(&groups[1])])
}

/// Pixels with mean 0 and length 1; 0 where all are equal.
fn standardized(pixels: &[u8]) -> Vec<f64> {
    let mean = pixels.iter().map(|&pixel| u64::from(pixel)).sum::<u64>() as f64 / pixels.len().max(1) as f64;
    let mut row: Vec<f64> = pixels.iter().map(|&pixel| f64::from(pixel) - mean).collect();
    let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
    row.iter_mut().for_each(|value| *value *= if length > 1e-9 { 1.0 / length } else { 0.0 });
    row
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

fn mean<'a>(rows: impl Iterator<Item = &'a Vec<f64>>) -> Vec<f64> {
    let (mut sum, mut count) = (Vec::new(), 0.0);
    for row in rows {
        sum.resize(row.len(), 0.0);
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    sum.iter_mut().for_each(|sum| *sum /= count);
    sum
}

/// Parts rows in two by the k-means algorithm (Lloyd 1982), from the sides of the first principal component: for each row whether it
/// belongs to the second part.
fn two_means(rows: &[Vec<f64>]) -> Vec<bool> {
    let centre = mean(rows.iter());
    let project = |row: &[f64], axis: &[f64]| -> f64 {
        row.iter().zip(&centre).zip(axis).map(|((value, centre), axis)| (value - centre) * axis).sum()
    };
    let farthest = rows.iter().max_by(|a, b| distance(a, &centre).total_cmp(&distance(b, &centre)));
    let mut axis: Vec<f64> = farthest.iter().flat_map(|row| row.iter().zip(&centre)).map(|(a, b)| a - b).collect();
    for _ in 0..STEPS {
        let mut next = vec![0.0; axis.len()];
        for row in rows {
            let at = project(row, &axis);
            next.iter_mut().zip(row).zip(&centre).for_each(|((next, value), centre)| *next += at * (value - centre));
        }
        let length = next.iter().map(|value| value * value).sum::<f64>().sqrt();
        axis = next.iter().map(|value| if length > 0.0 { value / length } else { 0.0 }).collect();
    }
    let mut in_second: Vec<bool> = rows.iter().map(|row| project(row, &axis) > 0.0).collect();
    for _ in 0..STEPS {
        let [first, second] = [false, true]
            .map(|part| mean(rows.iter().zip(&in_second).filter(|(_, at)| **at == part).map(|(row, _)| row)));
        if first.is_empty() || second.is_empty() {
            break;
        }
        let next: Vec<bool> = rows.iter().map(|row| distance(row, &second) < distance(row, &first)).collect();
        if next == in_second {
            break;
        }
        in_second = next;
    }
    in_second
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_picture::Layout;
    use rand_xoshiro::SplitMix64;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    /// Thumbnails of a product: its pattern with noise of so many grey levels.
    fn pictures(product: u64, count: usize, noise: u64) -> Vec<Picture> {
        let levels = |seed: u64, range: u64| -> Vec<u64> {
            let mut random = SplitMix64::seed_from_u64(seed);
            (0..1024).map(|_| random.next_u64() % range).collect()
        };
        let pattern = levels(product, 100);
        let of = |i: usize| -> Vec<u8> {
            let own = levels(1000 * product + i as u64, noise + 1);
            pattern.iter().zip(own).map(|(level, own)| (level + own) as u8).collect()
        };
        (1..=count).map(|i| Picture::from_data(Layout::Grey, 32, 32, of(i)).unwrap()).collect()
    }

    fn of(sets: &[Vec<Picture>]) -> Option<[Product; 2]> {
        two_products(&sets.iter().flatten().collect::<Vec<&Picture>>())
    }

    #[test]
    fn two_products_are_told_apart_and_an_example_of_each_is_named() {
        // The second varies as much in itself as it differs from the first.
        for noise in [20, 150] {
            let mut found = of(&[pictures(1, 12, 20), pictures(2, 20, noise)]).unwrap();
            found.sort_by_key(|product| product.example);
            assert_eq!([found[0].count, found[1].count], [12, 20]);
            assert!(found[0].example < 12 && found[1].example >= 12);
        }
    }

    #[test]
    fn one_product_few_outliers_and_designs_that_are_alike_are_one() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[pictures(1, 1, 20)]), None);
        for noise in [0, 20, 150] {
            assert_eq!(of(&[pictures(1, 30, noise)]), None, "{noise}");
        }
        assert_eq!(of(&[pictures(1, 40, 20), pictures(2, 3, 20)]), None);
        assert_eq!(of(&[vec![Picture::new(Layout::Grey, 32, 32); 20]]), None);
        // Two designs that differ in a fifth of their area.
        let mut design = pictures(1, 20, 20);
        let other = pictures(2, 20, 20);
        for (picture, other) in design.iter_mut().zip(&other).skip(10) {
            picture.data_mut()[..200].copy_from_slice(&other.data()[..200]);
        }
        assert_eq!(of(&[design]), None);
    }
}
