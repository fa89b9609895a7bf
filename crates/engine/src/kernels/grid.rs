//! Positions in a grid of output pixels, and how work is divided between threads.

/// The share of `count` that thread `part` of `parts` works on.
pub fn thread_share(count: usize, part: usize, parts: usize) -> std::ops::Range<usize> {
    count * part / parts..count * (part + 1) / parts
}

/// The position of an output pixel, or of a tile of pixels.
#[derive(Clone, Copy)]
pub struct GridIndex {
    pub image: usize,
    pub row: usize,
    pub column: usize,
}

impl GridIndex {
    /// The `index`-th position in a grid of so many images, rows and columns.
    pub fn of(index: usize, [_, rows, columns]: [usize; 3]) -> GridIndex {
        GridIndex { image: index / columns / rows, row: index / columns % rows, column: index % columns }
    }

    /// Bytes from the first pixel to this one, with the steps of an image, a row and a column.
    pub fn offset(&self, steps: [usize; 3]) -> usize {
        self.image * steps[0] + self.row * steps[1] + self.column * steps[2]
    }

    /// Moves within the row, or to the start of the next.
    pub fn advance(&mut self, pixels: usize, [_, rows, columns]: [usize; 3]) {
        self.column += pixels;
        if self.column == columns {
            self.column = 0;
            self.row += 1;
            if self.row == rows {
                self.row = 0;
                self.image += 1;
            }
        }
    }
}
