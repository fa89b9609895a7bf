//! The bundles of a line at its start: computed right, or not used; and the way back.

use crate::common::{arg, config, copy_folder, lineside, records, refuse, root, succeed, text};
use crate::field_log::{check, documented};
use lineside::bundle::sha256;
use std::collections::BTreeSet;
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

/// The line with a shadow, and without: what it does, what it counts, what it records, and what it leaves as it is.
#[test]
fn a_shadow_is_judged_beside_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let bundle = |arguments: &[&str]| succeed(&[&["bundle"], arguments, &["--store", arg(&store)]].concat());
    let [one, two] = ["1", "2"].map(|name| version(folder.path(), name));
    // It takes everything for a defect.
    let manifest = two.join("bundle.toml");
    let written = std::fs::read_to_string(&manifest).unwrap();
    let threshold = written.lines().find(|line| line.starts_with("threshold = ")).unwrap().to_string();
    std::fs::write(&manifest, written.replace(&threshold, "threshold = 0.0")).unwrap();
    bundle(&["install", arg(&one)]);
    bundle(&["confirm", "parts"]);
    let path = line(folder.path(), &store.join("parts"), "frames = 30");
    let results = folder.path().join("results");
    let run = || {
        let _ = std::fs::remove_dir_all(&results);
        succeed(&["run", arg(&path)]);
        records(&results)
    };
    let of = |records: &[serde_json::Value], kind: &str| -> Vec<serde_json::Value> {
        records.iter().filter(|record| record["record"] == kind).cloned().collect()
    };
    let verdicts = |records: &[serde_json::Value]| -> Vec<serde_json::Value> {
        of(records, "event").iter().map(|event| event["verdict_sha256"].clone()).collect()
    };
    let alone = run();
    assert!(of(&alone, "shadow").is_empty() && of(&alone, "status")[0].get("shadow_judged").is_none());
    bundle(&["shadow", arg(&two)]);
    let beside = run();
    assert_eq!(verdicts(&alone), verdicts(&beside));
    let (before, after) = (of(&alone, "stop")[0].clone(), of(&beside, "stop")[0].clone());
    for field in ["captured", "inspected", "defects", "failed", "allocs_since_sealed"] {
        assert_eq!(before[field], after[field], "{field}");
    }
    let status = of(&beside, "status").pop().unwrap();
    let defects = after["defects"].as_u64().unwrap();
    assert_eq!(
        (&status["shadow_judged"], &status["shadow_failed"], &status["shadow_skipped"]),
        (&30.into(), &0.into(), &0.into())
    );
    assert_eq!(status["shadow_differs"], 30 - defects, "{status}");
    let shadows = of(&beside, "shadow");
    assert!(!shadows.is_empty() && shadows.len() < 28, "{}", shadows.len());
    for record in &beside {
        check(record, &documented(), &mut BTreeSet::new());
    }
    for shadow in &shadows {
        assert_eq!((&shadow["defect"], &shadow["shadow_defect"]), (&false.into(), &true.into()), "{shadow}");
        assert!(results.join(shadow["files"]["original"].as_str().unwrap()).exists(), "{shadow}");
    }
    // Both are named, and the shadow is on the bill.
    let start = &of(&beside, "start")[0];
    assert!(start["bundles"].as_str().unwrap().contains(shadows[0]["shadow_bundle"].as_str().unwrap()), "{start}");
    assert!(start["bill"].as_str().unwrap().contains("; parts shadow "), "{start}");
    let told = succeed(&["inspect", arg(&results.join("events.jsonl"))]);
    let expected =
        format!("The shadow judged 30 frames beside the active version and said otherwise of {}", 30 - defects);
    assert!(told.contains(&expected), "{told}");

    // A source that is faster than any board leaves it no time: it has its share all the same, and the rest is counted.
    let path = line(folder.path(), &store.join("parts"), "frames = 300\nfps = 1000.0");
    let _ = std::fs::remove_dir_all(&results);
    succeed(&["run", arg(&path)]);
    let status = of(&records(&results), "status").pop().unwrap();
    let [judged, skipped] = ["shadow_judged", "shadow_skipped"].map(|count| status[count].as_u64().unwrap());
    assert!(judged >= 1 && Some(judged + skipped) == status["inspected"].as_u64(), "{status}");

    // A shadow that cannot be used keeps nobody from inspecting.
    let list: serde_json::Value = serde_json::from_str(&bundle(&["list", "--json"])).unwrap();
    std::fs::write(PathBuf::from(list[1]["folder"].as_str().unwrap()).join("model.onnx"), "damaged").unwrap();
    let output = lineside().args(["run", arg(&path)]).output().unwrap();
    let told = text(&output.stderr);
    assert!(
        output.status.success() && told.contains(" record=shadow_refused ") && told.contains(" bundle=parts "),
        "{told}"
    );
}
