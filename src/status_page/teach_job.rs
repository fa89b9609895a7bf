//! The thread of teaching: frames, then the command in a process of its own, then the new version in the bundle's home, or what a version
//! found of the marked frames.

use super::control::Control;
use super::limits::STACK;
use super::line_controls::NewRole;
use super::page::PageState;
use super::teaching::{
    FramesFrom, Teaching, TeachingFolder, TeachingKind, TeachingOrder, TeachingState, collect, keep_scores,
};
use super::versions::home_of;
use crate::background::BackgroundProcess;
use crate::bundle::{Bundle, Home};
use crate::telemetry::Cause;
use crate::threads::{describe_failure, lower_priority, not_started};
use crate::times::BEAT;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// The name of the thread.
pub const TEACHING_THREAD: &str = "teaching";
/// The longest that a job may take: what hangs does not hang for ever. Where inspection needs all cores it gets about a seventieth of one.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// How often the process is listened to, and a stop is looked for.
const POLL: Duration = Duration::from_millis(BEAT.as_millis() as u64 / 2);

/// How a job ends without a new version.
enum Ended {
    Failed(String),
    Cancelled(String),
    Stopped,
}

impl From<String> for Ended {
    fn from(problem: String) -> Ended {
        Ended::Failed(problem)
    }
}

/// Starts the thread.
///
/// # Errors
/// Where it cannot be started.
pub fn start(page: &Arc<PageState>) -> io::Result<JoinHandle<()>> {
    let page = Arc::clone(page);
    let thread = Builder::new().name(TEACHING_THREAD.into()).stack_size(STACK).spawn(move || run(&page));
    thread.map_err(|error| not_started(TEACHING_THREAD, &error))
}

fn run(page: &PageState) {
    let Some((control, teaching)) =
        page.control.as_ref().and_then(|control| Some((control, control.teaching.as_ref()?)))
    else {
        return;
    };
    // Frames are encoded, files hashed and copied: behind inspection, where the board allows it.
    let _ = lower_priority();
    if let Ok(home) = home_of(&page.line.bundle)
        && let Err(error) = TeachingFolder::remove_leftover(home.folder())
    {
        log::warn!("{}: what an interrupted job left cannot be removed: {error}", home.folder().display());
    }
    while !page.is_stopping() {
        let Some((order, scratch)) = teaching.take() else {
            std::thread::sleep(POLL);
            continue;
        };
        let job = Job { page, control, teaching, order, begun: Instant::now() };
        if catch_unwind(AssertUnwindSafe(|| job.run(scratch))).is_err() {
            let problem = describe_failure(TEACHING_THREAD);
            control.telemetry().fail(Cause::Page, &problem);
            job.end(Err(Ended::Failed(problem)));
        }
    }
}

struct Job<'a> {
    page: &'a PageState,
    control: &'a Control,
    teaching: &'a Teaching,
    order: TeachingOrder,
    begun: Instant,
}

