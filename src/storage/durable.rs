//! Files that are complete or do not exist.

use super::{StorageWriter, create_new, folder_of, refuse_other, remove, rename, sync, sync_folder};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Suffix of files that are not complete yet; their names begin with a dot.
pub(crate) const UNFINISHED: &str = ".part";
/// Bytes that the name of a file may have (`NAME_MAX`).
const LONGEST_NAME: usize = 255;

/// Writes a file so that it is never visible under its name while incomplete: temporary file, fsync, rename, fsync of the
/// folder. A link that has this name is replaced, not followed; a device, FIFO, socket or folder is refused by name.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] where it is refused, see [`super::is_refusal`]; else the first step that fails; the
/// temporary file is removed then.
pub fn write_durably(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(path);
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    if let Some(kind) = fs::symlink_metadata(path).ok().map(|about| about.file_type()).filter(|kind| !kind.is_symlink())
    {
        refuse_other(path, kind)?;
    }
    let temporary = folder.join(unfinished(name));
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

/// The name beside a file's until it is complete: it hides, and it fits where the file's own fits.
fn unfinished(name: &OsStr) -> OsString {
    let bytes = name.as_bytes();
    let mut room = bytes.len().min(LONGEST_NAME - 1 - UNFINISHED.len());
    // Some file systems take whole characters only.
    while room < bytes.len() && room > 0 && bytes[room] & 0b1100_0000 == 0b1000_0000 {
        room -= 1;
    }
    [b".", &bytes[..room], UNFINISHED.as_bytes()].iter().map(|part| OsStr::from_bytes(part)).collect()
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

    #[test]
    fn a_name_may_be_as_long_as_names_can_be() {
        let folder = tempfile::tempdir().unwrap();
        // Two bytes a character, so that the cut falls into one.
        for name in ["x".repeat(255), "é".repeat(127), "é".repeat(125), "a".into()] {
            assert!(std::str::from_utf8(unfinished(OsStr::new(&name)).as_bytes()).is_ok());
            write_durably(&folder.path().join(&name), |out| out.write_all(b"new")).unwrap();
            assert_eq!(std::fs::read(folder.path().join(&name)).unwrap(), b"new");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn only_a_file_or_a_link_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("dir")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for (name, what) in [("dir", "a folder"), ("fifo", "a FIFO"), ("socket", "a socket")] {
            let before = std::fs::symlink_metadata(at(name)).unwrap().file_type();
            let error = write_durably(&at(name), |out| out.write_all(b"new")).unwrap_err();
            assert!(super::super::is_refusal(&error) && error.to_string().contains(what), "{error}");
            assert_eq!(std::fs::symlink_metadata(at(name)).unwrap().file_type(), before);
        }
        std::fs::write(at("victim"), "theirs").unwrap();
        std::os::unix::fs::symlink(at("victim"), at("link")).unwrap();
        write_durably(&at("link"), |out| out.write_all(b"new")).unwrap();
        assert_eq!(
            (std::fs::read(at("link")).unwrap(), std::fs::read(at("victim")).unwrap()),
            (b"new".into(), b"theirs".into())
        );
        assert!(std::fs::symlink_metadata(at("link")).unwrap().is_file());
    }
}
