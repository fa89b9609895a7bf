//! The main thread of a process with several cameras: it starts a thread for each, reports to the service manager for all, and takes a new
//! configuration for all.

use super::member::{Member, MemberControl, MemberEnd};
use super::next_configurations::NextConfigurations;
use super::plan::{CamerasPlan, name, plan_cameras};
use super::reported::Reported;
use crate::config::Config;
use crate::line::bill::CAMERA_STACK;
use crate::line::bundles;
use crate::line::console::{Console, Tone};
use crate::line::mode::Mode;
use crate::line::new_configuration::{NewConfiguration, try_beside};
use crate::line::next_run::{Interruption, Tries, report_down};
use crate::line::plan::configurations;
use crate::line::run::{CameraOutcome, Line, RunOutcome, remember, warn_of_secrets};
use crate::line::service::LineService;
use crate::line::shared_models::SharedModels;
use crate::line::signals::release_alarm;
use crate::memory::Bill;
use crate::pipeline::Shutdown;
use crate::service::{CameraProgress, CameraState, CamerasManager, Feeder, LineManager, Reload};
use crate::telemetry::{Record, Telemetry};
use crate::threads::{describe_failure, not_started};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::Builder;
use std::time::Duration;

/// How often the cameras are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Runs several cameras until all of them have ended or a stop is asked for. A reload ends all runs and begins the next ones with the new
/// configuration, or with the old one where the new one is refused.
///
/// # Errors
/// Where the cameras cannot be planned, or their threads not be started.
pub(in crate::line) fn run(line: Line, configs: Vec<Config>) -> anyhow::Result<Vec<CameraOutcome>> {
    let Line { path, frames, shutdown, reload, telemetry, console, coloured, summary } = line;
    let _log = telemetry.start_log_thread()?;
    let console = Console::start(console, coloured)?;
    let mut process = CameraProcess {
        manager: CamerasManager::default(),
        telemetry: telemetry.clone(),
        console,
        path,
        shutdown,
        reload,
        summary,
        frames,
        outputs: Vec::new(),
        reading: None,
    };
    if let Some(config) = configs.first() {
        warn_of_secrets(config, path, &process.telemetry);
    }
    let mut services = configs.iter().map(|config| process.service(config)).collect::<Vec<_>>();
    let mut configs = configs;
    configs.iter_mut().zip(&services).for_each(|(config, service)| remember(config, &service.telemetry));
    let mut kept = services.iter().map(LineService::begin_run).collect::<Vec<_>>();
    let mut plan = plan_cameras(&configs, Mode::Run, &telemetries(&services))?;
    let (mut feeder, stop) = (None, process.shutdown.clone());
    loop {
        let members = process.members(configs, services, kept, &mut plan);
        let orderly = stop.stop_orderly();
        let ended = process.run_members(members, (&plan.models, &plan.bill), feeder)?;
        drop(orderly);
        let Some(next) = ended.next.filter(|_| !process.shutdown.is_signalled()) else {
            ended.configs.iter().for_each(release_alarm);
            process.console.flush(&process.shutdown);
            return Ok(ended.outcomes);
        };
        if let Some(failure) = ended.hanging {
            ended.configs.iter().for_each(release_alarm);
            anyhow::bail!(failure);
        }
        // The old one's memory is free before the new one is loaded.
        drop(plan);
        let feeding = Feeder::start()?;
        // What is recorded from now on, whichever configuration it is with, is in the records of the run that follows.
        let (mut known, mut old_configs) = (ended.services.into_iter().map(begun).collect::<Vec<_>>(), ended.configs);
        if let NextConfigurations::FailedTrial { place, home, why } = &next {
            let telemetry = known.get(*place).map_or(&process.telemetry, |(service, _)| &service.telemetry);
            bundles::go_back(home, why, telemetry);
        }
        let mut wanted = Some(match next {
            NextConfigurations::New(configs) => Ok(configs),
            NextConfigurations::FailedTrial { .. } => configurations(path),
        });
        let mut tries = Tries::new();
        (configs, services, kept, plan) = loop {
            if let Some(wanted) = wanted.take() {
                let attempt = wanted.and_then(|mut configs| {
                    for config in &mut configs {
                        let before = old_configs.iter().find(|before| name(before) == name(config));
                        before.into_iter().for_each(|before| config.continue_with(before));
                    }
                    process.plan(configs, &mut known).map_err(|(_, error)| error)
                });
                match attempt {
                    Ok(next) => break next,
                    Err(error) => process.refuse_reload(&error),
                }
                feeding.begin_try();
            }
            let error = match process.plan(old_configs, &mut known) {
                Ok(next) => break next,
                Err((configs, error)) => {
                    old_configs = configs;
                    error
                }
            };
            // What is missing may be back in a minute.
            match process.wait_for_another_try(&mut tries, &feeding, &error) {
                Some(Interruption::Stop) => {
                    old_configs.iter().for_each(release_alarm);
                    process.console.flush(&process.shutdown);
                    return Ok(ended.outcomes.into_iter().map(CameraOutcome::down).collect());
                }
                Some(Interruption::Reload) => wanted = Some(configurations(path)),
                None => {}
            }
        };
        feeder = Some(feeding);
    }
}

