//! A supply that is too weak, and a board that gets too hot.

use super::{Finding, Severity};
use crate::humanize;
use crate::summary::{Board, Summary, SystemEvent};

/// A Raspberry Pi begins to slow down at 80 °C and does so hard at 85.
const HOT: f64 = 80.0;

pub fn find(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    under_voltage(summary, board, findings);
    throttled(summary, board, findings);
    if board.heat.value >= 1.0 {
        let rung = board.heat.value as u64;
        // The ladder's own names: rate, spots, size.
        let step = if board.heat_name.is_empty() { String::new() } else { format!(" ({})", board.heat_name) };
        let text = format!(
            "Because of heat the service reduced its work for {}: highest rung {rung}{step}.",
            humanize::duration(board.heat_seconds)
        );
        let advice = "It does so to avoid the board's own throttling. Cool the board to restore full operation.";
        findings.push(
            Finding::new(Severity::Warning, "heat_ladder", text)
                .advice(advice)
                .with_lines(board.heat.line_ref)
                .order(30.0),
        );
    }
}

fn under_voltage(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    let bit = board.bits[0];
    let kernel = board.kernel.iter().find(|(event, _)| *event == SystemEvent::Undervoltage).map(|(_, seen)| *seen);
    let text = match (bit.seen.first, bit.since_boot, kernel) {
        (Some(first), ..) => {
            let from = first
                .time
                .map(|time| format!(" from {}", humanize::time_within(time, summary.span())))
                .unwrap_or_default();
            format!(
                "The board's supply voltage was too low{from}, for {} in total (throttle bit 0).",
                humanize::duration(bit.seconds)
            )
        }
        (None, None, None) => return,
        (None, Some(_), _) => {
            "The board's supply voltage was too low at some time since boot (throttle bit 16).".into()
        }
        (None, None, Some(seen)) => format!("The kernel reported under-voltage {}.", humanize::times(seen.count)),
    };
    let advice = "Under-voltage slows the board down, disconnects USB devices and damages cards. Use a power supply made for this board and a short, thick cable, and power the camera separately.";
    let line_refs =
        bit.seen.lines().into_iter().chain(bit.since_boot).chain(kernel.map(|seen| seen.lines()).unwrap_or_default());
    findings.push(
        Finding::new(Severity::Warning, "under_voltage", text)
            .advice(advice)
            .with_lines(line_refs)
            .order(70.0 + bit.seconds.sqrt()),
    );
}

fn throttled(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    let [_, capped, throttled, soft] = board.bits;
    let hot = board.temperature.value >= HOT;
    let slowed = [
        ("throttled (bit 2)", throttled),
        ("capped at a lower frequency (bit 1)", capped),
        ("over its soft temperature limit (bit 3)", soft),
    ];
    let slowed: Vec<_> = slowed.into_iter().filter(|(_, bit)| bit.seen.count > 0).collect();
    if slowed.is_empty() && !hot {
        return;
    }
    let mut text = String::new();
    if let Some((what, bit)) = slowed.first() {
        let from = bit
            .seen
            .first
            .and_then(|line_ref| line_ref.time)
            .map(|time| format!(" from {}", humanize::time_within(time, summary.span())));
        text =
            format!("The CPU was {what}{} for {} in total", from.unwrap_or_default(), humanize::duration(bit.seconds));
    }
    if let Some(line_ref) = board.temperature.line_ref {
        let when = line_ref
            .time
            .map(|time| format!(" at {}", humanize::time_within(time, summary.span())))
            .unwrap_or_default();
        let reached = format!("reached {:.0} °C{when}", board.temperature.value);
        text = if text.is_empty() { format!("The CPU {reached}") } else { format!("{text}; it {reached}") };
    }
    let advice = "Add a heat sink, a fan or shade, or move the cabinet to a cooler place. Throttling makes every frame slower: see the latency over time.";
    let line_refs = slowed.iter().flat_map(|(_, bit)| bit.seen.lines()).chain(board.temperature.line_ref);
    let seconds = slowed.iter().map(|(_, bit)| bit.seconds).fold(0.0, f64::max);
    let severity =
        if slowed.iter().any(|(what, _)| what.contains("bit 2")) || hot { Severity::Warning } else { Severity::Note };
    findings.push(
        Finding::new(severity, "heat", text + ".").advice(advice).with_lines(line_refs).order(60.0 + seconds.sqrt()),
    );
}
