//! What differs between boards, or changed on one of them.

use super::{Finding, Severity};
use crate::humanize;
use crate::summary::{Board, LineRef, Occurrences, Summary};

type List = fn(&Board) -> &[(String, Occurrences)];

pub fn find(summary: &Summary, findings: &mut Vec<Finding>) {
    let all: Vec<&Board> = summary.boards.iter().collect();
    compare("program versions", "versions", |board| &board.versions, &all, findings);
    // The cameras of a board have bundles of their own; those that are the same camera of several boards should have the same ones.
    let camera = |board: &Board| board.name.split_once('/').map(|(_, camera)| camera.to_string());
    let mut cameras: Vec<Option<String>> = all.iter().map(|board| camera(board)).collect();
    cameras.sort();
    cameras.dedup();
    for wanted in cameras {
        let boards: Vec<&Board> = all.iter().copied().filter(|board| camera(board) == wanted).collect();
        compare("bundles", "bundles", |board| &board.bundles, &boards, findings);
    }
}

fn compare(what: &str, kind: &'static str, list: List, boards: &[&Board], findings: &mut Vec<Finding>) {
    let mut all: Vec<(&str, Vec<&str>, LineRef)> = Vec::new();
    for board in boards {
        for (value, seen) in list(board) {
            let Some(line_ref) = seen.last else { continue };
            match all.iter_mut().find(|(known, ..)| known == value) {
                Some((_, boards, _)) => boards.push(&board.name),
                None => all.push((value, vec![&board.name], line_ref)),
            }
        }
    }
    if all.len() < 2 {
        return;
    }
    let several = boards.len() > 1;
    let each: Vec<String> = all
        .iter()
        .take(6)
        .map(|(value, boards, _)| {
            let value = humanize::truncated(&humanize::shorten_hashes(value), 120);
            if several { format!("{value} on {}", boards.join(", ")) } else { value }
        })
        .collect();
    let text = format!("The logs contain several {what}: {}.", each.join("; "));
    let finding = Finding::new(Severity::Note, kind, text).with_lines(all.iter().map(|(.., line_ref)| *line_ref));
    let board =
        if several { String::new() } else { boards.first().map(|board| board.name.clone()).unwrap_or_default() };
    findings.push(Finding { board, ..finding });
}
