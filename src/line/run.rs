//! A line's life: one run after the other, each with its configuration, until the source ends or a stop is asked for.

use super::bundles;
use super::console::{Console, Tone};
use super::modbus::PlcWatch;
use super::mode::Mode;
use super::next_run::{AnotherTry, Planned, Tries, plan_next};
use super::part_watch::PartWatch;
use super::plan::{LinePlan, configuration, plan};
use super::product_memory::{ProductMemory, remembered};
use super::products::ProductWatch;
use super::records;
use super::results_lock::lock;
use super::run_broker::RunBroker;
use super::service::LineService;
use super::signals::release_alarm;
use super::supervisor::{NextRun, Supervisor};
use super::writer::{Printing, Writer};
use crate::bundle::BundleError;
use crate::config::Config;
use crate::modbus::ModbusServer;
use crate::pipeline::{ChosenProduct, FAILED, NOT_STARTED, RunEnd, STOPPED, Shutdown, Status};
use crate::service::{Feeder, LineManager, Reload, ServiceManager};
use crate::sink::part::PartStatus;
use crate::sink::{ImageStore, RunLog, StorageLimits, previous_run};
use crate::status_page::RunFacts;
use crate::telemetry::{Cause, Record, Telemetry};
use crate::threads;
use anyhow::Context;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// What a line is started with; it outlasts its runs.
pub struct Line<'a> {
    /// The configuration's file; the demo has none.
    pub path: Option<&'a Path>,
    /// Stop after this many frames.
    pub frames: Option<u64>,
    /// Ends the line.
    pub shutdown: Shutdown,
    /// Asks for the configuration to be read again.
    pub reload: Reload,
    /// What the line reports goes here; two lines have two.
    pub telemetry: Telemetry,
    /// Verdicts are printed to it, by a thread of its own.
    pub console: Box<dyn Write + Send>,
    /// Whether verdicts are printed in colours.
    pub coloured: bool,
    /// What is printed at the end of each run.
    pub summary: &'a dyn Fn(&RunOutcome) -> String,
}

/// What became of one of the lines of a file.
pub struct CameraOutcome {
    /// The camera's name, where the file has several.
    pub camera: Option<String>,
    /// Its last run; `None` where it could never be started.
    pub outcome: Option<RunOutcome>,
    /// Why it was down at the end, where it was.
    pub failure: Option<String>,
}

/// The result of a run.
pub struct RunOutcome {
    /// Why it ended, and its final counts.
    pub ending: RunEnd,
    /// Records and pictures that could not be written.
    pub unwritten: u64,
    /// The folder of results.
    pub output: PathBuf,
    /// Counts of parts, where they get results.
    pub parts: Option<PartStatus>,
}

/// [`RunEnd::reason`] where the version that judged goes back by itself.
const FAILED_TRIAL: &str = "a bundle on trial found too many defects";
/// [`RunEnd::reason`] where the file was read again.
const NEW_CONFIGURATION: &str = "a new configuration";
/// [`RunEnd::reason`] where a product was asked for that was not loaded.
const OTHER_PRODUCT: &str = "another product";
/// [`RunEnd::reason`] where the status page, the Modbus server or the broker's queue could not be started.
const CANNOT_START: &str = "the status page, the Modbus server or the broker's queue cannot be started";

/// [`RunEnd::failure`] where none of the tries after a run succeeded.
const DOWN: &str = "no run could begin after the last one, until a stop was asked for";

/// Runs a line until its source ends or a stop is asked for. A reload ends a run and begins the next with the new
/// configuration, or with the old one where the new one is refused.
///
/// # Errors
/// Where a run cannot be planned or started.
pub fn run(line: Line) -> anyhow::Result<RunOutcome> {
    let config = configuration(line.path)?;
    run_one(line, config)
}

