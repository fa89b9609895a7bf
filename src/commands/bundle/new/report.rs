//! What `bundle new` says at its end.

use super::cost::NetworkCost;
use super::made::Made;
use super::quantizing::QuantizedModel;
use crate::bundle::{Bundle, Task};
use crate::commands::{print_json, shell_word};
use crate::escape::one_line;
use std::io::Write;
use std::path::Path;

/// What is said.
pub struct NewReport<'a> {
    /// The bundle that was written.
    pub bundle: &'a Bundle,
    /// Its folder.
    pub out: &'a Path,
    /// What is known of the network.
    pub facts: &'a [String],
    /// What the task made of it.
    pub made: &'a Made,
    /// What it takes here.
    pub cost: &'a NetworkCost,
    /// What quantization cost.
    pub quantized: Option<&'a QuantizedModel>,
}

impl NewReport<'_> {
    /// A configuration that runs it.
    fn configuration(&self) -> Vec<String> {
        let folder = std::path::absolute(self.out).unwrap_or_else(|_| self.out.to_path_buf());
        let bundle = toml::Value::String(folder.display().to_string());
        let section = match self.bundle.manifest().task {
            Task::SuperResolution => "[super_resolution]",
            _ => "[anomaly]",
        };
        let mut lines = ["[source.folder]", "path = \"frames\"", section].map(String::from).to_vec();
        lines.push(format!("bundle = {bundle}"));
        if self.cost.needs_floats() {
            lines.extend(["[engine]".to_string(), "allow_float = true".into()]);
        }
        lines
    }

    /// Prints it as JSON.
    pub fn print_json(&self) -> anyhow::Result<()> {
        let manifest = self.bundle.manifest();
        let comparison = self.quantized.map(|quantized| &quantized.comparison);
        let verdict = comparison.map(|comparison| comparison.verdict());
        print_json(&serde_json::json!({
            "out": self.out, "name": manifest.name, "version": manifest.version, "task": manifest.task,
            "fingerprint": self.bundle.fingerprint(), "network": self.facts, "found": self.made.told,
            "warnings": self.made.warnings, "measured": manifest.measured, "allow_float": self.cost.needs_floats(),
            "verdict": verdict.as_ref().map(|(verdict, _)| verdict), "comparison": comparison,
            "configuration": self.configuration().join("\n"),
        }))
    }

    /// Prints it as text.
    pub fn print_text(&self) -> anyhow::Result<()> {
        let mut out = crate::commands::stdout();
        for line in self.facts.iter().chain(&self.made.told) {
            writeln!(out, "{}", one_line(line))?;
        }
        if let Some(quantized) = self.quantized {
            write!(out, "quantized: ")?;
            quantized.write(&mut out)?;
        }
        writeln!(out, "here: {}", self.cost.in_words())?;
        for warning in self.made.warnings.iter().cloned().chain(self.cost.advice(self.made.quantizes())) {
            writeln!(out, "note: {}", one_line(&warning))?;
        }
        let path = self.out.display().to_string();
        writeln!(out, "written to {}; golden vectors agree. Try it with line.toml:", one_line(&path))?;
        for line in self.configuration() {
            writeln!(out, "  {}", one_line(&line))?;
        }
        writeln!(
            out,
            "next: lineside run line.toml; to verify the bundle: lineside bundle verify {}",
            shell_word(&one_line(&path))
        )?;
        Ok(())
    }
}
