//! `lineside quantize` and `lineside compare` as a user calls them, on the small float network of `crates/quantize/tests/data`.

use crate::common::{arg, lineside, refuse, root, succeed, text};
use lineside_engine::{Tensor, npy};
use lineside_picture::image::{Rgb, RgbImage};
use std::path::{Path, PathBuf};

fn small() -> PathBuf {
    root().join("crates/quantize/tests/data/small.onnx")
}

/// Pictures of stripes, of several sizes.
fn pictures(folder: &Path, count: u32) -> PathBuf {
    let to = folder.join("pictures");
    std::fs::create_dir_all(&to).unwrap();
    for number in 0..count {
        let (period, level) = (2 + number % 9, 40 + number * 37 % 150);
        let stripe = |x: u32, y: u32| ((x / period + y / (period + 1)) % 2 * 50 + level + x * y % 23) as u8;
        let picture = RgbImage::from_fn(32 + number % 3 * 16, 32 + number % 2 * 10, |x, y| {
            Rgb([stripe(x, y), stripe(y, x), stripe(x + 3, y)])
        });
        picture.save(to.join(format!("{number:03}.png"))).unwrap();
    }
    to
}

const BYTES: [&str; 4] = ["--mean", "127", "--std", "128"];

#[test]
fn from_a_float_model_and_a_folder_of_pictures_to_one_that_is_compared() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (pictures, out, report) = (pictures(folder.path(), 40), at("int8.onnx"), at("report.json"));
    let (model, size) = (small(), ["--size", "32x32"]);
    let base = ["quantize", arg(&model), arg(&out), "--calibrate", arg(&pictures), "--report", arg(&report)];
    let said = succeed(&[&base[..], &BYTES, &size].concat());
    assert!(
        said.contains("6 layers in integers, 0 in floats") && said.contains("on 4 samples that nothing was taken from"),
        "{said}"
    );
    assert!(said.contains("opset 12 was raised to 13"), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    for key in ["sqnr_db", "size_bytes", "p50_ms", "top1_agreement", "score_shift", "verdict", "reasons"] {
        assert!(!json[key].is_null(), "{key}: {json}");
    }
    assert!(json["sqnr_db"].as_f64().unwrap() > 20.0, "{json}");

    // The same again is the same file; fewer threads, too.
    let again = at("again.onnx");
    let base = ["quantize", arg(&model), arg(&again), "--calibrate", arg(&pictures), "--threads", "1"];
    succeed(&[&base[..], &BYTES, &size].concat());
    assert!(std::fs::read(&again).unwrap() == std::fs::read(&out).unwrap());

    // It runs entirely in integers.
    let said = succeed(&["bench", arg(&out), "--shape", "1,3,32,32", "--runs", "3"]);
    assert!(said.contains("100.0 % of them in integers"), "{said}");

    let base = ["compare", arg(&model), arg(&out), "--data", arg(&pictures), "--layers"];
    let said = succeed(&[&base[..], &BYTES, &size].concat());
    for part in ["logits: signal to noise", "first place the same in", "where they part", "dB  sum", "scores moved by"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = succeed(
        &[&["compare", arg(&model), arg(&model), "--json", "--data", arg(&pictures)], &BYTES[..], &size].concat(),
    );
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&json["sqnr_db"], json["top1_agreement"].as_f64()), (&serde_json::Value::Null, Some(1.0)), "{json}");
    assert_eq!(json["is_same"].as_bool(), Some(true));
    assert_eq!(json["score_shift"].as_f64(), Some(0.0));
}

