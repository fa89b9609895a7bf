//! A transposed convolution as ordinary ones: every phase of the stride is a convolution of its own, which writes every
//! `stride`-th output.

use crate::graph::Conv;

/// One phase along one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// First output.
    pub start: usize,
    /// Number of outputs, `stride` apart.
    pub count: usize,
    /// Input that the first tap of the first output reads; negative in the halo.
    pub origin: isize,
    /// Kernel positions in the order of the inputs that they are multiplied with.
    pub taps: Vec<usize>,
}

impl Phase {
    /// Inputs read before and after the picture of `size`.
    pub fn reach(&self, size: usize) -> (usize, usize) {
        if self.taps.is_empty() || self.count == 0 {
            return (0, 0);
        }
        let last = self.origin + (self.count + self.taps.len()) as isize - 2;
        ((-self.origin).max(0) as usize, (last - size as isize + 1).max(0) as usize)
    }
}

/// Output `o` gets input `i` through kernel position `k` where `o + pad = i * stride + k`. So outputs of one phase
/// `r = (o + pad) mod stride` use the kernel positions `r, r + stride, …`, and the inputs run backwards.
pub fn phases(conv: &Conv, axis: usize, out: usize) -> Vec<Phase> {
    let (stride, pad, kernel) = (conv.stride[axis], conv.pads[axis], conv.kernel[axis]);
    (0..stride)
        .filter_map(|phase| {
            let start = (phase + stride - pad % stride) % stride;
            if start >= out {
                return None;
            }
            let count = (out - start).div_ceil(stride);
            let mut taps: Vec<usize> = (phase..kernel).step_by(stride).collect();
            taps.reverse();
            let quotient = ((start + pad) / stride) as isize;
            let origin = quotient - taps.len() as isize + 1;
            Some(Phase { start, count, origin, taps })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Finish, Weights, ZeroPoint};

    /// Every output and every (input, kernel position) that the definition gives it, against those of the phases.
    #[test]
    fn phases_cover_the_definition() {
        for stride in 1..=4 {
            for kernel in 1..=5 {
                for pad in 0..kernel.min(3) {
                    let size: usize = 5;
                    let full = (size - 1) * stride + kernel;
                    let Some(out) = full.checked_sub(2 * pad).filter(|&out| out > 0) else { continue };
                    let conv = Conv {
                        weights: Weights { first: [].into(), rest: Vec::new() },
                        outputs: 1,
                        inputs: 1,
                        groups: 1,
                        kernel: [kernel; 2],
                        stride: [stride; 2],
                        dilation: [1; 2],
                        pads: [pad; 4],
                        zero_point: ZeroPoint::Known(0),
                        bias: vec![0],
                        finish: Finish::Accumulators,
                    };
                    let mut found = vec![Vec::new(); out];
                    for phase in phases(&conv, 0, out) {
                        let (before, after) = phase.reach(size);
                        for i in 0..phase.count {
                            for (t, &k) in phase.taps.iter().enumerate() {
                                let input = phase.origin + (i + t) as isize;
                                assert!(input >= -(before as isize) && input < (size + after) as isize);
                                if (0..size as isize).contains(&input) {
                                    found[phase.start + i * stride].push((input as usize, k));
                                }
                            }
                        }
                    }
                    for (o, found) in found.iter_mut().enumerate() {
                        found.sort_unstable();
                        let pairs = (0..size).flat_map(|i| (0..kernel).map(move |k| (i, k)));
                        let defined: Vec<_> = pairs.filter(|(i, k)| o + pad == i * stride + k).collect();
                        assert_eq!(*found, defined, "stride {stride} kernel {kernel} pad {pad} output {o}");
                    }
                }
            }
        }
    }
}
