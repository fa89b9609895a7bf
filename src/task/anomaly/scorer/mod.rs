//! Scorers: each tells by a method of its own how far a frame is from normal. The verdict adds up the ones that did best
//! on what was held out when the bundle was taught.

mod bank;
mod linear;
mod patch;
mod places;
mod subspace;
mod sum;

pub use bank::Bank;
pub use linear::{CLIP, Linear};
pub use patch::Patch;
pub use subspace::Subspace;
pub use sum::{Sum, rebuild};

use super::cells::Cells;
use multiversion::multiversion;

/// What the backbone saw in one frame, a slot for each view.
pub struct Seen {
    /// Of the whole frame; see [`pool`](super::pooled::pool).
    pub pooled: Vec<Vec<u16>>,
    /// Of each place.
    pub cells: Vec<Cells>,
}

/// A method. Taught ones are rebuilt from the arrays in their bundle.
pub trait Scorer: Send {
    /// How far from normal, in a unit of the scorer's own; higher is farther. The same on every CPU.
    fn score(&mut self, seen: &Seen) -> f64;

    /// The squared distance of each cell of the frame scored last, in 256ths, where the scorer looks at cells.
    fn distances(&self) -> Option<&[u32]> {
        None
    }

    /// The view that it looks at.
    fn view(&self) -> usize;

    /// Bytes of its statistics.
    fn bytes(&self) -> usize;
}

/// A matrix of statistics `[rows, columns]`, as a bundle stores it.
pub struct Matrix {
    /// Length of a row.
    pub columns: usize,
    /// Row by row.
    pub values: Vec<f32>,
}

impl Matrix {
    /// A matrix of rows of the same length.
    pub fn from_rows<'a>(columns: usize, rows: impl IntoIterator<Item = &'a [f32]>) -> Matrix {
        Matrix { columns, values: rows.into_iter().flatten().copied().collect() }
    }

    /// The rows.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.columns.max(1))
    }

    /// What is wrong with a matrix of which `columns` columns and at least `rows` rows are expected.
    fn problem(&self, columns: usize, rows: usize) -> Option<String> {
        let found = self.values.len() / self.columns.max(1);
        if self.columns != columns || found < rows {
            return Some(format!(
                "{found} rows of {} values; {rows} or more rows of {columns} are needed",
                self.columns
            ));
        }
        let bad = self.values.iter().position(|value| !value.is_finite())?;
        Some(format!("row {}, value {} is not a finite number", bad / columns, bad % columns))
    }
}

/// The integer dot product, in a form of which compilers make 16-bit products added in pairs (`pmaddwd`).
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn dot(a: &[i16], b: &[i16]) -> i32 {
    let (blocks_a, rest_a) = a.as_chunks::<32>();
    let (blocks_b, rest_b) = b.as_chunks::<32>();
    let mut sums = [0i32; 16];
    for (a, b) in blocks_a.iter().zip(blocks_b) {
        for (i, sum) in sums.iter_mut().enumerate() {
            let (even, odd) = (2 * i, 2 * i + 1);
            let pair = (i32::from(a[even]) * i32::from(b[even])).wrapping_add(i32::from(a[odd]) * i32::from(b[odd]));
            *sum = sum.wrapping_add(pair);
        }
    }
    let rest = rest_a.iter().zip(rest_b).fold(0i32, |sum, (&a, &b)| sum.wrapping_add(i32::from(a) * i32::from(b)));
    sums.iter().fold(rest, |sum, part| sum.wrapping_add(*part))
}
