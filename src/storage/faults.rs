//! A disk that fails on purpose: for tests of what is done then.
//!
//! While a [`FaultyDisk`] exists, the changes that this thread makes through this room are counted and recorded, and any of them
//! can be made to fail. [`crash_states`] derives from a recording what a power cut may leave: what was synced, and any part of what
//! was not, in any order, as file systems do it (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014).

use super::{Change, folder_of};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

thread_local! {
    static DISK: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

/// How a change fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; the error has this number.
    Error(rustix::io::Errno),
    /// The first half is written, then the disk is full. Other changes fail as a whole.
    Short,
}

/// A change that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    Create { file: u64, path: PathBuf },
    Write { file: u64, offset: u64, bytes: Vec<u8> },
    Truncate { file: u64, length: u64 },
    Sync { file: u64 },
    Rename { from: PathBuf, to: PathBuf },
    Exchange { a: PathBuf, b: PathBuf },
    Link { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
    CreateFolder { path: PathBuf },
    RemoveFolder { path: PathBuf },
    SyncFolder { folder: PathBuf },
}

#[derive(Default)]
struct Recording {
    operations: Vec<Operation>,
    /// Changes so far, also those that failed.
    changes: usize,
    /// The number of the change that fails.
    fails: Option<(usize, Fault)>,
    /// Every change fails but a removal.
    fails_always: Option<Fault>,
    files: HashMap<(u64, u64), u64>,
    known: u64,
}

/// Makes this thread's storage fail, until it is dropped.
pub struct FaultyDisk(());

impl FaultyDisk {
    /// Records from now on; nothing fails yet, and nothing is really synced.
    pub fn new() -> FaultyDisk {
        DISK.with(|disk| *disk.borrow_mut() = Some(Recording::default()));
        FaultyDisk(())
    }

    /// The change with this number from the beginning fails, counted from 0.
    pub fn fail_at(&self, change: usize, fault: Fault) {
        self.with(|disk| disk.fails = Some((change, fault)));
    }

    /// From now on all changes fail but removals, or none.
    pub fn fail_always(&self, fault: Option<Fault>) {
        self.with(|disk| disk.fails_always = fault);
    }

    /// How many changes there were.
    pub fn changes(&self) -> usize {
        self.with(|disk| disk.changes)
    }

    /// How many of them happened.
    pub fn recorded(&self) -> usize {
        self.with(|disk| disk.operations.len())
    }

    /// What happened.
    pub fn operations(&self) -> Vec<Operation> {
        self.with(|disk| disk.operations.clone())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Recording) -> T) -> T {
        DISK.with(|disk| work(disk.borrow_mut().as_mut().unwrap()))
    }
}

impl Drop for FaultyDisk {
    fn drop(&mut self) {
        DISK.with(|disk| *disk.borrow_mut() = None);
    }
}

impl Recording {
    fn file(&mut self, file: &File, is_new: bool) -> u64 {
        let about = file.metadata().unwrap();
        let key = (about.dev(), about.ino());
        if is_new || !self.files.contains_key(&key) {
            self.known += 1;
            self.files.insert(key, self.known);
        }
        self.files[&key]
    }

    /// Whether the next change fails.
    fn next(&mut self, change: &Change) -> Option<Fault> {
        let number = self.changes;
        self.changes += 1;
        let always = self.fails_always.filter(|_| !matches!(change, Change::Remove(_) | Change::RemoveFolder(_)));
        always.or(self.fails.filter(|(at, _)| *at == number).map(|(_, fault)| fault))
    }
}