/// Runs a line with the configuration that it has at first.
pub(super) fn run_one(line: Line, mut config: Config) -> anyhow::Result<RunOutcome> {
    let Line { path, mut frames, shutdown, reload, telemetry, console, coloured, summary } = line;
    let _log = telemetry.start_log_thread()?;
    let console = Arc::new(Console::start(console, coloured)?);
    let manager = LineManager::Only(ServiceManager::new());
    let mut service = LineService::new(manager, reload, path, telemetry.clone(), Arc::clone(&console));
    let mut kept = service.begin_run();
    remember(&mut config, &telemetry);
    let mut ready = plan(&config, Mode::Run, &telemetry)?;
    warn_of_secrets(&config, path, &telemetry);
    let (mut feeder, mut before, mut last, mut tries) = (None, None::<Config>, None::<RunOutcome>, Tries::new());
    loop {
        ready.pipeline.frames = frames;
        let orderly = shutdown.stop_orderly();
        let ended = service.run_once(&config, ready, &shutdown.another(), kept, feeder.take());
        drop(orderly);
        let (outcome, next, product) = match (ended, last.take()) {
            (Ok(Ended { outcome, next, product, is_latched, .. }), _) => {
                config.start_latched(is_latched);
                let sum = summary(&outcome);
                let Some(next) = next.filter(|_| !shutdown.is_signalled()) else {
                    release_alarm(&config);
                    console.print_patiently(sum, Tone::Plain, &shutdown);
                    console.flush(&shutdown);
                    if console.dropped() > 0 {
                        log::warn!("{} lines were not printed: {}", console.dropped(), console.trouble());
                    }
                    return Ok(outcome);
                };
                console.print(sum, Tone::Plain);
                tries = Tries::new();
                frames = frames.map(|frames| frames.saturating_sub(outcome.ending.status.counts.captured));
                (outcome, Some(next), product)
            }
            // The first one.
            (Err(error), None) => return Err(error),
            (Err(error), Some(outcome)) => {
                let feeding = Feeder::start()?;
                let next = match before.take() {
                    Some(old) => {
                        service.refuse_reload(&error);
                        config = old;
                        None
                    }
                    None => match service.wait_for_another_try((&mut tries, &feeding, &shutdown), &error, &config) {
                        AnotherTry::Stop => return Ok(service.stop_while_down(outcome, &config, &shutdown)),
                        AnotherTry::With(next) => next.map(NextRun::Configuration),
                    },
                };
                feeder = Some(feeding);
                (outcome, next, None)
            }
        };
        let feeding = feeder.take().map_or_else(Feeder::start, Ok)?;
        kept = service.begin_run();
        if let Some((home, why)) = service.failed_trial.take() {
            bundles::go_back(&home, &why, &telemetry);
        }
        // What was asked for last, also while the run ended, holds for the next one.
        product.iter().for_each(|product| config.start_with(product.as_deref()));
        let waits = (&mut tries, &feeding, &shutdown);
        let planned = match next {
            Some(NextRun::OtherProduct) => service.plan_product(config, product.flatten(), waits),
            Some(NextRun::Configuration(mut new)) => {
                new.continue_with(&config);
                plan_next(&service, config, Some(*new), waits)
            }
            None => plan_next(&service, config, None, waits),
        };
        match planned {
            Ok(planned) => Planned { config, before, ready } = planned,
            Err(config) => return Ok(service.stop_while_down(outcome, &config, &shutdown)),
        }
        (last, feeder) = (Some(outcome), Some(feeding));
    }
}

/// Warns of secrets that other users of the board can read.
pub(super) fn warn_of_secrets(config: &Config, path: Option<&Path>, telemetry: &Telemetry) {
    let exposed = |path| [config.exposed_token(path), config.exposed_password(path)];
    for problem in path.map(exposed).into_iter().flatten().flatten() {
        telemetry.log(telemetry.record(log::Level::Warn, "token_readable").with("problem", problem));
    }
}

impl RunOutcome {
    /// The same, of a line that has failed since.
    fn failed(mut self, why: &str) -> RunOutcome {
        self.ending.failure = Some(why.into());
        self
    }
}

