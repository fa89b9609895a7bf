//! Weights of pooled features that tell normal pictures from defects: logistic regression with a penalty on the weights,
//! `½ mean ln(1 + e^s) over normal + ½ mean ln(1 + e^-s) over defects + p |w|²`, by L-BFGS (Liu and Nocedal 1989). Defects
//! of several sorts share their half. No chance in it: the same pictures give the same weights.

use super::lessons::Part;
use super::pooled::Standard;
use crate::task::anomaly::pooled::Statistic;
use crate::task::anomaly::scorer::{CLIP, Matrix};
use nalgebra::{DMatrix, DVector};

const STEPS: usize = 60;
/// Steps that L-BFGS remembers.
const MEMORY: usize = 10;

/// Rows mean, 1 / spread, weight for [`Linear`](crate::task::anomaly::scorer::Linear), from pooled values of normal pictures
/// and of defects; `penalty` is times |w|².
pub fn logistic(normal: &[&[u16]], defects: &[Part<&[u16]>], penalty: f32) -> Matrix {
    let used = [Statistic::Mean, Statistic::Highest, Statistic::Spread];
    let standard = Standard::of(normal, |statistic| used.contains(&statistic));
    let rows = |sign: f32, share: f64, pictures: &[&[u16]]| Rows {
        pictures: standard.apply(pictures).map(|value| value.clamp(-CLIP, CLIP)),
        sign,
        share: (share / pictures.len().max(1) as f64) as f32,
    };
    let mut loss = Loss { rows: vec![rows(1.0, 0.5, normal)], penalty };
    loss.rows.extend(defects.iter().map(|part| rows(-1.0, 0.5 * part.weight, &part.rows)));
    let values = standard.means.len();
    // The last is the bias; a score does not need it.
    let weights = minimum(&loss, DVector::zeros(values + 1));
    Matrix::from_rows(values, [&standard.means[..], &standard.scales[..], &weights.as_slice()[..values]])
}

struct Loss {
    rows: Vec<Rows>,
    penalty: f32,
}

struct Rows {
    /// `[pictures, values]`
    pictures: DMatrix<f32>,
    /// 1 where a high sum is wrong, -1 where a low one is.
    sign: f32,
    /// What each picture counts.
    share: f32,
}

impl Loss {
    /// The loss and its slope at `w`, of which the last value is the bias.
    fn at(&self, w: &DVector<f32>) -> (f64, DVector<f32>) {
        let values = w.len() - 1;
        let weights = w.rows(0, values).into_owned();
        let mut slope = DVector::zeros(values + 1);
        slope.rows_mut(0, values).copy_from(&(&weights * (2.0 * self.penalty)));
        let mut loss = f64::from(self.penalty * weights.norm_squared());
        for Rows { pictures, sign, share } in &self.rows {
            let sums = pictures * &weights;
            let mut pull = DVector::zeros(sums.len());
            for (pull, sum) in pull.iter_mut().zip(sums.iter()) {
                let against = f64::from(sign * (sum + w[values]));
                // ln(1 + e^x) without overflow.
                loss += f64::from(*share) * (against.max(0.0) + libm::log1p(libm::exp(-against.abs())));
                *pull = sign * share / (1.0 + libm::exp(-against)) as f32;
            }
            let mut part = slope.rows_mut(0, values);
            part += pictures.tr_mul(&pull);
            slope[values] += pull.sum();
        }
        (loss, slope)
    }
}

/// Where the loss is least, from `w` on.
fn minimum(loss: &Loss, mut w: DVector<f32>) -> DVector<f32> {
    let (mut value, mut slope) = loss.at(&w);
    let mut remembered: Vec<(DVector<f32>, DVector<f32>, f32)> = Vec::new();
    for _ in 0..STEPS {
        let direction = -two_loops(&remembered, slope.clone());
        let descent = f64::from(direction.dot(&slope));
        if descent > -1e-9 {
            break;
        }
        let mut length = if remembered.is_empty() { 1.0 / slope.norm().max(1.0) } else { 1.0 };
        let (next, next_value, next_slope) = loop {
            let next = &w + &direction * length;
            let (next_value, next_slope) = loss.at(&next);
            if next_value <= value + 1e-4 * f64::from(length) * descent || length < 1e-6 {
                break (next, next_value, next_slope);
            }
            length *= 0.5;
        };
        let (step, change) = (&next - &w, &next_slope - &slope);
        let curvature = step.dot(&change);
        if curvature > 1e-12 {
            if remembered.len() == MEMORY {
                remembered.remove(0);
            }
            remembered.push((step, change, 1.0 / curvature));
        }
        (w, slope) = (next, next_slope);
        let gained = value - next_value;
        value = next_value;
        if gained < 1e-7 {
            break;
        }
    }
    w
}

/// The slope times an estimate of the inverse of the second derivatives (Nocedal 1980).
fn two_loops(remembered: &[(DVector<f32>, DVector<f32>, f32)], mut q: DVector<f32>) -> DVector<f32> {
    let mut shares = vec![0.0; remembered.len()];
    for (share, (step, change, rho)) in shares.iter_mut().zip(remembered).rev() {
        *share = rho * step.dot(&q);
        q.axpy(-*share, change, 1.0);
    }
    if let Some((step, change, _)) = remembered.last() {
        q *= step.dot(change) / change.norm_squared();
    }
    for (share, (step, change, rho)) in shares.iter().zip(remembered) {
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
    fn the_value_that_tells_gets_the_weight() {
        let (normal, defect) = (pictures(0, 1), pictures(1500, 2));
        let normal: Vec<&[u16]> = normal.iter().map(|row| &row[..]).collect();
        let defect: Vec<&[u16]> = defect.iter().map(|row| &row[..]).collect();
        let matrix = logistic(&normal, &[Part { weight: 1.0, rows: defect }], 0.15);
        let weights = matrix.rows().nth(2).unwrap();
        let others = weights.iter().enumerate().filter(|(i, _)| *i != 5).map(|(_, w)| w.abs()).fold(0.0, f32::max);
        assert!(weights[5] > 3.0 * others, "{weights:?}");
    }

    #[test]
    fn the_minimum_has_no_slope() {
        let (normal, defect) = (pictures(0, 3), pictures(400, 4));
        let rows = |pictures: &[Vec<u16>]| -> DMatrix<f32> {
            let slices: Vec<&[u16]> = pictures.iter().map(|row| &row[..]).collect();
            let all: Vec<&[u16]> = normal.iter().map(|row| &row[..]).collect();
            Standard::of(&all, |_| true).apply(&slices)
        };
        let part = |sign, pictures: &[Vec<u16>]| Rows { pictures: rows(pictures), sign, share: 0.005 };
        let loss = Loss { rows: vec![part(1.0, &normal), part(-1.0, &defect)], penalty: 0.15 };
        let w = minimum(&loss, DVector::zeros(21));
        assert!(loss.at(&w).1.norm() < 1e-3, "{}", loss.at(&w).1.norm());
        // Nowhere near is it less.
        for i in 0..21 {
            for by in [-0.01, 0.01] {
                let mut other = w.clone();
                other[i] += by;
                assert!(loss.at(&other).0 > loss.at(&w).0, "{i}");
            }
        }
    }
}
