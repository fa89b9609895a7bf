//! Logs as they come: in every form, in parts, from several places, broken, without end.

use super::*;

#[test]
fn every_form_tells_the_same_story() {
    let (day, folder) = (bad_day(), tempfile::tempdir().unwrap());
    let by_short = of(day.short());
    for (name, log) in [("export", day.export()), ("json", day.journal_json())] {
        let report = of(&log);
        assert_eq!(kinds(&report), kinds(&by_short), "{name}");
        assert_eq!(report["frames"], by_short["frames"], "{name}");
        assert_eq!(report["latency"], by_short["latency"], "{name}");
        assert_eq!(endings(&report), endings(&by_short), "{name}");
    }
    // What systemd says is in the journal alone: without it the run was cut.
    for (name, log) in [("text", day.text()), ("json lines", day.json())] {
        let report = of(&log);
        assert_eq!(endings(&report), ["cut", "clean"], "{name}");
        assert_eq!(report["frames"], by_short["frames"], "{name}");
        assert_eq!(report["latency"], by_short["latency"], "{name}");
    }
    // The folder alone tells it, too, only coarser.
    let events = write(folder.path(), "events.jsonl", day.events());
    let report = report(&[arg(&events)]);
    let lost = by_short["frames"]["captured"].as_u64().unwrap() - report["frames"]["captured"].as_u64().unwrap();
    assert!(lost <= 6000, "of the run that was killed the last ten minutes at most: {lost}");
    assert!(kinds(&report).contains(&"camera_away") && kinds(&report).contains(&"heat"), "{:?}", kinds(&report));
}

#[test]
fn the_same_records_from_two_places_count_once() {
    let (mut day, folder) = (bad_day(), tempfile::tempdir().unwrap());
    day.wait(HOUR).start("clean").go(30 * MINUTE);
    day.event(0.999, 41.0);
    day.event(0.995, 30.0);
    // A camera that comes and goes within a second tells the same again and again.
    for _ in 0..3 {
        day.outage(400).wait(300);
    }
    let events = write(folder.path(), "events.jsonl", day.events());
    let overlap = write(folder.path(), "overlap.export", day.export());
    for (name, log) in [("a.text", day.text()), ("a.export", day.export()), ("a.short", day.short())] {
        let log = write(folder.path(), name, log);
        let (once, both) = (report(&[arg(&log)]), report(&[arg(&log), arg(&events), arg(&overlap)]));
        assert_eq!(both["frames"], once["frames"], "{name}");
        assert_eq!(both["boards"].as_array().unwrap().len(), 1, "{name}");
        assert_eq!(both["boards"][0]["events"], 3, "{name}");
        assert_eq!(both["boards"][0]["faults"][0]["times"], 6, "{name}");
        if name != "a.text" {
            assert_eq!(endings(&both), endings(&once), "{name}");
            assert_eq!(kinds(&both), kinds(&once), "{name}");
        }
    }
}

#[test]
fn rotated_and_packed_files_are_one_log() {
    let (day, folder) = (bad_day(), tempfile::tempdir().unwrap());
    let (log, whole) = (day.text(), of(day.text()));
    let lines: Vec<&str> = log.lines().collect();
    let part = |number: usize| lines[number * lines.len() / 3..(number + 1) * lines.len() / 3].join("\n") + "\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(part(0).as_bytes()).unwrap();
    write(folder.path(), "lineside.log.2.gz", gzip.finish().unwrap());
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    write(folder.path(), "lineside.log.1.zst", ruzstd::encoding::compress_to_vec(part(1).as_bytes(), level));
    write(folder.path(), "lineside.log", part(2));
    write(folder.path(), "picture.png", "no log");
    let parts = report(&[arg(folder.path())]);
    for name in ["frames", "latency", "defects"] {
        assert_eq!(parts[name], whole[name], "{name}");
    }
    assert_eq!(kinds(&parts), kinds(&whole));
    assert_eq!(parts["read"].as_array().unwrap().len(), 3);
}

#[test]
fn two_boards_in_one_file_are_told_apart() {
    let (mut one, mut two) = (Story::new("line1"), Story::new("line2"));
    two.version = "0.2.0".into();
    one.start("clean").go(2 * HOUR).outage(30 * SECOND).go(HOUR);
    two.wait(3 * SECOND).start("clean").go(HOUR).stop("stop asked for");
    let mut lines: Vec<String> = [one.text(), two.text()].concat().lines().map(String::from).collect();
    lines.sort();
    let report = of(lines.join("\n") + "\n");
    let boards = report["boards"].as_array().unwrap();
    assert_eq!(boards.len(), 2);
    for (board, story) in boards.iter().zip([&one, &two]) {
        assert_eq!(
            (&board["name"], &board["frames"]["captured"]),
            (&story.host.as_str().into(), &story.captured().into())
        );
    }
    says(&report, "versions", &["0.1.0 on line1", "0.2.0 on line2"]);
    assert_eq!(finding(&report, "camera_away")["board"], "line1");
    assert_eq!(report["frames"]["captured"], one.captured() + two.captured());
}

