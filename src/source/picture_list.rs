//! The picture files of a folder.

use crate::files::describe_other;
use lineside_picture::{EXTENSIONS, is_picture_name};
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The pictures of a folder, and what was passed over there.
pub struct PictureList {
    /// Sorted by file name, then by path.
    pub files: Vec<PathBuf>,
    /// What has a picture's name but is no file, if anything.
    pub passed_over: Option<PassedOver>,
}

/// What has a picture's name but is no file: to read a pipe, a socket or a device may wait for ever.
#[derive(Debug)]
pub struct PassedOver {
    /// How many.
    pub count: u64,
    /// The first that was met.
    pub first: PathBuf,
    /// What that is.
    pub kind: &'static str,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PassedOver { count, first, kind } = self;
        write!(f, "{count} passed over that have a picture's name but are no file, such as {}: {kind}", first.display())
    }
}

/// The picture files ([`EXTENSIONS`]) below `folder`, sub-folders included.
///
/// # Errors
/// In one line that names the folder, where it cannot be read or holds no picture.
pub fn list_pictures(folder: &Path) -> Result<PictureList, String> {
    let mut list = PictureList { files: Vec::new(), passed_over: None };
    list.collect(folder)?;
    if list.files.is_empty() {
        let passed_over = list.passed_over.map_or(String::new(), |passed_over| format!("; {passed_over}"));
        return Err(format!("{}: no picture in it (.{}){passed_over}", folder.display(), EXTENSIONS.join(", .")));
    }
    list.files.sort_by(|a, b| (a.file_name(), a).cmp(&(b.file_name(), b)));
    Ok(list)
}

/// As [`list_pictures`]; the log has what was passed over.
///
/// # Errors
/// As [`list_pictures`].
pub fn picture_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let PictureList { files, passed_over } = list_pictures(folder)?;
    if let Some(passed_over) = passed_over {
        log::warn!("{}: {passed_over}", folder.display());
    }
    Ok(files)
}

impl PictureList {
    fn collect(&mut self, folder: &Path) -> Result<(), String> {
        let unreadable = |e: std::io::Error| format!("{}: cannot read this folder: {e}", folder.display());
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            // A link is followed to a file but not to a folder: a loop of links would have no end.
            if entry.file_type().map_err(unreadable)?.is_dir() {
                self.collect(&path)?;
            } else if is_picture_name(&path) {
                match std::fs::metadata(&path) {
                    Ok(metadata) => match describe_other(metadata.file_type()) {
                        Some(kind) => self.pass_over(path, kind),
                        None => self.files.push(path),
                    },
                    Err(error) if error.kind() == ErrorKind::NotFound => self.pass_over(path, "a link to nothing"),
                    // Whoever reads it reports why.
                    Err(_) => self.files.push(path),
                }
            }
        }
        Ok(())
    }

    fn pass_over(&mut self, path: PathBuf, kind: &'static str) {
        self.passed_over.get_or_insert(PassedOver { count: 0, first: path, kind }).count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn pictures_are_sorted_by_name_across_sub_folders() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/02.png", "a/03.jpg", "01.JPEG", "a/notes.txt", "b/01.png"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        let files = picture_files(folder.path()).unwrap();
        let names: Vec<_> = files.iter().map(|f| f.strip_prefix(folder.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["01.JPEG", "b/01.png", "b/02.png", "a/03.jpg"]);
    }

    #[test]
    fn an_empty_folder_and_a_missing_one_are_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(picture_files(folder.path()).unwrap_err().contains("no picture in it (.png, .jpg, "));
        assert!(picture_files(&folder.path().join("x")).unwrap_err().contains("cannot read this folder"));
    }

    #[test]
    fn what_is_no_file_is_passed_over_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe.png"), rustix::fs::Mode::RWXU).unwrap();
        let error = picture_files(folder.path()).unwrap_err();
        assert!(error.contains("1 passed over") && error.ends_with("pipe.png: a pipe (FIFO)"), "{error}");
        let _socket = UnixListener::bind(at("socket.jpg")).unwrap();
        symlink("/dev/zero", at("device.bmp")).unwrap();
        symlink("nowhere", at("nothing.tif")).unwrap();
        symlink(".", at("loop.pgm")).unwrap();
        std::fs::write(at("file.dat"), b"").unwrap();
        symlink("file.dat", at("link.png")).unwrap();
        let list = list_pictures(folder.path()).unwrap();
        assert_eq!(list.files, [at("link.png")]);
        assert_eq!(list.passed_over.unwrap().count, 5);
    }
}
