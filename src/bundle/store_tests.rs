//! Homes as people use them, and a power cut or a failure at every change of the disk.

use super::*;
use crate::bundle::{Draft, Manifest, Moment};
use crate::storage::faults::{DiskState, Fault, FaultyDisk, crash_states};
use rustix::io::Errno;
use std::collections::BTreeSet;

const NAME: &str = "parts";

/// A bundle of a version in `folder`; what it computes does not matter here.
fn bundle(folder: &Path, version: &str) -> Bundle {
    let text = format!(
        "format = 1\nname = '{NAME}'\nversion = '{version}'\ntask = 'super-resolution'\ndescription = 'd'\nlicence = 'MIT'\n\
         model = 'm'\n[input]\nchannels = 'luma'\n[super_resolution]\nscale = 2\nreceptive_field = 1\n[files]\nm = '00'"
    );
    let place = folder.join(version);
    let mut draft = Draft::begin(&place).unwrap();
    draft.add("m", format!("model {version}").as_bytes()).unwrap();
    draft.add("golden/0.npy", version.as_bytes()).unwrap();
    draft.finish(Manifest::parse(&text, Path::new("bundle.toml")).unwrap()).unwrap();
    Bundle::open(&place).unwrap()
}

fn on_trial() -> Role {
    Role::Active(Trial::begin(&Moment { wall: jiff::Timestamp::UNIX_EPOCH, boot: None, uptime_s: 0 }, 60))
}

/// The versions that a home has, by role, each opened and verified.
fn roles(store: &Store) -> [Option<String>; 4] {
    let home = store.home(NAME).unwrap();
    let state = home.state();
    [Some(&state.active), state.previous.as_ref(), state.shadow.as_ref(), state.retired.as_ref()]
        .map(|version| version.map(|version| home.version(version).unwrap().manifest().version.clone()))
}

fn expect(store: &Store, expected: [&str; 4]) {
    let found = roles(store).map(|version| version.unwrap_or_default());
    assert_eq!(found, expected.map(String::from));
    // Nothing else is kept.
    let folders: BTreeSet<_> = fs::read_dir(store.folder.join(NAME).join(VERSIONS))
        .unwrap()
        .collect::<Result<Vec<_>, _>>()
        .unwrap()
        .iter()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(folders.len(), expected.iter().filter(|version| !version.is_empty()).count(), "{folders:?}");
}

#[test]
fn a_bundle_is_installed_shadowed_confirmed_and_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two, three] = ["1", "2", "3"].map(|version| bundle(folder.path(), version));
    let store = Store::at(&folder.path().join("store"));
    assert!(store.home(NAME).unwrap_err().to_string().contains("no installed bundle \"parts\""));
    let refused = store.install(NAME, &one, Role::Shadow).unwrap_err().to_string();
    assert!(refused.contains("install it without --shadow"), "{refused}");

    assert!(store.install(NAME, &one, on_trial()).unwrap().changed);
    expect(&store, ["1", "", "", ""]);
    assert!(store.go_back(NAME, None).unwrap_err().to_string().contains("no version before"));
    assert_eq!(store.confirm(NAME).unwrap().1, Confirmed::Active);
    assert!(!store.install(NAME, &one, on_trial()).unwrap().changed);
    assert!(store.install(NAME, &one, Role::Shadow).unwrap_err().to_string().contains("active one already"));

    store.install(NAME, &two, on_trial()).unwrap();
    expect(&store, ["2", "1", "", ""]);
    store.go_back(NAME, Some("too many defects")).unwrap();
    expect(&store, ["1", "", "", "2"]);
    assert_eq!(store.home(NAME).unwrap().state().reverted.as_deref(), Some("too many defects"));

    store.install(NAME, &three, Role::Shadow).unwrap();
    expect(&store, ["1", "", "3", ""]);
    assert_eq!(store.confirm(NAME).unwrap().1, Confirmed::Shadow);
    expect(&store, ["3", "1", "", ""]);
    assert_eq!(store.confirm(NAME).unwrap().1, Confirmed::Already);
    store.install(NAME, &two, Role::Shadow).unwrap();
    store.end_shadow(NAME).unwrap();
    expect(&store, ["3", "1", "", ""]);
    assert!(store.end_shadow(NAME).is_err());
    // By its name it is what it is anywhere else.
    let home = folder.path().join("store").join(NAME);
    let found = Bundle::open(&home).unwrap();
    assert_eq!((found.manifest().version.as_str(), found.home(), found.place()), ("3", Some(&*home), &*home));
    assert!(Draft::begin(&home).is_err_and(|error| error.to_string().contains("lineside bundle install")));
}

