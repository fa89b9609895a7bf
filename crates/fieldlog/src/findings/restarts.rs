//! Runs that did not end as somebody wanted them to, and boards that do not run any more.

use super::{Finding, Weight};
use crate::say;
use crate::story::{Board, Ending, Story};

pub fn find(story: &Story, board: &Board, findings: &mut Vec<Finding>) {
    for known in &board.endings {
        if known.ending.is_orderly() {
            continue;
        }
        let (weight, kind, what, advice) = words(&known.ending);
        let times: Vec<String> = known.times.iter().map(|time| say::moment(*time, story.span())).collect();
        let more = if known.seen.count > times.len() as u64 { ", …" } else { "" };
        let mut text = format!("{what} {}", say::times(known.seen.count));
        if !times.is_empty() {
            text += &format!(" ({}{more})", times.join(", "));
        }
        if known.down > 0.0 {
            text += &format!("; the line was not watched for {} after it", say::seconds(known.down));
        }
        if let Ending::Panic(said) | Ending::Configuration(said) | Ending::Failed(_, said) = &known.ending
            && !said.is_empty()
        {
            text += &format!(": {}", say::short(said, 240));
        }
        let count = known.seen.count as f64;
        findings.push(
            Finding::new(weight, kind, text + ".").advice(advice).shown(known.seen.places()).order(100.0 + count),
        );
    }
    if let Some((previous, place)) = &board.before_first {
        let what = match previous.as_str() {
            "power" => "The board lost power or was reset",
            "cut" => "A run broke off without a stop record",
            _ => "",
        };
        if !what.is_empty() {
            let text = format!("{what} before this log begins: its first start found that.");
            findings.push(Finding::new(Weight::Note, "cut_before", text).shown([*place]));
        }
    }
    not_running(story, board, findings);
}

fn words(ending: &Ending) -> (Weight, &'static str, &'static str, &'static str) {
    use Weight::{Grave, Note, Warning};
    match ending {
        Ending::Watchdog => (
            Grave,
            "watchdog",
            "The watchdog ended the program",
            "A thread stood still for ten seconds: a model, a disk or a driver that hangs. The lines before it tell which: look at the stages, at disk faults and at the kernel's log.",
        ),
        Ending::OutOfMemory => (
            Grave,
            "out_of_memory",
            "The kernel ended the program for lack of memory",
            "Hold MemoryMax= of the unit against budget.memory and the bill; `lineside check` prints it. If memory grows, see below.",
        ),
        Ending::Panic(_) => (
            Grave,
            "panic",
            "The program crashed",
            "This is an error of the program: please report it with these lines.",
        ),
        Ending::Configuration(_) => (
            Grave,
            "configuration",
            "The program would not start",
            "Repair what it names; `lineside check CONFIG` tries it without starting. systemd does not start it again by itself.",
        ),
        Ending::Failed(..) => {
            (Warning, "failed", "The program gave up", "Its last words and the lines before tell why.")
        }
        Ending::Killed(_) => (
            Warning,
            "killed",
            "Something killed the program",
            "Neither systemd's watchdog nor the kernel's lack of memory: somebody on the board, or another service manager.",
        ),
        Ending::Power => (
            Warning,
            "power",
            "The board lost power or was reset",
            "Look at the supply and its switch. A stop in order (`systemctl poweroff`) spares the card.",
        ),
        _ => (
            Note,
            "cut",
            "A run broke off without a stop record",
            "Why, the journal would tell: `journalctl -u lineside -o export` from that board, read together with this log.",
        ),
    }
}

/// Boards that are down or silent when the log ends.
fn not_running(story: &Story, board: &Board, findings: &mut Vec<Finding>) {
    let Some(row) = board.rows.last() else { return };
    let last = row.last.time.map(say::time).unwrap_or_default();
    if let Some(place) = board.gave_up {
        let text =
            "systemd has given up on the service after it failed again and again: the line is not watched since."
                .to_string();
        let advice = "Repair the cause above, then `systemctl reset-failed lineside` and `systemctl start lineside`.";
        findings.push(Finding::new(Weight::Grave, "given_up", text).advice(advice).shown([place]).order(1000.0));
    } else if !row.ending.is_orderly() {
        let ended = say::short(&row.ending.text(), 240);
        let text = format!("The line is not watched since {last}, and no run began after that. The last one: {ended}.");
        findings.push(
            Finding::new(Weight::Grave, "not_running", text).shown(row.why.into_iter().chain([row.last])).order(900.0),
        );
    } else if let (Ending::Open, Some((_, end)), Some(time)) = (&row.ending, story.span(), row.last.time) {
        let silent = (end - time) as f64 / 1000.0;
        if silent > 600.0 {
            let text = format!(
                "Silent since {last}, without a stop, while other logs go on for {}: the board has no power or hangs, or its log was taken then.",
                say::seconds(silent)
            );
            findings.push(Finding::new(Weight::Grave, "silent", text).shown([row.last]).order(800.0));
        }
    }
}
