//! The pictures of a folder, within a budget of bytes and with room left on the disk for others: the oldest of what
//! matters least go first.
//!
//! There is no index beside the pictures that a crash could leave wrong. A name tells all: when, and with [`Priority`], of
//! what.
//!
//! ```text
//! 20261121T041500123Z-part-03.png          a defect, with heat and boxes
//! 20261121T041500123Z-part-03-original.png    its frame, as it was judged
//! 20261121T041500123Z-part-03-x3.png       its spot, enlarged
//! 20261121T041500223Z-again-part-04.png    the same, still before the lens
//! 20261121T041500323Z-normal-part-05-x3.png    a normal frame, enlarged because all are
//! normal/20261121T041500423Z-part-06.png   a normal frame for later teaching
//! ```
//!
//! What the folder holds is counted by reading it, at the start and whenever room is made; memory does not grow with the
//! number of pictures. Files of other names are neither counted nor deleted.

use super::durable::{remove_unfinished, write_png_durably};
use super::stamp::{LENGTH, is_stamp, stamp};
use bytesize::ByteSize;
use lineside_picture::Picture;
use std::collections::BinaryHeap;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

/// The subfolder for normal frames for later teaching.
pub const NORMAL: &str = "normal";
/// What is deleted beyond what is needed, as a part of the budget: the folder is not read anew for each picture.
const SLACK: u64 = 32;
/// Bytes that are deleted where the disk is full.
const EVICTED_BYTES: u64 = 1 << 20;
/// The most pictures that one reading of the folder deletes.
const BATCH: usize = 256;

/// How much a picture interests, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A normal frame.
    Normal,
    /// A defect that is the one of the frame before, still before the lens.
    Repeated,
    /// A defect.
    Defect,
}

impl Priority {
    /// What follows the stamp in a name.
    fn mark(self) -> &'static str {
        match self {
            Priority::Normal => "-normal-",
            Priority::Repeated => "-again-",
            Priority::Defect => "-",
        }
    }
}

/// What pictures may take.
#[derive(Debug, Clone, Copy)]
pub struct StorageLimits {
    /// Bytes of all pictures together.
    pub bytes: u64,
    /// Bytes of the disk that stay free.
    pub keep_free: u64,
}

/// A folder of pictures.
pub struct ImageStore {
    folder: PathBuf,
    limits: StorageLimits,
    /// Bytes of all pictures; `None` until they could be counted.
    bytes: Option<u64>,
    /// What the names begin with of the pictures that are being written: these are not deleted for each other.
    current: String,
}

impl ImageStore {
    /// The pictures in `folder`; what a crash left half written is removed.
    pub fn open(folder: &Path, limits: StorageLimits) -> ImageStore {
        let mut images = ImageStore { folder: folder.to_path_buf(), limits, bytes: None, current: String::new() };
        // A disk that fails now is told with the first picture, which tries again.
        let _ = images.begin();
        images
    }

    /// What the names of a frame's pictures begin with, made of time, priority and the frame's name; no picture with one of
    /// `endings` is called that. Names hold a time, and clocks go back: a board without a battery begins each day anew.
    pub fn file_stem(&mut self, time: jiff::Timestamp, priority: Priority, frame: &str, endings: &[&str]) -> String {
        let frame = frame.rsplit_once('.').map_or(frame, |(stem, _)| stem);
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
        let frame: String = frame.chars().map(plain).collect();
        let stem = free_stem(&self.folder, format!("{}{}{frame}", stamp(time), priority.mark()), endings);
        self.current.clone_from(&stem);
        stem
    }

    /// The same for a normal frame that is kept for later teaching; with the folder.
    pub fn normal_file_stem(&mut self, time: jiff::Timestamp, frame: &str) -> String {
        let stem = self.file_stem(time, Priority::Defect, frame, &[]);
        let stem = free_stem(&self.folder.join(NORMAL), stem, &[".png"]);
        self.current.clone_from(&stem);
        format!("{NORMAL}/{stem}")
    }

    /// The path of a picture.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a picture durably, and deletes others where they or the disk have no room for it. `name` lies in the folder
    /// and begins with the stem that was given last.
    ///
    /// # Errors
    /// Where it cannot be written, or could only with less room on the disk than is to stay free.
    pub fn write(&mut self, name: &str, picture: &Picture) -> io::Result<()> {
        let path = self.path(name);
        if let Some(folder) = path.parent().filter(|folder| *folder != self.folder) {
            fs::create_dir_all(folder)?;
        }
        // No PNG of these pixels is larger: the fast compression's codes for a byte have 12 bits at most.
        let most = picture.data().len() as u64 * 3 / 2 + 4096;
        self.make_room(most)?;
        let write = || write_png_durably(&path, picture);
        // A disk that others have filled: rather an old picture than the new one.
        write().or_else(|error| if is_full(&error) && self.evict_some() { write() } else { Err(error) })?;
        let bytes = fs::metadata(&path)?.len();
        self.bytes = self.bytes.map(|sum| sum + bytes);
        Ok(())
    }

    /// Deletes some pictures because the disk is full; whether there were any.
    pub fn evict_some(&mut self) -> bool {
        self.delete(EVICTED_BYTES).is_ok_and(|freed| freed > 0)
    }

