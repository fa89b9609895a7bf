//! The bundles of a line at its start: computed right, or not used; and the way back.

use crate::common::{arg, config, copy_folder, lineside, records, refuse, root, succeed, text};
use lineside::bundle::sha256;
use std::path::{Path, PathBuf};

fn version(folder: &Path, version: &str) -> PathBuf {
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

fn line(folder: &Path, bundle: &Path, source: &str) -> PathBuf {
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
fn a_version_on_trial_that_finds_defects_everywhere_goes_back_while_the_line_runs() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let bundle = |arguments: &[&str]| succeed(&[&["bundle"], arguments, &["--store", arg(&store)]].concat());
    let [one, two] = ["1", "2"].map(|name| version(folder.path(), name));
    bundle(&["install", arg(&one)]);
    bundle(&["confirm", "parts"]);
    bundle(&["install", arg(&two), "--confirm-within", "60s"]);
    let path = line(folder.path(), &store.join("parts"), "defect_every = 1");
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
