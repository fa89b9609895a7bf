//! Versions that are judged beside the active ones.

use crate::bundles::{line, version};
use crate::common::{arg, colour_bundle, config, lineside, records, succeed, text};
use crate::field_log::{check, documented};
use lineside_picture::{Layout, Picture, write_png};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Changes the store of a folder.
fn bundle(folder: &Path, arguments: &[&str]) -> String {
    succeed(&[&["bundle"], arguments, &["--store", arg(&folder.join("store"))]].concat())
}

/// A run of its own, and its records.
fn run(folder: &Path, path: &Path) -> Vec<Value> {
    let results = folder.join("results");
    let _ = std::fs::remove_dir_all(&results);
    succeed(&["run", arg(path)]);
    records(&results)
}

fn of(records: &[Value], kind: &str) -> Vec<Value> {
    records.iter().filter(|record| record["record"] == kind).cloned().collect()
}

/// Has a version take everything for a defect.
fn strict(version: &Path) {
    let manifest = version.join("bundle.toml");
    let written = std::fs::read_to_string(&manifest).unwrap();
    let threshold = written.lines().find(|line| line.starts_with("threshold = ")).unwrap().to_string();
    std::fs::write(&manifest, written.replace(&threshold, "threshold = 0.0")).unwrap();
}

/// The line with a shadow, and without: what it does, what it counts, what it records, and what it leaves as it is.
#[test]
fn a_shadow_is_judged_beside_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let bundle = |arguments: &[&str]| bundle(folder.path(), arguments);
    let [one, two] = ["1", "2"].map(|name| version(folder.path(), name));
    strict(&two);
    bundle(&["install", arg(&one)]);
    bundle(&["confirm", "parts"]);
    let path = line(folder.path(), &store.join("parts"), "frames = 30");
    let results = folder.path().join("results");
    let run = || run(folder.path(), &path);
    let verdicts = |records: &[Value]| -> Vec<Value> {
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
    let status = of(&crate::shadows::run(folder.path(), &path), "status").pop().unwrap();
    let [judged, skipped] = ["shadow_judged", "shadow_skipped"].map(|count| status[count].as_u64().unwrap());
    assert!(judged >= 1 && Some(judged + skipped) == status["inspected"].as_u64(), "{status}");

    // A shadow that cannot be used keeps nobody from inspecting.
    let list: Value = serde_json::from_str(&bundle(&["list", "--json"])).unwrap();
    std::fs::write(PathBuf::from(list[1]["folder"].as_str().unwrap()).join("model.onnx"), "damaged").unwrap();
    let output = lineside().args(["run", arg(&path)]).output().unwrap();
    let told = text(&output.stderr);
    assert!(
        output.status.success() && told.contains(" record=shadow_refused ") && told.contains(" bundle=parts "),
        "{told}"
    );
}

#[test]
fn of_several_tasks_a_shadow_is_judged_where_its_own_ran_and_compared_with_that() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    colour_bundle(&at("any"), "");
    colour_bundle(&at("good"), "ok = [\"red\"]\n[classify.thresholds]\ngreen = 0.2");
    colour_bundle(&at("lenient"), "ok = [\"red\", \"green\"]");
    for (name, home) in [("any", "type"), ("good", "paint")] {
        bundle(folder.path(), &["install", arg(&at(name)), "--as", home]);
        bundle(folder.path(), &["confirm", home]);
    }
    bundle(folder.path(), &["shadow", arg(&at("lenient")), "--as", "paint"]);
    std::fs::create_dir(at("frames")).unwrap();
    // Red before green, but green enough for the second task: the last.
    for (name, rgb) in
        [("1-red", [250, 0, 0]), ("2-green", [0, 250, 0]), ("3-blue", [0, 0, 250]), ("4-brown", [250, 220, 0])]
    {
        let picture = Picture::from_data(Layout::Rgb, 64, 48, rgb.repeat(64 * 48)).unwrap();
        write_png(std::fs::File::create(at("frames").join(name).with_extension("png")).unwrap(), &picture).unwrap();
    }
    let (frames, results, store) = (at("frames"), at("results"), at("store"));
    let path = config(
        folder.path(),
        &format!(
            "[source.folder]\npath = {frames:?}\n[output]\nfolder = {results:?}\n[super_resolution]\nwhen = \"never\"\n\
             [engine]\nallow_float = true\n[[task]]\nname = \"what\"\nbundle = {:?}\n[[task]]\nname = \"surface\"\nbundle = {:?}\n\
             after = \"what\"\nwhen = [\"red\", \"green\"]\n",
            store.join("type"),
            store.join("paint")
        ),
    );
    let beside = run(folder.path(), &path);
    let status = of(&beside, "status").pop().unwrap();
    // Not blue, to which the task does not come; what it finds bad of green and brown, the shadow does not.
    assert_eq!((&status["shadow_judged"], &status["shadow_differs"]), (&3.into(), &2.into()), "{status}");
    let shadows = of(&beside, "shadow");
    assert_eq!(shadows[0]["frame"], "2-green.png", "{shadows:?}");
    assert_eq!((&shadows[0]["task"], &shadows[0]["shadow_defect"]), (&"surface".into(), &false.into()), "{shadows:?}");
    assert!(shadows[0]["tasks"].as_str().unwrap().contains("surface: green"), "{shadows:?}");
    for record in &beside {
        check(record, &documented(), &mut BTreeSet::new());
    }
}

