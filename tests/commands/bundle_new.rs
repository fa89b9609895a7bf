//! `lineside bundle new` as a user calls it, on the small networks of `tests/data/exports`, and the verdicts of what it made.

use crate::common::{arg, config, lineside, records, refuse, root, run, succeed, text};
use ::lineside::bundle::Bundle;
use ::lineside::task::anomaly::Verdict;
use ::lineside::task::own_model::OwnModel;
use lineside_picture::image::{Rgb, RgbImage};
use lineside_picture::{Picture, Rect, decode_file};
use std::path::{Path, PathBuf};

fn network(name: &str) -> PathBuf {
    root().join("tests/data/exports").join(name).with_extension("onnx")
}

/// Pictures of a colour with faint stripes; those of defects have a bright square.
fn pictures(folder: &Path, name: &str, count: u32, colour: [u8; 3], has_square: bool) -> PathBuf {
    let to = folder.join(name);
    std::fs::create_dir_all(&to).unwrap();
    for number in 0..count {
        let picture = RgbImage::from_fn(64, 48, |x, y| {
            let stripe = ((x * (3 + number % 5) + y * 7 + number) % 11) as u8;
            let is_square = has_square && (20..28).contains(&x) && (16..24).contains(&y);
            Rgb(if is_square { [255; 3] } else { colour.map(|level| level + stripe) })
        });
        picture.save(to.join(format!("{number:03}.png"))).unwrap();
    }
    to
}

const GREEN: [u8; 3] = [40, 160, 60];
const RED: [u8; 3] = [170, 50, 40];

/// Verdicts of a bundle on the pictures of a folder, in the order of their names.
fn verdicts(bundle: &Path, pictures: &Path) -> Vec<Verdict> {
    let mut model = OwnModel::new(&Bundle::open(bundle).unwrap(), None, 1).unwrap();
    let mut files: Vec<PathBuf> = std::fs::read_dir(pictures).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let judge = |file: &PathBuf| {
        let (mut picture, mut verdict) = (Picture::default(), Verdict::default());
        decode_file(&std::fs::read(file).unwrap(), 1 << 20, &mut picture).unwrap();
        model.prepare(&picture).unwrap();
        model.judge((picture.width(), picture.height()), &mut verdict).unwrap();
        verdict
    };
    files.iter().map(judge).collect()
}

/// How many pictures there are, and how many of them count as defects.
fn defects(bundle: &Path, pictures: &Path) -> (usize, usize) {
    let verdicts = verdicts(bundle, pictures);
    (verdicts.len(), verdicts.iter().filter(|verdict| verdict.defect).count())
}

fn measured(bundle: &Path) -> toml::Table {
    let manifest = std::fs::read_to_string(bundle.join("bundle.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    manifest["measured"].as_table().unwrap().clone()
}

#[test]
fn a_classifier_becomes_a_line_in_two_commands() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) =
        (pictures(folder.path(), "good", 12, GREEN, false), pictures(folder.path(), "bad", 6, RED, false));
    let (labels, out, model) = (folder.path().join("labels.txt"), folder.path().join("sorter"), network("classifier"));
    std::fs::write(&labels, "scratched\ngood\ndented\n").unwrap();
    let base = ["bundle", "new", arg(&model), "--task", "classify", "--out", arg(&out), "--labels", arg(&labels)];
    let pictures = ["--ok", "good", "--like", "unit", "--normal", arg(&good), "--defect", arg(&bad)];
    let said = succeed(&[&base[..], &pictures, &["--licence", "MIT"]].concat());
    for part in [
        "the whole frame, red first, (byte - 0) / 255; as --like unit has it",
        "values: logits",
        "12 of 12 pictures of good parts are judged good",
        "6 of 6 pictures of defects count as defects",
        "allow_float = true",
        "next: lineside run line.toml",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    succeed(&["bundle", "verify", arg(&out)]);
    assert_eq!(measured(&out)["defects_found"].as_integer(), Some(6));
    let card = std::fs::read_to_string(out.join("CARD.md")).unwrap();
    assert!(card.contains("Licence: MIT") && card.contains("lineside bundle new") && card.contains("p50 "), "{card}");
    assert_eq!(defects(&out, &good), (12, 0));
    assert_eq!(defects(&out, &bad), (6, 6));
    // The second command.
    let results = folder.path().join("results");
    let text = format!(
        "[source.folder]\npath = {bad:?}\n[anomaly]\nbundle = {out:?}\n[super_resolution]\nwhen = \"never\"\n[engine]\n\
         allow_float = true\n[output]\nfolder = {results:?}\n"
    );
    succeed(&["run", arg(&config(folder.path(), &text))]);
    let events = records(&results).into_iter().filter(|record| record["record"] == "event");
    assert_eq!(events.count(), 6);
}

#[test]
fn an_export_that_scales_itself_and_notes_its_names_needs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (network("classifier_nhwc"), folder.path().join("sorter"));
    let base = ["bundle", "new", arg(&model), "--task", "classify", "--out", arg(&out), "--ok", "green"];
    let said = succeed(&base);
    for part in
        ["normalizes itself (mean 127.500, std 127.500), so its input is 0 to 255", "names from the model's file"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains("values: probabilities, as the graph ends"), "{said}");
    let json: serde_json::Value = serde_json::from_str(&succeed(&[&base[..], &["--json"]].concat())).unwrap();
    assert_eq!((json["task"].as_str(), json["allow_float"].as_bool()), (Some("classify"), Some(true)), "{json}");
    let good = pictures(folder.path(), "good", 3, GREEN, false);
    assert_eq!(defects(&out, &good), (3, 0));
}

