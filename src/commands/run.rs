//! `lineside run`: the service. Without a configuration: the demo on the shipped frames.

use super::setup::{Ready, configuration, prepare};
use crate::memory::{peak_resident_bytes, resident_bytes, sealed_allocations};
use crate::picture::{Picture, write_png};
use crate::pipeline::{Ending, Report, Reporter, Shutdown, Status};
use crate::sink::{Event, EventLog, Files, StartRecord, StopRecord, annotated, spot_beside_bicubic, write_durably};
use anyhow::Context;
use std::io::{Stdout, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
    let config = configuration(arguments.config.as_deref())?;
    let Ready { mut pipeline, bill, source, bundles, enlarging, output } = prepare(&config)?;
    pipeline.frames = arguments.frames;
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

    let mut writer = Writer {
        events,
        folder: output.clone(),
        scale,
        out: std::io::stdout(),
        unwritten: 0,
        late_told: false,
        reader_gone: false,
    };
    let ending = pipeline.run(&shutdown, &mut writer, &mut log_status)?;
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
        peak_rss_bytes = peak_resident_bytes().unwrap_or(0), allocs_since_sealed = sealed_allocations(); "stop"
    );
    if !reader_gone {
        summary(&ending, &output)?;
    }
    anyhow::ensure!(!ending.faulty, "a thread of the pipeline failed; the log says which, please report it");
    anyhow::ensure!(unwritten == 0, "{unwritten} results could not be written to {}", output.display());
    let judged = ending.status.counts.inspected + ending.status.counts.skipped_similar;
    anyhow::ensure!(judged > 0 || ending.status.counts.failed == 0, "no frame could be judged");
    Ok(ExitCode::SUCCESS)
}

fn log_status(status: &Status, fps: f64) {
    let counts = status.counts;
    log::info!(
        captured = counts.captured, inspected = counts.inspected, skipped_similar = counts.skipped_similar,
        dropped_stale = counts.dropped_stale, failed = counts.failed, defects = status.defects,
        fps = (fps * 10.0).round() / 10.0, score = status.score,
        latency_mean_ms = hundredths(status.mean_latency_ms()),
        latency_max_ms = hundredths(status.longest_latency.as_secs_f64() * 1e3),
        enlarged = status.enlarging.done, enlarged_late = status.enlarging.late,
        enlarge_mean_ms = hundredths(status.enlarging.mean_ms()),
        enlarge_max_ms = hundredths(status.enlarging.longest.as_secs_f64() * 1e3),
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

/// Prints each verdict, records defects and writes their pictures.
struct Writer {
    events: EventLog,
    folder: PathBuf,
    scale: usize,
    out: Stdout,
    unwritten: u64,
    late_told: bool,
    reader_gone: bool,
}

impl Reporter for Writer {
    fn verdict(&mut self, report: &Report) {
        let verdict = &report.verdict;
        let word = if verdict.defect { "DEFECT" } else { "normal" };
        let place = match verdict.regions.first() {
            Some(region) => {
                format!("at {},{} {}x{}", region.area.x, region.area.y, region.area.width, region.area.height)
            }
            None => String::new(),
        };
        let latency = report.latency.as_secs_f64() * 1e3;
        self.print(&format!("{:<28} {word}  score {:.4}  {latency:6.1} ms  {place}", report.name, verdict.score));
        if let Some(reason) = &report.spot_failure {
            log::error!(frame = report.name.as_str(), error = reason.as_str(); "enlarging_failed");
        }
        if let (Some(late), false) = (report.late, self.late_told) {
            // Once a run: how many more there were, the status says.
            self.late_told = true;
            log::warn!(frame = report.name.as_str(), ms = hundredths(late.as_secs_f64() * 1e3); "enlarging_late");
        }
        if !verdict.defect && report.spot.is_none() {
            return;
        }
        let stem = file_stem(report);
        let mut files = Files::default();
        if verdict.defect {
            let picture = annotated(&report.frame, verdict).map_err(anyhow::Error::from);
            files.annotated = self.keep(picture, &format!("{stem}.png"));
        }
        if let Some((small, large)) = &report.spot {
            let picture = spot_beside_bicubic(small, large, self.scale).map_err(anyhow::Error::from);
            files.spot = self.keep(picture, &format!("{stem}-x{}.png", self.scale));
        }
        if !verdict.defect {
            return;
        }
        let regions: Vec<[usize; 4]> =
            verdict.regions.iter().map(|r| [r.area.x, r.area.y, r.area.width, r.area.height]).collect();
        let event = Event {
            time: report.wall,
            frame: &report.name,
            score: verdict.score,
            threshold: verdict.threshold,
            regions: &regions,
            latency_ms: latency,
            files: &files,
        };
        log::info!(frame = report.name.as_str(), score = verdict.score, threshold = verdict.threshold, picture = files.annotated.as_str(); "defect");
        if let Err(error) = self.events.append("event", &event) {
            self.unwritten += 1;
            log::error!(file = self.events.path().display().to_string().as_str(), error = error.to_string().as_str(); "record_not_written");
        }
    }

    fn failed(&mut self, name: &str, reason: &str) {
        self.print(&format!("{name:<28} FAILED  {reason}"));
        log::warn!(frame = name, reason = reason; "frame_failed");
        let record = serde_json::json!({ "time": jiff::Timestamp::now(), "frame": name, "reason": reason });
        if let Err(error) = self.events.append("frame_failed", &record) {
            self.unwritten += 1;
            log::error!(file = self.events.path().display().to_string().as_str(), error = error.to_string().as_str(); "record_not_written");
        }
    }
}

impl Writer {
    /// A line for whoever watches. Where nobody does any more, inspection goes on.
    fn print(&mut self, line: &str) {
        if !self.reader_gone && writeln!(self.out, "{}", line.trim_end()).is_err() {
            self.reader_gone = true;
        }
    }

    /// Writes a picture; gives its name, or nothing where it could not be written.
    fn keep(&mut self, picture: anyhow::Result<Picture>, name: &str) -> String {
        let path = self.folder.join(name);
        let written = picture.and_then(|picture| {
            Ok(write_durably(&path, |out| write_png(out, &picture).map_err(std::io::Error::other))?)
        });
        match written {
            Ok(()) => name.to_string(),
            Err(error) => {
                self.unwritten += 1;
                log::error!(file = path.display().to_string().as_str(), error = error.to_string().as_str(); "picture_not_written");
                String::new()
            }
        }
    }
}

/// Time and frame name, in characters that every file system takes: `20261121T041500123Z-part-03`.
fn file_stem(report: &Report) -> String {
    let time = report.wall.strftime("%Y%m%dT%H%M%S%3fZ").to_string();
    let name = report.name.rsplit_once('.').map_or(report.name.as_str(), |(stem, _)| stem);
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect();
    format!("{time}-{name}")
}
