//! Elements, or whole rows of them, by indices that are computed.

use super::arena::Arena;
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

/// `y[o, i] = x[o, index[i]]` over rows of `row_bytes`.
#[derive(Debug, Clone)]
pub struct GatherStep {
    pub x: Rows,
    /// Rows of `x` before the next place of the axes before.
    pub length: usize,
    /// Places of the axes before.
    pub outer: usize,
    pub row_bytes: usize,
    /// Offset, number and kind (`i32` or `i64`) of the indices.
    pub indices: usize,
    pub count: usize,
    pub kind: ElementKind,
    pub y: usize,
}

impl GatherStep {
    /// Copies the rows. Negative indices count from the end.
    ///
    /// # Errors
    /// The first index that is out of range; what is written of `y` until then is not to be used.
    pub fn run(&self, arena: Arena) -> Result<(), String> {
        let GatherStep { length, outer, row_bytes, count, .. } = *self;
        let x = match &self.x {
            Rows::At(at) => arena.read(*at, outer * length * row_bytes),
            Rows::Table(table) => &table[..],
        };
        let y = arena.write::<u8>(self.y, outer * count * row_bytes);
        for i in 0..count {
            let index = match self.kind {
                ElementKind::I32 => i64::from(arena.read::<i32>(self.indices, count)[i]),
                _ => arena.read::<i64>(self.indices, count)[i],
            };
            let place = if index < 0 { index.checked_add_unsigned(length as u64) } else { Some(index) };
            let place = place.and_then(|place| usize::try_from(place).ok()).filter(|&place| place < length);
            let place = place.ok_or_else(|| format!("index {index} is out of range of {length} places"))?;
            for o in 0..outer {
                let from = &x[(o * length + place) * row_bytes..][..row_bytes];
                y[(o * count + i) * row_bytes..][..row_bytes].copy_from_slice(from);
            }
        }
        Ok(())
    }
}