#[test]
fn since_and_until_cut_out_a_time() {
    let (day, folder) = (bad_day(), tempfile::tempdir().unwrap());
    let log = day.short();
    let path = write(folder.path(), "a.log", &log);
    let report = report(&[arg(&path), "--since", "2026-11-21 12:00", "--until", "2026-11-21T15:00:00Z"]);
    assert_eq!(report["from"], "2026-11-21T12:00:05.000Z");
    let captured = report["frames"]["captured"].as_u64().unwrap();
    assert!((107_900..=108_100).contains(&captured), "3 hours of 10 frames a second: {captured}");
    assert!(!kinds(&report).contains(&"watchdog") && kinds(&report).contains(&"latency_rose"), "{:?}", kinds(&report));
    // Where the log itself begins there, as that of `--journal --since`, it is the same.
    let lines: Vec<&str> = log.lines().filter(|line| *line >= "2026-11-21T12:00").collect();
    let cut = write(folder.path(), "b.log", lines.join("\n"));
    let of_cut = self::report(&[arg(&cut), "--since", "2026-11-21 12:00", "--until", "2026-11-21T15:00:00Z"]);
    assert!((107_700..=108_100).contains(&of_cut["frames"]["captured"].as_u64().unwrap()), "{}", of_cut["frames"]);
    assert_eq!(of_cut["boards"][0]["frames_before_log"], 0);
    // Runs that were over before are not told of.
    let late = self::report(&[arg(&path), "--since", "2026-11-21 12:00"]);
    assert_eq!(endings(&late), ["clean"]);
    let turned = ["inspect", arg(&path), "--since", "2026-11-21", "--until", "2026-11-20"];
    common::refuse(&turned, 2, &["--since is after --until"]);
    common::refuse(&["inspect", arg(&path), "--since", "noon"], 2, &["\"noon\" is no time", "-2h"]);
    for option in ["--since", "--until"] {
        common::refuse(
            &["inspect", arg(&path), option, "2026-11-31"],
            2,
            &["\"2026-11-31\": that month has no such day"],
        );
    }
}

