//! A sheet for visual comparison: of each picture the piece that is hardest to enlarge, by every method and as it was.

use crate::commands::outputs::write_png_output;
use anyhow::Context;
use lineside_picture::{Picture, Rect, luma_into, side_by_side, stacked};
use std::path::Path;

/// The side of a piece in pixels of the large picture, and its magnification on the sheet.
const PIECE: usize = 120;
const MAGNIFICATION: usize = 2;
/// The most pictures on a sheet.
const MAX_ROWS: usize = 12;

/// Rows of pieces.
#[derive(Default)]
pub struct ComparisonSheet {
    rows: Vec<Picture>,
}

impl ComparisonSheet {
    /// Adds a row. The piece is where the first of `enlarged`, bicubic, has the largest error; `captions` belong to `enlarged`, and
    /// the original comes last.
    pub fn add(&mut self, original: &Picture, enlarged: &[Picture], captions: &[String]) {
        if self.rows.len() == MAX_ROWS {
            return;
        }
        let area = enlarged.first().map_or_else(Rect::default, |bicubic| hardest(original, bicubic));
        let pieces: Vec<Picture> = enlarged.iter().chain([original]).map(|picture| magnified(picture, area)).collect();
        let captions = captions.iter().map(String::as_str).chain(["original"]);
        let row: Vec<(&Picture, &str)> = pieces.iter().zip(captions).collect();
        self.rows.push(side_by_side(&row));
    }

    /// Writes the sheet as PNG.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        write_png_output(path, &stacked(&self.rows))
            .with_context(|| format!("{}: cannot write the sheet", path.display()))
    }
}

/// The square in which bicubic has the largest error, of squares a quarter of their side apart.
fn hardest(original: &Picture, bicubic: &Picture) -> Rect {
    let (mut a, mut b) = Default::default();
    luma_into(original, &mut a);
    luma_into(bicubic, &mut b);
    let (width, height) = (PIECE.min(a.width()), PIECE.min(a.height()));
    let error = |x: usize, y: usize| -> u64 {
        let rows = (y..y + height).map(|y| a.row(y)[x..x + width].iter().zip(&b.row(y)[x..x + width]));
        rows.flatten().map(|(a, b)| u64::from(a.abs_diff(*b)) * u64::from(a.abs_diff(*b))).sum()
    };
    let corners = |length: usize, side: usize| (0..=length - side).step_by(PIECE / 4);
    let squares = corners(a.height(), height).flat_map(|y| corners(a.width(), width).map(move |x| (x, y)));
    let (x, y) = squares.max_by_key(|&(x, y)| error(x, y)).unwrap_or_default();
    Rect { x, y, width, height }
}

/// A part of a picture, magnified by repeating pixels.
fn magnified(picture: &Picture, area: Rect) -> Picture {
    let mut part = Picture::default();
    picture.crop_into(area, &mut part);
    let channels = part.channels();
    let mut large = Picture::new(part.layout(), part.width() * MAGNIFICATION, part.height() * MAGNIFICATION);
    for y in 0..large.height() {
        let from = part.row(y / MAGNIFICATION);
        for (x, pixel) in large.row_mut(y).chunks_exact_mut(channels).enumerate() {
            pixel.copy_from_slice(&from[x / MAGNIFICATION * channels..][..channels]);
        }
    }
    large
}
