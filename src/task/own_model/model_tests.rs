//! Own models on networks so small that what they give can be worked out by hand (tests/data/own_models).

use super::*;
use crate::bundle::Draft;
use lineside_engine::Tensor;
use lineside_picture::Layout;
use std::path::Path;
use tempfile::TempDir;

/// A bundle of a model of tests/data/own_models, with more files.
fn bundle(model: &str, sections: &str, files: &[(&str, Vec<u8>)]) -> (TempDir, Bundle) {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("own");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/own_models/{model}.onnx"));
    let mut draft = Draft::begin(&target).unwrap();
    draft.add("model.onnx", &std::fs::read(file).unwrap()).unwrap();
    files.iter().for_each(|(name, bytes)| draft.add(name, bytes).unwrap());
    let hashes: String = files.iter().map(|(name, _)| format!("\"{name}\" = \"00\"\n")).collect();
    let text = format!(
        "format = 1\nname = \"own\"\nversion = \"1\"\ndescription = \"d\"\nlicence = \"MIT\"\nmodel = \"model.onnx\"\n{sections}\n\
         [files]\n\"model.onnx\" = \"00\"\n{hashes}"
    );
    draft.finish(Manifest::parse(&text, Path::new("bundle.toml")).unwrap()).unwrap();
    (folder, Bundle::open(&target).unwrap())
}

fn npy(matrix: Matrix) -> Vec<u8> {
    let rows = matrix.values.len() / matrix.columns;
    let mut bytes = Vec::new();
    let tensor = Tensor::new(vec![rows, matrix.columns], matrix.values).unwrap();
    lineside_engine::npy::write(&mut bytes, &tensor).unwrap();
    bytes
}

/// Values of normal frames: 0, 1 … `greatest`.
fn calibration(greatest: u32) -> Vec<u8> {
    npy(Calibration::fit(&(0..=greatest).map(f64::from).collect::<Vec<f64>>()).to_matrix())
}

fn plain(rgb: [u8; 3], (width, height): (usize, usize)) -> Picture {
    Picture::from_data(Layout::Rgb, width, height, rgb.repeat(width * height)).unwrap()
}

fn judged(model: &mut OwnModel, frame: &Picture) -> Verdict {
    let mut verdict = Verdict::default();
    model.prepare(frame).unwrap();
    model.judge((frame.width(), frame.height()), &mut verdict).unwrap();
    verdict
}

const COLOUR: &str = "task = \"classify\"\n[input]\nwidth = 8\nheight = 8\nchannels = \"rgb\"\n[input.preparation]\n\
                      mean = [0, 0, 0]\nstd = [255, 255, 255]\n[classify]\noutput = \"scores\"\nlabels = \"labels.txt\"\n\
                      values = \"logits\"\n";

fn labels() -> (&'static str, Vec<u8>) {
    ("labels.txt", b"red\r\ngreen\nblue\n".to_vec())
}

#[test]
fn a_classifier_names_the_class_and_judges_by_it() {
    let (_folder, bundle) = bundle("colour", &format!("{COLOUR}ok = [\"red\"]"), &[labels()]);
    let mut model = OwnModel::new(&bundle, None, 1).unwrap();
    let red = judged(&mut model, &plain([255, 0, 0], (640, 480)));
    let recognition = red.recognition.as_ref().unwrap();
    // Logits 8, 0, 0.
    let expected = 8f64.exp() / (8f64.exp() + 2.0);
    assert!((recognition.best().1 - expected).abs() < 1e-6 && recognition.word() == "red", "{recognition}");
    assert!(!red.defect && red.score < red.threshold && red.severity < 1.0 && red.regions.is_empty());
    let blue = judged(&mut model, &plain([0, 0, 255], (31, 47)));
    assert!(blue.defect && blue.score > 0.99 && blue.severity > 1.0 && blue.recognition.unwrap().word() == "blue");
    // One place of no heat: nothing is known of where.
    assert_eq!((blue.heat.data(), blue.peak), (&[0][..], (15, 23)));
    assert!(red.heat_over((640, 480), &mut Picture::default()).is_ok());
}