#[test]
fn broken_logs_are_read_as_far_as_possible_and_that_is_said() {
    let mut story = Story::new("line3");
    story.start("clean").go(HOUR).stop("stop asked for");
    let log = story.text();
    let notes = |content: &[u8]| {
        let report = of(content);
        assert_eq!(report["frames"]["captured"], story.captured(), "{}", report["read"]);
        report["read"][0]["notes"].to_string()
    };
    let lines: Vec<&str> = log.lines().collect();
    let put = |between: &[u8]| {
        [lines[..100].join("\n").as_bytes(), b"\n", between, b"\n", lines[100..].join("\n").as_bytes(), b"\n"].concat()
    };
    assert!(notes(&put(&[0; 5000])).contains("NUL bytes"));
    assert!(notes(&put(&vec![b'x'; 5 << 20])).contains("too long to be a record (5.0 MiB, first: line 101)"));
    assert!(
        notes(&put(b"time=2026-11-21T00:16:00.000Z level=warn record=note text=\xff\xfe\xe9"))
            .contains("not valid UTF-8")
    );
    assert!(notes(&put(&lines[99].as_bytes()[..200])).contains("truncated"));
    // A line written behind one that was cut.
    let glued = [lines[..100].join("\n").as_str(), "\n", &lines[99][..200], &lines[100..].join("\n"), "\n"].concat();
    assert!(notes(glued.as_bytes()).contains("1 line is truncated"));
    let wide: Vec<u8> = log.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(notes(&[&b"\xff\xfe"[..], &wide].concat()).contains("UTF-16"));
    // Half of it as plain text, half as a shell appended it.
    let half: Vec<u8> = lines[100..].join("\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    notes(&[lines[..100].join("\n").as_bytes(), b"\n", &half, b"\r\0\n\0"].concat());

    let folder = tempfile::tempdir().unwrap();
    let empty = write(folder.path(), "empty.log", "");
    assert!(report(&[arg(&empty)])["read"][0]["notes"].to_string().contains("empty"));
    let said = common::succeed(&["inspect", arg(&empty)]);
    assert!(said.contains("empty.log: it is empty"), "{said}");
    let foreign = write(folder.path(), "foreign.log", "nothing of ours\n");
    assert!(report(&[arg(&foreign)])["read"][0]["notes"].to_string().contains("no record of Lineside"));
    let packed = write(folder.path(), "a.log.xz", b"\xfd7zXZ\0....");
    common::refuse(&["inspect", arg(&packed)], 1, &["a.log.xz", "xz -d"]);
    common::refuse(&["inspect", "missing.log"], 1, &["missing.log", "No such file"]);
    let missing = ["inspect", "missing.1", "missing.2", "missing.3", "missing.4", "missing.5"];
    common::refuse(&missing, 1, &["missing.3", "and 2 more"]);
    // Those that can be read are.
    let good = write(folder.path(), "good.log", &log);
    let output = lineside().args(["inspect", "missing.log", arg(&good)]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("missing.log: it cannot be read"), "{}", text(&output.stdout));
    let late = common::succeed(&["inspect", arg(&good), "--since", "2027-01-01"]);
    assert!(late.contains("none in the requested time range") && !late.contains("Runs"), "{late}");
    common::refuse(&["inspect"], 2, &["nothing to read"]);

    // A packed file that was cut.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(log.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let cut = write(folder.path(), "b.log.gz", &gzip[..gzip.len() / 2]);
    let output = lineside().args(["inspect", arg(&cut), "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "a part of the log is missing");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["frames"]["captured"].as_u64().unwrap() > 5000, "{}", report["frames"]);
    assert!(report["read"][0]["notes"].to_string().contains("could not be read beyond line"), "{}", report["read"]);
}

#[test]
fn a_pipe_and_the_journal_are_read() {
    let (day, folder) = (bad_day(), tempfile::tempdir().unwrap());
    let mut child =
        lineside().args(["inspect", "-", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let log = day.export();
    let writer = std::thread::spawn(move || pipe.write_all(log.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let piped: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(piped["frames"]["captured"], day.captured());

    // A journal of the test's own.
    let export = write(folder.path(), "export", day.export());
    let script = format!("#!/bin/sh\necho \"$@\" > {0}/asked\ncat {1}\n", folder.path().display(), export.display());
    let journalctl = write(folder.path(), "journalctl", script);
    std::fs::set_permissions(&journalctl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let journal = |arguments: &[&str]| {
        lineside().args(["inspect", "--journal"]).args(arguments).env("PATH", &path).output().unwrap()
    };
    let output = journal(&["--since", "2026-11-21", "--json"]);
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["frames"], piped["frames"]);
    assert_eq!(kinds(&read), kinds(&piped));
    let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
    assert!(
        asked.starts_with("-o export --no-pager -q --since=@1795219200.000 _SYSTEMD_UNIT=lineside.service +"),
        "{asked}"
    );
    let said = text(&journal(&[]).stdout);
    assert!(said.contains("(journal, 2026-11-21 09:32:14)"), "{said}");

    let output = lineside().args(["inspect", "--journal"]).env("PATH", "/nonexistent").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("there is no journalctl on this machine") && said.lines().count() == 1, "{said}");

    write(folder.path(), "journalctl", "#!/bin/sh\necho 'No journal files were found.' >&2\nexit 1\n");
    let output = journal(&["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("journal: journalctl ended with exit status: 1: No journal files were found"), "{said}");
}

/// The most memory that a command held, in bytes.
#[allow(clippy::zombie_processes)] // wait4 waits for it
fn peak(arguments: &[&str]) -> u64 {
    let child = lineside().args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: both point to memory of their own that the call may write to; the child is waited for nowhere else.
    let waited = unsafe { libc::wait4(child.id() as i32, &mut status, 0, usage.as_mut_ptr()) };
    assert!(waited > 0 && libc::WEXITSTATUS(status) == 0, "{status}");
    // SAFETY: the call filled it.
    unsafe { usage.assume_init() }.ru_maxrss as u64 * 1024
}

#[test]
fn memory_does_not_grow_with_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut story = Story::new("line3");
    story.start("clean");
    let mut logs = Vec::new();
    for (name, days) in [("short.log", 1), ("long.log", 30)] {
        story.go(days * 24 * HOUR);
        for score in 0..days * 100 {
            story.event(0.99 + 1e-5 * score as f64, 30.0);
        }
        logs.push(write(folder.path(), name, story.text()));
    }
    let size = |path: &PathBuf| std::fs::metadata(path).unwrap().len();
    assert!(size(&logs[1]) > 25 * size(&logs[0]));
    let peaks = [&logs[0], &logs[1]].map(|path| peak(&["inspect", arg(path)]));
    assert!(peaks[1] < peaks[0] + (3 << 20), "{peaks:?}");
}

#[test]
fn what_the_program_writes_is_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let line = format!(
        "[source.pattern]\nwidth = 640\nheight = 480\n[anomaly]\nbundle = \"inspect-demo\"\n[output]\nfolder = \"{}\"\n",
        out.display()
    );
    let line = config(folder.path(), &line);
    let mut logs = Vec::new();
    for (name, format) in [("text.log", "text"), ("json.log", "json")] {
        let output = lineside().args(["--log-format", format, "run", arg(&line), "--frames", "60"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        logs.push(write(folder.path(), name, &output.stderr));
    }
    let events = common::records(&out);
    let defects = events.iter().filter(|record| record["record"] == "event").count();
    let all = report(&[arg(&logs[0]), arg(&logs[1]), arg(&out)]);
    assert_eq!(endings(&all), ["clean", "clean"], "{all:#}");
    assert_eq!(all["frames"]["captured"], 120);
    let of = |name: &str| all["frames"][name].as_u64().unwrap();
    assert_eq!(of("captured"), of("inspected") + of("skipped_similar") + of("dropped_stale") + of("failed"));
    assert_eq!(all["boards"][0]["events"], defects);
    assert_eq!(all["defects"], defects);
    assert_eq!(all["boards"].as_array().unwrap().len(), 1);
    assert!(all["latency"]["p50"].as_f64().unwrap() > 0.0);
    let grave = all["findings"].as_array().unwrap().iter().filter(|finding| finding["weight"] == "grave").count();
    assert_eq!(grave, 0, "{:#}", all["findings"]);
    // The folder alone gives the same frames.
    assert_eq!(report(&[arg(&out)])["frames"], all["frames"]);
}

#[test]
fn what_is_not_understood_or_passed_over_is_named_and_the_exit_code_says_so() {
    let mut story = Story::new("line3");
    story.start("clean").go(HOUR).stop("stop asked for");
    let folder = tempfile::tempdir().unwrap();
    // A month that is in no language, and nothing in the log shows which it is.
    let odd = story.short().replace("2026-11-21T", "Qwx 21 ").replace("+0000", "");
    let path = write(folder.path(), "odd.log", &odd);
    let output = lineside().args(["inspect", arg(&path)]).output().unwrap();
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("lines whose time is not understood") && said.contains("Qwx"), "{said}");
    assert!(!said.contains("needs attention"), "{said}");
    let output = lineside().args(["inspect", arg(&path), "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["frames"]["captured"], story.captured());
    let read = &report["read"][0];
    assert!(read["unread"].as_u64() > Some(100) && read["first_unread"]["line"] == 1, "{read}");
    // The same in German is read.
    let path = write(folder.path(), "german.log", odd.replace("Qwx 21", "Dez 21"));
    assert_eq!(report_on(&path)["read"][0]["unread"], 0);
    // Deeper than folders are searched.
    let deep = (0..20).fold(folder.path().join("tree"), |path, level| path.join(level.to_string()));
    std::fs::create_dir_all(&deep).unwrap();
    write(&deep, "deep.log", story.text());
    let tree = folder.path().join("tree");
    common::refuse(&["inspect", arg(&tree)], 1, &["1 folder deeper than 16 levels is not searched"]);
    write(&tree, "a.log", story.text());
    let output = lineside().args(["inspect", arg(&tree)]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("deeper than 16 levels"), "{}", text(&output.stdout));
    // Behind a link.
    let linked = folder.path().join("linked");
    std::fs::create_dir(&linked).unwrap();
    std::os::unix::fs::symlink("../tree/0", linked.join("old logs")).unwrap();
    let not_followed = "1 link to a folder is not followed";
    common::refuse(&["inspect", arg(&linked)], 1, &[not_followed, "old logs among them: name what is to be read, too"]);
    write(&linked, "a.log", story.text());
    let output = lineside().args(["inspect", arg(&linked)]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains(not_followed), "{}", text(&output.stdout));
    std::os::unix::fs::symlink("..", linked.join("b")).unwrap();
    std::fs::remove_file(linked.join("old logs")).unwrap();
    std::fs::remove_dir_all(&tree).unwrap();
    let output = lineside().args(["inspect", arg(&linked), arg(folder.path())]).output().unwrap();
    assert!(!text(&output.stdout).contains(not_followed), "{}", text(&output.stdout));
}

#[test]
fn a_full_output_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut story = Story::new("line3");
    let path = write(folder.path(), "a.log", story.start("clean").go(MINUTE).text());
    for json in [&[][..], &["--json"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = lineside().args(["inspect", arg(&path)]).args(json).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stderr), "lineside: stdout: No space left on device (os error 28)\n");
    }
}

fn report_on(path: &Path) -> Value {
    report(&[arg(path)])
}
