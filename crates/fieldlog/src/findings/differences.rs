//! What differs between boards, or changed on one of them.

use super::{Finding, Severity};
use crate::humanize;
use crate::summary::{Board, LineRef, Occurrences, Summary};

type List = fn(&Board) -> &[(String, Occurrences)];

pub fn find(summary: &Summary, findings: &mut Vec<Finding>) {
    for (what, kind, list) in [
        ("program versions", "versions", (|board| &board.versions) as List),
        ("bundles", "bundles", |board| &board.bundles),
    ] {
        let mut all: Vec<(&str, Vec<&str>, LineRef)> = Vec::new();
        for board in &summary.boards {
            for (value, seen) in list(board) {
                let Some(line_ref) = seen.last else { continue };
                match all.iter_mut().find(|(known, ..)| known == value) {
                    Some((_, boards, _)) => boards.push(&board.name),
                    None => all.push((value, vec![&board.name], line_ref)),
                }
            }
        }
        if all.len() < 2 {
            continue;
        }
        let several = summary.boards.len() > 1;
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
        let board = if several { String::new() } else { summary.boards[0].name.clone() };
        findings.push(Finding { board, ..finding });
    }
}
