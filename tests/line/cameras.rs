//! Several cameras in one process, by the program: records, rates, folders, failures, a reload, what is refused.

use crate::common::{arg, config, ends, eventually, lineside, records, refuse, root, run, signal, succeed, text};
use crate::plc::{Plc, Running, free_port};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

const SMALL: &str = "width = 160\nheight = 120\n";

/// A file with these cameras: name and everything below `[[camera]]`.
fn cameras(folder: &Path, top: &str, cameras: &[(&str, &str)]) -> PathBuf {
    let results = folder.join("results");
    let each = |(name, table): &(&str, &str)| format!("[[camera]]\nname = \"{name}\"\n{table}\n");
    let cameras: String = cameras.iter().map(each).collect();
    config(folder, &format!("{top}\n[output]\nfolder = {results:?}\n[super_resolution]\nwhen = \"never\"\n{cameras}"))
}

fn pattern(more: &str) -> String {
    format!("[camera.source.pattern]\n{SMALL}{more}\n")
}

/// The fields of the last `stop` of a camera: captured and its parts.
fn stop(folder: &Path, camera: &str) -> [u64; 5] {
    let records = records(&folder.join("results").join(camera));
    let stop = records.iter().rfind(|record| record["record"] == "stop").unwrap();
    ["captured", "inspected", "skipped_similar", "dropped_stale", "failed"].map(|key| stop[key].as_u64().unwrap())
}