    /// Makes room for a picture of at most so many bytes.
    fn make_room(&mut self, most: u64) -> io::Result<()> {
        let allowed = self.limits.bytes.checked_sub(most).ok_or_else(|| {
            let (most, bytes) = (ByteSize(most), ByteSize(self.limits.bytes));
            full(format!("a picture may take {most}, output.pictures allows {bytes} for all: raise it"))
        })?;
        let bytes = match self.bytes {
            Some(bytes) => bytes,
            None => self.begin()?,
        };
        let over = bytes.saturating_sub(allowed);
        let free = free_bytes(&self.folder)?;
        let lacking = self.limits.keep_free.saturating_sub(free);
        // Where all of them would not be enough, they stay.
        if lacking > bytes {
            let (free, floor, bytes) = (ByteSize(free), ByteSize(self.limits.keep_free), ByteSize(bytes));
            return Err(full(format!(
                "No space left for pictures: {free} are free on the disk, output.keep_free asks for {floor}, and all older \
                 pictures have {bytes}"
            )));
        }
        if over.max(lacking) > 0 {
            self.delete(over.max(lacking) + self.limits.bytes / SLACK)?;
        }
        Ok(())
    }

    /// Counts what is there, and removes what a crash left half written.
    fn begin(&mut self) -> io::Result<u64> {
        remove_unfinished(&self.folder)?;
        if self.folder.join(NORMAL).is_dir() {
            remove_unfinished(&self.folder.join(NORMAL))?;
        }
        let bytes = self.look()?.bytes;
        self.bytes = Some(bytes);
        Ok(bytes)
    }

    /// Deletes at least so many bytes; gives how many, which are less where there are no more.
    fn delete(&mut self, wanted: u64) -> io::Result<u64> {
        let mut freed = 0;
        while freed < wanted {
            let FolderScan { bytes, oldest } = self.look()?;
            self.bytes = Some(bytes);
            if oldest.is_empty() {
                break;
            }
            for kept in oldest.into_sorted_vec() {
                if freed >= wanted {
                    break;
                }
                match fs::remove_file(self.folder.join(&kept.name)) {
                    // Others may delete pictures as well: then it is gone, and that is all that is wanted.
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                freed += kept.bytes;
                self.bytes = self.bytes.map(|sum| sum.saturating_sub(kept.bytes));
            }
        }
        Ok(freed)
    }

    /// Reads the folder.
    fn look(&self) -> io::Result<FolderScan> {
        let mut seen = FolderScan { bytes: 0, oldest: BinaryHeap::with_capacity(BATCH + 1) };
        for entry in fs::read_dir(&self.folder)? {
            self.see(&entry?, false, &mut seen)?;
        }
        match fs::read_dir(self.folder.join(NORMAL)) {
            Ok(entries) => entries.into_iter().try_for_each(|entry| self.see(&entry?, true, &mut seen))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(seen)
    }

    fn see(&self, entry: &DirEntry, is_normal: bool, seen: &mut FolderScan) -> io::Result<()> {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.ends_with(".png")) else { return Ok(()) };
        let Some((_, mark)) = name.split_at_checked(LENGTH).filter(|(stamp, _)| is_stamp(stamp)) else { return Ok(()) };
        let priority = match [Priority::Normal, Priority::Repeated].iter().find(|is| mark.starts_with(is.mark())) {
            _ if is_normal => Priority::Normal,
            Some(priority) => *priority,
            None => Priority::Defect,
        };
        // Deleted by somebody else since.
        let Ok(file) = entry.metadata() else { return Ok(()) };
        seen.bytes += file.len();
        if self.current.is_empty() || !name.starts_with(&self.current) {
            let path = if is_normal { format!("{NORMAL}/{name}") } else { name.into() };
            seen.oldest.push(StoredImage { priority, stamped: name.into(), name: path, bytes: file.len() });
            if seen.oldest.len() > BATCH {
                seen.oldest.pop();
            }
        }
        Ok(())
    }
}

/// What is in the folder.
struct FolderScan {
    bytes: u64,
    /// What goes first; the last of these on top.
    oldest: BinaryHeap<StoredImage>,
}

/// A picture, in the order in which they go.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct StoredImage {
    priority: Priority,
    /// Its name without its folder.
    stamped: String,
    name: String,
    bytes: u64,
}

fn full(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, text)
}

/// Whether there is no room on the disk.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Bytes of the folder's disk that a user may still fill.
fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail * disk.f_frsize)
}

/// `stem`, or with a number behind it, so that no file of `folder` is called that and one of `endings`.
fn free_stem(folder: &Path, stem: String, endings: &[&str]) -> String {
    let taken = |stem: &str| endings.iter().any(|ending| folder.join(format!("{stem}{ending}")).exists());
    if !taken(&stem) {
        return stem;
    }
    let mut numbered = (2_u64..).map(|number| format!("{stem}-{number}"));
    numbered.find(|stem| !taken(stem)).unwrap_or(stem)
}

#[cfg(test)]
#[path = "image_store_tests.rs"]
mod tests;
