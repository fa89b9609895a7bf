//! Frames that people marked as good or as a kind of defect. The folder is the store: `teach`, `eval` and `recalibrate` take it as it is.
//!
//! ```text
//! marks/good/20261121T041500423Z-part-06.png
//! marks/defect/scratch/20261121T041500123Z-part-03-original.png
//! ```
//!
//! A mark is one more name of the picture, so it takes no room and stays when the picture itself is deleted to stay within
//! `output.pictures`. It is given in one step, changed in one step, and is on the disk when it is acknowledged. There is no index that a
//! crash could leave inconsistent, and whoever moves files by hand changes marks.

use super::image_store::NORMAL;
use crate::storage;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The subfolder of marked frames.
pub const MARKS: &str = "marks";
/// How the names of frames in the folder of results end.
const ORIGINAL: &str = "-original.png";
const GOOD: &str = "good";
const DEFECT: &str = "defect";
/// The most frames that are marked.
const MOST_FRAMES: usize = 20_000;
/// The most kinds of defects.
const MOST_KINDS: usize = 32;
/// The longest name of a kind.
const LONGEST_KIND: usize = 40;
/// Upper bound of the memory of one request, in bytes: the names of all marked frames.
pub const MARKS_BYTES: u64 = MOST_FRAMES as u64 * 320;

/// What a frame shows, as people say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FrameMark {
    /// A good part.
    Good,
    /// A defect of a kind.
    Defect(String),
}

/// What became of frames that were to be marked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// How many have the mark now.
    pub marked: usize,
    /// Names of those that are not there any more: deleted to stay within the budget.
    pub missing: Vec<String>,
}

/// A frame with its mark.
#[derive(Debug, PartialEq, Eq)]
pub struct MarkedFrame {
    /// The file's name in the folder of marks.
    pub name: String,
    /// Its mark.
    pub mark: FrameMark,
}

/// Why frames cannot be marked.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// The kind cannot be the name of a folder.
    #[error("a kind of defect has 1 to {LONGEST_KIND} letters, digits and -_ only, and is not \"good\"")]
    Kind,
    /// A picture that was made of a frame: nobody is to learn from its heat and boxes.
    #[error("{0} is no frame as it was inspected: mark files.original of its record")]
    NotAFrame(String),
    /// There are too many marks.
    #[error("{0}")]
    TooMany(String),
    /// The disk has no room. What was acknowledged before stays.
    #[error("the disk is full: no mark of this request counts; free room on it, and mark again")]
    Full,
    /// The disk fails.
    #[error("{0}")]
    Disk(io::Error),
}

impl From<io::Error> for MarkError {
    fn from(error: io::Error) -> MarkError {
        if super::is_full(&error) { MarkError::Full } else { MarkError::Disk(error) }
    }
}

/// The marks of a folder of results; shared by threads, of which one changes them at a time.
pub struct Marks {
    results: PathBuf,
    /// Bytes of the disk that stay free.
    keep_free: u64,
    changing: Mutex<()>,
}

impl FrameMark {
    /// The mark for a kind of defect.
    ///
    /// # Errors
    /// [`MarkError::Kind`].
    pub fn defect(kind: &str) -> Result<FrameMark, MarkError> {
        let plain = kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        // `teach` and `eval` take a folder of this name for good parts.
        let fits = plain && (1..=LONGEST_KIND).contains(&kind.len()) && !kind.eq_ignore_ascii_case(GOOD);
        if fits { Ok(FrameMark::Defect(kind.into())) } else { Err(MarkError::Kind) }
    }

    /// Whether it is one of a defect.
    pub fn is_defect(&self) -> bool {
        matches!(self, FrameMark::Defect(_))
    }
}

impl Marks {
    /// The marks in a folder of results. Nothing is written while `keep_free` bytes of its disk are not free.
    pub fn new(results: PathBuf, keep_free: u64) -> Marks {
        Marks { results, keep_free, changing: Mutex::default() }
    }

    /// The folder of marks.
    pub fn folder(&self) -> PathBuf {
        self.results.join(MARKS)
    }

    /// The folder of the frames that are marked as good.
    pub fn good_folder(&self) -> PathBuf {
        self.path(&FrameMark::Good)
    }

    /// The folder of the frames that are marked as defects, with a folder for each kind.
    pub fn defect_folder(&self) -> PathBuf {
        self.folder().join(DEFECT)
    }

    /// Bytes of the disk that stay free.
    pub fn keep_free(&self) -> u64 {
        self.keep_free
    }

