//! Weights of pooled features that separate normal pictures from defects: logistic regression with an L2 penalty,
//! `½ mean ln(1 + e^s) over normal + ½ mean ln(1 + e^-s) over defects + p |w|²`, minimized by L-BFGS (Liu and Nocedal 1989). Groups
//! of defects share the half of the defects by their weights. Nothing is random: the same pictures give the same weights.

use super::scheme::WeightedRows;
use super::standardizer::Standardizer;
use crate::task::anomaly::pooled::PooledStatistic;
use crate::task::anomaly::scorer::{CLIP, Matrix};
use nalgebra::{DMatrix, DVector};

/// The most iterations of L-BFGS.
const MAX_ITERATIONS: usize = 60;
/// Steps in the history of L-BFGS.
const HISTORY: usize = 10;

/// Rows mean, 1 / standard deviation, weight for `LinearScorer`, from the pooled
/// features of normal pictures and of defects. `penalty` is the factor of |w|².
pub fn logistic(normal: &[&[u16]], defects: &[WeightedRows<&[u16]>], penalty: f32) -> Matrix {
    let used = [PooledStatistic::Mean, PooledStatistic::Highest, PooledStatistic::Spread];
    let standardizer = Standardizer::fit(normal, |statistic| used.contains(&statistic));
    let rows = |sign: f32, share: f64, pictures: &[&[u16]]| LossTerm {
        pictures: standardizer.apply(pictures).map(|value| value.clamp(-CLIP, CLIP)),
        sign,
        share: (share / pictures.len().max(1) as f64) as f32,
    };
    let mut loss = Loss { terms: vec![rows(1.0, 0.5, normal)], penalty };
    loss.terms.extend(defects.iter().map(|part| rows(-1.0, 0.5 * part.weight, &part.rows)));
    let values = standardizer.means.len();
    // The last value is the bias, which a score does not need.
    let weights = minimize(&loss, DVector::zeros(values + 1));
    Matrix::from_rows(values, [&standardizer.means[..], &standardizer.scales[..], &weights.as_slice()[..values]])
}

/// The loss function.
struct Loss {
    terms: Vec<LossTerm>,
    penalty: f32,
}

/// The term of one group of pictures.
struct LossTerm {
    /// `[pictures, values]`
    pictures: DMatrix<f32>,
    /// 1 where a high sum is wrong, -1 where a low one is.
    sign: f32,
    /// The weight of each picture.
    share: f32,
}

impl Loss {
    /// The loss and its gradient at `w`; the last value of `w` is the bias.
    fn at(&self, w: &DVector<f32>) -> (f64, DVector<f32>) {
        let values = w.len() - 1;
        let weights = w.rows(0, values).into_owned();
        let mut gradient = DVector::zeros(values + 1);
        gradient.rows_mut(0, values).copy_from(&(&weights * (2.0 * self.penalty)));
        let mut loss = f64::from(self.penalty * weights.norm_squared());
        for LossTerm { pictures, sign, share } in &self.terms {
            let sums = pictures * &weights;
            let mut residual = DVector::zeros(sums.len());
            for (residual, sum) in residual.iter_mut().zip(sums.iter()) {
                let against = f64::from(sign * (sum + w[values]));
                // ln(1 + e^x) without overflow.
                loss += f64::from(*share) * (against.max(0.0) + libm::log1p(libm::exp(-against.abs())));
                *residual = sign * share / (1.0 + libm::exp(-against)) as f32;
            }
            let mut part = gradient.rows_mut(0, values);
            part += pictures.tr_mul(&residual);
            gradient[values] += residual.sum();
        }
        (loss, gradient)
    }
}

