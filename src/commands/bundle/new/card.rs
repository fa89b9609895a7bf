//! `CARD.md`: what a person should know of a bundle.

use super::cost::{NetworkCost, board_in_words};
use super::made::Made;
use super::quantizing::QuantizedModel;
use crate::bundle::Manifest;
use crate::escape::one_line;
use std::fmt::Write;

/// What the card says.
pub struct Card<'a> {
    /// The bundle's manifest.
    pub manifest: &'a Manifest,
    /// The file that it was made of.
    pub model: &'a str,
    /// SHA-256 of that file.
    pub sha256: &'a str,
    /// What is known of the network: input, preparation, outputs.
    pub facts: &'a [String],
    /// What the task made of it.
    pub made: &'a Made,
    /// What it takes here.
    pub cost: &'a NetworkCost,
    /// What quantization cost, where it took place.
    pub quantized: Option<&'a QuantizedModel>,
    /// The command that made it.
    pub command: &'a str,
}

impl Card<'_> {
    /// The text in Markdown.
    pub fn to_markdown(&self) -> String {
        let Card { manifest, made, cost, .. } = self;
        let mut text =
            format!("# {}\n\n{}. Licence: {}.\n\n", one_line(&manifest.name), manifest.description, manifest.licence);
        let mut section = |title: &str, lines: &mut dyn Iterator<Item = String>| {
            let lines: Vec<String> = lines.collect();
            if !lines.is_empty() {
                let _ = write!(text, "## {title}\n\n");
                lines.iter().for_each(|line| text.push_str(&format!("- {line}\n")));
                text.push('\n');
            }
        };
        let origin = format!("made of `{}`, SHA-256 `{}`", one_line(self.model), self.sha256);
        section("Network", &mut std::iter::once(origin).chain(self.facts.iter().cloned()));
        section("Task", &mut made.told.iter().cloned());
        section("What to know", &mut made.warnings.iter().cloned().chain(cost.advice(made.quantizes())));
        let board = format!("{}: {}", board_in_words(), cost.in_words());
        section("Speed and memory", &mut std::iter::once(board));
        if let Some(quantized) = self.quantized {
            let mut report = Vec::new();
            // Into memory: cannot fail.
            let _ = quantized.write(&mut report);
            let report = String::from_utf8_lossy(&report);
            let _ = write!(text, "## Quantized\n\n```text\n{report}```\n\n");
        }
        let _ = write!(text, "## Made by\n\n```sh\n{}\n```\n", one_line(self.command));
        text
    }
}
