//! `state.toml`: which versions of a bundle a board has, and which of them counts. The only truth about a home; it is replaced as a
//! whole, never changed.

use super::error::BundleError;
use super::trial::Trial;
use crate::files;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;

/// The file's name in a home.
pub(super) const STATE: &str = "state.toml";
/// The folder of versions in a home.
pub(super) const VERSIONS: &str = "versions";
/// Digits of a fingerprint that name a version.
pub(super) const DIGITS: usize = 16;
/// The version of the file's format that this program reads.
const FORMAT: u32 = 1;

/// The versions of a home, each by the first 16 hexadecimal digits of its fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    format: u32,
    /// The version that judges.
    pub active: String,
    /// Whether somebody confirmed it.
    pub confirmed: bool,
    /// The version before it, to which `rollback` goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The version that is judged beside the active one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<String>,
    /// The version that was gone back from, kept until the next change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<String>,
    /// Why the line went back by itself, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverted: Option<String>,
    /// How long the active version is on trial, while it is not confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

/// What `confirm` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// The active version, which was on trial.
    Active,
    /// The shadow, which is the active version now.
    Shadow,
    /// Nothing was left to confirm.
    Already,
}

impl State {
    /// The state of a home: `None` where `folder` is none.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where the file cannot be read or is none of this format.
    pub(super) fn read(folder: &Path) -> Result<Option<State>, BundleError> {
        let path = folder.join(STATE);
        let text = match files::read_text(&path, files::MAX_TEXT) {
            Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => return Ok(None),
            text => text.map_err(|error| BundleError::bad(&path, error))?,
        };
        State::check_text(&text, &path)?;
        let mend = "install the bundle again to write it anew";
        let state: State =
            toml::from_str(&text).map_err(|error| BundleError::bad(&path, format!("{}; {mend}", error.message())))?;
        if state.format != FORMAT {
            return Err(BundleError::bad(&path, format!("format = {}: expected {FORMAT}; {mend}", state.format)));
        }
        let is_version = |id: &String| id.len() == DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(id) = state.versions().find(|id| !is_version(id)) {
            return Err(BundleError::bad(&path, format!("\"{id}\" is not the name of a version; {mend}")));
        }
        Ok(Some(state))
    }

    /// Refuses the state of a newer program, which is not to be written anew by this one: versions would be lost.
    ///
    /// # Errors
    /// [`BundleError::Bad`]; what is damaged in another way is none.
    pub(super) fn check_format(folder: &Path) -> Result<(), BundleError> {
        let path = folder.join(STATE);
        files::read_text(&path, files::MAX_TEXT).map_or(Ok(()), |text| State::check_text(&text, &path))
    }

    fn check_text(text: &str, path: &Path) -> Result<(), BundleError> {
        let table: Option<toml::Table> = toml::from_str(text).ok();
        match table.as_ref().and_then(|table| table.get("format")?.as_integer()) {
            Some(format) if format > i64::from(FORMAT) => {
                let problem = format!("format = {format}: this program reads format {FORMAT}; update it");
                Err(BundleError::bad(path, problem))
            }
            _ => Ok(()),
        }
    }

    /// A home with one version, as it was found: nothing of it is on trial.
    pub(super) fn first(version: &str) -> State {
        State {
            format: FORMAT,
            active: version.into(),
            confirmed: true,
            previous: None,
            shadow: None,
            retired: None,
            reverted: None,
            trial: None,
        }
    }

    /// The versions that are needed.
    pub fn versions(&self) -> impl Iterator<Item = &String> {
        [Some(&self.active), self.previous.as_ref(), self.shadow.as_ref(), self.retired.as_ref()].into_iter().flatten()
    }

    /// Another version becomes the active one, on trial; the confirmed one before it stays to go back to, if it is `whole`.
    pub(super) fn install(&mut self, version: &str, trial: Trial, whole: bool) {
        if self.active == version {
            return;
        }
        let before = std::mem::replace(&mut self.active, version.into());
        if whole && (self.confirmed || self.previous.is_none()) {
            self.previous = Some(before);
        }
        self.confirmed = false;
        self.trial = Some(trial);
        self.settle();
    }

