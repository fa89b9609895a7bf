//! Taps: which source pixels make an output pixel, and with what weight, along one axis.
//!
//! Weights are 14-bit fixed point and those of one output sum to exactly 1.0, so a constant picture stays constant.
//! They are computed in f64 with `+ - * /` only (correctly rounded by IEEE 754), so the tables are the same on every
//! CPU.

/// Fraction bits of a weight.
pub(super) const WEIGHT_BITS: u32 = 14;

/// How pixels are resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filter {
    /// The mean over the exact area that an output pixel covers: for scaling down.
    Area,
    /// Two neighbours weighted by distance between pixel centres, edges replicated: for scaling up.
    Bilinear,
    /// Keys' cubic with a = -0.5 over 4 neighbours, edges mirrored, widened when scaling down so that it does not
    /// alias: `imresize(…, 'bicubic')` of MATLAB, against which super-resolution is measured.
    Bicubic,
}

impl Filter {
    /// The filter for one axis of a picture on its way to a model: [`Filter::Area`] down, [`Filter::Bilinear`] up.
    pub fn for_scale(src: usize, dst: usize) -> Filter {
        if dst > src { Filter::Bilinear } else { Filter::Area }
    }
}

/// For each output along one axis: the first source index and the weights from there on.
#[derive(Debug, Clone)]
pub(super) struct Taps {
    /// Weights per output; the same for all, short ones are filled up with zeros.
    count: usize,
    first: Vec<usize>,
    weights: Vec<i16>,
    halve: bool,
}

impl Taps {
    /// The taps that turn `src` pixels into `dst` pixels; neither may be zero.
    pub fn new(filter: Filter, src: usize, dst: usize) -> Taps {
        let windows: Vec<(usize, Vec<i16>)> =
            (0..dst).map(|i| quantize(&fold(filter, src, &window(filter, src, dst, i)))).collect();
        let count = windows.iter().map(|(_, weights)| weights.len()).max().unwrap_or(0);
        let mut taps = Taps { count, first: Vec::with_capacity(dst), weights: vec![0; count * dst], halve: false };
        for ((start, weights), slot) in windows.iter().zip(taps.weights.chunks_exact_mut(count)) {
            let first = (*start).min(src - count);
            slot[start - first..][..weights.len()].copy_from_slice(weights);
            taps.first.push(first);
        }
        const HALF: i16 = 1 << (WEIGHT_BITS - 1);
        let halve = taps.iter().enumerate().all(|(i, (first, weights))| first == 2 * i && *weights == [HALF; 2]);
        Taps { halve, ..taps }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.first.len()
    }

    /// Taps of each output.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether each output is the mean of two neighbours of its own.
    pub fn halve(&self) -> bool {
        self.halve
    }

    /// Of output `i`: first source index and weights.
    pub fn of(&self, i: usize) -> (usize, &[i16]) {
        (self.first[i], &self.weights[i * self.count..][..self.count])
    }

    /// Of each output in order: first source index and weights.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[i16])> {
        self.first.iter().copied().zip(self.weights.chunks_exact(self.count))
    }
}

/// Source index (may lie outside the picture) and weight of all that goes into output `i`.
fn window(filter: Filter, src: usize, dst: usize, i: usize) -> Vec<(i64, f64)> {
    let scale = src as f64 / dst as f64;
    // Centre of the output pixel, in source pixels counted between centres: a whole number and a rest, so that the
    // weights follow from the rest alone. Enlarged by a whole number, a part of a picture then has the weights that the
    // whole picture has there.
    let whole = ((2 * i + 1) * src / (2 * dst)) as i64;
    let rest = ((2 * i + 1) * src % (2 * dst)) as f64 / (2 * dst) as f64 - 0.5;
    match filter {
        Filter::Area => {
            // In units of 1/dst of a source pixel everything here is a whole number.
            let (from, to) = (i * src, (i + 1) * src);
            let overlap = |j: usize| (((j + 1) * dst).min(to) - (j * dst).max(from)) as f64;
            (from / dst..to.div_ceil(dst)).map(|j| (j as i64, overlap(j))).collect()
        }
        Filter::Bilinear => {
            let left = rest.floor();
            vec![(whole + left as i64, 1.0 - (rest - left)), (whole + left as i64 + 1, rest - left)]
        }
        Filter::Bicubic => {
            let stretch = scale.max(1.0);
            let from = (rest - 2.0 * stretch).floor() as i64;
            let to = (rest + 2.0 * stretch).ceil() as i64;
            (from..=to).map(|j| (whole + j, keys_cubic((j as f64 - rest) / stretch))).collect()
        }
    }
}

