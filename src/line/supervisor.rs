//! Supervises a run on the main thread: watchdog, status records, drift, heat, clock, reload.

use super::clock::ClockWatcher;
use super::console::CONSOLE_THREAD;
use super::heat::HeatWatcher;
use super::modbus::PlcWatch;
use super::new_configuration::NewConfiguration;
use super::part_watch::PartWatch;
use super::products::ProductWatch;
use super::records;
use super::service::LineService;
use super::trial::TrialWatch;
use crate::config::{AlarmConfig, Config};
use crate::field::{DriftMonitor, Interval};
use crate::pipeline::{LoadShedding, RunObserver, Shutdown, Status};
use crate::sink::mqtt::BrokerClient;
use crate::sink::part::{PART_THREAD, PartStatus};
use crate::status_page::{Conditions, StatusServer};
use crate::task::anomaly::Baseline;
use crate::telemetry::{Cause, LOG_THREAD, Record, Telemetry};
use crate::threads;
use crate::times::HANGING_WRITER;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Every Nth status is kept in `events.jsonl`, too: one in ten minutes.
const KEPT_STATUS: u64 = 60;

/// Reports a run to the service manager and in records, and takes a new configuration when asked to.
pub(super) struct Supervisor<'a, 'b> {
    service: &'a mut LineService<'b>,
    /// The next run.
    next: Option<NextRun>,
    /// The alarm, which the next run may take over as it is.
    alarm: Option<AlarmConfig>,
    /// A configuration that was asked for, while it is read and tried.
    reading: Option<NewConfiguration<Config>>,
    /// The folder of results.
    output: PathBuf,
    stopping: bool,
    /// Why the run must end, where a thread of the page or of the broker failed.
    failure: Option<String>,
    heat: HeatWatcher,
    begun: Instant,
    statuses: u64,
    /// Since the last status that was kept.
    ten_minutes: Box<Interval>,
    drift: DriftMonitor,
    /// Its distances at the last status: they take too long for every poll.
    drift_distance: Option<(f64, f64)>,
    clock: ClockWatcher,
    /// Lines of the log, verdicts and printed lines that were lost already.
    lost_lines: u64,
    unrecorded: u64,
    unprinted: u64,
    /// Verdicts that the writer has finished, and since when it has finished no more although some wait.
    stuck: (u64, Instant),
    /// Served as long as the run lasts.
    page: Option<StatusServer>,
    modbus: Option<PlcWatch>,
    products: ProductWatch,
    broker: Option<Arc<BrokerClient>>,
    /// The parts, where they get results.
    parts: Option<PartWatch>,
    /// Whether the pipeline, and whoever serves the parts, has made progress since the watchdog was fed.
    progress: [bool; 2],
    /// Versions that are on trial.
    trials: Vec<TrialWatch>,
    telemetry: Telemetry,
}

/// What comes after a run that was not asked to be the last.
pub(super) enum NextRun {
    /// One with another configuration.
    Configuration(Box<Config>),
    /// One with the same configuration, for a product that is not loaded in this one.
    OtherProduct,
}

/// What a supervisor leaves at the end of a run.
pub(super) struct SupervisionEnd {
    /// The next run, where there is one.
    pub(super) next: Option<NextRun>,
    pub(super) uptime: Duration,
    /// The status since the last one that was kept.
    pub(super) last_status: Option<Record>,
    /// A thread that failed, and what to do.
    pub(super) failure: Option<String>,
    /// Counts of parts, where they get results.
    pub(super) parts: Option<PartStatus>,
}

impl<'a, 'b> Supervisor<'a, 'b> {
    pub(super) fn new(
        config: &Config,
        service: &'a mut LineService<'b>,
        shedding: Arc<LoadShedding>,
        baseline: Option<&Baseline>,
        page: Option<StatusServer>,
        (modbus, products, parts, trials): (Option<PlcWatch>, ProductWatch, Option<PartWatch>, Vec<TrialWatch>),
        broker: Option<Arc<BrokerClient>>,
    ) -> Supervisor<'a, 'b> {
        let (telemetry, unprinted) = (service.telemetry.clone(), service.console.dropped());
        Supervisor {
            service,
            next: None,
            alarm: config.alarm.clone(),
            reading: None,
            output: config.output.folder.get_ref().clone(),
            stopping: false,
            failure: None,
            heat: HeatWatcher::new(config, shedding, telemetry.clone()),
            begun: Instant::now(),
            statuses: 0,
            ten_minutes: Interval::new(),
            drift: DriftMonitor::new(baseline),
            drift_distance: None,
            clock: ClockWatcher::new(),
            lost_lines: telemetry.dropped_log_lines(),
            unrecorded: 0,
            unprinted,
            stuck: (0, Instant::now()),
            page,
            modbus,
            products,
            broker,
            parts,
            progress: [false; 2],
            trials,
            telemetry,
        }
    }