#[test]
fn a_picture_that_cannot_be_read_is_named_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = pictures(folder.path(), 20);
    // One of those that are held out, and two of the others.
    for name in ["009.png", "003.png", "012.png"] {
        std::fs::write(pictures.join(name), "no picture").unwrap();
    }
    let (model, out, report) = (small(), folder.path().join("int8.onnx"), folder.path().join("report.json"));
    let calls = [
        vec!["quantize", arg(&model), arg(&out), "--calibrate", arg(&pictures), "--report", arg(&report)],
        vec!["compare", arg(&model), arg(&model), "--data", arg(&pictures), "--layers"],
    ];
    for call in calls {
        let output = lineside().args(&call).args(BYTES).args(["--size", "32x32"]).output().unwrap();
        let errors = text(&output.stderr);
        assert!(output.status.success(), "{errors}");
        assert!(errors.contains("3 of 20 samples cannot be read and are left out"), "{errors}");
        assert_eq!(errors.matches("003.png").count(), 1, "{errors}");
    }
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let quantization = &json["quantization"];
    assert_eq!((quantization["calibrated"].as_u64(), quantization["held_out"].as_u64()), (Some(16), Some(1)), "{json}");
    assert_eq!(quantization["unread"].as_array().unwrap().len(), 3, "{json}");
}

#[test]
fn labels_give_the_accuracy_of_both() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = pictures(folder.path(), 6);
    let labels = folder.path().join("labels.csv");
    let lines: String = (0..6).map(|number| format!("pictures/{number:03}.png,3\n")).collect();
    std::fs::write(&labels, format!("file,class\n{lines}")).unwrap();
    let model = small();
    let base =
        ["compare", arg(&model), arg(&model), "--data", arg(&pictures), "--size", "32x32", "--labels", arg(&labels)];
    let said = succeed(&[&base[..], &BYTES].concat());
    assert!(said.contains("right in "), "{said}");
    std::fs::write(&labels, "3\n1\n").unwrap();
    refuse(&[&base[..], &BYTES].concat(), 1, &["labels.csv", "2 labels for 6 samples"]);
    // One for each picture that there is, also where a part of these is used: the first, third and fifth.
    let places = |labels_of: &[usize]| {
        std::fs::write(&labels, labels_of.iter().map(|label| format!("{label}\n")).collect::<String>()).unwrap();
        [&base[..], &BYTES, &["--samples", "3"]].concat()
    };
    let right = |place: usize| {
        let said = succeed(&places(&[place, 600, place, 600, place, 600]));
        said.split("right in ").nth(1).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap()
    };
    // Each of the three has one of the ten places.
    let sum: f64 = (0..10).map(right).sum();
    assert!((sum - 100.0).abs() < 0.2, "{sum}");
    refuse(&places(&[600, 3, 3, 3, 3, 3]), 1, &["000.png", "its label is 600"]);
    refuse(&places(&[3, 3, 3]), 1, &["labels.csv", "3 labels for 6 samples"]);
    std::fs::write(&labels, "a.png,3\n").unwrap();
    refuse(&[&base[..], &BYTES].concat(), 1, &["labels.csv", "no label for", "000.png"]);
}

#[test]
fn labels_tell_files_of_one_name_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (data, model) = (folder.path().join("data"), small());
    std::fs::create_dir(&data).unwrap();
    std::fs::rename(pictures(folder.path(), 3), data.join("red")).unwrap();
    std::fs::rename(pictures(folder.path(), 3), data.join("dark green")).unwrap();
    std::fs::rename(data.join("red/000.png"), data.join("red/part 1.png")).unwrap();
    let labels = folder.path().join("labels.txt");
    let how = [&["--size", "32x32"], &BYTES[..]].concat();
    let call = |labels: &str| {
        ["compare", arg(&model), arg(&model), "--data", arg(&data), "--labels", labels].map(String::from)
    };
    let call = call(arg(&labels));
    let call: Vec<&str> = call.iter().map(String::as_str).chain(how).collect();
    let lines = "red/part 1.png 1\nred/001.png 2\nred/002.png 3\ndark green/000.png 4\ndark green/001.png 5\n";
    std::fs::write(&labels, format!("{lines}dark green/002.png 6\n")).unwrap();
    assert!(succeed(&call).contains("right in "));
    std::fs::write(&labels, format!("{lines}dark green/002.png 600\n")).unwrap();
    refuse(&call, 1, &["dark green/002.png", "its label is 600", "are 0 to "]);
    std::fs::write(&labels, lines).unwrap();
    refuse(&call, 1, &["labels.txt", "line 3 fits", "dark green/002.png", "red/002.png"]);
    std::fs::write(&labels, format!("{lines}002.png 4\nred/002.png 9\n")).unwrap();
    refuse(&call, 1, &["labels.txt", "lines 3 and 7 have other numbers", "red/002.png"]);
}

