//! Mean and standard deviation of each pooled feature over the frames first taught.

/// Mean and 1 / standard deviation of pooled features.
#[derive(Debug, Clone, PartialEq)]
pub struct PooledScale {
    /// Means.
    pub means: Vec<f32>,
    /// 1 / standard deviation, over 0.
    pub scales: Vec<f32>,
}

impl PooledScale {
    /// From the means, then the scales, as a bundle stores them.
    ///
    /// # Errors
    /// One line, where a scale is not over 0.
    pub fn from_values(values: &[f32]) -> Result<PooledScale, String> {
        let (means, scales) = values.split_at(values.len() / 2);
        if !means.iter().all(|mean| mean.is_finite()) || !scales.iter().all(|scale| scale.is_normal() && *scale > 0.0) {
            return Err("expected finite means and scales over 0".into());
        }
        Ok(PooledScale { means: means.to_vec(), scales: scales.to_vec() })
    }

    /// The means, then the scales.
    pub fn values(&self) -> Vec<f32> {
        [&self.means[..], &self.scales].concat()
    }

    /// Number of features.
    pub fn count(&self) -> usize {
        self.means.len()
    }

    /// A frame's features in standard deviations from the mean.
    pub fn standardize(&self, pooled: &[u16]) -> Vec<f64> {
        let parameters = self.means.iter().zip(&self.scales);
        let value = |(&value, (mean, scale)): (&u16, (&f32, &f32))| f64::from((f32::from(value) - mean) * scale);
        pooled.iter().zip(parameters).map(value).collect()
    }
}