/// Two products, each with a home of its own or with a common one.
fn products(folder: &Path, [part, lid]: [&str; 2], start: &str, more: &str) -> PathBuf {
    let (results, store) = (folder.join("results"), folder.join("store"));
    let product = |name: &str, code: u16, home: &str| {
        format!("[[product]]\nname = \"{name}\"\ncode = {code}\nbundle = {:?}\n", store.join(home))
    };
    config(
        folder,
        &format!(
            "[source.pattern]\nframes = 10\n[output]\nfolder = {results:?}\n[super_resolution]\nwhen = \"never\"\n\
             [products]\nstart = \"{start}\"\n{}{}{more}",
            product("part", 1, part),
            product("lid", 2, lid)
        ),
    )
}

#[test]
fn of_several_products_a_shadow_is_judged_beside_its_own_only() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["1", "2"].map(|name| version(folder.path(), name));
    strict(&two);
    let bundle = |arguments: &[&str]| bundle(folder.path(), arguments);
    for home in ["parts", "lids"] {
        // The same bytes in two homes would be one bundle.
        let name = if home == "lids" { version(folder.path(), "9") } else { one.clone() };
        bundle(&["install", arg(&name), "--as", home]);
        bundle(&["confirm", home]);
    }
    bundle(&["shadow", arg(&two), "--as", "lids"]);
    let run = |homes, start, more| run(folder.path(), &products(folder.path(), homes, start, more));
    let other = run(["parts", "lids"], "part", "");
    assert!(of(&other, "status").pop().unwrap().get("shadow_judged").is_none());
    let own = run(["parts", "lids"], "lid", "");
    let status = of(&own, "status").pop().unwrap();
    assert_eq!(status["shadow_judged"], 10, "{status}");
    let shadows = of(&own, "shadow");
    assert!(shadows[0]["product"] == "lid" && shadows[0].get("task").is_none(), "{shadows:?}");
    // With two thresholds nobody knows which verdict its own is to be compared with.
    let path = products(folder.path(), ["lids", "lids"], "lid", "threshold = 0.5\n");
    let output = lineside().args(["run", arg(&path)]).output().unwrap();
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains(" record=shadow_refused ") && told.contains("different thresholds"), "{told}");
}

#[test]
fn a_shadow_that_does_not_fit_the_budget_is_left_out_and_the_line_inspects() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["1", "2"].map(|name| version(folder.path(), name));
    bundle(folder.path(), &["install", arg(&one)]);
    bundle(folder.path(), &["confirm", "parts"]);
    let path = line(folder.path(), &folder.path().join("store/parts"), "frames = 10");
    let checked = succeed(&["check", arg(&path)]);
    let sum = checked.lines().find_map(|line| line.trim().strip_prefix("sum ")).unwrap().trim();
    let needed: f64 = sum.strip_suffix(" MiB").unwrap().parse().unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{written}[budget]\nmemory = \"{:.1} MiB\"\n", needed + 3.0)).unwrap();
    bundle(folder.path(), &["shadow", arg(&two)]);
    let output = lineside().args(["run", arg(&path)]).output().unwrap();
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains(" record=shadow_refused ") && told.contains("of budget.memory = "), "{told}");
    assert_eq!(of(&records(&folder.path().join("results")), "stop")[0]["inspected"], 10);
}