#[test]
fn a_folder_that_was_taught_in_place_becomes_the_version_before() {
    let folder = tempfile::tempdir().unwrap();
    let (taught, new) = (bundle(folder.path(), "taught"), bundle(folder.path(), "2"));
    let store = Store::at(&folder.path().join("store"));
    fs::create_dir(&store.folder).unwrap();
    fs::rename(taught.folder(), store.folder.join(NAME)).unwrap();
    fs::write(store.folder.join(NAME).join("notes.txt"), "mine").unwrap();
    store.install(NAME, &new, on_trial()).unwrap();
    expect(&store, ["2", "taught", "", ""]);
    let left: BTreeSet<String> = fs::read_dir(store.folder.join(NAME))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().display().to_string())
        .collect();
    assert_eq!(left, ["notes.txt", STATE, VERSIONS].map(String::from).into());
    store.go_back(NAME, None).unwrap();
    assert_eq!(Bundle::open(&store.folder.join(NAME)).unwrap().manifest().version, "taught");
}

#[test]
fn a_damaged_version_is_mended_and_a_damaged_state_is_kept_beside() {
    let folder = tempfile::tempdir().unwrap();
    let one = bundle(folder.path(), "1");
    let store = Store::at(&folder.path().join("store"));
    let home = store.install(NAME, &one, on_trial()).unwrap().home;
    let version = home.version(&home.state().active).unwrap().folder().to_path_buf();
    fs::write(version.join("m"), "damaged").unwrap();
    assert!(Bundle::open(&store.folder.join(NAME)).is_err());
    store.install(NAME, &one, on_trial()).unwrap();
    expect(&store, ["1", "", "", ""]);
    fs::write(store.folder.join(NAME).join(STATE), "active = 7").unwrap();
    assert!(
        Bundle::open(&store.folder.join(NAME))
            .is_err_and(|error| error.to_string().contains("install the bundle again"))
    );
    store.install(NAME, &one, on_trial()).unwrap();
    expect(&store, ["1", "", "", ""]);
    assert!(store.folder.join(NAME).join("state.toml.broken").exists());
    // A signature that was made later comes with it.
    fs::write(one.folder().join(SIGNATURE), "signature").unwrap();
    store.install(NAME, &one, on_trial()).unwrap();
    assert_eq!(fs::read_to_string(version.join(SIGNATURE)).unwrap(), "signature");
}

/// The files of a version of a home.
fn version_folder(store: &Store, version: &str) -> PathBuf {
    store.folder.join(NAME).join(VERSIONS).join(version)
}

#[test]
fn what_is_damaged_or_gone_never_takes_the_place_of_what_works() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two, three] = ["1", "2", "3"].map(|version| bundle(folder.path(), version));
    let store = Store::at(&folder.path().join("store"));
    store.install(NAME, &one, on_trial()).unwrap();
    store.confirm(NAME).unwrap();
    store.install(NAME, &two, on_trial()).unwrap();
    store.confirm(NAME).unwrap();
    store.install(NAME, &three, Role::Shadow).unwrap();
    let state = store.home(NAME).unwrap().state().clone();
    let previous = version_folder(&store, state.previous.as_ref().unwrap());
    let shadow = version_folder(&store, state.shadow.as_ref().unwrap());
    fs::write(previous.join("m"), "damaged").unwrap();
    fs::remove_dir_all(&shadow).unwrap();
    for error in [store.go_back(NAME, None).map(drop), store.confirm(NAME).map(drop)] {
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with("parts stays as it was"), "{error}");
    }
    assert_eq!(store.home(NAME).unwrap().state(), &state);
}

#[test]
fn an_active_version_that_is_damaged_is_not_one_to_go_back_to() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two, three] = ["1", "2", "3"].map(|version| bundle(folder.path(), version));
    let store = Store::at(&folder.path().join("store"));
    store.install(NAME, &one, on_trial()).unwrap();
    store.confirm(NAME).unwrap();
    store.install(NAME, &two, on_trial()).unwrap();
    let home = store.confirm(NAME).unwrap().0;
    fs::write(version_folder(&store, &home.state().active).join("m"), "damaged").unwrap();
    store.install(NAME, &three, on_trial()).unwrap();
    expect(&store, ["3", "1", "", ""]);
}

