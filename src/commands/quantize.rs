//! `lineside quantize`: INT8 from a float model and pictures or arrays.

use super::comparison_text::{default_threads, print_costs, print_outputs, print_verdict, warn_of_unread};
use super::outputs::check_output;
use super::progress::ProgressReporter;
use super::samples::{ModelSamples, PreProcessing};
use crate::escape::one_line;
use crate::files;
use crate::sink::write_durably;
use anyhow::Context;
use lineside_engine::Model;
use lineside_quantize::{Comparison, Method, Options, Quantized, Samples, Stage, compare, is_held_out, quantize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct QuantizeArguments {
    /// The float model, an ONNX file of opset 9 or later
    model: PathBuf,
    /// The INT8 model to write
    out: PathBuf,
    /// Folders or files of pictures, or .npy arrays with the samples along their first dimension: 100 to 500 as the model will see them
    #[arg(long, value_name = "DIR|NPY", required = true, num_args = 1..)]
    calibrate: Vec<PathBuf>,
    #[command(flatten)]
    how: PreProcessing,
    /// How the range of each tensor is chosen
    #[arg(long, value_enum, default_value_t = Ranges::Auto)]
    ranges: Ranges,
    /// Round weights to the nearest and leave biases as they are: faster, less accurate
    #[arg(long)]
    fast: bool,
    /// One scale for all output channels of a layer
    #[arg(long)]
    per_tensor: bool,
    /// Activations with their zero in the middle of the bytes
    #[arg(long)]
    symmetric: bool,
    /// The model is only ever run on samples of this shape: what it computes from shapes becomes constants [with --size always]
    #[arg(long)]
    fix_shapes: bool,
    /// A node that stays in floats: its name, the name of what it makes, or an operator for all of its kind
    #[arg(long, value_name = "NODE")]
    keep: Vec<String>,
    /// Number of threads [default: all cores, four at most]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: Option<u32>,
    /// Write what was done and what it cost as JSON
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq)]
enum Ranges {
    /// The one of the others whose error at the layer's output is least
    Auto,
    /// From the least to the greatest value
    MinMax,
    /// All but one value in a hundred thousand on each side
    Percentile,
    /// The least squared error
    Mse,
    /// The least loss of information
    Entropy,
}

pub fn run(arguments: &QuantizeArguments) -> anyhow::Result<ExitCode> {
    let read = arguments.calibrate.iter().map(PathBuf::as_path).chain([&*arguments.model]);
    check_output(&arguments.out, "onnx", read.clone())?;
    if let Some(report) = &arguments.report {
        check_output(report, "json", read.chain([&*arguments.out]))?;
    }
    let name = || arguments.model.display().to_string();
    let bytes = files::read(&arguments.model, files::MAX_ARRAY).with_context(name)?;
    let inputs = Model::parse(&bytes).with_context(name)?.inputs().with_context(name)?;
    let mut samples = ModelSamples::new(&arguments.calibrate, &inputs, &arguments.how)?;
    advise_on_number(samples.len());
    let threads = arguments.threads.map_or_else(default_threads, |threads| threads as usize);
    let mut options = Options::default();
    options.threads = threads;
    options.method = match arguments.ranges {
        Ranges::Auto => Method::Auto,
        Ranges::MinMax => Method::MinMax,
        Ranges::Percentile => Method::Percentile,
        Ranges::Mse => Method::Mse,
        Ranges::Entropy => Method::Entropy,
    };
    options.improve = !arguments.fast;
    options.per_channel = !arguments.per_tensor;
    options.symmetric = arguments.symmetric;
    options.keep = arguments.keep.iter().cloned().collect();
    options.fix_shapes = arguments.fix_shapes || arguments.how.states_size();
    options.input_ranges = samples.known_ranges();
    let mut progress = StageProgress::default();
    let quantized = quantize(&bytes, &mut samples, &options, &mut |stage, done, total| {
        progress.at(stage, done, total);
        Ok(())
    });
    progress.finish();
    let quantized = quantized.with_context(name)?;
    for kept in &quantized.report.unknown_keep {
        log::warn!("--keep {}: no node, output of a node or operator has this name", one_line(kept));
    }
    warn_of_unread(&quantized.report.unread, samples.len());
    write_durably(&arguments.out, |out| out.write_all(&quantized.bytes))
        .with_context(|| arguments.out.display().to_string())?;
    // On what nothing was taken from, where there is any.
    let mut held = HeldOut::new(&mut samples, quantized.report.held_out > 0);
    let comparison =
        compare([&bytes, &quantized.bytes], &mut held, None, threads, &mut |_, _| Ok(())).with_context(name)?;
    print(&arguments.out, &quantized, &comparison, threads)?;
    if let Some(path) = &arguments.report {
        let json = serde_json::to_vec_pretty(&report_json(&quantized, &comparison))?;
        write_durably(path, |out| out.write_all(&json)).with_context(|| path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn advise_on_number(count: usize) {
    if count < 30 {
        log::warn!(
            "{count} samples: ranges from so few miss what others hold; give 100 to 500, of all kinds that the model will see"
        );
    }
}

/// Every tenth sample, which calibration leaves out; all where there are too few.
struct HeldOut<'a> {
    samples: &'a mut ModelSamples,
    indices: Vec<usize>,
}

impl HeldOut<'_> {
    fn new(samples: &mut ModelSamples, only_held_out: bool) -> HeldOut<'_> {
        let count = samples.len();
        let indices = (0..count).filter(|&index| !only_held_out || is_held_out(index, count)).collect();
        HeldOut { samples, indices }
    }
}

