//! `lineside teach --detail`: what it costs is said before, and what was taught with it runs, is evaluated and recalibrated.

use crate::common::{arg, config, records, root, run, succeed, text};
use lineside_picture::{Picture, decode_file, write_png};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Writes frames of the demo line, continued to the right and below by a copy of their first columns and rows.
fn frames(folder: &Path, count: usize, (right, below): (usize, usize)) -> PathBuf {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("models/inspect-demo/frames/normal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let to = folder.join("normal");
    std::fs::create_dir_all(&to).unwrap();
    for (number, file) in files[..count].iter().enumerate() {
        let (mut frame, mut larger) = (Picture::default(), Picture::default());
        decode_file(&std::fs::read(file).unwrap(), 1 << 20, &mut frame).unwrap();
        let (width, height) = (frame.width(), frame.height());
        larger.reshape(frame.layout(), width + right, height + below);
        for y in 0..height + below {
            let (from, row) = (frame.row(y % height), larger.row_mut(y));
            row[..3 * width].copy_from_slice(from);
            row[3 * width..].copy_from_slice(&from[..3 * right]);
        }
        write_png(std::fs::File::create(to.join(format!("{number:02}.png"))).unwrap(), &larger).unwrap();
    }
    to
}

/// Teaches, and returns what was printed.
fn teach(normal: &Path, out: &Path, detail: &str) -> String {
    let output = run(&["teach", "--normal", arg(normal), "--out", arg(out), "--detail", detail]);
    let said = [output.stdout, output.stderr].map(|bytes| text(&bytes)).concat();
    assert!(output.status.success(), "{said}");
    said
}

fn manifest(bundle: &Path) -> toml::Table {
    std::fs::read_to_string(bundle.join("bundle.toml")).unwrap().parse().unwrap()
}

fn macs(bundle: &Path) -> i64 {
    manifest(bundle)["measured"]["macs"].as_integer().unwrap()
}

/// The verdicts of a line on these frames, to which every frame is a defect: the name of each and the verdict's hash.
fn verdicts(folder: &Path, bundle: &Path, frames: &Path, threads: usize) -> Vec<(String, String)> {
    let out = folder.join(format!("out-{threads}"));
    let line = config(
        folder,
        &format!(
            "[source.folder]\npath = {frames:?}\n[anomaly]\nbundle = {bundle:?}\nthreads = {threads}\nthreshold = 0.0\n\
             [super_resolution]\nwhen = \"never\"\n[output]\nfolder = {out:?}\n"
        ),
    );
    let check: Value = serde_json::from_str(&succeed(&["check", arg(&line), "--json"])).unwrap();
    assert_eq!(
        (&check["verdict"]["threads"], check["verdict"]["macs"].as_i64()),
        (&threads.into(), Some(macs(bundle)))
    );
    assert!(succeed(&["check", arg(&line)]).contains("M multiply-accumulates: views of"), "{check}");
    succeed(&["run", arg(&line)]);
    let records = records(&out);
    let seen = records.iter().filter(|record| record["record"] == "event");
    seen.map(|record| (record["frame"].to_string(), record["verdict_sha256"].to_string())).collect()
}

#[test]
fn a_detail_that_is_unknown_is_refused_with_those_that_are_known() {
    let output = run(&["teach", "--normal", "x", "--out", "y", "--detail", "huge"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    for expected in ["invalid value 'huge'", "coarse", "normal", "fine"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn frames_that_are_not_larger_than_the_view_are_taught_as_normal_which_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let normal = frames(folder.path(), 12, (0, 0));
    let (plain, fine) = (folder.path().join("plain"), folder.path().join("fine"));
    let said = teach(&normal, &plain, "normal");
    assert!(said.contains("320x320 and 128x128 pixels, 861 M multiply-accumulates"), "{said}");
    let said = teach(&normal, &fine, "fine");
    assert!(
        said.contains("a frame of 320x240 pixels is not larger than the view of --detail normal, 320x320"),
        "{said}"
    );
    let files = |bundle: &Path| manifest(bundle)["files"].clone();
    assert_eq!(files(&plain), files(&fine));
}

#[test]
fn a_coarse_bundle_is_cheaper_and_works_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let normal = frames(folder.path(), 16, (0, 0));
    let bundle = folder.path().join("coarse");
    let said = teach(&normal, &bundle, "coarse");
    assert!(said.contains("224x224 and 96x96 pixels, 431 M multiply-accumulates"), "{said}");
    assert!(macs(&bundle) < 500_000_000);
    let defect = root().join("models/inspect-demo/frames/defect");
    let eval = succeed(&["eval", arg(&bundle), "--normal", arg(&normal), "--defect", arg(&defect), "--json"]);
    let eval: Value = serde_json::from_str(&eval).unwrap();
    assert!(eval["auroc"].as_f64().unwrap() > 0.9, "{eval}");
    let bench: Value = serde_json::from_str(&succeed(&["bench", arg(&bundle), "--runs", "3", "--json"])).unwrap();
    assert!(bench["verdict_p50_ms"].is_number(), "{bench}");
    succeed(&["recalibrate", arg(&bundle), "--good", arg(&normal)]);
    assert_eq!(
        manifest(&folder.path().join("coarse.recalibrated"))["anomaly"]["views"],
        manifest(&bundle)["anomaly"]["views"]
    );
    assert_eq!(verdicts(folder.path(), &bundle, &normal, 1).len(), 16);
    let replay = run(&["replay", arg(&folder.path().join("out-1")), "--bundle", arg(&bundle)]);
    assert!(replay.status.success(), "{}", text(&replay.stderr));
}

#[test]
fn a_fine_bundle_sees_larger_frames_as_they_are_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let normal = frames(folder.path(), 12, (96, 80));
    let bundle = folder.path().join("fine");
    let said = teach(&normal, &bundle, "fine");
    assert!(said.contains("detail fine: the backbone sees a frame in 416x320 and 128x128 pixels"), "{said}");
    let views = manifest(&bundle)["anomaly"]["views"].to_string();
    assert_eq!(views, "[[416, 320], 128]");
    assert!(macs(&bundle) > 900_000_000);
    let one = verdicts(folder.path(), &bundle, &normal, 1);
    assert_eq!((one.len(), &one), (12, &verdicts(folder.path(), &bundle, &normal, 3)));
    let parity: Value = serde_json::from_str(&succeed(&["parity", arg(&bundle), "--json"])).unwrap();
    assert_eq!(parity["agrees"], true);
    let recalibrated = run(&["recalibrate", arg(&bundle), "--good", arg(&normal)]);
    assert!(recalibrated.status.success(), "{}", text(&recalibrated.stderr));
    assert_eq!(manifest(&folder.path().join("fine.recalibrated"))["anomaly"]["views"].to_string(), views);
}
