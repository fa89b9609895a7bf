//! Wrong input of every kind: one clear line, the right exit code, nothing lost.

use crate::common::{arg, config, copy_folder, lineside, records, refuse, root, run, succeed, text};
use lineside_engine::{Tensor, npy};
use lineside_picture::{Layout, Picture, write_png};
use std::path::Path;
use std::process::Stdio;

fn save_png(path: &Path, picture: &Picture) {
    write_png(std::fs::File::create(path).unwrap(), picture).unwrap();
}

fn save_npy(path: &Path, tensor: &Tensor) {
    npy::write(std::fs::File::create(path).unwrap(), tensor).unwrap();
}

#[test]
fn a_missing_or_truncated_model() {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = (folder.path().join("x.npy"), folder.path().join("y.npy"));
    save_npy(&x, &Tensor::new(vec![1, 1, 8, 8], vec![0u8; 64]).unwrap());
    let infer = |model: &Path, parts: &[&str]| refuse(&["infer", arg(model), "-i", arg(&x), "-o", arg(&y)], 1, parts);
    infer(&folder.path().join("none.onnx"), &["none.onnx: cannot be read: No such file"]);
    let whole = std::fs::read(root().join("models/superres-x3/model.onnx")).unwrap();
    let cut = folder.path().join("cut.onnx");
    for share in [0, 10, 50, 99] {
        std::fs::write(&cut, &whole[..whole.len() * share / 100]).unwrap();
        infer(&cut, &["cut.onnx", "model"]);
    }
    assert!(!y.exists());
}

#[test]
fn an_output_over_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (model, x, good) = (at("model.onnx"), at("x.npy"), at("good"));
    std::fs::copy(root().join("models/superres-x3/model.onnx"), &model).unwrap();
    save_npy(&x, &Tensor::new(vec![1, 1, 8, 8], vec![0u8; 64]).unwrap());
    for output in [&model, &x] {
        let whole = std::fs::read(output).unwrap();
        refuse(&["infer", arg(&model), "-i", arg(&x), "-o", arg(output)], 2, &[arg(output)]);
        assert_eq!(std::fs::read(output).unwrap(), whole);
    }
    std::fs::create_dir(&good).unwrap();
    let (part, log) = (good.join("part.png"), at("a.log"));
    save_png(&part, &Picture::new(Layout::Grey, 64, 48));
    std::fs::write(&log, "time=2026-11-21T04:00:00Z level=info record=stop run=0a1b2c3d captured=7\n").unwrap();
    for (arguments, read) in [
        (&["eval", "inspect-demo", "--normal", arg(&good), "--sheet", arg(&part)][..], &part),
        (&["inspect", arg(&log), "--html", arg(&log)], &log),
    ] {
        let whole = std::fs::read(read).unwrap();
        refuse(arguments, 2, &[arg(read), "which is read: give the output another name"]);
        assert_eq!(std::fs::read(read).unwrap(), whole);
    }
    refuse(&["eval", "inspect-demo", "--normal", arg(&good), "--sheet", "notes.txt"], 2, &["notes.txt", "is .png"]);
}

#[test]
fn a_bundle_with_a_wrong_hash() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("mine");
    copy_folder(&root().join("models/inspect-demo"), &bundle);
    let statistics = bundle.join("scorer-0.npy");
    let mut bytes = std::fs::read(&statistics).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&statistics, bytes).unwrap();
    let normal = arg(&bundle).to_string() + "/frames/normal";
    refuse(
        &["eval", arg(&bundle), "--normal", &normal],
        78,
        &["mine/scorer-0.npy", "SHA-256 is", "install the bundle again"],
    );
    std::fs::remove_file(&statistics).unwrap();
    refuse(&["eval", arg(&bundle), "--normal", &normal], 78, &["mine/scorer-0.npy", "No such file"]);
    refuse(&["parity", "no-such-bundle"], 78, &["no bundle \"no-such-bundle\": looked for"]);

    // The backbone gives four outputs; here its golden vectors state one.
    let backbone = folder.path().join("backbone");
    copy_folder(&root().join("models/backbone-lite0"), &backbone);
    let manifest = std::fs::read_to_string(backbone.join("bundle.toml")).unwrap();
    let short =
        manifest.replace(", \"golden/0.block10.npy\", \"golden/0.block14.npy\", \"golden/0.block15.npy\"]", "]");
    std::fs::write(backbone.join("bundle.toml"), short).unwrap();
    refuse(
        &["parity", arg(&backbone)],
        78,
        &["backbone/bundle.toml: golden/0.input.npy has 1 outputs stated, the model gives 4"],
    );
}

#[test]
fn a_configuration_with_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("[source.pattern]\ncolour = 1\n", "line.toml:2: unknown field `colour`"),
        ("[source.pattern]\nwidth = \"wide\"\n", "line.toml:2: width: invalid type"),
        ("[source.pattern]\nheight = 0\n", "line.toml:2: source.pattern.height must lie in 32..8192, found 0"),
        ("[source.pattern]\n[budget]\nmemory = \"1 MiB\"\n", "budget.memory is 1.0 MiB, but"),
        (
            "[source.pattern]\n[anomaly]\nbundle = \"superres-x3\"\n",
            "task is \"super-resolution\", which judges no frames",
        ),
        ("[source.pattern]\n[anomaly]\nbundle = \"backbone-lite0\"\n", "task is \"backbone\", which judges no frames"),
    ];
    for (toml, expected) in cases {
        let path = config(folder.path(), toml);
        for command in ["check", "run"] {
            refuse(&[command, arg(&path)], 78, &[expected]);
        }
    }
    refuse(&["check", "none.toml"], 78, &["none.toml: No such file"]);
    assert_eq!(run(&["run", "--frames", "many"]).status.code(), Some(2));
    assert_eq!(run(&["fly"]).status.code(), Some(2));
    refuse(&["eval", "superres-x3", "--normal", "models"], 2, &["--hr DIR is needed"]);
    refuse(&["eval", "backbone-lite0", "--normal", "models"], 2, &["is a backbone, which has no task of its own"]);
}