    /// Ends the status page and the Modbus server, and sums up.
    pub(super) fn end(mut self, status: &Status) -> SupervisionEnd {
        if self.reading.is_some() {
            // The next run, where there is one, takes the newest file.
            self.service.reload.ask();
        }
        (self.page, self.modbus) = (None, None);
        let parts = self.parts.as_mut().map(|parts| {
            let (status, next_id) = parts.end();
            self.service.next_part = next_id;
            status
        });
        let uptime = self.begun.elapsed();
        let last_status = (self.ten_minutes.seconds > 0.0).then(|| self.record_of(status, &self.ten_minutes));
        SupervisionEnd { next: self.next, uptime, last_status, failure: self.failure, parts }
    }

    fn record_of(&self, status: &Status, interval: &Interval) -> Record {
        let parts = self.parts.as_ref().map(PartWatch::status);
        records::status(
            &self.telemetry,
            status,
            interval,
            self.begun.elapsed(),
            &self.drift,
            &self.heat,
            parts.as_ref(),
        )
        .with_known("product", records::product(self.products.commands()))
    }

    /// Lines of the log that cannot be written can only be reported in `events.jsonl`.
    fn check_log(&mut self) {
        let lost = self.telemetry.dropped_log_lines();
        if lost == self.lost_lines {
            self.telemetry.resolve(Cause::Log);
        } else {
            self.telemetry.fail(Cause::Log, &format!("{lost} lines of the log could not be written so far"));
            // The report itself is a line of the log.
            self.lost_lines = self.telemetry.dropped_log_lines();
        }
    }

    /// What inspection had to drop, because nothing took it in time, is reported here: inspection reports nothing itself.
    fn check_output(&mut self, status: &Status) {
        let unrecorded = status.unrecorded;
        if unrecorded == self.unrecorded {
            self.telemetry.resolve(Cause::Unrecorded);
        } else {
            let text = format!(
                "{unrecorded} verdicts were not recorded so far, because the disk did not take the ones before: inspection and \
                 alarm go on; look for what else writes to it, or whether it is worn out"
            );
            self.telemetry.fail(Cause::Unrecorded, &text);
            self.unrecorded = unrecorded;
        }
        let unprinted = self.service.console.dropped() + status.unprinted;
        if unprinted == self.unprinted {
            self.telemetry.resolve(Cause::Console);
        } else {
            let trouble = self.service.console.trouble();
            let text = format!("{unprinted} lines of verdicts could not be printed so far: {trouble}");
            self.telemetry.fail(Cause::Console, &text);
            self.unprinted = unprinted;
        }
    }

    /// Whether the writer has finished nothing for a while: the disk hangs.
    fn writer_is_stuck(&mut self, status: &Status) -> bool {
        if status.waiting == 0 || status.written != self.stuck.0 {
            self.stuck = (status.written, Instant::now());
        }
        self.stuck.1.elapsed() >= HANGING_WRITER
    }

    /// Ends the run where a thread beside the pipeline has failed: a line without its page or its broker would go on unnoticed.
    fn check_threads(&mut self, shutdown: &Shutdown) {
        if self.failure.is_some() {
            return;
        }
        let page = self.page.as_ref().and_then(StatusServer::failed_thread);
        let modbus = || self.modbus.as_ref().and_then(PlcWatch::failed_thread);
        let broker = || self.broker.as_ref().is_some_and(|broker| broker.has_failed()).then_some("mqtt");
        let parts = || self.parts.as_ref().is_some_and(PartWatch::has_failed).then_some(PART_THREAD);
        let console = || self.service.console.has_failed().then_some(CONSOLE_THREAD);
        let log = || self.telemetry.has_log_failed().then_some(LOG_THREAD);
        if let Some(name) = page.or_else(modbus).or_else(broker).or_else(parts).or_else(console).or_else(log) {
            self.failure = Some(threads::describe_failure(name));
            shutdown.ask();
        }
    }

    /// Ends the run where a version does not stand its trial; the next run begins with the version before it.
    fn check_trials(&mut self, shutdown: &Shutdown) {
        if shutdown.is_asked() {
            return;
        }
        let time = self.begun.elapsed();
        let failed = self.trials.iter().enumerate().find_map(|(at, trial)| Some((at, trial.verdict(time)?)));
        let Some((at, why)) = failed else { return };
        let trial = self.trials.swap_remove(at);
        if trial.is_over() {
            return;
        }
        match self.service.configuration() {
            Ok(next) => {
                self.service.failed_trial = Some((trial.home, why));
                self.end_for(NextRun::Configuration(Box::new(next)), shutdown);
            }
            Err(error) => self.service.refuse_reload(&error.context(why)),
        }
    }

