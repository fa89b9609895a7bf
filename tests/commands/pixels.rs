//! `lineside eval --masks`: how well heat lies on the defects, pixel by pixel.

use crate::common::{arg, refuse, root, succeed, write_mask};

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
    refuse(&arguments, 1, &["part-09-stain.jpg: no mask", "part-09-stain.png is missing"]);
    std::fs::copy(root().join("docs/demo-spot.png"), &mask).unwrap();
    refuse(&arguments, 1, &["part-09-stain.png: mask is ", "expected 320x240"]);
}

#[test]
fn without_masks_there_are_no_figures_by_pixels() {
    let arguments = ["eval", "inspect-demo", "--normal", NORMAL, "--defect", DEFECT, "--json"];
    let json: serde_json::Value = serde_json::from_str(&succeed(&arguments)).unwrap();
    assert!(json["pixel_auroc"].is_null() && json["pro"].is_null(), "{json}");
}