    /// Gives frames a mark, or takes theirs away. `pictures` are the names of their pictures, as records have them (`files.original`).
    /// When this returns without an error all of it is on the disk; after an error some may have the mark.
    ///
    /// # Errors
    /// [`MarkError`]; no mark from before is lost.
    pub fn mark(&self, pictures: &[String], mark: Option<&FrameMark>) -> Result<Marked, MarkError> {
        let _alone = self.lock();
        let known: HashMap<String, FrameMark> = self.read()?.into_iter().map(|one| (one.name, one.mark)).collect();
        let mut outcome = Marked::default();
        let target = mark.map(|mark| self.path(mark));
        // Before anything is changed.
        let is_made = |picture: &&String| {
            let is_new = frame_name(picture).is_some_and(|name| !known.contains_key(name));
            is_new && !is_frame(picture) && is_file(&self.results.join(picture))
        };
        if let Some(made) = pictures.iter().filter(|_| target.is_some()).find(is_made) {
            return Err(MarkError::NotAFrame(made.clone()));
        }
        if let (Some(mark), Some(target)) = (mark, &target) {
            let is_new = |picture: &&String| frame_name(picture).is_some_and(|name| !known.contains_key(name));
            self.check_room(mark, known.len() + pictures.iter().filter(is_new).count())?;
            self.create(target)?;
        }
        let (mut changed, mut seen) = (BTreeSet::new(), BTreeSet::new());
        for picture in pictures {
            let Some(name) = frame_name(picture) else {
                outcome.missing.push(picture.clone());
                continue;
            };
            // A frame that is named twice has one mark.
            if !seen.insert(name) {
                continue;
            }
            let before = known.get(name).map(|mark| self.path(mark));
            let is_done = match (&before, &target) {
                (None, None) => true,
                (Some(before), None) => {
                    storage::remove(&before.join(name))?;
                    true
                }
                (Some(before), Some(target)) if before == target => true,
                // Somebody may have moved it away meanwhile.
                (Some(before), Some(target)) => match storage::rename(&before.join(name), &target.join(name)) {
                    Err(error) if error.kind() == ErrorKind::NotFound => false,
                    renamed => renamed.map(|()| true)?,
                },
                (None, Some(target)) => give_name(&self.results.join(picture), &target.join(name))?,
            };
            if is_done {
                outcome.marked += 1;
                // Once more where nothing changed: a request that failed before may have left it unsynced.
                changed.extend(before);
                changed.extend(target.clone());
            } else {
                outcome.missing.push(picture.clone());
            }
        }
        for folder in changed {
            storage::sync_folder(&folder)?;
        }
        Ok(outcome)
    }

    /// All marked frames, in order of their names within each mark.
    ///
    /// # Errors
    /// Of the disk.
    pub fn read(&self) -> io::Result<Vec<MarkedFrame>> {
        let mut found = Vec::new();
        let mut kinds: Vec<(PathBuf, FrameMark)> = vec![(self.path(&FrameMark::Good), FrameMark::Good)];
        kinds.extend(self.kinds()?.into_iter().map(|kind| (self.defect_folder().join(&kind), FrameMark::Defect(kind))));
        for (folder, mark) in kinds {
            let names = names_in(&folder, |entry| entry.is_file())?;
            let frames = names.into_iter().filter(|name| frame_name(name) == Some(name));
            found.extend(frames.map(|name| MarkedFrame { name, mark: mark.clone() }));
        }
        Ok(found)
    }

    /// How many frames have each mark.
    ///
    /// # Errors
    /// Of the disk.
    pub fn counts(&self) -> io::Result<BTreeMap<FrameMark, usize>> {
        let mut counts = BTreeMap::new();
        for frame in self.read()? {
            *counts.entry(frame.mark).or_default() += 1;
        }
        Ok(counts)
    }

    /// The kinds of defects that there are.
    ///
    /// # Errors
    /// Of the disk.
    pub fn kinds(&self) -> io::Result<Vec<String>> {
        let names = names_in(&self.defect_folder(), |entry| entry.is_dir())?;
        Ok(names.into_iter().filter(|name| FrameMark::defect(name).is_ok()).take(MOST_KINDS).collect())
    }

    /// The mark of a frame, by the name of its picture; `kinds` are those that there are.
    pub fn mark_of(&self, picture: &str, kinds: &[String]) -> Option<FrameMark> {
        let name = frame_name(picture)?;
        let is_in = |folder: PathBuf| is_file(&folder.join(name));
        if is_in(self.path(&FrameMark::Good)) {
            return Some(FrameMark::Good);
        }
        let defects = self.defect_folder();
        kinds.iter().find(|kind| is_in(defects.join(kind))).cloned().map(FrameMark::Defect)
    }

