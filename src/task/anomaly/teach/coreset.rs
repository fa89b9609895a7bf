//! The coreset of a memory bank: the cells that leave no other cell far from its nearest one (greedy k-centre, Gonzalez 1985; for
//! memory banks Roth et al. 2022).

use crate::task::anomaly::cells::UNIT;
use crate::task::anomaly::scorer::Matrix;

/// Selects `rows` cells, or all where there are fewer; values in standard deviations.
pub fn coreset(cells: &[&[i16]], rows: usize) -> Matrix {
    let channels = cells.first().map_or(0, |cell| cell.len());
    let mut nearest = vec![u64::MAX; cells.len()];
    let mut values = Vec::with_capacity(rows.min(cells.len()) * channels);
    let mut next = 0;
    for _ in 0..rows.min(cells.len()) {
        let chosen = cells[next];
        values.extend(chosen.iter().map(|&value| f32::from(value) / UNIT));
        for (nearest, cell) in nearest.iter_mut().zip(cells) {
            *nearest = (*nearest).min(squared_distance(cell, chosen));
        }
        next = (0..cells.len()).max_by_key(|&i| (nearest[i], std::cmp::Reverse(i))).unwrap_or(0);
    }
    Matrix { columns: channels, values }
}

fn squared_distance(a: &[i16], b: &[i16]) -> u64 {
    let square = |(&a, &b): (&i16, &i16)| {
        let difference = i32::from(a) - i32::from(b);
        (difference * difference) as u64
    };
    a.iter().zip(b).map(square).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_farthest_cell_is_selected_next() {
        let matrix = coreset(&[&[0], &[64], &[640], &[128]], 3);
        assert_eq!(matrix.values, [0.0, 10.0, 2.0]);
        assert_eq!(coreset(&[&[64], &[128]], 9).values, [1.0, 2.0]);
        assert!(coreset(&[], 9).values.is_empty());
    }
}
