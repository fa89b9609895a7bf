//! `/metrics` in Prometheus' text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).

use super::limits::VIEWERS;
use super::page::PageState;
use super::stages::{BOUNDS, StageTotals};
use super::status_cell::StatusSnapshot;
use crate::memory::{resident_bytes, sealed_allocations};
use crate::sink::part::{PartResult, PartStatus, Parts};
use crate::source::SourceState;
use crate::telemetry::FAULT_WORDS;
use std::fmt::{Display, Write};
use std::sync::atomic::Ordering::Relaxed;

/// The metrics of a run as text.
pub fn metrics(page: &PageState, now: &StatusSnapshot) -> String {
    let PageState { facts, live, .. } = page;
    let mut text = MetricsText { text: String::with_capacity(6 << 10), camera: facts.camera.clone() };
    let (status, counts) = (&now.status, &now.status.counts);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    text.family("lineside_build_info", "gauge", "Version of the running program.", &[(&version, 1.0)]);
    let start = facts.started.as_millisecond() as f64 / 1e3;
    text.one("lineside_start_time_seconds", "gauge", "Start of this run, in seconds since 1970.", start);
    let up = f64::from(u8::from(now.problem().is_none()));
    text.one("lineside_healthy", "gauge", "Whether inspection makes progress.", up);
    let fates = [
        ("inspected", counts.inspected),
        ("skipped_similar", counts.skipped_similar),
        ("dropped_stale", counts.dropped_stale),
        ("failed", counts.failed),
    ];
    let fates = fates.map(|(fate, count)| ([("fate", fate)], count as f64));
    let fates: Vec<(&[(&str, &str)], f64)> = fates.iter().map(|(labels, count)| (labels.as_slice(), *count)).collect();
    text.family("lineside_frames_total", "counter", "Frames by outcome.", &fates);
    text.one("lineside_defects_total", "counter", "Frames with a defect.", status.defects as f64);
    if let Some(code) = status.product {
        let help = "Code of the product that is inspected; 0: an unknown one.";
        text.one("lineside_product_code", "gauge", help, f64::from(code));
    }
    let unrecorded = status.unrecorded as f64;
    text.one("lineside_unrecorded_total", "counter", "Verdicts that the disk did not take in time.", unrecorded);
    if let Some(shadow) = status.shadow {
        let fates = [
            ("agrees", shadow.judged - shadow.differing),
            ("differs", shadow.differing),
            ("skipped", shadow.skipped),
            ("failed", shadow.failed),
        ];
        let fates = fates.map(|(fate, count)| ([("outcome", fate)], count as f64));
        let fates: Vec<(&[(&str, &str)], f64)> =
            fates.iter().map(|(label, count)| (label.as_slice(), *count)).collect();
        text.family("lineside_shadow_total", "counter", "Frames by what the shadow said of them.", &fates);
    }
    if let Some(parts) = &facts.parts {
        text.parts(parts);
    }
    text.one("lineside_enlarged_total", "counter", "Upscaled spots or frames.", status.enlarging.done as f64);
    let late = status.enlarging.late as f64;
    text.one("lineside_enlarged_late_total", "counter", "Upscalings that exceeded super_resolution.max_ms.", late);
    let (_, last) = live.last_severities(1);
    if let Some(last) = last.first() {
        text.one("lineside_score", "gauge", "The last score, 0 to 1.", status.score);
        let severity = f64::from(last.severity);
        text.one("lineside_severity", "gauge", "The last severity: 0 as taught, a defect from 1.", severity);
        text.one("lineside_threshold", "gauge", "The score from which a frame is a defect.", live.threshold());
    }
    text.times(&now.stages);
    let is_up = f64::from(u8::from(status.source.state != SourceState::Away));
    text.one("lineside_source_up", "gauge", "Whether the source delivers frames.", is_up);
    let frozen = f64::from(u8::from(status.source.state == SourceState::Frozen));
    text.one("lineside_source_frozen", "gauge", "Whether its frames have stopped changing.", frozen);
    let restarts = status.source.restarts as f64;
    text.one("lineside_source_restarts_total", "counter", "How often the source recovered.", restarts);
    if let Some(resident) = resident_bytes() {
        text.one("lineside_memory_resident_bytes", "gauge", "Resident memory of the process.", resident as f64);
    }
    let budget = facts.budget_bytes as f64;
    text.one("lineside_memory_budget_bytes", "gauge", "Memory limit (budget.memory).", budget);
    let sealed = sealed_allocations() as f64;
    text.one("lineside_sealed_allocations_total", "counter", "Allocations of threads that should make none.", sealed);
    if let Some(temperature) = now.heat.temperature {
        text.one("lineside_temperature_celsius", "gauge", "The processor's temperature.", temperature);
    }
    if let Some(bits) = now.heat.throttled {
        text.one("lineside_throttled_bits", "gauge", "The bits of vcgencmd get_throttled.", f64::from(bits));
    }
    if let Some(rung) = now.rung {
        text.one("lineside_heat_rung", "gauge", "Active degradation step against heat; 0: none.", f64::from(rung));
    }
    let faults = std::iter::zip(FAULT_WORDS, now.conditions.faults);
    let faults: Vec<_> = faults.map(|(word, active)| ([("fault", word)], f64::from(u8::from(active)))).collect();
    let faults: Vec<(&[(&str, &str)], f64)> = faults.iter().map(|(label, on)| (label.as_slice(), *on)).collect();
    text.family("lineside_fault_active", "gauge", "Whether a fault is active, as its records call it.", &faults);
    if let Some((distance, shift)) = now.conditions.drift {
        let help = "Distance of the scores to the bundle's baseline (ks) and shift of their median.";
        let statistics: [(&[(&str, &str)], f64); 2] =
            [(&[("statistic", "ks")], distance), (&[("statistic", "median")], shift)];
        text.family("lineside_drift", "gauge", help, &statistics);
    }
    let review = f64::from(u8::from(now.conditions.review_needed));
    text.one("lineside_review_needed", "gauge", "Whether the line differs from what the bundle was taught.", review);
    if let Some(waiting) = now.conditions.broker_waiting {
        text.one("lineside_mqtt_waiting_records", "gauge", "Records that wait for the broker.", waiting as f64);
    }
    if let Some(queue) = &page.judging {
        let outcomes =
            queue.counts.each_ref().map(|(outcome, count)| ([("outcome", *outcome)], count.load(Relaxed) as f64));
        let outcomes: Vec<(&[(&str, &str)], f64)> =
            outcomes.iter().map(|(labels, count)| (labels.as_slice(), *count)).collect();
        text.family("lineside_judge_requests_total", "counter", "Pictures posted to be judged, by outcome.", &outcomes);
    }
    text.one("lineside_page_viewers", "gauge", "Viewers of the live view.", page.viewers() as f64);
    text.one("lineside_page_viewers_limit", "gauge", "The most viewers.", VIEWERS as f64);
    text.text
}

