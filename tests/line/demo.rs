//! The main job on the shipped frames.

use crate::common::{arg, records, root, succeed};

const NORMAL: &str = "models/inspect-demo/frames/normal";
const DEFECT: &str = "models/inspect-demo/frames/defect";

#[test]
fn the_demo_finds_the_eight_defects_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let output = crate::common::lineside()
        .current_dir(folder.path())
        .env("LINESIDE_BUNDLES", root().join("models"))
        .arg("run")
        .output()
        .unwrap();
    let (stdout, stderr) = (crate::common::text(&output.stdout), crate::common::text(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    assert!(stdout.contains("32 frames: 32 inspected, 0 skipped as similar, 0 dropped as stale, 0 failed"), "{stdout}");
    let verdicts: Vec<&str> = stdout.lines().filter(|line| line.contains("/part-")).collect();
    assert_eq!(verdicts.len(), 32, "{stdout}");
    for line in verdicts {
        assert_eq!(line.contains(" DEFECT "), line.starts_with("defect/"), "{line}");
    }

    let results = folder.path().join("lineside-out");
    let records = records(&results);
    assert_eq!(records.first().unwrap()["record"], "start");
    let stop = records.last().unwrap();
    assert_eq!(stop["record"], "stop");
    assert_eq!(stop["captured"], 32);
    let events: Vec<_> = records.iter().filter(|record| record["record"] == "event").collect();
    assert_eq!(events.len(), 8);
    for event in events {
        assert!(event["score"].as_f64().unwrap() >= event["threshold"].as_f64().unwrap());
        let annotated = png_size(&results.join(event["files"]["annotated"].as_str().unwrap()));
        assert_eq!(annotated, (320, 240));
        let spot = png_size(&results.join(event["files"]["spot"].as_str().unwrap()));
        assert!(spot.0 > 2 * 288 && spot.1 > 288, "two enlargements of 96 pixels side by side: {spot:?}");
    }
    let hidden =
        std::fs::read_dir(&results).unwrap().any(|e| e.unwrap().file_name().to_string_lossy().starts_with('.'));
    assert!(!hidden, "nothing half-written stays behind");

    // The memory contract: what the kernel saw at most is within the bill that was promised at the start.
    let field = |record: &str, key: &str| -> u64 {
        let line = stderr.lines().find(|line| line.contains(&format!("record={record} "))).unwrap();
        line.split(' ').find_map(|pair| pair.strip_prefix(&format!("{key}="))).unwrap().parse().unwrap()
    };
    let (peak, bill, budget) =
        (field("stop", "peak_rss_bytes"), field("start", "bill_bytes"), field("start", "budget_bytes"));
    assert!(peak <= bill && bill <= budget, "peak {peak}, bill {bill}, budget {budget}");
}

/// What a board without a camera begins with.
#[test]
fn the_synthetic_line_has_a_bundle_that_knows_it() {
    let folder = tempfile::tempdir().unwrap();
    let defects = |defect_every: usize| {
        let config = folder.path().join("line.toml");
        let results = folder.path().join(defect_every.to_string());
        let text = format!(
            "[source.pattern]\nseed = 11\nframes = 100\ndefect_every = {defect_every}\n[anomaly]\nbundle = \"inspect-pattern\"\n\
             [super_resolution]\nwhen = \"never\"\n[output]\nfolder = {results:?}\n"
        );
        std::fs::write(&config, text).unwrap();
        succeed(&["run", arg(&config)]);
        records(&results).iter().filter(|record| record["record"] == "event").count()
    };
    assert_eq!(defects(0), 0);
    // A scratch on each part; in a few frames one leaves and the next is not yet in the picture.
    let found = defects(1);
    assert!(found >= 70, "{found}");
}

fn png_size(path: &std::path::Path) -> (u32, u32) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let reader = png::Decoder::new(file).read_info().unwrap();
    (reader.info().width, reader.info().height)
}

