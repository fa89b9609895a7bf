//! The records of a run. `docs/field-log.md` describes each field; a test compares the two.

use super::heat::HeatWatcher;
use super::plan::LinePlan;
use super::{hundredths, thousandths};
use crate::board::Machine;
use crate::config::Config;
use crate::field::{DriftMonitor, Interval, Stage};
use crate::memory::{peak_resident_bytes, resident_bytes, sealed_allocations};
use crate::pipeline::{ChosenProduct, Commands, RunEnd, Status};
use crate::sink::part::{PartResult, PartStatus, UnjudgedRun};
use crate::telemetry::{Record, Telemetry};
use lineside_engine::cpu_features;
use log::Level;
use std::path::Path;
use std::time::Duration;

/// The start of a run: what runs where, with what. `previous`: how the last run in the same output folder ended.
pub fn start(
    telemetry: &Telemetry,
    config: &Config,
    path: Option<&Path>,
    plan: &LinePlan,
    machine: &Machine,
    previous: &'static str,
) -> Record {
    telemetry
        .info("start")
        .with("host", machine.host.as_str())
        .with("version", env!("CARGO_PKG_VERSION"))
        .with("source", plan.source.as_str())
        .with("config", path.map_or("demo".into(), |path| path.display().to_string()))
        .with("bundles", plan.bundles.join("; "))
        .with("threshold", plan.pipeline.inspection.tasks.first().threshold())
        .with_known("product", product(&plan.commands))
        .with("output", plan.output.display().to_string())
        .with("budget_bytes", config.budget.memory.get_ref().as_u64())
        .with("bill_bytes", plan.bill.total())
        .with("bill", plan.bill.line())
        .with_known("board", machine.board.as_deref())
        .with_known("cpu", machine.cpu.as_deref())
        .with("cores", machine.cores)
        .with("cpu_features", cpu_features().join(" "))
        .with("kernel", plan.kernel)
        .with("os", machine.os.as_str())
        .with_known("boot", machine.boot.as_deref())
        .with("pid", u64::from(std::process::id()))
        .with("previous", previous)
        .with_known("first_part", plan.parts.as_ref().map(|line| line.parts.next_id()))
}

/// The name of the product that frames are judged as; `None` where the line has none.
pub fn product(commands: &Commands) -> Option<&str> {
    match commands.active() {
        ChosenProduct::Without => None,
        other => Some(commands.key(other).map_or(ChosenProduct::UNKNOWN_NAME, |key| key.name.as_str())),
    }
}

/// The totals of the run, and what happened in `interval`.
pub fn status(
    telemetry: &Telemetry,
    status: &Status,
    interval: &Interval,
    uptime: Duration,
    drift: &DriftMonitor,
    heat: &HeatWatcher,
    parts: Option<&PartStatus>,
) -> Record {
    let mut record = telemetry
        .info("status")
        .with("uptime_s", tenths(uptime.as_secs_f64()))
        .with("seconds", tenths(interval.seconds));
    counts(&mut record, status);
    // The time between the end of the last frame and that of the run is too short for a rate.
    let fps = if interval.seconds > 0.1 { interval.captured as f64 / interval.seconds } else { 0.0 };
    record.add("fps", tenths(fps));
    record.add("score", status.score);
    record.add("severity", thousandths(status.severity));
    for stage in Stage::ALL {
        let times = interval.stage(stage);
        if times.count() > 0 {
            let word = stage.word();
            for (name, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
                record.add(format!("{word}_{name}_ms"), milliseconds(times.quantile(share)));
            }
            record.add(format!("{word}_max_ms"), milliseconds(times.max()));
        }
    }
    let (distance, reading) = (drift.distance(), heat.reading());
    part_counts(&mut record, parts);
    record
        .with("scores", interval.scores_text())
        .with("severities", interval.severities_text())
        .with_known("brightness", interval.brightness().map(tenths))
        .with_known("sharpness", interval.sharpness().map(tenths))
        .with_known("drift_ks", distance.map(|(ks, _)| thousandths(ks)))
        .with_known("drift_median", distance.map(|(_, median)| thousandths(median)))
        .with("source", status.source.state.word())
        .with_known("faults", telemetry.active_faults())
        .with("restarts", status.source.restarts)
        .with("enlarged", status.enlarging.done)
        .with("enlarged_late", status.enlarging.late)
        .with("unrecorded", status.unrecorded)
        .with_known("shadow_judged", status.shadow.map(|shadow| shadow.judged))
        .with_known("shadow_differs", status.shadow.map(|shadow| shadow.differing))
        .with_known("shadow_skipped", status.shadow.map(|shadow| shadow.skipped))
        .with_known("shadow_failed", status.shadow.map(|shadow| shadow.failed))
        .with_known("temperature_c", reading.temperature)
        .with_known("throttled", reading.bits())
        .with_known("undervoltage", reading.undervoltage)
        .with_known("heat", heat.rung().map(u32::from))
        .with_known("rss_bytes", resident_bytes())
        .with("allocs_since_sealed", sealed_allocations())
        .with("held_back", telemetry.suppressed_log_lines())
}

