//! The bundles that are installed on a board: a folder of homes, each with the versions of one bundle.
//!
//! ```text
//! STORE/parts/state.toml                             which version is active, previous, shadow; replaced as a whole
//! STORE/parts/versions/0a1b2c3d4e5f6071/bundle.toml  a whole bundle, by its fingerprint; never changed
//! ```
//!
//! A version is copied under another name, synced and renamed before `state.toml` names it, and removed only after `state.toml` has
//! ceased to name it. A power cut therefore leaves the old state or the new one, and leftovers, which the next change removes.

use super::error::{BundleError, StoreError, disk};
use super::find::find;
use super::folder::Bundle;
use super::signature_file::{SIGNATURE, read_signature};
use super::state::{Confirmed, DIGITS, STATE, State, VERSIONS};
use super::trial::Trial;
use super::version_copy::copy_version;
use crate::storage;
use rustix::process::geteuid;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A folder of installed bundles.
pub struct Store {
    folder: PathBuf,
}

/// The installed versions of one bundle.
#[derive(Debug, Clone)]
pub struct Home {
    folder: PathBuf,
    state: State,
}

/// What an installed version is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The active version, on trial.
    Active(Trial),
    /// Judged beside the active version.
    Shadow,
}

/// What an installation did.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The home as it is now.
    pub home: Home,
    /// Whether anything was changed: a version that has the role already is left as it is.
    pub changed: bool,
}

/// Whether a bundle can be installed by this name: the name of a folder, and nothing else.
pub fn is_installable_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with(['.', '-'])
}

impl Store {
    /// The store in a folder, which need not exist yet.
    pub fn at(folder: &Path) -> Store {
        Store { folder: folder.to_path_buf() }
    }

    /// The home of a name.
    ///
    /// # Errors
    /// [`StoreError::Bundle`] where its state cannot be read, [`StoreError::Refused`] where there is none.
    pub fn home(&self, name: &str) -> Result<Home, StoreError> {
        let folder = self.place(name)?;
        let missing = || {
            let folder = self.folder.display();
            StoreError::Refused(format!("no installed bundle \"{name}\" in {folder}: lineside bundle list shows all"))
        };
        Home::open(&folder)?.ok_or_else(missing)
    }

    /// Copies a verified bundle into the home of `name` and gives it a role, in one step. What has that name elsewhere on this
    /// machine becomes the version before, so that `rollback` leads back to it.
    ///
    /// # Errors
    /// [`StoreError`]; then everything is as it was.
    pub fn install(&self, name: &str, bundle: &Bundle, role: Role) -> Result<Installed, StoreError> {
        let folder = self.place(name)?;
        let _lock = self.lock()?;
        State::check_format(&folder)?;
        let (known, damage) = match Home::open(&folder) {
            // Written anew below, once the new version is there; until then nothing else may take this name's place.
            Err(BundleError::Bad { file, problem }) => (None, Some(format!("{file}: {problem}"))),
            known => (known?, None),
        };
        let before = match &known {
            Some(_) => None,
            None => Bundle::open_plain(&folder).or_else(|_| find(name)).ok(),
        };
        if let (Some(damage), Role::Shadow) = (&damage, &role) {
            return Err(StoreError::Refused(format!("{damage}, without --shadow")));
        }
        if let (None, None, Role::Shadow) = (&known, &before, &role) {
            let problem = format!("no bundle \"{name}\" beside which it could be judged: install it without --shadow");
            return Err(StoreError::Refused(problem));
        }
        make_folders(&folder)?;
        let version = stage(bundle, &folder)?;
        let was = known.as_ref().map(|home| home.state.clone());
        let mut state = match (known, before) {
            (Some(home), _) => home.state,
            (None, Some(before)) => State::first(&stage(&before, &folder)?),
            (None, None) => State::first(&version),
        };
        match role {
            // The first one: there is nothing to go back to, and yet somebody has to confirm it.
            Role::Active(trial) if was.is_none() && state.active == version => {
                (state.confirmed, state.trial) = (false, Some(trial));
            }
            Role::Active(trial) => {
                let whole = Bundle::open_plain(&folder.join(VERSIONS).join(&state.active)).is_ok();
                state.install(&version, trial, whole);
            }
            Role::Shadow if state.active == version => {
                return Err(StoreError::Refused(format!("{name}: this version is the active one already")));
            }
            Role::Shadow => state.set_shadow(Some(&version)),
        }
        let changed = was.as_ref() != Some(&state);
        if let Some(damage) = damage {
            log::warn!("{damage}");
            let broken = folder.join(format!("{STATE}.broken"));
            storage::rename(&folder.join(STATE), &broken).map_err(|error| disk(&broken, error))?;
        }
        if changed {
            state.write(&folder)?;
        }
        let home = Home { folder, state };
        home.remove_leftovers();
        Ok(Installed { home, changed })
    }