    /// Ends the run where a product is asked for that is not loaded; the next run begins with it.
    fn check_product(&mut self, shutdown: &Shutdown) {
        if !shutdown.is_asked() && self.products.missing().is_some() {
            self.service.loading_product = Some(Instant::now());
            self.end_for(NextRun::OtherProduct, shutdown);
        }
    }

    /// Ends the run for the next one.
    fn end_for(&mut self, next: NextRun, shutdown: &Shutdown) {
        let stays = self.alarm.as_ref().is_some_and(|alarm| match &next {
            NextRun::Configuration(config) => alarm.stays_in(config),
            NextRun::OtherProduct => alarm.latch,
        });
        self.next = Some(next);
        if stays {
            shutdown.ask_and_hand_over();
        } else {
            shutdown.ask();
        }
    }

    fn take_reload(&mut self, shutdown: &Shutdown, is_stuck: bool) {
        // A request that comes while this run ends is not taken: the next run finds it, and takes the newest file. Nor one that
        // comes while the disk hangs: the next run would wait for it, and nobody would inspect.
        let is_none = shutdown.is_asked() || is_stuck || !self.service.manager.takes_reloads();
        if is_none {
            return;
        }
        // One that comes while another is read is taken after it.
        if self.reading.is_none() && self.service.reload.take() {
            self.service.manager.reloading();
            match self.service.begin_reading(self.output.clone()) {
                Ok(reading) => self.reading = Some(reading),
                Err(error) => return self.refuse_reload(&error),
            }
        }
        match NewConfiguration::take(&mut self.reading) {
            None => {}
            Some(Ok(next)) => {
                let path = self.service.path;
                let name = path.map_or("", |path| path.to_str().unwrap_or(""));
                self.telemetry.log(self.telemetry.info("reload").with("config", name));
                self.end_for(NextRun::Configuration(Box::new(next)), shutdown);
            }
            Some(Err(error)) => self.refuse_reload(&error),
        }
    }

    /// Inspection goes on as if nothing had been asked.
    fn refuse_reload(&self, error: &anyhow::Error) {
        self.service.refuse_reload(error);
        self.service.manager.ready();
    }
}

impl RunObserver for Supervisor<'_, '_> {
    fn status(&mut self, status: &Status, interval: &Interval) {
        for review in self.drift.take(interval) {
            self.telemetry.log_and_persist(review.record());
        }
        self.drift_distance = self.drift.distance();
        let record = self.record_of(status, interval);
        if let Some(broker) = &self.broker {
            broker.set_status(&record);
        }
        self.telemetry.log(record);
        if let Some(page) = &self.page {
            page.record_interval(interval);
        }
        self.statuses += 1;
        self.ten_minutes.merge(interval);
        if self.statuses.is_multiple_of(KEPT_STATUS) {
            self.telemetry.persist(self.record_of(status, &self.ten_minutes));
            self.ten_minutes.clear();
        }
    }

    fn poll(&mut self, status: &Status, alive: bool, shutdown: &Shutdown) {
        self.telemetry.end_resolved_faults();
        self.clock.poll(&self.telemetry);
        self.heat.poll(Instant::now());
        self.check_log();
        self.check_output(status);
        self.check_threads(shutdown);
        let beaten = self.parts.as_mut().is_none_or(|parts| {
            parts.poll();
            parts.has_beaten()
        });
        self.progress = [self.progress[0] || alive, self.progress[1] || beaten];
        let alive = self.progress == [true; 2];
        let manager = &mut self.service.manager;
        if alive {
            self.progress = [false; 2];
            manager.alive();
        }
        if let Some(page) = &self.page {
            page.update(status, alive, self.heat.reading(), self.heat.rung());
            page.set_conditions(&Conditions {
                faults: self.telemetry.fault_flags(),
                drift: self.drift_distance,
                review_needed: self.drift.cause().is_some(),
                broker_waiting: self.broker.as_ref().map(|broker| broker.waiting()),
            });
        }
        if let Some(modbus) = &mut self.modbus {
            modbus.update(status, alive, &self.telemetry);
        }
        if shutdown.is_signalled() && !self.stopping {
            self.stopping = true;
            manager.stopping();
        }
        manager.progress(status, || {
            let review = self.drift.cause().map(|cause| format!("review needed: {cause}"));
            let words: Vec<String> = self.heat.describe().into_iter().chain(review).collect();
            (!words.is_empty()).then(|| words.join("; "))
        });
        self.products.poll(Instant::now(), &self.telemetry);
        let is_stuck = self.writer_is_stuck(status);
        self.service.manager.set_stuck(is_stuck);
        if !is_stuck {
            self.check_trials(shutdown);
            self.check_product(shutdown);
        }
        self.take_reload(shutdown, is_stuck);
    }
}
