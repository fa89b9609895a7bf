//! Records wherever they go: what docs/field-log.md says of them, the journal, and a disk that is full or a process that is
//! killed.

use crate::common::{arg, config, eventually, has, lineside, root, text};
use lineside::field::{DriftStatistic, Review};
use lineside::telemetry::{Cause, Telemetry, json_line, text_line};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A line on which every frame is a defect, written down within so many bytes.
fn line(folder: &Path, source: &str, records: &str) -> PathBuf {
    let results = folder.join("results");
    config(
        folder,
        &format!(
            "[source.pattern]\nwidth = 160\nheight = 120\n{source}\n[output]\nfolder = {results:?}\n\
             records = \"{records}\"\nkeep_free = \"0 B\"\n[super_resolution]\nwhen = \"never\"\n[anomaly]\nthreshold = 0.0\n"
        ),
    )
}

/// The files of records in a folder, the oldest first.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect();
    // `events-…` sorts before `events.jsonl`.
    files.sort();
    files
}

/// All records of a folder; every line must be one, whole.
fn all_records(folder: &Path) -> Vec<Value> {
    let mut records = Vec::new();
    for path in files(folder) {
        let content = std::fs::read_to_string(&path).unwrap();
        assert!(content.is_empty() || content.ends_with('\n'), "{}", path.display());
        records.extend(content.lines().map(|line| serde_json::from_str::<Value>(line).expect(line)));
    }
    records
}

/// What a page of the documentation says of a kind: its fields, and whether each is always there.
pub type Documented = BTreeMap<String, BTreeMap<String, bool>>;

pub fn documented() -> Documented {
    let page = std::fs::read_to_string(root().join("docs/field-log.md")).unwrap();
    let mut kinds = Documented::new();
    for section in page.split("\n### ").skip(1) {
        let kind = section.lines().next().unwrap().to_string();
        let mut fields = BTreeMap::new();
        for row in section.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let names = cells[0].split(", ").map(|name| name.trim_matches('`').to_string());
            if cells.len() == 4 {
                fields.extend(names.map(|name| (name, cells[2] == "yes")));
            } else {
                // The table of the others: each row is a kind.
                let fields = cells[1].split(' ').map(|name| (name.trim_matches('`').to_string(), true));
                kinds.insert(names.last().unwrap(), fields.collect());
            }
        }
        kinds.insert(kind, fields);
    }
    let start = kinds["start"].clone();
    kinds.insert("goes_on".into(), start);
    kinds
}