    /// Confirms the active version of a home, or promotes its shadow.
    ///
    /// # Errors
    /// As [`Store::home`], and of the disk.
    pub fn confirm(&self, name: &str) -> Result<(Home, Confirmed), StoreError> {
        self.change(name, |state| Ok(state.confirm()))
    }

    /// Makes the version before the active one again. `why`: what moved the line to do so by itself.
    ///
    /// # Errors
    /// As [`Store::home`], of the disk, and where there is no version before.
    pub fn go_back(&self, name: &str, why: Option<&str>) -> Result<Home, StoreError> {
        let nothing = || StoreError::Refused(format!("{name}: there is no version before this one to go back to"));
        let (home, ()) = self.change(name, |state| state.go_back(why).then_some(()).ok_or_else(nothing))?;
        Ok(home)
    }

    /// Judges nothing beside the active version any more.
    ///
    /// # Errors
    /// As [`Store::home`], of the disk, and where nothing is.
    pub fn end_shadow(&self, name: &str) -> Result<Home, StoreError> {
        let nothing = || StoreError::Refused(format!("{name}: no version is judged beside the active one"));
        let (home, ()) =
            self.change(name, |state| state.shadow.is_some().then(|| state.set_shadow(None)).ok_or_else(nothing))?;
        Ok(home)
    }

    pub(super) fn change<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<(Home, T), StoreError> {
        self.home(name)?;
        let _lock = self.lock()?;
        let mut home = self.home(name)?;
        let before = home.state.clone();
        let done = change(&mut home.state)?;
        if home.state.active != before.active {
            home.check_active()?;
        }
        if home.state != before {
            home.state.write(&home.folder)?;
        }
        home.remove_leftovers();
        Ok((home, done))
    }

    /// The folder of a name, which comes from a bundle of somebody else.
    pub(super) fn place(&self, name: &str) -> Result<PathBuf, StoreError> {
        is_installable_name(name).then(|| self.folder.join(name)).ok_or_else(|| StoreError::Name(name.into()))
    }

    /// Keeps others from changing the store, as long as the result lives.
    fn lock(&self) -> Result<File, StoreError> {
        let blame = |error| disk(&self.folder, error);
        fs::create_dir_all(&self.folder).map_err(blame)?;
        let folder = File::open(&self.folder).map_err(blame)?;
        let owner = folder.metadata().map_err(blame)?.uid();
        if geteuid().is_root() && owner != 0 {
            // What root makes the service cannot change, and whoever owns the store could lead root's writing elsewhere.
            let problem =
                format!("{}: belongs to another user: run this as its owner, with sudo -u", self.folder.display());
            return Err(StoreError::Refused(problem));
        }
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let problem = "another program changes the bundles there at this moment: try again";
                Err(StoreError::Refused(format!("{}: {problem}", self.folder.display())))
            }
            // A file system without locks is taken at its word.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(folder),
        }
    }
}

impl Home {
    /// Opens a home; `None` where `folder` is none.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where its state cannot be read.
    pub fn open(folder: &Path) -> Result<Option<Home>, BundleError> {
        Ok(State::read(folder)?.map(|state| Home { folder: folder.to_path_buf(), state }))
    }

    #[cfg(test)]
    pub(crate) fn for_test() -> Home {
        Home { folder: "store/parts".into(), state: State::first("0123456789abcdef") }
    }

    /// Which versions it has.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens the version with a fingerprint; `None` where it has none, or not a whole one.
    pub fn with_fingerprint(&self, fingerprint: &str) -> Option<Bundle> {
        let version = self.state.versions().find(|version| fingerprint.starts_with(*version))?;
        self.version(version).ok()
    }

    /// The name of the bundle on this board.
    pub fn name(&self) -> String {
        self.folder.file_name().map(|name| name.display().to_string()).unwrap_or_default()
    }