fn start(path: &Path) -> Child {
    lineside().args(["run", arg(path)]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What a camera has recorded so far.
fn recorded(folder: &Path, camera: &str, kind: &str) -> Vec<Value> {
    let file = folder.join("results").join(camera).join("events.jsonl");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    records.filter(|record| record["record"] == *kind).collect()
}

#[test]
fn four_sources_at_their_rates_have_records_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let frames = root().join("models/inspect-demo/frames");
    let of_folder = format!("[camera.source.folder]\npath = {frames:?}\n");
    let path = cameras(
        folder.path(),
        "[budget]\nmemory = \"512 MiB\"\n[anomaly]\nthreshold = 0.9",
        &[
            // As fast as it goes; at a rate that no machine holds; at a slow rate; pictures of another size.
            ("free", &pattern("frames = 40")),
            ("fast", &pattern("frames = 150\nfps = 1000.0")),
            ("slow", &(pattern("frames = 8\nfps = 20.0") + "[camera.anomaly]\nthreshold = 0.0\n")),
            ("files", &of_folder),
        ],
    );
    let stdout = succeed(&["run", arg(&path)]);
    let of = |camera| stop(folder.path(), camera);
    for (camera, captured) in [("free", 40), ("fast", 150), ("slow", 8), ("files", of("files")[0])] {
        let [all, inspected, skipped, stale, failed] = of(camera);
        assert_eq!((all, all), (captured, inspected + skipped + stale + failed), "{camera}");
        assert!(inspected > 0 && failed == 0, "{camera}");
        let records = records(&folder.path().join("results").join(camera));
        assert!(records.iter().all(|record| record["camera"] == *camera), "{camera}");
        assert!(
            stdout.contains(&format!("\n{camera}: ")) && stdout.contains(&format!("camera {camera}\n")),
            "{stdout}"
        );
    }
    assert_eq!(of("free")[1], 40, "nothing of a source that can wait is dropped");
    assert!(of("files")[0] >= 4 && of("files")[3] == 0);
    // What one camera states holds for that one alone.
    let thresholds = ["free", "slow"].map(|camera| recorded(folder.path(), camera, "start")[0]["threshold"].clone());
    assert_eq!(thresholds, [Value::from(0.9), Value::from(0.0)]);
    // A disk that is busy with others may have taken less than all.
    let events = recorded(folder.path(), "slow", "event").len() as u64;
    let unrecorded = recorded(folder.path(), "slow", "stop")[0]["unrecorded"].as_u64().unwrap();
    assert!(events > 0 && events + unrecorded == of("slow")[1], "{events} and {unrecorded} of {:?}", of("slow"));
    // All have the bill of the process.
    let bills: Vec<Value> = ["free", "fast", "slow", "files"]
        .map(|camera| recorded(folder.path(), camera, "start")[0]["bill_bytes"].clone())
        .into();
    assert!(bills.iter().all(|bill| *bill == bills[0]) && bills[0].as_u64() > Some(1 << 20));

    // The reader tells each by itself, and every verdict can be repeated.
    let story = run(&["inspect", arg(&folder.path().join("results"))]);
    let story = text(&story.stdout);
    for camera in ["free", "fast", "slow", "files"] {
        assert!(story.contains(&format!("/{camera}")), "{camera}: {story}");
    }
    let json: Value =
        serde_json::from_slice(&run(&["inspect", "--json", arg(&folder.path().join("results"))]).stdout).unwrap();
    assert_eq!(json["boards"].as_array().unwrap().len(), 4, "{json}");
    let replayed = succeed(&["replay", "--json", arg(&folder.path().join("results/slow"))]);
    let replayed: Value = serde_json::from_str(&replayed).unwrap();
    assert_eq!(replayed["verdicts"].as_u64(), Some(events), "{replayed}");
}

#[test]
fn one_that_is_away_and_one_that_cannot_start_do_not_hold_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let away = format!("[camera.source.process]\ncommand = [\"sleep\", \"1000\"]\nformat = \"grey\"\n{SMALL}fps = 5.0");
    let path = cameras(
        folder.path(),
        "[anomaly]\nbundle = \"inspect-pattern\"",
        &[("away", &away), ("locked", &pattern("fps = 20.0")), ("good", &pattern("fps = 20.0"))],
    );
    // Another line writes there.
    let results = folder.path().join("results/locked");
    std::fs::create_dir_all(&results).unwrap();
    let lock = File::open(&results).unwrap();
    lock.lock().unwrap();
    let mut line = start(&path);
    let log = read_log(&mut line);
    let logged = |what: &str| eventually(what, || log.lock().unwrap().contains(what).then_some(()));
    let failed = |line: &str| line.contains("record=camera_failed ") && line.contains("camera=locked ");
    eventually("it cannot be started", || log.lock().unwrap().lines().any(failed).then_some(()));
    logged("another line writes its results there");
    assert!(recorded(folder.path(), "locked", "start").is_empty());
    // While both are down, the third works.
    eventually("the good one inspects", || status_captured(&log, "good").filter(|captured| *captured > 0));
    logged("record=fault run=");
    eventually("the camera that is away is reported", || {
        (!recorded(folder.path(), "away", "fault").is_empty()).then_some(())
    });
    assert!(recorded(folder.path(), "good", "fault").iter().all(|fault| fault["fault"] != "camera"));
    drop(lock);
    eventually("it starts by itself", || (!recorded(folder.path(), "locked", "start").is_empty()).then_some(()));
    signal(&line, "TERM");
    assert!(ends(&mut line).success(), "{}", log.lock().unwrap());
    assert!(stop(folder.path(), "good")[1] > 0);
    assert_eq!(stop(folder.path(), "away")[0], 0);
    assert_eq!(
        recorded(folder.path(), "locked", "camera_failed").len(),
        1,
        "it is in the records of the run that followed"
    );
    let story = text(&run(&["inspect", arg(&folder.path().join("results"))]).stdout);
    assert!(story.contains("was started again alone") && story.contains("another line writes"), "{story}");
}

