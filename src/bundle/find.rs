//! The search path of bundles.

use super::error::BundleError;
use super::folder::Bundle;
use super::state::STATE;
use std::path::{Path, PathBuf};

/// Where bundles are installed on a board.
pub const BOARD_STORE: &str = "/var/lib/lineside/bundles";

/// Where the package puts bundles.
pub const PACKAGE_STORE: &str = "/usr/share/lineside/bundles";

/// The folders that are searched for a bundle by name, in order: those in `$LINESIDE_BUNDLES` (separated by colons), the board's own,
/// the package's, and `models/` in the working directory.
pub fn search_path() -> Vec<PathBuf> {
    let given = std::env::var_os("LINESIDE_BUNDLES").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&given).filter(|p| !p.as_os_str().is_empty()).collect();
    folders.extend([BOARD_STORE, PACKAGE_STORE, "models"].map(PathBuf::from));
    folders
}

/// Opens a bundle by path (a folder with a `bundle.toml`, or the home of installed versions), else by name.
///
/// # Errors
/// [`BundleError::NotFound`] if there is none, [`BundleError::Bad`] as [`Bundle::open`].
pub fn find(name: &str) -> Result<Bundle, BundleError> {
    Bundle::open(&locate(name)?)
}

/// Where [`find`] finds a bundle: a plain folder, or a home.
///
/// # Errors
/// [`BundleError::NotFound`] if there is none.
pub fn locate(name: &str) -> Result<PathBuf, BundleError> {
    let given = Path::new(name);
    if is_bundle(given) {
        return Ok(given.to_path_buf());
    }
    let folders = search_path();
    match folders.iter().map(|folder| folder.join(name)).find(|folder| is_bundle(folder)) {
        Some(folder) => Ok(folder),
        None => {
            let looked: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
            Err(BundleError::NotFound { name: name.into(), looked: looked.join(", ") })
        }
    }
}

/// Every bundle on the search path, the first one of each name, sorted by name.
pub fn all() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in search_path().iter().flat_map(|folder| all_in(folder)) {
        if !found.iter().any(|known| known.file_name() == path.file_name()) {
            found.push(path);
        }
    }
    found.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    found
}

/// Every bundle of a folder, sorted by name; none where it cannot be read.
pub fn all_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_bundle(path)).collect();
    found.sort();
    found
}

fn is_bundle(folder: &Path) -> bool {
    // Whatever is there: what is no file is refused by name when it is opened.
    folder.join("bundle.toml").exists() || folder.join(STATE).exists()
}
