//! A line's results judged again: equal to the last bit, and what is not is named. `tests/parity.rs` does the same with results
//! of aarch64.

use crate::common::{arg, config, copy_folder, lineside, records, refuse, root, run, succeed, text};
use lineside_picture::{Picture, decode_file, write_png};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The shipped frames, of which all normal ones are kept.
fn results(folder: &Path, more: &str) -> PathBuf {
    let results = folder.join("results");
    let frames = root().join("models/inspect-demo/frames");
    let path = config(
        folder,
        &format!(
            "[source.folder]\npath = {frames:?}\n[output]\nfolder = {results:?}\nnormal_every = 1\n\
             [super_resolution]\nwhen = \"never\"\n{more}"
        ),
    );
    succeed(&["run", arg(&path)]);
    results
}

fn replay(folder: &Path) -> Value {
    let output = run(&["replay", arg(folder), "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    let faults = ["other_bundle", "other_version", "corrupt", "computed_wrongly"];
    let any = faults.iter().any(|kind| told["outcomes"][kind] != 0);
    assert_eq!(output.status.code(), Some(i32::from(any)), "{told}");
    told
}

/// Changes the record of the first event.
fn change(folder: &Path, change: impl Fn(&mut Value)) {
    rewrite(folder, "event", change);
}

/// Changes the first record of a kind.
fn rewrite(folder: &Path, kind: &str, change: impl Fn(&mut Value)) {
    let mut records = records(folder);
    change(records.iter_mut().find(|record| record["record"] == kind).unwrap());
    let lines: String = records.iter().map(|record| record.to_string() + "\n").collect();
    std::fs::write(folder.join("events.jsonl"), lines).unwrap();
}

/// The path of the first event's frame.
fn frame(folder: &Path) -> PathBuf {
    let records = records(folder);
    let event = records.iter().find(|record| record["record"] == "event").unwrap();
    folder.join(event["files"]["original"].as_str().unwrap())
}

#[test]
fn what_a_line_left_comes_out_equal_and_what_does_not_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let results = results(folder.path(), "");
    let events = records(&results).iter().filter(|record| record["record"] == "event").count();
    let told = replay(&results);
    assert_eq!(told["outcomes"]["equal"], 32, "{told}");
    assert_eq!((told["verdicts"].as_u64(), told["others"].as_array().map(Vec::len)), (Some(32), Some(0)));
    let plain = succeed(&["replay", arg(&results)]);
    assert!(plain.contains("32 verdicts: 32 equal to the last bit"), "{plain}");
    // A frame as it was judged, not as it was shown.
    let mut kept = Picture::default();
    decode_file(&std::fs::read(frame(&results)).unwrap(), 1 << 20, &mut kept).unwrap();
    let name = records(&results).into_iter().find(|record| record["record"] == "event").unwrap()["frame"].clone();
    let original = root().join("models/inspect-demo/frames").join(name.as_str().unwrap());
    let mut given = Picture::default();
    decode_file(&std::fs::read(original).unwrap(), 1 << 20, &mut given).unwrap();
    assert_eq!(kept.data(), given.data());

    type Damage = fn(&Path);
    let cases: [(&str, &str, Damage); 11] = [
        ("corrupt", "its pixels are not those that were judged", |results| {
            let mut picture = Picture::default();
            decode_file(&std::fs::read(frame(results)).unwrap(), 1 << 20, &mut picture).unwrap();
            picture.data_mut()[1000] ^= 1;
            write_png(std::fs::File::create(frame(results)).unwrap(), &picture).unwrap();
        }),
        ("corrupt", "-original.png: broken PNG", |results| {
            let bytes = std::fs::read(frame(results)).unwrap();
            std::fs::write(frame(results), &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("gone", "-original.png is not there (any more)", |results| std::fs::remove_file(frame(results)).unwrap()),
        ("gone", "could not be written at the time", |results| {
            change(results, |event| event["files"]["original"] = json!(""))
        }),
        ("corrupt", "its record names a frame elsewhere", |results| {
            change(results, |event| event["files"]["original"] = json!("../results/x.png"));
        }),
        ("corrupt", "the score or the regions in its record differ", |results| {
            change(results, |event| event["score"] = json!(0.998));
        }),
        ("corrupt", "the score or the regions in its record differ", |results| {
            change(results, |event| event["regions"] = json!([]));
        }),
        ("computed wrongly", "computed wrongly, or its record was changed", |results| {
            change(results, |event| event["verdict_sha256"] = json!("00"));
        }),
        ("other version", "that was lineside 0.0.1, this is ", |results| {
            change(results, |event| event["verdict_sha256"] = json!("00"));
            rewrite(results, "start", |start| start["version"] = json!("0.0.1"));
        }),
        ("unknown", "lineside 0.0.1 kept none", |results| {
            change(results, |event| event["pixels_sha256"] = Value::Null);
            rewrite(results, "start", |start| start["version"] = json!("0.0.1"));
        }),
        ("other bundle", "judged by a bundle that its run did not name", |results| {
            change(results, |event| event["bundle"] = json!("ab".repeat(32)));
        }),
    ];
    for (at, (outcome, why, damage)) in cases.iter().enumerate() {
        let copy = folder.path().join(at.to_string());
        copy_folder(&results, &copy);
        damage(&copy);
        let told = replay(&copy);
        let others = told["others"].as_array().unwrap();
        assert_eq!((told["outcomes"]["equal"].as_u64(), others.len()), (Some(31), 1), "{why}: {told}");
        assert_eq!(others[0]["outcome"], *outcome, "{told}");
        assert!(others[0]["why"].as_str().unwrap().contains(why), "{why:?} is not in {told}");
    }

    // What a record says does not reach a terminal as it is.
    let copy = folder.path().join("hostile");
    copy_folder(&results, &copy);
    change(&copy, |event| {
        event["frame"] = json!("\u{1b}[2Jx");
        event["verdict_sha256"] = json!("00");
    });
    let told = text(&run(&["replay", arg(&copy)]).stdout);
    assert!(told.contains("\\u{1b}[2Jx: ") && !told.contains('\u{1b}'), "{told}");

    // Lines that are no records are counted, and the rest is read.
    let lines = std::fs::read_to_string(results.join("events.jsonl")).unwrap();
    let long = "x".repeat(200_000);
    std::fs::write(results.join("events.jsonl"), format!("{long}\n{lines}\0\0\n{{\"record\":\"event\"}}\n")).unwrap();
    let told = replay(&results);
    assert_eq!(told["outcomes"]["equal"], 32, "{told}");
    assert!(told["unreadable_lines"].as_u64().unwrap() >= 3, "{told}");
    assert_eq!(events, 8);
}

#[test]
fn another_bundle_of_the_same_name_is_not_taken_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let results = results(folder.path(), "");
    let copy = |name: &str, more: &str| {
        let bundle = folder.path().join(name).join("inspect-demo");
        copy_folder(&root().join("models/inspect-demo"), &bundle);
        let path = bundle.join("bundle.toml");
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + more).unwrap();
        bundle
    };
    let (same, other) = (copy("same", ""), copy("other", "\n# taught anew\n"));
    let replay = |more: &[&str]| {
        let mut command = lineside();
        // Not in the project's folder, where the right one would be found.
        command.current_dir(folder.path()).env("LINESIDE_BUNDLES", other.parent().unwrap());
        command.args(["replay", arg(&results)]).args(more).output().unwrap()
    };
    let output = replay(&[]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("32 verdicts: 32 other bundle"), "{told}");
    let line = told.lines().find(|line| line.starts_with("other bundle")).unwrap();
    for part in ["judged by inspect-demo ", ", here is ", "copy the board's and name it with --bundle"] {
        assert!(line.contains(part), "{line}");
    }
    let output = replay(&["--bundle", arg(&same)]);
    assert!(text(&output.stdout).contains("32 equal to the last bit"), "{}", text(&output.stderr));
}

#[test]
fn a_frame_that_was_like_the_one_before_has_its_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    let mut defects: Vec<PathBuf> = std::fs::read_dir(root().join("models/inspect-demo/frames/defect"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    defects.sort();
    for (at, part) in [0, 0, 0, 1, 1].iter().enumerate() {
        std::fs::copy(&defects[*part], frames.join(format!("{at}.jpg"))).unwrap();
    }
    let results = folder.path().join("results");
    let text = format!(
        "[source.folder]\npath = {frames:?}\n[output]\nfolder = {results:?}\n[super_resolution]\nwhen = \"never\"\n\
         [anomaly]\nskip_similar = 1.0\n"
    );
    succeed(&["run", arg(&config(folder.path(), &text))]);
    let similar = records(&results).iter().filter(|record| record["similar"] == true).count();
    assert_eq!(similar, 3);
    // What stands before the lens is marked, to go first where room is needed.
    let again: Vec<bool> = records(&results)
        .iter()
        .filter(|record| record["record"] == "event")
        .map(|event| event["files"]["original"].as_str().unwrap().contains("Z-again-"))
        .collect();
    assert_eq!(again, [false, true, true, false, true]);
    assert_eq!(replay(&results)["outcomes"]["equal"], 5);
    // The verdict that they refer to is wrong, and so are they.
    change(&results, |event| event["score"] = json!(0.5));
    let told = replay(&results);
    assert_eq!((&told["outcomes"]["equal"], &told["outcomes"]["corrupt"]), (&json!(2), &json!(3)), "{told}");
    let lines: Vec<Value> = records(&results).into_iter().filter(|record| record["similar"] != false).collect();
    // Without it there is nothing to hold them against.
    let first = lines.iter().position(|record| record["record"] == "event").unwrap();
    let rest: String =
        lines.iter().enumerate().filter(|(at, _)| *at != first).map(|(_, record)| record.to_string() + "\n").collect();
    std::fs::write(results.join("events.jsonl"), rest).unwrap();
    let told = replay(&results);
    assert_eq!((&told["outcomes"]["equal"], &told["outcomes"]["unknown"]), (&json!(2), &json!(2)), "{told}");
}

#[test]
fn a_folder_without_results_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    refuse(&["replay", arg(&folder.path().join("not-there"))], 1, &["not-there", "No such file or directory"]);
    refuse(&["replay", arg(folder.path())], 1, &["no events.jsonl in it; name the folder of a line's results"]);
    std::fs::write(folder.path().join("events.jsonl"), "{\"record\":\"start\"}\nno record\n").unwrap();
    refuse(&["replay", arg(folder.path())], 1, &["no event in its records (1 lines are no records)"]);
    let gone = "{\"record\":\"event\",\"score\":1,\"threshold\":0.5}\n";
    std::fs::write(folder.path().join("events.jsonl"), gone).unwrap();
    refuse(
        &["replay", arg(folder.path())],
        1,
        &["no verdict could be judged again (0 gone, 1 unknown), so nothing is verified"],
    );
    refuse(&["replay", arg(folder.path()), "--bundle", "nowhere"], 78, &["no bundle \"nowhere\""]);
}