#[test]
fn a_reload_is_for_all_and_a_bad_one_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let two = [("a", pattern("fps = 20.0")), ("b", pattern("fps = 20.0"))];
    let of = |cameras_: &[(&str, String)]| {
        let cameras_: Vec<(&str, &str)> = cameras_.iter().map(|(name, table)| (*name, table.as_str())).collect();
        cameras(folder.path(), "", &cameras_)
    };
    let path = of(&two);
    let mut line = start(&path);
    let log = read_log(&mut line);
    let starts = |camera: &str, count: usize| {
        eventually(format_args!("start {count} of {camera}"), || {
            (recorded(folder.path(), camera, "start").len() >= count).then_some(())
        });
    };
    starts("a", 1);
    starts("b", 1);
    // Nobody is stopped for one that is refused.
    of(&[two[0].clone(), ("a", pattern(""))]);
    signal(&line, "HUP");
    eventually("it is refused", || log.lock().unwrap().contains("record=reload_refused").then_some(()));
    assert!(log.lock().unwrap().contains("has this name"));
    of(&[two[1].clone(), ("c", pattern("fps = 20.0"))]);
    signal(&line, "HUP");
    starts("c", 1);
    starts("b", 2);
    signal(&line, "TERM");
    assert!(ends(&mut line).success(), "{}", log.lock().unwrap());
    let counts = ["a", "b", "c"].map(|camera| recorded(folder.path(), camera, "stop").len());
    assert_eq!(counts, [1, 2, 1]);
    assert_eq!(recorded(folder.path(), "a", "stop")[0]["reason"], "a new configuration");
    assert_eq!(recorded(folder.path(), "c", "stop")[0]["reason"], "stop asked for");
}

#[test]
fn check_has_the_bill_of_each_and_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = cameras(folder.path(), "", &[("top", &pattern("")), ("side", &pattern("fps = 5.0"))]);
    let checked = succeed(&["check", arg(&path)]);
    for part in [
        "camera   top",
        "camera   side",
        "memory of this camera",
        "  top: inspect-demo weights",
        "  sum",
        "ready to run",
    ] {
        assert!(checked.contains(part), "\"{part}\" is not in: {checked}");
    }
    assert!(!checked.contains("side: inspect-demo weights"), "{checked}");
    let json: Value = serde_json::from_str(&succeed(&["check", "--json", arg(&path)])).unwrap();
    let each: u64 =
        json["cameras"].as_array().unwrap().iter().map(|camera| camera["bill_bytes"].as_u64().unwrap()).sum();
    assert_eq!(json["cameras"][1]["camera"], "side");
    assert!(json["bill_bytes"].as_u64().unwrap() > each && each > 0, "{json}");

    refuse(
        &["check", arg(&cameras(folder.path(), "[budget]\nmemory = \"8 MiB\"", &[("a", &pattern(""))]))],
        78,
        &["line.toml:2", "budget.memory is"],
    );
    let twice = cameras(folder.path(), "", &[("a", &pattern("")), ("a", &pattern(""))]);
    refuse(&["run", arg(&twice)], 78, &["line.toml:", "the camera on line", "has this name"]);
    // One whose bundle cannot be used is named, and nobody starts.
    let bad = pattern("") + "[camera.anomaly]\nbundle = \"no-such-bundle\"\n";
    let path = cameras(folder.path(), "", &[("good", &pattern("")), ("bad", &bad)]);
    refuse(&["run", arg(&path)], 78, &["camera bad", "no-such-bundle"]);
    assert!(recorded(folder.path(), "good", "start").is_empty());
    let taught = folder.path().join("taught");
    refuse(
        &["teach", "--camera", arg(&path), "--out", arg(&taught)],
        78,
        &["the file has several cameras", "FILE#NAME"],
    );
    let other = format!("{}#other", arg(&path));
    refuse(&["teach", "--camera", &other, "--out", arg(&taught)], 1, &["no [[camera]] with the name \"other\""]);
}

/// Product 1 finds good parts good, product 2 finds a defect in everything.
const PRODUCTS: &str = "[[product]]\nname = \"part\"\ncode = 1\nbundle = \"inspect-pattern\"\n\
                        [[product]]\nname = \"strict\"\ncode = 2\nbundle = \"inspect-pattern\"\nthreshold = 0.0\n";