#[test]
fn eval_tells_the_shipped_defects_from_the_normal_frames() {
    let json: serde_json::Value =
        serde_json::from_str(&succeed(&["eval", "inspect-demo", "--normal", NORMAL, "--defect", DEFECT, "--json"]))
            .unwrap();
    assert_eq!(json["auroc"], 1.0);
    assert_eq!(json["f1"], 1.0);
    assert_eq!(json["n_normal"], 24);
    assert_eq!(json["n_defect"], 8);
    assert!(json["p50_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(json["threshold"], 0.99);
}

#[test]
fn eval_on_any_number_of_threads_says_the_same() {
    let figures = |threads: &str| {
        let arguments =
            ["eval", "inspect-demo", "--normal", NORMAL, "--defect", DEFECT, "--json", "--threads", threads];
        let mut json: serde_json::Value = serde_json::from_str(&succeed(&arguments)).unwrap();
        json["p50_ms"].take();
        json
    };
    let one = figures("1");
    assert_eq!(one["scores"]["normal"].as_array().map(Vec::len), Some(24));
    assert_eq!(figures("3"), one);
    // More than there are pictures.
    assert_eq!(figures("64"), one);
}

/// Sub-folders of the defects are kinds; intervals hold their figures.
#[test]
fn eval_tells_kinds_of_defect_apart() {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(root().join(DEFECT)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let kind = if name.contains("scratch") { "scratch" } else { "other" };
        std::fs::create_dir_all(folder.path().join(kind)).unwrap();
        std::fs::copy(&path, folder.path().join(kind).join(name)).unwrap();
    }
    let defect = folder.path().to_str().unwrap();
    let json = succeed(&["eval", "inspect-demo", "--normal", NORMAL, "--defect", defect, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let kinds = json["kinds"].as_array().unwrap();
    let named: Vec<(&str, u64)> =
        kinds.iter().map(|kind| (kind["kind"].as_str().unwrap(), kind["n"].as_u64().unwrap())).collect();
    assert_eq!(named, [("other", 6), ("scratch", 2)]);
    assert!(kinds.iter().all(|kind| kind["auroc"] == 1.0 && kind["found"] == kind["n"]), "{json}");
    assert_eq!(json["auroc_interval"], serde_json::json!([1.0, 1.0]));
    assert_eq!(json["recall_at_false_alarms"]["0.05"], 1.0);
    let sheet = folder.path().join("sheet.png");
    let with_sheet =
        ["eval", "inspect-demo", "--normal", NORMAL, "--defect", defect, "--sheet", sheet.to_str().unwrap()];
    let lines = succeed(&with_sheet);
    let png = std::fs::read(&sheet).unwrap();
    let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    // Twelve normal and eight defect pictures, four in a row.
    assert!(side(16) >= 4 * 240 && side(20) > 5 * 100, "{} by {}", side(16), side(20));
    assert!(
        lines.contains("scratch") && lines.contains("2 of 2 found") && lines.contains("false alarms: 100"),
        "{lines}"
    );
}

#[test]
fn check_prints_a_bill_that_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut check = crate::common::lineside();
    check.current_dir(folder.path()).env("LINESIDE_BUNDLES", root().join("models")).args(["check", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&check.output().unwrap().stdout).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "check starts nothing and writes nothing");
    let items: u64 = json["bill"]["items"].as_array().unwrap().iter().map(|i| i["bytes"].as_u64().unwrap()).sum();
    assert_eq!(json["bill_bytes"], items);
    assert!(items <= json["budget_bytes"].as_u64().unwrap());
}

#[test]
fn bench_gives_the_keys_that_scripts_rely_on() {
    let json: serde_json::Value =
        serde_json::from_str(&succeed(&["bench", "inspect-demo", "--runs", "5", "--ops", "--json"])).unwrap();
    for key in ["p50_ms", "p95_ms", "p99_ms", "macs", "integer_coverage", "arena_bytes", "weights_bytes"] {
        assert!(json[key].is_number(), "{key}: {json}");
    }
    assert!(json["kernel"].is_string());
    let by_op: u64 = json["ops"].as_array().unwrap().iter().map(|op| op["macs"].as_u64().unwrap()).sum();
    assert_eq!(json["macs"], by_op);
    assert!(by_op > 100_000_000);
    let (verdict, views) = (json["verdict_p50_ms"].as_f64().unwrap(), json["views_p50_ms"].as_f64().unwrap());
    assert!(verdict > views && views > 0.0, "{verdict} {views}");
}

#[test]
fn parity_holds_on_this_cpu() {
    let json: serde_json::Value = serde_json::from_str(&succeed(&["parity", "--json"])).unwrap();
    assert_eq!(json["agrees"], true);
    let vectors = json["vectors"].as_array().unwrap();
    let of = |kernel: &str| vectors.iter().filter(|row| row["kernel"] == kernel).count();
    // Two inputs a bundle: one output of each of nine enlargers, four of the backbone and of the two bundles taught with it.
    assert_eq!(of("scalar"), 42, "{json}");
    assert!(vectors.len() > 42 && vectors.iter().all(|row| row["difference"] == 0.0), "{json}");
}

#[test]
fn set5_is_enlarged_better_than_the_first_bar() {
    let (hr, lr) = (crate::common::data("superres-eval/Set5/x3/HR"), crate::common::data("superres-eval/Set5/x3/LR"));
    let Some(hr) = crate::common::outside(hr, "Set5") else { return };
    let json: serde_json::Value =
        serde_json::from_str(&succeed(&["eval", "superres-x3", "--hr", arg(&hr), "--lr", arg(&lr), "--json"])).unwrap();
    assert!(json["psnr_y"].as_f64().unwrap() > 32.3, "{json}");
    // The published figure for bicubic: the protocol is the literature's.
    assert!((json["bicubic_psnr_y"].as_f64().unwrap() - 30.39).abs() < 0.01, "{json}");
}
