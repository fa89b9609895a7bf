//! Two lines in one process, at the same time.

use super::{Line, RunOutcome, run};
use crate::pipeline::Shutdown;
use crate::service::Reload;
use crate::telemetry::{LogFormat, LogSettings, LogTarget, Telemetry};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Barrier, Mutex};

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a line left behind.
struct Left {
    outcome: RunOutcome,
    log: Vec<Value>,
    records: Vec<Value>,
    active_faults: Option<String>,
}

/// Runs a line in `folder` as soon as the other one is ready to, too.
fn line(folder: &Path, source: &str, together: &Barrier) -> Left {
    let (path, output) = (folder.join("line.toml"), folder.join("results"));
    let never = "[super_resolution]\nwhen = \"never\"\n";
    std::fs::write(&path, format!("{source}[output]\nfolder = {output:?}\n{never}")).unwrap();
    let log = Log::default();
    let target = LogTarget::Writer(Box::new(log.clone()));
    let telemetry = Telemetry::new(LogSettings { format: LogFormat::Json, filter: None, target });
    together.wait();
    let outcome = run(Line {
        path: Some(&path),
        frames: None,
        shutdown: Shutdown::default(),
        reload: Reload::default(),
        telemetry: telemetry.clone(),
        console: Box::new(io::sink()),
        coloured: false,
        summary: &|_| String::new(),
    })
    .unwrap();
    let lines = |text: &str| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let log = lines(std::str::from_utf8(&log.0.lock().unwrap()).unwrap());
    let records = lines(&std::fs::read_to_string(output.join("events.jsonl")).unwrap());
    Left { outcome, log, records, active_faults: telemetry.active_faults() }
}

/// The values of a field in the records of a kind.
fn values<'a>(records: &'a [Value], kind: &str, field: &str) -> BTreeSet<&'a str> {
    let of_kind = records.iter().filter(|record| kind.is_empty() || record["record"] == kind);
    of_kind.map(|record| record[field].as_str().unwrap()).collect()
}

#[test]
fn faults_runs_counts_and_events_of_two_lines_do_not_mix() {
    let [folder, pattern] = [(), ()].map(|()| tempfile::tempdir().unwrap());
    // One has damaged frames, the other a page whose address is taken.
    let (frames, shipped) = (folder.path().join("frames"), Path::new("models/inspect-demo/frames"));
    std::fs::create_dir(&frames).unwrap();
    for (to, from) in [("1.jpg", "normal/part-01.jpg"), ("2.jpg", "defect/part-05-scratch.jpg")] {
        std::fs::copy(shipped.join(from), frames.join(to)).unwrap();
    }
    (3..20).for_each(|number| std::fs::write(frames.join(format!("{number}.png")), "no picture").unwrap());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    // Without a rate of its own no frame is dropped; the other line lasts for a second at least, however fast the machine, and
    // drops what a slow one has no time for.
    let of_folder = format!("[source.folder]\npath = {frames:?}\n");
    let of_pattern = format!(
        "[source.pattern]\nwidth = 160\nheight = 120\nfps = 20\nframes = 20\n[anomaly]\nthreshold = 0.0\n\
         [status_page]\nlisten = \"{}\"\n",
        taken.local_addr().unwrap()
    );
    let together = Barrier::new(2);
    let (a, b) = std::thread::scope(|scope| {
        let a = scope.spawn(|| line(folder.path(), &of_folder, &together));
        let b = scope.spawn(|| line(pattern.path(), &of_pattern, &together));
        (a.join().unwrap(), b.join().unwrap())
    });

    let mut runs = BTreeSet::new();
    let inspected = b.outcome.ending.status.counts.inspected;
    assert!((1..=20).contains(&inspected), "{inspected}");
    for (left, fault, events, failed) in [(&a, "frame", 1, 17), (&b, "page", inspected, 0)] {
        let Left { outcome, log, records, active_faults } = left;
        // Every record and every line of the log belongs to the line's own run.
        let run = values(log, "", "run");
        assert_eq!((run.len(), &values(records, "", "run")), (1, &run));
        runs.extend(run.iter().copied());
        for records in [log, records] {
            assert_eq!(values(records, "fault", "fault"), [fault].into());
        }
        assert_eq!(values(records, "status", "faults"), [fault].into());
        assert_eq!(active_faults.as_deref(), Some(fault));
        // Events are numbered from one.
        let prefix = run.first().unwrap();
        let mut ids: Vec<u64> = Vec::new();
        for id in values(records, "event", "id") {
            assert!(id.starts_with(prefix) && id.len() > 17, "{id}");
            ids.push(id[17..].parse().unwrap());
        }
        ids.sort();
        assert_eq!(ids, (1..=events).collect::<Vec<u64>>());
        let stop = records.last().unwrap();
        let count = |field: &str| stop[field].as_u64().unwrap();
        let counts = outcome.ending.status.counts;
        assert_eq!((count("failed"), count("defects"), count("held_back")), (failed, events, 0));
        assert_eq!((count("captured"), counts.failed), (counts.captured, failed));
    }
    assert_eq!(runs.len(), 2);
}
