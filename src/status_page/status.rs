//! `/status.json`: what the page shows.

use super::access::PageRole;
use super::limits::VIEWERS;
use super::live::SEVERITIES;
use super::page::PageState;
use super::stages::StageTimes;
use super::status_cell::StatusSnapshot;
use crate::memory::{peak_resident_bytes, resident_bytes};
use crate::sink::part::{PartRow, PartStatus, Parts};
use serde_json::{Value, json};
use std::time::Duration;

/// Focus and brightness are those of an image that is not older.
const RECENT: Duration = Duration::from_secs(3);

/// Everything that the page shows beside the live view to a client with a role.
pub fn status(page: &PageState, now: &StatusSnapshot, role: PageRole) -> Value {
    let PageState { facts, live, latest, .. } = page;
    let commands = &page.line.commands;
    let (verdicts, recent) = live.last_severities(SEVERITIES);
    let last = recent.last();
    let severities: Vec<f64> = recent.iter().map(|one| rounded(f64::from(one.severity), 1e3)).collect();
    let defects: Vec<usize> = (0..recent.len()).filter(|&at| recent[at].defect).collect();
    let image = latest.newest(RECENT);
    let counts = &now.status.counts;
    let stages: Vec<Value> = now.stages.each().filter_map(|(stage, took)| percentiles(stage, took)).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "source": facts.source,
        "camera": facts.camera,
        "cameras": facts.pages.iter().map(|(name, port)| json!({ "name": name, "port": port })).collect::<Vec<_>>(),
        "bundles": facts.bundles,
        "started": facts.started,
        "healthy": now.problem().is_none(),
        "problem": now.problem(),
        "source_state": now.status.source.state.word(),
        "restarts": now.status.source.restarts,
        "frames": {
            "captured": counts.captured, "inspected": counts.inspected, "skipped_similar": counts.skipped_similar,
            "dropped_stale": counts.dropped_stale, "failed": counts.failed,
        },
        "defects": now.status.defects,
        "product_code": now.status.product,
        "product": commands.active_product().map(|key| &key.name),
        "products": commands.products().iter().map(|key| json!({ "name": key.name, "code": key.code })).collect::<Vec<_>>(),
        "latched": commands.latched(),
        "may_control": page.control.is_some() && role == PageRole::Teach,
        "unrecorded": now.status.unrecorded,
        "shadow": now.status.shadow.map(|shadow| json!({
            "judged": shadow.judged, "differing": shadow.differing, "skipped": shadow.skipped, "failed": shadow.failed,
        })),
        "parts": facts.parts.as_ref().map(|line| parts(line)),
        "fps": now.fps.map(|fps| rounded(fps, 10.0)),
        "since_defect_s": now.since_defect().map(|time| rounded(time.as_secs_f64(), 10.0)),
        "score": last.map(|_| rounded(now.status.score, 1e4)),
        "severity": last.map(|one| rounded(f64::from(one.severity), 1e3)),
        "defect": last.map(|one| one.defect),
        "threshold": live.threshold(),
        "latency_ms": {
            "last": last.map(|one| rounded(f64::from(one.micros) / 1e3, 100.0)),
            "seconds": rounded(now.stages.seconds, 10.0),
            "stages": stages,
        },
        "memory": {
            "resident_bytes": resident_bytes(), "peak_bytes": peak_resident_bytes(),
            "budget_bytes": facts.budget_bytes, "bill_bytes": facts.bill_bytes,
        },
        "temperature_c": now.heat.temperature,
        "throttled": now.heat.bits(),
        "heat_rung": now.rung,
        "verdicts": verdicts,
        "severities": severities,
        "chart_defects": defects,
        "focus": image.as_ref().map(|image| rounded(image.sharpness, 100.0)),
        "brightness": image.as_ref().map(|image| rounded(image.brightness, 10.0)),
        "viewers": page.viewers(),
        "viewers_limit": VIEWERS,
        "events": page.events.last(),
    })
}

/// Counts of parts: in all, of the lines, and by product and shift.
fn parts(line: &Parts) -> Value {
    let PartStatus { counts, lines } = line.status();
    let results = |[ok, nok, no_result]: [u64; 3]| json!({ "ok": ok, "nok": nok, "no_result": no_result });
    let by_shift =
        |row: PartRow| json!({ "product": row.product, "shift": row.shift, "results": results(row.results) });
    json!({
        "announced": counts.parts, "in_flight": counts.in_flight, "results": results(counts.results), "late": counts.late,
        "waited": lines.pulses.waited, "cut": lines.pulses.cut, "overdue": lines.pulses.overdue + lines.pulses.unshown,
        "rejected": lines.rejects.given, "rejects_missed": lines.rejects.late + lines.rejects.lost,
        "by_shift": line.rows().into_iter().map(by_shift).collect::<Vec<Value>>(),
    })
}

/// The percentiles of a stage; `None` if it did not run in the last interval.
fn percentiles(stage: &str, took: &StageTimes) -> Option<Value> {
    let [p50, p95, p99] = took.percentiles?.map(|ms| rounded(ms, 100.0));
    Some(json!({ "stage": stage, "p50": p50, "p95": p95, "p99": p99 }))
}

fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}
