//! A version that differs from the active one in its threshold alone. The scores of both are the same, so what was recorded under one
//! says what the other would have made of a frame.

use super::error::{BundleError, StoreError, disk};
use super::folder::{Bundle, read_manifest};
use super::hash::sha256;
use super::manifest::Manifest;
use super::state::{DIGITS, VERSIONS};
use super::store::{Home, Role, Store};
use super::version_copy::copy_with_manifest;
use crate::storage;
use std::path::{Path, PathBuf};

/// The figure of a manifest that names the bundles whose scores are the same, by fingerprint, the first one first.
const SAME_SCORES: &str = "same_scores_as";
/// The most that are named: the first, and the last ones.
const MOST_NAMED: usize = 64;

/// What the manifest of a version says; its files are not verified.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionFacts {
    /// The bundle's name, and the version as its maker calls it.
    pub name: String,
    /// See `name`.
    pub version: String,
    /// The fingerprint of the bundle.
    pub fingerprint: String,
    /// The score from which on a frame counts as defect; `None` where `teach` did not make it.
    pub threshold: Option<f64>,
    /// Fingerprints of the bundles whose scores are the same, its own the last.
    pub same_scores: Vec<String>,
}

impl VersionFacts {
    /// Those of the bundle in a folder.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where its manifest cannot be read.
    pub fn read(folder: &Path) -> Result<VersionFacts, BundleError> {
        let (manifest, fingerprint) = read_manifest(folder)?;
        let mut same_scores = same_scores(&manifest);
        same_scores.push(fingerprint.clone());
        let threshold = manifest.anomaly.as_ref().map(|section| section.threshold);
        Ok(VersionFacts { name: manifest.name, version: manifest.version, fingerprint, threshold, same_scores })
    }

    /// Whether its scores are those of another version.
    pub fn scores_as(&self, other: &VersionFacts) -> bool {
        self.same_scores.first() == other.same_scores.first()
    }
}

impl Home {
    /// What the manifest of one of its versions says.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where it cannot be read.
    pub fn facts(&self, version: &str) -> Result<VersionFacts, BundleError> {
        VersionFacts::read(&self.version_folder(version))
    }

    /// The folder of one of its versions.
    pub fn version_folder(&self, version: &str) -> PathBuf {
        self.folder().join(VERSIONS).join(version)
    }

    /// The bytes that the files of one of its versions take on the disk.
    pub fn version_bytes(&self, version: &str) -> u64 {
        let folder = self.version_folder(version);
        let names =
            read_manifest(&folder).map_or_else(|_| Vec::new(), |(manifest, _)| manifest.files.into_keys().collect());
        let names = names.iter().map(String::as_str).chain(["bundle.toml"]);
        names.filter_map(|name| std::fs::metadata(folder.join(name)).ok()).map(|about| about.len()).sum()
    }
}

impl Store {
    /// Makes a version of a home that differs from the active one in its threshold, a score, and gives it a role, in one step. `of` is
    /// the active version that whoever asks has seen.
    ///
    /// # Errors
    /// [`StoreError`]; then everything is as it was.
    pub fn set_threshold(&self, name: &str, of: &str, threshold: f64, role: Role) -> Result<Home, StoreError> {
        let folder = self.place(name)?;
        let (home, ()) = self.change(name, |state| {
            if state.active != of {
                let problem = format!("{name}: another version is the active one by now: look again");
                return Err(StoreError::Refused(problem));
            }
            let version = stage(&folder, &state.active, threshold)?;
            match role {
                Role::Active(trial) => state.install(&version, trial, true),
                Role::Shadow => state.set_shadow(Some(&version)),
            }
            Ok(())
        })?;
        Ok(home)
    }
}

