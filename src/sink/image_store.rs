//! The images of a folder, within a budget of bytes and with a reserve on the disk. The oldest of the lowest priority are
//! deleted first.
//!
//! There is no index that a crash could leave inconsistent: the file name holds the time and the [`Priority`].
//!
//! ```text
//! 20261121T041500123Z-part-03.png          a defect, with heatmap and boxes
//! 20261121T041500123Z-part-03-original.png    its frame, as it was inspected
//! 20261121T041500123Z-part-03-x3.png       its spot, upscaled
//! 20261121T041500223Z-again-part-04.png    the same defect, still in view
//! 20261121T041500323Z-normal-part-05-x3.png    a normal frame, upscaled because all are
//! normal/20261121T041500423Z-part-06.png   a normal frame for later teaching
//! ```
//!
//! The size of the folder is counted by reading it, at the start and whenever something is evicted, so memory does not grow
//! with the number of images. Files with other names are neither counted nor deleted.

use super::durable::{remove_unfinished, write_png_durably};
use super::stamp::{LENGTH, is_stamp, stamp};
use crate::storage;
use bytesize::ByteSize;
use lineside_picture::Picture;
use std::collections::BinaryHeap;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

/// The subfolder of normal frames for later teaching.
pub const NORMAL: &str = "normal";
/// Evicted beyond what is needed, as a fraction of the budget, so that the folder is not read for every image.
const SLACK: u64 = 32;
/// Bytes that are evicted when the disk is full.
const EVICTED_BYTES: u64 = 1 << 20;
/// Bytes of a frame's name in the names of its images. File systems take 255 in all, with stamp, priority, a number, the ending
/// and what an unfinished file has.
const LONGEST_NAME: usize = 180;
/// The most images that one reading of the folder evicts.
const BATCH: usize = 256;

/// What an image is worth keeping, the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// A normal frame.
    Normal,
    /// The defect of the frame before, still in view.
    Repeated,
    /// A defect.
    Defect,
}

impl Priority {
    /// What follows the stamp in a file name.
    fn mark(self) -> &'static str {
        match self {
            Priority::Normal => "-normal-",
            Priority::Repeated => "-again-",
            Priority::Defect => "-",
        }
    }
}

/// How much space images may take.
#[derive(Debug, Clone, Copy)]
pub struct StorageLimits {
    /// Bytes of all images together.
    pub bytes: u64,
    /// Bytes of the disk that stay free.
    pub keep_free: u64,
}

/// A folder of images.
pub struct ImageStore {
    folder: PathBuf,
    limits: StorageLimits,
    /// Bytes of all images; `None` until they could be counted.
    bytes: Option<u64>,
    /// The file stem of the images that are being written: they are not evicted for each other.
    current: String,
}

impl ImageStore {
    /// Opens the images in `folder` and removes what a crash left partially written.
    pub fn open(folder: &Path, limits: StorageLimits) -> ImageStore {
        let mut images = ImageStore { folder: folder.to_path_buf(), limits, bytes: None, current: String::new() };
        // If the disk fails now, the first image tries again and reports it.
        let _ = images.begin();
        images
    }

    /// The common stem of the file names of a frame's images, made of time, priority and the frame's name. No image has this
    /// stem with one of `endings` yet, even if the clock was set back: a board without a battery starts every day at the same time.
    pub fn file_stem(&mut self, time: jiff::Timestamp, priority: Priority, frame: &str, endings: &[&str]) -> String {
        let mut frame = short_name(frame.rsplit_once('.').map_or(frame, |(stem, _)| stem));
        // A defect in a file called `normal-1.png` would count as a normal frame.
        let marks = [Priority::Normal, Priority::Repeated].map(Priority::mark);
        if marks.iter().any(|mark| frame.starts_with(&mark[1..])) {
            frame.insert(0, '_');
        }
        let stem = free_stem(&self.folder, format!("{}{}{frame}", stamp(time), priority.mark()), endings);
        self.current.clone_from(&stem);
        stem
    }

    /// The same for a normal frame that is kept for later teaching; includes the subfolder.
    pub fn normal_file_stem(&mut self, time: jiff::Timestamp, frame: &str) -> String {
        let stem = self.file_stem(time, Priority::Defect, frame, &[]);
        let stem = free_stem(&self.folder.join(NORMAL), stem, &[".png"]);
        self.current.clone_from(&stem);
        format!("{NORMAL}/{stem}")
    }

    /// The path of an image.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes an image durably, and evicts others if the budget or the disk has no room for it. `name` is relative to the folder
    /// and begins with the stem that was returned last.
    ///
    /// # Errors
    /// If it cannot be written, or only with less free space on the disk than the reserve.
    pub fn write(&mut self, name: &str, picture: &Picture) -> io::Result<()> {
        let path = self.path(name);
        if let Some(folder) = path.parent().filter(|folder| *folder != self.folder) {
            fs::create_dir_all(folder)?;
        }
        // No PNG of these pixels is larger: the fast compression's codes have at most 12 bits per byte.
        let most = picture.data().len() as u64 * 3 / 2 + 4096;
        self.make_room(most)?;
        let write = || write_png_durably(&path, picture);
        // If others have filled the disk, the new image matters more than an old one.
        write().or_else(|error| if is_full(&error) && self.evict_some() { write() } else { Err(error) })?;
        // Others may have deleted it already: it was written all the same.
        let bytes = fs::metadata(&path).map_or(0, |file| file.len());
        self.bytes = self.bytes.map(|sum| sum + bytes);
        Ok(())
    }