#[test]
fn each_camera_inspects_a_product_of_its_own_choice() {
    let folder = tempfile::tempdir().unwrap();
    let (top, side) = (Plc(free_port()), Plc(free_port()));
    let camera = |plc: &Plc| {
        let port = plc.0;
        "[camera.source.pattern]\nfps = 20\ndefect_every = 0\n".to_string()
            + &format!("[camera.modbus]\nlisten = \"127.0.0.1:{port}\"\nwrite = true\n")
    };
    let top_of_file = format!("[products]\nremember = true\n{PRODUCTS}");
    let of = |more: &str| cameras(folder.path(), more, &[("top", &camera(&top)), ("side", &camera(&side))]);
    let path = of(&top_of_file);
    let checked = succeed(&["check", arg(&path)]);
    assert_eq!(checked.matches("part, code 1: inspect-pattern, loaded").count(), 2, "{checked}");
    assert_eq!(checked.matches("inspect-pattern weights").count(), 1, "weights are there once: {checked}");
    let mut line = Running::start(&path);
    let judged = |kind: u16, code: u16| move |registers: &[u16]| (registers[3], registers[8]) == (kind, code);
    top.until("a good part", judged(1, 1));
    side.until("a good part", judged(1, 1));
    assert!(side.write(100, 2));
    side.until("the strict product", judged(2, 2));
    top.until("still the product from before", judged(1, 1));
    assert!(!top.write(100, 99), "an unknown code is refused");
    top.until("an unknown product", judged(2, 0));
    assert!(top.write(100, 1));
    top.until("a good part", judged(1, 1));
    // What was chosen holds over a reload, for each.
    signal(&line.process, "HUP");
    let both = || ["top", "side"].iter().all(|camera| recorded(folder.path(), camera, "start").len() == 2);
    eventually("another run of both", || both().then_some(()));
    side.until("the strict product again", judged(2, 2));
    top.until("a good part again", judged(1, 1));
    let kept = |camera: &str| std::fs::read_to_string(folder.path().join("results").join(camera).join("product.txt"));
    eventually("it is written down", || (kept("side").ok()? == "strict\n").then_some(()));
    line.stop();
    let commands = recorded(folder.path(), "side", "command");
    assert!(
        commands.len() == 1 && commands[0]["product"] == "strict" && commands[0]["camera"] == "side",
        "{commands:?}"
    );
    assert_eq!(recorded(folder.path(), "top", "command").len(), 2);
    assert!(recorded(folder.path(), "side", "event").iter().all(|event| event["product"] == "strict"));
    let mut line = Running::start(&path);
    side.until("the strict product after a restart", judged(2, 2));
    top.until("a good part after a restart", judged(1, 1));
    line.stop();
    let replayed = succeed(&["replay", arg(&folder.path().join("results/side"))]);
    assert!(replayed.contains("equal to the last bit"), "{replayed}");

    // All products are loaded, or none: no camera may take the room of another while it runs.
    let json: Value = serde_json::from_str(&succeed(&["check", "--json", arg(&path)])).unwrap();
    let (all, each) = (json["bill_bytes"].as_u64().unwrap(), json["cameras"][1]["bill_bytes"].as_u64().unwrap());
    let budget = format!("[budget]\nmemory = \"{} B\"\n{top_of_file}", (all - each) / 2);
    refuse(
        &["check", arg(&of(&budget))],
        78,
        &["line.toml:", "camera ", "product \"strict\" does not fit", "raise budget.memory"],
    );
    let budget = format!("[budget]\nmemory = \"{} B\"\n{top_of_file}", all - (64 << 10));
    refuse(&["check", arg(&of(&budget))], 78, &["line.toml:", "budget.memory"]);
}

/// Reads stderr as it comes.
fn read_log(line: &mut Child) -> std::sync::Arc<std::sync::Mutex<String>> {
    use std::io::{BufRead, BufReader};
    let log = std::sync::Arc::<std::sync::Mutex<String>>::default();
    let (to, from) = (std::sync::Arc::clone(&log), BufReader::new(line.stderr.take().unwrap()));
    std::thread::spawn(move || {
        for line in from.lines().map_while(Result::ok) {
            to.lock().unwrap().push_str(&(line + "\n"));
        }
    });
    log
}

/// The frames of a camera by its newest status in the log.
fn status_captured(log: &std::sync::Mutex<String>, camera: &str) -> Option<u64> {
    let log = log.lock().unwrap();
    let is_status = |line: &&str| line.contains("record=status") && line.contains(&format!("camera={camera} "));
    let line = log.lines().rfind(is_status)?.to_string();
    line.split("captured=").nth(1)?.split(' ').next()?.parse().ok()
}
