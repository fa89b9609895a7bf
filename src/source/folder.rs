//! Frames from a folder of picture files.

use super::frame::{Frame, FrameSource, Next};
use super::pace::Pace;
use lineside_picture::{EXTENSIONS, decode_file, is_picture_name};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Delivers the pictures of a folder, once or for ever.
pub struct FolderSource {
    folder: PathBuf,
    files: Vec<PathBuf>,
    at: usize,
    repeat: bool,
    pace: Pace,
    max_pixels: usize,
}

impl FolderSource {
    /// Lists the pictures below `folder`. With `fps` they come at that rate, as from a camera; without it, each waits until the
    /// one before is inspected. Pictures of more than `max_pixels` are refused one by one.
    ///
    /// # Errors
    /// In one line that names the folder, where it cannot be read or holds no picture.
    pub fn open(folder: &Path, repeat: bool, fps: Option<f64>, max_pixels: usize) -> Result<FolderSource, String> {
        let files = picture_files(folder)?;
        Ok(FolderSource { folder: folder.to_path_buf(), files, at: 0, repeat, pace: Pace::new(fps), max_pixels })
    }
}

/// The picture files ([`EXTENSIONS`]) below `folder`, sub-folders included, sorted by file name, then by path.
///
/// # Errors
/// In one line that names the folder, where it cannot be read or holds no picture.
pub fn picture_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    if files.is_empty() {
        return Err(format!("{}: no picture in it (.{})", folder.display(), EXTENSIONS.join(", .")));
    }
    files.sort_by(|a, b| (a.file_name(), a).cmp(&(b.file_name(), b)));
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let unreadable = |e: std::io::Error| format!("{}: cannot read this folder: {e}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // A link is followed to a file but not to a folder: a loop of links would have no end.
        if entry.file_type().map_err(unreadable)?.is_dir() {
            collect(&entry.path(), files)?;
        } else if is_picture_name(&entry.path()) {
            files.push(entry.path());
        }
    }
    Ok(())
}

impl FrameSource for FolderSource {
    fn next(&mut self, frame: &mut Frame) -> Next {
        if self.at == self.files.len() {
            if !self.repeat {
                return Next::Ended;
            }
            self.at = 0;
        }
        if !self.pace.wait() {
            return Next::Pending;
        }
        let path = &self.files[self.at];
        self.at += 1;
        frame.captured = Instant::now();
        frame.wall = jiff::Timestamp::now();
        frame.name.clear();
        frame.name.push_str(&path.file_name().unwrap_or_default().to_string_lossy());
        let decoded = std::fs::read(path)
            .map_err(|e| e.to_string())
            .and_then(|bytes| decode_file(&bytes, self.max_pixels, &mut frame.picture).map_err(|e| e.to_string()));
        match decoded {
            Ok(()) => Next::Frame,
            Err(reason) => Next::Failed { name: path.display().to_string(), reason },
        }
    }

    fn is_live(&self) -> bool {
        self.pace.is_live()
    }

    fn max_pixels(&self) -> usize {
        self.max_pixels
    }

    fn describe(&self) -> String {
        format!("folder {} ({} pictures)", self.folder.display(), self.files.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
