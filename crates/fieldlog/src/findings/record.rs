//! What the log itself does not tell, or tells wrongly.

use super::{Finding, Weight};
use crate::say;
use crate::story::{Board, Break, Place, Story};

pub fn find(_: &Story, board: &Board, findings: &mut Vec<Finding>) {
    if board.sums_wrong.count > 0 {
        let text = format!(
            "In {} the frames by fate do not add up to the frames captured: the program has lost count, or the line is damaged.",
            say::many(board.sums_wrong.count, "record")
        );
        let advice = "Where the lines are not damaged, please report this with the log.";
        findings.push(Finding::new(Weight::Grave, "sums", text).advice(advice).shown(board.sums_wrong.places()));
    }
    clock(board, findings);
    gaps(board, findings);
    if board.held_back > 0 {
        let text = format!(
            "{} held back because too many of one cause came at once; they are counted, not told.",
            lines_were(board.held_back)
        );
        findings.push(Finding::new(Weight::Note, "held_back", text).shown(board.last));
    }
}

fn lines_were(count: u64) -> String {
    if count == 1 { "1 log line was".into() } else { format!("{} log lines were", say::count(count)) }
}

fn clock(board: &Board, findings: &mut Vec<Finding>) {
    let of = |(broken, place): &(Break, Place)| match broken {
        Break::Clock(seconds) => Some((*seconds, *place)),
        Break::Gap(_) => None,
    };
    let jumps: Vec<_> = board.breaks.iter().filter_map(of).collect();
    let told = board.faults.of("clock").next();
    let Some((largest, place)) = jumps.iter().max_by(|a, b| a.0.abs().total_cmp(&b.0.abs())).copied() else {
        if let Some(told) = told {
            let text = format!("The clock was set {}: {}", say::times(told.seen.count), say::short(&told.cause, 160));
            findings.push(Finding::new(Weight::Note, "clock", text).shown(told.seen.places()));
        }
        return;
    };
    let count = board.break_counts.0;
    let direction = if largest > 0.0 { "forwards" } else { "backwards" };
    let mut text = format!("The clock was set {}", say::times(count));
    text += &format!(
        ", {}by {} {direction}: times before that are wrong by as much.",
        if count > 1 { "at most " } else { "" },
        say::seconds(largest)
    );
    let advice =
        "The board has no clock of its own, or its battery is empty: a time server it can reach, or a clock module.";
    let weight = if largest.abs() > 600.0 { Weight::Warning } else { Weight::Note };
    findings.push(
        Finding::new(weight, "clock", text)
            .advice(advice)
            .shown([place].into_iter().chain(jumps.iter().map(|(_, place)| *place))),
    );
}

fn gaps(board: &Board, findings: &mut Vec<Finding>) {
    let of = |(broken, place): &(Break, Place)| match broken {
        Break::Gap(seconds) => Some((*seconds, *place)),
        Break::Clock(_) => None,
    };
    let gaps: Vec<_> = board.breaks.iter().filter_map(of).collect();
    let Some((longest, _)) = gaps.iter().max_by(|a, b| a.0.total_cmp(&b.0)) else { return };
    let total: f64 = gaps.iter().map(|(seconds, _)| seconds).sum();
    let text = format!(
        "Lines are missing {}, {} together, {} at most, while the program went on: what happened then is known by its counts only.",
        say::times(board.break_counts.1),
        say::seconds(total),
        say::seconds(*longest)
    );
    let advice = "A part of the log is not here (rotated away, another file), or the journal drops lines (RateLimitBurst= in journald.conf).";
    let weight = if total > 600.0 { Weight::Warning } else { Weight::Note };
    findings.push(
        Finding::new(weight, "log_gap", text)
            .advice(advice)
            .shown(gaps.iter().map(|(_, place)| *place))
            .order(total.sqrt()),
    );
}
