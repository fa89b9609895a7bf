//! The bundles of a line at its start: computed right, or not used; and the way back.

use crate::common::{arg, config, copy_folder, lineside, records, refuse, root, succeed, text};
use crate::field_log::{check, documented};
use lineside::bundle::sha256;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub fn version(folder: &Path, version: &str) -> PathBuf {
    let bundle = folder.join(format!("parts-{version}"));
    copy_folder(&root().join("models/inspect-pattern"), &bundle);
    let path = bundle.join("bundle.toml");
    let manifest = std::fs::read_to_string(&path).unwrap();
    let name = manifest.lines().find(|line| line.starts_with("name = ")).unwrap();
    let number = manifest.lines().find(|line| line.starts_with("version = ")).unwrap();
    let manifest = manifest.replace(name, "name = \"parts\"").replace(number, &format!("version = \"{version}\""));
    std::fs::write(path, manifest).unwrap();
    bundle
}

/// Changes a golden vector, and its hash in the manifest.
fn falsify(bundle: &Path) {
    let (path, manifest) = (bundle.join("golden/0.block7.npy"), bundle.join("bundle.toml"));
    let mut bytes = std::fs::read(&path).unwrap();
    let before = sha256(&bytes);
    *bytes.last_mut().unwrap() ^= 4;
    std::fs::write(path, &bytes).unwrap();
    let text = std::fs::read_to_string(&manifest).unwrap();
    let line = format!("\"golden/0.block7.npy\" = \"{before}\"");
    assert!(text.contains(&line));
    std::fs::write(manifest, text.replace(&line, &format!("\"golden/0.block7.npy\" = \"{}\"", sha256(&bytes))))
        .unwrap();
}

pub fn line(folder: &Path, bundle: &Path, source: &str) -> PathBuf {
    let results = folder.join("results");
    config(
        folder,
        &format!(
            "[source.pattern]\n{source}\n[anomaly]\nbundle = {bundle:?}\n[output]\nfolder = {results:?}\n\
             [super_resolution]\nwhen = \"never\"\n"
        ),
    )
}

#[test]
fn a_line_whose_golden_vectors_come_out_wrong_does_not_inspect() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = version(folder.path(), "1");
    let path = line(folder.path(), &bundle, "frames = 3");
    succeed(&["run", arg(&path)]);
    falsify(&bundle);
    for command in ["run", "check"] {
        refuse(
            &[command, arg(&path)],
            78,
            &[
                "golden/0.block7.npy: self-test",
                "4 LSB away (allowed: 0) with the kernels",
                "every other kernel set of this CPU",
            ],
        );
    }
}

#[test]
fn a_bundle_without_golden_vectors_is_told_at_each_start() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = version(folder.path(), "1");
    let manifest = bundle.join("bundle.toml");
    let mut stated: toml::Table = std::fs::read_to_string(&manifest).unwrap().parse().unwrap();
    assert!(stated.remove("golden").is_some());
    std::fs::write(&manifest, stated.to_string()).unwrap();
    let path = line(folder.path(), &bundle, "frames = 3");
    // An empty variable asks for no kernel set.
    let output = lineside().args(["run", arg(&path)]).env("LINESIDE_KERNEL", "").output().unwrap();
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(errors.matches("bundle_untested").count(), 1, "{errors}");
    assert!(errors.contains("parts 1 ") && errors.contains("lineside bundle new"), "{errors}");
}

#[test]
fn an_installed_version_that_does_not_pass_its_self_test_gives_way_to_the_one_before_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let bundle = |arguments: &[&str]| succeed(&[&["bundle"], arguments, &["--store", arg(&store)]].concat());
    let [one, two] = ["1", "2"].map(|name| version(folder.path(), name));
    bundle(&["install", arg(&one)]);
    bundle(&["confirm", "parts"]);
    bundle(&["install", arg(&two)]);
    bundle(&["confirm", "parts"]);
    let path = line(folder.path(), &store.join("parts"), "frames = 3");
    succeed(&["check", arg(&path)]);

    // A block of the card has gone bad.
    let list: serde_json::Value = serde_json::from_str(&bundle(&["list", "--json"])).unwrap();
    let active = PathBuf::from(list[0]["folder"].as_str().unwrap());
    let model = active.join("model.onnx");
    let mut bytes = std::fs::read(&model).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&model, bytes).unwrap();
    // `check` changes nothing.
    refuse(&["check", arg(&path)], 78, &["would go back to parts 1", "model.onnx: SHA-256 is"]);
    let output = lineside().args(["--log-format", "json", "run", arg(&path)]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let records = records(&folder.path().join("results"));
    let reverted: Vec<_> = records.iter().filter(|record| record["record"] == "bundle_reverted").collect();
    assert_eq!(reverted.len(), 1, "{records:?}");
    check(reverted[0], &documented(), &mut BTreeSet::new());
    assert!(reverted[0]["reason"].as_str().unwrap().contains("model.onnx: SHA-256 is"), "{}", reverted[0]);
    assert!(reverted[0]["to"].as_str().unwrap().starts_with("parts 1 ") && reverted[0]["bundle"] == "parts");
    let start = records.iter().find(|record| record["record"] == "start").unwrap();
    assert!(start["bundles"].as_str().unwrap().starts_with("parts 1 "), "{start}");
    assert!(bundle(&["list"]).contains("went back to it by itself"));
    let told = succeed(&["inspect", arg(&folder.path().join("results/events.jsonl"))]);
    assert!(told.contains("The line went back to the bundle before by itself once"), "{told}");
    // It stays there, and says nothing more.
    let output = lineside().args(["--log-format", "json", "run", arg(&path)]).output().unwrap();
    assert!(output.status.success() && !text(&output.stderr).contains("bundle_reverted"), "{}", text(&output.stderr));
    // A second time there is nothing to go back to.
    std::fs::write(
        store.join("parts/versions").join(&start["bundles"].as_str().unwrap()[8..24]).join("model.onnx"),
        "x",
    )
    .unwrap();
    refuse(&["run", arg(&path)], 78, &["model.onnx: SHA-256 is"]);
}

