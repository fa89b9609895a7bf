//! Images that are complete or do not exist.

use crate::storage::{self, UNFINISHED, write_durably};
use lineside_picture::{Picture, write_png};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Removes images that a crash left partially written in a folder.
pub(super) fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(&format!(".png{UNFINISHED}")) {
            storage::remove(&folder.join(&*name))?;
        }
    }
    Ok(())
}

/// Writes an image as PNG in the same way.
///
/// # Errors
/// As [`write_durably`], with the kind of the disk's error, by which a full disk is recognised.
pub fn write_png_durably(path: &Path, picture: &Picture) -> io::Result<()> {
    write_durably(path, |out| encode_png(out, picture))
}

/// Writes an image as PNG.
///
/// # Errors
/// That of `out`, with its kind.
pub fn encode_png(out: &mut dyn Write, picture: &Picture) -> io::Result<()> {
    let mut out = FirstError { out, failed: None };
    let written = write_png(&mut out, picture);
    // An encoder may also keep an error to itself and go on.
    match out.failed.take() {
        Some(error) => Err(error),
        None => written.map_err(io::Error::other),
    }
}

/// Keeps the first error of a writer, of which a PNG encoder only passes on the text.
struct FirstError<'a> {
    out: &'a mut dyn Write,
    failed: Option<io::Error>,
}

impl FirstError<'_> {
    fn keep<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let (kind, text) = (error.kind(), error.to_string());
            self.failed.get_or_insert(error);
            io::Error::new(kind, text)
        })
    }
}

impl Write for FirstError<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.keep(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.keep(flushed)
    }
}

/// Checks that a file of so many bytes can be written into `folder` now, or into its nearest parent that exists.
///
/// # Errors
/// Why it cannot.
pub fn check_writable(folder: &Path, bytes: usize) -> io::Result<()> {
    let here = Path::new(".");
    let mut above = folder.ancestors().map(|above| if above.as_os_str().is_empty() { here } else { above });
    let folder = above.find(|above| above.exists()).unwrap_or(here);
    let path = folder.join(format!(".lineside-{}.part", std::process::id()));
    let written = File::create(&path).and_then(|mut file| {
        let block = [b'-'; 4096];
        (0..bytes.div_ceil(block.len())).try_for_each(|_| file.write_all(&block))?;
        file.sync_all()
    });
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}