#[test]
fn arrays_are_samples_along_their_first_dimension() {
    let folder = tempfile::tempdir().unwrap();
    let (array, out) = (folder.path().join("x.npy"), folder.path().join("int8.onnx"));
    let save = |shape: Vec<usize>| {
        let values =
            (0..shape.iter().product::<usize>()).map(|at| (at * 7919 % 255) as f32 / 128.0 - 1.0).collect::<Vec<_>>();
        npy::write(std::fs::File::create(&array).unwrap(), &Tensor::new(shape, values).unwrap()).unwrap();
    };
    let model = small();
    let call = ["quantize", arg(&model), arg(&out), "--calibrate", arg(&array), "--fast"];
    save(vec![12, 3, 32, 32]);
    let output = lineside().args(call).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("12 samples: ranges from so few"), "{}", text(&output.stderr));
    for how in [&["--size", "32x32"][..], &["--like", "unit"], &["--bgr"]] {
        refuse(&[&call, how].concat(), 2, &["x.npy: an array is taken as it is"]);
    }
    save(vec![12, 1, 32, 32]);
    refuse(&call, 1, &["x.npy", "[12, 1, 32, 32]", "\"image\""]);
}

#[test]
fn pictures_are_prepared_as_a_bundle_prepares_them_or_as_the_network_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (model, pictures) = (small(), pictures(folder.path(), 20));
    let quantized = |name: &str, how: &[&str]| {
        let out = at(name);
        let base = ["quantize", arg(&model), arg(&out), "--fast", "--calibrate", arg(&pictures)];
        succeed(&[&base[..], how].concat());
        std::fs::read(out).unwrap()
    };
    let bundle = at("sorter");
    let made = ["bundle", "new", arg(&model), "--task", "classify", "--out", arg(&bundle), "--size", "32x32"];
    let middle = ["--channels", "bgr", "--fit", "crop", "--mean", "127", "--std", "128"];
    let labels = at("labels.txt");
    std::fs::write(&labels, (0..10).map(|class| format!("class-{class}\n")).collect::<String>()).unwrap();
    succeed(&[&made[..], &middle, &["--keep", "0.5", "--labels", arg(&labels)]].concat());

    let like_bundle = quantized("a.onnx", &["--like", arg(&bundle)]);
    assert!(like_bundle == quantized("b.onnx", &[&["--size", "32x32", "--share", "0.5"], &middle[..]].concat()));
    // What is stated beside it goes first.
    let whole = quantized("c.onnx", &["--like", arg(&bundle), "--fit", "stretch"]);
    assert!(whole != like_bundle);
    assert!(whole == quantized("d.onnx", &["--size", "32x32", "--bgr", "--mean", "127", "--std", "128"]));
    let unit = quantized("e.onnx", &["--size", "32x32", "--like", "unit"]);
    assert!(unit == quantized("f.onnx", &["--size", "32x32", "--mean", "0", "--std", "255", "--layout", "nchw"]));
}

#[test]
fn the_other_form_and_a_stated_time() {
    let folder = tempfile::tempdir().unwrap();
    let (model, pictures, out) = (small(), pictures(folder.path(), 20), folder.path().join("int8.onnx"));
    let base = ["quantize", arg(&model), arg(&out), "--size", "32x32", "--calibrate", arg(&pictures)];
    let said = succeed(&[&base[..], &BYTES, &["--format", "qoperator", "--minutes", "0"]].concat());
    assert!(said.contains("the time was over: the ranges of 0 of"), "{said}");
    let bytes = std::fs::read(&out).unwrap();
    let holds = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    assert!(holds(b"QLinearConv"));
    let said = succeed(&["bench", arg(&out), "--shape", "1,3,32,32", "--runs", "3"]);
    assert!(said.contains("100.0 % of them in integers"), "{said}");
}

