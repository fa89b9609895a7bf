//! `lineside run`: the service. Without a configuration: the demo on the shipped frames.

mod clock;
mod records;
mod writer;

use super::board::Purpose;
use super::heat::Watcher;
use super::setup::{Ready, configuration, prepare};
use super::status_page;
use crate::board::{Machine, machine};
use crate::bundle::sha256;
use crate::config::Config;
use crate::field::{Drift, Interval};
use crate::pipeline::{Ending, Overseer, Shutdown, Status};
use crate::record::fault::{self, Cause};
use crate::record::{self, Record};
use crate::service::{Manager, Reload};
use crate::sink::mqtt::{self, BrokerClient};
use crate::sink::{ImageStore, RunLog, StorageLimits, previous_run};
use crate::status_page::StatusServer;
use anyhow::Context;
use clock::Clock;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;
use writer::Writer;

/// Every how many statuses one is kept in `events.jsonl`, too: every ten minutes.
const KEPT_STATUS: u64 = 60;

#[derive(clap::Args)]
pub struct Arguments {
    /// The configuration; without it the demo runs
    config: Option<PathBuf>,
    /// Stop after this many frames
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::on_signals().context("cannot watch for signals")?;
    let reload = Reload::on_signal().context("cannot watch for signals")?;
    let mut service =
        Service { machine: machine(), manager: Manager::new(), reload, path: arguments.config.as_deref() };
    let mut config = configuration(service.path)?;
    let mut kept = service.begin_run();
    let mut ready = prepare(&config, Purpose::Run)?;
    let mut frames = arguments.frames;
    loop {
        ready.pipeline.frames = frames;
        let (ended, next) = run_once(&config, ready, &shutdown.another(), &mut service, kept)?;
        let Some(next) = next.filter(|_| !shutdown.is_signalled()) else { return ended.result() };
        frames = frames.map(|frames| frames.saturating_sub(ended.ending.status.counts.captured));
        kept = service.begin_run();
        (config, ready) = match prepare(&next, Purpose::Run) {
            Ok(ready) => (next, ready),
            Err(error) => {
                refuse_reload(&service.manager, &error);
                let again = "the configuration in use until now does not start any more either";
                let ready = prepare(&config, Purpose::Run).context(again)?;
                (config, ready)
            }
        };
    }
}

/// What outlasts a run.
struct Service<'a> {
    machine: Machine,
    manager: Manager,
    reload: Reload,
    /// The configuration's file; the demo has none.
    path: Option<&'a Path>,
}

impl Service<'_> {
    /// From now on records and faults belong to a new run; they wait where this gives them until its file is open.
    fn begin_run(&self) -> Receiver<Record> {
        let (boot, pid) = (self.machine.boot.as_deref().unwrap_or_default(), std::process::id());
        let hash = sha256(format!("{boot} {pid} {}", jiff::Timestamp::now().as_nanosecond()).as_bytes());
        fault::forget();
        record::begin_run(u64::from_str_radix(&hash[..16], 16).unwrap_or(u64::from(pid) << 32));
        record::keep_here()
    }
}

