//! What fails beside the camera: the disk, the lines, the bundle, single frames.

use super::{Finding, Severity};
use crate::humanize;
use crate::summary::{Board, Fault, OTHER_KINDS, Occurrences, Summary, SystemEvent};

pub fn find(_: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    disk(board, findings);
    for (fault, severity, kind, what, advice) in [
        (
            "alarm",
            Severity::Critical,
            "alarm_line",
            "An output line could not be set",
            "The alarm was not signalled: check the line's name, its chip and the permissions (`lineside devices`).",
        ),
        (
            "trigger",
            Severity::Critical,
            "trigger_line",
            "The trigger line could not be read",
            "Parts passed without inspection: check the line's name, its chip and the permissions (`lineside devices`).",
        ),
        (
            "bundle",
            Severity::Critical,
            "bundle",
            "The bundle's model failed",
            "`lineside parity BUNDLE` on the board checks whether it computes correctly.",
        ),
        (
            "enlarge",
            Severity::Note,
            "enlarge",
            "Super-resolution failed or took too long",
            "Verdicts are not affected. A larger super_resolution.max_ms or smaller spots help.",
        ),
        (
            "log",
            Severity::Warning,
            "log",
            "Log lines could not be written",
            "The journal or the pipe behind stderr does not accept them: lines are missing from this log.",
        ),
        (
            "page",
            Severity::Note,
            "status_page",
            "The status page could not be served",
            "Inspection continues without it: another program uses its address, or the board does not have that address.",
        ),
        (
            "modbus",
            Severity::Note,
            "modbus",
            "Clients of the Modbus server were turned away, or it could not listen",
            "Inspection continues. A PLC that is meant must be in modbus.allow, and speak Modbus TCP to the address in modbus.listen.",
        ),
        (
            "product",
            Severity::Warning,
            "product",
            "The product was unknown, and every part counted as a defect",
            "The records `command` say who asked for which product. Give it a [[product]] of its own, or correct the PLC; lines of GPIO \
             that cannot be read are named in the fault.",
        ),
        (
            OTHER_KINDS,
            Severity::Note,
            "other_faults",
            "More kinds of faults than are distinguished: the other kinds occurred",
            "The program has a dozen kinds: a damaged log, or one that another program wrote.",
        ),
    ] {
        let of: Vec<&Fault> = board.faults.of(fault).collect();
        if let Some((text, seen)) = together(&of, what) {
            findings.push(
                Finding::new(severity, kind, text).advice(advice).with_lines(seen.lines()).order(seen.count as f64),
            );
        }
    }
    frames(board, findings);
    kernel(board, findings);
}

/// All causes of a fault in one sentence, the most frequent named.
fn together(of: &[&Fault], what: &str) -> Option<(String, Occurrences)> {
    let main = of.iter().max_by_key(|fault| fault.failures)?;
    let (count, failures) =
        of.iter().fold((0, 0), |(count, failures), fault| (count + fault.seen.count, failures + fault.failures));
    let seconds: f64 = of.iter().map(|fault| fault.seconds).sum();
    let lasted = if seconds >= 1.0 { format!(", for {} in total", humanize::duration(seconds)) } else { String::new() };
    let failed = if failures > count { format!(" ({})", humanize::plural(failures, "failure")) } else { String::new() };
    let others = if of.len() > 1 {
        format!(" (and {})", humanize::plural(of.len() as u64 - 1, "other cause"))
    } else {
        String::new()
    };
    let text =
        format!("{what} {}{failed}{lasted}: {}{others}", humanize::times(count), humanize::truncated(&main.cause, 200));
    Some((text, main.seen))
}

fn disk(board: &Board, findings: &mut Vec<Finding>) {
    let of: Vec<&Fault> = board.faults.of("disk").collect();
    let Some((text, seen)) = together(&of, "Records or images could not be written") else { return };
    let says = |part: &str| of.iter().any(|fault| fault.cause.contains(part));
    let (kind, advice) = if says("No space left") || says("os error 28") || says("Disk quota") {
        (
            "disk_full",
            "The disk is full: free some space, and set a smaller budget for the event folder. Inspection and the alarm continued; what was not written is lost.",
        )
    } else if says("Read-only file system") || says("os error 30") || says("Input/output error") || says("os error 5)")
    {
        ("disk_broken", "The storage card is failing: copy its data and replace it.")
    } else {
        (
            "disk",
            "Inspection and the alarm continued; what was not written is lost. Check the folder's permissions and the card.",
        )
    };
    findings.push(Finding::new(Severity::Critical, kind, text).advice(advice).with_lines(seen.lines()).order(300.0));
}

