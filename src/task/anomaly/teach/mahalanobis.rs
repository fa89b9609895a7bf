//! The statistics of the Mahalanobis scorer: mean and covariance of the pooled features of normal pictures.
//!
//! There are more features than pictures, so a tenth of the identity is added to the covariance of the standardized features:
//! `S = Z'Z / n + r`. S is never formed: `S⁻¹ = (1 - Z' (n r + Z Z')⁻¹ Z) / r` (Woodbury's identity) is `(1 - W'W) / r` with `W = L⁻¹ Z`,
//! L the Cholesky factor of `n r + Z Z'`, which has as many rows as there are pictures.

use super::matrix_product::gram;
use super::standardizer::Standardizer;
use crate::task::anomaly::pooled::{PooledStatistic, means_and_spreads};
use crate::task::anomaly::scorer::{MAHALANOBIS_RIDGE, Matrix};
use nalgebra::{Cholesky, DMatrix};

/// Pictures that are used at most, evenly spaced: a bundle keeps a row for each. With 256 the distance of unseen pictures is less exact.
const PICTURES: usize = 512;

/// Rows mean, 1 / standard deviation, and those of `W`, for `MahalanobisScorer`.
///
/// # Errors
/// One line, where nothing can be learned: without a picture.
pub fn mahalanobis(normal: &[&[u16]]) -> Result<Matrix, String> {
    let count = normal.len().min(PICTURES);
    let normal: Vec<&[u16]> = (0..count).map(|i| normal[i * normal.len() / count]).collect();
    let standardizer = Standardizer::fit(&normal, PooledStatistic::is_mean_or_spread);
    let means: Vec<f32> = means_and_spreads(&standardizer.means).collect();
    let scales: Vec<f32> = means_and_spreads(&standardizer.scales).collect();
    let mut z = DMatrix::zeros(count, means.len());
    for (mut to, picture) in z.row_iter_mut().zip(&normal) {
        let parameters = means.iter().zip(&scales);
        for ((to, value), (mean, scale)) in to.iter_mut().zip(means_and_spreads(picture)).zip(parameters) {
            *to = (f32::from(value) - mean) * scale;
        }
    }
    let mut inner = gram(&z);
    for i in 0..count {
        inner[(i, i)] += count as f32 * MAHALANOBIS_RIDGE;
    }
    let factor = Cholesky::new(inner).filter(|_| count > 0);
    let factor = factor.ok_or("the features of these pictures have no covariance that can be inverted")?;
    factor.l_dirty().solve_lower_triangular_mut(&mut z);
    let mut rows = [means, scales].concat();
    let columns = z.ncols();
    rows.extend((0..count).flat_map(|row| z.row(row).iter().copied().collect::<Vec<f32>>()));
    Ok(Matrix { columns, values: rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::anomaly::pooled::STATISTICS;
    use crate::task::anomaly::scorer::Features;
    use crate::task::anomaly::scorer::build_scorer;
    use crate::task::anomaly::teach::scheme::{CANDIDATES, Scale};
    use crate::task::anomaly::view::Layer;
    use rand_xoshiro::SplitMix64;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    #[test]
    fn the_distance_is_that_by_the_inverse_covariance() {
        // Three channels whose six used values vary together.
        let mut random = SplitMix64::seed_from_u64(5);
        let mut below = |end: u64| (random.next_u64() % end) as u16;
        let normal: Vec<Vec<u16>> = (0..40)
            .map(|_| {
                let common = below(3000);
                (0..3 * STATISTICS).map(|at| 10_000 + common * (1 + at as u16 % 3) + below(800)).collect()
            })
            .collect();
        let rows: Vec<&[u16]> = normal.iter().map(|row| &row[..]).collect();
        let matrix = mahalanobis(&rows).unwrap();
        assert_eq!((matrix.columns, matrix.rows().len()), (6, 2 + 40));

        let frame: Vec<u16> = (0..3 * STATISTICS).map(|at| 12_000 + 700 * at as u16).collect();
        let standardizer = Standardizer::fit(&rows, PooledStatistic::is_mean_or_spread);
        let all = standardizer.apply(&rows);
        let kept: Vec<usize> = (0..3 * STATISTICS).filter(|at| standardizer.scales[*at] > 0.0).collect();
        let z = DMatrix::from_fn(40, 6, |row, column| f64::from(all[(row, kept[column])]));
        let covariance = z.transpose() * &z / 40.0 + DMatrix::identity(6, 6) * f64::from(MAHALANOBIS_RIDGE);
        let own = standardizer.apply(&[&frame]);
        let own = DMatrix::from_fn(6, 1, |row, _| f64::from(own[(0, kept[row])]));
        let expected = 0.5 * (own.transpose() * covariance.try_inverse().unwrap() * &own)[(0, 0)].ln();

        let spec = CANDIDATES.into_iter().find(|spec| spec.method == crate::bundle::Method::Mahalanobis).unwrap();
        let layers = [Layer { channels: 3, rows: 1, columns: 1 }];
        let mut scorer = build_scorer(&spec.section(Scale::IDENTITY, 1.0), &layers, &matrix).unwrap();
        let found = scorer.score(&Features { pooled: vec![frame], cells: Vec::new(), planes: Vec::new() });
        assert!((found - expected).abs() < 1e-3, "{found} {expected}");
    }

    #[test]
    fn equal_pictures_and_none_are_handled() {
        let row = vec![500u16; 2 * STATISTICS];
        let matrix = mahalanobis(&[&row, &row, &row]).unwrap();
        assert!(matrix.values.iter().all(|value| value.is_finite()));
        assert!(mahalanobis(&[]).is_err());
        let many: Vec<Vec<u16>> = (0..700).map(|i| vec![i; STATISTICS]).collect();
        let many: Vec<&[u16]> = many.iter().map(|row| &row[..]).collect();
        assert_eq!(mahalanobis(&many).unwrap().rows().len(), 2 + PICTURES);
    }
}
