//! `/status.json`: what the page shows.

use super::live::REMEMBERED;
use super::stages::StageTimes;
use super::status_cell::StatusSnapshot;
use super::{Page, VIEWERS};
use crate::memory::{peak_resident_bytes, resident_bytes};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Focus is that of a picture that is not older.
const RECENT: Duration = Duration::from_secs(3);

/// All that the page shows beside the picture.
pub fn status(page: &Page, now: &StatusSnapshot) -> Value {
    let Page { facts, live, latest, .. } = page;
    let (verdicts, remembered) = live.remembered(REMEMBERED);
    let last = remembered.last();
    let scores: Vec<f64> = remembered.iter().map(|one| rounded(f64::from(one.score), 1e4)).collect();
    let defects: Vec<usize> = (0..remembered.len()).filter(|&at| remembered[at].defect).collect();
    let encoded = latest.newest(RECENT);
    let counts = &now.status.counts;
    let stages: Vec<Value> = now.stages.each().filter_map(|(stage, took)| told(stage, took)).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "source": facts.source,
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
        "fps": now.fps.map(|fps| rounded(fps, 10.0)),
        "since_defect_s": now.since_defect().map(|time| rounded(time.as_secs_f64(), 10.0)),
        "score": last.map(|one| rounded(f64::from(one.score), 1e4)),
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
        "scores": scores,
        "chart_defects": defects,
        "focus": encoded.as_ref().map(|encoded| rounded(encoded.sharpness, 100.0)),
        "brightness": encoded.as_ref().map(|encoded| rounded(encoded.brightness, 10.0)),
        "viewers": page.viewers.load(Relaxed),
        "viewers_limit": VIEWERS,
        "events": page.events.last(),
    })
}

/// The percentiles of a stage that ran lately.
fn told(stage: &str, took: &StageTimes) -> Option<Value> {
    let [p50, p95, p99] = took.percentiles?.map(|ms| rounded(ms, 100.0));
    Some(json!({ "stage": stage, "p50": p50, "p95": p95, "p99": p99 }))
}

fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}
