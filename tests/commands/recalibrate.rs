//! `lineside recalibrate`: the next batch, and what can go wrong with its pictures.

use crate::common::{arg, copy_folder, refuse, root, run, succeed, text};
use lineside_picture::{Picture, decode_file, write_png};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const NORMAL: &str = "models/inspect-demo/frames/normal";

/// The normal frames of the demo line, in order.
fn demo_frames() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root().join(NORMAL)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A folder of frames, each changed by `change`, a function of a level and its place.
fn changed(folder: &Path, frames: &[PathBuf], change: impl Fn(u8, usize) -> u8) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let mut picture = Picture::default();
    for (number, frame) in frames.iter().enumerate() {
        decode_file(&std::fs::read(frame).unwrap(), 1 << 20, &mut picture).unwrap();
        picture.data_mut().iter_mut().enumerate().for_each(|(at, level)| *level = change(*level, at + 7 * number));
        write_png(std::fs::File::create(folder.join(format!("{number:02}.png"))).unwrap(), &picture).unwrap();
    }
    folder.to_path_buf()
}

/// Frames of parts with another surface: darker and tinted.
fn next_batch(folder: &Path, frames: &[PathBuf]) -> PathBuf {
    changed(folder, frames, |level, at| (u32::from(level) * [55, 65, 70][at % 3] / 80) as u8)
}

/// The files below a folder and their bytes, but for the manifest, which has the time.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(
                contents(&path)
                    .into_iter()
                    .map(|(name, bytes)| (path.file_name().map(PathBuf::from).unwrap().join(name), bytes)),
            );
        } else if !path.ends_with("bundle.toml") {
            found.insert(path.file_name().unwrap().into(), std::fs::read(&path).unwrap());
        }
    }
    found
}

fn json(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&succeed(&[arguments, &["--json"]].concat())).unwrap()
}

#[test]
fn a_new_batch_is_taken_in_beside_the_old_bundle_and_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let frames = demo_frames();
    let normal = folder.path().join("normal");
    std::fs::create_dir(&normal).unwrap();
    for frame in &frames[..12] {
        std::fs::copy(frame, normal.join(frame.file_name().unwrap())).unwrap();
    }
    let parts = folder.path().join("parts");
    succeed(&["teach", "--normal", arg(&normal), "--out", arg(&parts)]);
    let (before, manifest) = (contents(&parts), std::fs::read_to_string(parts.join("bundle.toml")).unwrap());
    for expected in ["[anomaly.taught]", "pictures = 12", "in_colour = 12", "width = 320", "[anomaly.normal]"] {
        assert!(manifest.contains(expected), "{expected}: {manifest}");
    }

    let batch = next_batch(&folder.path().join("monday"), &frames[..10]);
    let rest = next_batch(&folder.path().join("tuesday"), &frames[10..]);
    let report = json(&["recalibrate", arg(&parts), "--good", arg(&batch)]);
    let new = folder.path().join("parts.recalibrated");
    // Twelve are few: each was taught with four varied copies.
    assert_eq!(
        (&report["frames"], &report["directions"], &report["taught"]["frames"]),
        (&10.into(), &10.into(), &60.into())
    );
    assert!(report["false_alarms_before"].as_u64() >= report["false_alarms_after"].as_u64(), "{report}");
    assert!(report["severity_after"].as_f64() < report["severity_before"].as_f64(), "{report}");
    assert!(report["threshold_severity"].as_f64() >= Some(1.0 - 1e-9), "{report}");
    assert_eq!(contents(&parts), before, "the old bundle stays as it is");

    // Other frames of that batch are nearer to normal by the new bundle; the same input gives the same bytes.
    let alarms =
        |bundle: &Path| json(&["eval", arg(bundle), "--normal", arg(&rest)])["false_alarms"].as_array().unwrap().len();
    assert!(alarms(&new) <= alarms(&parts), "{} {}", alarms(&new), alarms(&parts));
    let again = folder.path().join("again");
    let said = succeed(&["recalibrate", arg(&parts), "--good", arg(&batch), "--out", arg(&again)]);
    for expected in
        ["recalibrated with 10 good frames", "false alarms of frames taught before", "10 directions", "--confirm"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(contents(&again), contents(&new));
    assert_eq!(json(&["parity", arg(&new)])["agrees"], true);

    // Confirmed it takes the old one's place; only what came from the bundle that is there is confirmed.
    let recalibrated = std::fs::read_to_string(new.join("bundle.toml")).unwrap();
    succeed(&["recalibrate", arg(&parts.join("")), "--confirm"]);
    assert_eq!(std::fs::read_to_string(parts.join("bundle.toml")).unwrap(), recalibrated);
    assert_eq!(std::fs::read_to_string(folder.path().join("parts.before/bundle.toml")).unwrap(), manifest);
    refuse(&["recalibrate", arg(&parts), "--confirm"], 1, &["parts.recalibrated: no bundle there to confirm"]);
    refuse(
        &["recalibrate", arg(&parts), "--out", arg(&again), "--confirm"],
        1,
        &["again: was not recalibrated from", "recalibrate again"],
    );

    // A third batch adds its directions to those of the second.
    let third =
        changed(&folder.path().join("third"), &frames[..9], |level, at| level.saturating_add([8, 0, 12][at % 3]));
    let report = json(&["recalibrate", arg(&parts), "--good", arg(&third)]);
    assert_eq!((&report["directions"], &report["taught"]["frames"]), (&19.into(), &70.into()), "{report}");
    assert_eq!(json(&["parity", arg(&new)])["agrees"], true);
}