#[test]
fn what_a_network_does_to_its_input_and_what_is_stated_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("sorter");
    let good = pictures(folder.path(), "good", 12, GREEN, false);
    let new = |name: &str, more: &[&str]| {
        let model = network(name);
        let base = ["bundle", "new", arg(&model), "--task", "classify", "--ok", "green", "--out", arg(&out)];
        [&base[..], more].concat().into_iter().map(String::from).collect::<Vec<String>>()
    };
    let words = |words: &[String]| -> Vec<&'static str> { words.iter().map(|word| &*word.clone().leak()).collect() };
    // It takes Caffe's means off itself, of 0 to 255.
    for like in ["raw", "keras-caffe"] {
        let said = succeed(&words(&new("classifier_caffe", &["--like", like, "--normal", arg(&good)])));
        assert!(said.contains("(byte - 0) / 1;"), "{like}: {said}");
    }
    succeed(&words(&new("classifier_caffe", &["--like", "raw", "--normal", arg(&good)])));
    assert_eq!(defects(&out, &good), (12, 0));
    refuse(&words(&new("classifier_caffe", &[])), 2, &["mean 103.939, 116.779, 123.680", "state --like"]);
    for like in ["unit", "torchvision", "keras"] {
        let problem = format!("as --like {like} has it contradicts the model");
        refuse(&words(&new("classifier_caffe", &["--like", like])), 2, &[&problem, "--mean 0 --std 255"]);
    }
    // A layer that was learned does not say how pictures are prepared.
    let said = succeed(&words(&new("classifier_batchnorm", &["--like", "torchvision"])));
    assert!(said.contains("as --like torchvision has it"), "{said}");
    refuse(&words(&new("classifier_batchnorm", &[])), 2, &["state --like"]);
}

#[test]
fn a_float_network_is_quantized_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (root().join("crates/quantize/tests/data/small.onnx"), folder.path().join("small"));
    let calibrate = pictures(folder.path(), "calibrate", 40, GREEN, true);
    let labels = folder.path().join("labels.json");
    let json: Vec<String> = (0..10).map(|class| format!("class {class}")).collect();
    std::fs::write(&labels, serde_json::to_string(&json).unwrap()).unwrap();
    let base = ["bundle", "new", arg(&model), "--task", "classify", "--out", arg(&out), "--labels", arg(&labels)];
    let how = ["--mean", "127", "--std", "128", "--size", "32x32", "--quantize", "--calibrate", arg(&calibrate)];
    let said = succeed(&[&base[..], &how].concat());
    assert!(said.contains("6 layers in integers") && said.contains("signal to noise"), "{said}");
    assert!(said.contains("100.0 % of them in integers") && !said.contains("allow_float"), "{said}");
    let figures = measured(&out);
    assert!(figures.contains_key("sqnr_db") && figures.contains_key("fp32_p50_ms"), "{figures:?}");
    let card = std::fs::read_to_string(out.join("CARD.md")).unwrap();
    assert!(card.contains("## Quantized") && card.contains("in integers"), "{card}");
    succeed(&["bundle", "verify", arg(&out)]);
}

