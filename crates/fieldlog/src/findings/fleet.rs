//! What differs between boards, or changed on one of them.

use super::{Finding, Weight};
use crate::say;
use crate::story::{Board, Place, Seen, Story};

type List = fn(&Board) -> &[(String, Seen)];

pub fn find(story: &Story, findings: &mut Vec<Finding>) {
    for (what, kind, list) in [
        ("version of the program", "versions", (|board| &board.versions) as List),
        ("bundles", "bundles", |board| &board.bundles),
    ] {
        let mut all: Vec<(&str, Vec<&str>, Place)> = Vec::new();
        for board in &story.boards {
            for (value, seen) in list(board) {
                let Some(place) = seen.last else { continue };
                match all.iter_mut().find(|(known, ..)| known == value) {
                    Some((_, boards, _)) => boards.push(&board.name),
                    None => all.push((value, vec![&board.name], place)),
                }
            }
        }
        if all.len() < 2 {
            continue;
        }
        let several = story.boards.len() > 1;
        let each: Vec<String> = all
            .iter()
            .take(6)
            .map(|(value, boards, _)| {
                let value = say::short(&say::without_hashes(value), 120);
                if several { format!("{value} on {}", boards.join(", ")) } else { value }
            })
            .collect();
        let how = if several { "Not all runs have the same" } else { "Within the log there is more than one" };
        let text = format!("{how} {what}: {}.", each.join("; "));
        let finding = Finding::new(Weight::Note, kind, text).shown(all.iter().map(|(.., place)| *place));
        let board = if several { String::new() } else { story.boards[0].name.clone() };
        findings.push(Finding { board, ..finding });
    }
}
