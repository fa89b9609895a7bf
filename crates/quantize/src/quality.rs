//! How near two arrays are.

/// Signal-to-noise ratio of quantization over all samples that were added: `10 log10 (Σ a² / Σ (a − b)²)` in decibels.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sqnr {
    signal: f64,
    noise: f64,
    largest: f64,
    dot: f64,
    other: f64,
}

impl Sqnr {
    /// Adds the reference `a` and what stands for it, `b`.
    pub fn add(&mut self, a: &[f32], b: &[f32]) {
        for (&a, &b) in a.iter().zip(b) {
            let (a, b) = (f64::from(a), f64::from(b));
            self.signal += a * a;
            self.noise += (a - b) * (a - b);
            self.other += b * b;
            self.dot += a * b;
            self.largest = self.largest.max((a - b).abs());
        }
    }

    /// In decibels; infinite where both are the same.
    pub fn db(&self) -> f64 {
        if self.noise == 0.0 { f64::INFINITY } else { 10.0 * libm::log10(self.signal / self.noise) }
    }

    /// Noise as a part of the signal: 0 where both are the same, 1 where there is no signal.
    pub fn relative_noise(&self) -> f64 {
        match (self.noise, self.signal) {
            (0.0, _) => 0.0,
            (_, 0.0) => 1.0,
            (noise, signal) => noise / signal,
        }
    }

    /// The largest difference.
    pub fn largest_difference(&self) -> f64 {
        self.largest
    }

    /// The cosine of the angle between both.
    pub fn cosine(&self) -> f64 {
        let length = (self.signal * self.other).sqrt();
        if length == 0.0 { 1.0 } else { self.dot / length }
    }
}
