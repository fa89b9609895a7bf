//! Frames by fate, stopping in order, logs: on the synthetic line.

use crate::common::{arg, config, ends, lineside, records, succeed, text};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

fn line(folder: &Path, source: &str, more: &str) -> std::path::PathBuf {
    let results = folder.join("results");
    config(
        folder,
        &format!(
            "[source.pattern]\nwidth = 160\nheight = 120\n{source}\n\
             [output]\nfolder = {results:?}\n[super_resolution]\nwhen = \"never\"\n{more}"
        ),
    )
}

fn counts(folder: &Path) -> [u64; 5] {
    let records = records(&folder.join("results"));
    let stop = records.last().unwrap();
    ["captured", "inspected", "skipped_similar", "dropped_stale", "failed"].map(|key| stop[key].as_u64().unwrap())
}

#[test]
fn a_fast_camera_makes_frames_stale_and_every_frame_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = line(folder.path(), "fps = 1000.0\nframes = 150", "");
    succeed(&["run", arg(&path)]);
    let [captured, inspected, skipped, stale, failed] = counts(folder.path());
    assert_eq!(captured, 150);
    assert_eq!(captured, inspected + skipped + stale + failed);
    assert!(stale > 0 && inspected > 0, "{stale} stale, {inspected} inspected");
}

#[test]
fn a_source_without_a_pace_loses_nothing_and_frames_limits_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = line(folder.path(), "", "");
    succeed(&["run", arg(&path), "--frames", "7"]);
    assert_eq!(counts(folder.path()), [7, 7, 0, 0, 0]);
}

#[test]
fn similar_frames_get_the_verdict_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    let shipped = crate::common::root().join("models/inspect-demo/frames");
    for (name, from) in
        [("1", "normal/part-01"), ("2", "normal/part-01"), ("3", "defect/part-05-scratch"), ("4", "normal/part-01")]
    {
        std::fs::copy(shipped.join(format!("{from}.jpg")), frames.join(format!("{name}.jpg"))).unwrap();
    }
    let results = folder.path().join("results");
    let path = config(
        folder.path(),
        &format!(
            "[source.folder]\npath = {frames:?}\n[output]\nfolder = {results:?}\n\
             [anomaly]\nskip_similar = 0.5\n"
        ),
    );
    let stdout = succeed(&["run", arg(&path)]);
    assert_eq!(counts(folder.path()), [4, 3, 1, 0, 0], "{stdout}");
    let words: Vec<&str> = stdout.lines().take(4).map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(words, ["normal", "normal", "DEFECT", "normal"]);
}

/// The spot is made smaller until it is enlarged in the time there is; what is asked for and what is done is told.
#[test]
fn the_spot_fits_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let with = |spot: usize, max_ms: &str| {
        let text = format!(
            "[source.pattern]\nwidth = 160\nheight = 120\nframes = 12\n[output]\nfolder = {results:?}\n\
             [anomaly]\nthreshold = 0.0\n[super_resolution]\nspot = {spot}\n{max_ms}\n"
        );
        config(folder.path(), &text)
    };
    // Nothing is as fast as this: the least spot.
    let output = lineside().args(["run", arg(&with(512, "max_ms = 0.1"))]).output().unwrap();
    let (stdout, logs) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{logs}");
    let said = logs.lines().find(|line| line.contains("record=enlarging_limited")).expect(&logs);
    assert!(said.contains("wanted=512x512") && said.contains("max_ms=0.1"), "{said}");
    let side: u32 = said.split("area=").nth(1).unwrap().split('x').next().unwrap().parse().unwrap();
    assert!((16..=120).contains(&side), "{said}");
    assert!(stdout.contains("12 enlarged in "), "{stdout}");
    let spots: Vec<_> =
        records(&results).iter().filter_map(|r| r["files"]["spot"].as_str().map(String::from)).collect();
    assert_eq!(spots.len(), 12);
    let sizes: std::collections::BTreeSet<(u32, u32)> =
        spots.iter().map(|file| png_size(&results.join(file))).collect();
    assert_eq!(sizes.len(), 1, "all spots of a run have one size: {sizes:?}");

    let json: serde_json::Value =
        serde_json::from_str(&succeed(&["check", arg(&with(48, "max_ms = 60000")), "--json"])).unwrap();
    assert_eq!((&json["enlarging"]["spot"], &json["enlarging"]["max_ms"]), (&48.into(), &60_000.0.into()), "{json}");
    assert!(json["enlarging"]["ms"].as_f64().unwrap() > 0.0);
    assert!(succeed(&["check", arg(&with(48, ""))]).contains("enlarges the spot, 48x48, in "));
}