    /// The folder and the name of the picture of a marked frame, by the name of its picture in a record: it is there also where that one
    /// was deleted.
    pub fn place_of<'a>(&self, picture: &'a str) -> Option<(PathBuf, &'a str)> {
        let name = frame_name(picture)?;
        let mark = self.mark_of(picture, &self.kinds().ok()?)?;
        Some((self.path(&mark), name))
    }

    /// Whether there may be so many marked frames, one of them of this mark.
    fn check_room(&self, mark: &FrameMark, frames: usize) -> Result<(), MarkError> {
        if frames > MOST_FRAMES {
            let text = format!(
                "there would be more than {MOST_FRAMES} marked frames: move some out of {}",
                self.folder().display()
            );
            return Err(MarkError::TooMany(text));
        }
        let kinds = self.kinds()?;
        if let FrameMark::Defect(kind) = mark
            && !kinds.contains(kind)
            && kinds.len() >= MOST_KINDS
        {
            return Err(MarkError::TooMany(format!("there are {MOST_KINDS} kinds of defects already")));
        }
        if storage::free_bytes(&self.results)? < self.keep_free { Err(MarkError::Full) } else { Ok(()) }
    }

    fn path(&self, mark: &FrameMark) -> PathBuf {
        match mark {
            FrameMark::Good => self.folder().join(GOOD),
            FrameMark::Defect(kind) => self.defect_folder().join(kind),
        }
    }

    /// Makes a folder of marks, durably, with those above it.
    fn create(&self, folder: &Path) -> io::Result<()> {
        let above: Vec<&Path> = folder.ancestors().take_while(|path| *path != self.results).collect();
        for path in above.into_iter().rev() {
            if !path.is_dir() {
                storage::create_folder(path)?;
            }
            // Once more where it is there: an earlier request may have failed before.
            storage::sync_folder(storage::folder_of(path))?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a frame among the marks: that of its picture, which is in the folder of results, or among the normal frames. `None` for what
/// leads elsewhere.
fn frame_name(picture: &str) -> Option<&str> {
    let name = picture.strip_prefix(NORMAL).and_then(|rest| rest.strip_prefix('/')).unwrap_or(picture);
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (plain && !name.starts_with('.') && name.ends_with(".png") && name.len() <= 255).then_some(name)
}

/// Whether a file is at a path, and no link to one.
fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_file())
}

/// Whether the name of a picture in a record is that of a frame as it was inspected.
fn is_frame(picture: &str) -> bool {
    picture.ends_with(ORIGINAL) || picture.strip_prefix(NORMAL).is_some_and(|rest| rest.starts_with('/'))
}

/// Gives a picture one more name; where the file system has no links, a copy of it. Returns whether the picture is there.
fn give_name(from: &Path, to: &Path) -> io::Result<bool> {
    if !is_file(from) {
        return Ok(false);
    }
    match storage::link(from, to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(true),
        Err(error) if super::is_full(&error) => Err(error),
        Err(_) => {
            let mut file = storage::open_to_read(from)?;
            storage::write_durably(to, |out| io::copy(&mut file, out).map(drop)).map(|()| true)
        }
    }
}