#[test]
fn a_bundle_without_kept_frames_learns_the_threshold() {
    let folder = tempfile::tempdir().unwrap();
    let batch = next_batch(&folder.path().join("monday"), &demo_frames()[..8]);
    let out = folder.path().join("demo");
    let said = succeed(&["recalibrate", "inspect-demo", "--good", arg(&batch), "--out", arg(&out)]);
    assert!(said.contains("only the threshold was moved: this bundle keeps no frames"), "{said}");
    assert!(said.contains(&format!("lineside recalibrate inspect-demo --out {} --confirm", out.display())), "{said}");
    let threshold = |bundle: &str, normal: &Path| json(&["eval", bundle, "--normal", arg(normal)]);
    let (old, new) = (threshold("inspect-demo", &batch), threshold(arg(&out), &batch));
    let count = |report: &serde_json::Value| report["false_alarms"].as_array().unwrap().len();
    assert!(count(&new) <= count(&old), "{old} {new}");
}

#[test]
fn pictures_from_which_no_batch_can_be_learned_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let out = place("out");
    let recalibrate = |good: &Path, code: i32, expected: &[&str]| {
        refuse(&["recalibrate", "inspect-demo", "--good", arg(good), "--out", arg(&out)], code, expected);
        assert!(!out.exists());
    };
    let frames = demo_frames();
    std::fs::create_dir(place("empty")).unwrap();
    recalibrate(&place("empty"), 1, &["empty: no picture in it"]);
    recalibrate(&place("none"), 1, &["none: cannot read this folder"]);
    let few = next_batch(&place("few"), &frames[..3]);
    recalibrate(&few, 1, &["few: 3 different pictures: at least 8 are needed"]);
    // Copies count once.
    let seven = next_batch(&place("seven"), &frames[..7]);
    std::fs::copy(seven.join("00.png"), seven.join("07.png")).unwrap();
    std::fs::copy(seven.join("01.png"), seven.join("08.png")).unwrap();
    let output = run(&["recalibrate", "inspect-demo", "--good", arg(&seven), "--out", arg(&out)]);
    let said = text(&output.stderr);
    assert!(said.contains("07.png: a copy of ") && said.contains("7 different pictures"), "{said}");

    let noise = changed(&place("noise"), &frames[..10], |_, at| (at * at % 251) as u8);
    recalibrate(
        &noise,
        1,
        &["noise: these look like another product: 10 of 10 pictures have a severity over 3; teach anew"],
    );

    // A bundle that knows its size.
    let bundle = place("parts");
    copy_folder(&root().join("models/inspect-demo"), &bundle);
    let manifest = bundle.join("bundle.toml");
    let taught = "\n[anomaly.taught]\npictures = 1\nin_colour = 1\ndate = \"2026-11-29\"\n\
                  [[anomaly.taught.size]]\nwidth = 640\nheight = 480\npictures = 1\n";
    std::fs::write(&manifest, std::fs::read_to_string(&manifest).unwrap() + taught).unwrap();
    refuse(
        &["recalibrate", arg(&bundle), "--good", arg(&seven)],
        1,
        &["7 of 9 pictures are of another size than was taught, such as", "00.png: frame 320x240, taught with 640x480"],
    );
}

#[test]
fn bundles_and_places_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let batch = next_batch(&folder.path().join("monday"), &demo_frames()[..8]);
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("letter.txt"), "dear").unwrap();
    refuse(
        &["recalibrate", "inspect-demo", "--good", arg(&batch), "--out", arg(&taken)],
        1,
        &["taken: cannot write the new bundle", "exists and is not a bundle"],
    );
    assert!(taken.join("letter.txt").exists());
    refuse(&["recalibrate", "superres-x3", "--good", arg(&batch)], 78, &["task is not \"anomaly\""]);
    refuse(&["recalibrate", "no-such", "--good", arg(&batch)], 78, &["no-such"]);
    let own = folder.path().join("own");
    copy_folder(&root().join("models/inspect-demo"), &own);
    refuse(
        &["recalibrate", arg(&own), "--good", arg(&batch), "--out", arg(&own)],
        1,
        &["the old bundle stays as it is"],
    );
    refuse(&["recalibrate", arg(&own), "--confirm"], 1, &["own.recalibrated: no bundle there", "--good DIR"]);
    for wrong in [&["recalibrate", "inspect-demo"][..], &["recalibrate", "inspect-demo", "--good", "x", "--confirm"]] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}
