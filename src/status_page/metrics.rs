//! `/metrics` in Prometheus' text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).

use super::stages::{BOUNDS, StageTotals};
use super::status_cell::StatusSnapshot;
use super::{Page, VIEWERS};
use crate::memory::{resident_bytes, sealed_allocations};
use crate::source::SourceState;
use std::fmt::{Display, Write};
use std::sync::atomic::Ordering::Relaxed;

/// All that can be counted.
pub fn metrics(page: &Page, now: &StatusSnapshot) -> String {
    let Page { facts, live, .. } = page;
    let mut text = Text(String::with_capacity(6 << 10));
    let (status, counts) = (&now.status, &now.status.counts);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    text.family("lineside_build_info", "gauge", "The program that runs.", &[(&version, 1.0)]);
    let start = facts.started.as_millisecond() as f64 / 1e3;
    text.one("lineside_start_time_seconds", "gauge", "When this run began, in seconds since 1970.", start);
    let up = f64::from(u8::from(now.problem().is_none()));
    text.one("lineside_healthy", "gauge", "Whether inspection gets on.", up);
    let fates = [
        ("inspected", counts.inspected),
        ("skipped_similar", counts.skipped_similar),
        ("dropped_stale", counts.dropped_stale),
        ("failed", counts.failed),
    ];
    let fates = fates.map(|(fate, count)| ([("fate", fate)], count as f64));
    let fates: Vec<(&[(&str, &str)], f64)> = fates.iter().map(|(labels, count)| (labels.as_slice(), *count)).collect();
    text.family("lineside_frames_total", "counter", "Frames by what became of them.", &fates);
    text.one("lineside_defects_total", "counter", "Frames that counted as defect.", status.defects as f64);
    text.one("lineside_enlarged_total", "counter", "Spots or frames that were enlarged.", status.enlarging.done as f64);
    let late = status.enlarging.late as f64;
    text.one("lineside_enlarged_late_total", "counter", "Enlargements that took longer than they may.", late);
    let (_, last) = live.remembered(1);
    if let Some(last) = last.first() {
        text.one("lineside_score", "gauge", "The last score, 0 to 1.", f64::from(last.score));
        text.one("lineside_threshold", "gauge", "The score from which on a frame is a defect.", live.threshold());
    }
    text.times(&now.stages);
    let flows = f64::from(u8::from(status.source.state != SourceState::Away));
    text.one("lineside_source_up", "gauge", "Whether the source gives frames.", flows);
    let frozen = f64::from(u8::from(status.source.state == SourceState::Frozen));
    text.one("lineside_source_frozen", "gauge", "Whether its frames have stopped changing.", frozen);
    let restarts = status.source.restarts as f64;
    text.one("lineside_source_restarts_total", "counter", "How often the source came back.", restarts);
    if let Some(resident) = resident_bytes() {
        text.one("lineside_memory_resident_bytes", "gauge", "Memory that the process holds.", resident as f64);
    }
    let budget = facts.budget_bytes as f64;
    text.one("lineside_memory_budget_bytes", "gauge", "Memory that it may hold (budget.memory).", budget);
    let sealed = sealed_allocations() as f64;
    text.one("lineside_sealed_allocations_total", "counter", "Allocations of threads that were to make none.", sealed);
    if let Some(temperature) = now.heat.temperature {
        text.one("lineside_temperature_celsius", "gauge", "The processor's temperature.", temperature);
    }
    if let Some(bits) = now.heat.throttled {
        text.one("lineside_throttled_bits", "gauge", "The bits of vcgencmd get_throttled.", f64::from(bits));
    }
    if let Some(rung) = now.rung {
        text.one("lineside_heat_rung", "gauge", "How much is given up for heat; 0: nothing.", f64::from(rung));
    }
    text.one("lineside_page_viewers", "gauge", "Who looks at the live view.", page.viewers.load(Relaxed) as f64);
    text.one("lineside_page_viewers_limit", "gauge", "How many may.", VIEWERS as f64);
    text.0
}

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help, &[(&[], value)]);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str, samples: &[(&[(&str, &str)], f64)]) {
        self.head(name, kind, help);
        for (labels, value) in samples {
            self.sample(name, labels, value);
        }
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (i, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if i == 0 { '{' } else { ',' });
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }

    fn times(&mut self, stages: &StageTotals) {
        let name = "lineside_stage_seconds";
        self.head(
            name,
            "histogram",
            "How long frames take, by stage; verdict: from capture to verdict. StatusCell every ten seconds.",
        );
        for (stage, took) in stages.each().filter(|(_, took)| took.count > 0) {
            for (bound, count) in BOUNDS.iter().zip(took.at_most) {
                let bound = format!("{}", f64::from(*bound) / 1e3);
                self.sample(&format!("{name}_bucket"), &[("stage", stage), ("le", &bound)], count);
            }
            self.sample(&format!("{name}_bucket"), &[("stage", stage), ("le", "+Inf")], took.count);
            self.sample(&format!("{name}_sum"), &[("stage", stage)], took.micros as f64 / 1e6);
            self.sample(&format!("{name}_count"), &[("stage", stage)], took.count);
        }
    }
}
