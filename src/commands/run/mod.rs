//! `lineside run`: the service. Without a configuration: the demo on the shipped frames.

mod writer;

use super::board::Purpose;
use super::heat::Watcher;
use super::setup::{Ready, configuration, prepare};
use crate::config::Config;
use crate::memory::{peak_resident_bytes, resident_bytes, sealed_allocations};
use crate::pipeline::{Ending, Overseer, Shutdown, Status};
use crate::service::{Manager, Reload};
use crate::sink::{EventLog, StartRecord, StopRecord};
use anyhow::Context;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;
use writer::Writer;

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
    let mut config = configuration(arguments.config.as_deref())?;
    let mut ready = prepare(&config, Purpose::Run)?;
    let mut manager = Manager::new();
    let mut frames = arguments.frames;
    loop {
        ready.pipeline.frames = frames;
        let path = arguments.config.as_deref();
        let mut watch =
            Oversight { manager: &mut manager, reload: &reload, path, next: None, stopping: false, heat: None };
        let ended = run_once(&config, ready, &shutdown.another(), &mut watch)?;
        let Some(next) = watch.next.filter(|_| !shutdown.is_signalled()) else { return ended.result() };
        frames = frames.map(|frames| frames.saturating_sub(ended.ending.status.counts.captured));
        (config, ready) = match prepare(&next, Purpose::Run) {
            Ok(ready) => (next, ready),
            Err(error) => {
                refuse_reload(&manager, &error);
                let again = "the configuration in use until now does not start any more either";
                let ready = prepare(&config, Purpose::Run).context(again)?;
                (config, ready)
            }
        };
    }
}

/// One run with one configuration, from its start record to its stop record.
fn run_once(config: &Config, ready: Ready, shutdown: &Shutdown, watch: &mut Oversight) -> anyhow::Result<Ended> {
    let Ready { pipeline, bill, source, bundles, enlarging, output, .. } = ready;
    let scale = pipeline.enlarger.as_ref().map_or(1, |enlarger| enlarger.scale());
    let unwritable = || format!("{}: cannot write results there (output.folder)", output.display());
    let mut events = EventLog::open(&output).with_context(unwritable)?;
    let start = StartRecord {
        time: jiff::Timestamp::now(),
        version: env!("CARGO_PKG_VERSION"),
        source: &source,
        bundles: &bundles,
    };
    events.append("start", &start).with_context(unwritable)?;
    log::info!(
        version = env!("CARGO_PKG_VERSION"), source = source.as_str(), bundles = bundles.join("; ").as_str(),
        bill_bytes = bill.total(), budget_bytes = config.budget.memory.as_u64(), output = output.display().to_string().as_str();
        "start"
    );
    if let Some(enlarging) = &enlarging {
        enlarging.log();
    }

    watch.heat = Some(Watcher::new(config, Arc::clone(&pipeline.relief)));
    let mut writer = Writer::new(events, output.clone(), scale);
    watch.manager.ready();
    let mut ending = pipeline.run(shutdown, &mut writer, watch)?;
    if watch.next.is_some() {
        ending.reason = "a new configuration";
    }
    let Writer { mut events, unwritten, reader_gone, .. } = writer;
    let stop = StopRecord { time: jiff::Timestamp::now(), reason: ending.reason, frames: ending.status.counts };
    if let Err(error) = events.append("stop", &stop) {
        log::error!(file = events.path().display().to_string().as_str(), error = error.to_string().as_str(); "record_not_written");
    }
    log::info!(
        reason = ending.reason, captured = ending.status.counts.captured, inspected = ending.status.counts.inspected,
        skipped_similar = ending.status.counts.skipped_similar, dropped_stale = ending.status.counts.dropped_stale,
        failed = ending.status.counts.failed, defects = ending.status.defects,
        enlarged = ending.status.enlarging.done, enlarged_late = ending.status.enlarging.late,
        enlarge_mean_ms = hundredths(ending.status.enlarging.mean_ms()),
        restarts = ending.status.source.restarts, peak_rss_bytes = peak_resident_bytes().unwrap_or(0),
        allocs_since_sealed = sealed_allocations(); "stop"
    );
    if !reader_gone {
        summary(&ending, &output)?;
    }
    Ok(Ended { ending, unwritten, output })
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

/// Looks after a run: tells the manager how it goes, and takes a new configuration when asked to.
struct Oversight<'a> {
    manager: &'a mut Manager,
    reload: &'a Reload,
    /// The configuration's file; the demo has none.
    path: Option<&'a Path>,
    /// What comes after this run.
    next: Option<Config>,
    stopping: bool,
    /// From the beginning of the run on.
    heat: Option<Watcher>,
}

impl Overseer for Oversight<'_> {
    fn status(&mut self, status: &Status, fps: f64) {
        log_status(status, fps, self.heat.as_ref());
    }

    fn look(&mut self, status: &Status, alive: bool, shutdown: &Shutdown) {
        if alive {
            self.manager.alive();
        }
        if let Some(heat) = &mut self.heat {
            heat.look(Instant::now());
        }
        if shutdown.is_signalled() && !self.stopping {
            self.stopping = true;
            self.manager.stopping();
        }
        self.manager.progress(status, || self.heat.as_ref()?.in_words());
        if self.reload.take() && !shutdown.is_asked() {
            self.manager.reloading();
            match configuration(self.path) {
                Ok(next) => {
                    log::info!(config = self.path.map_or("", |path| path.to_str().unwrap_or("")); "reload");
                    self.next = Some(next);
                    shutdown.ask();
                }
                // Inspection goes on as if nothing had been asked.
                Err(error) => {
                    refuse_reload(self.manager, &error);
                    self.manager.ready();
                }
            }
        }
    }
}

fn refuse_reload(manager: &Manager, error: &anyhow::Error) {
    let error = format!("{error:#}");
    log::error!(error = error.as_str(); "reload_refused");
    manager.say(&format!("the new configuration was refused, the old one stays: {error}"));
}

fn log_status(status: &Status, fps: f64, heat: Option<&Watcher>) {
    let counts = status.counts;
    let reading = heat.map(|heat| *heat.reading()).unwrap_or_default();
    log::info!(
        captured = counts.captured, inspected = counts.inspected, skipped_similar = counts.skipped_similar,
        dropped_stale = counts.dropped_stale, failed = counts.failed, defects = status.defects,
        fps = (fps * 10.0).round() / 10.0, score = status.score,
        latency_mean_ms = hundredths(status.mean_latency_ms()),
        latency_max_ms = hundredths(status.longest_latency.as_secs_f64() * 1e3),
        enlarged = status.enlarging.done, enlarged_late = status.enlarging.late,
        enlarge_mean_ms = hundredths(status.enlarging.mean_ms()),
        enlarge_max_ms = hundredths(status.enlarging.longest.as_secs_f64() * 1e3),
        source = status.source.state.word(), restarts = status.source.restarts,
        temperature_c = reading.temperature, throttled = reading.bits(), undervoltage = reading.undervoltage,
        heat = heat.and_then(Watcher::rung),
        rss_bytes = resident_bytes().unwrap_or(0), allocs_since_sealed = sealed_allocations();
        "status"
    );
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
