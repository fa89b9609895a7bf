//! Which files of a drop folder were inspected, over restarts.
//!
//! A file is known by its path below the folder, its size and its time of change: one that is written again is inspected again. Kept
//! are 64 bits of a hash of each, in a text file with a line for each. It is written without a sync: what a power cut takes is
//! inspected twice, never not at all.

use crate::files;
use crate::sink::write_durably;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most files that are remembered: some 16 MB of memory where a folder has so many.
pub(super) const MOST: usize = 200_000;
/// Its first line.
const HEADER: &str = "# lineside: files of a drop folder that were inspected\n";
/// Bytes of a line: two hashes, a space and the line's end.
const LINE: usize = 34;
/// Lines about files that are known better by later lines, before the file is written anew.
const OUTDATED: usize = 10_000;

/// Where a file lies below the folder, as a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place(u64);

/// What a file was when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// In bytes.
    pub(super) size: u64,
    /// Nanoseconds since 1970 of its last change.
    pub(super) changed: i128,
}

impl Place {
    /// Of a path below the folder.
    pub(super) fn of(inside: &Path) -> Place {
        Place(short_hash(inside.as_os_str().as_bytes()))
    }
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        let changed = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Stamp { size: metadata.size(), changed }
    }

    fn hash(self) -> u64 {
        short_hash(format!("{} {}", self.size, self.changed).as_bytes())
    }
}

/// The files that were inspected.
#[derive(Debug, Default)]
pub(super) struct SeenFiles {
    path: PathBuf,
    stamps: HashMap<Place, u64>,
    /// Lines in the file.
    lines: usize,
    file: Option<File>,
}

impl SeenFiles {
    /// Forgets a file, until it is added again.
    pub(super) fn forget(&mut self, place: Place) {
        self.stamps.remove(&place);
    }

    /// Reads the file at `path`, which need not exist. Lines that are damaged are left out; they are counted in the second value.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn load(path: PathBuf) -> io::Result<(SeenFiles, u64)> {
        let mut seen = SeenFiles { path, ..SeenFiles::default() };
        let mut damaged = 0;
        let file = match files::open(&seen.path) {
            Ok((file, _)) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((seen, 0)),
            Err(error) => return Err(error),
        };
        // Twice as many as are remembered, and the lines that are outdated.
        let limit = ((2 * MOST + OUTDATED) * LINE + HEADER.len()) as u64;
        for line in BufReader::new(file.take(limit)).split(b'\n') {
            let line = line?;
            match parse(&line) {
                _ if line.is_empty() || line.starts_with(b"#") => {}
                Some((place, stamp)) => {
                    seen.lines += 1;
                    seen.stamps.insert(place, stamp);
                }
                None => damaged += 1,
            }
        }
        if damaged > 0 {
            // The next line would be appended to half of one.
            seen.write_anew()?;
        }
        Ok((seen, damaged))
    }

    /// Whether a file was inspected as it is now.
    pub(super) fn contains(&self, place: Place, stamp: Stamp) -> bool {
        self.stamps.get(&place) == Some(&stamp.hash())
    }

    /// Whether one more file can be remembered.
    pub(super) fn has_room_for(&self, place: Place) -> bool {
        self.stamps.len() < MOST || self.stamps.contains_key(&place)
    }

    /// Remembers a file.
    ///
    /// # Errors
    /// Where that cannot be written; it is remembered until the program ends all the same.
    pub(super) fn add(&mut self, place: Place, stamp: Stamp) -> io::Result<()> {
        let hash = stamp.hash();
        if self.stamps.insert(place, hash) == Some(hash) {
            return Ok(());
        }
        if self.lines >= self.stamps.len() + OUTDATED {
            return self.write_anew();
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open(&self.path)?),
        };
        file.write_all(line(place, hash).as_bytes())?;
        self.lines += 1;
        Ok(())
    }

    /// Forgets all files but these, where that makes room: others are not there any more.
    ///
    /// # Errors
    /// Where that cannot be written.
    pub(super) fn keep_only(&mut self, there: &dyn Fn(Place) -> bool) -> io::Result<()> {
        let before = self.stamps.len();
        self.stamps.retain(|place, _| there(*place));
        if self.stamps.len() < before { self.write_anew() } else { Ok(()) }
    }

    fn write_anew(&mut self) -> io::Result<()> {
        self.file = None;
        write_durably(&self.path, |out| {
            out.write_all(HEADER.as_bytes())?;
            self.stamps.iter().try_for_each(|(place, stamp)| out.write_all(line(*place, *stamp).as_bytes()))
        })?;
        self.lines = self.stamps.len();
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    if is_new {
        file.write_all(HEADER.as_bytes())?;
    }
    Ok(file)
}