/// Keys, "Cubic convolution interpolation for digital image processing" (1981), a = -0.5.
fn keys_cubic(x: f64) -> f64 {
    let x = x.abs();
    if x <= 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

/// Brings indices outside the picture back into it; returns the first index and the weights from there on.
fn fold(filter: Filter, src: usize, window: &[(i64, f64)]) -> (usize, Vec<f64>) {
    let last = src as i64 - 1;
    let inside = |j: i64| match filter {
        Filter::Area | Filter::Bilinear => j.clamp(0, last) as usize,
        Filter::Bicubic => {
            // ... 1 0 | 0 1 2 ... last | last ...: the period is two pictures.
            let j = j.rem_euclid(2 * src as i64);
            j.min(2 * last + 1 - j) as usize
        }
    };
    let first = window.iter().map(|&(j, _)| inside(j)).min().unwrap_or(0);
    let end = window.iter().map(|&(j, _)| inside(j) + 1).max().unwrap_or(1);
    let mut weights = vec![0.0; end - first];
    for &(j, weight) in window {
        weights[inside(j) - first] += weight;
    }
    (first, weights)
}

/// Turns real weights into fixed point that sums to exactly 1.0: each is the step of the rounded running sum. Zeros at
/// both ends are dropped.
fn quantize((first, weights): &(usize, Vec<f64>)) -> (usize, Vec<i16>) {
    let total: f64 = weights.iter().sum();
    let one = f64::from(1 << WEIGHT_BITS);
    let (mut running, mut reached) = (0.0, 0);
    let steps: Vec<i16> = weights
        .iter()
        .map(|weight| {
            running += weight;
            let before = reached;
            reached = (running / total * one).round() as i32;
            (reached - before) as i16
        })
        .collect();
    let start = steps.iter().position(|&w| w != 0).unwrap_or(0);
    let end = steps.iter().rposition(|&w| w != 0).map_or(steps.len(), |last| last + 1);
    (first + start, steps[start..end].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(filter: Filter, src: usize, dst: usize) -> Vec<(usize, Vec<i16>)> {
        Taps::new(filter, src, dst).iter().map(|(first, weights)| (first, weights.to_vec())).collect()
    }

    #[test]
    fn weights_sum_to_one_and_stay_inside() {
        for filter in [Filter::Area, Filter::Bilinear, Filter::Bicubic] {
            for src in [1, 2, 3, 5, 16, 37, 200] {
                for dst in [1, 2, 3, 7, 16, 37, 111, 513] {
                    for (i, (first, weights)) in rows(filter, src, dst).into_iter().enumerate() {
                        let sum: i32 = weights.iter().map(|&w| i32::from(w)).sum();
                        assert_eq!(sum, 1 << WEIGHT_BITS, "{filter:?} {src} to {dst}, output {i}");
                        assert!(first + weights.len() <= src, "{filter:?} {src} to {dst}, output {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn same_size_is_identity() {
        for filter in [Filter::Area, Filter::Bilinear, Filter::Bicubic] {
            for (i, row) in rows(filter, 9, 9).into_iter().enumerate() {
                assert_eq!(row, (i, vec![1 << WEIGHT_BITS]), "{filter:?}");
            }
        }
    }

    #[test]
    fn known_weights() {
        assert_eq!(rows(Filter::Area, 6, 2), [(0, vec![5461, 5462, 5461]), (3, vec![5461, 5462, 5461])]);
        assert_eq!(rows(Filter::Area, 3, 2), [(0, vec![10923, 5461]), (1, vec![5461, 10923])]);
        assert_eq!(
            rows(Filter::Bilinear, 2, 4),
            [(0, vec![16384, 0]), (0, vec![12288, 4096]), (0, vec![4096, 12288]), (0, vec![0, 16384])]
        );
        // MATLAB: imresize((0:3)', 2) begins with 0.0 mirrored: cubic at -1.75 -0.75 0.25 1.25 folded on 0 and 1.
        let bicubic = rows(Filter::Bicubic, 4, 8);
        assert_eq!(bicubic[0], (0, vec![17920, -1152 - 384, 0, 0]));
        assert_eq!(bicubic[3], (0, vec![-1152, 14208, 3712, -384]));
    }

    #[test]
    fn filter_follows_the_direction() {
        assert_eq!(Filter::for_scale(10, 5), Filter::Area);
        assert_eq!(Filter::for_scale(10, 10), Filter::Area);
        assert_eq!(Filter::for_scale(10, 11), Filter::Bilinear);
    }
}
