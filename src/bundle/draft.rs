//! Atomic writing of a bundle: its name refers to the complete old bundle or the complete new one, never to anything in between.

use super::hash::sha256;
use super::manifest::Manifest;
use super::state::STATE;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A bundle that is being written, in a folder beside its final one. Removed if it is dropped unfinished.
pub struct Draft {
    target: PathBuf,
    folder: PathBuf,
    files: BTreeMap<String, String>,
}

impl Draft {
    /// Begins a bundle at `target`.
    ///
    /// # Errors
    /// [`io::Error`] if `target` exists and is neither a bundle nor an empty folder, or if its parent cannot be written to.
    pub fn begin(target: &Path) -> io::Result<Draft> {
        let taken = match fs::read_dir(target) {
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
        let folder = beside(target, "new")?;
        // Left over from a power cut.
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        Ok(Draft { target: target.to_path_buf(), folder, files: BTreeMap::new() })
    }

    /// Adds a file.
    ///
    /// # Errors
    /// [`io::Error`] if it cannot be written.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        write_synced(&self.folder.join(name), bytes)?;
        self.files.insert(name.into(), sha256(bytes));
        Ok(())
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
        self,
        mut manifest: Manifest,
        check: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        manifest.files = self.files.clone();
        let text = toml::to_string(&manifest).map_err(io::Error::other)?;
        write_synced(&self.folder.join("bundle.toml"), text.as_bytes())?;
        File::open(&self.folder)?.sync_all()?;
        check(&self.folder)?;
        let old = beside(&self.target, "old")?;
        if self.target.exists() {
            if old.exists() {
                fs::remove_dir_all(&old)?;
            }
            fs::rename(&self.target, &old)?;
        }
        if let Err(error) = fs::rename(&self.folder, &self.target) {
            let _ = fs::rename(&old, &self.target);
            return Err(error.into());
        }
        let parent = self.target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()?;
        if old.exists() {
            fs::remove_dir_all(&old)?;
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Does not exist any more if it was finished.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The path `.NAME.suffix` in the same folder.
fn beside(target: &Path, suffix: &str) -> io::Result<PathBuf> {
    let name = target.file_name().ok_or_else(|| io::Error::other("is not a name for a bundle"))?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(suffix);
    Ok(target.with_file_name(hidden))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Bundle;

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
}
