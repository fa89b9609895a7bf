//! From a network's value to score and severity.

use crate::task::anomaly::{Calibration, SeverityScale};

/// What a value means.
pub enum ValueScale {
    /// The score is the share of normal frames with a lower value.
    Calibrated(Calibration, SeverityScale, f64),
    /// The value is the score: nothing is known of normal frames. With the threshold.
    Raw(f64),
}

impl ValueScale {
    /// The scale of a distribution of normal frames, where there is one, for a threshold: a score, or without one a value.
    pub fn new(calibration: Option<Calibration>, threshold: f64) -> ValueScale {
        match calibration {
            Some(calibration) => {
                let severity = SeverityScale::new(&calibration, threshold);
                ValueScale::Calibrated(calibration, severity, threshold)
            }
            None => ValueScale::Raw(threshold),
        }
    }

    /// The score from which on a frame counts as defect.
    pub fn threshold(&self) -> f64 {
        match self {
            ValueScale::Calibrated(.., threshold) | ValueScale::Raw(threshold) => *threshold,
        }
    }

    /// Score and severity of a value: at least the threshold, and 1, where the frame counts as defect.
    pub fn measure(&self, value: f64) -> (f64, f64) {
        match self {
            ValueScale::Calibrated(calibration, severity, _) => {
                let score = calibration.score(value);
                (score, severity.severity(value, score))
            }
            ValueScale::Raw(threshold) => {
                // A threshold that is not over 0 has no scale from 0 to it.
                let severity = if *threshold > 0.0 { value / threshold } else { 1.0 + value - threshold };
                let is_defect = value >= *threshold;
                (value, if is_defect { severity.max(1.0) } else { severity.clamp(0.0, 1.0f64.next_down()) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_normal_frames_the_value_is_the_score() {
        let scale = ValueScale::new(None, 0.5);
        assert_eq!(
            [0.0, 0.25, 0.5, 1.0].map(|value| scale.measure(value)),
            [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (1.0, 2.0)]
        );
        for threshold in [-3.0, 0.0, 1e-3, 7.0] {
            let scale = ValueScale::new(None, threshold);
            for value in [-9.0, -3.0, -1e-9, 0.0, 1e-3, 6.9, 7.0, 1e9] {
                let (score, severity) = scale.measure(value);
                assert_eq!(
                    (score >= threshold, value >= threshold),
                    (severity >= 1.0, severity >= 1.0),
                    "{threshold} {value}"
                );
                assert!(severity >= 0.0);
            }
        }
    }

    #[test]
    fn with_normal_frames_the_score_is_their_share_below() {
        let calibration = Calibration::fit(&(0..=1000).map(f64::from).collect::<Vec<f64>>());
        let scale = ValueScale::new(Some(calibration), 0.99);
        let (score, severity) = scale.measure(500.0);
        assert!((score - 0.5).abs() < 1e-6 && severity < 1e-6);
        assert!(scale.measure(5000.0).1 > 1.0 && scale.threshold() == 0.99);
    }
}
