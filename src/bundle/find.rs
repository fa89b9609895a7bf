//! The search path of bundles.

use super::error::BundleError;
use super::folder::Bundle;
use std::path::{Path, PathBuf};

/// The folders that are searched for a bundle by name, in order: those in `$LINESIDE_BUNDLES` (separated by colons), the board's own,
/// the package's, and `models/` in the working directory.
pub fn search_path() -> Vec<PathBuf> {
    let given = std::env::var_os("LINESIDE_BUNDLES").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&given).filter(|p| !p.as_os_str().is_empty()).collect();
    folders.extend(["/var/lib/lineside/bundles", "/usr/share/lineside/bundles", "models"].map(PathBuf::from));
    folders
}

/// Opens a bundle by path (a folder with a `bundle.toml`), else by name.
///
/// # Errors
/// [`BundleError::NotFound`] if there is none, [`BundleError::Bad`] as [`Bundle::open`].
pub fn find(name: &str) -> Result<Bundle, BundleError> {
    let given = Path::new(name);
    if is_bundle(given) {
        return Bundle::open(given);
    }
    let folders = search_path();
    match folders.iter().map(|folder| folder.join(name)).find(|folder| is_bundle(folder)) {
        Some(folder) => Bundle::open(&folder),
        None => {
            let looked: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
            Err(BundleError::NotFound { name: name.into(), looked: looked.join(", ") })
        }
    }
}

/// Every bundle on the search path, the first one of each name, sorted by name.
pub fn all() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in search_path() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_bundle(path)) {
            if !found.iter().any(|known| known.file_name() == path.file_name()) {
                found.push(path);
            }
        }
    }
    found.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    found
}

fn is_bundle(folder: &Path) -> bool {
    // Whatever is there: what is no file is refused by name when it is opened.
    folder.join("bundle.toml").exists()
}