impl Job<'_> {
    fn run(&self, scratch: TeachingFolder) {
        let outcome = self.work(&scratch);
        // Before it is said that it is over: the next job finds room.
        drop(scratch);
        let is_new = outcome.is_ok() && self.order.role.is_some();
        self.end(outcome);
        if is_new {
            (self.page.line.reload)();
        }
    }

    fn work(&self, scratch: &TeachingFolder) -> Result<Home, Ended> {
        match self.order.role {
            Some(role) => self.learn(scratch, role),
            None => self.judge(scratch),
        }
    }

    /// Has the version of the order judge the marked frames.
    fn judge(&self, scratch: &TeachingFolder) -> Result<Home, Ended> {
        let (home, scores) = (self.home()?, scratch.folder().join("scores.jsonl"));
        let (version, marks) = (home.version_folder(&self.order.of), &self.control.marks);
        let (good, defect) = (marks.good_folder(), marks.defect_folder());
        let mut command = words(&[&"eval", &version, &"--threads=1", &"--scores", &scores, &"--normal", &good]);
        if defect.is_dir() {
            command.extend(words(&[&"--defect", &defect]));
        }
        // Where a picture is damaged it fails after all others were judged, and says how many there are.
        match self.run_command(&command) {
            Err(Ended::Failed(problem)) if scores.is_file() => {
                self.teaching.newest.update(|report| report.warn(problem))
            }
            ended => ended?,
        }
        let _alone = self.control.wait_to_change();
        let home = self.home()?;
        keep_scores(&home, &self.order.of, &scores)
            .map_err(|error| format!("{}: the scores cannot be kept: {error}", home.folder().display()))?;
        Ok(home)
    }

    /// Makes a version that has learned from the frames of the order.
    fn learn(&self, scratch: &TeachingFolder, role: NewRole) -> Result<Home, Ended> {
        let of_camera = scratch.folder().join("frames");
        let frames = match self.order.frames {
            FramesFrom::Marks => self.control.marks.good_folder(),
            FramesFrom::Camera => of_camera,
        };
        if self.order.frames == FramesFrom::Camera {
            let (live, keep_free) = (&self.page.live, self.control.marks.keep_free());
            let taken = |taken, defects| {
                self.teaching.newest.update(|report| (report.taken, report.defects) = (taken, defects));
            };
            collect(live, &self.order, &frames, keep_free, || self.interrupted(), taken)?;
            self.teaching.newest.update(|report| report.state = TeachingState::Running);
        }
        let home = self.home()?;
        let old = home.version_folder(&self.order.of);
        let new = scratch.folder().join(home.name());
        self.run_command(&self.command(&old, &frames, &new))?;
        self.install(&new, role)
    }

    /// The home, whose active version is still that of the order; that of the order is still there, where it only judges.
    fn home(&self) -> Result<Home, Ended> {
        let home = home_of(&self.page.line.bundle).map_err(|(_, problem)| problem)?;
        match self.order.role {
            Some(_) if home.state().active != self.order.of => {
                Err(Ended::Failed("another version is the active one by now: begin again".into()))
            }
            None if !home.state().versions().any(|version| *version == self.order.of) => {
                Err(Ended::Failed("this version is gone by now: look again".into()))
            }
            _ => Ok(home),
        }
    }

    fn command(&self, old: &Path, frames: &Path, new: &Path) -> Vec<OsString> {
        if self.order.what == TeachingKind::Recalibrate {
            return words(&[&"recalibrate", &old, &"--good", &frames, &"--frames", &"1000", &"--out", &new, &"--json"]);
        }
        // The features of one picture take as long as it takes; more threads would only hinder inspection.
        words(&[&"teach", &"--like", &old, &"--normal", &frames, &"--threads=1", &"--out", &new, &"--json"])
    }

    fn run_command(&self, command: &[OsString]) -> Result<(), Ended> {
        let newest = &self.teaching.newest;
        let mut process = BackgroundProcess::start(self.teaching.memory, command)
            .map_err(|error| format!("its process cannot be started: {error}"))?;
        loop {
            let ended = process.poll();
            newest.update(|report| {
                report.set_progress(process.progress());
                let (warnings, warned) = process.warnings();
                if warned != report.warned {
                    (report.warnings, report.warned) = (warnings.to_vec(), warned);
                }
            });
            match ended {
                Some(Ok(result)) => {
                    let result = serde_json::from_str(&result).unwrap_or(Value::Null);
                    newest.update(|report| report.result = result);
                    return Ok(());
                }
                Some(Err(problem)) => return Err(Ended::Failed(self.explained(problem))),
                None => {}
            }
            if let Some(end) = self.interrupted() {
                return Err(end);
            }
            std::thread::sleep(POLL);
        }
    }

    /// A failure, with what to do where the process had too little memory.
    fn explained(&self, problem: String) -> String {
        match crate::memory::OVER_HEAP_LIMIT.strip_prefix("lineside: ") {
            Some(over) if problem == over => {
                let memory = bytesize::ByteSize(self.teaching.memory);
                format!("{problem}, which is status_page.teach_memory ({memory}): set more, or take fewer frames")
            }
            _ => problem,
        }
    }

    /// Makes what the command wrote a version of the home.
    fn install(&self, new: &Path, role: NewRole) -> Result<Home, Ended> {
        let _alone = self.control.wait_to_change();
        // Whoever changed something meanwhile has asked for another state.
        let home = self.home()?;
        if let Some(end) = self.interrupted() {
            return Err(end);
        }
        let bundle = Bundle::open(new).map_err(|error| error.to_string())?;
        let installed = home.store().install(&home.name(), &bundle, role.begin());
        Ok(installed.map_err(|error| error.to_string())?.home)
    }

    /// Whether it has to end before it is done.
    fn interrupted(&self) -> Option<Ended> {
        if self.page.is_stopping() {
            return Some(Ended::Stopped);
        }
        if let Some(from) = self.teaching.cancelled_by() {
            return Some(Ended::Cancelled(from));
        }
        let hours = LONGEST.as_secs() / 3600;
        (self.begun.elapsed() >= LONGEST).then(|| Ended::Failed(format!("it was not done within {hours} hours")))
    }

    /// Says what came of it: in the report, and in a record.
    fn end(&self, outcome: Result<Home, Ended>) {
        let (state, version, problem, from) = match outcome {
            Ok(home) => {
                let known = home.state();
                let version = match self.order.role {
                    Some(NewRole::Shadow) => known.shadow.clone(),
                    Some(NewRole::Active) => Some(known.active.clone()),
                    None => Some(self.order.of.clone()),
                };
                (TeachingState::Done, version, None, None)
            }
            Err(Ended::Failed(problem)) => (TeachingState::Failed, None, Some(problem), None),
            Err(Ended::Cancelled(from)) => (TeachingState::Cancelled, None, None, Some(from)),
            Err(Ended::Stopped) => (TeachingState::Stopped, None, None, None),
        };
        let mut record = self.control.record("teaching_ended").with("outcome", state.word());
        record = record.with("what", self.order.what.word()).with("of", self.order.of.as_str());
        record = record.with_known("version", version.as_deref()).with_known("problem", problem.as_deref());
        record = record.with_known("from", from.as_deref()).with("seconds", self.begun.elapsed().as_secs());
        self.control.persist(record);
        self.teaching.newest.update(|report| {
            (report.state, report.version, report.problem) = (state, version, problem);
        });
    }
}

fn words(of: &[&dyn AsRef<OsStr>]) -> Vec<OsString> {
    of.iter().map(|word| word.as_ref().to_os_string()).collect()
}