/// Parts without a verdict, in a row and for the same reason.
pub fn unjudged(telemetry: &Telemetry, run: &UnjudgedRun) -> Record {
    telemetry
        .record(Level::Warn, "part")
        .with("part", run.first)
        .with("count", run.count)
        .with("result", PartResult::NoResult.word())
        .with("reason", run.reason.word())
}

/// The results of a shift that ends, or of what this run saw of it.
pub fn shift(telemetry: &Telemetry, shift: &str, [ok, nok, no_result]: [u64; 3]) -> Record {
    let record = telemetry.info("shift").with("shift", shift).with("parts", ok + nok + no_result);
    record.with("parts_ok", ok).with("parts_nok", nok).with("parts_no_result", no_result)
}

/// The counts of parts, where they get results.
fn part_counts(record: &mut Record, parts: Option<&PartStatus>) {
    let Some(PartStatus { counts, lines }) = parts else { return };
    record.add("parts", counts.parts);
    record.add("parts_ok", counts.of(PartResult::Ok));
    record.add("parts_nok", counts.of(PartResult::Nok));
    record.add("parts_no_result", counts.of(PartResult::NoResult));
    record.add("parts_late", counts.late);
    record.add("parts_waited", lines.pulses.waited);
    record.add("parts_cut", lines.pulses.cut);
    record.add("parts_overdue", lines.pulses.overdue + lines.pulses.unshown);
    record.add("rejected", lines.rejects.given);
    record.add("rejects_missed", lines.rejects.late + lines.rejects.lost);
}

/// The end of a run; `lost`: records and pictures that could not be written.
/// `unprinted`: lines for whoever reads stdout that were dropped.
pub fn stop(
    telemetry: &Telemetry,
    ending: &RunEnd,
    uptime: Duration,
    lost: u64,
    unprinted: u64,
    parts: Option<&PartStatus>,
) -> Record {
    let status = &ending.status;
    let mut record =
        telemetry.info("stop").with("reason", ending.reason).with("uptime_s", tenths(uptime.as_secs_f64()));
    counts(&mut record, status);
    part_counts(&mut record, parts);
    record
        .with("enlarged", status.enlarging.done)
        .with("enlarged_late", status.enlarging.late)
        .with("restarts", status.source.restarts)
        .with_known("peak_rss_bytes", peak_resident_bytes())
        .with("allocs_since_sealed", sealed_allocations())
        .with("unrecorded", status.unrecorded)
        .with_known("lost", more_than_none(lost))
        .with_known("unprinted", more_than_none(unprinted))
        .with("held_back", telemetry.suppressed_log_lines())
}

/// A count that is left out where there is nothing to count.
fn more_than_none(count: u64) -> Option<u64> {
    (count > 0).then_some(count)
}

fn counts(record: &mut Record, status: &Status) {
    let counts = &status.counts;
    record.add("captured", counts.captured);
    record.add("inspected", counts.inspected);
    record.add("skipped_similar", counts.skipped_similar);
    record.add("dropped_stale", counts.dropped_stale);
    record.add("failed", counts.failed);
    record.add("defects", status.defects);
}

fn milliseconds(micros: u32) -> f64 {
    hundredths(f64::from(micros) / 1e3)
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
