//! Elements, or whole rows of them, by indices that are computed.

use super::arena::Arena;
use super::live::Live;
use crate::ElementKind;
use std::sync::Arc;

/// Where rows come from.
#[derive(Debug, Clone)]
pub enum Rows {
    /// A value in the arena.
    At(usize),
    /// A constant, in the stored domain.
    Table(Arc<Vec<u8>>),
}

/// `y[o, i] = x[o, index[i]]` over rows of `row_bytes`; an index is one number, or one for each of several axes.
#[derive(Debug, Clone)]
pub struct GatherStep {
    pub x: Rows,
    /// The dimensions of `x` that an index chooses from, together the rows of `x` before the next place of the axes before.
    pub lengths: Vec<usize>,
    /// Where the only one of these is a bound: what is in use of it.
    pub live_length: Option<Live>,
    /// Places of the axes before.
    pub outer: usize,
    pub row_bytes: usize,
    /// Offset, number and kind (`i32` or `i64`) of the indices; each has as many numbers as there are lengths.
    pub indices: usize,
    pub count: usize,
    pub kind: ElementKind,
    /// Which of the indices are in use, where not all are: the others take row 0, and are not looked at.
    pub live: Option<Live>,
    pub y: usize,
}

impl GatherStep {
    /// Rows of `x` for each place of the axes before.
    pub fn rows(&self) -> usize {
        self.lengths.iter().product()
    }

    /// Copies the rows. Negative indices count from the end.
    ///
    /// # Errors
    /// The first index that is out of range; what is written of `y` until then is not to be used.
    pub fn run(&self, arena: Arena) -> Result<(), String> {
        let GatherStep { outer, row_bytes, count, .. } = *self;
        let rows = self.rows();
        let x = match &self.x {
            Rows::At(at) => arena.read(*at, outer * rows * row_bytes),
            Rows::Table(table) => &table[..],
        };
        let y = arena.write::<u8>(self.y, outer * count * row_bytes);
        let live = self.live.map(|live| (live, live.count(arena)));
        let live_length = self.live_length.map(|live| live.count(arena));
        for i in 0..count {
            let is_live = live.is_none_or(|(live, count)| live.contains(i, count));
            let row = if is_live { self.row(arena, i, live_length)? } else { 0 };
            for o in 0..outer {
                let from = &x[(o * rows + row) * row_bytes..][..row_bytes];
                y[(o * count + i) * row_bytes..][..row_bytes].copy_from_slice(from);
            }
        }
        Ok(())
    }

    /// The row that index `i` chooses.
    fn row(&self, arena: Arena, i: usize, live_length: Option<usize>) -> Result<usize, String> {
        let (numbers, depth) = (self.count * self.lengths.len(), self.lengths.len());
        self.lengths.iter().enumerate().try_fold(0, |row, (axis, &length)| {
            let index = match self.kind {
                ElementKind::I32 => i64::from(arena.read::<i32>(self.indices, numbers)[i * depth + axis]),
                _ => arena.read::<i64>(self.indices, numbers)[i * depth + axis],
            };
            let places = live_length.unwrap_or(length);
            let place = if index < 0 { index.checked_add_unsigned(places as u64) } else { Some(index) };
            let place = place.and_then(|place| usize::try_from(place).ok()).filter(|&place| place < places);
            let place = place.ok_or_else(|| format!("index {index} is out of range of {places} places"))?;
            Ok(row * length + place)
        })
    }
}