/// Performs a change, or lets it fail.
pub(super) fn apply<T>(change: Change, perform: impl FnOnce() -> io::Result<T>) -> io::Result<T>
where
    T: MaybeFile,
{
    let Some(fault) = DISK.with(|disk| disk.borrow_mut().as_mut().map(|disk| disk.next(&change))) else {
        return perform();
    };
    let record = |operation: &dyn Fn(&mut Recording) -> Operation| {
        DISK.with(|disk| {
            let mut disk = disk.borrow_mut();
            let disk = disk.as_mut().unwrap();
            let operation = operation(disk);
            disk.operations.push(operation);
        });
    };
    match (fault, &change) {
        (Some(Fault::Error(number)), _) => return Err(number.into()),
        (Some(Fault::Short), Change::Write(file, offset, bytes)) => {
            let half = &bytes[..bytes.len() / 2];
            write_half(file, *offset, half)?;
            record(&|disk| Operation::Write { file: disk.file(file, false), offset: *offset, bytes: half.to_vec() });
            return Err(rustix::io::Errno::NOSPC.into());
        }
        (Some(Fault::Short), _) => return Err(rustix::io::Errno::NOSPC.into()),
        (None, Change::Sync(_) | Change::SyncFolder(_)) => {
            record(&|disk| match &change {
                Change::Sync(file) => Operation::Sync { file: disk.file(file, false) },
                Change::SyncFolder(folder) => Operation::SyncFolder { folder: folder.to_path_buf() },
                _ => unreachable!(),
            });
            // Not really: tests wait for no disk.
            return Ok(T::nothing());
        }
        (None, _) => {}
    }
    let done = perform()?;
    record(&|disk| match &change {
        Change::Create(path) => {
            Operation::Create { file: disk.file(done.file().unwrap(), true), path: path.to_path_buf() }
        }
        Change::Write(file, offset, bytes) => {
            Operation::Write { file: disk.file(file, false), offset: *offset, bytes: bytes.to_vec() }
        }
        Change::Truncate(file, length) => Operation::Truncate { file: disk.file(file, false), length: *length },
        Change::Rename(from, to) => Operation::Rename { from: from.to_path_buf(), to: to.to_path_buf() },
        Change::Exchange(a, b) => Operation::Exchange { a: a.to_path_buf(), b: b.to_path_buf() },
        Change::Link(from, to) => Operation::Link { from: from.to_path_buf(), to: to.to_path_buf() },
        Change::Remove(path) => Operation::Remove { path: path.to_path_buf() },
        Change::CreateFolder(path) => Operation::CreateFolder { path: path.to_path_buf() },
        Change::RemoveFolder(path) => Operation::RemoveFolder { path: path.to_path_buf() },
        Change::Sync(_) | Change::SyncFolder(_) => unreachable!(),
    });
    Ok(done)
}

/// A file that is opened for appending writes at its end wherever it is asked to.
fn write_half(mut file: &File, offset: u64, half: &[u8]) -> io::Result<()> {
    if file.metadata()?.len() == offset { file.write_all(half) } else { file.write_all_at(half, offset) }
}

/// What a change returns: a file, or nothing.
pub(super) trait MaybeFile {
    fn file(&self) -> Option<&File>;
    fn nothing() -> Self;
}

impl MaybeFile for File {
    fn file(&self) -> Option<&File> {
        Some(self)
    }

    fn nothing() -> File {
        unreachable!("a sync opens no file")
    }
}

impl MaybeFile for () {
    fn file(&self) -> Option<&File> {
        None
    }

    fn nothing() {}
}

/// The files of a folder after a power cut.
pub type DiskState = BTreeMap<PathBuf, Vec<u8>>;

/// What may have become of a change that was not synced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    Undone,
    /// The first half of a write.
    Half,
    /// The length of a write without its content.
    Zeros,
}

/// What a power cut may leave after the last of these operations, which began with an empty folder; each state once.
pub fn crash_states(operations: &[Operation]) -> BTreeSet<DiskState> {
    let open: Vec<usize> = (0..operations.len()).filter(|&at| !is_synced(operations, at)).collect();
    let fates = |at: usize| match &operations[at] {
        Operation::Write { .. } => &[Fate::Done, Fate::Undone, Fate::Half, Fate::Zeros][..],
        _ => &[Fate::Done, Fate::Undone],
    };
    let mut states = BTreeSet::new();
    let mut add = |chosen: &HashMap<usize, Fate>| {
        states.insert(state_after(operations, chosen));
    };
    let (older, newest) = open.split_at(open.len().saturating_sub(5));
    for fate in [Fate::Done, Fate::Undone] {
        let mut all = vec![older.iter().map(|&at| (at, fate)).collect::<HashMap<_, _>>()];
        for &at in newest {
            let with = |chosen: &HashMap<usize, Fate>, fate| {
                let mut chosen = chosen.clone();
                chosen.insert(at, fate);
                chosen
            };
            all = all.iter().flat_map(|chosen| fates(at).iter().map(|fate| with(chosen, *fate))).collect();
        }
        all.iter().for_each(&mut add);
    }
    // Each of the others alone.
    for &one in older {
        for (fate, rest) in fates(one).iter().flat_map(|fate| [(*fate, Fate::Done), (*fate, Fate::Undone)]) {
            add(&open.iter().map(|&at| (at, if at == one { fate } else { rest })).collect());
        }
    }
    states
}