    /// The store that it is in.
    pub fn store(&self) -> Store {
        Store::at(storage::folder_of(&self.folder))
    }

    /// Refuses an active version that cannot be used: whichever was active before judges at least.
    fn check_active(&self) -> Result<(), BundleError> {
        self.version(&self.state.active).map(drop).map_err(|error| match error {
            BundleError::Bad { file, problem } => {
                let problem = format!("{problem}; {} stays as it was", self.name());
                BundleError::Bad { file, problem }
            }
            error => error,
        })
    }

    /// Opens one of its versions.
    ///
    /// # Errors
    /// As [`Bundle::open`].
    pub fn version(&self, version: &str) -> Result<Bundle, BundleError> {
        Bundle::open_plain(&self.folder.join(VERSIONS).join(version))
    }

    /// Removes versions that the state does not name, what a power cut left, and the files of the bundle that was here before this
    /// was a home. What cannot be removed is reported, and tried again with the next change.
    fn remove_leftovers(&self) {
        let versions = self.folder.join(VERSIONS);
        let mut leftovers: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(&versions).into_iter().flatten().flatten() {
            let is_needed = self.state.versions().any(|version| entry.file_name() == **version);
            leftovers.extend((!is_needed).then(|| entry.path()));
        }
        let removed = leftovers.iter().try_for_each(|leftover| storage::remove_tree(leftover));
        if let Err(error) = removed.and_then(|()| remove_plain(&self.folder)) {
            log::warn!("{}: an old version cannot be removed: {error}", self.folder.display());
        }
    }
}

/// Removes the files of the bundle that was in a folder before it became a home: those that its manifest names, the manifest last.
fn remove_plain(folder: &Path) -> io::Result<()> {
    let manifest = folder.join("bundle.toml");
    let Ok(text) = crate::files::read_text(&manifest, crate::files::MAX_TEXT) else { return Ok(()) };
    if let Ok(parsed) = super::manifest::Manifest::parse(&text, &manifest) {
        for name in parsed.files.keys().map(String::as_str).chain([SIGNATURE]) {
            storage::remove(&folder.join(name))?;
            for above in folder.join(name).ancestors().skip(1).take_while(|above| *above != folder) {
                // Where others have put something there, it stays.
                let _ = fs::remove_dir(above);
            }
        }
    }
    storage::remove(&manifest)
}

impl State {
    fn write(&self, folder: &Path) -> Result<(), StoreError> {
        let text = toml::to_string(self).map_err(|error| disk(folder, io::Error::other(error)))?;
        let text = format!("# Written by `lineside bundle`; the versions are in {VERSIONS}/.\n{text}");
        let path = folder.join(STATE);
        storage::write_durably(&path, |out| out.write_all(text.as_bytes())).map_err(|error| disk(&path, error))
    }
}

/// A home's folders, with their names on the disk.
fn make_folders(home: &Path) -> Result<(), StoreError> {
    for folder in [home.to_path_buf(), home.join(VERSIONS)] {
        storage::create_folder(&folder)
            .and_then(|()| storage::sync_folder(storage::folder_of(&folder)))
            .map_err(|error| disk(&folder, error))?;
    }
    Ok(())
}

/// Puts a bundle among the versions of a home, where it is not there already, and returns its name there.
fn stage(bundle: &Bundle, home: &Path) -> Result<String, StoreError> {
    let versions = home.join(VERSIONS);
    let version = bundle.fingerprint().get(..DIGITS).unwrap_or_default().to_string();
    let place = versions.join(&version);
    if bundle.folder() == place {
        return Ok(version);
    }
    match Bundle::open_plain(&place) {
        Ok(there) if there.fingerprint() == bundle.fingerprint() => {
            // The same bundle, signed since.
            let (new, old) = (read_signature(bundle.folder())?, read_signature(&place)?);
            if let Some(new) = new.filter(|new| Some(new) != old.as_ref()) {
                let path = place.join(SIGNATURE);
                let written = storage::write_durably(&path, |out| out.write_all(&new));
                written.map_err(|error| disk(&path, error))?;
            }
        }
        _ => {
            // Damaged, or not there.
            storage::remove_tree(&place).map_err(|error| disk(&place, error))?;
            copy_version(bundle, &versions, &version)?;
        }
    }
    Ok(version)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