    /// Evicts some images because the disk is full; returns whether there were any.
    pub fn evict_some(&mut self) -> bool {
        self.evict(EVICTED_BYTES).is_ok_and(|freed| freed > 0)
    }

    /// Makes room for an image of at most so many bytes.
    fn make_room(&mut self, most: u64) -> io::Result<()> {
        let allowed = self.limits.bytes.checked_sub(most).ok_or_else(|| {
            let (most, bytes) = (ByteSize(most), ByteSize(self.limits.bytes));
            full(format!("a picture may take {most}, output.pictures allows {bytes} for all: raise it"))
        })?;
        let mut bytes = match self.bytes {
            Some(bytes) => bytes,
            None => self.begin()?,
        };
        let free = storage::free_bytes(&self.folder)?;
        if bytes > allowed || free < self.limits.keep_free {
            // Others may have deleted pictures as well: what they took needs no room any more.
            bytes = self.scan()?.bytes;
            self.bytes = Some(bytes);
        }
        let over = bytes.saturating_sub(allowed);
        let lacking = self.limits.keep_free.saturating_sub(free);
        // If evicting all of them would not be enough, they stay.
        if lacking > bytes {
            let (free, floor, bytes) = (ByteSize(free), ByteSize(self.limits.keep_free), ByteSize(bytes));
            return Err(full(format!(
                "No space left for pictures: {free} are free on the disk, output.keep_free asks for {floor}, and all older \
                 pictures have {bytes}"
            )));
        }
        if over.max(lacking) > 0 {
            self.evict(over.max(lacking) + self.limits.bytes / SLACK)?;
        }
        Ok(())
    }

    /// Counts the images, and removes what a crash left partially written.
    fn begin(&mut self) -> io::Result<u64> {
        remove_unfinished(&self.folder)?;
        if self.folder.join(NORMAL).is_dir() {
            remove_unfinished(&self.folder.join(NORMAL))?;
        }
        let bytes = self.scan()?.bytes;
        self.bytes = Some(bytes);
        Ok(bytes)
    }

    /// Evicts images of at least `wanted` bytes, if there are so many; returns how many bytes.
    fn evict(&mut self, wanted: u64) -> io::Result<u64> {
        let mut freed = 0;
        while freed < wanted {
            let FolderScan { bytes, oldest } = self.scan()?;
            self.bytes = Some(bytes);
            if oldest.is_empty() {
                break;
            }
            for image in oldest.into_sorted_vec() {
                if freed >= wanted {
                    break;
                }
                // Others may delete pictures as well: then it is gone, and that is all that is wanted.
                storage::remove(&self.folder.join(&image.name))?;
                freed += image.bytes;
                self.bytes = self.bytes.map(|sum| sum.saturating_sub(image.bytes));
            }
        }
        Ok(freed)
    }

    /// Reads the folder.
    fn scan(&self) -> io::Result<FolderScan> {
        let mut scan = FolderScan { bytes: 0, oldest: BinaryHeap::with_capacity(BATCH + 1) };
        for entry in fs::read_dir(&self.folder)? {
            self.scan_entry(&entry?, false, &mut scan)?;
        }
        match fs::read_dir(self.folder.join(NORMAL)) {
            Ok(entries) => entries.into_iter().try_for_each(|entry| self.scan_entry(&entry?, true, &mut scan))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(scan)
    }

    fn scan_entry(&self, entry: &DirEntry, is_normal: bool, scan: &mut FolderScan) -> io::Result<()> {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.ends_with(".png")) else { return Ok(()) };
        let Some((_, mark)) = name.split_at_checked(LENGTH).filter(|(stamp, _)| is_stamp(stamp)) else { return Ok(()) };
        let priority = match [Priority::Normal, Priority::Repeated].iter().find(|is| mark.starts_with(is.mark())) {
            _ if is_normal => Priority::Normal,
            Some(priority) => *priority,
            None => Priority::Defect,
        };
        // Deleted by others meanwhile.
        let Ok(file) = entry.metadata() else { return Ok(()) };
        scan.bytes += file.len();
        if self.current.is_empty() || !name.starts_with(&self.current) {
            let path = if is_normal { format!("{NORMAL}/{name}") } else { name.into() };
            scan.oldest.push(StoredImage { priority, stamped: name.into(), name: path, bytes: file.len() });
            if scan.oldest.len() > BATCH {
                scan.oldest.pop();
            }
        }
        Ok(())
    }
}

/// What a reading of the folder found.
struct FolderScan {
    bytes: u64,
    /// What is evicted first; the last of these on top.
    oldest: BinaryHeap<StoredImage>,
}

/// An image, in the order of eviction.
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

/// Whether an error means that the disk is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A frame's name in plain characters. One that would make a file name too long with what is added before and behind it loses its
/// end, in place of which a checksum of the whole keeps it apart from others.
fn short_name(frame: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' };
    let name: String = frame.chars().map(plain).collect();
    if name.len() <= LONGEST_NAME {
        return name;
    }
    format!("{}-{:08x}", &name[..LONGEST_NAME - 9], crc32fast::hash(frame.as_bytes()))
}

/// `stem`, or `stem` with a number, so that no file of `folder` has this stem with one of `endings`.
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