#[test]
fn channels_come_in_the_order_that_the_network_was_trained_with() {
    let sections = COLOUR.replace("\"rgb\"", "\"bgr\"");
    let (_folder, bundle) = bundle("colour", &sections, &[labels()]);
    let mut model = OwnModel::new(&bundle, None, 1).unwrap();
    let verdict = judged(&mut model, &plain([255, 0, 0], (8, 8)));
    assert_eq!(verdict.recognition.unwrap().word(), "blue");
    // Without a good class every class is one.
    assert!(!verdict.defect);
    let grey = Picture::from_data(Layout::Grey, 8, 8, vec![9; 64]).unwrap();
    assert!((judged(&mut model, &grey).recognition.unwrap().best().1 - 1.0 / 3.0).abs() < 1e-9);
}

#[test]
fn a_crop_sees_the_middle_alone() {
    let sections = COLOUR.replace("mean =", "fit = \"crop\"\nkeep = 0.5\nmean =");
    let (_folder, bundle) = bundle("colour", &sections, &[labels()]);
    let mut model = OwnModel::new(&bundle, None, 1).unwrap();
    let mut frame = plain([255, 0, 0], (64, 32));
    for y in 8..24 {
        frame.row_mut(y)[24 * 3..40 * 3].as_chunks_mut::<3>().0.fill([0, 255, 0]);
    }
    let verdict = judged(&mut model, &frame);
    assert!((verdict.recognition.unwrap().best().1 - 8f64.exp() / (8f64.exp() + 2.0)).abs() < 1e-6);
}

#[test]
fn a_map_says_how_much_and_where() {
    let sections = "task = \"anomaly-map\"\n[input]\nwidth = 32\nheight = 32\nchannels = \"luma\"\n[input.preparation]\n\
                    mean = [100]\nstd = [1]\n[anomaly_map]\nscore = \"pred_score\"\nmap = \"anomaly_map\"\nthreshold = 0.9\n\
                    calibration = \"calibration.npy\"\ncold = 0.0\nhot = 20.0\n";
    let (_folder, bundle) = bundle("glow", sections, &[("calibration.npy", calibration(10))]);
    let mut model = OwnModel::new(&bundle, None, 1).unwrap();
    let mut frame = plain([100, 100, 100], (320, 320));
    let normal = judged(&mut model, &frame);
    assert!(!normal.defect && normal.sum == 0.0 && normal.heat.data().iter().all(|heat| *heat == 0));
    for y in 50..70 {
        frame.row_mut(y)[200 * 3..220 * 3].fill(160);
    }
    let defect = judged(&mut model, &frame);
    assert!(defect.defect && (defect.sum - 60.0).abs() < 1.0 && defect.severity > 3.0, "{}", defect.sum);
    let Rect { x, y, width, height } = defect.regions[0].area;
    assert_eq!((x, y, width, height), (200, 50, 20, 20));
    assert_eq!(defect.peak, (205, 55));
    // 60 of 20: three times what has a heat of a half.
    assert_eq!(defect.heat.data().iter().max(), Some(&191));
    assert_eq!(model.change(), 0.0);
}

#[test]
fn a_reconstruction_is_compared_with_what_came_in() {
    let sections = "task = \"reconstruction\"\n[input]\nwidth = 16\nheight = 16\nchannels = \"rgb\"\n[input.preparation]\n\
                    order = \"nhwc\"\nmean = [0, 0, 0]\nstd = [255, 255, 255]\n[reconstruction]\noutput = \"picture\"\ncell = 4\n\
                    threshold = 0.9\ncalibration = \"calibration.npy\"\nhot = 2560\n";
    let (_folder, bundle) = bundle("echo", sections, &[("calibration.npy", calibration(10))]);
    let mut model = OwnModel::new(&bundle, None, 1).unwrap();
    let mut frame = plain([100, 120, 20], (16, 16));
    assert_eq!(judged(&mut model, &frame).sum, 0.0);
    // One pixel's red of 228 comes back as 128 (half of 255, rounded): 100 grey levels over the 48 values of its cell.
    frame.row_mut(5)[9 * 3] = 228;
    let verdict = judged(&mut model, &frame);
    assert_eq!((verdict.sum, verdict.defect), ((100.0f64 * 256.0 / 48.0).round(), true));
    assert_eq!(verdict.regions[0].area, Rect { x: 8, y: 4, width: 4, height: 4 });
}

