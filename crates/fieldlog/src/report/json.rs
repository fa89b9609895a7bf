//! The report for programs. The names `runs`, `findings`, `frames` (with its five fates) and `latency` (with p50, p95, p99)
//! are stable.

use super::Report;
use super::intervals::{bands, intervals};
use crate::humanize;
use crate::summary::{Board, EventFrame, LineRef, Percentiles, STAGES};
use serde_json::{Value, json};

/// Intervals of time in `timeline`.
const TIMELINE: usize = 240;

impl Report {
    /// The report as one JSON document.
    pub fn to_json(&self) -> Value {
        let runs: Vec<Value> = self.summary.boards.iter().flat_map(|board| self.runs_json(board)).collect();
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "weight": finding.severity.json_name(), "kind": finding.kind, "board": finding.board,
                    "time": finding.time.map(humanize::rfc3339), "text": finding.text, "advice": finding.advice,
                    "lines": self.lines(&finding.line_refs),
                })
            })
            .collect();
        let read: Vec<Value> = self
            .summary
            .inputs
            .iter()
            .map(|input| json!({ "name": input.name, "bytes": input.bytes, "lines": input.lines, "records": input.records, "repeated": input.repeated, "unread": input.unread, "first_unread": input.first_unread, "notes": input.notes }))
            .collect();
        let mut latency = percentiles(self.latency(0).percentiles());
        latency["stages"] = stages(|stage| self.latency(stage).percentiles());
        let span = self.summary.span();
        json!({
            "runs": runs,
            "findings": findings,
            "frames": self.summary.frames(),
            "defects": self.summary.boards.iter().map(|board| board.defects).sum::<u64>(),
            "latency": latency,
            "from": span.map(|(first, _)| humanize::rfc3339(first)),
            "to": span.map(|(_, last)| humanize::rfc3339(last)),
            "boards": self.summary.boards.iter().map(|board| self.board_json(board)).collect::<Vec<_>>(),
            "read": read,
        })
    }

    fn runs_json<'a>(&'a self, board: &'a Board) -> impl Iterator<Item = Value> + 'a {
        board.runs.iter().map(|row| {
            json!({
                "board": board.name, "run": row.id, "runs": row.runs, "version": row.version,
                "from": row.first.time.map(humanize::rfc3339), "to": row.last.time.map(humanize::rfc3339), "begin_in_log": row.started,
                "ending": row.exit_reason.name(), "ended": row.exit_reason.description(),
                "lines": self.lines(&[row.first, row.last].into_iter().chain(row.why).collect::<Vec<_>>()),
                "frames": row.frames, "defects": row.defects, "watched_s": seconds(row.watch.watched), "blind_s": seconds(row.watch.blind()),
                "down_after_s": seconds(row.down_after), "peak_rss_bytes": row.rss as u64,
            })
        })
    }

    fn board_json(&self, board: &Board) -> Value {
        let watch = board.watch;
        let start = board.start.as_ref();
        let faults: Vec<Value> = board
            .faults
            .causes
            .iter()
            .filter(|fault| fault.seen.count > 0)
            .map(|fault| {
                json!({
                    "fault": fault.fault, "cause": fault.cause, "times": fault.seen.count, "failures": fault.failures,
                    "seconds": seconds(fault.seconds), "longest_s": seconds(fault.longest.value), "lines": self.lines(&fault.seen.lines()),
                })
            })
            .collect();
        let reviews: Vec<Value> = board
            .reviews
            .iter()
            .map(|review| {
                json!({
                    "statistic": review.statistic, "value": review.value, "limit": review.limit, "cause": review.cause,
                    "from": review.from.and_then(|line_ref| line_ref.time).map(humanize::rfc3339), "to": review.to.and_then(|line_ref| line_ref.time).map(humanize::rfc3339),
                    "lines": self.lines(&review.from.into_iter().chain(review.to).collect::<Vec<_>>()),
                })
            })
            .collect();
        json!({
            "name": board.name,
            "version": start.map(|start| &start.version), "bundles": start.map(|start| &start.bundles), "kernel": start.map(|start| &start.kernel),
            "frames": board.frames, "defects": board.defects, "events": board.events, "frames_before_log": board.frames_before_log, "parts": board.parts,
            "watched_s": seconds(watch.watched), "away_s": seconds(watch.away), "frozen_s": seconds(watch.frozen),
            "not_judged_s": seconds(watch.unjudged), "down_s": seconds(board.down),
            "latency": stages(|stage| board.latency[stage].percentiles()),
            "latency_by_heat": bands(board).into_iter().map(|band| {
                let mut latency = percentiles(Some(band.latency));
                latency["while"] = band.name.into();
                latency["seconds"] = seconds(band.seconds).into();
                latency
            }).collect::<Vec<_>>(),
            "memory": { "peak_rss_bytes": board.rss.value as u64, "budget_bytes": start.and_then(|start| start.budget), "bill_bytes": start.and_then(|start| start.bill) },
            "temperature_max_c": board.temperature.line_ref.map(|_| board.temperature.value),
            "heat_s": seconds(board.heat_seconds),
            "events_by_hour": board.hours.iter().filter(|(_, count)| **count > 0).map(|(time, count)| json!([humanize::rfc3339(time), count])).collect::<Vec<_>>(),
            "worst": board.worst.by_severity.iter().map(|frame| self.frame_json(frame)).collect::<Vec<_>>(),
            "slowest": board.worst.slowest.iter().map(|frame| self.frame_json(frame)).collect::<Vec<_>>(),
            "faults": faults, "reviews": reviews, "timeline": timeline(board),
        })
    }

    fn frame_json(&self, frame: &EventFrame) -> Value {
        json!({
            "time": frame.time.map(humanize::rfc3339), "frame": frame.frame, "score": frame.score, "severity": frame.severity, "threshold": frame.threshold,
            "latency_ms": frame.latency_ms, "regions": frame.regions, "annotated": frame.annotated, "spot": frame.spot, "lines": self.lines(&[frame.line_ref]),
        })
    }

    fn lines(&self, line_refs: &[LineRef]) -> Vec<Value> {
        let name = |line_ref: &LineRef| {
            self.summary.inputs.get(line_ref.input as usize).map_or("", |input| input.name.as_str())
        };
        let mut seen = Vec::new();
        for line_ref in line_refs {
            let line = json!({ "file": name(line_ref), "line": line_ref.line });
            if !seen.contains(&line) {
                seen.push(line);
            }
        }
        seen
    }
}

