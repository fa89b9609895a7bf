//! Bilinear resizing of float planes.

use super::isa::{Lanes, Loop};
use crate::graph::Sampling;
use crate::kernels::arena::Arena;
use crate::kernels::grid::thread_share;

/// `(1-a)(1-b) x00 + a(1-b) x01 + (1-a)b x10 + ab x11`, from left to right, over `[planes, H, W]`.
#[derive(Debug, Clone)]
pub struct Bilinear {
    pub rows: Sampling,
    pub columns: Sampling,
    pub planes: usize,
    /// Height and width of the input.
    pub input: [usize; 2],
}

/// A run of [`Bilinear`].
pub struct BilinearRun<'a> {
    pub op: &'a Bilinear,
    pub x: &'a [f32],
    pub arena: Arena,
    /// Byte offset of the output.
    pub y: usize,
    pub part: (usize, usize),
}

impl Loop for BilinearRun<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Bilinear { rows, columns, planes, input: [height, width] } = self.op;
        let (count, out) = (rows.weight.len(), columns.weight.len());
        for index in thread_share(planes * count, self.part.0, self.part.1) {
            let (plane, row) = (index / count, index % count);
            let line = |row: u32| &self.x[(plane * height + row as usize) * width..][..*width];
            let (above, below, b) = (line(rows.first[row]), line(rows.second[row]), rows.weight[row]);
            let y = self.arena.write::<f32>(self.y + index * out * 4, out);
            let places = columns.first.iter().zip(&columns.second).zip(&columns.weight);
            for (y, ((&left, &right), &a)) in y.iter_mut().zip(places) {
                let (left, right) = (left as usize, right as usize);
                let top = (1.0 - a) * (1.0 - b) * above[left] + a * (1.0 - b) * above[right];
                *y = top + (1.0 - a) * b * below[left] + a * b * below[right];
            }
        }
    }
}
