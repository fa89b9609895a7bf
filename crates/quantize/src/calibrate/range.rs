//! The range of values that bytes stand for.

use super::Histogram;

/// `real = scale * (byte - zero_point)`, bytes u8.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Quant {
    /// The step.
    pub scale: f32,
    /// The byte of 0.
    pub zero_point: u8,
}

impl Quant {
    /// Bytes over `low..high` and 0, which must be exact: padding and ReLU need it.
    pub fn over(low: f32, high: f32) -> Quant {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = ((f64::from(high) - f64::from(low)) / 255.0) as f32;
        if !(scale >= f32::MIN_POSITIVE && scale.is_finite()) {
            return Quant { scale: 1.0, zero_point: 0 };
        }
        Quant { scale, zero_point: (-low / scale).round_ties_even().clamp(0.0, 255.0) as u8 }
    }

    /// The same to both sides of 0.
    pub fn symmetric(low: f32, high: f32) -> Quant {
        let most = low.abs().max(high.abs());
        let scale = most / 127.0;
        if !(scale >= f32::MIN_POSITIVE && scale.is_finite()) {
            return Quant { scale: 1.0, zero_point: 128 };
        }
        Quant { scale, zero_point: 128 }
    }

    /// The byte of a value, as QuantizeLinear has it.
    pub fn byte(self, value: f32) -> u8 {
        ((value / self.scale).round_ties_even() + f32::from(self.zero_point)).clamp(0.0, 255.0) as u8
    }

    /// Whether no byte stands for what lies below `low` or above `high`: to clip to these before changes nothing then. Half a step
    /// beyond counts as within, as it is rounded to the end.
    pub fn ends_at(self, (low, high): (f32, f32)) -> bool {
        self.byte(low) == 0 && self.byte(high) == 255
    }

    /// The values of all bytes.
    pub fn levels(self) -> impl Iterator<Item = f32> {
        (0..=255u8).map(move |byte| (f32::from(byte) - f32::from(self.zero_point)) * self.scale)
    }

    /// What is left of a value.
    pub fn rounded(self, value: f32) -> f32 {
        (f32::from(self.byte(value)) - f32::from(self.zero_point)) * self.scale
    }
}

/// How a range is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// By tensor the one whose error at the output of what follows is least.
    Auto,
    /// From the least to the greatest value.
    MinMax,
    /// All but one value in a hundred thousand on each side.
    Percentile,
    /// The least squared error.
    Mse,
    /// The least Kullback-Leibler divergence.
    Entropy,
}

/// Tails that are tried by `auto`; the first is that of [`Method::Percentile`].
const TAILS: [f64; 4] = [1e-5, 1e-4, 1e-3, 3e-3];

/// The ranges that a method may choose from for a tensor, the widest first; none where it holds nothing.
pub fn candidates(histogram: &Histogram, method: Method) -> Vec<(f32, f32)> {
    let Some(bounds) = histogram.bounds else { return Vec::new() };
    let mut ranges = match method {
        Method::MinMax => vec![bounds],
        Method::Percentile => vec![histogram.percentiles(TAILS[0]).unwrap_or(bounds)],
        Method::Mse => vec![least_squares(histogram, bounds)],
        Method::Entropy => vec![entropy(histogram, bounds)],
        Method::Auto => {
            let mut all = vec![bounds, least_squares(histogram, bounds), entropy(histogram, bounds)];
            all.extend(TAILS.iter().filter_map(|&tail| histogram.percentiles(tail)));
            all
        }
    };
    ranges.dedup();
    ranges
}

/// Both ends are drawn in, one after the other, while that lowers the squared error.
fn least_squares(histogram: &Histogram, bounds: (f32, f32)) -> (f32, f32) {
    let counts: Vec<(f64, f64)> = histogram.counts().collect();
    let error = |low: f32, high: f32| squared_error(&counts, Quant::over(low, high));
    let mut best = (error(bounds.0, bounds.1), bounds);
    for _ in 0..2 {
        let (low, high) = best.1;
        for step in 1..=30 {
            let ratio = 1.0 - step as f32 * 0.03;
            for (low, high) in [(low, high * ratio), (low * ratio, high)] {
                let found = error(low, high);
                if found < best.0 {
                    best = (found, (low, high));
                }
            }
        }
    }
    best.1
}

/// Σ count · (value − rounded)², with the error of a step spread evenly in bins that are narrower than it.
pub fn squared_error(counts: &[(f64, f64)], quant: Quant) -> f64 {
    let (scale, zero) = (f64::from(quant.scale), f64::from(quant.zero_point));
    let (low, high) = (-zero * scale, (255.0 - zero) * scale);
    let inverse = 1.0 / scale;
    counts
        .iter()
        .map(|&(value, count)| {
            let lost = if value < low {
                low - value
            } else if value > high {
                value - high
            } else {
                value - (value * inverse).round_ties_even() * scale
            };
            count * lost * lost
        })
        .sum()
}

/// How far both ends are drawn in where what follows is a function that may be flat at one of them.
const DRAWN_LOW: [f32; 14] = [1.0, 0.8, 0.64, 0.5, 0.4, 0.32, 0.25, 0.2, 0.16, 0.125, 0.1, 0.08, 0.05, 0.03];
const DRAWN_HIGH: [f32; 7] = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4];

/// Ranges within `bounds`, all pairs of drawn ends; either may be the one that is drawn in far.
pub fn drawn(bounds: (f32, f32)) -> Vec<(f32, f32)> {
    let mut ranges: Vec<(f32, f32)> = Vec::new();
    for far in DRAWN_LOW {
        for near in DRAWN_HIGH {
            for range in [(bounds.0 * far, bounds.1 * near), (bounds.0 * near, bounds.1 * far)] {
                if !ranges.contains(&range) {
                    ranges.push(range);
                }
            }
        }
    }
    ranges
}