#[test]
fn a_state_that_cannot_be_read_stays_until_the_new_version_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["1", "2"].map(|version| bundle(folder.path(), version));
    let store = Store::at(&folder.path().join("store"));
    store.install(NAME, &one, on_trial()).unwrap();
    let path = store.folder.join(NAME).join(STATE);
    let versions = || fs::read_dir(store.folder.join(NAME).join(VERSIONS)).unwrap().count();
    fs::write(&path, "active = 7").unwrap();
    let refused = store.install(NAME, &two, Role::Shadow).unwrap_err().to_string();
    assert!(refused.ends_with("install the bundle again to write it anew, without --shadow"), "{refused}");
    fs::write(two.folder().join("m"), "changed").unwrap();
    assert!(store.install(NAME, &two, on_trial()).is_err());
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), versions()), ("active = 7", 1));
    // A newer program's is not for this one to replace.
    fs::write(&path, "format = 2").unwrap();
    let refused = store.install(NAME, &one, on_trial()).unwrap_err().to_string();
    assert!(refused.ends_with("format = 2: this program reads format 1; update it"), "{refused}");
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), versions()), ("format = 2", 1));
}

#[test]
fn a_link_among_the_versions_is_removed_and_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let one = bundle(folder.path(), "1");
    let store = Store::at(&folder.path().join("store"));
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("file"), "mine").unwrap();
    store.install(NAME, &one, on_trial()).unwrap();
    std::os::unix::fs::symlink(&elsewhere, version_folder(&store, "deadbeefdeadbeef")).unwrap();
    fs::write(version_folder(&store, "notes.txt"), "a file").unwrap();
    store.confirm(NAME).unwrap();
    expect(&store, ["1", "", "", ""]);
    assert_eq!(fs::read_to_string(elsewhere.join("file")).unwrap(), "mine");
}

#[test]
fn names_stay_inside_and_one_change_excludes_another() {
    let folder = tempfile::tempdir().unwrap();
    let one = bundle(folder.path(), "1");
    let store = Store::at(&folder.path().join("store"));
    for name in ["../x", ".hidden", "", "a/b", "-f", "a\nb", &"x".repeat(65)] {
        let error = store.install(name, &one, on_trial()).unwrap_err();
        assert!(matches!(error, StoreError::Name(_)), "{name}: {error}");
    }
    assert!(!store.folder.exists());
    let lock = store.lock().unwrap();
    assert!(store.install(NAME, &one, on_trial()).unwrap_err().to_string().contains("try again"));
    drop(lock);
    store.install(NAME, &one, on_trial()).unwrap();
}

/// A bundle that changes under the hands of whoever copies it.
#[test]
fn what_was_verified_is_what_is_installed() {
    let folder = tempfile::tempdir().unwrap();
    let one = bundle(folder.path(), "1");
    let store = Store::at(&folder.path().join("store"));
    fs::write(one.folder().join("m"), "model 2").unwrap();
    let error = store.install(NAME, &one, on_trial()).unwrap_err().to_string();
    assert!(error.contains("was changed while it was copied"), "{error}");
    assert!(store.home(NAME).is_err());
    assert_eq!(fs::read_dir(store.folder.join(NAME).join(VERSIONS)).unwrap().count(), 0);
}

type Action<'a> = Box<dyn Fn(&Store) -> Result<(), StoreError> + 'a>;
/// A step of a scenario.
type Step<'a> = (&'static str, Action<'a>);

fn steps<'a>([one, two, three]: &'a [Bundle; 3]) -> Vec<Step<'a>> {
    let install = |bundle: &'a Bundle, role: Role| -> Action<'a> {
        Box::new(move |store: &Store| store.install(NAME, bundle, role.clone()).map(drop))
    };
    vec![
        ("install 1", install(one, on_trial())),
        ("confirm 1", Box::new(|store| store.confirm(NAME).map(drop))),
        ("install 2", install(two, on_trial())),
        ("rollback", Box::new(|store| store.go_back(NAME, None).map(drop))),
        ("shadow 2", install(two, Role::Shadow)),
        ("no shadow", Box::new(|store| store.end_shadow(NAME).map(drop))),
        ("shadow 3", install(three, Role::Shadow)),
        ("confirm 3", Box::new(|store| store.confirm(NAME).map(drop))),
        ("install 2 again", install(two, on_trial())),
        ("confirm 2", Box::new(|store| store.confirm(NAME).map(drop))),
        ("install 1 again", install(one, on_trial())),
        ("by itself", Box::new(|store| store.go_back(NAME, Some("self-test")).map(drop))),
    ]
}