/// Whole frames at the source's pace; what is left of a frame's time after the verdict is the limit.
#[test]
fn small_frames_are_enlarged_always_and_the_rate_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let path = config(
        folder.path(),
        &format!(
            "[source.pattern]\nwidth = 160\nheight = 120\nframes = 8\nfps = 4.0\ndefect_every = 0\n\
             [output]\nfolder = {results:?}\n[super_resolution]\nwhen = \"always\"\n"
        ),
    );
    let output = lineside().args(["run", arg(&path)]).output().unwrap();
    let (stdout, logs) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{logs}");
    let start = logs.lines().find(|line| line.contains("record=enlarging ")).expect(&logs);
    assert!(start.contains("area=frame "), "{start}");
    let max_ms: f64 = start.split("max_ms=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((62.5..250.0).contains(&max_ms), "{start}");
    let stop = logs.lines().find(|line| line.contains("record=stop")).unwrap();
    let count = |key: &str| -> u64 { stop.split(key).nth(1).unwrap().split(' ').next().unwrap().parse().unwrap() };
    assert_eq!(count(" enlarged="), count(" inspected="), "{stop}");
    assert!(stdout.contains(" a second), "), "{stdout}");
    let pictures = std::fs::read_dir(&results)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().ends_with("-x3.png"));
    assert_eq!(pictures.count() as u64, count(" enlarged="));
}

fn png_size(path: &Path) -> (u32, u32) {
    let reader = png::Decoder::new(BufReader::new(std::fs::File::open(path).unwrap())).read_info().unwrap();
    (reader.info().width, reader.info().height)
}

#[test]
fn a_signal_stops_it_in_order() {
    for signal in ["TERM", "INT"] {
        let folder = tempfile::tempdir().unwrap();
        let path = line(folder.path(), "fps = 20.0", "[anomaly]\nthreshold = 0.0\n");
        let mut child =
            lineside().args(["run", arg(&path)]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..3 {
            lines.next().unwrap().unwrap();
        }
        crate::common::signal(&child, signal);
        let rest: Vec<String> = lines.map(Result::unwrap).collect();
        assert!(ends(&mut child).success(), "SIG{signal}");
        assert!(rest.iter().any(|line| line.contains("frames: ")), "{rest:?}");
        let [captured, inspected, skipped, stale, failed] = counts(folder.path());
        assert_eq!(captured, inspected + skipped + stale + failed);
        let results = folder.path().join("results");
        let events = records(&results).iter().filter(|record| record["record"] == "event").count() as u64;
        assert_eq!(events, inspected, "every verdict reached the disk");
        for entry in std::fs::read_dir(results).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.ends_with(".part"), "{name}");
        }
    }
}

#[test]
fn a_killed_run_leaves_whole_files_and_the_next_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = line(folder.path(), "fps = 50.0", "[anomaly]\nthreshold = 0.0\n");
    let mut child = lineside().args(["run", arg(&path)]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..5 {
        lines.next().unwrap().unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let results = folder.path().join("results");
    for entry in std::fs::read_dir(&results).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "png") {
            let file = BufReader::new(std::fs::File::open(&path).unwrap());
            let mut reader = png::Decoder::new(file).read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut pixels).unwrap();
        }
    }
    succeed(&["run", arg(&path), "--frames", "2"]);
    let records = records(&results);
    assert_eq!(records.iter().filter(|record| record["record"] == "start").count(), 2);
    assert_eq!(records.last().unwrap()["record"], "stop");
}

#[test]
fn logs_are_one_json_object_a_line_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = line(folder.path(), "frames = 2", "");
    let output = lineside().args(["--log-format", "json", "run", arg(&path)]).output().unwrap();
    let logs: Vec<serde_json::Value> =
        text(&output.stderr).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(logs.first().unwrap()["record"], "start");
    let stop = logs.last().unwrap();
    assert_eq!(stop["record"], "stop");
    assert_eq!(stop["captured"], 2);
    let text_lines = text(&lineside().args(["run", arg(&path)]).output().unwrap().stderr);
    assert!(
        text_lines.lines().all(|line| line.starts_with("time=") && line.contains(" level=info record=")),
        "{text_lines}"
    );
}

#[test]
fn a_status_line_every_ten_seconds_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = line(folder.path(), "fps = 40.0\nframes = 480", "");
    let output = lineside().args(["--log-format", "json", "run", arg(&path)]).output().unwrap();
    let logs = text(&output.stderr);
    let status: Vec<serde_json::Value> = logs
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|record: &serde_json::Value| record["record"] == "status")
        .collect();
    assert!(!status.is_empty(), "{logs}");
    for record in &status {
        let count = |key: &str| record[key].as_u64().unwrap();
        let fates = ["inspected", "skipped_similar", "dropped_stale", "failed"].map(count);
        assert_eq!(count("captured"), fates.iter().sum::<u64>());
        // 40 a second for 10 s; a busy machine takes fewer.
        assert!((1..=480).contains(&count("captured")), "{record}");
        assert!(count("rss_bytes") > 1_000_000);
        // One or two by each thread that waits for another the first time.
        assert!(count("allocs_since_sealed") <= 6, "{record}");
    }
}
