//! A folder with a folder for each name, of a class or a part, which holds pictures of it.

use crate::escape::one_line;
use anyhow::Context;
use lineside_picture::is_picture_name;
use std::path::{Path, PathBuf};

/// The sub-folders by name, sorted. Pictures beside them belong to no name: they are counted, and one is named, in a warning; so is a
/// folder whose name is hidden or no text.
///
/// # Errors
/// Where the folder cannot be read.
pub fn name_folders(folder: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let shown = || folder.display().to_string();
    let (mut named, mut loose) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).with_context(shown)? {
        let path = entry.with_context(shown)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).map(String::from);
        match (path.is_dir(), name.filter(|name| !name.starts_with('.'))) {
            (true, Some(name)) => named.push((name, path)),
            (true, None) => {
                log::warn!("{}: passed over: its name is hidden or no text", one_line(&path.display().to_string()))
            }
            (false, Some(name)) if is_picture_name(Path::new(&name)) => loose.push(path),
            (false, _) => {}
        }
    }
    if let Some(first) = loose.iter().min() {
        let (count, first) = (loose.len(), first.display().to_string());
        log::warn!(
            "{}: {count} pictures beside the folders are passed over, as no folder says what they show; the first: {}",
            one_line(&shown()),
            one_line(&first)
        );
    }
    named.sort();
    Ok(named)
}
