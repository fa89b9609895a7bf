//! A sheet to look at: of each picture the piece that is hardest to enlarge, by every way and as it was.

use crate::sink::write_png_durably;
use anyhow::Context;
use lineside_picture::{Picture, Rect, luma_into, side_by_side, stacked};
use std::path::Path;

/// Side of a piece in pixels of the large picture, and how many times larger it is shown.
const PIECE: usize = 120;
const SHOWN: usize = 2;
/// Pictures on a sheet, the first ones.
const MOST: usize = 12;

/// Rows of pieces.
#[derive(Default)]
pub struct Grid {
    rows: Vec<Picture>,
}

impl Grid {
    /// Adds a row: the first of `enlarged`, bicubic, tells by its error which piece is shown; `captions` belong to
    /// `enlarged`, and the original comes last.
    pub fn add(&mut self, original: &Picture, enlarged: &[Picture], captions: &[String]) {
        if self.rows.len() == MOST {
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
        write_png_durably(path, &stacked(&self.rows))
            .with_context(|| format!("{}: cannot write the sheet", path.display()))
    }
}

/// The square in which bicubic is furthest from the original, of squares a quarter apart.
fn hardest(original: &Picture, bicubic: &Picture) -> Rect {
    let (mut a, mut b) = Default::default();
    luma_into(original, &mut a);
    luma_into(bicubic, &mut b);
    let (width, height) = (PIECE.min(a.width()), PIECE.min(a.height()));
    let error = |x: usize, y: usize| -> u64 {
        let rows = (y..y + height).map(|y| a.row(y)[x..x + width].iter().zip(&b.row(y)[x..x + width]));
        rows.flatten().map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum()
    };
    let corners = |length: usize, side: usize| (0..=length - side).step_by(PIECE / 4);
    let squares = corners(a.height(), height).flat_map(|y| corners(a.width(), width).map(move |x| (x, y)));
    let (x, y) = squares.max_by_key(|&(x, y)| error(x, y)).unwrap_or_default();
    Rect { x, y, width, height }
}

/// A part of a picture with every pixel repeated: nothing is smoothed over.
fn magnified(picture: &Picture, area: Rect) -> Picture {
    let mut part = Picture::default();
    picture.crop_into(area, &mut part);
    let channels = part.channels();
    let mut large = Picture::new(part.layout(), part.width() * SHOWN, part.height() * SHOWN);
    for y in 0..large.height() {
        let from = part.row(y / SHOWN);
        for (x, pixel) in large.row_mut(y).chunks_exact_mut(channels).enumerate() {
            pixel.copy_from_slice(&from[x / SHOWN * channels..][..channels]);
        }
    }
    large
}
