//! The directions of pooled features along which defects change a picture most, in standard deviations of normal: the largest
//! eigenvectors of `D v = λ S v`, where D is the second moment of (picture with a defect - the same picture without it, or the mean
//! of normal pictures where there is none) and S the covariance of normal pictures plus a tenth of the identity.
//!
//! There are more features than pictures, so S is never formed. Block iteration (Saad 2011, section 5.2) needs only products with S
//! and with its inverse, and the inverse follows from a matrix with as many rows as there are pictures (Woodbury's identity).

use super::matrix_product::{gram, product, transposed_product};
use super::scheme::{RowPair, WeightedRows};
use super::standardizer::Standardizer;
use crate::task::anomaly::pooled::PooledStatistic;
use crate::task::anomaly::scorer::Matrix;
use nalgebra::{Cholesky, DMatrix, SymmetricEigen};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Share of the identity in S.
const RIDGE: f32 = 0.1;
/// Directions that are kept, and directions that are iterated.
const DIRECTIONS: usize = 32;
const BLOCK: usize = 48;
/// Rounds of the iteration.
const ROUNDS: usize = 10;
/// Directions with less than this share of the largest eigenvalue are noise in `f32`.
const MIN_SHARE: f32 = 1e-5;

/// Rows mean, 1 / standard deviation, directions, for `SubspaceScorer`.
///
/// # Errors
/// One line, where the defects change nothing.
pub fn subspace(normal: &[&[u16]], defects: &[WeightedRows<RowPair<'_>>]) -> Result<Matrix, String> {
    let same = || "synthetic defects do not change the backbone's features of these pictures".to_string();
    let standardizer = Standardizer::fit(normal, |statistic| statistic != PooledStatistic::Spread);
    let values = standardizer.means.len();
    let z = standardizer.apply(normal);
    let shifts = shifts(&standardizer, defects);
    let n = z.nrows() as f32;

    // S = Z'Z / n + r: S⁻¹ y = (y - Z' (n r + Z Z')⁻¹ Z y) / r.
    let mut gram = gram(&z);
    for i in 0..z.nrows() {
        gram[(i, i)] += n * RIDGE;
    }
    let gram = Cholesky::new(gram).ok_or_else(same)?;
    let solve = |y: &DMatrix<f32>| (y - transposed_product(&z, &gram.solve(&product(&z, y)))) / RIDGE;
    let normal_moment = |y: &DMatrix<f32>| transposed_product(&z, &product(&z, y)) / n + y * RIDGE;
    let defect_moment = |y: &DMatrix<f32>| transposed_product(&shifts, &product(&shifts, y));

    let mut random = SplitMix64::seed_from_u64(0);
    let block = BLOCK.min(values);
    let mut v = DMatrix::from_fn(values, block, |_, _| (random.next_u64() >> 40) as f32 / (1 << 24) as f32 - 0.5);
    for _ in 0..ROUNDS {
        let y = solve(&defect_moment(&v));
        let lengths = y.column_iter().map(|column| column.norm().max(f32::MIN_POSITIVE)).collect::<Vec<_>>();
        let y = DMatrix::from_fn(values, y.ncols(), |row, column| y[(row, column)] / lengths[column]);
        // Orthonormal under S. Where defects change pictures in fewer directions than are iterated, the rest is dropped.
        let inner = SymmetricEigen::new(transposed_product(&y, &normal_moment(&y)));
        let least = MIN_SHARE * inner.eigenvalues.max();
        let kept: Vec<usize> = (0..y.ncols()).filter(|&i| inner.eigenvalues[i] > least).collect();
        if kept.is_empty() {
            return Err(same());
        }
        let turn = DMatrix::from_fn(y.ncols(), kept.len(), |row, column| {
            inner.eigenvectors[(row, kept[column])] / inner.eigenvalues[kept[column]].sqrt()
        });
        v = product(&y, &turn);
    }
    let eigen = SymmetricEigen::new(transposed_product(&v, &defect_moment(&v)));
    let mut order: Vec<usize> = (0..v.ncols()).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let mut rows = [standardizer.means, standardizer.scales].concat();
    for &index in order.iter().take(DIRECTIONS) {
        rows.extend((&v * eigen.eigenvectors.column(index)).iter());
    }
    Ok(Matrix { columns: values, values: rows })
}

/// How each defect shifts the features of its picture, `[defects, values]`, scaled so that squares add up to the groups' weights.
fn shifts(standardizer: &Standardizer, defects: &[WeightedRows<RowPair<'_>>]) -> DMatrix<f32> {
    let rows = defects.iter().flat_map(|part| {
        let scale = (part.weight / part.rows.len().max(1) as f64).sqrt() as f32;
        part.rows.iter().map(move |row| (scale, row))
    });
    let mut shifts = DMatrix::zeros(defects.iter().map(|part| part.rows.len()).sum(), standardizer.means.len());
    for (mut to, (scale, (with, without))) in shifts.row_iter_mut().zip(rows) {
        for (value, to) in to.iter_mut().enumerate() {
            let from = without.map_or(standardizer.means[value], |without| f32::from(without[value]));
            *to = (f32::from(with[value]) - from) * standardizer.scales[value] * scale;
        }
    }
    shifts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_direction_is_that_of_the_largest_shift() {
        let mut random = SplitMix64::seed_from_u64(1);
        let mut noise = || 10_000 + (random.next_u64() % 1000) as u16;
        let normal: Vec<Vec<u16>> = (0..60).map(|_| (0..100).map(|_| noise()).collect()).collect();
        let synthetic: Vec<Vec<u16>> = normal
            .iter()
            .map(|row| row.iter().enumerate().map(|(i, v)| if i == 5 { v + 900 } else { v + (i % 3) as u16 }).collect())
            .collect();
        let rows: Vec<&[u16]> = normal.iter().map(|row| &row[..]).collect();
        let pairs = synthetic.iter().zip(&rows).map(|(synthetic, row)| (&synthetic[..], Some(*row))).collect();
        let matrix = subspace(&rows, &[WeightedRows { weight: 1.0, rows: pairs }]).unwrap();
        let first = matrix.rows().nth(2).unwrap();
        // S couples the values a little through 60 pictures; the defect's own feature stands out.
        let others = first.iter().enumerate().filter(|(i, _)| *i != 5).map(|(_, v)| v.abs()).fold(0.0, f32::max);
        assert!(first[5].abs() > 2.0 * others, "{} {others}", first[5]);
        assert!(matrix.values.iter().all(|value| value.is_finite()));
    }
}
