//! What versions of a bundle found of the marked frames: a file for each version in its home, as `lineside eval --scores` writes it.

use crate::bundle::Home;
use crate::storage;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The folder's name in the home.
const FOLDER: &str = ".scores";
/// How the files' names end.
const ENDING: &str = "jsonl";

fn path(home: &Home, version: &str) -> PathBuf {
    home.folder().join(FOLDER).join(version).with_extension(ENDING)
}

/// Takes a file into the home, as what a version found, and removes those of versions that are gone.
///
/// # Errors
/// Of the disk.
pub fn keep_scores(home: &Home, version: &str, scores: &Path) -> io::Result<()> {
    let folder = home.folder().join(FOLDER);
    if !folder.is_dir() {
        storage::create_folder(&folder)?;
        storage::sync_folder(home.folder())?;
    }
    for entry in fs::read_dir(&folder)? {
        let known = entry?.path();
        let is_needed = home.state().versions().any(|version| path(home, version) == known);
        if !is_needed {
            storage::remove_tree(&known)?;
        }
    }
    storage::rename(scores, &path(home, version))?;
    storage::sync_folder(&folder)
}

/// Whether a version has judged the marked frames.
pub fn has_scores(home: &Home, version: &str) -> bool {
    path(home, version).is_file()
}

/// What a version of the home found, and the length of that in bytes; `None` where it has not judged.
///
/// # Errors
/// Of the disk.
pub fn open_scores(home: &Home, version: &str) -> io::Result<Option<(File, u64)>> {
    if !home.state().versions().any(|known| known == version) {
        return Ok(None);
    }
    match storage::open_to_read(&path(home, version)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        file => file.and_then(|file| Ok((file.metadata()?.len(), file))).map(|(length, file)| Some((file, length))),
    }
}
