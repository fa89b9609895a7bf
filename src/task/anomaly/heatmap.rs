//! From distances on the feature grid to heat, and to regions in frame coordinates. All in integers.

use lineside_picture::{Layout, Picture, Rect};

/// The distance at which the heat is a half, where distances are relative to each cell's own reference.
pub const HALF_HEAT: u32 = 4096;

/// A connected group of cells with high heat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// The cells' bounding box, in frame coordinates.
    pub area: Rect,
    /// The highest score inside, 0..1.
    pub score: f64,
}

/// `distance / (distance + half)`: 0 for a perfectly normal cell, 0.5 at `half`, towards 1 for large distances.
pub fn score(distance: u32, half: u32) -> f64 {
    f64::from(distance) / (f64::from(distance) + f64::from(half))
}

/// The score as a byte, `round(255 · score)`, in integers.
pub fn heat(distance: u32, half: u32) -> u8 {
    let (distance, sum) = (u64::from(distance), u64::from(distance) + u64::from(half));
    ((255 * distance + sum / 2) / sum) as u8
}

/// Draws the relative distances of all cells as heat; returns the hottest cell and its distance. `first`: the cell that counts as hottest
/// where none is hot.
pub fn draw(grid: &Grid, relative: &[u32], first: usize, picture: &mut Picture) -> (usize, u32) {
    picture.reshape(Layout::Grey, grid.width, grid.height);
    let mut hottest = (first, 0);
    for (cell, (&distance, pixel)) in relative.iter().zip(picture.data_mut()).enumerate() {
        *pixel = heat(distance, HALF_HEAT);
        if distance > hottest.1 {
            hottest = (cell, distance);
        }
    }
    hottest
}

/// The regions of a frame that counts as a defect, of the relative distances of its cells: it has one even where no cell is hot.
pub fn regions_of_defect(
    grid: &Grid,
    relative: &[u32],
    hottest: u32,
    scratch: &mut Scratch,
    regions: &mut Vec<Region>,
) {
    let min = if hottest > HALF_HEAT { HALF_HEAT.max(hottest / 2) } else { hottest.max(1) };
    find_regions(grid, relative, min, HALF_HEAT, scratch, regions);
}

/// Groups the cells whose distance is at least `min` (4-neighbours) into `regions`, highest score first.
pub fn find_regions(
    grid: &Grid,
    distances: &[u32],
    min: u32,
    half: u32,
    scratch: &mut Scratch,
    regions: &mut Vec<Region>,
) {
    regions.clear();
    scratch.visited.clear();
    scratch.visited.resize(distances.len(), false);
    for start in 0..distances.len() {
        if scratch.visited[start] || distances[start] < min {
            continue;
        }
        let (mut left, mut top, mut right, mut bottom) = (usize::MAX, usize::MAX, 0, 0);
        let mut peak = 0;
        scratch.visited[start] = true;
        scratch.todo.clear();
        scratch.todo.push(start);
        while let Some(cell) = scratch.todo.pop() {
            let (x, y) = (cell % grid.width, cell / grid.width);
            (left, right) = (left.min(x), right.max(x));
            (top, bottom) = (top.min(y), bottom.max(y));
            peak = peak.max(distances[cell]);
            let neighbours = [
                (x > 0).then(|| cell - 1),
                (x + 1 < grid.width).then(|| cell + 1),
                (y > 0).then(|| cell - grid.width),
                (y + 1 < grid.height).then(|| cell + grid.width),
            ];
            for next in neighbours.into_iter().flatten() {
                if !scratch.visited[next] && distances[next] >= min {
                    scratch.visited[next] = true;
                    scratch.todo.push(next);
                }
            }
        }
        regions.push(Region { area: grid.in_frame(left, top, right, bottom), score: score(peak, half) });
    }
    regions.sort_by(|a, b| b.score.total_cmp(&a.score));
}

/// Scratch of [`find_regions`], reused from frame to frame.
#[derive(Default)]
pub struct Scratch {
    todo: Vec<usize>,
    visited: Vec<bool>,
}

impl Scratch {
    /// Scratch for a grid of this many cells.
    pub fn for_cells(cells: usize) -> Scratch {
        Scratch { todo: Vec::with_capacity(cells), visited: Vec::with_capacity(cells) }
    }
}

/// The feature grid laid over a frame, or over the part of it that is inspected.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    /// Cells in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The pixels that it covers, in frame coordinates.
    pub area: Rect,
}

impl Grid {
    /// The pixels of the cells `left..=right` × `top..=bottom`.
    fn in_frame(&self, left: usize, top: usize, right: usize, bottom: usize) -> Rect {
        let area = self.area;
        let x = left * area.width / self.width;
        let y = top * area.height / self.height;
        let end_x = ((right + 1) * area.width).div_ceil(self.width);
        let end_y = ((bottom + 1) * area.height).div_ceil(self.height);
        Rect { x: area.x + x, y: area.y + y, width: end_x - x, height: end_y - y }
    }

    /// The pixel at the centre of a cell.
    pub fn centre(&self, cell: usize) -> (usize, usize) {
        let (x, y, area) = (cell % self.width, cell / self.width, self.area);
        let centre = |at: usize, side: usize, cells: usize| (2 * at + 1) * side / (2 * cells);
        (area.x + centre(x, area.width, self.width), area.y + centre(y, area.height, self.height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_is_the_score_as_a_byte() {
        for (distance, half) in [(0, 7), (7, 7), (1, 1000), (1_000_000, 3), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
            let expected = (255.0 * score(distance, half)).round();
            assert_eq!(f64::from(heat(distance, half)), expected, "{distance} {half}");
        }
        assert_eq!(heat(7, 7), 128);
    }

    #[test]
    fn regions_are_connected_and_sorted() {
        let whole = Rect { x: 0, y: 0, width: 40, height: 30 };
        let grid = Grid { width: 4, height: 3, area: whole };
        #[rustfmt::skip]
        let distances = [
            9, 0, 0, 0,
            9, 9, 0, 0,
            0, 0, 0, 20,
        ];
        let mut regions = Vec::new();
        find_regions(&grid, &distances, 5, 10, &mut Scratch::default(), &mut regions);
        assert_eq!(regions.len(), 2);
        assert_eq!(regions[0].area, Rect { x: 30, y: 20, width: 10, height: 10 });
        assert_eq!(regions[1].area, Rect { x: 0, y: 0, width: 20, height: 20 });
        assert_eq!(grid.centre(11), (35, 25));
        let grid = Grid { area: Rect { x: 100, y: 7, ..whole }, ..grid };
        find_regions(&grid, &distances, 5, 10, &mut Scratch::default(), &mut regions);
        assert_eq!(regions[0].area, Rect { x: 130, y: 27, width: 10, height: 10 });
        assert_eq!(grid.centre(11), (135, 32));
    }
}
