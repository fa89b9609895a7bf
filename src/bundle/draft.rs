//! Atomic writing of a bundle: its name refers to the complete old bundle or the complete new one, never to anything in between.

use super::hash::sha256;
use super::manifest::Manifest;
use super::state::STATE;
use super::swap::swap_into_place;
use crate::storage;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A bundle that is being written, in a folder beside its final one. Removed if it is dropped unfinished.
pub struct Draft {
    target: PathBuf,
    folder: PathBuf,
    files: BTreeMap<String, String>,
    /// Those in which files are.
    folders: BTreeSet<PathBuf>,
}

impl Draft {
    /// Begins a bundle at `target`.
    ///
    /// # Errors
    /// [`io::Error`] if `target` exists and is neither a bundle nor an empty folder, or if its parent cannot be written to.
    pub fn begin(target: &Path) -> io::Result<Draft> {
        // Without the slash that may end it: what is beside it has the same parent.
        let name = target.file_name().ok_or_else(|| io::Error::other("is not a name for a bundle"))?;
        let target = target.with_file_name(name);
        let (folder, old) = (beside(&target, name, "new"), beside(&target, name, "old"));
        // A power cut between two renames, where the file system cannot exchange folders.
        if target.symlink_metadata().is_err() && old.join("bundle.toml").is_file() {
            storage::rename(&old, &target)?;
        }
        let taken = match fs::read_dir(&target) {
            Ok(mut entries) => entries.next().is_some() && !target.join("bundle.toml").is_file(),
            Err(_) => target.symlink_metadata().is_ok(),
        };
        if target.join(STATE).exists() {
            let problem =
                "is the home of installed versions: write to another place, then: lineside bundle install PLACE";
            return Err(io::Error::other(problem));
        }
        if taken {
            return Err(io::Error::other("exists and is not a bundle: choose another place"));
        }
        // Left over from a power cut.
        storage::remove_tree(&folder)?;
        let parent = storage::folder_of(&target);
        fs::create_dir_all(parent)?;
        storage::create_folder(&folder)?;
        storage::sync_folder(parent)?;
        let folders = BTreeSet::from([folder.clone()]);
        Ok(Draft { target, folder, files: BTreeMap::new(), folders })
    }

    /// Adds a file.
    ///
    /// # Errors
    /// [`io::Error`] if it cannot be written.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.write(name, bytes)?;
        self.files.insert(name.into(), sha256(bytes));
        Ok(())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.folder.join(name);
        let above: Vec<&Path> = path.ancestors().skip(1).take_while(|above| *above != self.folder).collect();
        for above in above.into_iter().rev() {
            storage::create_folder(above)?;
            self.folders.insert(above.to_path_buf());
        }
        // What is added twice counts as it is added last.
        storage::remove(&path)?;
        let file = storage::create_new(&path)?;
        storage::append(&file, bytes)?;
        storage::sync(&file)
    }

    /// Writes the manifest with the hashes of all files and moves the bundle to its place. An existing bundle is replaced.
    ///
    /// # Errors
    /// [`io::Error`] if something cannot be written or renamed; an existing bundle is then kept.
    pub fn finish(self, manifest: Manifest) -> io::Result<()> {
        self.finish_checked(manifest, |_| Ok(()))
    }

    /// As [`Draft::finish`], where `check` passes the whole bundle in the folder of the draft.
    ///
    /// # Errors
    /// As [`Draft::finish`], and that of `check`; an existing bundle is then kept.
    pub fn finish_checked<E: From<io::Error>>(
        mut self,
        mut manifest: Manifest,
        check: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        manifest.files = self.files.clone();
        let text = toml::to_string(&manifest).map_err(io::Error::other)?;
        self.write("bundle.toml", text.as_bytes())?;
        self.folders.iter().rev().try_for_each(|folder| storage::sync_folder(folder))?;
        check(&self.folder)?;
        self.take_place()?;
        Ok(())
    }

    /// At every time the name has a whole bundle, the old one or the new one, as far as [`swap_into_place`] can do it.
    fn take_place(&self) -> io::Result<()> {
        let Draft { target, folder, .. } = self;
        if target.symlink_metadata().is_err() {
            storage::rename(folder, target)?;
            return storage::sync_folder(storage::folder_of(target));
        }
        let old = beside(target, target.file_name().unwrap_or_default(), "old");
        storage::remove_tree(&old)?;
        swap_into_place(folder, target, &old)?;
        if let Err(error) = storage::remove_tree(&old) {
            log::warn!("{}: the bundle before cannot be removed: {error}", old.display());
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Does not exist any more if it was finished.
        let _ = storage::remove_tree(&self.folder);
    }
}

