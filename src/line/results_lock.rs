//! The lock of a folder of results.

use std::fs::{File, TryLockError};
use std::path::Path;

/// Locks a folder of results, as long as the result lives: two lines would write into one file of records, and inspect one drop
/// folder twice. A file system that has no locks is taken at its word.
///
/// # Errors
/// Where another line writes there.
pub(super) fn lock(output: &Path) -> anyhow::Result<Option<File>> {
    // What cannot be made or opened is reported by whoever writes there.
    let Ok(folder) = std::fs::create_dir_all(output).and_then(|()| File::open(output)) else { return Ok(None) };
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => {
            let output = output.display();
            anyhow::bail!(
                "{output}: another line writes its results there: end it, or give this one an output.folder of its own"
            )
        }
        Err(TryLockError::Error(_)) => Ok(None),
    }
}
