//! A camera that goes away, or sends the same picture again and again.

use super::{Finding, Weight, span};
use crate::say;
use crate::story::{Board, Fault, Said, Story, is_frozen};

pub fn find(story: &Story, board: &Board, findings: &mut Vec<Finding>) {
    let (still, away): (Vec<&Fault>, Vec<&Fault>) =
        board.faults.of("camera").partition(|fault| is_frozen(&fault.cause));
    away_often(story, board, &away, findings);
    frozen_long(story, board, &still, findings);
    if board.frames.captured == 0 && board.watch.watched + board.watch.blind() > 60.0 {
        let text = format!("Not one frame came in {}.", say::seconds(span(board)));
        findings.push(Finding::new(Weight::Grave, "no_frames", text).shown(board.last).order(500.0));
    } else if board.watch.unjudged > 30.0 {
        let text = format!("Frames came, but none was judged for {}.", say::seconds(board.watch.unjudged));
        let advice = "Either each failed (see the causes) or inspection stood still while frames went by.";
        findings.push(
            Finding::new(Weight::Grave, "not_judged", text)
                .advice(advice)
                .shown(board.last)
                .order(board.watch.unjudged),
        );
    }
}

fn away_often(story: &Story, board: &Board, away: &[&Fault], findings: &mut Vec<Finding>) {
    let count: u64 = away.iter().map(|fault| fault.seen.count).sum();
    let Some(worst) = away.iter().max_by(|a, b| a.longest.value.total_cmp(&b.longest.value)) else { return };
    let main = away.iter().max_by_key(|fault| fault.seen.count).unwrap_or(worst);
    let seconds = away.iter().map(|fault| fault.seconds).sum::<f64>().max(board.watch.away);
    let still_away = board.faults.episodes.iter().rev().take(8).find(|episode| {
        episode.to.is_none()
            && board.goes_on()
            && away.iter().any(|fault| fault.cause == board.faults.causes[episode.fault].cause)
    });
    let from = worst
        .longest
        .place
        .and_then(|place| place.time)
        .map(|time| say::moment(time, story.span()))
        .unwrap_or_default();
    let mut text = format!("The camera was away {}, {} together", say::times(count), say::seconds(seconds));
    if count > 1 {
        text += &format!(", at most {} from {from}", say::seconds(worst.longest.value));
    }
    let untold: u64 = away.iter().map(|fault| fault.held_back / 2).sum();
    if untold > 0 {
        text += &format!(", and about {} more that were not told one by one", say::count(untold));
    }
    text += &format!(": {}", say::short(&main.cause, 200));
    let usb = board.kernel.iter().find(|(said, _)| *said == Said::UsbDisconnect);
    if let Some((_, seen)) = usb {
        text += &format!(" The kernel saw a USB device go {}.", say::times(seen.count));
    }
    if let Some(episode) = still_away {
        text += &format!(" It is still away when the log ends, since {}.", say::time(episode.from));
    }
    let short = count >= 3 && seconds / (count + untold) as f64 <= 120.0;
    let busy = main.cause.contains("another program");
    let advice = match (busy, short || usb.is_some()) {
        (true, _) => "Another program holds the camera: `fuser -v /dev/video0` on the board names it.",
        (_, true) => {
            "Often and short is a plug, a cable or a hub, or a supply that is too weak for the camera: change the cable, then the port, then power the camera by itself."
        }
        _ => {
            "Long and seldom: look whether somebody unplugs or switches it off; `lineside devices` shows what the board sees."
        }
    };
    let share = seconds / span(board).max(1.0);
    let weight = if still_away.is_some() || share > 0.05 { Weight::Grave } else { Weight::Warning };
    let places = still_away
        .map(|episode| episode.place)
        .into_iter()
        .chain(main.seen.first)
        .chain(worst.longest.place)
        .chain(main.seen.last);
    findings.push(Finding::new(weight, "camera_away", text).advice(advice).shown(places).order(50.0 + 1000.0 * share));
}

fn frozen_long(story: &Story, board: &Board, still: &[&Fault], findings: &mut Vec<Finding>) {
    let seconds = still.iter().map(|fault| fault.seconds).sum::<f64>().max(board.watch.frozen);
    let count: u64 = still.iter().map(|fault| fault.seen.count).sum();
    if count == 0 && seconds <= 0.0 {
        return;
    }
    let first = still.iter().filter_map(|fault| fault.seen.first).min_by_key(|place| place.time);
    let from = first
        .and_then(|place| place.time)
        .map(|time| format!(" from {}", say::moment(time, story.span())))
        .unwrap_or_default();
    let text = format!(
        "The camera sent the same picture again and again{from}, {} together: what went by then was not seen, whatever the verdicts say.",
        say::seconds(seconds)
    );
    let advice = "Unplug the camera and plug it in again; where it comes back, its firmware hangs: power it through a port that can be switched.";
    let weight = if seconds > 60.0 { Weight::Grave } else { Weight::Warning };
    let last = still.iter().filter_map(|fault| fault.seen.last).max_by_key(|place| place.time);
    findings.push(
        Finding::new(weight, "camera_frozen", text)
            .advice(advice)
            .shown(first.into_iter().chain(last))
            .order(60.0 + seconds),
    );
}
