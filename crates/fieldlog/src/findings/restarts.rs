//! Runs that did not end as somebody wanted them to, and boards that do not run any more.

use super::{Finding, Severity};
use crate::humanize;
use crate::summary::{Board, ExitReason, Summary};

pub fn find(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    for known in &board.exit_counts {
        if known.exit_reason.is_expected() {
            continue;
        }
        let (severity, kind, what, advice) = sentence(&known.exit_reason);
        let times: Vec<String> = known.times.iter().map(|time| humanize::time_within(*time, summary.span())).collect();
        let more = if known.seen.count > times.len() as u64 { ", …" } else { "" };
        let mut text = format!("{what} {}", humanize::times(known.seen.count));
        if !times.is_empty() {
            text += &format!(" ({}{more})", times.join(", "));
        }
        if known.down > 0.0 {
            text += &format!("; inspection was down for {} afterwards", humanize::duration(known.down));
        }
        if let ExitReason::Panic(message) | ExitReason::Configuration(message) | ExitReason::Failed(_, message) =
            &known.exit_reason
            && !message.is_empty()
        {
            text += &format!(": {}", humanize::truncated(message, 240));
        }
        let count = known.seen.count as f64;
        findings.push(
            Finding::new(severity, kind, text + ".").advice(advice).with_lines(known.seen.lines()).order(100.0 + count),
        );
    }
    if board.caught_panics.count > 0 {
        let text = format!(
            "A part of the program panicked {} and inspection continued: {}.",
            humanize::times(board.caught_panics.count),
            humanize::truncated(&board.caught_panic, 240)
        );
        let advice = "It was caught, as in a decoder whose picture is damaged: please report it with these lines.";
        let lines = board.caught_panics.lines();
        findings.push(Finding::new(Severity::Note, "panic_caught", text).advice(advice).with_lines(lines));
    }
    if let Some((previous, line_ref)) = &board.before_first {
        let what = match previous.as_str() {
            "power" => "The board lost power or was reset",
            "cut" => "A run ended without a stop record",
            _ => "",
        };
        if !what.is_empty() {
            let text = format!("{what} before the start of this log, as its first start record reports.");
            findings.push(Finding::new(Severity::Note, "cut_before", text).with_lines([*line_ref]));
        }
    }
    not_running(summary, board, findings);
}

fn sentence(exit_reason: &ExitReason) -> (Severity, &'static str, &'static str, &'static str) {
    use Severity::{Critical, Note, Warning};
    match exit_reason {
        ExitReason::Watchdog => (
            Critical,
            "watchdog",
            "The watchdog killed the program",
            "A thread hung for ten seconds in a model, a disk or a driver. The lines before show which: check the stages, disk faults and the kernel's log.",
        ),
        ExitReason::OutOfMemory => (
            Critical,
            "out_of_memory",
            "The kernel killed the program because memory ran out",
            "Compare MemoryMax= of the unit with budget.memory and the estimate that `lineside check` prints. If memory grew, see that finding.",
        ),
        ExitReason::Panic(_) => (
            Critical,
            "panic",
            "The program crashed",
            "This is a bug in the program: please report it with these lines.",
        ),
        ExitReason::Configuration(_) => (
            Critical,
            "configuration",
            "The program did not start",
            "Fix the reported error; `lineside check CONFIG` checks it without starting the service. systemd does not restart it automatically.",
        ),
        ExitReason::Failed(..) => {
            (Warning, "failed", "The program exited with an error", "Its last message and the lines before show why.")
        }
        ExitReason::Killed(_) => (
            Warning,
            "killed",
            "The program was killed",
            "Not by systemd's watchdog or the kernel's out-of-memory killer: by somebody on the board, or by another service manager.",
        ),
        ExitReason::Power => (
            Warning,
            "power",
            "The board lost power or was reset",
            "Check the supply and its switch. A clean shutdown (`systemctl poweroff`) protects the card.",
        ),
        _ => (
            Note,
            "cut",
            "A run ended without a stop record",
            "The journal has the reason: run `journalctl -u lineside -o export` on that board and read the output together with this log.",
        ),
    }
}

/// Boards that are down or silent when the log ends.
fn not_running(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    let Some(row) = board.runs.last() else { return };
    let last = row.last.time.map(humanize::time).unwrap_or_default();
    if let Some(line_ref) = board.gave_up {
        let text = "systemd stopped restarting the service after repeated failures. Inspection is down.".to_string();
        let advice = "Fix the cause above, then run `systemctl reset-failed lineside` and `systemctl start lineside`.";
        findings.push(
            Finding::new(Severity::Critical, "given_up", text).advice(advice).with_lines([line_ref]).order(1000.0),
        );
    } else if !row.exit_reason.is_expected() {
        let ended = humanize::truncated(&row.exit_reason.description(), 240);
        let text = format!("Inspection has been down since {last}; no run started after that. The last run: {ended}.");
        findings.push(
            Finding::new(Severity::Critical, "not_running", text)
                .with_lines(row.why.into_iter().chain([row.last]))
                .order(900.0),
        );
    } else if let (ExitReason::Open, Some((_, end)), Some(time)) = (&row.exit_reason, summary.span(), row.last.time) {
        let silent = (end - time) as f64 / 1000.0;
        if silent > 600.0 {
            let text = format!(
                "No line since {last} and no stop record, while other logs continue for {}: the board lost power or hangs, or its log was copied at that time.",
                humanize::duration(silent)
            );
            findings.push(Finding::new(Severity::Critical, "silent", text).with_lines([row.last]).order(800.0));
        }
    }
}
