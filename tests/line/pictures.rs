//! Pictures within their budget: whatever happens to the process, the folder holds whole files, no more bytes than allowed,
//! and the ones that interest most.

use crate::common::{arg, config, lineside, records, refuse, root, succeed};
use lineside_picture::{Picture, decode_file};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// A line whose pictures may take so many mebibytes.
fn line(folder: &Path, mebibytes: u64, source: &str, more: &str) -> (PathBuf, PathBuf) {
    let results = folder.join("results");
    let text = format!(
        "{source}\n[super_resolution]\nwhen = \"never\"\n\
         [output]\nfolder = {results:?}\npictures = \"{mebibytes} MiB\"\nkeep_free = \"0 B\"\n{more}\n"
    );
    (config(folder, &text), results)
}

/// All pictures, by their names in the folder; each must be whole.
fn pictures(results: &Path) -> (BTreeSet<String>, u64) {
    let (mut names, mut bytes) = (BTreeSet::new(), 0);
    for (folder, prefix) in [(results.to_path_buf(), ""), (results.join("normal"), "normal/")] {
        for path in std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if path.extension().is_some_and(|ending| ending == "png") {
                let file = std::fs::read(&path).unwrap();
                let mut picture = Picture::default();
                decode_file(&file, 1 << 20, &mut picture).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                bytes += file.len() as u64;
                names.insert(format!("{prefix}{}", path.file_name().unwrap().to_string_lossy()));
            }
        }
    }
    (names, bytes)
}

#[test]
fn a_line_of_defects_stays_within_its_budget() {
    let folder = tempfile::tempdir().unwrap();
    let (path, results) = line(
        folder.path(),
        1,
        "[source.pattern]\nwidth = 160\nheight = 120\nframes = 80",
        "[anomaly]\nthreshold = 0.0\n",
    );
    succeed(&["run", arg(&path)]);
    let (names, bytes) = pictures(&results);
    assert!(bytes <= MIB && bytes > MIB * 8 / 10, "{bytes}");
    // Every event stands in the records, and the newest have their pictures.
    let records = records(&results);
    let events: Vec<_> = records.iter().filter(|record| record["record"] == "event").collect();
    assert_eq!(events.len(), 80);
    let has = |file: &str, event: &serde_json::Value| names.contains(event["files"][file].as_str().unwrap());
    assert!(has("original", events[79]) && has("annotated", events[79]) && !has("original", events[0]));
    // What is left is judged again, the rest is known to be gone.
    let told = succeed(&["replay", arg(&results)]);
    let left = events.iter().filter(|event| has("original", event)).count();
    assert!(
        left > 5 && told.contains(&format!("80 verdicts: {left} equal to the last bit, {} gone", 80 - left)),
        "{told}"
    );
}

#[test]
fn a_process_that_is_killed_leaves_nothing_wrong() {
    let (folder, frames) = (tempfile::tempdir().unwrap(), root().join("models/inspect-demo/frames"));
    let (path, results) = line(
        folder.path(),
        3,
        &format!("[source.folder]\npath = {frames:?}\nrepeat = true\nfps = 60.0"),
        "normal_every = 2\n",
    );
    let (mut full, mut round) = (0, 0_u64);
    // Eight times, and until the budget was reached.
    while round < 8 || full <= 2 {
        assert!(round < 100, "the budget was reached in {full} rounds");
        let mut child =
            lineside().args(["run", arg(&path)]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(1500 + 137 * (round % 8)));
        child.kill().unwrap();
        child.wait().unwrap();
        let (_, bytes) = pictures(&results);
        assert!(bytes <= 3 * MIB, "round {round}: {bytes}");
        full += usize::from(bytes > 2 * MIB);
        round += 1;
    }
    // What a crash left half written goes at the next start, and every record tells the truth.
    std::fs::write(results.join("normal/.20261121T041500123Z-a.png.part"), "half").unwrap();
    succeed(&["run", arg(&path), "--frames", "4"]);
    for folder in [results.clone(), results.join("normal")] {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!names.into_iter().any(|name| name.to_string_lossy().ends_with(".part")));
    }
    let told = succeed(&["replay", arg(&results)]);
    assert!(told.contains(" equal to the last bit") && !told.contains("corrupt"), "{told}");
}