/// Whether a change is on the disk for sure.
fn is_synced(operations: &[Operation], at: usize) -> bool {
    let later = &operations[at + 1..];
    let in_folder = |path: &Path| {
        let folder = folder_of(path);
        later.iter().any(|other| matches!(other, Operation::SyncFolder { folder: synced } if synced == folder))
    };
    match &operations[at] {
        Operation::Write { file, .. } | Operation::Truncate { file, .. } => {
            later.iter().any(|other| matches!(other, Operation::Sync { file: synced } if synced == file))
        }
        Operation::Create { path, .. }
        | Operation::Remove { path }
        | Operation::CreateFolder { path }
        | Operation::RemoveFolder { path } => in_folder(path),
        Operation::Rename { to, .. } | Operation::Link { to, .. } | Operation::Exchange { b: to, .. } => in_folder(to),
        Operation::Sync { .. } | Operation::SyncFolder { .. } => true,
    }
}

fn state_after(operations: &[Operation], chosen: &HashMap<usize, Fate>) -> DiskState {
    let (mut names, mut contents) = (BTreeMap::<PathBuf, u64>::new(), HashMap::<u64, Vec<u8>>::new());
    // Folders that were never made: what was made in them is not there either.
    let mut missing = BTreeSet::<&Path>::new();
    for (at, operation) in operations.iter().enumerate() {
        let fate = chosen.get(&at).copied().unwrap_or(Fate::Done);
        if fate == Fate::Undone {
            if let Operation::CreateFolder { path } = operation {
                missing.insert(path);
            }
            continue;
        }
        match operation {
            Operation::Create { file, path } if !path.ancestors().any(|above| missing.contains(above)) => {
                names.insert(path.clone(), *file);
            }
            Operation::Create { .. } => {}
            Operation::Write { file, offset, bytes } => {
                let content = contents.entry(*file).or_default();
                let bytes = match fate {
                    Fate::Half => bytes[..bytes.len() / 2].to_vec(),
                    Fate::Zeros => vec![0; bytes.len()],
                    _ => bytes.clone(),
                };
                let end = *offset as usize + bytes.len();
                content.resize(content.len().max(end), 0);
                content[*offset as usize..end].copy_from_slice(&bytes);
            }
            Operation::Truncate { file, length } => {
                let content = contents.entry(*file).or_default();
                content.truncate(*length as usize);
            }
            Operation::Rename { from, to } => {
                let moved = taken(&mut names, from);
                names.extend(moved.into_iter().map(|(inside, file)| (joined(to, &inside), file)));
            }
            Operation::Exchange { a, b } => {
                let (of_a, of_b) = (taken(&mut names, a), taken(&mut names, b));
                names.extend(of_a.into_iter().map(|(inside, file)| (joined(b, &inside), file)));
                names.extend(of_b.into_iter().map(|(inside, file)| (joined(a, &inside), file)));
            }
            Operation::Link { from, to } if !to.ancestors().any(|above| missing.contains(above)) => {
                if let Some(file) = names.get(from).copied() {
                    names.insert(to.clone(), file);
                }
            }
            Operation::Link { .. } => {}
            Operation::Remove { path } => drop(names.remove(path)),
            Operation::CreateFolder { path } => drop(missing.remove(&**path)),
            Operation::RemoveFolder { .. } | Operation::Sync { .. } | Operation::SyncFolder { .. } => {}
        }
    }
    let content = |file: &u64| contents.get(file).cloned().unwrap_or_default();
    names.into_iter().map(|(path, file)| (path, content(&file))).collect()
}

/// Takes a file, or all that is in a folder, out of the names; each by its path in there.
fn taken(names: &mut BTreeMap<PathBuf, u64>, from: &Path) -> Vec<(PathBuf, u64)> {
    let moved: Vec<PathBuf> = names.keys().filter(|path| path.starts_with(from)).cloned().collect();
    let moved = moved.into_iter().filter_map(|path| {
        let file = names.remove(&path)?;
        Some((path.strip_prefix(from).ok()?.to_path_buf(), file))
    });
    moved.collect()
}

fn joined(to: &Path, inside: &Path) -> PathBuf {
    if inside.as_os_str().is_empty() { to.to_path_buf() } else { to.join(inside) }
}
