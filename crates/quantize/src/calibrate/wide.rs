//! The range of values that 16 bits stand for.

/// `real = scale * (number - zero_point)`, numbers u16.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct WideQuant {
    /// The step.
    pub scale: f32,
    /// The number of 0.
    pub zero_point: u16,
}

const MOST: f64 = 65535.0;

impl WideQuant {
    /// Numbers over `low..high` and 0, which must be exact.
    pub fn over(low: f32, high: f32) -> WideQuant {
        let (low, high) = (f64::from(low.min(0.0)), f64::from(high.max(0.0)));
        let scale = ((high - low) / MOST) as f32;
        if !(scale >= f32::MIN_POSITIVE && scale.is_finite()) {
            return WideQuant { scale: 1.0, zero_point: 0 };
        }
        WideQuant { scale, zero_point: (-low / f64::from(scale)).round_ties_even().clamp(0.0, MOST) as u16 }
    }

    /// The same to both sides of 0.
    pub fn symmetric(low: f32, high: f32) -> WideQuant {
        let scale = low.abs().max(high.abs()) / 32767.0;
        let known = scale >= f32::MIN_POSITIVE && scale.is_finite();
        WideQuant { scale: if known { scale } else { 1.0 }, zero_point: 1 << 15 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_reached_and_zero_is_exact() {
        for (low, high) in [(-1.0f32, 3.0f32), (0.0, 6.0), (-0.3, 0.0), (2.0, 5.0)] {
            for quant in [WideQuant::over(low, high), WideQuant::symmetric(low, high)] {
                let real = |number: f64| (number - f64::from(quant.zero_point)) * f64::from(quant.scale);
                let half = f64::from(quant.scale) * 0.51;
                assert!(
                    real(0.0) <= f64::from(low.min(0.0)) + half && real(MOST) >= f64::from(high) - half,
                    "{low} {high}"
                );
            }
        }
        assert_eq!(WideQuant::over(0.0, 0.0), WideQuant { scale: 1.0, zero_point: 0 });
        assert_eq!(WideQuant::symmetric(0.0, f32::INFINITY).scale, 1.0);
    }
}
