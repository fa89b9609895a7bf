//! Elements moved from one arrangement to another: planes and pixels, parts, reversed axes.

use super::arena::Arena;
use super::grid::thread_share;

/// Elements copied from one arrangement to another; the axes are few and the innermost steps are the smallest.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyStep {
    pub x: usize,
    pub y: usize,
    /// Count, step in the input, step in the output (bytes; input steps may run backwards), outermost first.
    pub axes: Vec<(usize, isize, usize)>,
    /// Bytes of an element.
    pub size: usize,
    /// Flips the top bit of each byte, between `u8` and `i8`.
    pub flip: bool,
}

impl CopyStep {
    /// Joins axes that are one in both arrangements, and drops those of one element.
    pub fn joined(mut self) -> CopyStep {
        self.axes.retain(|axis| axis.0 != 1);
        let mut joined: Vec<(usize, isize, usize)> = Vec::new();
        for axis in self.axes.drain(..) {
            match joined.last_mut() {
                Some(outer) if outer.1 == axis.1 * axis.0 as isize && outer.2 == axis.2 * axis.0 => {
                    *outer = (outer.0 * axis.0, axis.1, axis.2);
                }
                _ => joined.push(axis),
            }
        }
        // A few bytes that stay together are one element.
        let size = self.size;
        let few = |axis: &(usize, isize, usize)| axis.1 == size as isize && axis.2 == size && axis.0 * size <= 8;
        if !self.flip && joined.len() > 1 && joined.last().is_some_and(few) {
            self.size *= joined.pop().map_or(1, |axis| axis.0);
        }
        self.axes = joined;
        self.ordered()
    }

    /// Puts the axes that the innermost loops walk last.
    fn ordered(mut self) -> CopyStep {
        let at = |axes: &[(usize, isize, usize)], found: &dyn Fn(&(usize, isize, usize)) -> bool| {
            axes.iter().position(found)
        };
        // Planes to pixels or back: bytes that follow one another in the input, then those that do in the output.
        let (columns, rows) = (at(&self.axes, &|axis| axis.1 == 1), at(&self.axes, &|axis| axis.2 == 1));
        if let (Some(columns), Some(rows)) = (columns, rows)
            && columns != rows
        {
            let mut reordered = self.axes.clone();
            reordered.retain(|axis| axis.1 != 1 && axis.2 != 1);
            reordered.extend([self.axes[columns], self.axes[rows]]);
            let reordered = CopyStep { axes: reordered, ..self.clone() };
            if reordered.transposes() {
                return reordered;
            }
        }
        // Else bytes that follow one another in both, where there are enough of them, or the longest axis.
        let size = self.size as isize;
        let dense = |axis: &(usize, isize, usize)| axis.1 == size && axis.2 == self.size && axis.0 * self.size >= 16;
        let innermost = at(&self.axes, &dense).or_else(|| (0..self.axes.len()).max_by_key(|&i| self.axes[i].0));
        if let Some(axis) = innermost.map(|i| self.axes.remove(i)) {
            self.axes.push(axis);
        }
        self
    }

    /// Whether the last two axes take planes to pixels or back, in a way that `transpose` implements.
    fn transposes(&self) -> bool {
        let [.., columns, rows] = &self.axes[..] else { return false };
        let few = matches!(rows.0, 2..=4) && columns.2 == rows.0;
        let many = rows.0 >= 8 && columns.0 >= 8;
        self.size == 1 && !self.flip && columns.1 == 1 && rows.2 == 1 && rows.1 > 0 && (few || many)
    }

    pub fn run(&self, arena: Arena, part: (usize, usize)) {
        match &self.axes[..] {
            [] if part.0 == 0 => self.copy_run(arena, 0, 0, 1, self.size as isize, self.size),
            [] => {}
            [only] => {
                let mine = thread_share(only.0, part.0, part.1);
                let (x, y) = (mine.start as isize * only.1, mine.start * only.2);
                self.copy_run(arena, x, y, mine.len(), only.1, only.2);
            }
            [columns, rows] if self.transposes() => {
                let mine = thread_share(columns.0, part.0, part.1);
                let (x, y) = (mine.start as isize, mine.start * columns.2);
                self.transpose(arena, x, y, (mine.len(), columns.2), (rows.0, rows.1 as usize));
            }
            [outer, inner @ ..] => {
                let transposes = self.transposes();
                for i in thread_share(outer.0, part.0, part.1) {
                    self.walk(arena, inner, i as isize * outer.1, i * outer.2, transposes);
                }
            }
        }
    }

    fn walk(&self, arena: Arena, axes: &[(usize, isize, usize)], x: isize, y: usize, transposes: bool) {
        match axes {
            [] => {}
            [columns, rows] if transposes => {
                self.transpose(arena, x, y, (columns.0, columns.2), (rows.0, rows.1 as usize));
            }
            [last] => self.copy_run(arena, x, y, last.0, last.1, last.2),
            [axis, inner @ ..] => {
                for i in 0..axis.0 {
                    self.walk(arena, inner, x + i as isize * axis.1, y + i * axis.2, transposes);
                }
            }
        }
    }