/// How one run ended, and what comes after it.
pub(super) struct Ended {
    pub(super) outcome: RunOutcome,
    /// The next run, where there is one.
    next: Option<NextRun>,
    /// Whether the writer hangs in the files of the run: no other one can have them.
    pub(super) hangs: bool,
    /// The name of the product that was asked for last, `None` for an unknown one; where the line has products.
    pub(super) product: Option<Option<String>>,
    /// Whether the alarm waits to be acknowledged.
    pub(super) is_latched: bool,
}

/// Starts with the product that was chosen last, where that is asked for.
pub(super) fn remember(config: &mut Config, telemetry: &Telemetry) {
    if !config.products.remember || config.product.is_empty() {
        return;
    }
    match remembered(config.output.folder.get_ref()) {
        Ok(Some(name)) => config.start_with(name.as_deref()),
        Ok(None) => {}
        Err(problem) => {
            telemetry.report_once("product", &problem);
            config.start_with(None);
        }
    }
}

impl LineService<'_> {
    /// One run with one configuration, from its start record to its stop record. `feeder` feeds the watchdog until its threads run.
    pub(super) fn run_once(
        &mut self,
        config: &Config,
        ready: LinePlan,
        shutdown: &Shutdown,
        kept: Receiver<Record>,
        feeder: Option<Feeder>,
    ) -> anyhow::Result<Ended> {
        let (output, telemetry) = (ready.output.clone(), self.telemetry.clone());
        let unwritable = || format!("{}: cannot write results there (output.folder)", output.display());
        let _lock = lock(&output)?;
        if let Some(line) = &ready.parts {
            line.parts.begin_at(self.next_part);
        }
        let previous = previous_run(&output, self.machine.boot.as_deref());
        let start = records::start(&telemetry, config, self.path, &ready, &self.machine, previous);
        let LinePlan { pipeline, enlarging, baseline, broker, page, source, bundles, bill, parts, trials, .. } = ready;
        let (modbus, commands, last_result) = (ready.modbus, ready.commands, ready.last_result);
        let products = ProductWatch::new(Arc::clone(&commands), ready.loaded, ready.product_lines);
        // What is in the records is in the broker's queue: each goes there first.
        let broker = broker.map(|settings| self.start_broker(config, settings, &output)).transpose();
        let mut queue = RunBroker::new(broker.as_ref().ok().cloned().flatten());
        if let Some(broker) = queue.client() {
            // Where the disk does not take it, that is reported, and it waits in memory.
            let _ = broker.enqueue(&start);
        }
        let budget = config.output.records.get_ref().as_u64();
        let (mut events, trouble) = RunLog::begin(&output, budget, start.clone()).with_context(unwritable)?;
        telemetry.log(start.clone());
        if let Some(error) = trouble {
            telemetry.fail(Cause::Records, &format!("{}: {error}", events.path().display()));
        }
        let facts = RunFacts {
            camera: telemetry.camera().map(str::to_string),
            pages: config
                .camera
                .iter()
                .flat_map(|camera| &camera.pages)
                .map(|(name, page)| (name.clone(), page.port()))
                .collect(),
            source: telemetry.camera().map_or(source.clone(), |camera| format!("{camera}: {source}")),
            bundles,
            budget_bytes: config.budget.memory.get_ref().as_u64(),
            bill_bytes: bill.total(),
            started: jiff::Timestamp::now(),
            parts: parts.as_ref().map(|line| Arc::clone(&line.parts)),
        };
        let started = broker.and_then(|broker| {
            let changes = (self.reload.clone(), self.check());
            let page = page
                .map(|page| page.serve(facts, output.clone(), changes, self.teaching.clone(), &telemetry))
                .transpose();
            let serve = |settings| ModbusServer::start(settings, last_result, Arc::clone(&commands), telemetry.clone());
            let modbus = modbus.map(serve).transpose().context("cannot start the Modbus server")?;
            let page = page.context("cannot start the status page")?;
            let parts = parts.map(|line| line.start()).transpose()?;
            let parts = parts.map(|thread| PartWatch::new(config, thread, telemetry.clone()));
            Ok((page, modbus.map(PlcWatch::new), broker, parts))
        });
        let (page, modbus, broker, parts) = match started {
            Ok(started) => started,
            Err(error) => {
                let reason = if threads::is_not_started(&error) { NOT_STARTED } else { CANNOT_START };
                let ending = RunEnd { status: Status::default(), reason, failure: None };
                let stop = records::stop(&telemetry, &ending, Duration::ZERO, 0, 0, None);
                if let Some(broker) = queue.client() {
                    let _ = broker.enqueue(&stop);
                }
                queue.stop();
                // Where that fails, too, the error says more than the lack of a record.
                let _ = events.append(&stop);
                telemetry.log(stop);
                return Err(error);
            }
        };
        if let Some(enlarging) = &enlarging {
            enlarging.log(&telemetry);
        }

        let limits = StorageLimits {
            bytes: config.output.pictures.get_ref().as_u64(),
            keep_free: config.output.keep_free.get_ref().as_u64(),
        };
        let images = ImageStore::open(&output, limits);
        let enlargement = pipeline.inspection.enlargement.as_ref();
        let scale = enlargement.map_or(1, |enlargement| enlargement.enlarger.scale());
        let patient = (!pipeline.source.is_live()).then(|| shutdown.clone());
        let printing = Printing { console: Arc::clone(&self.console), patient };
        let is_remembered = config.products.remember && !config.product.is_empty();
        let memory = is_remembered.then(|| ProductMemory::new(&output, Arc::clone(&commands)));
        let writer = Writer::new(events, kept, broker.clone(), images, scale, printing, telemetry.clone());
        let writer = writer.remembering(memory);
        self.manager.ready();
        drop(feeder);
        let shedding = Arc::clone(&pipeline.shedding);
        let unprinted = self.console.dropped();
        let watched = (modbus, products, parts, trials);
        let mut supervisor = Supervisor::new(config, self, shedding, baseline.as_ref(), page, watched, broker.clone());
        let (mut ending, mut writer) = pipeline.run(shutdown, writer, &mut supervisor);
        let end = supervisor.end(&ending.status);
        if let Some(failure) = end.failure {
            ending = RunEnd { reason: FAILED, failure: Some(failure), ..ending };
        }
        let mut next = end.next.filter(|_| ending.failure.is_none());
        if next.is_some() {
            ending.reason = match &next {
                _ if self.failed_trial.is_some() => FAILED_TRIAL,
                Some(NextRun::OtherProduct) => OTHER_PRODUCT,
                _ => NEW_CONFIGURATION,
            };
        } else if ending.reason == STOPPED && self.manager.makes_way() {
            ending.reason = NEW_CONFIGURATION;
        }
        if let Some(writer) = &mut writer {
            writer.write_kept();
            if let Some(status) = &end.last_status {
                writer.write(status);
            }
        } else if next.take().is_some() {
            // The next run cannot share the files with a writer that hangs in them.
            ending.failure = Some("the disk hangs: the new configuration is taken at the next start".into());
        }
        let unwritten = writer.as_ref().map_or(0, |writer| writer.unwritten);
        let unprinted = self.console.dropped() - unprinted + ending.status.unprinted;
        let stop = records::stop(&telemetry, &ending, end.uptime, unwritten, unprinted, end.parts.as_ref());
        if let Some(writer) = &mut writer {
            writer.write(&stop);
        }
        telemetry.remove_sink();
        queue.stop();
        telemetry.log(stop);
        let hangs = writer.is_none();
        let unwritten = writer.map_or(0, |writer| writer.unwritten);
        let is_latched = commands.latched() == Some(true);
        let wanted = commands.wanted();
        let product = (wanted != ChosenProduct::Without).then(|| commands.key(wanted).map(|key| key.name.clone()));
        let outcome = RunOutcome { ending, unwritten, output, parts: end.parts };
        Ok(Ended { outcome, next, hangs, product, is_latched })
    }

    /// Plans the next run with a product that was not loaded. Where nothing can be judged of that, it is left out: its parts, which are before the
    /// camera now, must not be taken for good, and the others go on.
    fn plan_product(
        &mut self,
        mut config: Config,
        name: Option<String>,
        waits: (&mut Tries, &Feeder, &Shutdown),
    ) -> Result<Planned, Box<Config>> {
        let error = match plan(&config, Mode::Run, &self.telemetry) {
            Ok(ready) => {
                self.report_product(name.as_deref());
                return Ok(Planned { config, before: None, ready });
            }
            Err(error) => error,
        };
        self.loading_product = None;
        if let Some(name) = name
            && error.chain().any(|cause| cause.is::<BundleError>())
        {
            let what = format!("product {name} is unknown until a reload, and each of its parts is NOK");
            self.refuse_reload(&error.context(what));
            config.leave_out(&name);
        }
        waits.1.begin_try();
        plan_next(self, config, None, waits)
    }

    /// The end of a line whose last run was `outcome`, and which was down when a stop was asked for.
    fn stop_while_down(&self, outcome: RunOutcome, config: &Config, shutdown: &Shutdown) -> RunOutcome {
        release_alarm(config);
        self.console.flush(shutdown);
        outcome.failed(DOWN)
    }

    /// Reports how long it took to load a product that was asked for.
    fn report_product(&mut self, name: Option<&str>) {
        if let Some(begun) = self.loading_product.take() {
            let record = self.telemetry.info("product_loaded").with_known("product", name);
            self.telemetry.log_and_persist(record.with("seconds", begun.elapsed().as_secs_f64()));
        }
    }
}

