//! The mean of each position's 3×3 neighbourhood; at the border, of the part of it inside the plane.

use multiversion::multiversion;

/// Means are in units of 1/36, because 36 is divisible by 4, 6 and 9, the possible numbers of neighbours. The highest is 36 · 255.
pub const SHARE: u16 = 36;

/// Computes the means of planes of one size. Reused from plane to plane.
pub struct LocalMean {
    columns: usize,
    /// The plane with a border of zeros, `[rows + 2, columns + 2]`, so that no position is a special case.
    bordered: Vec<u16>,
    /// The sum of each position and its upper and lower neighbour, `[rows, columns + 2]`.
    sums: Vec<u16>,
    /// 36 divided by the number of neighbours, by position; 0 in the last two columns.
    weights: Vec<u16>,
    /// `[rows, columns + 2]`; the last two columns are zeros.
    means: Vec<u16>,
}

impl LocalMean {
    /// For planes of this size.
    pub fn new(rows: usize, columns: usize) -> LocalMean {
        let neighbours = |at: usize, end: usize| 1 + u16::from(at > 0) + u16::from(at + 1 < end);
        let weight = |at: usize| match at % (columns + 2) {
            x if x < columns => SHARE / (neighbours(at / (columns + 2), rows) * neighbours(x, columns)),
            _ => 0,
        };
        let positions = rows * (columns + 2);
        LocalMean {
            columns,
            bordered: vec![0; (rows + 2) * (columns + 2)],
            sums: vec![0; positions],
            weights: (0..positions).map(weight).collect(),
            means: vec![0; positions],
        }
    }

    /// The number of values that [`LocalMean::of`] returns.
    pub fn len(&self) -> usize {
        self.means.len()
    }

    /// The number of values in a row: the plane's columns and two zeros.
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

/// Stops at the end of the shortest slice.
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
    fn at_the_border_fewer_neighbours_count() {
        let mut local_mean = LocalMean::new(3, 3);
        let expected = [324, 216, 324, 0, 0, 216, 144, 216, 0, 0, 324, 216, 324, 0, 0];
        assert_eq!(local_mean.of(&[0, 0, 0, 0, 36, 0, 0, 0, 0]), expected);
        assert_eq!(local_mean.of(&[255; 9]).iter().max(), Some(&(255 * SHARE)));
        // Nothing of the earlier plane is left.
        assert_eq!(local_mean.of(&[0, 0, 0, 0, 36, 0, 0, 0, 0]), expected);
        assert_eq!(LocalMean::new(1, 1).of(&[7]), [7 * SHARE, 0, 0]);
        assert_eq!(LocalMean::new(1, 3).of(&[2, 4, 6]), [3 * SHARE, 4 * SHARE, 5 * SHARE, 0, 0]);
    }
}