fn put(state: &DiskState, from: &Path, to: &Path) {
    for (path, content) in state {
        let path = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// What a store holds: nothing, or the roles of a home whose versions are all whole.
fn held(store: &Store) -> Option<[Option<String>; 4]> {
    store.home(NAME).is_ok().then(|| roles(store))
}

#[test]
fn after_every_power_cut_the_old_or_the_new_versions_are_there_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let bundles = ["1", "2", "3"].map(|version| bundle(folder.path(), version));
    let store = Store::at(&folder.path().join("store"));
    let disk = FaultyDisk::new();
    // What holds after each step, and after how many changes.
    let mut known = vec![(0, None)];
    for (_, step) in steps(&bundles) {
        step(&store).unwrap();
        known.push((disk.recorded(), held(&store)));
    }
    let operations = disk.operations();
    drop(disk);
    let mut cuts = 0;
    for count in 0..=operations.len() {
        let before = known.iter().rposition(|(at, _)| *at <= count).unwrap();
        let allowed = &known[before..(before + 2).min(known.len())];
        for state in crash_states(&operations[..count]) {
            let there = tempfile::tempdir().unwrap();
            put(&state, &store.folder, there.path());
            let store = Store::at(there.path());
            let found = held(&store);
            let what = || format!("cut {cuts}, after {:?}", operations.get(count.saturating_sub(1)));
            assert!(allowed.iter().any(|(_, held)| *held == found), "{}: {found:?}, not {allowed:?}", what());
            // Whatever was left: the next change succeeds, and tidies up.
            let last = bundle_of(&bundles, cuts);
            let disk = FaultyDisk::new();
            store.install(NAME, last, on_trial()).unwrap_or_else(|error| panic!("{}: {error}", what()));
            assert_eq!(roles(&store)[0].as_deref(), Some(last.manifest().version.as_str()), "{}", what());
            let home = store.home(NAME).unwrap();
            drop(disk);
            let kept: BTreeSet<&String> = home.state().versions().collect();
            assert_eq!(fs::read_dir(there.path().join(NAME).join(VERSIONS)).unwrap().count(), kept.len(), "{}", what());
            cuts += 1;
        }
    }
    assert!(cuts >= 1000, "{cuts}");
}

fn bundle_of(bundles: &[Bundle; 3], number: usize) -> &Bundle {
    &bundles[number % bundles.len()]
}

#[test]
fn a_failure_at_any_change_leaves_the_old_versions_or_the_new_ones() {
    let faults = [Fault::Error(Errno::IO), Fault::Error(Errno::NOSPC), Fault::Short];
    let folder = tempfile::tempdir().unwrap();
    let bundles = ["1", "2", "3"].map(|version| bundle(folder.path(), version));
    let all = steps(&bundles);
    let mut known = vec![None];
    for (_, step) in &all {
        let store = Store::at(&folder.path().join("store"));
        step(&store).unwrap();
        known.push(held(&store));
    }
    let mut failures = 0;
    for at in 0..all.len() {
        for fault in faults {
            for change in 0.. {
                let there = tempfile::tempdir().unwrap();
                let store = Store::at(there.path());
                let disk = FaultyDisk::new();
                all[..at].iter().for_each(|(_, step)| step(&store).unwrap());
                let earlier = disk.changes();
                disk.fail_at(earlier + change, fault);
                let (name, step) = &all[at];
                let done = step(&store);
                let reached = disk.changes() > earlier + change;
                drop(disk);
                let after = held(&store);
                match done {
                    Ok(()) => assert_eq!(after, known[at + 1], "{name}, {fault:?} at {change}"),
                    Err(error) => {
                        assert!(matches!(error, StoreError::Disk { .. }), "{name}: {error}");
                        assert!(known[at..at + 2].contains(&after), "{name}, {fault:?} at {change}: {after:?}");
                        failures += 1;
                    }
                }
                // The disk is well again: what was not done can be done.
                if after == known[at] {
                    let _quick = FaultyDisk::new();
                    step(&store).unwrap_or_else(|error| panic!("{name}, {fault:?} at {change}, again: {error}"));
                    assert_eq!(held(&store), known[at + 1], "{name}, {fault:?} at {change}, again");
                }
                if !reached {
                    break;
                }
            }
        }
    }
    assert!(failures > 100, "{failures}");
}