#[test]
fn a_folder_without_pictures_and_an_output_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let path = config(folder.path(), &format!("[source.folder]\npath = {empty:?}\n"));
    refuse(&["run", arg(&path)], 1, &["empty: no picture in it (.png, .jpg, "]);

    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let below = file.join("results");
    let path = config(folder.path(), &format!("[source.pattern]\nframes = 2\n[output]\nfolder = {below:?}\n"));
    refuse(&["run", arg(&path)], 1, &["file/results: cannot write results there"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a folder");
}

#[test]
fn bad_pictures_fail_one_by_one_and_the_others_are_inspected() {
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    let good = root().join("models/inspect-demo/frames/normal/part-01.jpg");
    let whole = std::fs::read(&good).unwrap();
    std::fs::copy(&good, frames.join("01-good.jpg")).unwrap();
    std::fs::write(frames.join("02-cut.jpg"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(frames.join("03-text.png"), "no picture").unwrap();
    save_png(&frames.join("04-one-pixel.png"), &Picture::new(Layout::Rgb, 1, 1));
    save_png(&frames.join("05-strip.png"), &Picture::new(Layout::Rgb, 20000, 10));
    save_png(&frames.join("06-large.png"), &Picture::new(Layout::Grey, 1000, 1000));
    save_deep(&frames.join("07-sixteen-bit.png"), png::ColorType::Grayscale, png::BitDepth::Sixteen, 2);
    save_deep(&frames.join("08-transparent.png"), png::ColorType::Rgba, png::BitDepth::Eight, 4);
    std::fs::copy(root().join("crates/picture/src/testdata/cmyk.jpg"), frames.join("09-cmyk.jpg")).unwrap();
    std::fs::copy(&good, frames.join("10-good.jpg")).unwrap();
    let results = folder.path().join("results");
    let path = config(
        folder.path(),
        &format!("[source.folder]\npath = {frames:?}\nmax_megapixels = 0.5\n[output]\nfolder = {results:?}\n"),
    );
    let output = run(&["run", arg(&path)]);
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", text(&output.stderr));
    assert!(stdout.contains("10 frames: 3 inspected, 0 skipped as similar, 0 dropped as stale, 7 failed"), "{stdout}");
    for (name, reason) in [
        ("04-one-pixel.png", "1x1 is too small: at least 32 pixels"),
        ("05-strip.png", "20000x10 is too small: at least 32 pixels"),
        ("06-large.png", "more than the limit of 500000 pixels"),
        ("08-transparent.png", "transparency"),
        ("09-cmyk.jpg", "CMYK"),
    ] {
        let line = stdout.lines().find(|line| line.contains(name) && line.contains("FAILED")).unwrap_or_default();
        assert!(line.contains(reason), "{name}: {stdout}");
    }
    // Told once: it is one episode.
    let faults: Vec<_> = records(&results).into_iter().filter(|record| record["record"] == "fault").collect();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!((&faults[0]["fault"], &faults[0]["state"]), (&"frame".into(), &"begin".into()));
    assert!(faults[0]["cause"].as_str().unwrap().contains("02-cut.jpg: "), "{faults:?}");
}

/// A 64×48 picture of the given kind, all bytes 9.
/// As in `lineside devices --json | head -0`.
#[test]
fn a_reader_that_goes_away_is_no_fault() {
    for arguments in [&["devices"][..], &["devices", "--json"]] {
        let mut child = lineside().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    }
}

fn save_deep(path: &Path, colour: png::ColorType, depth: png::BitDepth, bytes_per_pixel: usize) {
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), 64, 48);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    encoder.write_header().unwrap().write_image_data(&vec![9; 64 * 48 * bytes_per_pixel]).unwrap();
}

#[test]
fn arrays_of_the_wrong_shape_or_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    save_npy(&path("good.npy"), &Tensor::new(vec![1, 1, 8, 8], vec![7u8; 64]).unwrap());
    save_npy(&path("flat.npy"), &Tensor::new(vec![64], vec![7u8; 64]).unwrap());
    save_npy(&path("float.npy"), &Tensor::new(vec![1, 1, 8, 8], vec![0f32; 64]).unwrap());
    std::fs::write(path("text.npy"), "not an array").unwrap();
    let model = root().join("models/superres-x3/model.onnx");
    let (model, y) = (arg(&model), path("y.npy"));
    let infer =
        |input: &str, parts: &[&str]| refuse(&["infer", model, "-i", arg(&path(input)), "-o", arg(&y)], 1, parts);
    infer("flat.npy", &["expected u8 [1, 1, ?, ?], found [64]"]);
    infer("float.npy", &["float.npy: holds f32", "takes u8"]);
    infer("text.npy", &["text.npy: not a usable .npy array"]);
    infer("none.npy", &["none.npy: No such file"]);
    assert!(!y.exists());
    let good = path("good.npy");
    refuse(
        &["infer", model, "-i", arg(&good), "-i", arg(&good), "-o", arg(&y)],
        2,
        &["1 inputs, but -i was given 2 times"],
    );
    succeed(&["infer", model, "-i", arg(&good), "-o", arg(&y)]);
    let enlarged = npy::read(&std::fs::read(&y).unwrap()).unwrap();
    assert_eq!(enlarged.shape(), [1, 1, 24, 24]);
}
