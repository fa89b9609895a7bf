//! `lineside teach`: what an engineer does at the line, and what can go wrong there.

use crate::common::{arg, eventually, lineside, refuse, root, succeed, write_mask};
use lineside_picture::{Picture, decode_file, write_png};
use std::path::{Path, PathBuf};

const NORMAL: &str = "models/inspect-demo/frames/normal";
const DEFECT: &str = "models/inspect-demo/frames/defect";

/// A folder with the first `count` normal frames of the demo line.
fn frames(folder: &Path, count: usize) -> PathBuf {
    let to = folder.join("normal");
    std::fs::create_dir_all(&to).unwrap();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root().join(NORMAL)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in &files[..count] {
        std::fs::copy(file, to.join(file.file_name().unwrap())).unwrap();
    }
    to
}

fn output_of(arguments: &[&str]) -> (bool, String) {
    let output = lineside().args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), text)
}

#[test]
fn what_was_taught_finds_the_defects() {
    let folder = tempfile::tempdir().unwrap();
    let normal = frames(folder.path(), 16);
    let out = folder.path().join("flange");
    let (ok, said) = output_of(&["teach", "--normal", arg(&normal), "--out", arg(&out)]);
    assert!(ok, "{said}");
    for expected in ["trained with 16 pictures", "selected", "false alarms in 1000", "with 95 % confidence"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    // Fewer than thirty: it says so.
    assert!(said.contains("level=warn"), "{said}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the bundle, the pictures and nothing else: {left:?}");

    let held_out = folder.path().join("held-out");
    std::fs::create_dir_all(&held_out).unwrap();
    for entry in std::fs::read_dir(root().join(NORMAL)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if !normal.join(name).exists() {
            std::fs::copy(&path, held_out.join(name)).unwrap();
        }
    }
    let json = succeed(&["eval", arg(&out), "--normal", arg(&held_out), "--defect", DEFECT, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["auroc"].as_f64().unwrap() > 0.9, "{json}");
    // A severity for each score, 1 or more exactly where a picture counts as a defect.
    let threshold = json["threshold"].as_f64().unwrap();
    for kind in ["normal", "defect"] {
        let numbers = |key: &str| -> Vec<f64> {
            json[key][kind].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
        };
        let (scores, severities) = (numbers("scores"), numbers("severities"));
        assert!(!scores.is_empty() && scores.len() == severities.len(), "{json}");
        assert!(scores.iter().zip(&severities).all(|(score, severity)| (*score >= threshold) == (*severity >= 1.0)));
    }
    // Those that are listed: the farthest from normal first among false alarms, the nearest among misses.
    let listed = succeed(&["eval", arg(&out), "--normal", arg(&held_out), "--defect", DEFECT]);
    for (word, falling) in [("false alarm  ", true), ("miss  ", false)] {
        let lines = listed.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix("severity "));
        let severities: Vec<f64> = lines.map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect();
        assert!(severities.is_sorted_by(|a, b| if falling { a >= b } else { a <= b }), "{listed}");
        let of = if falling { "false_alarms" } else { "misses" };
        assert_eq!(severities.len(), json[of].as_array().unwrap().len(), "{listed}");
    }
    let parity: serde_json::Value = serde_json::from_str(&succeed(&["parity", arg(&out), "--json"])).unwrap();
    assert_eq!(parity["agrees"], true);
    assert!(std::fs::metadata(out.join("model.onnx")).unwrap().len() < 16 << 20);
}

#[test]
fn teaching_goes_on_where_it_was_stopped_and_comes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let normal = frames(folder.path(), 12);
    // With a slash, as shells complete it: what is kept meanwhile is beside the folder, not in it.
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken/"));
    succeed(&["teach", "--normal", arg(&normal), "--out", arg(&whole), "--json"]);
    let mut child = lineside()
        .args(["teach", "--normal", arg(&normal), "--out", arg(&broken)])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let notes = folder.path().join("broken.teaching/normal/pictures.jsonl");
    // Killed once it has seen a few pictures, each with its copies.
    let seen = || std::fs::read_to_string(&notes).map_or(0, |text| text.lines().count());
    eventually("two pictures", || (seen() >= 11 || child.try_wait().unwrap().is_some()).then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(seen() >= 11 && !broken.exists(), "{}", seen());
    let (ok, said) = output_of(&["teach", "--normal", arg(&normal), "--out", arg(&broken)]);
    assert!(ok && said.contains("resuming the training that was interrupted"), "{said}");
    for file in ["scorer-0.npy", "calibration.npy", "baseline.json"] {
        assert!(std::fs::read(whole.join(file)).unwrap() == std::fs::read(broken.join(file)).unwrap(), "{file}");
    }
}

#[test]
fn a_picture_that_was_taken_out_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let normal = frames(folder.path(), 9);
    let out = folder.path().join("flange");
    let (ok, said) = output_of(&["teach", "--normal", arg(&normal), "--out", arg(&out)]);
    // Too few; the notes stay.
    assert!(!ok && folder.path().join("flange.teaching").exists(), "{said}");
    std::fs::remove_file(normal.join("part-01.jpg")).unwrap();
    let all = frames(folder.path(), 13);
    std::fs::remove_file(all.join("part-01.jpg")).unwrap();
    let (ok, said) = output_of(&["teach", "--normal", arg(&normal), "--out", arg(&out)]);
    assert!(ok && said.contains("trained with 12 pictures"), "{said}");
}

