//! A supply that is too weak, and a board that gets too hot.

use super::{Finding, Weight};
use crate::say;
use crate::story::{Board, Said, Story};

/// A Raspberry Pi begins to slow down at 80 °C and does so hard at 85.
const HOT: f64 = 80.0;

pub fn find(story: &Story, board: &Board, findings: &mut Vec<Finding>) {
    under_voltage(story, board, findings);
    throttled(story, board, findings);
    if board.heat.value >= 1.0 {
        let rung = board.heat.value as u64;
        // The ladder's own names: rate, spots, size.
        let step = if board.heat_name.is_empty() { String::new() } else { format!(" ({})", board.heat_name) };
        let text = format!(
            "Because of heat the service gave up some of its work for {}: rung {rung} at most{step}.",
            say::seconds(board.heat_seconds)
        );
        let advice = "It does so to stay ahead of the board's own throttling. Cool the board to get all of it back.";
        findings.push(
            Finding::new(Weight::Warning, "heat_ladder", text).advice(advice).shown(board.heat.place).order(30.0),
        );
    }
}

fn under_voltage(story: &Story, board: &Board, findings: &mut Vec<Finding>) {
    let bit = board.bits[0];
    let kernel = board.kernel.iter().find(|(said, _)| *said == Said::Undervoltage).map(|(_, seen)| *seen);
    let text = match (bit.seen.first, bit.since_boot, kernel) {
        (Some(first), ..) => {
            let from = first.time.map(|time| format!(" from {}", say::moment(time, story.span()))).unwrap_or_default();
            format!(
                "The board's supply was too low{from}, for {} together (throttle bit 0).",
                say::seconds(bit.seconds)
            )
        }
        (None, None, None) => return,
        (None, Some(_), _) => {
            "The board's supply was too low at some time since it was started (throttle bit 16).".into()
        }
        (None, None, Some(seen)) => format!("The kernel saw the board's supply too low {}.", say::times(seen.count)),
    };
    let advice = "Under-voltage slows the board down, loses USB devices and destroys cards: a supply made for this board, a short thick cable, the camera powered by itself.";
    let places =
        bit.seen.places().into_iter().chain(bit.since_boot).chain(kernel.map(|seen| seen.places()).unwrap_or_default());
    findings.push(
        Finding::new(Weight::Warning, "under_voltage", text)
            .advice(advice)
            .shown(places)
            .order(70.0 + bit.seconds.sqrt()),
    );
}

fn throttled(story: &Story, board: &Board, findings: &mut Vec<Finding>) {
    let [_, capped, throttled, soft] = board.bits;
    let hot = board.temperature.value >= HOT;
    let slowed = [
        ("throttled (bit 2)", throttled),
        ("held at a lower frequency (bit 1)", capped),
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
            .and_then(|place| place.time)
            .map(|time| format!(" from {}", say::moment(time, story.span())));
        text = format!("The CPU was {what}{} for {} together", from.unwrap_or_default(), say::seconds(bit.seconds));
    }
    if let Some(place) = board.temperature.place {
        let when = place.time.map(|time| format!(" at {}", say::moment(time, story.span()))).unwrap_or_default();
        let reached = format!("reached {:.0} °C{when}", board.temperature.value);
        text = if text.is_empty() { format!("The CPU {reached}") } else { format!("{text}; it {reached}") };
    }
    let advice = "A heat sink, a fan, shade, or a cooler place for the cabinet. Throttling makes every frame slower: see the latency over time.";
    let places = slowed.iter().flat_map(|(_, bit)| bit.seen.places()).chain(board.temperature.place);
    let seconds = slowed.iter().map(|(_, bit)| bit.seconds).fold(0.0, f64::max);
    let weight =
        if slowed.iter().any(|(what, _)| what.contains("bit 2")) || hot { Weight::Warning } else { Weight::Note };
    findings.push(Finding::new(weight, "heat", text + ".").advice(advice).shown(places).order(60.0 + seconds.sqrt()));
}