fn timeline(board: &Board) -> Vec<Value> {
    intervals(board, TIMELINE)
        .into_iter()
        .filter(|(_, bucket)| bucket.seconds > 0.0 || bucket.events > 0)
        .map(|(time, bucket)| {
            let latency = bucket.stages[0].of();
            json!({
                "time": humanize::rfc3339(time), "frames": bucket.frames, "defects": bucket.defects, "events": bucket.events,
                "watched_s": seconds(bucket.watched), "blind_s": seconds(bucket.blind), "fps": hundredths(bucket.fps()),
                "p50": hundredths(latency.map(|of| of.p50)), "p95": hundredths(latency.map(|of| of.p95)), "p99": hundredths(latency.map(|of| of.p99)),
                "rss_bytes": bucket.rss.line_ref.map(|_| bucket.rss.value as u64), "temperature_c": hundredths(bucket.temperature.mean()),
                "throttled": bucket.throttled, "heat": bucket.heat, "brightness": hundredths(bucket.brightness.mean()), "sharpness": hundredths(bucket.sharpness.mean()),
            })
        })
        .collect()
}

fn stages(of: impl Fn(usize) -> Option<Percentiles>) -> Value {
    let known = STAGES
        .iter()
        .enumerate()
        .filter_map(|(stage, (name, _))| Some((name.to_string(), percentiles(Some(of(stage)?)))));
    Value::Object(known.collect())
}

fn percentiles(of: Option<Percentiles>) -> Value {
    let round = |ms: f64| (ms * 100.0).round() / 100.0;
    let value = |f: fn(Percentiles) -> f64| of.map(|of| round(f(of)));
    json!({ "p50": value(|of| of.p50), "p95": value(|of| of.p95), "p99": value(|of| of.p99), "max": value(|of| of.max) })
}

fn seconds(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

fn hundredths(value: Option<f64>) -> Option<f64> {
    value.map(|value| (value * 100.0).round() / 100.0)
}