#[test]
fn pictures_that_cannot_be_used_are_named_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let normal = frames(folder.path(), 11);
    std::fs::write(normal.join("letter.jpg"), "dear sir").unwrap();
    let good = std::fs::read(root().join(NORMAL).join("part-01.jpg")).unwrap();
    std::fs::write(normal.join("cut.jpg"), &good[..good.len() / 2]).unwrap();
    std::fs::write(normal.join("twice.jpg"), &good).unwrap();
    std::fs::write(normal.join("notes.txt"), "not a picture, and not called one").unwrap();
    let out = folder.path().join("flange");
    let (ok, said) = output_of(&["teach", "--normal", arg(&normal), "--out", arg(&out)]);
    assert!(ok, "{said}");
    for expected in [
        "letter.jpg: not a PNG, JPEG, BMP",
        "cut.jpg: ",
        "twice.jpg: a copy of an earlier file",
        "trained with 11 pictures",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn what_the_user_states_to_vary_is_taught_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let normal = frames(folder.path(), 12);
    let teach = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let (ok, said) = output_of(&[&["teach", "--normal", arg(&normal), "--out", arg(&out)], more].concat());
        assert!(ok, "{said}");
        (out, said)
    };
    let (plain, said) = teach("plain", &[]);
    assert!(said.contains("varied by up to shift=1%,turn=1deg,scale=1%,light=5%, as there are few"), "{said}");
    let tolerance = ["--tolerance", "turn=2deg,shift=8%"];
    let (wide, said) = teach("wide", &tolerance);
    for expected in ["trained with 12 pictures", "joined by 4 copies of itself", "varied by up to shift=8%,turn=2deg"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let manifest = std::fs::read_to_string(wide.join("bundle.toml")).unwrap();
    assert!(
        manifest.contains("tolerance = \"shift=8%,turn=2deg\"") && manifest.contains("pictures = 12"),
        "{manifest}"
    );
    assert!(!std::fs::read_to_string(plain.join("bundle.toml")).unwrap().contains("tolerance = \""));
    // The same copies in every run.
    let (again, _) = teach("again", &tolerance);
    for file in ["scorer-0.npy", "calibration.npy", "baseline.json"] {
        assert!(std::fs::read(wide.join(file)).unwrap() == std::fs::read(again.join(file)).unwrap(), "{file}");
    }
    let line = folder.path().join("line.toml");
    let text = format!("[source.pattern]\nwidth = 320\nheight = 240\n[anomaly]\nbundle = {:?}\n", arg(&wide));
    std::fs::write(&line, text).unwrap();
    let check = succeed(&["check", arg(&line)]);
    assert!(check.contains("varies   shift=8%,turn=2deg beyond what was taught"), "{check}");

    // Frames that were not shown, 16 pixels further to the right and continued by their outermost pixels.
    let moved = folder.path().join("moved");
    std::fs::create_dir_all(&moved).unwrap();
    for entry in std::fs::read_dir(root().join(NORMAL)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if !normal.join(name).exists() {
            let mut picture = Picture::default();
            decode_file(&std::fs::read(&path).unwrap(), 1 << 24, &mut picture).unwrap();
            for y in 0..picture.height() {
                let row = picture.row_mut(y);
                row.rotate_right(3 * 16);
                let first: Vec<u8> = row[3 * 16..3 * 17].to_vec();
                row[..3 * 16].chunks_exact_mut(3).for_each(|pixel| pixel.copy_from_slice(&first));
            }
            write_png(std::fs::File::create(moved.join(name).with_extension("png")).unwrap(), &picture).unwrap();
        }
    }
    let alarms = |bundle: &Path| -> f64 {
        let json = succeed(&["eval", arg(bundle), "--normal", arg(&moved), "--json"]);
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["false_alarm_rate"].as_f64().unwrap()
    };
    let (without, with) = (alarms(&plain), alarms(&wide));
    assert!(without > 0.3 && with < 0.2, "{without} {with}");
}