    /// Another version is judged beside the active one.
    pub(super) fn set_shadow(&mut self, version: Option<&str>) {
        self.shadow = version.map(String::from);
        self.settle();
    }

    /// The active version is confirmed where it is on trial, else the shadow becomes the active one.
    pub(super) fn confirm(&mut self) -> Confirmed {
        if !self.confirmed {
            (self.confirmed, self.trial) = (true, None);
            return Confirmed::Active;
        }
        let Some(shadow) = self.shadow.take() else { return Confirmed::Already };
        self.previous = Some(std::mem::replace(&mut self.active, shadow));
        self.settle();
        Confirmed::Shadow
    }

    /// The version before becomes the active one; false where there is none. `why`: what moved the line to do so by itself.
    pub(super) fn go_back(&mut self, why: Option<&str>) -> bool {
        let Some(previous) = self.previous.take() else { return false };
        let left = std::mem::replace(&mut self.active, previous);
        (self.confirmed, self.trial) = (true, None);
        self.settle();
        (self.retired, self.reverted) = (Some(left), why.map(String::from));
        true
    }

    /// One version has one role; what was gone back from earlier is not kept any longer.
    fn settle(&mut self) {
        (self.retired, self.reverted) = (None, None);
        let active = self.active.clone();
        self.shadow.take_if(|shadow| *shadow == active);
        self.previous.take_if(|previous| *previous == active);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::trial::Moment;

    const A: &str = "aaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbb";
    const C: &str = "cccccccccccccccc";

    fn trial() -> Trial {
        Trial::begin(&Moment { wall: jiff::Timestamp::UNIX_EPOCH, boot: None, uptime_s: 0 }, 60)
    }

    #[test]
    fn going_back_leads_to_the_last_version_that_was_confirmed_and_only_once() {
        let mut state = State::first(A);
        state.install(B, trial(), true);
        assert_eq!((state.active.as_str(), state.previous.as_deref(), state.confirmed), (B, Some(A), false));
        // B was never confirmed.
        state.install(C, trial(), true);
        assert_eq!((state.active.as_str(), state.previous.as_deref()), (C, Some(A)));
        assert!(state.go_back(Some("defects")));
        assert_eq!((state.active.as_str(), state.retired.as_deref(), state.confirmed), (A, Some(C), true));
        assert_eq!((state.reverted.as_deref(), &state.trial), (Some("defects"), &None));
        assert!(!state.go_back(None) && state.active == A);
        state.install(C, trial(), true);
        assert_eq!((state.previous.as_deref(), state.retired, state.reverted), (Some(A), None, None));
    }

    #[test]
    fn what_is_on_trial_is_confirmed_before_what_is_judged_beside_it() {
        let mut state = State::first(A);
        state.install(B, trial(), true);
        state.set_shadow(Some(C));
        assert_eq!(state.confirm(), Confirmed::Active);
        assert_eq!((state.active.as_str(), state.shadow.as_deref()), (B, Some(C)));
        assert_eq!(state.confirm(), Confirmed::Shadow);
        assert_eq!((state.active.as_str(), state.previous.as_deref(), &state.shadow), (C, Some(B), &None));
        assert_eq!(state.confirm(), Confirmed::Already);
        // Installed while it is the shadow: one role.
        state.set_shadow(Some(A));
        state.install(A, trial(), true);
        assert_eq!((state.active.as_str(), &state.shadow, state.previous.as_deref()), (A, &None, Some(C)));
    }

    #[test]
    fn a_damaged_file_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        assert!(State::read(folder.path()).unwrap().is_none());
        let good = toml::to_string(&State::first(A)).unwrap();
        for (text, expected) in [
            (good.replace(A, "../../../../etc/x"), "is not the name of a version; install the bundle again"),
            (good.replace("format = 1", "format = 2"), "format = 2: this program reads format 1; update it"),
            (good.replace("confirmed", "confirms"), "unknown field `confirms`"),
            (good.replace("format = 1", "format = 2\nnewer = 1"), "format = 2: this program reads format 1; update it"),
            (good.replace("format = 1", "format = 0"), "format = 0: expected 1; install the bundle again"),
            ("\0".repeat(50), "install the bundle again"),
        ] {
            std::fs::write(folder.path().join(STATE), text).unwrap();
            let error = State::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("state.toml: ") && error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }
}
