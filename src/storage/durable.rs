//! Files that are complete or do not exist.

use super::{StorageWriter, create_new, folder_of, remove, rename, sync, sync_folder};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Suffix of files that are not complete yet; their names begin with a dot.
pub(crate) const UNFINISHED: &str = ".part";

/// Writes a file so that it is never visible under its name while incomplete: temporary file, fsync, rename, fsync of the
/// folder.
///
/// # Errors
/// The first step that fails; the temporary file is removed then.
pub fn write_durably(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(path);
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(UNFINISHED);
    let temporary = folder.join(hidden);
    // Left over by a crash; a link that somebody put there is not followed.
    remove(&temporary)?;
    let result = (|| {
        let file = create_new(&temporary)?;
        let mut buffer = BufWriter::new(StorageWriter(&file));
        write(&mut buffer)?;
        buffer.into_inner().map_err(io::IntoInnerError::into_error)?;
        sync(&file)?;
        rename(&temporary, path)?;
        sync_folder(folder)
    })();
    if result.is_err() {
        // The caller gets the first error; the leftover must not take space on a full disk.
        let _ = remove(&temporary);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_durably(&path, |out| out.write_all(b"old")).unwrap();
        let failed = write_durably(&path, |out| {
            out.write_all(b"half of the n")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