/// Puts a version with another threshold beside the active one of a home, and returns its name there.
fn stage(home: &Path, active: &str, threshold: f64) -> Result<String, StoreError> {
    let versions = home.join(VERSIONS);
    let bundle = Bundle::open_plain(&versions.join(active))?;
    let refused = |problem: &str| StoreError::Refused(format!("{}: {problem}", bundle.manifest().name));
    if !(0.0..=1.0).contains(&threshold) {
        return Err(refused("a threshold must lie in 0..1"));
    }
    let mut manifest = bundle.manifest().clone();
    match &mut manifest.anomaly {
        None => return Err(refused("only a bundle that lineside teach made has a threshold that can be set")),
        Some(section) if section.threshold == threshold => return Err(refused("this is its threshold already")),
        Some(section) => section.threshold = threshold,
    }
    manifest.version = jiff::Timestamp::now().strftime("%Y%m%d.%H%M%S").to_string();
    let mut named = same_scores(&manifest);
    if named.len() >= MOST_NAMED {
        named.remove(1);
    }
    named.push(bundle.fingerprint().into());
    manifest.measured.insert(SAME_SCORES.into(), named.into_iter().map(toml::Value::String).collect::<Vec<_>>().into());
    let text = toml::to_string(&manifest).map_err(|error| BundleError::bad(home, error))?;
    let version = sha256(text.as_bytes()).get(..DIGITS).unwrap_or_default().to_string();
    let place = versions.join(&version);
    // Made a moment ago by somebody who asked for the same, or left by a power cut.
    storage::remove_tree(&place).map_err(|error| disk(&place, error))?;
    copy_with_manifest(&bundle, text.as_bytes(), &versions, &version)?;
    Ok(version)
}