/// One run with one configuration, from its start record to its stop record; and the configuration that comes after it,
/// where there is one.
fn run_once(
    config: &Config,
    mut ready: Ready,
    shutdown: &Shutdown,
    service: &mut Service,
    kept: Receiver<Record>,
) -> anyhow::Result<(Ended, Option<Config>)> {
    let output = ready.output.clone();
    let unwritable = || format!("{}: cannot write results there (output.folder)", output.display());
    let previous = previous_run(&output, service.machine.boot.as_deref());
    let start = records::start(config, service.path, &ready, &service.machine, previous);
    let budget = config.output.records.get_ref().as_u64();
    let (events, trouble) = RunLog::begin(&output, budget, start.clone()).with_context(unwritable)?;
    start.clone().log();
    if let Some(error) = trouble {
        fault::failed(Cause::Records, &format!("{}: {error}", events.path().display()));
    }
    let page = status_page::serve(config, &mut ready).context("cannot start the status page")?;
    let Ready { pipeline, enlarging, baseline, broker, .. } = ready;
    let broker = broker.map(|terms| start_broker(config, terms, &output)).transpose()?;
    if let Some(broker) = &broker {
        broker.enqueue(&start);
    }
    if let Some(enlarging) = &enlarging {
        enlarging.log();
    }

    let limits = StorageLimits {
        bytes: config.output.pictures.get_ref().as_u64(),
        keep_free: config.output.keep_free.get_ref().as_u64(),
    };
    let images = ImageStore::open(&output, limits);
    let scale = pipeline.enlarger.as_ref().map_or(1, |enlarger| enlarger.scale());
    let mut writer = Writer::new(events, kept, broker.clone(), images, scale);
    service.manager.ready();
    let mut watch = Oversight {
        service,
        next: None,
        stopping: false,
        heat: Watcher::new(config, Arc::clone(&pipeline.relief)),
        begun: Instant::now(),
        statuses: 0,
        ten_minutes: Interval::new(),
        drift: Drift::new(baseline.as_ref()),
        clock: Clock::new(),
        lost_lines: record::lost(),
        page,
        broker,
    };
    let mut ending = pipeline.run(shutdown, &mut writer, &mut watch)?;
    watch.page = None;
    if watch.next.is_some() {
        ending.reason = "a new configuration";
    }
    let uptime = watch.begun.elapsed();
    let stop = records::stop(&ending, uptime);
    writer.write_kept();
    if watch.ten_minutes.seconds > 0.0 {
        writer.write(&watch.record_of(&ending.status, &watch.ten_minutes));
    }
    writer.write(&stop);
    record::keep_nowhere();
    if let Some(broker) = &watch.broker {
        broker.stop();
    }
    stop.log();
    let Writer { unwritten, reader_gone, .. } = writer;
    if !reader_gone {
        summary(&ending, &output)?;
    }
    Ok((Ended { ending, unwritten, output }, watch.next))
}

/// From now on the broker is told; what it does not take waits beside the records.
fn start_broker(config: &Config, settings: mqtt::BrokerSettings, output: &Path) -> anyhow::Result<Arc<BrokerClient>> {
    let folder = output.join("mqtt");
    let budget = config.mqtt.as_ref().map_or(0, |section| section.spill.get_ref().as_u64());
    let broker = BrokerClient::start(settings, &folder, budget);
    Ok(Arc::new(broker.with_context(|| format!("{}: cannot keep records for the broker there", folder.display()))?))
}

/// What a run came to.
struct Ended {
    ending: Ending,
    unwritten: u64,
    output: PathBuf,
}

impl Ended {
    fn result(&self) -> anyhow::Result<ExitCode> {
        let Ended { ending, unwritten, output } = self;
        anyhow::ensure!(!ending.faulty, "a thread of the pipeline failed; the log says which, please report it");
        anyhow::ensure!(*unwritten == 0, "{unwritten} results could not be written to {}", output.display());
        let judged = ending.status.counts.inspected + ending.status.counts.skipped_similar;
        anyhow::ensure!(judged > 0 || ending.status.counts.failed == 0, "no frame could be judged");
        Ok(ExitCode::SUCCESS)
    }
}

/// Looks after a run: tells the manager and the records how it goes, watches for drift, and takes a new configuration when
/// asked to.
struct Oversight<'a, 'b> {
    service: &'a mut Service<'b>,
    /// What comes after this run.
    next: Option<Config>,
    stopping: bool,
    heat: Watcher,
    begun: Instant,
    statuses: u64,
    /// Since a status was kept last.
    ten_minutes: Box<Interval>,
    drift: Drift,
    clock: Clock,
    /// Lines of the log that were lost already.
    lost_lines: u64,
    /// Served as long as the run lasts.
    page: Option<StatusServer>,
    broker: Option<Arc<BrokerClient>>,
}