impl Samples for HeldOut<'_> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn get(&mut self, index: usize) -> Result<Vec<lineside_engine::Tensor>, lineside_quantize::QuantizeError> {
        self.samples.get(self.indices.get(index).copied().unwrap_or(usize::MAX))
    }
}

#[derive(Default)]
struct StageProgress {
    now: Option<(Stage, ProgressReporter)>,
}

impl StageProgress {
    fn at(&mut self, stage: Stage, done: usize, total: usize) {
        if self.now.as_ref().is_none_or(|(now, _)| *now != stage) {
            self.finish();
            let what = match stage {
                Stage::Ranges => "ranges",
                Stage::Errors => "choosing",
                Stage::Weights => "weights",
                _ => "comparing",
            };
            self.now = Some((stage, ProgressReporter::new(what, total as u64)));
        }
        if let Some((_, reporter)) = &self.now {
            reporter.at(done as u64);
        }
    }

    fn finish(&mut self) {
        if let Some((_, reporter)) = self.now.take() {
            reporter.finish();
        }
    }
}

fn print(out_path: &Path, quantized: &Quantized, comparison: &Comparison, threads: usize) -> anyhow::Result<()> {
    let report = &quantized.report;
    let mut out = super::stdout();
    let [a, b] = [&comparison.a, &comparison.b];
    writeln!(
        out,
        "{}: {} layers in integers, {} in floats",
        out_path.display(),
        report.layers.len(),
        report.left.len()
    )?;
    for (node, why) in &report.left {
        writeln!(out, "  in floats: \"{}\": {}", one_line(node), one_line(why))?;
    }
    let simplified = &report.simplified;
    writeln!(
        out,
        "before: {} constants computed, {} factors and BatchNormalizations taken into weights, {} idle nodes removed; outputs moved by {:.1e} of their largest",
        simplified.folded_constants,
        simplified.folded_affine + simplified.own_convolutions,
        simplified.removed,
        report.float_drift
    )?;
    if let Some(opset) = simplified.raised_from_opset {
        writeln!(out, "opset {opset} was raised to 13, which alone has a scale for each channel")?;
    }
    if !report.zero_tensors.is_empty() {
        let first = one_line(&report.zero_tensors[0]);
        log::warn!(
            "{} tensors hold nothing but zeros in all samples, such as \"{first}\": are these the pictures that the model will see?",
            report.zero_tensors.len()
        );
    }
    for outlier in report.outliers.iter().take(5) {
        let (reach, chosen) = (outlier.reaches, outlier.covered);
        writeln!(
            out,
            "  outliers: \"{}\" reaches {:.4} to {:.4}; bytes cover {:.4} to {:.4}",
            one_line(&outlier.tensor),
            reach.0,
            reach.1,
            chosen.0,
            chosen.1
        )?;
    }
    let on = if report.held_out > 0 {
        format!("{} samples that nothing was taken from", report.held_out)
    } else {
        format!("the {} samples that were calibrated with: give ten or more to hold some out", report.calibrated)
    };
    writeln!(out, "against the floats, on {on}:")?;
    print_outputs(&mut out, comparison)?;
    print_costs(&mut out, a, b, threads)?;
    print_verdict(&mut out, comparison)?;
    Ok(())
}

fn report_json(quantized: &Quantized, comparison: &Comparison) -> serde_json::Value {
    let (verdict, reasons) = comparison.verdict();
    serde_json::json!({
        "sqnr_db": comparison.outputs.first().and_then(|output| output.sqnr_db),
        "size_bytes": comparison.b.size_bytes,
        "p50_ms": comparison.b.p50_ms,
        "top1_agreement": comparison.top1_agreement,
        "score_shift": comparison.score_shift.median,
        "verdict": verdict,
        "reasons": reasons,
        "quantization": quantized.report,
        "comparison": comparison,
    })
}
