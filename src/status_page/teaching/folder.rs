//! The folder of a job in the bundle's home. It is locked while the job runs; what a power cut left is removed.

use crate::storage;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Its name in the home.
const NAME: &str = ".teaching";

/// The folder of a job; removed when it is dropped.
pub struct TeachingFolder {
    folder: PathBuf,
    _lock: File,
}

impl TeachingFolder {
    /// Makes the folder in a home, empty; `None` where another line uses it.
    ///
    /// # Errors
    /// Of the disk.
    pub fn claim(home: &Path) -> io::Result<Option<TeachingFolder>> {
        let folder = home.join(NAME);
        storage::create_folder(&folder)?;
        let Some(lock) = lock(&folder)? else { return Ok(None) };
        let scratch = TeachingFolder { folder, _lock: lock };
        // The folder itself stays: it is locked.
        for entry in std::fs::read_dir(&scratch.folder)? {
            storage::remove_tree(&entry?.path())?;
        }
        Ok(Some(scratch))
    }

    /// Removes what a power cut left in a home.
    ///
    /// # Errors
    /// Of the disk.
    pub fn remove_leftover(home: &Path) -> io::Result<()> {
        let folder = home.join(NAME);
        if !folder.is_dir() || lock(&folder)?.is_none() {
            return Ok(());
        }
        storage::remove_tree(&folder)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for TeachingFolder {
    fn drop(&mut self) {
        if let Err(error) = storage::remove_tree(&self.folder) {
            log::warn!("{}: cannot be removed; the next start tries again: {error}", self.folder.display());
        }
    }
}

/// `None`: somebody else has it.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let lock = File::open(folder)?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        // Removed by whoever had it, between the two.
        Ok(()) if !storage::is_at(&lock, folder) => Ok(None),
        // A file system without locks is taken at its word.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(lock)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn one_has_it_and_leftovers_are_removed() {
        let home = tempfile::tempdir().unwrap();
        TeachingFolder::remove_leftover(home.path()).unwrap();
        let place = home.path().join(NAME);
        fs::create_dir_all(place.join("frames")).unwrap();
        fs::write(place.join("frames/good-0001.png"), "x").unwrap();
        let scratch = TeachingFolder::claim(home.path()).unwrap().unwrap();
        assert_eq!(fs::read_dir(scratch.folder()).unwrap().count(), 0, "what was there before is gone");
        fs::write(scratch.folder().join("a"), "a").unwrap();
        assert!(TeachingFolder::claim(home.path()).unwrap().is_none());
        TeachingFolder::remove_leftover(home.path()).unwrap();
        assert!(place.join("a").exists(), "somebody works there");
        drop(scratch);
        assert!(!place.exists());
        fs::create_dir_all(place.join("new")).unwrap();
        TeachingFolder::remove_leftover(home.path()).unwrap();
        assert!(!place.exists());
    }
}
