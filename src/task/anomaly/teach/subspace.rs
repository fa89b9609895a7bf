//! Directions of pooled features in which defects move a picture farthest, in spreads of normal: the largest
//! eigenvectors of `D v = λ S v`, where D is the second moment of (picture with a defect - the same picture without, or the
//! mean of normal pictures where there is none) and S the covariance of normal pictures plus a tenth of the identity.
//!
//! There are more values than pictures, so S is never formed. Block iteration (Saad 2011, section 5.2) needs only products
//! with it and its inverse, and the inverse is that of a matrix as large as there are pictures (Woodbury's identity).

use super::lessons::{Changed, Part};
use super::pooled::Standard;
use crate::task::anomaly::pooled::Statistic;
use crate::task::anomaly::scorer::Matrix;
use nalgebra::{Cholesky, DMatrix, SymmetricEigen};
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Share of the identity in S.
const RIDGE: f32 = 0.1;
/// Directions that are kept, and those that are iterated.
const DIRECTIONS: usize = 32;
const BLOCK: usize = 48;
const ROUNDS: usize = 10;
/// Of the largest eigenvalue: below it `f32` knows no direction.
const LEAST_SHARE: f32 = 1e-5;

/// Rows mean, 1 / spread, directions, for [`Subspace`](crate::task::anomaly::scorer::Subspace).
///
/// # Errors
/// One line, where the pictures do not differ.
pub fn subspace(normal: &[&[u16]], defects: &[Part<Changed<'_>>]) -> Result<Matrix, String> {
    let same = || "painted defects change nothing in what the backbone sees of these pictures".to_string();
    let standard = Standard::of(normal, |statistic| statistic != Statistic::Spread);
    let values = standard.means.len();
    let z = standard.apply(normal);
    let moves = moves(&standard, defects);
    let n = z.nrows() as f32;

    // S = Z'Z / n + r: S⁻¹ y = (y - Z' (n r + Z Z')⁻¹ Z y) / r.
    let mut gram = &z * z.transpose();
    for i in 0..z.nrows() {
        gram[(i, i)] += n * RIDGE;
    }
    let gram = Cholesky::new(gram).ok_or_else(same)?;
    let solve = |y: &DMatrix<f32>| (y - z.tr_mul(&gram.solve(&(&z * y)))) / RIDGE;
    let normal_moment = |y: &DMatrix<f32>| z.tr_mul(&(&z * y)) / n + y * RIDGE;
    let defect_moment = |y: &DMatrix<f32>| moves.tr_mul(&(&moves * y));

    let mut random = SplitMix64::seed_from_u64(0);
    let block = BLOCK.min(values);
    let mut v = DMatrix::from_fn(values, block, |_, _| (random.next_u64() >> 40) as f32 / (1 << 24) as f32 - 0.5);
    for _ in 0..ROUNDS {
        let y = solve(&defect_moment(&v));
        let lengths = y.column_iter().map(|column| column.norm().max(f32::MIN_POSITIVE)).collect::<Vec<_>>();
        let y = DMatrix::from_fn(values, y.ncols(), |row, column| y[(row, column)] / lengths[column]);
        // Orthonormal as S measures. Where defects move pictures in fewer directions than are iterated, some go.
        let inner = SymmetricEigen::new(y.tr_mul(&normal_moment(&y)));
        let least = LEAST_SHARE * inner.eigenvalues.max();
        let kept: Vec<usize> = (0..y.ncols()).filter(|&i| inner.eigenvalues[i] > least).collect();
        if kept.is_empty() {
            return Err(same());
        }
        let turn = DMatrix::from_fn(y.ncols(), kept.len(), |row, column| {
            inner.eigenvectors[(row, kept[column])] / inner.eigenvalues[kept[column]].sqrt()
        });
        v = y * turn;
    }
    let eigen = SymmetricEigen::new(v.tr_mul(&defect_moment(&v)));
    let mut order: Vec<usize> = (0..v.ncols()).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let mut rows = [standard.means, standard.scales].concat();
    for &index in order.iter().take(DIRECTIONS) {
        rows.extend((&v * eigen.eigenvectors.column(index)).iter());
    }
    Ok(Matrix { columns: values, values: rows })
}

/// How far each defect moves its picture, `[defects, values]`, scaled so that squares add up to the parts' weights.
fn moves(standard: &Standard, defects: &[Part<Changed<'_>>]) -> DMatrix<f32> {
    let rows = defects.iter().flat_map(|part| {
        let scale = (part.weight / part.rows.len().max(1) as f64).sqrt() as f32;
        part.rows.iter().map(move |row| (scale, row))
    });
    let mut moves = DMatrix::zeros(defects.iter().map(|part| part.rows.len()).sum(), standard.means.len());
    for (mut to, (scale, (with, without))) in moves.row_iter_mut().zip(rows) {
        for (value, to) in to.iter_mut().enumerate() {
            let from = without.map_or(standard.means[value], |without| f32::from(without[value]));
            *to = (f32::from(with[value]) - from) * standard.scales[value] * scale;
        }
    }
    moves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_direction_is_where_defects_move_pictures_most() {
        let mut random = SplitMix64::seed_from_u64(1);
        let mut noise = || 10_000 + (random.next_u64() % 1000) as u16;
        let normal: Vec<Vec<u16>> = (0..60).map(|_| (0..100).map(|_| noise()).collect()).collect();
        let painted: Vec<Vec<u16>> = normal
            .iter()
            .map(|row| row.iter().enumerate().map(|(i, v)| if i == 5 { v + 900 } else { v + (i % 3) as u16 }).collect())
            .collect();
        let rows: Vec<&[u16]> = normal.iter().map(|row| &row[..]).collect();
        let pairs = painted.iter().zip(&rows).map(|(painted, row)| (&painted[..], Some(*row))).collect();
        let matrix = subspace(&rows, &[Part { weight: 1.0, rows: pairs }]).unwrap();
        let first = matrix.rows().nth(2).unwrap();
        // S couples the values a little through 60 pictures; the defect's own stands out.
        let others = first.iter().enumerate().filter(|(i, _)| *i != 5).map(|(_, v)| v.abs()).fold(0.0, f32::max);
        assert!(first[5].abs() > 2.0 * others, "{} {others}", first[5]);
        assert!(matrix.values.iter().all(|value| value.is_finite()));
    }
}
