//! Lines follow the verdicts, before anybody writes them down.

use lineside::bundle::Bundle;
use lineside::field::Interval;
use lineside::pipeline::{Inspection, Pipeline, Report, Reporter, RunObserver, Shutdown, Status};
use lineside::sink::Signal;
use lineside::source::{FolderMode, FolderSource};
use lineside::task::{Judge, Tasks};
use lineside::telemetry::{Cause, Telemetry};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What happened, in order.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<(&'static str, bool)>>>);

impl Diary {
    fn note(&self, who: &'static str, defect: bool) {
        self.0.lock().unwrap().push((who, defect));
    }

    fn of(&self, who: &str) -> Vec<bool> {
        self.0.lock().unwrap().iter().filter(|note| note.0 == who).map(|note| note.1).collect()
    }
}

impl Signal for Diary {
    fn verdict(&mut self, defect: bool, _: Instant) {
        self.note("line", defect);
    }

    fn tick(&mut self, _: Instant) {
        self.note("tick", false);
    }
}

impl Reporter for Diary {
    fn verdict(&mut self, report: &Report) -> bool {
        self.note("writer", report.verdict.defect);
        true
    }

    fn failed(&mut self, name: &str, _: Cause, reason: &str) {
        panic!("{name}: {reason}");
    }
}

/// Looks after nothing.
struct Nobody;

impl RunObserver for Nobody {
    fn status(&mut self, _: &Status, _: &Interval) {}
    fn poll(&mut self, _: &Status, _: bool, _: &Shutdown) {}
}

#[test]
fn lines_follow_every_verdict_and_are_first_to_know() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/inspect-demo");
    let diary = Diary::default();
    let mode = FolderMode::Listed { repeat: false, fps: Some(20.0) };
    let pipeline = Pipeline {
        // Slow enough that the line is asked in between.
        source: Box::new(
            FolderSource::open(&folder.join("frames"), mode, Vec::new(), 100_000, &Telemetry::default()).unwrap(),
        ),
        inspection: Inspection {
            tasks: Tasks::one("anomaly", Judge::new(&Bundle::open(&folder).unwrap(), None, 1).unwrap()),
            shadows: Vec::new(),
            trials: Vec::new(),
            enlargement: None,
            skip_similar: 0.0,
            normal_every: 0,
            signals: vec![Box::new(diary.clone())],
            viewer: None,
            results: None,
            products: None,
            smaller: None,
        },
        frames: None,
        shedding: Arc::default(),
        telemetry: Telemetry::default(),
    };
    let (ending, _) = pipeline.run(&Shutdown::default(), diary.clone(), &mut Nobody);
    let (line, writer) = (diary.of("line"), diary.of("writer"));
    assert_eq!(line.len() as u64, ending.status.counts.inspected);
    assert!(line.contains(&true) && line.contains(&false), "{line:?}");
    assert_eq!(line, writer);
    assert!(!diary.of("tick").is_empty(), "a hold time could not end between two frames");
    // At no time had the writer seen more verdicts than the line.
    let mut ahead = 0_i64;
    for (who, _) in diary.0.lock().unwrap().iter() {
        ahead += i64::from(*who == "line") - i64::from(*who == "writer");
        assert!(ahead >= 0);
    }
}