fn same_scores(manifest: &Manifest) -> Vec<String> {
    let named = manifest.measured.get(SAME_SCORES).and_then(toml::Value::as_array);
    let named = named.into_iter().flatten().filter_map(toml::Value::as_str);
    named.map(String::from).take(MOST_NAMED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Confirmed, Draft, Moment, Trial};
    use crate::storage::faults::{Fault, FaultyDisk, crash_states};
    use std::fs;

    const NAME: &str = "parts";

    fn manifest(rest: &str) -> Manifest {
        let text = format!(
            "format = 1\nname = '{NAME}'\nversion = '1'\ndescription = 'd'\nlicence = 'MIT'\nmodel = 'm'\n{rest}\n[files]\nm = '00'"
        );
        Manifest::parse(&text, Path::new("bundle.toml")).unwrap()
    }

    /// A store with the home of a bundle that was taught; what it computes does not matter here.
    fn store(folder: &Path) -> Store {
        let scorer =
            "method = 'contrast'\nview = 0\nstatistics = 'm'\ntop = 0.05\nmedian = 1.0\nspread = 0.5\nweight = 1.0";
        let section = format!(
            "task = 'anomaly'\n[input]\nchannels = 'rgb'\n[anomaly]\nviews = [64]\nthreshold = 0.9\ncalibration = 'm'\n\
             [anomaly.heat]\nscorer = 0\nhalf_distances = 'm'\n[[anomaly.scorer]]\n{scorer}"
        );
        install(folder, manifest(&section))
    }

    fn install(folder: &Path, manifest: Manifest) -> Store {
        let place = folder.join("made");
        let mut draft = Draft::begin(&place).unwrap();
        draft.add("m", b"model").unwrap();
        draft.finish(manifest).unwrap();
        let store = Store::at(&folder.join("store"));
        store.install(NAME, &Bundle::open(&place).unwrap(), trial()).unwrap();
        store.confirm(NAME).unwrap();
        store
    }

    fn trial() -> Role {
        Role::Active(Trial::begin(&Moment { wall: jiff::Timestamp::UNIX_EPOCH, boot: None, uptime_s: 0 }, 60))
    }

    fn active(store: &Store) -> (String, VersionFacts) {
        let home = store.home(NAME).unwrap();
        let id = home.state().active.clone();
        // Whole, and what its manifest says.
        home.version(&id).unwrap();
        (id.clone(), home.facts(&id).unwrap())
    }

    #[test]
    fn a_threshold_is_a_version_with_the_same_scores() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let (first, taught) = active(&store);
        let home = store.set_threshold(NAME, &first, 0.5, trial()).unwrap();
        let (second, facts) = active(&store);
        assert_eq!(
            (facts.threshold, home.state().previous.as_ref(), home.state().confirmed),
            (Some(0.5), Some(&first), false)
        );
        assert_eq!(facts.same_scores, [taught.fingerprint.clone(), facts.fingerprint.clone()]);
        assert!(facts.scores_as(&taught) && taught.scores_as(&facts));
        store.confirm(NAME).unwrap();
        let home = store.set_threshold(NAME, &second, 0.6, Role::Shadow).unwrap();
        let shadow = home.facts(home.state().shadow.as_ref().unwrap()).unwrap();
        assert_eq!((shadow.threshold, shadow.same_scores.len()), (Some(0.6), 3));
        assert_eq!(store.confirm(NAME).unwrap().1, Confirmed::Shadow);
        assert_eq!(active(&store).1.threshold, Some(0.6));
        store.go_back(NAME, None).unwrap();
        assert_eq!(active(&store).1, facts);
        // However often it is set, the first is named.
        for round in 0..2 * MOST_NAMED {
            store.set_threshold(NAME, &active(&store).0, 0.1 + 0.001 * round as f64, trial()).unwrap();
        }
        let (_, last) = active(&store);
        assert!(last.scores_as(&taught) && last.same_scores.len() == MOST_NAMED + 1, "{}", last.same_scores.len());
    }

    #[test]
    fn what_cannot_be_set_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let (first, _) = active(&store);
        let state = || fs::read_to_string(folder.path().join("store/parts/state.toml")).unwrap();
        let before = state();
        for (of, threshold, said) in [
            ("0123456789abcdef", 0.5, "another version is the active one by now"),
            (&first, 0.9, "this is its threshold already"),
            (&first, f64::NAN, "must lie in 0..1"),
            (&first, 1.5, "must lie in 0..1"),
        ] {
            let error = store.set_threshold(NAME, of, threshold, trial()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        for change in 0..5 {
            let disk = FaultyDisk::new();
            disk.fail_at(change, Fault::Error(rustix::io::Errno::NOSPC));
            assert!(store.set_threshold(NAME, &first, 0.5, trial()).is_err(), "{change}");
        }
        assert_eq!(state(), before);
        let versions = folder.path().join("store/parts/versions");
        store.set_threshold(NAME, &first, 0.5, trial()).unwrap();
        assert_eq!(fs::read_dir(versions).unwrap().count(), 2, "the two, and nothing half made");
        let other = tempfile::tempdir().unwrap();
        let super_resolution =
            "task = 'super-resolution'\n[input]\nchannels = 'luma'\n[super_resolution]\nscale = 2\nreceptive_field = 1";
        let store = install(other.path(), manifest(super_resolution));
        let error = store.set_threshold(NAME, &active(&store).0, 0.5, trial()).unwrap_err().to_string();
        assert!(error.contains("only a bundle that lineside teach made"), "{error}");
    }

    #[test]
    fn a_power_cut_leaves_the_old_threshold_or_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new();
        let store = store(folder.path());
        let (first, _) = active(&store);
        let before = disk.recorded();
        store.set_threshold(NAME, &first, 0.5, trial()).unwrap();
        let operations = disk.operations();
        drop(disk);
        let mut seen = std::collections::BTreeSet::new();
        for count in before..=operations.len() {
            for state in crash_states(&operations[..count]) {
                let there = tempfile::tempdir().unwrap();
                for (path, content) in state {
                    let path = there.path().join(path.strip_prefix(folder.path()).unwrap());
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, content).unwrap();
                }
                seen.insert(active(&Store::at(&there.path().join("store"))).1.threshold.map(f64::to_bits));
            }
        }
        assert_eq!(seen, [Some(0.9f64.to_bits()), Some(0.5f64.to_bits())].into());
    }
}