/// Cameras with their plan: configurations, what outlasts their runs, their records until their files are open.
type Planned<'a> = (Vec<Config>, Vec<LineService<'a>>, Vec<Receiver<Record>>, CamerasPlan);

/// What outlasts the runs of a camera, and its records until the file of its next run is open.
type Begun<'a> = (LineService<'a>, Receiver<Record>);

/// What outlasts the runs of all cameras.
pub(super) struct CameraProcess<'a> {
    pub(super) manager: CamerasManager,
    pub(super) telemetry: Telemetry,
    pub(super) console: Console,
    pub(super) path: Option<&'a Path>,
    pub(super) shutdown: Shutdown,
    pub(super) reload: Reload,
    pub(super) summary: &'a dyn Fn(&RunOutcome) -> String,
    /// Each camera stops after so many frames.
    pub(super) frames: Option<u64>,
    /// The folders of results of the runs in use.
    pub(super) outputs: Vec<PathBuf>,
    /// Configurations that were asked for, while they are read and tried.
    pub(super) reading: Option<NewConfiguration<Vec<Config>>>,
}

/// What is left when all cameras have ended.
pub(super) struct AllEnded<'a> {
    pub(super) outcomes: Vec<CameraOutcome>,
    next: Option<NextConfigurations>,
    /// A camera whose writer hangs in its files, and what to do.
    hanging: Option<String>,
    services: Vec<LineService<'a>>,
    configs: Vec<Config>,
}

/// What outlasts the runs of a camera, with a new run begun: its records wait until that one's file is open.
fn begun(service: LineService) -> Begun {
    let kept = service.begin_run();
    (service, kept)
}

fn telemetries(services: &[LineService]) -> Vec<Telemetry> {
    services.iter().map(|service| service.telemetry.clone()).collect()
}

impl<'a> CameraProcess<'a> {
    /// What outlasts the runs of each camera: what there is already stays with a camera that is there still.
    fn services(&self, configs: &[Config], known: &mut Vec<Begun<'a>>) -> Vec<Begun<'a>> {
        let service = |config: &Config| {
            let is_its = |(service, _): &Begun| service.telemetry.camera() == Some(name(config));
            let at = known.iter().position(is_its);
            at.map_or_else(|| begun(self.service(config)), |at| known.swap_remove(at))
        };
        configs.iter().map(service).collect()
    }

    /// What outlasts the runs of one camera.
    pub(super) fn service(&self, config: &Config) -> LineService<'a> {
        let name = name(config);
        let manager = LineManager::Camera { progress: Arc::new(CameraProgress::new(name)), stored: None };
        let console = Arc::new(self.console.of_camera(name));
        // Of whoever asks for a new configuration, on a page say; the main thread takes it.
        LineService::new(manager, self.reload.clone(), self.path, self.telemetry.of_camera(name), console)
    }