#[test]
fn like_a_bundle_is_with_all_that_it_was_taught_with() {
    let folder = tempfile::tempdir().unwrap();
    let normal = frames(folder.path(), 16);
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let with = [
        "--region",
        "40,20,240,200",
        "--align",
        "130,90,60,60",
        "--detail",
        "coarse",
        "--tolerance",
        "light=10%",
        "--false-alarms",
        "20",
    ];
    succeed(&[&["teach", "--normal", arg(&normal), "--out", arg(&first)], &with[..]].concat());
    succeed(&["teach", "--normal", arg(&normal), "--out", arg(&second), "--like", arg(&first)]);
    let manifest = |bundle: &Path| {
        let text = std::fs::read_to_string(bundle.join("bundle.toml")).unwrap();
        text.parse::<toml::Table>().unwrap()
    };
    let (old, new) = (manifest(&first), manifest(&second));
    for key in ["views", "region", "alignment", "tolerance"] {
        assert_eq!(new["anomaly"].get(key), old["anomaly"].get(key), "{key}");
        assert!(old["anomaly"].get(key).is_some(), "{key}");
    }
    let threshold = |manifest: &toml::Table| manifest["anomaly"]["threshold"].as_float().unwrap();
    assert!((threshold(&new) - threshold(&old)).abs() < 1e-9 && (threshold(&old) - 0.98).abs() < 1e-9);
    assert_eq!(new["licence"], old["licence"]);
    // The same pictures and settings: the same statistics.
    for file in ["scorer-0.npy", "calibration.npy", "heat.npy"] {
        assert_eq!(std::fs::read(first.join(file)).unwrap(), std::fs::read(second.join(file)).unwrap(), "{file}");
    }
    let both = ["teach", "--normal", arg(&normal), "--out", arg(&second), "--like", arg(&first), "--detail", "fine"];
    let output = lineside().args(both).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && said.contains("'--like <BUNDLE>' cannot be used with '--detail"),
        "{said}"
    );
    refuse(
        &["teach", "--normal", arg(&normal), "--out", arg(&second), "--like", "backbone-lite0"],
        1,
        &["--like takes a bundle that lineside teach made"],
    );
}

#[test]
fn limits_that_make_no_sense_are_wrong_arguments() {
    for (limits, problem) in [
        ("tilt=3deg", "none of shift, turn, scale and light"),
        ("shift=5", "shift takes 0% to 20%"),
        ("turn=16deg", "turn takes 0deg to 15deg"),
        ("light=5%,light=6%", "light is stated twice"),
    ] {
        let output =
            lineside().args(["teach", "--normal", NORMAL, "--out", "x", "--tolerance", limits]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(problem) && said.contains("an example: shift=5%,turn=3deg"), "{said}");
    }
}

#[test]
fn few_pictures_are_taught_with_an_honest_warning_and_three_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("flange");
    let three = frames(&folder.path().join("three"), 3);
    let (ok, said) = output_of(&["teach", "--normal", arg(&three), "--out", arg(&out)]);
    assert!(!ok && !out.exists(), "{said}");
    assert!(said.contains("3 distinct picture(s) among 3: at least 10 are needed"), "{said}");
    assert!(said.contains("add pictures of other parts"), "{said}");
    let ten = frames(&folder.path().join("ten"), 10);
    let (ok, said) = output_of(&["teach", "--normal", arg(&ten), "--out", arg(&out)]);
    assert!(ok, "{said}");
    assert!(said.contains("warning: the threshold is a guess") && said.contains("more pictures"), "{said}");
}

