//! What a file states beside its pixels, in every command that reads files: how it lies, and how many bits of 16 it uses.

use crate::common::{arg, config, root, run, text, write_mask};
use lineside_picture::{Layout, Picture, decode_file, image};
use std::path::{Path, PathBuf};

const FRAMES: &str = "models/inspect-demo/frames";

fn load(path: &Path) -> Picture {
    let mut picture = Picture::default();
    decode_file(&std::fs::read(path).unwrap(), 1 << 20, &mut picture).unwrap();
    picture
}

/// Writes a PNG of `[height, width, channels]` bytes, with 16 bits a sample where `deep`, and with an EXIF orientation.
fn save(path: &Path, picture: &Picture, bytes: &[u8], deep: bool, orientation: u8) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut info = png::Info::with_size(picture.width() as u32, picture.height() as u32);
    info.color_type = if picture.layout() == Layout::Grey { png::ColorType::Grayscale } else { png::ColorType::Rgb };
    info.bit_depth = if deep { png::BitDepth::Sixteen } else { png::BitDepth::Eight };
    let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    exif[18] = orientation;
    info.exif_metadata = (orientation != 1).then(|| exif.into());
    let mut writer =
        png::Encoder::with_info(std::fs::File::create(path).unwrap(), info).unwrap().write_header().unwrap();
    writer.write_image_data(bytes).unwrap();
    writer.finish().unwrap();
}

/// Three pictures of a kind, as PNG: as they are, and with each sample brought to 12 bits in 16.
fn pictures(folder: &Path, kind: &str) -> (PathBuf, PathBuf) {
    let (eight, twelve) = (folder.join("8"), folder.join("12"));
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root().join(FRAMES).join(kind)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for (i, file) in files.iter().take(3).enumerate() {
        let picture = load(file);
        save(&eight.join(format!("{i}.png")), &picture, picture.data(), false, 1);
        let samples = picture.data().iter().map(|&byte| ((u32::from(byte) * 4095 + 127) / 255) as u16);
        let bytes: Vec<u8> = samples.flat_map(u16::to_be_bytes).collect();
        save(&twelve.join(format!("{i}.png")), &picture, &bytes, true, 1);
    }
    (eight, twelve)
}

#[test]
fn twelve_bits_in_sixteen_are_advised_and_read_by_eval_and_run() {
    let folder = tempfile::tempdir().unwrap();
    let (eight, twelve) = pictures(folder.path(), "normal");
    let eval = |pictures: &Path, more: &[&str]| {
        let output = run(&[&["eval", "inspect-demo", "--json", "--normal", arg(pictures)][..], more].concat());
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (json["scores"].clone(), text(&output.stderr))
    };
    let (expected, _) = eval(&eight, &[]);
    let (dark, advice) = eval(&twelve, &[]);
    assert_ne!(dark, expected);
    assert_eq!(advice.matches("if the camera has 12 bits, state them (--bits N").count(), 1, "{advice}");
    let (scores, silent) = eval(&twelve, &["--bits", "12"]);
    assert_eq!(scores, expected);
    assert!(!silent.contains("state them"), "{silent}");

    let run_with = |bits: &str, name: &str| {
        let results = folder.path().join(name);
        let toml = format!("[source.folder]\npath = {twelve:?}\n{bits}[output]\nfolder = {results:?}\n");
        let output = run(&["run", arg(&config(folder.path(), &toml))]);
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        stderr.matches("if the camera has 12 bits, state them (source.folder.bits = N").count()
    };
    assert_eq!((run_with("", "a"), run_with("bits = 12\n", "b")), (1, 0));
}

#[test]
fn teach_learns_the_same_from_twelve_bits_in_sixteen() {
    let folder = tempfile::tempdir().unwrap();
    let (_, twelve) = pictures(folder.path(), "normal");
    let out = folder.path().join("bundle");
    // Too few to learn from; what is advised is advised before that.
    let output = run(&["teach", "--normal", arg(&twelve), "--out", arg(&out)]);
    let stderr = text(&output.stderr);
    assert!(!output.status.success() && stderr.contains("state them (--bits N, with N = 12)"), "{stderr}");
    let stderr = text(&run(&["teach", "--bits", "12", "--normal", arg(&twelve), "--out", arg(&out)]).stderr);
    assert!(!stderr.contains("state them"), "{stderr}");
}

/// A picture that lies on its side, with a mask that is upright.
#[test]
fn masks_fit_the_upright_picture() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let upright = load(&root().join(FRAMES).join("defect/part-09-stain.jpg"));
    let as_is = image::metadata::Orientation::NoTransforms;
    let mut results = Vec::new();
    // Tag 6 turns clockwise, so the file has it turned counter-clockwise.
    for (name, lying, orientation) in [("upright", as_is, 1), ("lying", image::metadata::Orientation::Rotate270, 6)] {
        let picture = upright.clone().upright(lying);
        save(&at(name).join("defect/a.png"), &picture, picture.data(), false, orientation);
        std::fs::create_dir_all(at(name).join("mask")).unwrap();
        write_mask(&at(name).join("mask/a.png"), [77, 138, 121, 177]);
        let (defect, mask) = (at(name).join("defect"), at(name).join("mask"));
        let normal = format!("{FRAMES}/normal");
        let arguments =
            ["eval", "inspect-demo", "--normal", &normal, "--defect", arg(&defect), "--masks", arg(&mask), "--json"];
        let json: serde_json::Value = serde_json::from_str(&crate::common::succeed(&arguments)).unwrap();
        results.push([json["scores"].clone(), json["pixel_auroc"].clone(), json["pro"].clone()]);
    }
    assert_eq!(results[0], results[1]);
}