#[test]
fn anomalib_s_outputs_are_found_and_good_parts_set_the_threshold() {
    let folder = tempfile::tempdir().unwrap();
    let good = pictures(folder.path(), "good", 40, GREEN, false);
    let bad = pictures(folder.path(), "bad", 5, GREEN, true);
    let (model, out) = (network("anomaly"), folder.path().join("parts"));
    let base = ["bundle", "new", arg(&model), "--task", "anomaly-map", "--out", arg(&out), "--size", "64x64"];
    let said = succeed(&[&base[..], &["--normal", arg(&good), "--defect", arg(&bad)]].concat());
    for part in [
        "normalizes itself (mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225), so its input is 0 to 1",
        "score: output \"pred_score\"; map: output \"anomaly_map\"",
        "5 of 5 pictures of defects count as defects, AUROC 1.0000",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(out.join("baseline.json").is_file() && out.join("calibration.npy").is_file());
    assert_eq!(defects(&out, &bad), (5, 5));
    // The square lies at 20, 16 of 64 x 48 and has sides of 8.
    let verdict = verdicts(&out, &bad).remove(0);
    let Rect { x, y, width, height } = verdict.regions[0].area;
    assert!(x <= 22 && y <= 18 && x + width >= 26 && y + height >= 22 && width < 24, "{:?}", verdict.regions[0]);

    // Without good parts a stated value decides.
    let said = succeed(&[&base[..], &["--threshold", "0.5"]].concat());
    assert!(
        said.contains("threshold: the value 0.5, as stated") && said.contains("nothing is known of what is normal"),
        "{said}"
    );
    assert_eq!(defects(&out, &good), (40, 0));
}

#[test]
fn a_network_that_gives_the_picture_back_finds_what_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let good = pictures(folder.path(), "good", 30, GREEN, false);
    let bad = pictures(folder.path(), "bad", 5, GREEN, true);
    let (model, out) = (network("reconstruction"), folder.path().join("parts"));
    let base = ["bundle", "new", arg(&model), "--task", "reconstruction", "--out", arg(&out), "--like", "unit"];
    let said = succeed(&[&base[..], &["--normal", arg(&good), "--defect", arg(&bad), "--false-alarms", "1"]].concat());
    assert!(
        said.contains("averaged over 4x4 pixels, 8x8 cells") && said.contains("5 of 5 pictures of defects"),
        "{said}"
    );
    assert_eq!(defects(&out, &bad), (5, 5));
}

#[test]
fn known_parts_are_told_apart_by_their_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let references = folder.path().join("parts");
    pictures(&references, "green nut", 8, GREEN, false);
    pictures(&references, "red nut", 8, RED, false);
    let (model, out) = (network("embedder"), folder.path().join("which"));
    let base = ["bundle", "new", arg(&model), "--task", "embed", "--out", arg(&out), "--like", "unit"];
    let all = [&base[..], &["--references", arg(&references)]].concat();
    let said = succeed(&[&all[..], &["--ok", "green nut"]].concat());
    assert!(said.contains("2 parts in 16 pictures, vectors of 12 values; 3 nearest vote"), "{said}");
    assert!(said.contains("16 of 16 pictures, each held out"), "{said}");
    let red = pictures(folder.path(), "wrong", 3, RED, false);
    assert_eq!(defects(&out, &red), (3, 3));
    // Of a black frame this network makes a vector of 0; that is no reason to refuse it before there is one.
    let text = format!(
        "[source.folder]\npath = {red:?}\n[anomaly]\nbundle = {out:?}\n[super_resolution]\nwhen = \"never\"\n[engine]\n\
         allow_float = true\n[output]\nfolder = {:?}\n",
        folder.path().join("results")
    );
    succeed(&["run", arg(&config(folder.path(), &text))]);
    refuse(&[&all[..], &["--ok", "blue nut"]].concat(), 2, &["there is no such part", "green nut, red nut"]);
    refuse(&base, 2, &["state --references DIR"]);
    // What lies beside the folders shows no part that is known.
    std::fs::copy(red.join("000.png"), references.join("loose.png")).unwrap();
    for beside in [&all[..], &["eval", arg(&out), "--classes", arg(&references)]] {
        let output = run(beside);
        let errors = crate::common::text(&output.stderr);
        assert!(
            output.status.success() && errors.contains("1 pictures beside the folders are passed over"),
            "{errors}"
        );
        assert!(errors.contains("loose.png"), "{errors}");
    }
}