#[test]
fn pictures_of_two_products_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let normal = frames(folder.path(), 12);
    let out = folder.path().join("flange");
    // Bright where the others are dark.
    let files: Vec<PathBuf> = std::fs::read_dir(&normal).unwrap().map(|entry| entry.unwrap().path()).collect();
    for (number, file) in files.iter().enumerate() {
        let mut picture = Picture::default();
        decode_file(&std::fs::read(file).unwrap(), 1 << 24, &mut picture).unwrap();
        picture.data_mut().iter_mut().for_each(|byte| *byte = 255 - *byte);
        write_png(std::fs::File::create(normal.join(format!("other-{number:02}.png"))).unwrap(), &picture).unwrap();
    }
    let (ok, said) = output_of(&["teach", "--normal", arg(&normal), "--out", arg(&out)]);
    assert!(ok && said.contains("two products") && said.contains("other-") && said.contains("part-"), "{said}");
}

#[test]
fn what_cannot_be_taught_is_refused_in_one_line_and_leaves_the_old_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("flange");
    let empty = folder.path().join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    let teach = |normal: &Path, code: i32, expected: &[&str]| {
        refuse(&["teach", "--normal", arg(normal), "--out", arg(&out)], code, expected);
    };
    teach(&empty, 1, &["empty: no picture in it"]);
    teach(&folder.path().join("none"), 1, &["none: cannot read this folder"]);

    std::fs::create_dir_all(&out).unwrap();
    std::fs::write(out.join("letter.txt"), "dear").unwrap();
    teach(&root().join(NORMAL), 1, &["cannot write the bundle", "exists and is not a bundle: choose another place"]);
    assert!(out.join("letter.txt").exists());
    std::fs::remove_dir_all(&out).unwrap();

    let one = frames(folder.path(), 1);
    let (ok, said) = output_of(&["teach", "--normal", arg(&one), "--out", arg(&out)]);
    assert!(!ok && said.contains("cannot learn from") && !out.exists(), "{said}");
    // Where a look at a sample of the pictures is enough, no others are left out for that.
    let first = std::fs::read_dir(&one).unwrap().next().unwrap().unwrap().path();
    for copy in 0..39 {
        std::fs::copy(&first, one.join(format!("copy-{copy}.png"))).unwrap();
    }
    let (ok, said) = output_of(&["teach", "--normal", arg(&one), "--out", arg(&out)]);
    assert!(!ok && said.contains("a copy of an earlier file") && !said.contains("spread evenly"), "{said}");

    // A backbone that was changed; a bundle from a newer program.
    let backbone = folder.path().join("backbone");
    crate::common::copy_folder(&root().join("models/backbone-lite0"), &backbone);
    let manifest = std::fs::read_to_string(backbone.join("bundle.toml")).unwrap();
    std::fs::write(backbone.join("bundle.toml"), manifest.replace("format = 1", "format = 9")).unwrap();
    let with = |code: i32, expected: &[&str]| {
        let normal = root().join(NORMAL);
        refuse(&["teach", "--normal", arg(&normal), "--out", arg(&out), "--backbone", arg(&backbone)], code, expected);
    };
    with(78, &["format = 9: this program reads format 1"]);
    std::fs::write(backbone.join("bundle.toml"), manifest).unwrap();
    std::fs::write(backbone.join("NOTICE"), "changed").unwrap();
    with(78, &["backbone/NOTICE", "SHA-256 is"]);
    refuse(
        &["teach", "--normal", NORMAL, "--out", arg(&out), "--backbone", "superres-x3"],
        1,
        &["superres-x3", "is not a backbone"],
    );
    let (ok, said) = output_of(&["teach", "--normal", NORMAL, "--out", arg(&out), "--false-alarms", "0"]);
    assert!(!ok && said.contains("0.01..500"), "{said}");
}

