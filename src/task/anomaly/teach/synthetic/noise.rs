//! Smooth noise: normal deviates on a lattice, blended between its nodes (value noise).

use super::random::Random;

/// Scratch of [`Noise::render`].
#[derive(Default)]
pub(super) struct Noise {
    /// Deviates, `[rows, columns]` of the lattice.
    lattice: Vec<f32>,
    /// One row of it, blended from two.
    row: Vec<f32>,
    /// For each column of pixels the node to its left and the distance from it, 0..1, through the smooth step.
    columns: Vec<(u32, f32)>,
}

impl Noise {
    /// Fills `out` with noise of about mean 0 and variance 1 at the nodes, `[height, width]`, nodes `cell` pixels
    /// apart.
    pub fn render(&mut self, width: usize, height: usize, cell: f64, random: &mut Random, out: &mut Vec<f32>) {
        let nodes = (width as f64 / cell) as usize + 3;
        let rows = (height as f64 / cell) as usize + 3;
        self.lattice.clear();
        self.lattice.extend((0..nodes * rows).map(|_| random.normal() as f32));
        let (start_x, start_y) = (random.unit(), random.unit());
        self.columns.clear();
        self.columns.extend((0..width).map(|x| place(x, cell, start_x)));
        out.resize(width * height, 0.0);
        for (y, out) in out.chunks_exact_mut(width.max(1)).enumerate() {
            let (above, part) = place(y, cell, start_y);
            let (upper, lower) = self.lattice[above as usize * nodes..][..2 * nodes].split_at(nodes);
            self.row.clear();
            self.row.extend(upper.iter().zip(lower).map(|(a, b)| a + (b - a) * part));
            for (out, &(left, part)) in out.iter_mut().zip(&self.columns) {
                let (a, b) = (self.row[left as usize], self.row[left as usize + 1]);
                *out = a + (b - a) * part;
            }
        }
    }
}

/// The node before pixel `i`, and the distance to it through the smooth step `3t² - 2t³`.
fn place(i: usize, cell: f64, start: f64) -> (u32, f32) {
    let at = (i as f64 + 0.5) / cell + start;
    let part = (at - at.floor()) as f32;
    (at as u32, part * part * (3.0 - 2.0 * part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::SeedableRng;

    #[test]
    fn noise_is_smooth_and_has_the_requested_size() {
        let mut bits = Xoshiro256PlusPlus::seed_from_u64(3);
        let (mut noise, mut plane) = (Noise::default(), Vec::new());
        for (width, height, cell) in [(1, 1, 1.5), (200, 150, 10.0), (33, 7, 40.0)] {
            noise.render(width, height, cell, &mut Random::new(&mut bits), &mut plane);
            assert_eq!(plane.len(), width * height);
            // The smooth step is at most 1.5 steep, and two nodes are hardly ever 7 apart.
            let steepest = plane.chunks(width).flat_map(|row| row.windows(2)).map(|p| (p[0] - p[1]).abs());
            assert!(steepest.fold(0.0, f32::max) < 1.5 * 7.0 / cell as f32);
        }
    }
}
