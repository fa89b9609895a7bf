//! Four cameras in one process: one is fast, one hangs, one is slow, one panics; nobody is held up by another.

use super::plan::plan_cameras;
use super::run::CameraProcess;
use crate::config::Config;
use crate::line::console::Console;
use crate::line::mode::Mode;
use crate::line::run::CameraOutcome;
use crate::line::service::LineService;
use crate::memory::Bill;
use crate::pipeline::{Counts, Shutdown};
use crate::service::{CamerasManager, Reload};
use crate::sink::Signal;
use crate::source::{Frame, FrameSource, Next, PatternSource};
use crate::telemetry::Telemetry;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Frames of the fast camera.
const FAST: u64 = 60;
/// Ends a test that hangs. What is waited for takes minutes where another CPU is emulated on a busy machine.
const HANGS: Duration = Duration::from_secs(30 * 60);

/// Frames that a camera has judged so far.
#[derive(Clone, Default)]
struct Judged(Arc<AtomicU64>);

impl Judged {
    fn wait_for(&self, count: u64) {
        let begun = Instant::now();
        while self.0.load(Relaxed) < count {
            assert!(begun.elapsed() < HANGS, "{} of {count} frames were judged", self.0.load(Relaxed));
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Signal for Judged {
    fn verdict(&mut self, _: bool, _: Instant) {
        self.0.fetch_add(1, Relaxed);
    }

    fn tick(&mut self, _: Instant) {}
}

/// Judging takes as long as the fast camera needs for twenty frames.
struct Slow(Judged, u64);

impl Signal for Slow {
    fn verdict(&mut self, _: bool, _: Instant) {
        self.1 += 1;
        self.0.wait_for((20 * self.1).min(FAST));
    }

    fn tick(&mut self, _: Instant) {}
}

/// A source that does something odd after its first frames.
struct Odd {
    frames: PatternSource,
    before: u32,
    /// Hangs until the fast camera has judged all of its frames and the records of the one that panics have a second stop, and then ends;
    /// without, it panics.
    hangs: Option<(Judged, PathBuf)>,
}

impl FrameSource for Odd {
    fn next(&mut self, frame: &mut Frame) -> Next {
        if self.before > 0 {
            self.before -= 1;
            return self.frames.next(frame);
        }
        let Some((fast, records)) = &self.hangs else { panic!("a fault of this program, as the test wants it") };
        fast.wait_for(FAST);
        // Where no camera runs any more, one that is down is not started again.
        let begun = Instant::now();
        let stops = || std::fs::read_to_string(records).map_or(0, |text| text.matches("\"record\":\"stop\"").count());
        while stops() < 2 {
            assert!(begun.elapsed() < HANGS, "the camera that panicked does not run again");
            std::thread::sleep(Duration::from_millis(20));
        }
        Next::Ended
    }

    fn is_live(&self) -> bool {
        false
    }

    fn frame_size(&self) -> Option<(usize, usize)> {
        self.frames.frame_size()
    }

    fn max_pixels(&self) -> usize {
        self.frames.max_pixels()
    }

    fn describe(&self) -> String {
        "odd".into()
    }
}

fn configs(folder: &Path, cameras: &[(&str, u64)]) -> Vec<Config> {
    let mut text = format!("[super_resolution]\nwhen = \"never\"\n[output]\nfolder = {folder:?}\n");
    for (name, frames) in cameras {
        let source = format!("width = 160\nheight = 120\nframes = {frames}\n");
        text += &format!("[[camera]]\nname = \"{name}\"\n[camera.source.pattern]\n{source}");
    }
    Config::parse_all(&text, Path::new("line.toml")).unwrap()
}

fn process(frames: Option<u64>) -> CameraProcess<'static> {
    CameraProcess {
        manager: CamerasManager::default(),
        telemetry: Telemetry::default(),
        console: Console::start(Box::new(std::io::sink()), false).unwrap(),
        path: None,
        shutdown: Shutdown::default(),
        reload: Reload::default(),
        summary: &|_| String::new(),
        frames,
        outputs: Vec::new(),
        reading: None,
    }
}

fn counts(outcome: &CameraOutcome) -> Counts {
    outcome.outcome.as_ref().unwrap().ending.status.counts
}

fn records(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("events.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_camera_that_hangs_or_is_slow_or_fails_holds_no_other_back() {
    let folder = tempfile::tempdir().unwrap();
    let configs = configs(folder.path(), &[("fast", FAST), ("hangs", 9), ("slow", 3), ("panics", 5)]);
    let mut process = process(None);
    let services: Vec<LineService> = configs.iter().map(|config| process.service(config)).collect();
    let telemetries: Vec<Telemetry> = services.iter().map(|service| service.telemetry.clone()).collect();
    let kept = services.iter().map(LineService::begin_run).collect();
    let mut plan = plan_cameras(&configs, Mode::Run, &telemetries).unwrap();
    // The fast one must not be held up; the others depend on its progress, so that a single queue or lock between them would be a
    // deadlock, and not only a matter of time.
    let fast = Judged::default();
    let odd = |hangs| Box::new(Odd { frames: PatternSource::new(160, 120, 1, 0, None, None), before: 2, hangs });
    plan.lines[0].pipeline.inspection.signals.push(Box::new(fast.clone()));
    plan.lines[1].pipeline.source = odd(Some((fast.clone(), folder.path().join("panics/events.jsonl"))));
    plan.lines[2].pipeline.inspection.signals.push(Box::new(Slow(fast.clone(), 0)));
    plan.lines[3].pipeline.source = odd(None);
    let members = process.members(configs, services, kept, &mut plan);
    let ended = process.run_members(members, (&plan.models, &plan.bill), None).unwrap();

    let captured: Vec<u64> = ended.outcomes.iter().map(|outcome| counts(outcome).captured).collect();
    // The one that panicked was started again alone, with the source of its configuration.
    assert_eq!(captured, [FAST, 2, 3, 5]);
    for outcome in &ended.outcomes {
        let counts = counts(outcome);
        assert_eq!(counts.captured, counts.inspected + counts.skipped_similar + counts.dropped_stale + counts.failed);
        outcome.check().unwrap();
    }
    for (name, runs) in [("fast", 1), ("hangs", 1), ("slow", 1), ("panics", 2)] {
        let records = records(&folder.path().join(name));
        assert!(records.iter().all(|record| record["camera"] == *name), "{records:?}");
        let of = |kind: &str| records.iter().filter(|record| record["record"] == *kind).collect::<Vec<_>>();
        assert_eq!((of("start").len(), of("stop").len()), (runs, runs), "{name}");
        assert_eq!(of("camera_failed").len(), runs - 1);
        if let [failed] = &of("camera_failed")[..] {
            assert!(failed["error"].as_str().unwrap().contains("the thread \"capture\" failed"), "{failed}");
            assert_eq!((&of("stop")[0]["reason"], &failed["run"]), (&"a thread failed".into(), &of("start")[1]["run"]));
        }
    }
}

#[test]
fn models_are_loaded_once_and_the_bill_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let plan = |count: usize| {
        let names = [("a", 1), ("b", 1), ("c", 1), ("d", 1)];
        let configs = configs(folder.path(), &names[..count]);
        plan_cameras(&configs, Mode::Run, &vec![Telemetry::default(); count]).unwrap()
    };
    let (one, four) = (plan(1), plan(4));
    let of = |bill: &Bill, what: &str| {
        let line = bill.line();
        let items = line.split("; ").filter(|item| item.contains(what));
        items.map(|item| item.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(of(&four.bill, "inspect-demo weights"), of(&one.bill, "inspect-demo weights"));
    assert_eq!(of(&four.bill, "program").len(), 1);
    for own in ["arena", "inspect-demo statistics", "frames (3 in turn"] {
        assert_eq!(of(&four.bill, own).len(), 4, "each has its own {own}: {}", four.bill.line());
    }
    // The weights are the same bytes, not only counted once.
    let plans = four.lines.iter().map(|line| line.pipeline.inspection.tasks.first().shared_plans());
    let plans: Vec<_> = plans.collect();
    assert!(plans[1..].iter().all(|other| other.iter().zip(&plans[0]).all(|(a, b)| Arc::ptr_eq(a, b))));
    // Of what a camera takes alone and what all share, nothing is left out.
    let alone: u64 = four.bills.iter().map(Bill::total).sum();
    let shared: u64 = four.bill.total() - alone;
    assert!(shared > 0 && four.lines.iter().all(|line| line.bill.total() == four.bill.total()));
    // More than there is: refused before the first frame.
    let text =
        format!("[budget]\nmemory = \"{} B\"\n[output]\nfolder = {:?}\n", one.bill.total() + (1 << 20), folder.path());
    let camera = |name: &str| {
        format!("[[camera]]\nname = \"{name}\"\n[camera.source.pattern]\nwidth = 160\nheight = 120\nframes = 1\n")
    };
    let never = "[super_resolution]\nwhen = \"never\"\n";
    let configs = Config::parse_all(&(text + never + &camera("a") + &camera("b")), Path::new("line.toml")).unwrap();
    let refused = plan_cameras(&configs, Mode::Run, &vec![Telemetry::default(); 2]).err().unwrap().to_string();
    assert!(refused.contains("line.toml:2: ") && refused.contains("budget.memory is"), "{refused}");
}

#[test]
fn where_no_camera_runs_the_process_ends() {
    let folder = tempfile::tempdir().unwrap();
    // Both folders of results are taken by files.
    ["a", "b"].iter().for_each(|name| std::fs::write(folder.path().join(name), "").unwrap());
    let configs = configs(folder.path(), &[("a", 1), ("b", 1)]);
    let mut process = process(None);
    let services: Vec<LineService> = configs.iter().map(|config| process.service(config)).collect();
    let telemetries: Vec<Telemetry> = services.iter().map(|service| service.telemetry.clone()).collect();
    let kept = services.iter().map(LineService::begin_run).collect();
    let mut plan = plan_cameras(&configs, Mode::Run, &telemetries).unwrap();
    let members = process.members(configs, services, kept, &mut plan);
    let ended = process.run_members(members, (&plan.models, &plan.bill), None).unwrap();
    for outcome in ended.outcomes {
        let error = format!("{:#}", outcome.check().unwrap_err());
        let camera = outcome.camera.unwrap();
        assert!(
            error.starts_with(&format!("camera {camera}: ")) && error.contains("cannot write results there"),
            "{error}"
        );
    }
}