fn line(place: Place, stamp: u64) -> String {
    format!("{:016x} {stamp:016x}\n", place.0)
}

fn parse(line: &[u8]) -> Option<(Place, u64)> {
    let line = std::str::from_utf8(line).ok().filter(|line| line.len() == LINE - 1)?;
    let (place, stamp) = line.split_once(' ')?;
    Some((Place(u64::from_str_radix(place, 16).ok()?), u64::from_str_radix(stamp, 16).ok()?))
}

/// The first 64 bits of SHA-256.
fn short_hash(bytes: &[u8]) -> u64 {
    Sha256::digest(bytes).iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(size: u64) -> Stamp {
        Stamp { size, changed: 5 }
    }

    #[test]
    fn what_was_inspected_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen");
        let (mut seen, _) = SeenFiles::load(path.clone()).unwrap();
        let (a, b) = (Place::of(Path::new("a.png")), Place::of(Path::new("sub/a.png")));
        seen.add(a, stamp(1)).unwrap();
        seen.add(a, stamp(2)).unwrap();
        assert!(seen.contains(a, stamp(2)) && !seen.contains(a, stamp(1)) && !seen.contains(b, stamp(2)));
        let (seen, damaged) = SeenFiles::load(path.clone()).unwrap();
        assert!(damaged == 0 && seen.contains(a, stamp(2)) && !seen.contains(a, stamp(1)));
        assert!(std::fs::read_to_string(path).unwrap().starts_with("# lineside: files"));
    }

    #[test]
    fn a_line_that_was_cut_is_left_out_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen");
        let places = ["a", "b", "c"].map(|name| Place::of(Path::new(name)));
        let (mut seen, _) = SeenFiles::load(path.clone()).unwrap();
        seen.add(places[0], stamp(1)).unwrap();
        seen.add(places[1], stamp(1)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 9]).unwrap();
        let (mut seen, damaged) = SeenFiles::load(path.clone()).unwrap();
        assert_eq!((damaged, seen.stamps.len()), (1, 1));
        seen.add(places[2], stamp(1)).unwrap();
        let (seen, damaged) = SeenFiles::load(path).unwrap();
        assert!(damaged == 0 && seen.contains(places[0], stamp(1)) && seen.contains(places[2], stamp(1)));
    }

    #[test]
    fn the_file_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen");
        let (mut seen, _) = SeenFiles::load(path.clone()).unwrap();
        let place = Place::of(Path::new("latest.jpg"));
        for size in 0..3 * OUTDATED as u64 {
            seen.add(place, stamp(size)).unwrap();
        }
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= OUTDATED + 3, "{lines}");
        assert!(SeenFiles::load(path).unwrap().0.contains(place, stamp(3 * OUTDATED as u64 - 1)));
    }

    #[test]
    fn files_that_are_gone_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let (mut seen, _) = SeenFiles::load(folder.path().join("seen")).unwrap();
        let [a, b] = ["a", "b"].map(|name| Place::of(Path::new(name)));
        seen.add(a, stamp(1)).unwrap();
        seen.add(b, stamp(1)).unwrap();
        seen.keep_only(&|place| place == b).unwrap();
        assert!(!seen.contains(a, stamp(1)) && seen.contains(b, stamp(1)));
        let (seen, _) = SeenFiles::load(folder.path().join("seen")).unwrap();
        assert!(!seen.contains(a, stamp(1)) && seen.contains(b, stamp(1)));
    }
}