struct MetricsText {
    text: String,
    /// A label of every sample, where the process has several cameras.
    camera: Option<String>,
}

impl MetricsText {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
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
        self.text.push_str(name);
        let camera = self.camera.as_deref().map(|camera| ("camera", camera));
        let mut between = '{';
        for (label, text) in camera.iter().chain(labels) {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{between}{label}=\"{text}\"");
            between = ',';
        }
        let end = if between == '{' { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }

    fn parts(&mut self, parts: &Parts) {
        let name = "lineside_parts_total";
        self.head(name, "counter", "Parts by product, shift and result.");
        for row in parts.rows() {
            for (result, count) in PartResult::ALL.into_iter().zip(row.results) {
                let labels =
                    [("product", row.product.as_str()), ("shift", row.shift.as_str()), ("result", result.word())];
                self.sample(name, &labels, count);
            }
        }
        let PartStatus { counts, lines } = parts.status();
        let late = counts.late as f64;
        self.one("lineside_parts_late_total", "counter", "Verdicts that came after their part had its result.", late);
        let cut = lines.pulses.cut as f64;
        self.one("lineside_part_pulses_cut_total", "counter", "Pulses that were cut short for the next result.", cut);
        let overdue = (lines.pulses.overdue + lines.pulses.unshown) as f64;
        self.one(
            "lineside_parts_overdue_total",
            "counter",
            "Results that the lines showed too late or never.",
            overdue,
        );
        let outcomes = [("given", lines.rejects.given), ("missed", lines.rejects.late + lines.rejects.lost)];
        let outcomes = outcomes.map(|(outcome, count)| ([("outcome", outcome)], count as f64));
        let outcomes: Vec<(&[(&str, &str)], f64)> =
            outcomes.iter().map(|(labels, count)| (labels.as_slice(), *count)).collect();
        self.family("lineside_rejects_total", "counter", "Bad parts by what the ejector did.", &outcomes);
    }

    fn times(&mut self, stages: &StageTotals) {
        let name = "lineside_stage_seconds";
        self.head(name, "histogram", "Duration by stage; verdict: from capture to verdict. Updated every ten seconds.");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::part::CountedProduct;
    use std::time::Duration;

    #[test]
    fn parts_are_counted_by_product_shift_and_result() {
        let shifts = vec!["06:00".to_string(), "18:00".to_string()];
        let parts = Parts::new(
            Duration::from_secs(1),
            Duration::ZERO,
            vec![CountedProduct { name: "cap \"a\"".into(), code: Some(1) }],
            shifts,
        )
        .unwrap();
        let mut text = MetricsText { text: String::new(), camera: None };
        text.parts(&parts);
        let samples: Vec<&str> = text.text.lines().filter(|line| !line.starts_with('#')).collect();
        // The labels are as many as the configuration has names, whatever passes the line.
        assert_eq!(samples.len(), 2 * 3 + 3 + 2);
        assert_eq!(samples[0], "lineside_parts_total{product=\"cap \\\"a\\\"\",shift=\"06:00\",result=\"ok\"} 0");
        assert!(samples.contains(&"lineside_rejects_total{outcome=\"missed\"} 0"), "{samples:?}");
        let mut of_camera = MetricsText { text: String::new(), camera: Some("top".into()) };
        of_camera.parts(&parts);
        of_camera.one("lineside_healthy", "gauge", "Of one.", 1.0);
        let has_name = |line: &str| line.starts_with('#') || line.contains("{camera=\"top\"");
        assert!(of_camera.text.lines().all(has_name), "{}", of_camera.text);
        assert!(of_camera.text.ends_with("\nlineside_healthy{camera=\"top\"} 1\n"), "{}", of_camera.text);
    }
}
