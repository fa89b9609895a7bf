//! Whether a share of the frames is more than a promised one and chance.

/// The most terms that are added one by one; the counts of a damaged log may be of any size.
const TERMS: u32 = 1_000_000;

/// The natural logarithm of the probability that of `count` trials at least `successes` succeed, where each does so with
/// probability `rate`: the upper tail of the binomial distribution, summed exactly. 0 where `successes` is not above the mean.
pub fn ln_upper_tail(successes: u64, count: u64, rate: f64) -> f64 {
    let (k, n) = (successes as f64, count as f64);
    if successes == 0 || k <= n * rate || rate >= 1.0 {
        return 0.0;
    }
    if successes > count || rate <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let ln_choose = libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0);
    let first = ln_choose + k * rate.ln() + (n - k) * libm::log1p(-rate);
    // Each term in parts of the first. They fall from here on: k is above the mean.
    let (mut term, mut sum, mut at) = (1.0, 1.0, k);
    let ratio = |at: f64| (n - at) / (at + 1.0) * rate / (1.0 - rate);
    for _ in 0..TERMS {
        if at >= n || term <= 1e-17 * sum {
            break;
        }
        term *= ratio(at);
        sum += term;
        at += 1.0;
    }
    // What is left is less than a geometric series.
    let ratio = ratio(at).min(1.0 - 1e-12);
    sum += term * ratio / (1.0 - ratio);
    (first + sum.ln()).min(0.0)
}

/// A probability by its natural logarithm: `0.02`, `3e-12`, also where it is less than a float can hold.
pub fn probability(ln: f64) -> String {
    let log10 = ln / std::f64::consts::LN_10;
    if log10 > -3.0 {
        return format!("{:.3}", ln.exp());
    }
    if log10 < -9999.0 {
        return "below 1e-9999".into();
    }
    let mut exponent = log10.floor();
    let mut digit = libm::pow(10.0, log10 - exponent).round();
    if digit >= 10.0 {
        (digit, exponent) = (1.0, exponent + 1.0);
    }
    format!("{digit}e{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_that_of_the_definition() {
        // By multiplying out, for small counts.
        for (count, rate) in [(1_u64, 0.3_f64), (5, 0.01), (12, 0.5), (30, 0.1)] {
            for successes in 0..=count {
                let choose = |k: u64| (0..k).fold(1.0, |product, i| product * (count - i) as f64 / (i + 1) as f64);
                let term = |k: u64| choose(k) * rate.powi(k as i32) * (1.0 - rate).powi((count - k) as i32);
                let exact: f64 = (successes..=count).map(term).sum();
                let tail = ln_upper_tail(successes, count, rate).exp();
                if successes as f64 > count as f64 * rate {
                    // Six digits: the logarithms of factorials are rounded.
                    assert!((tail / exact - 1.0).abs() < 1e-6, "{successes} of {count}, {rate}: {tail} {exact}");
                } else {
                    assert_eq!(tail, 1.0);
                }
            }
        }
        // 196 of 1000 at one in a hundred, summed in fractions (Python's fractions.Fraction and math.comb).
        assert!((ln_upper_tail(196, 1000, 0.01) + 419.294_109_829).abs() < 1e-6);
        assert_eq!(ln_upper_tail(3, 2, 0.5), f64::NEG_INFINITY);
        assert!(ln_upper_tail(u64::MAX / 10 + 1, u64::MAX, 0.1) > -2.0);
        assert!(ln_upper_tail(u64::MAX / 2, u64::MAX, 0.1) < -1e6);
    }

    #[test]
    fn probabilities_are_written_whatever_their_size() {
        for (ln, text) in [(-1.0, "0.368"), (-20.0, "2e-9"), (-1000.0, "5e-435"), (f64::NEG_INFINITY, "below 1e-9999")]
        {
            assert_eq!(probability(ln), text);
        }
    }
}
