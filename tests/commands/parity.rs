//! The same answer on aarch64, under QEMU's user mode, for four kinds of core.
//!
//! `./test` builds the aarch64 program and names it in `LINESIDE_AARCH64`.

use crate::common::{outside, root, succeed, text};
use lineside_picture::{Layout, RowLayout, write_png_rows};
use std::path::PathBuf;
use std::process::Command;

const CORES: [&str; 4] = ["cortex-a53", "cortex-a72", "cortex-a76", "max"];

fn on_core(core: &str, arguments: &[&str], folder: &std::path::Path) -> Option<String> {
    let program =
        std::env::var_os("LINESIDE_AARCH64").map_or_else(|| PathBuf::from("LINESIDE_AARCH64 (not set)"), PathBuf::from);
    let program = outside(program, "the aarch64 program")?;
    let output = Command::new("qemu-aarch64-static")
        .args(["-cpu", core, "-L", "/usr/aarch64-linux-gnu"])
        .arg(program)
        .args(arguments)
        .current_dir(folder)
        .env("LINESIDE_BUNDLES", root().join("models"))
        .output()
        .expect("qemu-aarch64-static runs");
    assert!(output.status.success(), "{core} {arguments:?}: {}", text(&output.stderr));
    Some(text(&output.stdout))
}

#[test]
fn golden_vectors_hold_on_every_core() {
    let folder = tempfile::tempdir().unwrap();
    for core in CORES {
        let Some(json) = on_core(core, &["parity", "--json"], folder.path()) else { return };
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["agrees"], true, "{core}: {json}");
        eprintln!(
            "{core}: {}",
            json["vectors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| format!("{} {} LSB; ", v["bundle"], v["difference"]))
                .collect::<String>()
        );
    }
}

#[test]
fn the_demo_comes_to_the_same_verdicts_on_every_core() {
    let folder = tempfile::tempdir().unwrap();
    let here = verdicts(&text(
        &crate::common::lineside()
            .current_dir(folder.path())
            .env("LINESIDE_BUNDLES", root().join("models"))
            .arg("run")
            .output()
            .unwrap()
            .stdout,
    ));
    assert_eq!(here.len(), 32);
    // Each in a folder of its own, side by side: emulation is slow.
    std::thread::scope(|scope| {
        for core in CORES {
            let here = &here;
            scope.spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                let Some(stdout) = on_core(core, &["run"], folder.path()) else { return };
                assert_eq!(here, &verdicts(&stdout), "{core}");
                // Here, what that core has recorded.
                let told = succeed(&["replay", crate::common::arg(&folder.path().join("lineside-out"))]);
                assert!(
                    ["neon", "dotprod", "i8mm"].iter().any(|kernel| told.contains(&format!("kernel {kernel})"))),
                    "{told}"
                );
                assert!(told.contains("8 verdicts: 8 equal to the last bit"), "{core}: {told}");
            });
        }
    });
    assert!(!succeed(&["parity"]).contains("DIFFERS"));
}

/// Not as printed in four digits, but to the last bit: JSON holds every digit of a float.
#[test]
fn scores_are_equal_to_the_last_bit_on_every_core() {
    let folder = tempfile::tempdir().unwrap();
    let copied = |kind: &str, count: usize| {
        let to = folder.path().join(kind);
        std::fs::create_dir_all(&to).unwrap();
        let frames = std::fs::read_dir(root().join("models/inspect-demo/frames").join(kind)).unwrap();
        let mut files: Vec<PathBuf> = frames.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in &files[..count] {
            std::fs::copy(file, to.join(file.file_name().unwrap())).unwrap();
        }
        to
    };
    let (normal, defect) = (copied("normal", 4), copied("defect", 2));
    let eval = [
        "eval",
        "inspect-demo",
        "--normal",
        crate::common::arg(&normal),
        "--defect",
        crate::common::arg(&defect),
        "--json",
    ];
    let scores = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap()["scores"].clone();
    let here = scores(&succeed(&eval));
    assert_eq!(here["normal"].as_array().unwrap().len() + here["defect"].as_array().unwrap().len(), 6);
    for core in CORES {
        let Some(json) = on_core(core, &eval, folder.path()) else { return };
        assert_eq!(here, scores(&json), "{core}");
    }
}

/// A picture with opacity enlarged, and a camera's noise, blur and JPEG with what enlarging makes of them.
#[test]
fn enlarged_pictures_and_cameras_are_the_same_on_every_core() {
    let folder = tempfile::tempdir().unwrap();
    let (large, picture) = (folder.path().join("large"), folder.path().join("small.png"));
    std::fs::create_dir(&large).unwrap();
    std::fs::copy(root().join("models/inspect-demo/frames/normal/part-01.jpg"), large.join("a.jpg")).unwrap();
    let bytes: Vec<u8> = (0..61 * 47 * 4u32).map(|i| (i * i / 61 % 253) as u8).collect();
    let form = RowLayout { layout: Layout::Rgb, alpha: true };
    write_png_rows(std::fs::File::create(&picture).unwrap(), form, (61, 47), |rows| rows.write(&bytes)).unwrap();
    let (here, there) = (folder.path().join("here.png"), folder.path().join("there.png"));
    let upscale = |to| ["upscale", crate::common::arg(&picture), to];
    let eval = ["eval", "superres", "--hr", crate::common::arg(&large), "--degrade", "camera", "--json"];
    succeed(&upscale(crate::common::arg(&here)));
    let figures = succeed(&eval);
    for core in CORES {
        let Some(_) = on_core(core, &upscale(crate::common::arg(&there)), folder.path()) else { return };
        assert!(std::fs::read(&there).unwrap() == std::fs::read(&here).unwrap(), "{core}");
        assert_eq!(on_core(core, &eval, folder.path()).unwrap(), figures, "{core}");
    }
}

/// Networks of many kinds: what aarch64 computes, bit by bit, against what this CPU computes.
#[test]
fn every_network_gives_the_same_bytes_on_every_core() {
    let folder = tempfile::tempdir().unwrap();
    let networks =
        std::fs::read_dir(root().join("crates/engine/tests/networks")).unwrap().map(|entry| entry.unwrap().path());
    for network in networks.filter(|network| network.join("model.onnx").is_file()) {
        let (model, input) = (network.join("model.onnx"), network.join("input_0.npy"));
        let mut arguments = vec!["infer", crate::common::arg(&model), "-i", crate::common::arg(&input), "-o", "y.npy"];
        let here = folder.path().join("here.npy");
        arguments[5] = crate::common::arg(&here);
        succeed(&arguments);
        let here = std::fs::read(&here).unwrap();
        arguments[5] = "y.npy";
        for core in CORES {
            let Some(_) = on_core(core, &arguments, folder.path()) else { return };
            assert!(std::fs::read(folder.path().join("y.npy")).unwrap() == here, "{core}: {}", network.display());
        }
    }
}

/// Frame, verdict and score of each line, as printed.
fn verdicts(stdout: &str) -> Vec<(String, String, String)> {
    let lines = stdout.lines().filter(|line| line.contains("/part-"));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[0].into(), words[1].into(), words[3].into())
        })
        .collect()
}
