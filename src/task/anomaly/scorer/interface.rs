//! What every scorer does, and the features that it does it with.

use crate::task::anomaly::cells::Cells;

/// The backbone's features of one frame, one entry per view.
pub struct Features {
    /// Features pooled over the whole frame; see [`pool`](crate::task::anomaly::pooled::pool).
    pub pooled: Vec<Vec<u16>>,
    /// Features of each grid cell.
    pub cells: Vec<Cells>,
    /// Some feature planes as they are; see [`gather`](crate::task::anomaly::planes::gather).
    pub planes: Vec<Vec<u8>>,
}

/// An anomaly scorer, rebuilt from the arrays in a bundle.
pub trait Scorer: Send {
    /// Distance from normal, in the scorer's own unit; higher is more anomalous. The same on every CPU.
    fn score(&mut self, features: &Features) -> f64;

    /// Squared distance of each cell of the frame scored last, in 256ths; `None` for an image-level scorer.
    fn distances(&self) -> Option<&[u32]> {
        None
    }

    /// How many planes of each layer it uses, instead of cells; `None` for one that uses none.
    fn planes(&self) -> Option<usize> {
        None
    }

    /// The view whose features are used, counted from 0.
    fn view(&self) -> usize;

    /// Size of its statistics in bytes.
    fn bytes(&self) -> usize;
}