/// The path `.NAME.suffix` in the same folder.
fn beside(target: &Path, name: &OsStr, suffix: &str) -> PathBuf {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(suffix);
    target.with_file_name(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;
    use crate::storage::faults::{Fault, FaultyDisk, Operation, crash_states};
    use rustix::io::Errno;

    fn manifest(version: &str) -> Manifest {
        let text = format!(
            "format = 1\nname = 'x'\nversion = '{version}'\ntask = 'super-resolution'\ndescription = 'd'\nlicence = 'MIT'\n\
             model = 'm'\n[input]\nchannels = 'luma'\n[super_resolution]\nscale = 2\nreceptive_field = 1\n[files]\nm = '00'"
        );
        Manifest::parse(&text, Path::new("bundle.toml")).unwrap()
    }

    #[test]
    fn a_finished_draft_replaces_the_old_bundle_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        for version in ["1", "2"] {
            let mut draft = Draft::begin(&target).unwrap();
            draft.add("m", b"model").unwrap();
            draft.add("golden/a.npy", version.as_bytes()).unwrap();
            draft.finish(manifest(version)).unwrap();
            assert_eq!(Bundle::open(&target).unwrap().manifest().version, version);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unfinished_draft_leaves_the_old_bundle_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let mut draft = Draft::begin(&target).unwrap();
        draft.add("m", b"model").unwrap();
        draft.finish(manifest("1")).unwrap();
        let mut draft = Draft::begin(&target).unwrap();
        draft.add("m", b"half").unwrap();
        drop(draft);
        assert_eq!(Bundle::open(&target).unwrap().manifest().version, "1");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_draft_that_does_not_pass_leaves_the_old_bundle_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        for (version, passes) in [("1", true), ("2", false)] {
            let mut draft = Draft::begin(&target).unwrap();
            draft.add("m", b"model").unwrap();
            let finished = draft.finish_checked(manifest(version), |folder| {
                assert_eq!(Bundle::open(folder).unwrap().manifest().version, version);
                if passes { Ok(()) } else { Err(io::Error::other("differs")) }
            });
            assert_eq!(finished.is_ok(), passes);
        }
        assert_eq!(Bundle::open(&target).unwrap().manifest().version, "1");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_a_bundle_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("letter.txt"), "dear").unwrap();
        assert!(Draft::begin(folder.path()).is_err_and(|e| e.to_string().contains("not a bundle")));
        assert!(Draft::begin(&folder.path().join("letter.txt")).is_err());
        assert!(Draft::begin(&folder.path().join("new")).is_ok());
    }

    fn write(target: &Path, version: &str) -> io::Result<()> {
        let mut draft = Draft::begin(target)?;
        draft.add("m", format!("model {version}").as_bytes())?;
        draft.add("golden/a.npy", version.as_bytes())?;
        draft.finish(manifest(version))
    }

    /// The version of the whole bundle at a place.
    fn version_at(target: &Path) -> Option<String> {
        let bundle = Bundle::open(target).ok()?;
        Some(bundle.manifest().version.clone())
    }

    /// What the disk is asked for while a second bundle replaces the first: all of it, and how much belongs to the first.
    fn replaced(folder: &Path, can_exchange: bool) -> (Vec<Operation>, usize) {
        let target = folder.join("x");
        for change in 0.. {
            let disk = FaultyDisk::new();
            write(&target, "1").unwrap();
            let first = disk.recorded();
            if !can_exchange {
                disk.fail_at(disk.changes() + change, Fault::Error(Errno::INVAL));
            }
            let written = write(&target, "2");
            let operations = disk.operations();
            drop(disk);
            let exchanged = operations.iter().any(|made| matches!(made, Operation::Exchange { .. }));
            if written.is_ok() && exchanged == can_exchange {
                return (operations, first);
            }
            fs::remove_dir_all(&target).unwrap();
        }
        unreachable!("one of the changes exchanges folders")
    }

    /// The versions that a power cut or a kill may leave under the name meanwhile; and those that are there once the next command began.
    fn left_by_cuts(can_exchange: bool) -> BTreeSet<(Option<String>, Option<String>)> {
        let folder = tempfile::tempdir().unwrap();
        let (operations, first) = replaced(folder.path(), can_exchange);
        let mut left = BTreeSet::new();
        for count in first..=operations.len() {
            for state in crash_states(&operations[..count]) {
                let there = tempfile::tempdir().unwrap();
                for (path, content) in &state {
                    let path = there.path().join(path.strip_prefix(folder.path()).unwrap());
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, content).unwrap();
                }
                let _quick = FaultyDisk::new();
                let target = there.path().join("x");
                let found = version_at(&target);
                drop(Draft::begin(&target).unwrap());
                left.insert((found, version_at(&target)));
                write(&target, "3").unwrap();
                assert_eq!(version_at(&target).as_deref(), Some("3"));
                assert_eq!(fs::read_dir(there.path()).unwrap().count(), 1);
            }
        }
        left
    }

    #[test]
    fn after_every_power_cut_the_name_has_the_old_bundle_or_the_new_one_and_whole() {
        let some = |version: &str| (Some(version.to_string()), Some(version.to_string()));
        assert_eq!(left_by_cuts(true), [some("1"), some("2")].into());
        // Where folders cannot be exchanged a moment without a bundle is left, and the next command mends it.
        assert_eq!(left_by_cuts(false), [some("1"), some("2"), (None, Some("1".into()))].into());
    }

    #[test]
    fn a_failure_at_any_change_leaves_the_old_bundle_or_the_new_one() {
        let mut failures = 0;
        for change in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let target = folder.path().join("x");
            let disk = FaultyDisk::new();
            write(&target, "1").unwrap();
            let before = disk.changes();
            disk.fail_at(before + change, Fault::Error(Errno::IO));
            let written = write(&target, "2");
            let reached = disk.changes() > before + change;
            drop(disk);
            let found = version_at(&target);
            match written {
                Ok(()) => assert_eq!(found.as_deref(), Some("2"), "{change}"),
                Err(_) => {
                    failures += 1;
                    assert!(found.as_deref() == Some("1") || found.as_deref() == Some("2"), "{change}: {found:?}");
                }
            }
            write(&target, "3").unwrap();
            assert_eq!((version_at(&target).as_deref(), fs::read_dir(folder.path()).unwrap().count()), (Some("3"), 1));
            if !reached {
                break;
            }
        }
        assert!(failures > 10, "{failures}");
    }

    #[test]
    fn a_slash_at_the_end_of_a_name_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        for version in ["1", "2"] {
            write(&folder.path().join("x/"), version).unwrap();
            assert_eq!(version_at(&target).as_deref(), Some(version));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }
}