impl CameraOutcome {
    /// The same, of a camera that was down when a stop was asked for.
    pub(super) fn down(self) -> CameraOutcome {
        CameraOutcome { failure: self.failure.or_else(|| Some(DOWN.into())), ..self }
    }

    /// Whether its last run did its work.
    ///
    /// # Errors
    /// As [`RunOutcome::check`], and where it was down at the end.
    pub fn check(&self) -> anyhow::Result<()> {
        let result = match (&self.failure, &self.outcome) {
            (Some(failure), _) => Err(anyhow::Error::msg(failure.clone())),
            (None, Some(outcome)) => outcome.check(),
            (None, None) => Ok(()),
        };
        result.map_err(|error| match &self.camera {
            Some(camera) => error.context(format!("camera {camera}")),
            None => error,
        })
    }
}

impl RunOutcome {
    /// A line about results that could not be written, where there are any.
    pub fn losses(&self) -> Option<String> {
        let RunOutcome { unwritten, output, ending, .. } = self;
        let unrecorded = ending.status.unrecorded;
        let text = || {
            let output = output.display();
            format!(
                "{unwritten} results could not be written to {output}, {unrecorded} verdicts found no room on their way \
                 there: the faults `disk` say why"
            )
        };
        (*unwritten > 0 || unrecorded > 0).then(text)
    }

    /// Whether the run did its work.
    ///
    /// # Errors
    /// Where a thread failed, or no frame could be judged. Results that could not be written are none: the stop was orderly, the
    /// record `stop` has their number, and a unit must not count as failed for a disk that was full for a while.
    pub fn check(&self) -> anyhow::Result<()> {
        let ending = &self.ending;
        if let Some(failure) = &ending.failure {
            anyhow::bail!(failure.clone());
        }
        let judged = ending.status.counts.inspected + ending.status.counts.skipped_similar;
        anyhow::ensure!(judged > 0 || ending.status.counts.failed == 0, "no frame could be judged");
        Ok(())
    }
}
