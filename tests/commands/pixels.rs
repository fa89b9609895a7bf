//! `lineside eval --masks`: how well heat lies on the defects, pixel by pixel.

use crate::common::{arg, config, copy_folder, root, run, succeed, text, write_mask};

const NORMAL: &str = "models/inspect-demo/frames/normal";
const DEFECT: &str = "models/inspect-demo/frames/defect";

/// Where `models/recipes/demo_line.py` drew three of the shipped defects: left, top, right, bottom.
const DRAWN: [(&str, [u32; 4]); 3] = [
    ("part-09-stain", [77, 138, 121, 177]),
    ("part-12-missing", [75, 38, 112, 76]),
    ("part-27-stain", [150, 154, 197, 208]),
];

#[test]
fn heat_lies_on_the_demos_defects() {
    let folder = tempfile::tempdir().unwrap();
    let (defects, masks) = (folder.path().join("defect"), folder.path().join("mask"));
    for (name, drawn) in DRAWN {
        // Masks lie as the pictures do, by kind.
        let kind = name.rsplit('-').next().unwrap();
        std::fs::create_dir_all(defects.join(kind)).unwrap();
        std::fs::create_dir_all(masks.join(kind)).unwrap();
        let file = format!("{name}.jpg");
        std::fs::copy(root().join(DEFECT).join(&file), defects.join(kind).join(&file)).unwrap();
        write_mask(&masks.join(kind).join(format!("{name}.png")), drawn);
    }
    let arguments =
        ["eval", "inspect-demo", "--normal", NORMAL, "--defect", arg(&defects), "--masks", arg(&masks), "--json"];
    let json: serde_json::Value = serde_json::from_str(&succeed(&arguments)).unwrap();
    for key in ["pixel_auroc", "pro"] {
        let value = json[key].as_f64().unwrap();
        assert!((0.9..1.0).contains(&value), "{key}: {json}");
    }
    assert!(succeed(&arguments[..8]).contains("by pixel: AUROC 0.9"));

    let mask = masks.join("stain/part-09-stain.png");
    write_mask(&mask, [0; 4]);
    let json: serde_json::Value = serde_json::from_str(&succeed(&arguments)).unwrap();
    assert_eq!(json["n_unmarked"], 1, "{json}");
    std::fs::remove_file(&mask).unwrap();
    let without = ["part-09-stain.jpg: no mask", "part-09-stain.png is missing", "without 1 pictures"];
    let broken = goes_on_without(&arguments, &without);
    std::fs::copy(root().join("docs/demo-spot.png"), &mask).unwrap();
    assert_eq!(goes_on_without(&arguments, &["part-09-stain.png: mask is ", "expected 320x240"]), broken);
}

/// Runs `eval`, which fails with `parts` in its lines; returns the pictures that it names as broken.
fn goes_on_without(arguments: &[&str], parts: &[&str]) -> Vec<String> {
    let output = run(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let broken: Vec<String> = serde_json::from_value(json["broken"].clone()).unwrap();
    assert_eq!(broken.len(), 1, "{json}");
    broken
}

#[test]
fn a_broken_picture_is_named_and_the_others_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let all = json_of(&["eval", "inspect-demo", "--normal", NORMAL, "--json"]);
    std::fs::create_dir(folder.path().join("good")).unwrap();
    for entry in std::fs::read_dir(root().join(NORMAL)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join("good").join(entry.file_name())).unwrap();
    }
    std::fs::write(folder.path().join("good/broken.jpg"), "no picture").unwrap();
    let arguments = ["eval", "inspect-demo", "--normal", arg(folder.path()), "--json"];
    let broken = goes_on_without(&arguments, &["broken.jpg: not a PNG, JPEG", "without 1 pictures"]);
    assert!(broken[0].ends_with("good/broken.jpg"));
    let output = run(&arguments);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["scores"], &json["n_normal"]), (&all["scores"], &all["n_normal"]));
    assert_eq!(json["false_alarm_rate"], all["false_alarm_rate"]);
}

#[test]
fn of_several_pictures_in_a_file_the_first_is_used_and_that_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(root().join("crates/picture/src/testdata/pages.tif"), folder.path().join("pages.tif")).unwrap();
    std::fs::copy(root().join(NORMAL).join("part-01.jpg"), folder.path().join("1.jpg")).unwrap();
    let output = run(&["eval", "inspect-demo", "--normal", arg(folder.path())]);
    let said = text(&output.stderr);
    assert!(
        said.contains("1 files of several pictures, such as ") && said.contains("pages.tif: only the first"),
        "{said}"
    );
    let results = folder.path().join("results");
    let source = format!("[source.folder]\npath = {:?}\n[output]\nfolder = {results:?}\n", folder.path());
    let output = run(&["run", arg(&config(folder.path(), &source))]);
    let said = text(&output.stderr);
    assert!(
        said.contains("pages.tif: of its several pictures only the first is inspected; 1 such files so far"),
        "{said}"
    );
}

/// The layout of MVTec AD: the same figures as from folders that are named one by one.
#[test]
fn a_data_set_is_read_as_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("test")).unwrap();
    copy_folder(&root().join(NORMAL), &at("test/good"));
    copy_folder(&root().join(NORMAL), &at("train/good"));
    for (name, drawn) in DRAWN {
        let kind = name.rsplit('-').next().unwrap();
        for folder in ["test", "ground_truth"] {
            std::fs::create_dir_all(at(folder).join(kind)).unwrap();
        }
        let file = format!("{name}.jpg");
        std::fs::copy(root().join(DEFECT).join(&file), at("test").join(kind).join(&file)).unwrap();
        write_mask(&at("ground_truth").join(kind).join(format!("{name}_mask.png")), drawn);
    }
    let (test, good, masks) = (at("test"), at("test/good"), at("ground_truth"));
    let named = ["--normal", arg(&good), "--defect", arg(&test), "--masks", arg(&masks), "--json"];
    let named = json_of(&[&["eval", "inspect-demo"][..], &named].concat());
    assert_eq!(named["n_defect"], DRAWN.len());
    assert!(named["pixel_auroc"].as_f64().unwrap() > 0.9, "{named}");
    let whole = json_of(&["eval", "inspect-demo", "--normal", arg(folder.path()), "--json"]);
    for key in ["scores", "pixel_auroc", "pro", "n_normal", "n_defect", "found_at_threshold"] {
        assert_eq!(whole[key], named[key], "{key}");
    }
    assert_eq!(whole["kinds"].as_array().unwrap().len(), 2);
}

fn json_of(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&succeed(arguments)).unwrap()
}

#[test]
fn without_masks_there_are_no_figures_by_pixels() {
    let arguments = ["eval", "inspect-demo", "--normal", NORMAL, "--defect", DEFECT, "--json"];
    let json: serde_json::Value = serde_json::from_str(&succeed(&arguments)).unwrap();
    assert!(json["pixel_auroc"].is_null() && json["pro"].is_null(), "{json}");
}
