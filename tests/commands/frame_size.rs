//! Frames of another size or aspect ratio than a bundle was taught with.

use crate::common::{arg, config, copy_folder, lineside, records, refuse, root, run, succeed, text};
use std::path::{Path, PathBuf};

const NORMAL: &str = "models/inspect-demo/frames/normal";

/// The demo's bundle, as if it had been taught with frames of this size.
fn taught_with(folder: &Path, width: usize, height: usize) -> PathBuf {
    let bundle = folder.join("parts");
    copy_folder(&root().join("models/inspect-demo"), &bundle);
    let manifest = bundle.join("bundle.toml");
    let before = std::fs::read_to_string(&manifest).unwrap();
    let taught = format!(
        "\n[anomaly.taught]\npictures = 40\nin_colour = 40\ndate = \"2026-11-29\"\n\
         [[anomaly.taught.size]]\nwidth = {width}\nheight = {height}\npictures = 40\n"
    );
    std::fs::write(manifest, before + &taught).unwrap();
    bundle
}

/// A configuration of a line that uses the bundle, with its results in `out`.
fn line(folder: &Path, bundle: &Path, source: &str, more: &str) -> PathBuf {
    let out = folder.join("out");
    let text = format!("{source}\n[anomaly]\nbundle = {bundle:?}\n[output]\nfolder = {out:?}\n{more}");
    config(folder, &text)
}

#[test]
fn a_source_of_another_size_is_refused_before_the_first_frame() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = taught_with(folder.path(), 320, 240);
    let pattern = |width: usize, height: usize| {
        format!("[source.pattern]\nwidth = {width}\nheight = {height}\nframes = 2\ndefect_every = 0")
    };
    let same = line(folder.path(), &bundle, &pattern(320, 240), "");
    succeed(&["check", arg(&same)]);
    succeed(&["run", arg(&same)]);
    for (width, height, expected) in [
        (640, 480, "frame 640x480, taught with 320x240: set the camera to 320x240, or teach again"),
        (320, 320, "frame 320x320, taught with 320x240: another aspect ratio; crop the frames"),
    ] {
        let other = line(folder.path(), &bundle, &pattern(width, height), "");
        for command in ["check", "run"] {
            refuse(&[command, arg(&other)], 78, &["parts/bundle.toml", expected]);
        }
    }
    // Frames are compared as they are inspected: cropped.
    let cropped = format!("{}\ncrop = [10, 20, 320, 240]", pattern(640, 480));
    succeed(&["check", arg(&line(folder.path(), &bundle, &cropped, ""))]);
    // Bundles that do not say what they were taught with take every size.
    let demo = line(folder.path(), &root().join("models/inspect-demo"), &pattern(640, 480), "");
    succeed(&["check", arg(&demo)]);
}

#[test]
fn the_bundle_for_a_hot_board_is_held_to_its_own_size() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = taught_with(folder.path(), 320, 240);
    let source = "[source.pattern]\nwidth = 320\nheight = 240";
    let smaller = |width: usize, height: usize| {
        let heat = format!(
            "[heat]\ndegrade = true\n[heat.smaller]\nwidth = {width}\nheight = {height}\nbundle = {bundle:?}\n"
        );
        line(folder.path(), &bundle, source, &format!("{heat}[budget]\nmemory = \"512 MiB\"\n"))
    };
    refuse(&["check", arg(&smaller(160, 120))], 78, &["[heat.smaller]: frame 160x120, taught with 320x240"]);
}

/// A folder with a frame of the demo, 320 x 240, and the same one larger.
fn two_sizes(folder: &Path) -> PathBuf {
    let parts = folder.join("frames");
    std::fs::create_dir(&parts).unwrap();
    std::fs::copy(root().join(NORMAL).join("part-01.jpg"), parts.join("1.jpg")).unwrap();
    let larger = lineside_picture::Picture::new(lineside_picture::Layout::Grey, 500, 400);
    lineside_picture::write_png(std::fs::File::create(parts.join("2.png")).unwrap(), &larger).unwrap();
    parts
}

#[test]
fn a_picture_of_another_size_fails_and_has_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = taught_with(folder.path(), 320, 240);
    let parts = two_sizes(folder.path());
    let path = line(folder.path(), &bundle, &format!("[source.folder]\npath = {parts:?}"), "");
    succeed(&["check", arg(&path)]);
    let output = lineside().args(["run", arg(&path)]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert!(printed.contains("2.png") && printed.contains("FAILED  frame 500x400, taught with"), "{printed}");
    let all = records(&folder.path().join("out"));
    let of = |kind: &str| all.iter().filter(|record| record["record"] == kind).cloned().collect::<Vec<_>>();
    let faults = of("fault");
    assert!(
        faults.iter().any(|fault| fault["fault"] == "frame" && fault.to_string().contains("500x400")),
        "{faults:?}"
    );
    let stop = of("stop").pop().unwrap();
    assert_eq!((&stop["inspected"], &stop["failed"]), (&1.into(), &1.into()), "{stop}");

    // The first picture tells what the line would get.
    std::fs::remove_file(parts.join("1.jpg")).unwrap();
    refuse(&["check", arg(&path)], 78, &["2.png: frame 500x400, taught with"]);
    assert_eq!(run(&["run", arg(&path)]).status.code(), Some(1));
}

#[test]
fn eval_counts_pictures_of_another_size_and_scores_them() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = taught_with(folder.path(), 320, 240);
    let parts = two_sizes(folder.path());
    let said = succeed(&["eval", arg(&bundle), "--normal", arg(&parts)]);
    assert!(said.contains("1 of 2 pictures are of another size than taught"), "{said}");
    assert!(said.contains("1 of them of another aspect ratio, such as") && said.contains("2.png (500x400)"), "{said}");
    let json = succeed(&["eval", arg(&bundle), "--normal", arg(&parts), "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["other_size"], &json["other_aspect"], &json["n_normal"]), (&1.into(), &1.into(), &2.into()));
    let json = succeed(&["eval", "inspect-demo", "--normal", arg(&parts), "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["other_size"], 0);
}
