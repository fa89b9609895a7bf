//! What a manifest may say, and how each mistake is named.

use super::*;

const GOOD: &str = r#"
format = 1
name = "x"
version = "1"
task = "anomaly"
description = "d"
licence = "MIT"
model = "model.onnx"
[input]
channels = "rgb"
[anomaly]
views = [64, 32]
threshold = 0.5
calibration = "calibration.npy"
[anomaly.region]
frame = [640, 480]
shapes = ["10,20,300,200"]
ignored = "ignored.png"
[anomaly.heat]
scorer = 0
half_distances = "heat.npy"
[[anomaly.scorer]]
method = "contrast"
view = 1
statistics = "scorer.npy"
top = 0.05
median = 1.0
spread = 0.5
weight = 1.0
[files]
"model.onnx" = "00"
"calibration.npy" = "00"
"heat.npy" = "00"
"scorer.npy" = "00"
"ignored.png" = "00"
"#;

fn refusal(text: &str) -> String {
    Manifest::parse(text, Path::new("b/bundle.toml")).unwrap_err().to_string()
}

#[test]
fn a_good_manifest_parses() {
    let manifest = Manifest::parse(GOOD, Path::new("b/bundle.toml")).unwrap();
    assert_eq!(manifest.anomaly.as_ref().unwrap().heat.half_distances, "heat.npy");
    assert_eq!(manifest.anomaly.as_ref().unwrap().region.as_ref().unwrap().shapes, ["10,20,300,200"]);
    let written = toml::to_string(&manifest).unwrap();
    let again = Manifest::parse(&written, Path::new("b/bundle.toml")).unwrap();
    assert_eq!(toml::to_string(&again).unwrap(), written);
}

#[test]
fn golden_outputs_are_one_file_or_one_for_each_output() {
    for (output, files) in [
        ("\"calibration.npy\"", &["calibration.npy"][..]),
        ("[\"calibration.npy\", \"model.onnx\"]", &["calibration.npy", "model.onnx"]),
    ] {
        let golden = format!("[[golden]]\ninput = \"calibration.npy\"\noutput = {output}\ntolerance = 0\n[files]");
        let manifest = Manifest::parse(&GOOD.replace("[files]", &golden), Path::new("b/bundle.toml")).unwrap();
        assert_eq!(manifest.golden[0].output.files(), files);
    }
}

#[test]
fn each_mistake_is_named_with_its_place() {
    let cases = [
        (("format = 1", "format = 2"), "b/bundle.toml: format = 2: this program reads format 1; update Lineside"),
        (
            ("format = 1", "format = 1\nrequires = \"9.0.1\"\nnew = 1"),
            "requires Lineside 9.0.1 or newer, and this is 0.1.0; update",
        ),
        (("format = 1", "format = 1\nrequires = \"9\""), "requires = \"9\" is no version of Lineside"),
        (("format = 1", "format = 0"), "reads format 1; make it anew"),
        (("threshold = 0.5", "threshold = 7"), "anomaly.threshold must lie in 0..1, found 7"),
        (("\"heat.npy\" = \"00\"", ""), "no hash for \"heat.npy\""),
        (("version = \"1\"", "version = 1"), "b/bundle.toml:4: invalid type"),
        (("licence = \"MIT\"", "license = \"MIT\""), "b/bundle.toml:7: unknown field `license`"),
        (("\"scorer.npy\" = \"00\"", "\"../x.npy\" = \"00\""), "\"../x.npy\" points outside the bundle"),
        (("\"scorer.npy\" = \"00\"", ""), "no hash for \"scorer.npy\""),
        (("\"calibration.npy\" = \"00\"", ""), "no hash for \"calibration.npy\""),
        (("\"ignored.png\" = \"00\"", ""), "no hash for \"ignored.png\""),
        (("frame = [640, 480]", "frame = [640, 8]"), "anomaly.region.frame must lie in 32..16384, found [640, 8]"),
        (("frame = [640, 480]", "frame = [640]"), "b/bundle.toml:16: invalid length 1"),
        (
            ("views = [64, 32]", "views = [64, 33]"),
            "anomaly.views must be multiples of 32 in 32..1024, found 64x64, 33x33",
        ),
        (
            ("views = [64, 32]", "views = [[64, 2048], 32]"),
            "anomaly.views must be multiples of 32 in 32..1024, found 64x2048, 32x32",
        ),
        (("views = [64, 32]", "views = [[64], 32]"), "expected the side of a square, or [width, height]"),
        (("scorer = 0", "scorer = 1"), "anomaly.heat.scorer = 1, but there are 1"),
        (
            ("view = 1", "view = 2"),
            "[[anomaly.scorer]] number 0: view, top, median, spread, weight or ceiling is out of range",
        ),
        (("spread = 0.5", "spread = nan"), "number 0: view, top, median, spread, weight or ceiling is out of range"),
        (("task = \"anomaly\"", "task = \"super-resolution\""), "needs a section [super_resolution]"),
        (("task = \"anomaly\"", "task = \"backbone\""), "a section [anomaly] does not belong here"),
        (
            ("[files]", "[[golden]]\ninput = \"calibration.npy\"\noutput = 7\ntolerance = 0\n[files]"),
            "expected the file of",
        ),
        (
            ("[files]", "[[golden]]\ninput = \"calibration.npy\"\noutput = [\"a\"]\ntolerance = 0\n[files]"),
            "no hash for \"a\"",
        ),
    ];
    for ((from, to), expected) in cases {
        let message = refusal(&GOOD.replace(from, to));
        assert!(message.contains(expected), "{to}: {message}");
    }
}
