//! The mean of each place's 3×3 neighbourhood, at the border of what there is of it.

use multiversion::multiversion;

/// Means of bytes are told in so many parts, which the 4, 6 or 9 neighbours that there can be divide: the highest is 36 · 255.
pub const SHARE: u16 = 36;

/// Takes the means of planes of one size. Reused from plane to plane.
pub struct LocalMean {
    columns: usize,
    /// The plane with a border of zeros, `[rows + 2, columns + 2]`: so all places are added up in one way.
    bordered: Vec<u16>,
    /// Of each place with its upper and lower neighbour, `[rows, columns + 2]`.
    sums: Vec<u16>,
    /// By place, what part of the sum is its mean: 36 divides by every number of neighbours there can be. Zero in the two
    /// columns that are left over.
    weights: Vec<u16>,
    /// `[rows, columns + 2]`, the last two columns of which are zeros.
    means: Vec<u16>,
}

impl LocalMean {
    /// For planes of so many rows and columns.
    pub fn new(rows: usize, columns: usize) -> LocalMean {
        let neighbours = |at: usize, end: usize| 1 + u16::from(at > 0) + u16::from(at + 1 < end);
        let weight = |at: usize| match at % (columns + 2) {
            x if x < columns => SHARE / (neighbours(at / (columns + 2), rows) * neighbours(x, columns)),
            _ => 0,
        };
        let places = rows * (columns + 2);
        LocalMean {
            columns,
            bordered: vec![0; (rows + 2) * (columns + 2)],
            sums: vec![0; places],
            weights: (0..places).map(weight).collect(),
            means: vec![0; places],
        }
    }

    /// How many values [`LocalMean::of`] gives.
    pub fn len(&self) -> usize {
        self.means.len()
    }

    /// How many of them make a row: the plane's columns and two zeros.
    pub fn width(&self) -> usize {
        self.columns + 2
    }

    /// The means of a plane `[rows, columns]`, each in 36ths, `[rows, columns + 2]` with two zeros at the end of each row.
    pub fn of(&mut self, plane: &[u8]) -> &[u16] {
        let width = self.width();
        let inside = self.bordered.chunks_exact_mut(width).skip(1);
        for (to, row) in inside.zip(plane.chunks_exact(self.columns)) {
            for (to, &byte) in to[1..].iter_mut().zip(row) {
                *to = u16::from(byte);
            }
        }
        let [above, own, below] = [0, width, 2 * width].map(|from| &self.bordered[from..]);
        add_three([above, own, below], &mut self.sums);
        let [left, own, right] = [0, 1, 2].map(|from| &self.sums[from..]);
        weighted_sum_of_three([left, own, right], &self.weights, &mut self.means);
        &self.means
    }
}

#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn add_three(from: [&[u16]; 3], out: &mut [u16]) {
    let [a, b, c] = from.map(|from| &from[..out.len()]);
    for (i, out) in out.iter_mut().enumerate() {
        *out = a[i] + b[i] + c[i];
    }
}

/// As far as all three go.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn weighted_sum_of_three([a, b, c]: [&[u16]; 3], weights: &[u16], out: &mut [u16]) {
    let count = c.len();
    let (a, b, weights) = (&a[..count], &b[..count], &weights[..count]);
    for (i, out) in out[..count].iter_mut().enumerate() {
        *out = (a[i] + b[i] + c[i]) * weights[i];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_take_what_there_is() {
        let mut local_mean = LocalMean::new(3, 3);
        let expected = [324, 216, 324, 0, 0, 216, 144, 216, 0, 0, 324, 216, 324, 0, 0];
        assert_eq!(local_mean.of(&[0, 0, 0, 0, 36, 0, 0, 0, 0]), expected);
        assert_eq!(local_mean.of(&[255; 9]).iter().max(), Some(&(255 * SHARE)));
        // Nothing of a former plane is left.
        assert_eq!(local_mean.of(&[0, 0, 0, 0, 36, 0, 0, 0, 0]), expected);
        assert_eq!(LocalMean::new(1, 1).of(&[7]), [7 * SHARE, 0, 0]);
        assert_eq!(LocalMean::new(1, 3).of(&[2, 4, 6]), [3 * SHARE, 4 * SHARE, 5 * SHARE, 0, 0]);
    }
}
