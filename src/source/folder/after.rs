//! What becomes of a file of a drop folder once its verdict is recorded.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// What is done with a file after its verdict is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterVerdict {
    /// It stays.
    Keep,
    /// It goes into this folder, to the same path as below the drop folder.
    MoveTo(PathBuf),
    /// It is deleted.
    Delete,
}

/// Names that are tried where one is taken.
const NAMES: u32 = 10_000;

/// Moves a file to `inside` below `folder`; a file that is there keeps its name, and the new one gets a number. A reader there never
/// sees half of it.
///
/// # Errors
/// In words, with the paths, where it cannot be moved; it is where it was then.
pub(super) fn move_file(file: &Path, folder: &Path, inside: &Path) -> Result<(), String> {
    let to = folder.join(inside);
    let failed = |error: io::Error| format!("{}: cannot be moved to {}: {error}", file.display(), to.display());
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    for number in 0..NAMES {
        let to = numbered(&to, number);
        // Reserves the name: another file that comes there at the same time is not replaced.
        match File::options().write(true).create_new(true).open(&to) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(failed(error)),
        }
        let moved = match fs::rename(file, &to) {
            Err(error) if error.kind() == ErrorKind::CrossesDevices => copy(file, &to),
            result => result,
        };
        return moved.map_err(|error| {
            let _ = fs::remove_file(&to);
            failed(error)
        });
    }
    Err(failed(io::Error::new(ErrorKind::AlreadyExists, "all names are taken")))
}

/// Moves a file to another file system.
fn copy(file: &Path, to: &Path) -> io::Result<()> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let copied = fs::copy(file, &part)
        .and_then(|_| File::open(&part)?.sync_all())
        .and_then(|()| fs::rename(&part, to))
        .and_then(|()| fs::remove_file(file));
    if copied.is_err() {
        let _ = fs::remove_file(&part);
    }
    copied
}

/// `a.png`, `a-1.png`, `a-2.png` and so on.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_path_buf();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_moved_and_none_is_replaced() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for content in ["first", "second", "third"] {
            let file = from.path().join("a.png");
            fs::write(&file, content).unwrap();
            move_file(&file, to.path(), Path::new("sub/a.png")).unwrap();
            assert!(!file.exists());
        }
        for (name, content) in [("a.png", "first"), ("a-1.png", "second"), ("a-2.png", "third")] {
            assert_eq!(fs::read_to_string(to.path().join("sub").join(name)).unwrap(), content);
        }
        let file = from.path().join("b.png");
        fs::write(&file, "x").unwrap();
        fs::write(to.path().join("file"), "").unwrap();
        let error = move_file(&file, &to.path().join("file"), Path::new("b.png")).unwrap_err();
        assert!(error.contains("b.png: cannot be moved to") && file.exists(), "{error}");
    }

    #[test]
    fn a_file_reaches_another_file_system_whole() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = from.path().join("a.png");
        fs::write(&file, vec![7; 100_000]).unwrap();
        copy(&file, &to.path().join("a.png")).unwrap();
        assert_eq!(fs::read(to.path().join("a.png")).unwrap().len(), 100_000);
        assert!(!file.exists() && fs::read_dir(to.path()).unwrap().count() == 1);
    }
}
