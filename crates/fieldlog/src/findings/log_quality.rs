//! Missing and wrong data in the log itself.

use super::{Finding, Severity};
use crate::humanize;
use crate::summary::{Board, Discontinuity, LineRef, Summary};

pub fn find(_: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    if board.sums_wrong.count > 0 {
        let text = format!(
            "In {} the frame counts do not add up to the frames captured: a counting error of the program, or a damaged line.",
            humanize::plural(board.sums_wrong.count, "record")
        );
        let advice = "If the lines are not damaged, please report this with the log.";
        findings
            .push(Finding::new(Severity::Critical, "sums", text).advice(advice).with_lines(board.sums_wrong.lines()));
    }
    clock(board, findings);
    gaps(board, findings);
    if board.held_back > 0 {
        let text = format!(
            "{} suppressed because too many had the same cause; they are counted, but not in the log.",
            lines_were(board.held_back)
        );
        findings.push(Finding::new(Severity::Note, "held_back", text).with_lines(board.last));
    }
}

fn lines_were(count: u64) -> String {
    if count == 1 { "1 log line was".into() } else { format!("{} log lines were", humanize::count(count)) }
}

fn clock(board: &Board, findings: &mut Vec<Finding>) {
    let of = |(discontinuity, line_ref): &(Discontinuity, LineRef)| match discontinuity {
        Discontinuity::Clock(seconds) => Some((*seconds, *line_ref)),
        Discontinuity::Gap(_) => None,
    };
    let jumps: Vec<_> = board.discontinuities.iter().filter_map(of).collect();
    let fault = board.faults.of("clock").next();
    let Some((largest, line_ref)) = jumps.iter().max_by(|a, b| a.0.abs().total_cmp(&b.0.abs())).copied() else {
        if let Some(fault) = fault {
            let text = format!(
                "The clock was set {}: {}",
                humanize::times(fault.seen.count),
                humanize::truncated(&fault.cause, 160)
            );
            findings.push(Finding::new(Severity::Note, "clock", text).with_lines(fault.seen.lines()));
        }
        return;
    };
    let count = board.discontinuity_counts.0;
    let direction = if largest > 0.0 { "forwards" } else { "backwards" };
    let mut text = format!("The clock was set {}", humanize::times(count));
    text += &format!(
        ", {} {} {direction}: earlier times are wrong by that amount.",
        if count > 1 { "by up to" } else { "by" },
        humanize::duration(largest)
    );
    let advice = "The board has no hardware clock, or its battery is empty: configure a time server that it can reach, or add a clock module.";
    let severity = if largest.abs() > 600.0 { Severity::Warning } else { Severity::Note };
    findings.push(
        Finding::new(severity, "clock", text)
            .advice(advice)
            .with_lines([line_ref].into_iter().chain(jumps.iter().map(|(_, line_ref)| *line_ref))),
    );
}

fn gaps(board: &Board, findings: &mut Vec<Finding>) {
    let of = |(discontinuity, line_ref): &(Discontinuity, LineRef)| match discontinuity {
        Discontinuity::Gap(seconds) => Some((*seconds, *line_ref)),
        Discontinuity::Clock(_) => None,
    };
    let gaps: Vec<_> = board.discontinuities.iter().filter_map(of).collect();
    let Some((longest, _)) = gaps.iter().max_by(|a, b| a.0.total_cmp(&b.0)) else { return };
    let total: f64 = gaps.iter().map(|(seconds, _)| seconds).sum();
    let text = format!(
        "Lines are missing {}, {} in total, {} at most, while the program was running: only its counts cover that time.",
        humanize::times(board.discontinuity_counts.1),
        humanize::duration(total),
        humanize::duration(*longest)
    );
    let advice = "A part of the log was rotated away or is in another file, or the journal drops lines (RateLimitBurst= in journald.conf).";
    let severity = if total > 600.0 { Severity::Warning } else { Severity::Note };
    findings.push(
        Finding::new(severity, "log_gap", text)
            .advice(advice)
            .with_lines(gaps.iter().map(|(_, line_ref)| *line_ref))
            .order(total.sqrt()),
    );
}