/// The minimum of the loss, from `w` on.
fn minimize(loss: &Loss, mut w: DVector<f32>) -> DVector<f32> {
    let (mut value, mut gradient) = loss.at(&w);
    let mut history: Vec<(DVector<f32>, DVector<f32>, f32)> = Vec::new();
    for _ in 0..MAX_ITERATIONS {
        let direction = -two_loop_recursion(&history, gradient.clone());
        let descent = f64::from(direction.dot(&gradient));
        if descent > -1e-9 {
            break;
        }
        let mut length = if history.is_empty() { 1.0 / gradient.norm().max(1.0) } else { 1.0 };
        let (next, next_value, next_slope) = loop {
            let next = &w + &direction * length;
            let (next_value, next_slope) = loss.at(&next);
            if next_value <= value + 1e-4 * f64::from(length) * descent || length < 1e-6 {
                break (next, next_value, next_slope);
            }
            length *= 0.5;
        };
        let (step, change) = (&next - &w, &next_slope - &gradient);
        let curvature = step.dot(&change);
        if curvature > 1e-12 {
            if history.len() == HISTORY {
                history.remove(0);
            }
            history.push((step, change, 1.0 / curvature));
        }
        (w, gradient) = (next, next_slope);
        let gained = value - next_value;
        value = next_value;
        if gained < 1e-7 {
            break;
        }
    }
    w
}

/// The gradient times an estimate of the inverse Hessian (Nocedal 1980).
fn two_loop_recursion(history: &[(DVector<f32>, DVector<f32>, f32)], mut q: DVector<f32>) -> DVector<f32> {
    let mut shares = vec![0.0; history.len()];
    for (share, (step, change, rho)) in shares.iter_mut().zip(history).rev() {
        *share = rho * step.dot(&q);
        q.axpy(-*share, change, 1.0);
    }
    if let Some((step, change, _)) = history.last() {
        q *= step.dot(change) / change.norm_squared();
    }
    for (share, (step, change, rho)) in shares.iter().zip(history) {
        let back = rho * change.dot(&q);
        q.axpy(share - back, step, 1.0);
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::SplitMix64;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    fn pictures(shift: u16, seed: u64) -> Vec<Vec<u16>> {
        let mut random = SplitMix64::seed_from_u64(seed);
        let mut value = |i: usize| 10_000 + (random.next_u64() % 2000) as u16 + if i == 5 { shift } else { 0 };
        (0..100).map(|_| (0..20).map(&mut value).collect()).collect()
    }

    #[test]
    fn the_informative_feature_gets_the_weight() {
        let (normal, defect) = (pictures(0, 1), pictures(1500, 2));
        let normal: Vec<&[u16]> = normal.iter().map(|row| &row[..]).collect();
        let defect: Vec<&[u16]> = defect.iter().map(|row| &row[..]).collect();
        let matrix = logistic(&normal, &[WeightedRows { weight: 1.0, rows: defect }], 0.15);
        let weights = matrix.rows().nth(2).unwrap();
        let others = weights.iter().enumerate().filter(|(i, _)| *i != 5).map(|(_, w)| w.abs()).fold(0.0, f32::max);
        assert!(weights[5] > 3.0 * others, "{weights:?}");
    }

    #[test]
    fn the_gradient_is_zero_at_the_minimum() {
        let (normal, defect) = (pictures(0, 3), pictures(400, 4));
        let rows = |pictures: &[Vec<u16>]| -> DMatrix<f32> {
            let slices: Vec<&[u16]> = pictures.iter().map(|row| &row[..]).collect();
            let all: Vec<&[u16]> = normal.iter().map(|row| &row[..]).collect();
            Standardizer::fit(&all, |_| true).apply(&slices)
        };
        let part = |sign, pictures: &[Vec<u16>]| LossTerm { pictures: rows(pictures), sign, share: 0.005 };
        let loss = Loss { terms: vec![part(1.0, &normal), part(-1.0, &defect)], penalty: 0.15 };
        let w = minimize(&loss, DVector::zeros(21));
        assert!(loss.at(&w).1.norm() < 1e-3, "{}", loss.at(&w).1.norm());
        // The loss is higher all around.
        for i in 0..21 {
            for by in [-0.01, 0.01] {
                let mut other = w.clone();
                other[i] += by;
                assert!(loss.at(&other).0 > loss.at(&w).0, "{i}");
            }
        }
    }
}