/// Holds a record against the page.
pub fn check(record: &Value, documented: &Documented, seen: &mut BTreeSet<String>) {
    let kind = record["record"].as_str().unwrap();
    let fields = documented.get(kind).unwrap_or_else(|| panic!("docs/field-log.md lacks the kind {kind}: {record}"));
    seen.insert(kind.into());
    let keys: BTreeSet<String> = record.as_object().unwrap().keys().map(|key| stageless(key)).collect();
    for key in keys.iter().filter(|key| !["time", "level", "record", "run", "held_back"].contains(&key.as_str())) {
        assert!(fields.contains_key(key), "docs/field-log.md lacks {key} of {kind}: {record}");
    }
    for (field, _) in fields.iter().filter(|(_, always)| **always) {
        assert!(keys.contains(field), "docs/field-log.md says that {kind} always has {field}: {record}");
    }
    assert!(record["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{record}");
}

/// `judge_p50_ms` is `STAGE_p50_ms`.
fn stageless(key: &str) -> String {
    match key.split_once('_') {
        Some((stage, rest)) if ["p50_ms", "p95_ms", "p99_ms", "max_ms"].contains(&rest) && stage != "enlarge_mean" => {
            assert!(["verdict", "wait", "judge", "enlarge", "write"].contains(&stage), "{key}");
            format!("STAGE_{rest}")
        }
        _ => key.into(),
    }
}

#[test]
fn what_is_written_is_what_the_documentation_says() {
    let documented = documented();
    let mut seen = BTreeSet::new();
    // A good frame, a defect and a damaged one.
    let folder = tempfile::tempdir().unwrap();
    let (frames, shipped) = (folder.path().join("frames"), root().join("models/inspect-demo/frames"));
    std::fs::create_dir(&frames).unwrap();
    std::fs::copy(shipped.join("normal/part-01.jpg"), frames.join("1.jpg")).unwrap();
    std::fs::copy(shipped.join("defect/part-05-scratch.jpg"), frames.join("2.jpg")).unwrap();
    std::fs::write(frames.join("3.png"), "no picture").unwrap();
    let results = folder.path().join("results");
    let path = config(folder.path(), &format!("[source.folder]\npath = {frames:?}\n[output]\nfolder = {results:?}\n"));
    let output = lineside().args(["--log-format", "json", "run", arg(&path)]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let log: Vec<Value> = text(&output.stderr).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kept = all_records(&results);
    for record in log.iter().chain(&kept) {
        check(record, &documented, &mut seen);
        assert_eq!(record["run"], log[0]["run"], "{record}");
    }
    assert!(log.iter().all(|record| record["level"].is_string()) && kept.iter().all(|r| r["level"].is_null()));
    // What is kept is what was logged.
    for kind in ["start", "event", "fault", "stop"] {
        let of = |records: &[Value]| records.iter().find(|record| record["record"] == kind).cloned();
        let mut logged = of(&log).unwrap();
        logged.as_object_mut().unwrap().remove("level");
        assert_eq!(of(&kept), Some(logged), "{kind}");
    }
    // The damaged frame may be found while the one before it is judged.
    let mut kinds: Vec<&str> = kept.iter().map(|record| record["record"].as_str().unwrap()).collect();
    kinds[1..3].sort();
    assert_eq!(kinds, ["start", "event", "fault", "status", "stop"]);
    assert_eq!(kept[0]["previous"], "none");
    let (id, run) = (kept.iter().find_map(|record| record["id"].as_str()).unwrap(), kept[0]["run"].as_str().unwrap());
    assert!(id.starts_with(run) && id.len() == 18 && id.ends_with("-1"), "{id} of {run}");
    let status = kept.iter().find(|record| record["record"] == "status").unwrap();
    assert_eq!(status["faults"], "frame", "not well for long enough yet");
    assert!(status["judge_p50_ms"].as_f64().unwrap() > 0.0 && status["enlarge_max_ms"].as_f64().unwrap() > 0.0);
    let scores = status["scores"].as_str().unwrap().split(',').map(|count| count.parse::<u32>().unwrap());
    assert_eq!((scores.clone().count(), scores.sum::<u32>()), (20, 2), "{status}");
    assert!(
        (30.0..230.0).contains(&status["brightness"].as_f64().unwrap()) && status["sharpness"].as_f64() > Some(1.0)
    );
    // For people: the same, in a line.
    let output = lineside().args(["run", arg(&path)]).output().unwrap();
    let lines = text(&output.stderr);
    let event = lines.lines().find(|line| line.contains(" record=event ")).unwrap();
    assert!(
        event.contains(" annotated=2")
            && event.contains(" spot=2")
            && event.contains(" original=2")
            && !event.contains("files"),
        "{event}"
    );
    assert!(lines.lines().next().unwrap().contains(" previous=clean"), "{lines}");

    // A file that goes on, and what this machine cannot show.
    let path = line(folder.path(), "frames = 60", "64 KiB");
    crate::common::succeed(&["run", arg(&path)]);
    let telemetry = Telemetry::default();
    let kept = telemetry.begin_run(1 << 32);
    telemetry.fail(Cause::Camera, "cam: it sent nothing");
    telemetry.fail_with_new_reason(Cause::Camera, "cam: busy");
    telemetry.resolve(Cause::Camera);
    telemetry.report_once("clock", "the clock was set forward by 3600.0 s");
    let faults: Vec<_> = kept.try_iter().collect();
    let states: Vec<String> = faults.iter().map(text_line).collect();
    for (line, state) in states.iter().zip(["begin", "again", "end", "end"]) {
        assert!(line.contains(&format!(" state={state} ")), "{states:?}");
    }
    let (statistic, cause) = (DriftStatistic::Ks, "new parts?");
    let review = Review { needed: true, statistic, value: 0.3, limit: 0.2, frames: 9000, cause }.record();
    let made = faults.iter().chain([&review]).map(|record| serde_json::from_str(&json_line(record, false)).unwrap());
    for record in all_records(&results).into_iter().chain(made) {
        check(&record, &documented, &mut seen);
    }
    // Of the kinds that a line has without a camera and without anybody's doing, none was left out.
    let expected = ["start", "goes_on", "status", "event", "fault", "review", "stop", "enlarging"];
    assert_eq!(seen, expected.map(String::from).into());
}

#[test]
fn a_process_that_is_killed_at_any_time_leaves_whole_lines_within_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    // So slowly that the start of a run is among the records still when it is killed, and so fast that files are closed.
    let path = line(folder.path(), "fps = 20.0", "64 KiB");
    let results = folder.path().join("results");
    let (mut goes_on, mut cuts, mut round) = (0, 0, 0_u64);
    // Eight times, and until a file was closed and a cut was recognized at least once.
    while round < 8 || goes_on == 0 || cuts == 0 {
        assert!(round < 100, "no file was closed in all that time");
        // As it is written: the line after it may be torn.
        let newest_start = || {
            let written = if results.exists() { files(&results) } else { Vec::new() };
            written.iter().rev().find_map(|path| {
                let text = String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
                text.lines().rev().find(|line| line.contains("\"record\":\"start\"")).map(String::from)
            })
        };
        let last_start = || all_records(&results).into_iter().rev().find(|record| record["record"] == "start");
        let (earlier, begun) = if round > 0 { (last_start(), newest_start()) } else { (None, None) };
        let mut child =
            lineside().args(["run", arg(&path)]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let before = files(folder.path()).len();
        eventually("a start", || newest_start().filter(|start| Some(start) != begun.as_ref()).map(drop));
        std::thread::sleep(Duration::from_millis(900 + 137 * (round % 8)));
        child.kill().unwrap();
        child.wait().unwrap();
        let records = all_records(&results);
        let bytes: u64 = files(&results).iter().map(|path| path.metadata().unwrap().len()).sum();
        assert!(bytes <= 64 << 10, "{bytes}");
        goes_on += records.iter().filter(|record| record["record"] == "goes_on").count();
        // On a busy machine it may have been killed before its start.
        if let (Some(start), true) = (last_start().filter(|start| Some(start) != earlier.as_ref()), earlier.is_some()) {
            assert_eq!(start["previous"], "cut", "{start}");
            cuts += 1;
        }
        assert!(before <= 9);
        round += 1;
    }
}

/// A disk that takes a part of a line and no more: a limit on the size of files.
#[test]
fn a_line_that_is_written_in_part_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = line(folder.path(), "frames = 40", "64 MiB");
    let results = folder.path().join("results");
    // Pictures are larger, too: nothing can be written after some records. The limit is in units of 512 bytes.
    let limited = "trap '' XFSZ; ulimit -f 17; exec \"$0\" run \"$1\"";
    let output = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_lineside"), arg(&path)])
        .current_dir(root())
        .output()
        .unwrap();
    let said = text(&output.stderr);
    // The stop was orderly: no unit counts as failed for it, and the number of what is lost is in a line and in the last record.
    assert_eq!(output.status.code(), Some(0), "{said}");
    let losses: Vec<&str> = said.lines().filter(|line| line.contains("results could not be written to")).collect();
    assert_eq!(losses.len(), 1, "{said}");
    let before = losses[0].split(" results could").next().unwrap();
    let lost: usize = before.rsplit(['"', ' ']).next().unwrap().parse().unwrap();
    let stop = said.lines().find(|line| line.contains(" record=stop ")).unwrap();
    let in_stop = |field: &str| -> usize {
        let value = stop.split(&format!(" {field}=")).nth(1).unwrap();
        value.split(' ').next().unwrap().parse().unwrap()
    };
    // The stop itself may be one of them.
    assert!(in_stop("lost") > 0 && (lost == in_stop("lost") || lost == in_stop("lost") + 1), "{lost} {stop}");
    // Every event is in the log, those that are in no file as well.
    let logged = said.lines().filter(|line| line.contains(" record=event ")).count();
    assert_eq!(logged, in_stop("defects"), "{said}");
    let faults: Vec<&str> = said.lines().filter(|line| line.contains(" record=fault ")).collect();
    assert_eq!(faults.len(), 2, "one for pictures, one for records, each told once: {faults:?}");
    assert!(faults.iter().all(|line| line.contains(" fault=disk state=begin ")), "{faults:?}");
    // Not one byte of a line that did not fit. How many fit depends on the digits in them; a last one that is shorter than an
    // event may fit where an event did not.
    let written = all_records(&results);
    let events = written.iter().filter(|record| record["record"] == "event").count();
    assert!(written.len() > 5 && events < 40, "{} records, {events} events", written.len());
    let previous = if written.last().unwrap()["record"] == "stop" { "clean" } else { "cut" };
    // With the disk free again, it goes on where it was.
    crate::common::succeed(&["run", arg(&path)]);
    let records = all_records(&results);
    assert_eq!(records[..written.len()], written);
    assert_eq!(records[written.len()]["previous"], previous);
    assert_eq!(records.last().unwrap()["record"], "stop");
}

/// Runs a script in a mount namespace of its own; `None` where this machine allows none.
fn in_namespace(script: &str, arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Option<std::process::Child> {
    let unshare = ["--user", "--map-root-user", "--mount"];
    if !has("unshare", &["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]) {
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(unshare).args(["sh", "-ec", script, "sh"]).args(arguments).current_dir(root());
    prepare(&mut command);
    Some(command.spawn().unwrap())
}

#[test]
fn a_full_disk_is_told_and_inspection_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = line(folder.path(), "frames = 40", "64 KiB");
    let (results, copy) = (folder.path().join("results"), folder.path().join("copy"));
    std::fs::create_dir(&results).unwrap();
    std::fs::create_dir(&copy).unwrap();
    // Others have left room for some records and for no picture.
    let script = "mount -t tmpfs -o size=96k none \"$1\"; head -c 80k /dev/zero > \"$1/ballast\"; code=0; \"$2\" run \"$3\" || code=$?; cp \"$1\"/*.jsonl \"$4\"; exit $code";
    let arguments = [arg(&results), env!("CARGO_BIN_EXE_lineside"), arg(&path), arg(&copy)];
    let Some(child) = in_namespace(script, &arguments, |command| {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }) else {
        return;
    };
    let output = child.wait_with_output().unwrap();
    let (stdout, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("results could not be written to") && said.contains(" lost="), "{said}");
    assert!(stdout.contains("40 frames: 40 inspected"), "{stdout}");
    let faults: Vec<&str> = said.lines().filter(|line| line.contains(" fault=disk ")).collect();
    assert!((1..=2).contains(&faults.len()), "{faults:?}");
    assert!(faults.iter().all(|line| line.contains("No space left on device")), "{faults:?}");
    assert!(!all_records(&copy).is_empty());
}

/// The fields of a datagram to the journal (systemd.io/JOURNAL_NATIVE_PROTOCOL).
fn fields(mut datagram: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while let Some(end) = datagram.iter().position(|&byte| byte == b'\n') {
        let line = String::from_utf8(datagram[..end].to_vec()).unwrap();
        datagram = &datagram[end + 1..];
        if let Some((name, value)) = line.split_once('=') {
            fields.insert(name.into(), value.into());
        } else {
            let length = u64::from_le_bytes(datagram[..8].try_into().unwrap()) as usize;
            fields.insert(line, String::from_utf8(datagram[8..8 + length].to_vec()).unwrap());
            datagram = &datagram[8 + length + 1..];
        }
    }
    fields
}

#[test]
fn the_journal_gets_fields_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = line(folder.path(), "frames = 3", "64 MiB");
    let journal = folder.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    let socket = UnixDatagram::bind(journal.join("socket")).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    // As systemd does it with our unit: stderr leads to the journal, which the variable names, and stdout nowhere.
    let stream = std::fs::File::create(folder.path().join("stream")).unwrap();
    let about = stream.metadata().unwrap();
    let script = "mount -t tmpfs none /run; mkdir -p /run/systemd/journal; mount --bind \"$1\" /run/systemd/journal; \
                  exec \"$2\" run \"$3\"";
    let arguments = [arg(&journal), env!("CARGO_BIN_EXE_lineside"), arg(&path)];
    let Some(mut child) = in_namespace(script, &arguments, |command| {
        command.env("JOURNAL_STREAM", format!("{}:{}", about.dev(), about.ino()));
        command.stdout(Stdio::null()).stderr(stream.try_clone().unwrap());
    }) else {
        return;
    };
    let (mut told, mut bytes, mut ended) = (Vec::new(), vec![0; 1 << 16], None);
    loop {
        match socket.recv(&mut bytes) {
            // The first one is empty: is anybody there?
            Ok(length) if length > 0 => told.push(fields(&bytes[..length])),
            Ok(_) => {}
            Err(_) if ended.is_some() => break,
            Err(_) => ended = child.try_wait().unwrap(),
        }
    }
    let written = std::fs::read_to_string(folder.path().join("stream")).unwrap();
    assert!(ended.unwrap().success() && written.is_empty(), "{written}");
    let kinds: Vec<&str> = told.iter().map(|fields| fields["LINESIDE_RECORD"].as_str()).collect();
    assert_eq!(kinds, ["start", "event", "event", "event", "status", "stop"]);
    for fields in &told {
        assert_eq!((&fields["SYSLOG_IDENTIFIER"][..], &fields["PRIORITY"][..]), ("lineside", "5"), "{fields:?}");
        assert_eq!(fields["LINESIDE_RUN"], told[0]["LINESIDE_RUN"]);
        let begin = format!("record={} run={} ", fields["LINESIDE_RECORD"], fields["LINESIDE_RUN"]);
        assert!(fields["MESSAGE"].starts_with(&begin), "{fields:?}");
    }
    let stop = told.last().unwrap();
    assert_eq!((&stop["LINESIDE_CAPTURED"][..], &stop["LINESIDE_REASON"][..]), ("3", "source ended"));
    assert!(stop["MESSAGE"].contains(" reason=\"source ended\" ") && stop["MESSAGE"].contains(" captured=3 "));
    assert!(told[1]["LINESIDE_ANNOTATED"].ends_with(".png") && told[1]["LINESIDE_SPOT"].is_empty());
    // The same records as in the file.
    let kept = all_records(&folder.path().join("results"));
    assert_eq!(kept[0]["run"].as_str().unwrap(), told[0]["LINESIDE_RUN"]);
}
