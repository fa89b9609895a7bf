//! A scale and a shift for each channel, which a convolution may take in.

use crate::graph::Conv;
use std::sync::Arc;

/// `y[c] = x[c] * scale[c] + shift[c]` over axis 1, both rounded.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelAffine {
    pub scale: Arc<[f32]>,
    pub shift: Arc<[f32]>,
}

/// The largest factor from an accumulator to an output step at which a shift may be rounded to whole accumulators: it moves by
/// 1/128 of a step at most.
const COARSEST: f32 = 1.0 / 64.0;

impl ChannelAffine {
    pub fn apply(&self, x: f32, channel: usize) -> f32 {
        x * self.scale[channel] + self.shift[channel]
    }

    /// A convolution with the scales of its accumulators, taken together with this. `step`: the output's scale, beside which
    /// the rounding of the shift must be small. `None` where it is not, or where a channel is scaled by nothing.
    pub fn in_convolution(&self, conv: &Conv, scale: &[f32], step: f32) -> Option<(Conv, Vec<f32>)> {
        let (mut conv, mut scales) = (conv.clone(), Vec::with_capacity(scale.len()));
        for (c, (&scale, bias)) in scale.iter().zip(&mut conv.bias).enumerate() {
            let scale = scale * self.scale.get(c)?;
            let shift = (f64::from(*self.shift.get(c)?) / f64::from(scale)).round_ties_even() + f64::from(*bias);
            if scale == 0.0 || !((scale / step).abs() <= COARSEST && shift.abs() < f64::from(1 << 30)) {
                return None;
            }
            *bias = shift as i32;
            scales.push(scale);
        }
        Some((conv, scales))
    }
}