fn frames(board: &Board, findings: &mut Vec<Finding>) {
    let (failed, captured) = (board.frames.failed, board.frames.captured);
    let of: Vec<&Fault> = board.faults.of("frame").collect();
    if failed == 0 && of.is_empty() {
        return;
    }
    let share = failed as f64 / captured.max(1) as f64;
    let main = of.iter().max_by_key(|fault| fault.failures);
    let why = main.map_or(".".into(), |fault| format!(": {}", humanize::truncated(&fault.cause, 200)));
    let text = format!(
        "{} ({}) could not be read, decoded or inspected{why}",
        humanize::plural(failed, "frame"),
        humanize::percent(failed as f64, captured as f64)
    );
    let severity = if share > 0.01 { Severity::Warning } else { Severity::Note };
    let advice = "Damaged frames of a USB camera: check the cable, the hub and the number of devices on the bus. In a folder: files that are not images.";
    let line_refs = main.map_or(board.failed, |fault| fault.seen).lines();
    findings
        .push(Finding::new(severity, "frames_failed", text).advice(advice).with_lines(line_refs).order(100.0 * share));
}

/// Messages of the kernel, if the log has them.
fn kernel(board: &Board, findings: &mut Vec<Finding>) {
    for (event, seen) in &board.kernel {
        let (severity, kind, text, advice) = match event {
            SystemEvent::DiskError => (
                Severity::Critical,
                "disk_errors",
                "The kernel reported errors of the card or disk",
                "Copy its data and replace it. An undersized power supply causes this, too.",
            ),
            SystemEvent::UsbError => (
                Severity::Warning,
                "usb_errors",
                "The kernel reported errors on the USB bus",
                "Check the cable, the hub and the camera's power supply.",
            ),
            SystemEvent::OtherOutOfMemory(_) => (
                Severity::Warning,
                "other_out_of_memory",
                "The kernel killed another program because memory ran out",
                "The board has too little memory for everything that runs on it.",
            ),
            // Reported with the throttle bits and with the camera.
            _ => continue,
        };
        let which = if let SystemEvent::OtherOutOfMemory(name) = event { format!(" ({name})") } else { String::new() };
        let text = format!("{text}{which} {}.", humanize::times(seen.count));
        findings
            .push(Finding::new(severity, kind, text).advice(advice).with_lines(seen.lines()).order(seen.count as f64));
    }
    if board.reverted.count > 0 {
        let text = format!(
            "The line went back to the bundle before by itself {}, the last time {}",
            humanize::times(board.reverted.count),
            humanize::truncated(&board.reverted_why, 320)
        );
        let advice = "Look at the bundle that it left (`lineside bundle verify`) and at the card or disk before you install it again.";
        findings.push(
            Finding::new(Severity::Critical, "bundle_reverted", text).advice(advice).with_lines(board.reverted.lines()),
        );
    }
    if board.camera_failed.count > 0 {
        let text = format!(
            "This camera's line failed {} and was started again alone, the last time: {}",
            humanize::times(board.camera_failed.count),
            humanize::truncated(&board.camera_failed_why, 320)
        );
        let advice =
            "The other cameras of the process went on. Parts that passed this one meanwhile were not inspected.";
        findings.push(
            Finding::new(Severity::Critical, "camera_failed", text)
                .advice(advice)
                .with_lines(board.camera_failed.lines()),
        );
    }
    if board.start_failed.count > 0 {
        let text = format!(
            "Nothing was inspected after a reload: no run could begin {}; the last time: {}",
            humanize::times(board.start_failed.count),
            humanize::truncated(&board.start_failed_why, 240)
        );
        let advice =
            "Both the new configuration and the one before are tried again until one starts: mend what is named.";
        let found = Finding::new(Severity::Critical, "start_failed", text).advice(advice);
        findings.push(found.with_lines(board.start_failed.lines()));
    }
    if board.refused.count > 0 {
        let text = format!(
            "A new configuration was rejected {}; the old one stays active: {}",
            humanize::times(board.refused.count),
            humanize::truncated(&board.refused_why, 240)
        );
        let advice = "`lineside check CONFIG` checks a configuration without affecting the service.";
        findings.push(
            Finding::new(Severity::Warning, "reload_refused", text).advice(advice).with_lines(board.refused.lines()),
        );
    }
}
