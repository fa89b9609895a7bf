//! The network run on pictures, prepared as the line prepares them.

use crate::commands::picture_reader::PictureReader;
use crate::commands::progress::ProgressReporter;
use crate::escape::one_line;
use crate::task::TaskError;
use crate::task::own_model::Network;
use anyhow::Context;
use lineside_picture::{Layout, Picture};
use std::path::{Path, PathBuf};

/// Prepares each picture, runs the network on it, and calls `found` with its file. Pictures that cannot be read are counted, and the
/// first is named.
///
/// # Errors
/// Where the network fails on a picture, or gives what is no number; where none of the pictures can be read.
pub fn run_each(
    what: &'static str,
    files: &[PathBuf],
    network: &mut Network,
    mut found: impl FnMut(&Path, &mut Network) -> Result<(), TaskError>,
) -> anyhow::Result<usize> {
    let (mut reader, mut picture) = (PictureReader::new(None), Picture::default());
    let progress = ProgressReporter::new(what, files.len() as u64);
    let (mut unread, mut used) = (Vec::new(), 0);
    for (at, file) in files.iter().enumerate() {
        progress.at(at as u64);
        if let Err(error) = reader.read(file, &mut picture) {
            unread.push(format!("{error:#}"));
            continue;
        }
        let name = || file.display().to_string();
        network.prepare(&picture).with_context(name)?;
        network.run().with_context(name)?;
        found(file, network).with_context(name)?;
        used += 1;
    }
    progress.finish();
    reader.advise();
    if let Some(first) = unread.first() {
        let (count, all, first) = (unread.len(), files.len(), one_line(first));
        anyhow::ensure!(used > 0, "none of {all} pictures can be read; the first: {first}");
        log::warn!("{count} of {all} pictures cannot be read and are left out; the first: {first}");
    }
    Ok(used)
}

/// A picture of no part, where there are no others: levels that go up and down, in all channels.
pub fn pattern() -> Picture {
    let mut picture = Picture::new(Layout::Rgb, 320, 240);
    for (at, pixel) in picture.data_mut().chunks_exact_mut(3).enumerate() {
        let (x, y) = (at % 320, at / 320);
        pixel.copy_from_slice(&[(x * 255 / 319) as u8, (y * 255 / 239) as u8, ((x * 7 + y * 13) % 256) as u8]);
    }
    picture
}