#[test]
fn a_network_that_enlarges_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (network("enlarge"), folder.path().join("twice"));
    let base = ["bundle", "new", arg(&model), "--task", "superres", "--out", arg(&out)];
    let said = succeed(&[&base[..], &["--like", "unit"]].concat());
    assert!(said.contains("enlarges 2 times; a pixel depends on 1 around it, measured"), "{said}");
    let picture = pictures(folder.path(), "one", 1, GREEN, true).join("000.png");
    let large = folder.path().join("large.png");
    succeed(&["upscale", arg(&picture), arg(&large), "--bundle", arg(&out)]);
    let large = lineside_picture::image::open(&large).unwrap();
    assert_eq!((large.width(), large.height()), (128, 96));
    refuse(&base, 2, &["state --like"]);
    // Less than it depends on would show the seams of tiles.
    let with = |more: &[&'static str]| [&base[..], &["--like", "unit"], more].concat();
    refuse(
        &with(&["--receptive-field", "0"]),
        2,
        &["a pixel depends on 1 around it, as measured: state that at least"],
    );
    assert!(succeed(&with(&["--receptive-field", "3"])).contains("depends on 3 around it, as stated"));
    assert!(!said.contains("--quantize") && said.contains("allow_float = true"), "{said}");
    refuse(
        &[&base[..], &["--like", "unit", "--normal", arg(folder.path())]].concat(),
        2,
        &["--normal belongs to --task"],
    );
}

