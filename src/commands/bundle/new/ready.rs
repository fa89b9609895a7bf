//! All that a bundle holds, ready to be written: it counts once it was opened and its golden vectors agree.

use super::arguments::{NewArguments, NewTask};
use super::card::Card;
use super::cost::NetworkCost;
use super::made::{Made, Section};
use super::quantizing::QuantizedModel;
use super::report::NewReport;
use crate::bundle::{Bundle, Draft, Golden, InputSection, Manifest, Outputs, self_test, sha256};
use crate::commands::shell_word;
use anyhow::Context;
use lineside_engine::{Tensor, npy};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

/// The model's file in a bundle.
const MODEL: &str = "model.onnx";

/// An input and the outputs of the reference kernels.
pub type GoldenVector = (Tensor, Vec<Tensor>);

/// All that a bundle holds.
pub struct Ready<'a> {
    pub arguments: &'a NewArguments,
    /// The file that was given.
    pub original: &'a [u8],
    /// The file that is written.
    pub bytes: &'a [u8],
    pub input: InputSection,
    /// What is known of the network.
    pub facts: Vec<String>,
    pub made: Made,
    pub golden: Vec<GoldenVector>,
    pub cost: NetworkCost,
    pub quantized: Option<&'a QuantizedModel>,
}

/// Before any work: a place that cannot be written to should be reported now.
pub fn check_place(out: &Path) -> anyhow::Result<()> {
    drop(Draft::begin(out).with_context(|| cannot_write(out))?);
    Ok(())
}

fn cannot_write(out: &Path) -> String {
    format!("{}: cannot write the bundle", out.display())
}

impl Ready<'_> {
    /// Writes the bundle and says so. `opens` loads it as a line does.
    pub fn write(mut self, opens: impl FnOnce(&Bundle) -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
        let arguments = self.arguments;
        add_figures(&mut self.made, &self.cost, self.quantized);
        let mut manifest = manifest(arguments, self.input, &self.made);
        let card = Card {
            manifest: &manifest,
            model: &arguments.model.display().to_string(),
            sha256: &sha256(self.original),
            facts: &self.facts,
            made: &self.made,
            cost: &self.cost,
            quantized: self.quantized,
            command: &command(),
        };
        let card = card.to_markdown();
        let cannot_write = || cannot_write(&arguments.out);
        let mut draft = Draft::begin(&arguments.out).with_context(cannot_write)?;
        let mut add = |name: &str, bytes: &[u8]| draft.add(name, bytes).with_context(cannot_write);
        add(MODEL, self.bytes)?;
        add("CARD.md", card.as_bytes())?;
        for (name, bytes) in &self.made.files {
            add(name, bytes)?;
        }
        for (number, (input, outputs)) in self.golden.iter().enumerate() {
            manifest.golden.push(write_golden(&mut add, number, input, outputs)?);
        }
        draft.finish_checked(manifest, |folder| -> anyhow::Result<()> {
            let bundle = Bundle::open(folder)?;
            self_test(&bundle)?;
            opens(&bundle)
        })?;
        let bundle = Bundle::open(&arguments.out)?;
        let report = NewReport {
            bundle: &bundle,
            out: &arguments.out,
            facts: &self.facts,
            made: &self.made,
            cost: &self.cost,
            quantized: self.quantized,
        };
        if arguments.json {
            report.print_json()?
        } else {
            report.print_text()?
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes a golden vector.
fn write_golden(
    add: &mut impl FnMut(&str, &[u8]) -> anyhow::Result<()>,
    number: usize,
    input: &Tensor,
    outputs: &[Tensor],
) -> anyhow::Result<Golden> {
    let mut write = |name: String, tensor: &Tensor| -> anyhow::Result<String> {
        let mut bytes = Vec::new();
        npy::write(&mut bytes, tensor)?;
        add(&name, &bytes)?;
        Ok(name)
    };
    let input = write(format!("golden/{number}.input.npy"), input)?;
    let mut files = Vec::new();
    for (at, output) in outputs.iter().enumerate() {
        files.push(write(format!("golden/{number}.output-{at}.npy"), output)?);
    }
    Ok(Golden { input, output: Outputs::Each(files), tolerance: 0 })
}

/// Figures of every task.
fn add_figures(made: &mut Made, cost: &NetworkCost, quantized: Option<&QuantizedModel>) {
    made.measure("p50_ms", cost.p50_ms);
    made.measure("p95_ms", cost.p95_ms);
    made.measured.insert("macs".into(), toml::Value::Integer(cost.macs as i64));
    made.measured.insert("memory_bytes".into(), toml::Value::Integer(cost.memory_bytes as i64));
    made.measure("integer_coverage", cost.integer_coverage);
    made.count("size_bytes", cost.size_bytes);
    let Some(comparison) = quantized.map(|quantized| &quantized.comparison) else { return };
    if let Some(db) = comparison.outputs.first().and_then(|output| output.sqnr_db) {
        made.measure("sqnr_db", db);
    }
    if let Some(top1) = comparison.top1_agreement {
        made.measure("top1_agreement", top1);
    }
    made.measure("fp32_p50_ms", comparison.a.p50_ms);
    made.measured.insert("fp32_size_bytes".into(), toml::Value::Integer(comparison.a.size_bytes as i64));
}

/// The manifest without its files.
fn manifest(arguments: &NewArguments, input: InputSection, made: &Made) -> Manifest {
    let own = arguments.out.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = arguments.name.clone().unwrap_or(own);
    let version = || jiff::Timestamp::now().strftime("%Y%m%d.%H%M%S").to_string();
    let file = arguments.model.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let what = match arguments.task {
        NewTask::Classify => "Says which class a frame shows",
        NewTask::AnomalyMap => "Says how abnormal a frame is, and where",
        NewTask::Reconstruction => "Says how far a frame is from what it would be if the part were good, and where",
        NewTask::Superres => "Enlarges pictures",
        NewTask::Embed => "Says which known part a frame shows",
    };
    let mut manifest = Manifest {
        format: 1,
        requires: None,
        name,
        version: arguments.version.clone().unwrap_or_else(version),
        task: arguments.task.task(),
        description: format!("{what}, by {file}"),
        licence: arguments.licence.clone(),
        model: MODEL.into(),
        input,
        anomaly: None,
        super_resolution: None,
        classify: None,
        anomaly_map: None,
        reconstruction: None,
        embed: None,
        golden: Vec::new(),
        measured: made.measured.clone(),
        files: BTreeMap::new(),
    };
    match &made.section {
        Section::Classify(section) => manifest.classify = Some(section.clone()),
        Section::AnomalyMap(section) => manifest.anomaly_map = Some(section.clone()),
        Section::Reconstruction(section) => manifest.reconstruction = Some(section.clone()),
        Section::Embed(section) => manifest.embed = Some(section.clone()),
        Section::SuperResolution(section) => manifest.super_resolution = Some(*section),
    }
    manifest
}

/// The command line, as it could be given again.
fn command() -> String {
    let words = std::env::args_os().skip(1).map(|word| shell_word(&word.to_string_lossy()));
    std::iter::once("lineside".to_string()).chain(words).collect::<Vec<_>>().join(" ")
}
