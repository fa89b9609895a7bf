//! What fails beside the camera: the disk, the lines, the bundle, single frames.

use super::{Finding, Weight};
use crate::say;
use crate::story::{Board, Fault, Said, Seen, Story};

pub fn find(_: &Story, board: &Board, findings: &mut Vec<Finding>) {
    disk(board, findings);
    for (fault, weight, kind, what, advice) in [
        (
            "alarm",
            Weight::Grave,
            "alarm_line",
            "An output line could not be set",
            "Whoever relies on the alarm did not get it: check the line's name, its chip and the permissions (`lineside devices`).",
        ),
        (
            "trigger",
            Weight::Grave,
            "trigger_line",
            "The trigger's line could not be read",
            "Parts went by unseen: check the line's name, its chip and the permissions (`lineside devices`).",
        ),
        (
            "bundle",
            Weight::Grave,
            "bundle",
            "The bundle's model failed",
            "`lineside parity BUNDLE` on the board tells whether it computes rightly.",
        ),
        (
            "enlarge",
            Weight::Note,
            "enlarge",
            "Enlarging failed or took too long",
            "Verdicts are not concerned. Larger super_resolution.max_ms or smaller spots help.",
        ),
        (
            "log",
            Weight::Warning,
            "log",
            "Log lines could not be written",
            "The journal or the pipe behind stderr does not take them: lines are missing here.",
        ),
        (
            "page",
            Weight::Note,
            "status_page",
            "The status page could not be served",
            "Inspection goes on without it: another program has its address, or the board has no such one.",
        ),
    ] {
        let of: Vec<&Fault> = board.faults.of(fault).collect();
        if let Some((text, seen)) = together(&of, what) {
            findings
                .push(Finding::new(weight, kind, text).advice(advice).shown(seen.places()).order(seen.count as f64));
        }
    }
    frames(board, findings);
    kernel(board, findings);
}

/// All causes of a fault in one sentence, the most frequent named.
fn together(of: &[&Fault], what: &str) -> Option<(String, Seen)> {
    let main = of.iter().max_by_key(|fault| fault.failures)?;
    let (count, failures) =
        of.iter().fold((0, 0), |(count, failures), fault| (count + fault.seen.count, failures + fault.failures));
    let seconds: f64 = of.iter().map(|fault| fault.seconds).sum();
    let lasted = if seconds >= 1.0 { format!(", {} together", say::seconds(seconds)) } else { String::new() };
    let failed = if failures > count { format!(" ({})", say::many(failures, "failure")) } else { String::new() };
    let others =
        if of.len() > 1 { format!(" (and {} more)", say::many(of.len() as u64 - 1, "cause")) } else { String::new() };
    let text = format!("{what} {}{failed}{lasted}: {}{others}", say::times(count), say::short(&main.cause, 200));
    Some((text, main.seen))
}

fn disk(board: &Board, findings: &mut Vec<Finding>) {
    let of: Vec<&Fault> = board.faults.of("disk").collect();
    let Some((text, seen)) = together(&of, "Records or pictures could not be written") else { return };
    let says = |part: &str| of.iter().any(|fault| fault.cause.contains(part));
    let (kind, advice) = if says("No space left") || says("os error 28") || says("Disk quota") {
        (
            "disk_full",
            "The disk is full: make room, and give the event folder a smaller budget. Inspection and the alarm went on; what was not written is lost.",
        )
    } else if says("Read-only file system") || says("os error 30") || says("Input/output error") || says("os error 5)")
    {
        ("disk_broken", "The card gives up: save what is on it and replace it.")
    } else {
        (
            "disk",
            "Inspection and the alarm went on; what was not written is lost. Check the folder's permissions and the card.",
        )
    };
    findings.push(Finding::new(Weight::Grave, kind, text).advice(advice).shown(seen.places()).order(300.0));
}

fn frames(board: &Board, findings: &mut Vec<Finding>) {
    let (failed, captured) = (board.frames.failed, board.frames.captured);
    let of: Vec<&Fault> = board.faults.of("frame").collect();
    if failed == 0 && of.is_empty() {
        return;
    }
    let share = failed as f64 / captured.max(1) as f64;
    let main = of.iter().max_by_key(|fault| fault.failures);
    let why = main.map_or(".".into(), |fault| format!(": {}", say::short(&fault.cause, 200)));
    let text = format!(
        "{} ({}) could not be read, decoded or judged{why}",
        say::many(failed, "frame"),
        say::share(failed as f64, captured as f64)
    );
    let weight = if share > 0.01 { Weight::Warning } else { Weight::Note };
    let advice = "Broken frames of a USB camera are its cable, its hub or too many devices on one bus; of a folder, files that are no pictures.";
    let places = main.map_or(board.failed, |fault| fault.seen).places();
    findings.push(Finding::new(weight, "frames_failed", text).advice(advice).shown(places).order(100.0 * share));
}

/// What the kernel said, where its lines were in the log.
fn kernel(board: &Board, findings: &mut Vec<Finding>) {
    for (said, seen) in &board.kernel {
        let (weight, kind, text, advice) = match said {
            Said::DiskError => (
                Weight::Grave,
                "disk_errors",
                "The kernel reports errors of the card or disk",
                "Save what is on it and replace it; a supply that is too weak does this, too.",
            ),
            Said::UsbError => (
                Weight::Warning,
                "usb_errors",
                "The kernel reports errors on the USB bus",
                "A cable, a hub or the supply of the camera.",
            ),
            Said::OtherOutOfMemory(_) => (
                Weight::Warning,
                "other_out_of_memory",
                "The kernel ended another program for lack of memory",
                "The board has too little memory for all that runs on it.",
            ),
            // Told with the throttle bits and with the camera.
            _ => continue,
        };
        let which = if let Said::OtherOutOfMemory(name) = said { format!(" ({name})") } else { String::new() };
        let text = format!("{text}{which} {}.", say::times(seen.count));
        findings.push(Finding::new(weight, kind, text).advice(advice).shown(seen.places()).order(seen.count as f64));
    }
    if board.refused.count > 0 {
        let text = format!(
            "A new configuration was refused {}; the old one stays: {}",
            say::times(board.refused.count),
            say::short(&board.refused_why, 240)
        );
        let advice = "`lineside check CONFIG` tries a configuration without touching the service.";
        findings
            .push(Finding::new(Weight::Warning, "reload_refused", text).advice(advice).shown(board.refused.places()));
    }
}