    /// The cameras with their plans, each with a place of its own to report to.
    pub(super) fn members(
        &mut self,
        configs: Vec<Config>,
        services: Vec<LineService<'a>>,
        kept: Vec<Receiver<Record>>,
        plan: &mut CamerasPlan,
    ) -> Vec<Member<'a>> {
        let lines = std::mem::take(&mut plan.lines);
        self.outputs = configs.iter().map(|config| config.output.folder.get_ref().clone()).collect();
        let (all, bills) = (plan.bill.total(), plan.bills.iter().map(Bill::total));
        let members = configs.into_iter().zip(services).zip(kept).zip(lines.into_iter().zip(bills)).map(
            |(((config, mut service), kept), (line, own))| {
                let progress = Arc::new(CameraProgress::new(name(&config)));
                service.manager = LineManager::Camera { progress: Arc::clone(&progress), stored: None };
                let control = Arc::new(MemberControl::new(progress, &self.shutdown, &config));
                Member { config, service, kept, ready: Ok(line), frames: self.frames, beside: all - own, control }
            },
        );
        let members: Vec<Member> = members.collect();
        self.manager.watch(members.iter().map(|member| Arc::clone(&member.control.progress)).collect());
        members
    }

    /// Plans cameras; what outlasts their runs is taken from `known`, and back to it where they cannot be planned.
    fn plan(
        &self,
        configs: Vec<Config>,
        known: &mut Vec<Begun<'a>>,
    ) -> Result<Planned<'a>, (Vec<Config>, anyhow::Error)> {
        let (services, kept) = self.services(&configs, known).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        match plan_cameras(&configs, Mode::Run, &telemetries(&services)) {
            Ok(plan) => Ok((configs, services, kept, plan)),
            Err(error) => {
                known.extend(services.into_iter().zip(kept));
                Err((configs, error))
            }
        }
    }

    /// Reports that no camera can be started now, and waits until it is tried again.
    fn wait_for_another_try(&self, tries: &mut Tries, feeder: &Feeder, error: &anyhow::Error) -> Option<Interruption> {
        self.manager.manager().status(&report_down(&self.telemetry, error, tries));
        self.manager.manager().ready();
        // An alarm may be on that must not stay so.
        let _orderly = self.shutdown.stop_orderly();
        tries.wait_fed(feeder, || Interruption::of(&self.shutdown, &self.reload))
    }

    /// Runs the cameras until all have ended. `feeder` feeds the watchdog until all are ready.
    pub(super) fn run_members(
        &mut self,
        mut members: Vec<Member<'a>>,
        (models, bill): (&SharedModels, &Bill),
        mut feeder: Option<Feeder>,
    ) -> anyhow::Result<AllEnded<'a>> {
        let controls: Vec<Arc<MemberControl>> = members.iter().map(|member| Arc::clone(&member.control)).collect();
        let mut reported = Reported::of(&members);
        let (sender, reports) = channel();
        let ends = std::thread::scope(|scope| {
            let mut threads = Vec::with_capacity(members.len());
            for (place, member) in members.iter_mut().enumerate() {
                let (thread_name, sender) = (format!("camera {}", name(&member.config)), sender.clone());
                let work = move || {
                    let progress = Arc::clone(&member.control.progress);
                    let end = member.live(place, models, bill, &sender);
                    let is_down = matches!(end, MemberEnd::Down(_));
                    progress.set_state(if is_down { CameraState::Down } else { CameraState::Ended });
                    end
                };
                match Builder::new().name(thread_name.clone()).stack_size(CAMERA_STACK).spawn_scoped(scope, work) {
                    Ok(thread) => threads.push(thread),
                    Err(error) => {
                        // The scope waits for those that run.
                        controls.iter().for_each(|control| control.end(None));
                        return Err(not_started(&thread_name, &error));
                    }
                }
            }
            let mut stopping = false;
            while !threads.iter().all(|thread| thread.is_finished()) {
                std::thread::sleep(LOOK);
                reported.take(&reports);
                if self.manager.poll() {
                    feeder = None;
                }
                if self.shutdown.is_signalled() && !stopping {
                    stopping = true;
                    self.manager.manager().stopping();
                }
                if reported.next.is_none() && !stopping {
                    reported.next = self.take_reload(&controls).map(NextConfigurations::New);
                }
                if reported.next.is_some() {
                    controls.iter().for_each(|control| control.progress.make_way());
                }
                if reported.next.is_some() || reported.hangs || none_runs(&controls) {
                    controls.iter().for_each(|control| control.end(reported.next.as_ref()));
                }
            }
            let failed = |_| MemberEnd::Down(describe_failure("camera"));
            Ok(threads.into_iter().map(|thread| thread.join().unwrap_or_else(failed)).collect::<Vec<_>>())
        });
        let ends = ends?;
        if self.reading.take().is_some() {
            // The next runs, where there are some, take the newest file.
            self.reload.ask();
        }
        reported.take(&reports);
        let Reported { mut outcomes, next, .. } = reported;
        self.print_sums(&outcomes, next.is_none());
        let mut hanging = None;
        for (end, outcome) in ends.into_iter().zip(&mut outcomes) {
            match end {
                MemberEnd::Done => {}
                MemberEnd::Down(why) => outcome.failure = Some(why),
                MemberEnd::Hangs(why) => hanging = Some(why),
            }
        }
        let (services, configs) = members.into_iter().map(|member| (member.service, member.config)).unzip();
        Ok(AllEnded { outcomes, next, hanging, services, configs })
    }

    /// Prints the sum of each camera's last run; waits for the terminal only where nothing is to follow.
    fn print_sums(&self, outcomes: &[CameraOutcome], is_last: bool) {
        for (camera, outcome) in outcomes.iter().filter_map(|of| of.camera.as_ref().zip(of.outcome.as_ref())) {
            let sum = format!("\ncamera {camera}{}", (self.summary)(outcome));
            if is_last {
                self.console.print_patiently(sum, Tone::Plain, &self.shutdown);
            } else {
                self.console.print(sum, Tone::Plain);
            }
        }
    }

    /// The new configurations, where they are asked for and can be used.
    fn take_reload(&mut self, controls: &[Arc<MemberControl>]) -> Option<Vec<Config>> {
        // While a disk hangs the next run would wait for it, and nobody would inspect.
        if controls.iter().any(|control| control.progress.is_stuck()) {
            return None;
        }
        // One that comes while another is read is taken after it.
        if self.reading.is_none() && self.reload.take() {
            self.manager.manager().reloading();
            let (path, in_use) = (self.path.map(Path::to_path_buf), self.outputs.clone());
            let reading = NewConfiguration::begin(move || {
                let next = configurations(path.as_deref())?;
                let has_cameras = next.iter().all(|config| config.camera.is_some());
                anyhow::ensure!(
                    has_cameras,
                    "the file has no [[camera]] any more: restart the line, which has several"
                );
                next.iter().try_for_each(|config| try_beside(config, &in_use))?;
                Ok(next)
            });
            match reading {
                Ok(reading) => self.reading = Some(reading),
                Err(error) => self.stay(&error),
            }
        }
        match NewConfiguration::take(&mut self.reading)? {
            Ok(next) => {
                let name = self.path.map_or("", |path| path.to_str().unwrap_or(""));
                self.telemetry.log(self.telemetry.info("reload").with("config", name));
                Some(next)
            }
            Err(error) => {
                self.stay(&error);
                None
            }
        }
    }

    /// Inspection goes on as if nothing had been asked.
    fn stay(&self, error: &anyhow::Error) {
        self.refuse_reload(error);
        self.manager.manager().ready();
    }

    /// Reports that a new configuration was refused.
    fn refuse_reload(&self, error: &anyhow::Error) {
        let error = format!("{error:#}");
        let record = self.telemetry.record(log::Level::Error, "reload_refused");
        self.telemetry.log(record.with("error", error.as_str()));
        let text = format!("the new configuration was refused, the old one stays: {error}");
        self.manager.manager().status(&text);
    }
}

/// Whether all cameras are down or done: while one runs, those that are down are tried again; where none does, the service manager starts
/// all of them anew.
fn none_runs(controls: &[Arc<MemberControl>]) -> bool {
    let count = |state| controls.iter().filter(|control| control.progress.is(state)).count();
    let down = count(CameraState::Down);
    down > 0 && down + count(CameraState::Ended) == controls.len()
}
