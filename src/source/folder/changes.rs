//! What the kernel reports of changes in a folder and its sub-folders (inotify).

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Folders that are watched at most; those beyond are looked through from time to time.
const MOST_FOLDERS: usize = 4096;

/// Watches folders. Where a folder cannot be watched, as on a share that others write to, nothing is reported of it.
#[derive(Default)]
pub(super) struct Changes {
    kernel: Option<OwnedFd>,
    folders: HashMap<i32, PathBuf>,
}

/// What happened since the last time.
#[derive(Debug, Default)]
pub(super) struct Happened {
    /// Whether anything did.
    pub(super) anything: bool,
    /// Files that got their name here: they were whole before.
    pub(super) renamed: HashSet<PathBuf>,
    /// Files that were closed by whoever wrote to them.
    pub(super) closed: HashSet<PathBuf>,
    /// Files that were written to and not closed since.
    pub(super) open: HashSet<PathBuf>,
}

impl Changes {
    /// Watches no folder yet.
    pub(super) fn new() -> Changes {
        let kernel = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok();
        Changes { kernel, folders: HashMap::new() }
    }

    /// Watches a folder, if it can be.
    pub(super) fn watch(&mut self, folder: &Path) {
        let Some(kernel) = &self.kernel else { return };
        if self.folders.len() >= MOST_FOLDERS {
            return;
        }
        let events = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::EXCL_UNLINK;
        if let Ok(number) = inotify::add_watch(kernel, folder, events) {
            self.folders.insert(number, folder.to_path_buf());
        }
    }

    /// What happened since the last time. Does not wait.
    pub(super) fn take(&mut self) -> Happened {
        let mut happened = Happened::default();
        let Some(kernel) = &self.kernel else { return happened };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(kernel, &mut buffer);
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(_) => return happened,
            };
            let events = event.events();
            if events.contains(ReadFlags::IGNORED) {
                self.folders.remove(&event.wd());
            }
            // A file that grows is looked at when it is closed, or stands still.
            happened.anything |= !events.contains(ReadFlags::MODIFY);
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            let (Some(folder), Some(name)) = (self.folders.get(&event.wd()), name) else { continue };
            let path = folder.join(name);
            if events.contains(ReadFlags::MODIFY) {
                happened.open.insert(path);
                continue;
            }
            if events.contains(ReadFlags::MOVED_TO) {
                happened.renamed.insert(path.clone());
            }
            if events.intersects(ReadFlags::MOVED_TO | ReadFlags::CLOSE_WRITE) {
                happened.open.remove(&path);
                happened.closed.insert(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_noticed_and_one_that_was_renamed_is_named() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in(std::env::temp_dir()).unwrap());
        let mut changes = Changes::new();
        changes.watch(folder.path());
        assert!(!changes.take().anything);
        std::fs::write(folder.path().join("a.png"), b"1").unwrap();
        let happened = changes.take();
        assert!(happened.anything && happened.renamed.is_empty());
        assert!(!changes.take().anything);
        std::fs::write(elsewhere.path().join("b.part"), b"1").unwrap();
        let to = folder.path().join("b.png");
        std::fs::rename(elsewhere.path().join("b.part"), &to).unwrap();
        assert!(changes.take().renamed.contains(&to));
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert!(changes.take().anything && changes.folders.is_empty());
    }
}
