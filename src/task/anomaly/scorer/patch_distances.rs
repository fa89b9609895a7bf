//! What patch-level scorers share: a distance for each cell, and from these the frame's score.

/// Steps in a squared distance of 1.
pub const FRACTION: f32 = 256.0;

/// The distances of the cells of one frame.
pub struct PatchDistances {
    /// The view whose cells are used.
    pub view: usize,
    /// The share of the cells, the most distant ones, whose mean distance is the frame's.
    top: f64,
    /// Squared distances, in 256ths.
    pub distances: Vec<u32>,
    sorted: Vec<u32>,
}

impl PatchDistances {
    /// Without any cell.
    pub fn new(view: usize, top: f64) -> PatchDistances {
        PatchDistances { view, top, distances: Vec::new(), sorted: Vec::new() }
    }

    /// `ln(mean distance)` over the most distant cells, at least one.
    pub fn score(&mut self) -> f64 {
        self.sorted.clone_from(&self.distances);
        // Sorted, so that the order of addition is the same everywhere.
        self.sorted.sort_unstable_by(|a, b| b.cmp(a));
        let cells = self.sorted.len();
        let count = ((cells as f64 * self.top).round() as usize).clamp(1, cells.max(1));
        let largest = self.sorted.iter().take(count);
        let sum: f64 = largest.map(|&distance| (f64::from(distance) / f64::from(FRACTION)).sqrt()).sum();
        libm::log(sum / count as f64 + 1e-6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_logarithm_of_the_largest_distances() {
        for (top, mean) in [(0.05, 9f64), (0.5, 8.0), (1.0, 5.0)] {
            let mut patch_distances = PatchDistances::new(0, top);
            patch_distances.distances = [1u32, 9, 3, 7].map(|distance| distance * distance * 256).to_vec();
            assert!((patch_distances.score() - mean.ln()).abs() < 1e-5, "{top}");
        }
    }
}