/// The reach whose 256 levels keep most of the distribution (Migacz 2017, "8-bit inference with TensorRT"), over magnitudes.
fn entropy(histogram: &Histogram, (low, high): (f32, f32)) -> (f32, f32) {
    const BINS: usize = 2048;
    const LEVELS: usize = 128;
    let most = f64::from(low.abs().max(high.abs()));
    if most == 0.0 {
        return (low, high);
    }
    let mut magnitudes = vec![0f64; BINS];
    for (value, count) in histogram.counts() {
        magnitudes[((value.abs() / most * BINS as f64) as usize).min(BINS - 1)] += count;
    }
    // Exact zeros (what ReLU cuts off) say nothing about where to clip.
    magnitudes[0] = magnitudes[1];
    let mut best = (f64::INFINITY, BINS);
    for end in (LEVELS..=BINS).step_by(16) {
        let outside: f64 = magnitudes[end..].iter().sum();
        let mut reference = magnitudes[..end].to_vec();
        reference[end - 1] += outside;
        let divergence = divergence(&reference, &magnitudes[..end], LEVELS);
        if divergence < best.0 {
            best = (divergence, end);
        }
    }
    let reach = (most * best.1 as f64 / BINS as f64) as f32;
    (low.max(-reach), high.min(reach))
}

/// Of `reference` from `kept` in so many levels, each spread evenly over what it holds.
fn divergence(reference: &[f64], kept: &[f64], levels: usize) -> f64 {
    let n = reference.len();
    let total: f64 = reference.iter().sum();
    let kept_total: f64 = kept.iter().sum();
    if total <= 0.0 || kept_total <= 0.0 {
        return f64::INFINITY;
    }
    let mut sum = 0.0;
    for level in 0..levels {
        let part = level * n / levels..(level + 1) * n / levels;
        let filled = kept[part.clone()].iter().filter(|&&count| count > 0.0).count();
        let mean = kept[part.clone()].iter().sum::<f64>() / filled.max(1) as f64 / kept_total;
        for at in part {
            let p = reference[at] / total;
            if p > 0.0 {
                // What is lost altogether counts as one in a million.
                let q = if kept[at] > 0.0 { mean } else { 1e-6 };
                sum += p * libm::log(p / q);
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = f32>) -> Histogram {
        let mut histogram = Histogram::default();
        values.for_each(|value| histogram.add(&[value]));
        histogram
    }

    #[test]
    fn zero_is_exact_and_the_ends_are_within_half_a_step() {
        for (low, high) in [(-1.0, 3.0), (0.0, 6.0), (-0.3, 0.0), (2.0, 5.0)] {
            let quant = Quant::over(low, high);
            assert_eq!(quant.rounded(0.0), 0.0);
            for end in [low, high] {
                assert!((quant.rounded(end) - end).abs() <= quant.scale * 0.5001, "{low} {high}");
            }
        }
        assert_eq!(Quant::over(0.0, 0.0).scale, 1.0);
    }

    #[test]
    fn bytes_end_at_a_clip_only_where_none_lies_beyond_it() {
        let relu = (0.0, f32::INFINITY);
        assert!(Quant::over(0.0, 3.0).ends_at(relu) && Quant::over(0.0, 0.0).ends_at(relu));
        assert!(!Quant::symmetric(0.0, 3.0).ends_at(relu) && !Quant::over(-0.1, 3.0).ends_at(relu));
        // Drawn in further than the clip, the bytes cut off more.
        assert!(Quant::over(0.0, 6.0).ends_at((0.0, 6.0)) && Quant::over(0.0, 4.0).ends_at((0.0, 6.0)));
        assert!(Quant::over(-1.0, 3.0).ends_at((-1.0, 3.0)) && !Quant::over(-1.0, 2.0).ends_at((-1.0, 1.0)));
        // 0 always has a byte, whether the clip leaves it or not.
        assert!(!Quant::over(1.0, 6.0).ends_at((1.0, 6.0)) && !Quant::over(-6.0, -1.0).ends_at((-6.0, -1.0)));
        // What is 0 everywhere has a step of 1, and 255 of them.
        assert!(!Quant::over(0.0, 0.0).ends_at((0.0, 6.0)));
    }

    #[test]
    fn growing_values_are_all_counted() {
        let histogram = of((0..2000).map(|i| (i as f32 - 1000.0) * 0.01 * (i % 7) as f32));
        assert_eq!(histogram.counts().map(|(_, count)| count).sum::<f64>(), 2000.0);
    }

    #[test]
    fn an_outlier_is_clipped_where_that_is_asked_for() {
        let histogram = of((0..20_000).map(|i| (i % 1000) as f32 / 1000.0).chain([400.0]));
        let high = |method| candidates(&histogram, method)[0].1;
        assert_eq!(high(Method::MinMax), 400.0);
        assert!(high(Method::Entropy) < 100.0, "{}", high(Method::Entropy));
        assert!(candidates(&histogram, Method::Auto).iter().any(|range| range.1 < 1.5));
    }

    #[test]
    fn least_squares_never_loses_more_than_the_whole_range() {
        let tail = (0..40_000).map(|i| (i % 997) as f32 / 997.0).chain((0..40).map(|i| 3.0 + i as f32 * 0.1));
        let histogram = of(tail);
        let counts: Vec<(f64, f64)> = histogram.counts().collect();
        let error = |method| {
            let (low, high) = candidates(&histogram, method)[0];
            squared_error(&counts, Quant::over(low, high))
        };
        assert!(error(Method::Mse) <= error(Method::MinMax));
    }
}