#[test]
fn what_is_not_known_is_asked_for_and_what_does_not_fit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (labels, out, empty) = (at("labels.txt"), at("b"), at("empty"));
    std::fs::write(&labels, "a\nb\n").unwrap();
    std::fs::create_dir(&empty).unwrap();
    let new = |name: &str, task: &str, more: &[&str], code: i32, parts: &[&str]| {
        let model = network(name);
        refuse(&[&["bundle", "new", arg(&model), "--task", task, "--out", arg(&out)], more].concat(), code, parts);
        assert!(!out.exists(), "{name} {task} {more:?}");
    };
    let unit = ["--like", "unit"];
    new("classifier", "classify", &[], 2, &["classifier.onnx", "state --like"]);
    new("classifier", "classify", &unit, 2, &["state --labels FILE"]);
    new("classifier", "classify", &[&unit[..], &["--labels", arg(&labels)]].concat(), 2, &["2 labels, but no output"]);
    let unknown = at("unknown.txt");
    std::fs::write(&unknown, "red\nunknown\nblue\n").unwrap();
    let parts = ["unknown.txt: one is called \"unknown\"", "another name"];
    new("classifier", "classify", &[&unit[..], &["--labels", arg(&unknown)]].concat(), 2, &parts);
    new("classifier", "classify", &[&unit[..], &["--size", "8x8"]].concat(), 2, &["takes 32x32 and nothing else"]);
    new("classifier", "classify", &["--map", "x"], 2, &["--map belongs to --task anomaly-map"]);
    new("classifier_nhwc", "classify", &["--ok", "yellow"], 2, &["no class \"yellow\"", "red, green, blue"]);
    new("classifier_nhwc", "classify", &["--threshold", "red=0.5"], 2, &["without --ok every class is good"]);
    new("classifier_nhwc", "classify", &["--ok", "red", "--threshold", "red"], 2, &["expected CLASS=P"]);
    new("anomaly", "anomaly-map", &[], 2, &["state --size"]);
    new("anomaly", "anomaly-map", &["--size", "32x32"], 2, &["state --normal DIR", "--threshold"]);
    new("reconstruction", "reconstruction", &unit, 2, &["state --normal DIR"]);
    new("classifier", "reconstruction", &[&unit[..], &["--normal", arg(&empty)]].concat(), 1, &["no picture in it"]);
    // No verdict follows from what is no number, also where no picture was given to try.
    new("classifier_nan", "classify", &unit, 1, &["classifier_nan.onnx", "a test pattern", "NaN"]);
    new("classifier_nan", "classify", &[&unit[..], &["--values", "logits"]].concat(), 1, &["a test pattern", "NaN"]);
    let nhwc = |more: &[&str], part: &str| new("classifier_nhwc", "classify", more, 2, &[part, "state --ok"]);
    nhwc(&["--threshold", "red=0.3"], "--threshold red=0.3: without --ok every class is good");
    nhwc(&["--defect", arg(&empty)], "--defect: without --ok every class is good");
    new("classifier_nhwc", "classify", &["--false-alarms", "5"], 2, &["--false-alarms belongs to --task anomaly-map"]);
    let stated = ["--size", "32x32", "--threshold", "0.5", "--false-alarms", "50"];
    new("anomaly", "anomaly-map", &stated, 2, &["--threshold and --false-alarms"]);
    let good = pictures(folder.path(), "good", 12, GREEN, false);
    for (name, colour) in [("mixed/a", GREEN), ("mixed/b", RED)] {
        pictures(folder.path(), name, 6, colour, false);
    }
    let model = network("classifier_nhwc");
    let said = succeed(&[
        "bundle",
        "new",
        arg(&model),
        "--task",
        "classify",
        "--normal",
        arg(&at("mixed")),
        "--out",
        arg(&at("named")),
    ]);
    // Scores are all 0 where every class is good; what the network gives is not.
    assert!(!said.contains("gives the same for each"), "{said}");
    new(
        "classifier",
        "reconstruction",
        &[&unit[..], &["--normal", arg(&good)]].concat(),
        1,
        &["gives the picture back"],
    );
    new("nan", "anomaly-map", &[&unit[..], &["--normal", arg(&good)]].concat(), 1, &["000.png", "NaN"]);
    let few = pictures(folder.path(), "few", 3, GREEN, false);
    new("anomaly", "anomaly-map", &["--size", "32x32", "--normal", arg(&few)], 1, &["few: 3 pictures of good parts"]);
    let model = at("no.onnx");
    std::fs::write(&model, "no network").unwrap();
    refuse(
        &["bundle", "new", arg(&model), "--task", "classify", "--out", arg(&out)],
        1,
        &["no.onnx", "not a readable ONNX model"],
    );
    let taken = run(&["bundle", "new", arg(&model), "--task", "classify", "--out", arg(folder.path())]);
    assert!(text(&taken.stderr).contains("is not a bundle: choose another place"), "{}", text(&taken.stderr));
}

#[test]
fn pictures_that_cannot_be_read_are_counted_and_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = pictures(folder.path(), "good", 20, GREEN, false);
    for name in ["003.png", "007.png"] {
        std::fs::write(good.join(name), "no picture").unwrap();
    }
    let (model, out) = (network("anomaly"), folder.path().join("b"));
    let output = lineside()
        .args(["bundle", "new", arg(&model), "--task", "anomaly-map", "--size", "32x32"])
        .args(["--out", arg(&out), "--normal", arg(&good)])
        .output()
        .unwrap();
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("2 of 20 pictures cannot be read and are left out"), "{errors}");
    assert_eq!(errors.matches("003.png").count(), 1, "{errors}");
    assert!(
        text(&output.stdout).contains("note: the threshold is a guess, from 18 pictures"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn what_eval_would_pass_over_is_refused() {
    for wrong in [
        &["--classes", "d", "--sheet", "s.png"][..],
        &["--classes", "d", "--defect", "d"],
        &["--hr", "d", "--defect", "d"],
        &["--hr", "d", "--normal", "d"],
    ] {
        let output = lineside().args(["eval", "superres"]).args(wrong).output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("cannot be used with"), "{wrong:?}: {said}");
    }
}

#[test]
fn a_name_by_which_nothing_can_be_installed_is_refused() {
    for name in ["", "../x", ".hidden", "a b"] {
        let output = run(&["bundle", "new", "x.onnx", "--task", "classify", "--out", "b", "--name", name]);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains("expected letters, digits"), "{name}: {said}");
    }
}