#[test]
fn layers_stay_in_floats_for_a_stated_loss() {
    let folder = tempfile::tempdir().unwrap();
    let (pictures, model, out) = (pictures(folder.path(), 40), small(), folder.path().join("int8.onnx"));
    let with = |limit: &'static str| {
        let base = ["quantize", arg(&model), arg(&out), "--calibrate", arg(&pictures), "--size", "32x32"];
        lineside().args(base).args(BYTES).args(["--max-loss", limit]).output().unwrap()
    };
    let met = with("1%");
    let (said, warned) = (text(&met.stdout), text(&met.stderr));
    assert!(met.status.success(), "{warned}");
    assert!(said.contains("for the stated loss: ") && said.contains("of 4 samples"), "{said}");
    assert!(warned.contains("one of the 4 samples held out is 25.0 %"), "{warned}");
    std::fs::remove_file(&out).unwrap();
    let missed = with("150dB");
    let error = text(&missed.stderr);
    assert_eq!(missed.status.code(), Some(1), "{error}");
    assert!(error.contains("a loss of 150 dB is not met") && !out.exists(), "{error}");
    assert_eq!(with("5").status.code(), Some(2));
}

#[test]
fn layers_in_sixteen_bits_are_named_with_what_they_cost_and_gave() {
    let folder = tempfile::tempdir().unwrap();
    let (pictures, model, out) = (pictures(folder.path(), 20), small(), folder.path().join("int8.onnx"));
    let report = folder.path().join("report.json");
    let base = ["quantize", arg(&model), arg(&out), "--calibrate", arg(&pictures), "--size", "32x32"];
    let with = |more: &[&str]| lineside().args(base).args(BYTES).args(more).output().unwrap();
    let wide = ["--a16w8", "stem", "--a16w8", "depthwise", "--a16w8", "nothing", "--report", arg(&report)];
    let output = with(&wide);
    let (said, warned) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{warned}");
    for part in [
        "4 layers in integers, 2 in A16W8, 0 in floats",
        "in A16W8: \"stem\", \"depthwise\"",
        "2 layers in A16W8 by request; signal to noise ",
        " ms a run",
        "(4 layers in A8W8, 2 layers in A16W8)",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(warned.contains("--a16w8 nothing: no layer"), "{warned}");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(json["quantization"]["mixed"]["a16w8"], serde_json::json!(["stem", "depthwise"]), "{json}");
    assert_eq!(json["comparison"]["b"]["layers"]["a16w8"], 2, "{json}");
    // Without a stated loss nothing falls back; a stated one may be missed in 16 bits, too.
    assert_eq!(with(&["--fallback", "a16w8"]).status.code(), Some(2));
    let missed = with(&["--max-loss", "150dB", "--fallback", "a16w8"]);
    assert!(
        missed.status.code() == Some(1) && text(&missed.stderr).contains("layers in A16W8"),
        "{}",
        text(&missed.stderr)
    );
}

#[test]
fn weights_alone_need_no_samples() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out, report) = (small(), folder.path().join("int8.onnx"), folder.path().join("report.json"));
    let base = ["quantize", arg(&model), arg(&out), "--dynamic", "--report", arg(&report)];
    let said = succeed(&base);
    assert!(said.contains("6 layers in integers, 0 tables") && said.contains("not measured"), "{said}");
    let pictures = pictures(folder.path(), 12);
    let said =
        succeed(&[&base[..], &["--keep", "stem", "--calibrate", arg(&pictures), "--size", "32x32"], &BYTES].concat());
    for part in ["5 layers in integers", "in floats: \"stem\": kept by request", "on 12 samples", "signal to noise"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert!(json["sqnr_db"].as_f64().unwrap() > 25.0, "{json}");
    assert!(json["size_bytes"].as_u64().unwrap() == std::fs::metadata(&out).unwrap().len(), "{json}");
    for option in [&["--ranges", "mse"][..], &["--fast"], &["--symmetric"], &["--per-tensor"], &["--fix-shapes"]] {
        let output = lineside().args(["quantize", arg(&model), arg(&out), "--dynamic"]).args(option).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(option[0]), "{}", text(&output.stderr));
    }
    let output = lineside().args(["quantize", arg(&model), arg(&out)]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--calibrate"), "{}", text(&output.stderr));
    // What is said of samples is not passed over where there are none.
    for option in [&["--like", "unit"][..], &["--mean", "0", "--std", "255"], &["--size", "32x32"], &["--samples", "9"]]
    {
        let call = ["quantize", arg(&model), arg(&out), "--dynamic"];
        refuse(&[&call[..], option].concat(), 2, &["--calibrate", "--dynamic takes nothing from samples"]);
    }
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = pictures(folder.path(), 12);
    let out = folder.path().join("int8.onnx");
    let model = small();
    let with = |more: &[&str], code: i32, parts: &[&str]| {
        refuse(&[&["quantize", arg(&model), arg(&out), "--calibrate", arg(&pictures)], more].concat(), code, parts);
        assert!(!out.exists());
    };
    with(&BYTES, 2, &["image", "--size"]);
    with(&["--size", "32x32"], 2, &["small.onnx", "floats", "--like", "--mean and --std"]);
    with(&["--size", "32x32", "--mean", "1,2", "--std", "1"], 2, &["2 numbers of mean for 3 channels"]);
    with(&["--size", "32x32", "--like", "nothing"], 2, &["--like nothing", "torchvision", "no bundle"]);
    for wrong in [["--std", "0"], ["--std", "-1"], ["--mean", "NaN"], ["--minutes", "-1"], ["--format", "onnx"]] {
        let base = ["quantize", arg(&model), arg(&out), "--calibrate", arg(&pictures)];
        let output = lineside().args(base).args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", text(&output.stderr));
    }
    let output = lineside().args(["compare", "a.onnx", "b.onnx", "--data", "x", "--size", "32"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("WIDTHxHEIGHT"), "{}", text(&output.stderr));
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let call = |calibrate: &str, out: &str| {
        ["quantize", arg(&model), out, "--calibrate", calibrate, "--size", "32x32"].map(String::from)
    };
    let refuse_call = |calibrate: &Path, out: &str, code: i32, part: &str| {
        let call = call(arg(calibrate), out);
        let call: Vec<&str> = call.iter().map(String::as_str).chain(BYTES).collect();
        refuse(&call, code, &[part]);
    };
    refuse_call(&empty, arg(&out), 1, "no picture in it");
    refuse_call(&folder.path().join("nowhere"), arg(&out), 1, "nowhere");
    refuse_call(&pictures, arg(&model), 2, "which is read");
    refuse_call(&pictures, "int8.txt", 2, ".onnx");
    // Before any sample is looked at.
    refuse_call(&empty, arg(&folder.path().join("no/folder/int8.onnx")), 1, "int8.onnx: no file can be written in");
    // Pictures that are none, and nothing else.
    let broken = folder.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    for name in ["1.png", "2.png"] {
        std::fs::write(broken.join(name), "no picture").unwrap();
    }
    refuse_call(&broken, arg(&out), 1, "none of the 2 samples can be read");
    refuse_call(&broken, arg(&out), 1, "1.png");
    let other = root().join("tests/data/two_in_two_out.onnx");
    let call =
        ["compare", arg(&model), arg(&other), "--data", arg(&pictures), "--size", "32x32", "--mean", "0", "--std", "1"];
    refuse(&call, 2, &["take other inputs"]);
}