/// Names in a folder, in order; none where there is no folder. At most those that may be there.
fn names_in(folder: &Path, wanted: impl Fn(&fs::FileType) -> bool) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries.take(2 * MOST_FRAMES) {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| wanted(&kind))
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::faults::{Fault, FaultyDisk, crash_states};

    fn results() -> (tempfile::TempDir, Marks) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(NORMAL)).unwrap();
        for name in ["a-original.png", "b-original.png", "normal/c.png"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let marks = Marks::new(folder.path().into(), 0);
        (folder, marks)
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_string()).collect()
    }

    #[test]
    fn a_frame_is_marked_marked_otherwise_and_not_marked_again() {
        let (folder, marks) = results();
        let scratch = FrameMark::defect("scratch").unwrap();
        let all = names(&["a-original.png", "normal/c.png", "gone.png"]);
        let outcome = marks.mark(&all, Some(&FrameMark::Good)).unwrap();
        assert_eq!(outcome, Marked { marked: 2, missing: names(&["gone.png"]) });
        assert_eq!(fs::read(folder.path().join("marks/good/c.png")).unwrap(), b"normal/c.png");
        // The picture itself may go: the mark keeps it.
        fs::remove_file(folder.path().join("a-original.png")).unwrap();
        assert_eq!(marks.mark(&all[..1], Some(&scratch)).unwrap().marked, 1);
        assert_eq!(fs::read(folder.path().join("marks/defect/scratch/a-original.png")).unwrap(), b"a-original.png");
        assert_eq!(
            marks.counts().unwrap().into_iter().collect::<Vec<_>>(),
            [(FrameMark::Good, 1), (scratch.clone(), 1)]
        );
        let kinds = marks.kinds().unwrap();
        assert_eq!(kinds, ["scratch"]);
        let of = |name: &str| marks.mark_of(name, &kinds);
        assert_eq!(
            (of("a-original.png"), of("normal/c.png"), of("b-original.png")),
            (Some(scratch), Some(FrameMark::Good), None)
        );
        let place = folder.path().join("marks/defect/scratch");
        assert_eq!(marks.place_of("a-original.png"), Some((place, "a-original.png")));
        assert_eq!((marks.place_of("b-original.png"), marks.place_of("../a-original.png")), (None, None));
        // Named twice, it is one frame; what was made of a frame is none.
        let twice = names(&["normal/c.png", "c.png", "normal/c.png"]);
        assert_eq!(marks.mark(&twice, Some(&FrameMark::Good)).unwrap(), Marked { marked: 1, missing: Vec::new() });
        fs::write(folder.path().join("a.png"), "heat and boxes").unwrap();
        let made = marks.mark(&names(&["b-original.png", "a.png"]), Some(&FrameMark::Good)).unwrap_err();
        assert!(made.to_string().starts_with("a.png is no frame as it was inspected"), "{made}");
        assert_eq!(marks.counts().unwrap().values().sum::<usize>(), 2);
        assert_eq!(marks.mark(&all, None).unwrap().marked, 3);
        assert!(marks.read().unwrap().is_empty() && folder.path().join("normal/c.png").exists());
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let (folder, marks) = results();
        fs::write(folder.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("secret", folder.path().join("link.png")).unwrap();
        let hostile = names(&[
            "../x.png",
            "normal/../a-original.png",
            "/etc/passwd",
            "secret",
            "link.png",
            ".a.png",
            "",
            "a.png\0",
        ]);
        let outcome = marks.mark(&hostile, Some(&FrameMark::Good)).unwrap();
        assert_eq!((outcome.marked, outcome.missing.len()), (0, hostile.len()));
        for kind in ["", "..", "a/b", "good", "Good", "é", ".x", &"k".repeat(41)] {
            assert!(FrameMark::defect(kind).is_err(), "{kind}");
        }
    }

    #[test]
    fn a_full_disk_marks_nothing_and_loses_nothing() {
        let (folder, _) = results();
        let marks = Marks::new(folder.path().into(), u64::MAX);
        let error = marks.mark(&names(&["a-original.png"]), Some(&FrameMark::Good)).unwrap_err();
        assert!(matches!(error, MarkError::Full), "{error}");
        // Each step of a change may find it full: what was acknowledged before stays.
        let steps = {
            let (folder, marks) = results();
            let disk = FaultyDisk::new();
            marks.mark(&names(&["a-original.png"]), Some(&FrameMark::Good)).unwrap();
            marks
                .mark(&names(&["a-original.png", "b-original.png"]), Some(&FrameMark::defect("dent").unwrap()))
                .unwrap();
            let _ = folder;
            disk.changes()
        };
        for step in 0..steps {
            let (_folder, marks) = results();
            let disk = FaultyDisk::new();
            disk.fail_at(step, Fault::Short);
            let both = names(&["a-original.png", "b-original.png"]);
            let first = marks.mark(&both[..1], Some(&FrameMark::Good));
            let second = marks.mark(&both, Some(&FrameMark::defect("dent").unwrap()));
            drop(disk);
            let found = marks.read().unwrap();
            let of_a: Vec<&MarkedFrame> = found.iter().filter(|one| one.name == both[0]).collect();
            if first.is_ok() || second.is_ok() {
                assert_eq!(of_a.len(), 1, "{step}: {found:?}");
            }
            assert!(second.is_err() || found.len() == 2, "{step}: {found:?}");
        }
    }

    #[test]
    fn a_power_cut_loses_no_mark_that_was_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let marks = Marks::new(folder.path().into(), 0);
        let disk = FaultyDisk::new();
        storage::write_durably(&folder.path().join("a-original.png"), |out| out.write_all(b"a")).unwrap();
        marks.mark(&names(&["a-original.png"]), Some(&FrameMark::Good)).unwrap();
        let good = folder.path().join("marks/good/a-original.png");
        for state in crash_states(&disk.operations()) {
            assert_eq!(state.get(&good).map(Vec::as_slice), Some(b"a".as_slice()));
        }
        marks.mark(&names(&["a-original.png"]), Some(&FrameMark::defect("dent").unwrap())).unwrap();
        let dent = folder.path().join("marks/defect/dent/a-original.png");
        for state in crash_states(&disk.operations()) {
            assert!(state.contains_key(&dent) && !state.contains_key(&good), "{:?}", state.keys());
        }
        // In the middle of it the frame has one mark or the other.
        let operations = disk.operations();
        for end in 0..operations.len() {
            let is_marked = operations[..end].iter().any(|one| matches!(one, crate::storage::faults::Operation::SyncFolder { folder } if folder.ends_with("good")));
            for state in crash_states(&operations[..end]).iter().filter(|_| is_marked) {
                assert!(state.contains_key(&dent) != state.contains_key(&good), "{end}: {:?}", state.keys());
            }
        }
    }
}
