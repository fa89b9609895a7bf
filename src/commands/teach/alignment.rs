//! By what frames are brought into place: learned from the pictures before anything else.

use super::arguments::{AlignBy, TeachArguments};
use crate::bundle::AlignWithin;
use crate::commands::WrongArguments;
use crate::commands::picture_reader::PictureReader;
use crate::commands::progress::ProgressReporter;
use crate::commands::spread;
use crate::task::anomaly::{
    Aligner, AlignmentError, AlignmentReport, Mark, RegionOfInterest, learn_alignment, would_align,
};
use anyhow::Context;
use lineside_picture::Picture;
use lineside_picture::registration::SearchWindow;
use std::path::PathBuf;

/// Pictures from which a template is learned, at most; and those in which it is looked for whether parts lie differently.
const PICTURES: usize = 200;
const LOOKED_AT: usize = 24;

/// Learns by what frames are brought into place; `None` where that was not asked for.
///
/// # Errors
/// Where the mark does not fit the frames, and where it cannot be found in them.
pub fn learn(
    arguments: &TeachArguments,
    files: &[PathBuf],
    region: Option<&RegionOfInterest>,
) -> anyhow::Result<Option<(Aligner, AlignmentReport)>> {
    let Some(by) = arguments.align else { return Ok(None) };
    let within = arguments.align_within.unwrap_or_default();
    let rect = match by {
        AlignBy::Inspected => None,
        AlignBy::Mark(rect) => Some(rect),
    };
    let mark = Mark { rect, region, within };
    let (window, windows) = windows(arguments, files, &mark, PICTURES)?;
    learn_alignment(&mark, &window, &windows).map(Some).map_err(wrong)
}

/// Where alignment was not asked for: how the part lies in the pictures, if it would pay.
pub fn suggest(
    arguments: &TeachArguments,
    files: &[PathBuf],
    region: Option<&RegionOfInterest>,
) -> Option<AlignmentReport> {
    let mark = Mark { rect: None, region, within: AlignWithin::default() };
    // Pictures that cannot be read, or not all of one size, are no fault here.
    let (window, windows) = windows(arguments, files, &mark, LOOKED_AT).ok()?;
    would_align(&mark, &window, &windows)
}

/// Where the mark is looked for, and that of at most so many pictures, reduced.
fn windows(
    arguments: &TeachArguments,
    files: &[PathBuf],
    mark: &Mark,
    most: usize,
) -> anyhow::Result<(SearchWindow, Vec<Picture>)> {
    let (mut reader, mut picture) = (PictureReader::new(arguments.bits), Picture::default());
    // Those that cannot be read are named later, with all others.
    let first = files.iter().position(|file| reader.read(file, &mut picture).is_ok());
    let first = first.context("none of the pictures can be read")?;
    let size = (picture.width(), picture.height());
    let window = mark.window(size).map_err(wrong)?;
    // A sample of this look alone: all of them are taught.
    let others = spread(&files[first + 1..], most - 1);
    let progress = ProgressReporter::new("aligning", others.len() as u64 + 1);
    let (mut windows, mut sums) = (vec![Picture::default()], Vec::new());
    window.reduce(&picture, &mut windows[0], &mut sums);
    for (at, file) in others.iter().enumerate() {
        progress.at(at as u64);
        if reader.read(file, &mut picture).is_ok() && (picture.width(), picture.height()) == size {
            let mut reduced = Picture::default();
            window.reduce(&picture, &mut reduced, &mut sums);
            windows.push(reduced);
        }
    }
    progress.finish();
    Ok((window, windows))
}

/// A mark that reaches beyond the frame is wrong on the command line; the rest only pictures can tell.
fn wrong(error: AlignmentError) -> anyhow::Error {
    match error {
        AlignmentError::Misfit(..) => WrongArguments(format!("--align: {error}")).into(),
        error => anyhow::anyhow!("--align: {error}"),
    }
}
