//! Random numbers of the distributions that defects are drawn from.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;
use std::f64::consts::TAU;

/// Draws from a generator that the caller owns.
pub(super) struct Random<'a> {
    bits: &'a mut Xoshiro256PlusPlus,
    /// The second of a pair of normal deviates.
    spare: Option<f64>,
}

impl Random<'_> {
    pub fn new(bits: &mut Xoshiro256PlusPlus) -> Random<'_> {
        Random { bits, spare: None }
    }

    /// Uniform in 0..1, 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform between two numbers.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Log-uniform between two positive numbers: every octave is equally likely.
    pub fn log_uniform(&mut self, low: f64, high: f64) -> f64 {
        let (low, high) = (libm::log(low), libm::log(high));
        libm::exp(self.between(low, high))
    }

    /// A whole number below `count`, which is 0 for 0.
    pub fn below(&mut self, count: usize) -> usize {
        (self.unit() * count as f64) as usize
    }

    /// True with a probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A normal deviate of mean 0 and variance 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * libm::log(1.0 - self.unit())).sqrt();
        let (sine, cosine) = libm::sincos(TAU * self.unit());
        self.spare = Some(radius * sine);
        radius * cosine
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::rand_core::SeedableRng;

    #[test]
    fn distributions_have_their_moments() {
        let mut bits = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut random = Random::new(&mut bits);
        let mut moments = |draw: fn(&mut Random) -> f64| {
            let values: Vec<f64> = (0..20_000).map(|_| draw(&mut random)).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            (mean, values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64)
        };
        // Five standard errors of 20 000 draws.
        let near = |(mean, variance): (f64, f64), wanted: (f64, f64)| {
            (mean - wanted.0).abs() < 0.036 * wanted.1.sqrt() && (variance / wanted.1 - 1.0).abs() < 0.05
        };
        assert!(near(moments(|r| r.normal()), (0.0, 1.0)));
        assert!(near(moments(|r| r.between(2.0, 4.0)), (3.0, 1.0 / 3.0)));
        assert!(near(moments(|r| r.below(3) as f64), (1.0, 2.0 / 3.0)));
        // Of a log-uniform number between 1 and e: e - 1 and (e² - 1)/2 - (e - 1)².
        let e = std::f64::consts::E;
        assert!(near(
            moments(|r| r.log_uniform(1.0, std::f64::consts::E)),
            (e - 1.0, (e * e - 1.0) / 2.0 - (e - 1.0) * (e - 1.0))
        ));
    }
}
