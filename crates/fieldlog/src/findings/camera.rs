//! A camera that goes away, or sends the same picture again and again.

use super::{Finding, Severity, span};
use crate::humanize;
use crate::summary::{Board, Fault, Summary, SystemEvent, is_frozen};

pub fn find(summary: &Summary, board: &Board, findings: &mut Vec<Finding>) {
    let (still, away): (Vec<&Fault>, Vec<&Fault>) =
        board.faults.of("camera").partition(|fault| is_frozen(&fault.cause));
    away_often(summary, board, &away, findings);
    frozen_long(summary, board, &still, findings);
    if board.frames.captured == 0 && !board.counts_lost && board.watch.watched + board.watch.blind() > 60.0 {
        let text = format!("No frame was captured in {}.", humanize::duration(span(board)));
        findings.push(Finding::new(Severity::Critical, "no_frames", text).with_lines(board.last).order(500.0));
    } else if board.watch.unjudged > 30.0 {
        let text =
            format!("Frames were captured, but none was inspected for {}.", humanize::duration(board.watch.unjudged));
        let advice = "Either every frame failed (see the causes), or inspection hung while frames were captured.";
        findings.push(
            Finding::new(Severity::Critical, "not_judged", text)
                .advice(advice)
                .with_lines(board.last)
                .order(board.watch.unjudged),
        );
    }
}

fn away_often(summary: &Summary, board: &Board, away: &[&Fault], findings: &mut Vec<Finding>) {
    let count: u64 = away.iter().map(|fault| fault.seen.count).sum();
    let Some(worst) = away.iter().max_by(|a, b| a.longest.value.total_cmp(&b.longest.value)) else { return };
    let main = away.iter().max_by_key(|fault| fault.seen.count).unwrap_or(worst);
    let seconds = away.iter().map(|fault| fault.seconds).sum::<f64>().max(board.watch.away);
    let still_away = board.faults.episodes.iter().rev().take(8).find(|episode| {
        episode.to.is_none()
            && board.is_running()
            && away.iter().any(|fault| fault.cause == board.faults.causes[episode.fault].cause)
    });
    let from = worst
        .longest
        .line_ref
        .and_then(|line_ref| line_ref.time)
        .map(|time| humanize::time_within(time, summary.span()))
        .unwrap_or_default();
    let mut text =
        format!("The camera was unavailable {}, for {} in total", humanize::times(count), humanize::duration(seconds));
    if count > 1 {
        text += &format!(", longest {} from {from}", humanize::duration(worst.longest.value));
    }
    let suppressed: u64 = away.iter().map(|fault| fault.held_back / 2).sum();
    if suppressed > 0 {
        text += &format!(", plus about {} more in suppressed log lines", humanize::count(suppressed));
    }
    text += &format!(": {}.", humanize::truncated(&main.cause, 200));
    let usb = board.kernel.iter().find(|(event, _)| *event == SystemEvent::UsbDisconnect);
    if let Some((_, seen)) = usb {
        text += &format!(" The kernel reported a USB disconnect {}.", humanize::times(seen.count));
    }
    if let Some(episode) = still_away {
        text += &format!(" It was still unavailable at the end of the log, since {}.", humanize::time(episode.from));
    }
    let short = count >= 3 && seconds / (count + suppressed) as f64 <= 120.0;
    let busy = main.cause.contains("another program");
    let advice = match (busy, short || usb.is_some()) {
        (true, _) => "Another program uses the camera: `fuser -v /dev/video0` on the board names it.",
        (_, true) => {
            "Many short outages point to a plug, a cable, a hub or an undersized power supply: replace the cable, then change the port, then power the camera separately."
        }
        _ => {
            "Few long outages: check whether somebody unplugs the camera or switches it off; `lineside devices` lists what the board detects."
        }
    };
    let share = seconds / span(board).max(1.0);
    let severity = if still_away.is_some() || share > 0.05 { Severity::Critical } else { Severity::Warning };
    let line_refs = still_away
        .map(|episode| episode.line_ref)
        .into_iter()
        .chain(main.seen.first)
        .chain(worst.longest.line_ref)
        .chain(main.seen.last);
    findings.push(
        Finding::new(severity, "camera_away", text).advice(advice).with_lines(line_refs).order(50.0 + 1000.0 * share),
    );
}

fn frozen_long(summary: &Summary, board: &Board, still: &[&Fault], findings: &mut Vec<Finding>) {
    let seconds = still.iter().map(|fault| fault.seconds).sum::<f64>().max(board.watch.frozen);
    let count: u64 = still.iter().map(|fault| fault.seen.count).sum();
    if count == 0 && seconds <= 0.0 {
        return;
    }
    let first = still.iter().filter_map(|fault| fault.seen.first).min_by_key(|line_ref| line_ref.time);
    let from = first
        .and_then(|line_ref| line_ref.time)
        .map(|time| format!(" from {}", humanize::time_within(time, summary.span())))
        .unwrap_or_default();
    let text = format!(
        "The camera repeated the same frame{from}, for {} in total: parts that passed in that time were not inspected, whatever the verdicts say.",
        humanize::duration(seconds)
    );
    let advice = "Unplug the camera and plug it in again. If it happens again, its firmware hangs: power it through a switchable port.";
    let severity = if seconds > 60.0 { Severity::Critical } else { Severity::Warning };
    let last = still.iter().filter_map(|fault| fault.seen.last).max_by_key(|line_ref| line_ref.time);
    findings.push(
        Finding::new(severity, "camera_frozen", text)
            .advice(advice)
            .with_lines(first.into_iter().chain(last))
            .order(60.0 + seconds),
    );
}
