//! One of several cameras: its runs, one after the other. Where one of its threads has failed, or it could not be started, it alone is
//! started again after a while.

use super::next_configurations::NextConfigurations;
use super::plan::{finish, name, plan_camera};
use crate::bundle::Home;
use crate::config::{AlarmConfig, Config};
use crate::line::LinePlan;
use crate::line::mode::Mode;
use crate::line::next_run::{LONGEST_WAIT, Tries};
use crate::line::run::{Ended, RunOutcome};
use crate::line::service::LineService;
use crate::line::shared_models::SharedModels;
use crate::memory::Bill;
use crate::pipeline::Shutdown;
use crate::service::{CameraProgress, CameraState};
use crate::telemetry::Record;
use crate::threads::describe_failure;
use log::Level;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// One camera, over all runs until the next configuration.
pub(super) struct Member<'a> {
    pub(super) config: Config,
    pub(super) service: LineService<'a>,
    /// Its records wait here until its file is open.
    pub(super) kept: Receiver<Record>,
    /// Its next run, or why it has none.
    pub(super) ready: Result<LinePlan, String>,
    pub(super) frames: Option<u64>,
    /// What the other cameras take, in bytes, with what all share.
    pub(super) beside: u64,
    pub(super) control: Arc<MemberControl>,
}

/// What the main thread and the thread of a camera know of each other.
pub(super) struct MemberControl {
    pub(super) progress: Arc<CameraProgress>,
    /// Ends the present run.
    shutdown: Mutex<Shutdown>,
    /// No further run is to follow.
    ends: AtomicBool,
    /// But for one with a new configuration, which takes the alarm over as it is.
    hands_over: AtomicBool,
    /// The camera's name, and its alarm.
    name: String,
    alarm: Option<AlarmConfig>,
    /// The signals that end all cameras.
    signals: Shutdown,
}

impl MemberControl {
    pub(super) fn new(progress: Arc<CameraProgress>, signals: &Shutdown, config: &Config) -> MemberControl {
        let (shutdown, signals) = (Mutex::new(signals.another()), signals.clone());
        let (ends, hands_over) = (AtomicBool::new(false), AtomicBool::new(false));
        let (name, alarm) = (name(config).to_string(), config.alarm.clone());
        MemberControl { progress, shutdown, ends, hands_over, name, alarm, signals }
    }

    /// Ends the present run, and the camera with it; `next`: for what all cameras begin again with.
    pub(super) fn end(&self, next: Option<&NextConfigurations>) {
        let stays = |alarm: &AlarmConfig| match next {
            Some(NextConfigurations::New(configs)) => {
                configs.iter().any(|config| name(config) == self.name && alarm.stays_in(config))
            }
            // The same file, most likely.
            Some(NextConfigurations::FailedTrial { .. }) => alarm.latch,
            None => false,
        };
        self.hands_over.store(self.alarm.as_ref().is_some_and(stays), Relaxed);
        self.ends.store(true, Relaxed);
        self.ask(&self.shutdown());
    }

    fn ask(&self, run: &Shutdown) {
        if self.hands_over.load(Relaxed) {
            run.ask_and_hand_over();
        } else {
            run.ask();
        }
    }

    fn is_ending(&self) -> bool {
        self.ends.load(Relaxed) || self.signals.is_signalled()
    }

    /// The request to stop of a run that begins now.
    fn begin_run(&self) -> Shutdown {
        let another = self.signals.another();
        *self.shutdown() = another.clone();
        // Whoever asked before asked the run before.
        if self.ends.load(Relaxed) {
            self.ask(&another);
        }
        another
    }

    fn shutdown(&self) -> MutexGuard<'_, Shutdown> {
        self.shutdown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a camera tells the main thread.
pub(super) enum MemberReport {
    /// A run has ended.
    Outcome(usize, Box<RunOutcome>),
    /// It has failed, and its writer hangs in its files: it cannot be started again in this process.
    Hangs,
    /// An installed version did not stand its trial: all begin again with the one before.
    FailedTrial(usize, Box<Home>, String),
}

/// How a camera ended.
pub(super) enum MemberEnd {
    /// Its source has ended, or a stop was asked for.
    Done,
    /// It was down, for this reason.
    Down(String),
    /// Its writer hangs in its files: no other run can have them.
    Hangs(String),
}

impl Member<'_> {
    /// Runs the camera until its source ends or all are to stop.
    pub(super) fn live(
        &mut self,
        place: usize,
        models: &SharedModels,
        bill: &Bill,
        messages: &Sender<MemberReport>,
    ) -> MemberEnd {
        let mut tries = Tries::new();
        loop {
            let begun = Instant::now();
            let (failure, hangs) = match self.run_once() {
                Ok(ended) => {
                    let captured = ended.outcome.ending.status.counts.captured;
                    self.frames = self.frames.map(|frames| frames.saturating_sub(captured));
                    // What was asked for last holds for the next run.
                    if let Some(product) = &ended.product {
                        self.config.start_with(product.as_deref());
                    }
                    self.config.start_latched(ended.is_latched);
                    let failure = ended.outcome.ending.failure.clone();
                    // The main thread waits for this one, and takes all messages.
                    let _ = messages.send(MemberReport::Outcome(place, Box::new(ended.outcome)));
                    let trial = self.service.failed_trial.take();
                    match (failure, trial) {
                        (Some(failure), _) => (failure, ended.hangs),
                        (None, Some((home, why))) => {
                            let _ = messages.send(MemberReport::FailedTrial(place, Box::new(home), why));
                            return MemberEnd::Done;
                        }
                        (None, None) if ended.hangs => return MemberEnd::Hangs(hanging()),
                        (None, None) => return MemberEnd::Done,
                    }
                }
                Err(error) => (format!("{error:#}"), false),
            };
            if hangs {
                let _ = messages.send(MemberReport::Hangs);
                return MemberEnd::Hangs(failure);
            }
            self.control.progress.set_state(CameraState::Down);
            if begun.elapsed() >= LONGEST_WAIT {
                tries = Tries::new();
            }
            // Of the run that is to come: it is in that one's records.
            self.kept = self.service.begin_run();
            let telemetry = &self.service.telemetry;
            let record = telemetry.record(Level::Error, "camera_failed").with("error", failure.as_str());
            telemetry.log_and_persist(record.with("retry_s", tries.next_wait().as_secs()));
            if tries.wait(|| self.control.is_ending().then_some(())).is_some() {
                return MemberEnd::Down(failure);
            }
            match plan_camera(&self.config, Mode::Run, &self.service.telemetry, models, self.beside) {
                Ok(mut ready) => {
                    finish(&mut ready, &self.config, bill);
                    self.ready = Ok(ready);
                }
                // Reported by the next round, as any other failure.
                Err(error) => self.ready = Err(format!("{error:#}")),
            }
            models.forget_bundles();
        }
    }

    fn run_once(&mut self) -> anyhow::Result<Ended> {
        let mut ready = std::mem::replace(&mut self.ready, Err("it has no plan".into())).map_err(anyhow::Error::msg)?;
        ready.pipeline.frames = self.frames;
        let shutdown = self.control.begin_run();
        let kept = std::mem::replace(&mut self.kept, std::sync::mpsc::sync_channel(1).1);
        let run = || self.service.run_once(&self.config, ready, &shutdown, kept, None);
        catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| Err(anyhow::Error::msg(describe_failure(&format!("camera {}", name(&self.config))))))
    }
}

fn hanging() -> String {
    "the disk hangs: the new configuration is taken at the next start".into()
}