    /// `y[column * step + row] = x[row * step + column]`, with the counts and steps of columns and rows.
    fn transpose(&self, arena: Arena, x: isize, y: usize, columns: (usize, usize), rows: (usize, usize)) {
        let x = arena.at(0).wrapping_offset(self.x as isize + x).cast_const();
        let y = arena.at(self.y + y);
        // SAFETY: the planner's axes stay within both values, which do not overlap.
        unsafe {
            match rows.0 {
                2 => interleave_planes::<2>(x, rows.1, y, columns.0),
                3 => interleave_planes::<3>(x, rows.1, y, columns.0),
                4 => interleave_planes::<4>(x, rows.1, y, columns.0),
                _ if columns.0 >= 8 => transpose_blocks(x, y, columns, rows),
                _ => {
                    for column in 0..columns.0 {
                        for row in 0..rows.0 {
                            *y.add(column * columns.1 + row) = *x.add(row * rows.1 + column);
                        }
                    }
                }
            }
        }
    }

    fn copy_run(&self, arena: Arena, x: isize, y: usize, count: usize, x_step: isize, y_step: usize) {
        if count == 0 {
            return;
        }
        let x = arena.at(0).wrapping_offset(self.x as isize + x);
        let y = arena.at(self.y + y);
        // SAFETY: the planner's axes stay within both values, which do not overlap.
        unsafe {
            if x_step == self.size as isize && y_step == self.size && !self.flip {
                std::ptr::copy_nonoverlapping(x, y, count * self.size);
                return;
            }
            let flip = if self.flip { 0x80 } else { 0 };
            match self.size {
                1 => {
                    for i in 0..count {
                        *y.add(i * y_step) = *x.offset(i as isize * x_step) ^ flip;
                    }
                }
                4 => {
                    for i in 0..count {
                        let value = x.offset(i as isize * x_step).cast::<u32>().read_unaligned();
                        y.add(i * y_step).cast::<u32>().write_unaligned(value);
                    }
                }
                8 => {
                    for i in 0..count {
                        let value = x.offset(i as isize * x_step).cast::<u64>().read_unaligned();
                        y.add(i * y_step).cast::<u64>().write_unaligned(value);
                    }
                }
                3 if y_step == 3 => {
                    // Four bytes at once: the fourth is overwritten by the next element. What is read beyond
                    // the last is the next element, or the slack of the buffer.
                    for i in 0..count - 1 {
                        let value = x.offset(i as isize * x_step).cast::<u32>().read_unaligned();
                        y.add(i * 3).cast::<u32>().write_unaligned(value);
                    }
                    std::ptr::copy_nonoverlapping(x.offset((count - 1) as isize * x_step), y.add((count - 1) * 3), 3);
                }
                size => {
                    for i in 0..count {
                        for byte in 0..size {
                            *y.add(i * y_step + byte) = *x.offset(i as isize * x_step).add(byte);
                        }
                    }
                }
            }
        }
    }
}

/// Joins `count` bytes of each of `N` planes to pixels without gaps.
///
/// # Safety
/// The planes, `plane` bytes apart, must be valid for `count` bytes each, `y` for all of them.
unsafe fn interleave_planes<const N: usize>(x: *const u8, plane: usize, y: *mut u8, count: usize) {
    // SAFETY: promised by the caller; four bytes are written where more than one pixel is left.
    unsafe {
        let pixel = |i: usize| (0..N).fold(0, |all, p| all | u32::from(*x.add(p * plane + i)) << (8 * p));
        // Four bytes at once: those beyond the pixel are written over by the next.
        let last = count.saturating_sub(2);
        for i in 0..last {
            y.add(i * N).cast::<u32>().write_unaligned(pixel(i));
        }
        for i in last..count {
            std::ptr::copy_nonoverlapping(pixel(i).to_le_bytes().as_ptr(), y.add(i * N), N);
        }
    }
}

/// Transposes blocks of eight by eight bytes; the last ones overlap those before.
///
/// # Safety
/// Rows and columns (count and step of each) must lie within `x` and `y`; there must be eight or more of both.
unsafe fn transpose_blocks(x: *const u8, y: *mut u8, columns: (usize, usize), rows: (usize, usize)) {
    let starts = |count: usize| (0..count.div_ceil(8)).map(move |i| (i * 8).min(count - 8));
    for row in starts(rows.0) {
        for column in starts(columns.0) {
            // SAFETY: promised by the caller.
            unsafe {
                let (x, y) = (x.add(row * rows.1 + column), y.add(column * columns.1 + row));
                let mut words = [0u64; 8];
                for i in 0..8 {
                    words[i] = x.add(i * rows.1).cast::<u64>().read_unaligned().to_le();
                }
                // Halves of the block are exchanged across its diagonal, then quarters, then single bytes.
                for (distance, mask) in [(4, 0xffff_ffffu64), (2, 0xffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)] {
                    for i in (0..8).filter(|i| i & distance == 0) {
                        let shift = 8 * distance;
                        let swapped = (words[i] >> shift ^ words[i + distance]) & mask;
                        words[i + distance] ^= swapped;
                        words[i] ^= swapped << shift;
                    }
                }
                for i in 0..8 {
                    y.add(i * columns.1).cast::<u64>().write_unaligned(words[i].to_le());
                }
            }
        }
    }
}