impl Overseer for Oversight<'_, '_> {
    fn status(&mut self, status: &Status, interval: &Interval) {
        for review in self.drift.take(interval) {
            record::keep(review.record());
            review.record().log();
        }
        let record = self.record_of(status, interval);
        if let Some(broker) = &self.broker {
            broker.set_status(&record);
        }
        record.log();
        if let Some(page) = &self.page {
            page.record_interval(interval);
        }
        self.statuses += 1;
        self.ten_minutes.merge(interval);
        if self.statuses.is_multiple_of(KEPT_STATUS) {
            record::keep(self.record_of(status, &self.ten_minutes));
            self.ten_minutes.clear();
        }
    }

    fn look(&mut self, status: &Status, alive: bool, shutdown: &Shutdown) {
        fault::tick();
        self.clock.look();
        self.heat.look(Instant::now());
        self.look_at_log();
        let Service { manager, reload, path, .. } = &mut self.service;
        if alive {
            manager.alive();
        }
        if let Some(page) = &self.page {
            page.update(status, alive, self.heat.reading(), self.heat.rung());
        }
        if shutdown.is_signalled() && !self.stopping {
            self.stopping = true;
            manager.stopping();
        }
        manager.progress(status, || {
            let review = self.drift.cause().map(|cause| format!("review needed: {cause}"));
            let words: Vec<String> = self.heat.in_words().into_iter().chain(review).collect();
            (!words.is_empty()).then(|| words.join("; "))
        });
        if reload.take() && !shutdown.is_asked() {
            manager.reloading();
            match configuration(*path) {
                Ok(next) => {
                    log::info!(config = path.map_or("", |path| path.to_str().unwrap_or("")); "reload");
                    self.next = Some(next);
                    shutdown.ask();
                }
                // Inspection goes on as if nothing had been asked.
                Err(error) => {
                    refuse_reload(manager, &error);
                    manager.ready();
                }
            }
        }
    }
}

impl Oversight<'_, '_> {
    fn record_of(&self, status: &Status, interval: &Interval) -> Record {
        records::status(status, interval, self.begun.elapsed(), &self.drift, &self.heat)
    }

    /// Lines that cannot be written can only be told in `events.jsonl`.
    fn look_at_log(&mut self) {
        let lost = record::lost();
        if lost == self.lost_lines {
            fault::well(Cause::Log);
        } else {
            fault::failed(Cause::Log, &format!("{lost} lines of the log could not be written so far"));
            // Told itself by a line of the log.
            self.lost_lines = record::lost();
        }
    }
}

fn refuse_reload(manager: &Manager, error: &anyhow::Error) {
    let error = format!("{error:#}");
    log::error!(error = error.as_str(); "reload_refused");
    manager.say(&format!("the new configuration was refused, the old one stays: {error}"));
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn summary(ending: &Ending, output: &Path) -> std::io::Result<()> {
    let Status { counts, defects, longest_latency, enlarging, .. } = ending.status;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\n{} frames: {} inspected, {} skipped as similar, {} dropped as stale, {} failed",
        counts.captured, counts.inspected, counts.skipped_similar, counts.dropped_stale, counts.failed
    )?;
    writeln!(
        out,
        "{} with defects; frame to verdict {:.1} ms on average, {:.1} ms at most",
        defects,
        ending.status.mean_latency_ms(),
        longest_latency.as_secs_f64() * 1e3
    )?;
    if enlarging.done > 0 {
        writeln!(
            out,
            "{} enlarged in {:.1} ms on average ({:.0} a second), {:.1} ms at most; {} took longer than they may",
            enlarging.done,
            enlarging.mean_ms(),
            1e3 / enlarging.mean_ms(),
            enlarging.longest.as_secs_f64() * 1e3,
            enlarging.late
        )?;
    }
    writeln!(out, "records and pictures: {}", output.display())
}