#[test]
fn normal_frames_are_kept_for_teaching_and_go_first() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let frames = root().join("models/inspect-demo/frames");
    let text = |pictures: &str| {
        format!(
            "[source.folder]\npath = {frames:?}\n[super_resolution]\nwhen = \"never\"\n[output]\nfolder = {results:?}\n\
             normal_every = 3\npictures = \"{pictures}\"\n"
        )
    };
    succeed(&["run", arg(&config(folder.path(), &text("1 GiB")))]);
    let normal = |names: &BTreeSet<String>| names.iter().filter(|name| name.starts_with("normal/")).count();
    let (names, _) = pictures(&results);
    // Of 24 normal frames every third; of 8 defects the frame as it was and as it is shown.
    assert_eq!((normal(&names), names.len()), (8, 24), "{names:?}");
    let records = records(&results);
    let kept: BTreeSet<&str> = records
        .iter()
        .filter(|record| record["record"] == "normal")
        .map(|record| record["files"]["original"].as_str().unwrap())
        .collect();
    assert!(kept.len() == 8 && kept.iter().all(|name| names.contains(*name)), "{kept:?}");
    // It is the frame as it came, and `eval` takes the folder as it is.
    let told = succeed(&[
        "eval",
        "inspect-demo",
        "--normal",
        arg(&results.join("normal")),
        "--defect",
        arg(&frames.join("defect")),
    ]);
    assert!(told.contains("AUROC"), "{told}");
    // With less room they go first.
    let (before, _) = pictures(&results);
    succeed(&["run", arg(&config(folder.path(), &text("1500 KiB"))), "--frames", "8"]);
    let (after, bytes) = pictures(&results);
    let gone: Vec<&String> = before.difference(&after).collect();
    assert!(bytes <= 1500 << 10 && gone.len() >= 8, "{bytes} {gone:?}");
    let defects: Vec<_> = gone.iter().filter(|name| !name.starts_with("normal/")).collect();
    assert!(defects.is_empty() || normal(&before) == gone.len() - defects.len(), "{gone:?}");
}

#[test]
fn frames_are_judged_and_kept_turned_and_cropped() {
    let folder = tempfile::tempdir().unwrap();
    let source = "[source.pattern]\nwidth = 160\nheight = 120\nframes = 2\nrotate = 90\ncrop = [10, 20, 100, 120]";
    let (configuration, results) = line(folder.path(), 8, source, "normal_every = 1");
    succeed(&["run", arg(&configuration)]);
    // Whatever the demo's bundle holds of it, the frame is kept.
    let originals =
        records(&results).into_iter().find_map(|record| record["files"]["original"].as_str().map(String::from));
    let path = results.join(originals.unwrap());
    let mut picture = Picture::default();
    decode_file(&std::fs::read(path).unwrap(), 1 << 20, &mut picture).unwrap();
    assert_eq!((picture.width(), picture.height()), (100, 120));
    let (configuration, _) = line(folder.path(), 8, &source.replace("[10, 20", "[30, 20"), "");
    refuse(
        &["run", arg(&configuration)],
        78,
        &["line.toml:6: crop = [30, 20, 100, 120]", "which is 120x160, once turned"],
    );
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |more: &str| config(folder.path(), &format!("[source.pattern]\n[output]\n{more}\n"));
    refuse(&["check", arg(&path("pictures = \"1 kB\""))], 78, &["line.toml:3: output.pictures must lie in 1.0 MiB.."]);
    refuse(&["check", arg(&path("keep_free = \"much\""))], 78, &["line.toml:3: "]);
    refuse(&["check", arg(&path("normal_every = -1"))], 78, &["line.toml:3: "]);
}
