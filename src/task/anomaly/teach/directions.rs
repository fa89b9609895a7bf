//! The directions along which a patch-level scorer measures cells, from a generalized eigenproblem: `A u = λ (S + T) u` with
//! `uᵀ (S + T) u = 1`, where S is the covariance of normal cells and T a ridge, a share of the mean variance on the diagonal.
//!
//! - Contrast: A is the second moment of defect cells, synthetic and labelled ones, about the normal mean. The first directions are
//!   those in which defects are farthest from normal, in standard deviations of normal (Fukunaga 1990, section 10.2; the two-class
//!   case of "generalised eigenvectors" for discriminative features, Karampatziakis and Mineiro 2014).
//! - Gaussian: A is the identity. The first directions are those in which normal cells vary least; distances along them are
//!   Mahalanobis distances (found good for anomaly detection by Rippel et al. 2021).

use super::moments::Moments;
use crate::task::anomaly::scorer::Matrix;
use nalgebra::{Cholesky, DMatrix, SymmetricEigen};

/// T as a share of the mean variance. With a small ridge the directions overfit the pictures: 0.01 loses half a point of AUROC on
/// unseen parts (docs/anomaly.md).
const RIDGE: f64 = 0.3;

/// Rows `m, u_1, …, u_K` for `PatchProjection`, by contrast with several groups
/// of defects, each with its weight.
///
/// # Errors
/// One line, where the normal cells have no variance.
pub fn contrast(normal: &Moments, defects: &[(f64, &Moments)], count: usize) -> Result<Matrix, String> {
    let mean = normal.mean();
    let mut second = DMatrix::zeros(mean.len(), mean.len());
    for (weight, defect) in defects.iter().filter(|(weight, _)| *weight > 0.0) {
        second += defect.second_moment_about(&mean) * *weight;
    }
    solve(normal, second, count)
}

/// The same by the Gaussian method, which needs no defects.
///
/// # Errors
/// As [`contrast`].
pub fn gaussian(normal: &Moments, count: usize) -> Result<Matrix, String> {
    solve(normal, DMatrix::identity(normal.channels(), normal.channels()), count)
}

fn solve(normal: &Moments, mut wanted: DMatrix<f64>, count: usize) -> Result<Matrix, String> {
    let mean = normal.mean();
    let channels = mean.len();
    let mut covariance = normal.second_moment_about(&mean);
    let ridge = RIDGE * covariance.trace() / channels as f64;
    for i in 0..channels {
        covariance[(i, i)] += ridge;
        wanted[(i, i)] += ridge;
    }
    let singular = || "the pictures have no texture: all their cells are equal".to_string();
    let factor = Cholesky::new(covariance).ok_or_else(singular)?.unpack();
    // L⁻¹ A L⁻ᵀ, whose eigenvectors v give u = L⁻ᵀ v.
    let half = factor.solve_lower_triangular(&wanted).ok_or_else(singular)?;
    let mut whitened = factor.solve_lower_triangular(&half.transpose()).ok_or_else(singular)?;
    // Symmetric apart from rounding.
    whitened = (&whitened + whitened.transpose()) * 0.5;
    let eigen = SymmetricEigen::new(whitened);
    let mut order: Vec<usize> = (0..channels).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let mut values: Vec<f32> = mean.iter().map(|&value| value as f32).collect();
    for &index in order.iter().take(count) {
        let direction = factor.tr_solve_lower_triangular(&eigen.eigenvectors.column(index)).ok_or_else(singular)?;
        values.extend(direction.iter().map(|&value| value as f32));
    }
    Ok(Matrix { columns: channels, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells whose first value varies little and whose second varies much.
    fn cells(shift: [i16; 2]) -> Moments {
        let mut moments = Moments::new(2);
        for i in 0..100i16 {
            moments.push(&[(i % 5 - 2) * 16 + shift[0], (i % 9 - 4) * 100 + shift[1]]);
        }
        moments.flush();
        moments
    }

    #[test]
    fn the_first_direction_is_where_defects_are_farthest_from_normal() {
        let matrix = contrast(&cells([0, 0]), &[(1.0, &cells([0, 3000]))], 1).unwrap();
        let row = matrix.rows().nth(1).unwrap();
        assert!(row[1].abs() > 10.0 * row[0].abs(), "{row:?}");
        let matrix = contrast(&cells([0, 0]), &[(1.0, &cells([500, 0]))], 1).unwrap();
        let row = matrix.rows().nth(1).unwrap();
        assert!(row[0].abs() > 10.0 * row[1].abs(), "{row:?}");
    }

    #[test]
    fn without_defects_it_is_where_normal_varies_least() {
        let matrix = gaussian(&cells([0, 0]), 2).unwrap();
        let rows: Vec<&[f32]> = matrix.rows().collect();
        assert_eq!(rows.len(), 3);
        assert!(rows[1][0].abs() > 10.0 * rows[1][1].abs(), "{rows:?}");
    }

    #[test]
    fn pictures_without_texture_are_refused() {
        let mut flat = Moments::new(2);
        (0..10).for_each(|_| flat.push(&[0, 0]));
        flat.flush();
        assert!(gaussian(&flat, 1).is_err_and(|problem| problem.contains("no texture")));
    }
}