/// Where `models/recipes/demo_line.py` drew some of the shipped defects: left, top, right, bottom.
const DRAWN: [(&str, &str, [u32; 4]); 3] = [
    ("stain", "part-09-stain", [77, 138, 121, 177]),
    ("missing", "part-12-missing", [75, 38, 112, 76]),
    ("stain", "part-27-stain", [150, 154, 197, 208]),
];

/// Folders of labelled defects, by kind, and of their masks.
fn labelled(folder: &Path) -> (PathBuf, PathBuf) {
    let (defects, masks) = (folder.join("defects"), folder.join("masks"));
    for (kind, name, drawn) in DRAWN {
        std::fs::create_dir_all(defects.join(kind)).unwrap();
        std::fs::create_dir_all(masks.join(kind)).unwrap();
        let file = format!("{name}.jpg");
        std::fs::copy(root().join(DEFECT).join(&file), defects.join(kind).join(&file)).unwrap();
        write_mask(&masks.join(kind).join(format!("{name}.png")), drawn);
    }
    (defects, masks)
}

#[test]
fn labelled_defects_help_and_what_they_gained_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let normal = frames(folder.path(), 16);
    let (defects, masks) = labelled(folder.path());
    let out = folder.path().join("flange");
    let arguments = ["teach", "--normal", arg(&normal), "--defects", arg(&defects), "--out", arg(&out)];
    let (ok, said) = output_of(&[&arguments[..], &["--masks", arg(&masks)]].concat());
    assert!(ok, "{said}");
    for expected in ["AUROC of 3 held-out labelled defects", "without training on labels", "stain", "of 2 found"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let manifest = std::fs::read_to_string(out.join("bundle.toml")).unwrap();
    assert!(manifest.contains("labelled_defects = 3") && manifest.contains("auroc_labelled"), "{manifest}");

    // Other statistics than without, and others again without masks; with the same input the same.
    let statistics = |bundle: &Path| -> Vec<Vec<u8>> {
        (0..4).filter_map(|scorer| std::fs::read(bundle.join(format!("scorer-{scorer}.npy"))).ok()).collect()
    };
    let taught = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let json = succeed(&[&["teach", "--normal", arg(&normal), "--out", arg(&out), "--json"], more].concat());
        (serde_json::from_str::<serde_json::Value>(&json).unwrap(), statistics(&out))
    };
    let (json, plain) = taught("plain", &[]);
    assert!(json["labelled"].is_null(), "{json}");
    let (json, unmasked) = taught("unmasked", &["--defects", arg(&defects)]);
    let told = &json["labelled"];
    assert_eq!((&told["count"], &told["by_kind"]["stain"]), (&3.into(), &2.into()), "{json}");
    assert!(unmasked != plain || told["helped"] == false, "{json}");
    let (json, again) = taught("again", &["--defects", arg(&defects), "--masks", arg(&masks)]);
    assert!(again == statistics(&out), "the same input gives the same bundle");
    assert!(again != plain && again != unmasked || json["labelled"]["helped"] == false, "{json}");
}

#[test]
fn labels_that_contradict_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let normal = frames(folder.path(), 12);
    let (defects, masks) = labelled(folder.path());
    let out = folder.path().join("flange");
    let teach = |more: &[&str]| {
        let (ok, said) = output_of(&[&["teach", "--normal", arg(&normal), "--out", arg(&out)], more].concat());
        assert!(!ok && !out.exists(), "{said}");
        said
    };
    let said = teach(&["--masks", arg(&masks)]);
    assert!(said.contains("--defects"), "{said}");
    let missing = masks.join("stain/part-27-stain.png");
    std::fs::remove_file(&missing).unwrap();
    let said = teach(&["--defects", arg(&defects), "--masks", arg(&masks)]);
    assert!(said.contains("part-27-stain.jpg: no mask") && said.contains("part-27-stain.png is missing"), "{said}");
    // The notes of that run are of no harm.
    std::fs::copy(normal.join("part-02.jpg"), defects.join("stain/other.jpg")).unwrap();
    let said = teach(&["--defects", arg(&defects)]);
    assert!(
        said.contains("other.jpg: the same picture is among the good parts") && said.contains("part-02.jpg"),
        "{said}"
    );
    let empty = folder.path().join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    let said = teach(&["--defects", arg(&empty)]);
    assert!(said.contains("empty: no picture in it"), "{said}");
}