#[test]
fn a_trial_without_a_version_to_go_back_to_is_told_and_ends_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let bundle = |arguments: &[&str]| succeed(&[&["bundle"], arguments, &["--store", arg(&store)]].concat());
    let [one, two] = ["1", "2"].map(|name| version(folder.path(), name));
    bundle(&["install", arg(&one)]);
    bundle(&["confirm", "parts"]);
    bundle(&["install", arg(&two)]);
    let list: serde_json::Value = serde_json::from_str(&bundle(&["list", "--json"])).unwrap();
    let before = list.as_array().unwrap().iter().find(|row| row["role"] == "previous").unwrap();
    std::fs::write(Path::new(before["folder"].as_str().unwrap()).join("model.onnx"), "damaged").unwrap();
    let output =
        lineside().args(["run", arg(&line(folder.path(), &store.join("parts"), "frames = 3"))]).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("parts is on trial and does not go back by itself").count(), 1, "{said}");
}

#[test]
fn a_version_on_trial_that_finds_defects_everywhere_goes_back_while_the_line_runs() {
    goes_back(|folder, home| line(folder, home, "defect_every = 1"));
}

#[test]
fn one_of_several_tasks_goes_back_by_what_it_finds_itself() {
    goes_back(|folder, home| {
        let path = line(folder, home, "defect_every = 1");
        let written = std::fs::read_to_string(&path).unwrap();
        let tasks = format!(
            "[[task]]\nname = \"look\"\nbundle = {:?}\n[[task]]\nname = \"surface\"\nbundle = {home:?}\n",
            root().join("models/inspect-pattern")
        );
        let anomaly = format!("[anomaly]\nbundle = {home:?}\n");
        assert!(written.contains(&anomaly));
        std::fs::write(&path, written.replace(&anomaly, "") + &tasks).unwrap();
        path
    });
}

/// The line with this configuration gives up the version on trial of its bundle's home.
fn goes_back(configuration: impl Fn(&Path, &Path) -> PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let bundle = |arguments: &[&str]| succeed(&[&["bundle"], arguments, &["--store", arg(&store)]].concat());
    let [one, two] = ["1", "2"].map(|name| version(folder.path(), name));
    bundle(&["install", arg(&one)]);
    bundle(&["confirm", "parts"]);
    bundle(&["install", arg(&two), "--confirm-within", "60s"]);
    let path = configuration(folder.path(), &store.join("parts"));
    let mut child = lineside()
        .args(["run", arg(&path)])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let results = folder.path().join("results");
    let found = crate::common::eventually("the version goes back", || {
        let text = std::fs::read_to_string(results.join("events.jsonl")).ok()?;
        text.contains("\"bundle_reverted\"").then_some(text)
    });
    crate::common::signal(&child, "TERM");
    crate::common::ends(&mut child);
    assert!(found.contains("a bundle on trial found too many defects"), "{found}");
    assert!(found.contains("frames were defects while it was on trial, where at most"), "{found}");
    assert!(bundle(&["list"]).contains("went back to it by itself"));
}

/// The same with several cameras: it is in the records of the one that has found out, and all begin again.
#[test]
fn a_version_on_trial_goes_back_for_all_cameras_and_one_of_them_records_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let bundle = |arguments: &[&str]| succeed(&[&["bundle"], arguments, &["--store", arg(&store)]].concat());
    let [one, two] = ["1", "2"].map(|name| version(folder.path(), name));
    bundle(&["install", arg(&one)]);
    bundle(&["confirm", "parts"]);
    bundle(&["install", arg(&two), "--confirm-within", "60s"]);
    let (results, parts) = (folder.path().join("results"), store.join("parts"));
    let camera =
        |name: &str, source: &str| format!("[[camera]]\nname = \"{name}\"\n[camera.source.pattern]\n{source}\n");
    let text = format!(
        "[anomaly]\nbundle = {parts:?}\n[output]\nfolder = {results:?}\n[super_resolution]\nwhen = \"never\"\n{}{}",
        camera("bad", "defect_every = 1"),
        camera("good", "defect_every = 0\nfps = 5.0")
    );
    let mut running = crate::plc::Running::start(&config(folder.path(), &text));
    let recorded =
        |camera: &str| std::fs::read_to_string(results.join(camera).join("events.jsonl")).unwrap_or_default();
    crate::common::eventually("both begin again", || {
        ["bad", "good"].iter().all(|camera| recorded(camera).matches("\"record\":\"start\"").count() >= 2).then_some(())
    });
    running.stop();
    let reverted = |camera: &str| recorded(camera).matches("\"record\":\"bundle_reverted\"").count();
    assert_eq!((reverted("bad"), reverted("good")), (1, 0), "{}", running.log());
    assert!(recorded("bad").contains("frames were defects while it was on trial"), "{}", recorded("bad"));
}