#[test]
fn a_network_of_bytes_is_compared_byte_by_byte() {
    let sections = "task = \"reconstruction\"\n[input]\nwidth = 16\nheight = 16\nchannels = \"rgb\"\n[reconstruction]\n\
                    output = \"picture\"\ncell = 5\nthreshold = 0.9\ncalibration = \"calibration.npy\"\nhot = 1\n";
    let (_folder, bundle) = bundle("bytes", sections, &[("calibration.npy", calibration(10))]);
    let mut model = OwnModel::new(&bundle, None, 1).unwrap();
    let frame = Picture::from_data(Layout::Rgb, 16, 16, (0..16 * 16 * 3).map(|i| (i % 251) as u8).collect()).unwrap();
    let verdict = judged(&mut model, &frame);
    // Cells of 5 pixels in 16: the last ones are a pixel wide.
    assert_eq!((verdict.sum, verdict.heat.width(), verdict.heat.height()), (0.0, 4, 4));
}

#[test]
fn the_nearest_reference_tells_the_part() {
    let sections = "task = \"embed\"\n[input]\nwidth = 8\nheight = 8\nchannels = \"rgb\"\n[input.preparation]\nmean = [0, 0, 0]\n\
                    std = [255, 255, 255]\n[embed]\noutput = \"scores\"\nreferences = \"references.npy\"\nparts = \"parts.txt\"\n\
                    nearest = 1\nok = [\"nut\"]\nthreshold = 0.99\ncalibration = \"calibration.npy\"\n";
    let references = Matrix { columns: 3, values: vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0] };
    let distances = Calibration::fit(&(0..100).map(|i| f64::from(i) * 1e-4).collect::<Vec<f64>>()).to_matrix();
    let files = [
        ("references.npy", npy(references)),
        ("parts.txt", b"nut\nbolt\n".to_vec()),
        ("calibration.npy", npy(distances)),
    ];
    let (_folder, bundle) = bundle("colour", sections, &files);
    let mut model = OwnModel::new(&bundle, None, 1).unwrap();
    let told =
        |verdict: &Verdict| (verdict.recognition.as_ref().unwrap().word().to_string(), verdict.defect, verdict.cause());
    assert_eq!(told(&judged(&mut model, &plain([200, 1, 1], (8, 8)))), ("nut".into(), false, None));
    assert_eq!(told(&judged(&mut model, &plain([1, 200, 1], (8, 8)))), ("bolt".into(), true, None));
    assert_eq!(told(&judged(&mut model, &plain([1, 1, 200], (8, 8)))), ("unknown".into(), true, Some("unknown")));
    // Black has no direction: no verdict, and not a good one.
    model.prepare(&plain([0, 0, 0], (8, 8))).unwrap();
    let refused = model.judge((8, 8), &mut Verdict::default());
    assert!(matches!(refused, Err(TaskError::Output(_))));
    assert_eq!(model.change(), f64::INFINITY);
}

#[test]
fn what_does_not_fit_is_named() {
    let refusal = |sections: &str, files: &[(&str, Vec<u8>)]| {
        let (_folder, bundle) = bundle("colour", sections, files);
        OwnModel::new(&bundle, None, 1).err().unwrap().to_string()
    };
    let few = ("labels.txt", b"red\ngreen\n".to_vec());
    for (sections, files, expected) in [
        (COLOUR.to_string(), few, "output \"scores\" has 3 values, but there are 2 labels"),
        (COLOUR.replace("\"scores\"", "\"logits\""), labels(), "has no output \"logits\", only scores"),
        (format!("{COLOUR}ok = [\"pink\"]"), labels(), "a class \"pink\", which no label has"),
        (COLOUR.replace("mean = [0, 0, 0]\nstd = [255, 255, 255]\n", ""), labels(), "must state mean and std"),
        (COLOUR.replace("width = 8", "width = 9"), labels(), "model.onnx"),
        (COLOUR.into(), ("labels.txt", b"red\nred\nblue\n".to_vec()), "two classes have the label \"red\""),
    ] {
        let message = refusal(&sections, &[files]);
        assert!(message.contains(expected), "{sections}: {message}");
    }
}

#[test]
fn what_is_no_number_gives_no_verdict() {
    // Divided by next to nothing, a pixel is beyond what floats hold.
    let sections = COLOUR.replace("std = [255, 255, 255]", "std = [1e-300, 255, 255]");
    let (_folder, bundle) = bundle("colour", &sections, &[labels()]);
    let mut model = OwnModel::new(&bundle, None, 1).unwrap();
    model.prepare(&plain([255, 0, 0], (8, 8))).unwrap();
    let error = model.judge((8, 8), &mut Verdict::default()).unwrap_err();
    assert!(error.to_string().contains("gave inf at place 0 of its output \"scores\""), "{error}");
}
