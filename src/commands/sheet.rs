//! A sheet of small pictures with their heatmaps, for review after an evaluation.

use super::outputs::write_png_output;
use super::picture_reader::PictureReader;
use crate::sink::annotated;
use crate::task::Judge;
use crate::task::anomaly::Verdict;
use anyhow::Context;
use lineside_picture::{Picture, Resizer, side_by_side, stacked};
use std::path::Path;

/// Pictures in a row, and the width of each in pixels.
const COLUMNS: usize = 4;
const WIDTH: usize = 240;

/// Judges the pictures once more and writes them in the order given, each under its caption.
pub fn write(
    path: &Path,
    reader: &mut PictureReader,
    judge: &mut Judge,
    pictures: &[(&Path, String)],
) -> anyhow::Result<()> {
    let mut small = Vec::new();
    let (mut picture, mut verdict) = (Picture::default(), Verdict::default());
    for (file, _) in pictures {
        let named = || file.display().to_string();
        reader.read(file, &mut picture)?;
        let size = (picture.width(), picture.height());
        judge.prepare(&picture).and_then(|()| judge.judge(size, &mut verdict)).with_context(named)?;
        let seen = annotated(&picture, &verdict).with_context(named)?;
        let height = (seen.height() * WIDTH).div_ceil(seen.width()).clamp(1, 2 * WIDTH);
        let mut reduced = Picture::default();
        Resizer::fit(seen.layout(), size, (WIDTH, height))?.run(&seen, &mut reduced).with_context(named)?;
        small.push(reduced);
    }
    let captioned: Vec<(&Picture, &str)> =
        small.iter().zip(pictures).map(|(picture, (_, caption))| (picture, caption.as_str())).collect();
    let rows: Vec<Picture> = captioned.chunks(COLUMNS).map(side_by_side).collect();
    write_png_output(path, &stacked(&rows)).with_context(|| format!("{}: cannot write the sheet", path.display()))
}
