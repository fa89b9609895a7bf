//! `lineside quantize`: INT8 from a float model and pictures or arrays.

use super::WrongArguments;
use super::comparison_text::{default_threads, warn_of_unread};
use super::outputs::{check_output, write_output};
use super::progress::ProgressReporter;
use super::quantization_text::{print_dynamic, print_quantized, report_json};
use super::samples::{ModelSamples, PreProcessing};
use crate::escape::one_line;
use crate::files;
use anyhow::Context;
use lineside_engine::Model;
use lineside_quantize::{
    Fallback, Form, MaxLoss, Method, Options, Samples, Stage, compare, is_held_out, quantize, quantize_dynamic,
};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(clap::Args)]
pub struct QuantizeArguments {
    /// The float model, an ONNX file of opset 9 or later
    model: PathBuf,
    /// The INT8 model to write
    out: PathBuf,
    /// Folders or files of pictures, or .npy arrays with the samples along their first dimension: 100 to 500 as the model will see them
    /// [with --dynamic: what the result is measured on]
    #[arg(long, value_name = "DIR|NPY", required_unless_present = "dynamic", num_args = 1..)]
    calibrate: Vec<PathBuf>,
    #[command(flatten)]
    how: PreProcessing,
    /// Weights and tables alone, without samples; the range of what they meet is found at each run: for transformers and other
    /// networks of products, slower than ranges from samples
    #[arg(long, conflicts_with_all = ["ranges", "fast", "per_tensor", "symmetric", "fix_shapes"])]
    dynamic: bool,
    /// How the range of each tensor is chosen
    #[arg(long, value_enum, default_value_t = Ranges::Auto)]
    ranges: Ranges,
    /// Round weights to the nearest and leave biases as they are: faster, less accurate
    #[arg(long)]
    fast: bool,
    /// One scale for all output channels of a layer
    #[arg(long)]
    per_tensor: bool,
    /// Activations with their zero in the middle of the bytes; a Relu or Clip behind a layer then stays a node of its own, as bytes go on below 0
    #[arg(long)]
    symmetric: bool,
    /// The model is only ever run on samples of this shape: what it computes from shapes becomes constants [with --size always]
    #[arg(long)]
    fix_shapes: bool,
    /// Take layers out of A8W8 until no more is lost on the samples held out: a signal to noise, as 20dB, or the part of the samples that
    /// may get another first place, as 0.5%
    #[arg(long, value_name = "LOSS", conflicts_with = "dynamic")]
    max_loss: Option<MaxLoss>,
    /// What layers are in that --max-loss takes out of A8W8
    #[arg(long, value_enum, default_value_t = FallbackTo::Auto, requires = "max_loss")]
    fallback: FallbackTo,
    /// How the file says that a node runs in integers
    #[arg(long, value_enum, default_value_t = FormBy::Qdq, conflicts_with = "dynamic")]
    format: FormBy,
    /// End the search for ranges and roundings after so many minutes, and keep the first choice for what is left; how far it comes, and so
    /// the file, then depends on this CPU [default: as long as it takes, and the same file everywhere]
    #[arg(long, value_name = "MINUTES", value_parser = minutes, conflicts_with_all = ["dynamic", "fast"])]
    minutes: Option<Duration>,
    /// A node that stays in floats: its name, the name of what it makes, or an operator for all of its kind
    #[arg(long, value_name = "NODE")]
    keep: Vec<String>,
    /// A layer in A16W8, named as for --keep: 16 bits for what it makes and, where the layer before it does not make bytes, takes. Here it
    /// is computed in floats
    #[arg(long, value_name = "NODE", conflicts_with = "dynamic")]
    a16w8: Vec<String>,
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

#[derive(clap::ValueEnum, Clone, Copy, PartialEq)]
enum FormBy {
    /// QuantizeLinear and DequantizeLinear around each node
    Qdq,
    /// QLinearConv and QLinearMatMul, for runtimes that read nothing else in integers
    Qoperator,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq)]
enum FallbackTo {
    /// The faster of the others on this CPU
    Auto,
    /// Floats
    Float,
    /// 16 bits for activations and 8 for weights: for accelerators without floats, and a quarter of the bytes in the file
    A16w8,
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes = text.trim().parse::<f64>().ok().filter(|minutes| (0.0..=10_000.0).contains(minutes));
    let problem = || "expected a number of minutes, such as 2 or 0.5".into();
    minutes.map(|minutes| Duration::from_secs_f64(60.0 * minutes)).ok_or_else(problem)
}

pub fn run(arguments: &QuantizeArguments) -> anyhow::Result<ExitCode> {
    let read = arguments.calibrate.iter().map(PathBuf::as_path).chain([&*arguments.model]);
    check_output(&arguments.out, "onnx", read.clone())?;
    if let Some(report) = &arguments.report {
        check_output(report, "json", read.chain([&*arguments.out]))?;
    }
    let name = || arguments.model.display().to_string();
    let bytes = files::read(&arguments.model, files::MAX_ARRAY).with_context(name)?;
    let model = Model::parse(&bytes).with_context(name)?;
    let threads = arguments.threads.map_or_else(default_threads, |threads| threads as usize);
    let mut samples = match arguments.calibrate.as_slice() {
        [] if arguments.how.states_anything() => {
            let message = "options that say how a picture becomes the input, or how many are used, need --calibrate: --dynamic takes nothing \
                           from samples, and measures on them where there are any";
            return Err(WrongArguments(message.into()).into());
        }
        [] => None,
        paths => Some(ModelSamples::new(paths, (&arguments.model, &model), &arguments.how)?),
    };
    if arguments.dynamic {
        return dynamic(arguments, &bytes, samples.as_mut(), threads);
    }
    let mut samples = samples.context("no samples to calibrate with")?;
    advise_on_number(samples.len());
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
    options.max_loss = arguments.max_loss;
    options.fallback = match arguments.fallback {
        FallbackTo::Auto => Fallback::Auto,
        FallbackTo::Float => Fallback::Float,
        FallbackTo::A16w8 => Fallback::A16W8,
    };
    options.wide = arguments.a16w8.iter().cloned().collect();
    options.time_limit = arguments.minutes;
    options.form = match arguments.format {
        FormBy::Qdq => Form::Qdq,
        FormBy::Qoperator => Form::QOperator,
    };
    options.keep = arguments.keep.iter().cloned().collect();
    options.fix_shapes = arguments.fix_shapes || arguments.how.input.states_size() || samples.fix_size();
    options.input_ranges = samples.known_ranges();
    let mut progress = StageProgress::default();
    let quantized = quantize(&bytes, &mut samples, &options, &mut |stage, done, total| {
        progress.at(stage, done, total);
        Ok(())
    });
    progress.finish();
    let quantized = quantized.with_context(name)?;
    warn_of_unknown(&quantized.report.unknown_keep);
    for name in &quantized.report.unknown_wide {
        log::warn!("--a16w8 {}: no layer that could run in integers has this name, output or operator", one_line(name));
    }
    warn_of_unread(&quantized.report.unread, samples.len());
    if let (Some(MaxLoss::FirstPlaces(part)), Some(mixed)) = (arguments.max_loss, &quantized.report.mixed) {
        advise_on_resolution(part, mixed.samples);
    }
    write_output(&arguments.out, |out| out.write_all(&quantized.bytes))
        .with_context(|| arguments.out.display().to_string())?;
    // On what nothing was taken from, where there is any.
    let mut held = HeldOut::new(&mut samples, quantized.report.held_out > 0);
    let comparison =
        compare([&bytes, &quantized.bytes], &mut held, None, threads, &mut |_, _| Ok(())).with_context(name)?;
    print_quantized(&arguments.out, &quantized.report, &comparison, threads)?;
    write_report(arguments, &report_json(&quantized.report, Some(&comparison), quantized.bytes.len()))?;
    Ok(ExitCode::SUCCESS)
}

/// Weights alone; measured where there are samples.
fn dynamic(
    arguments: &QuantizeArguments,
    bytes: &[u8],
    samples: Option<&mut ModelSamples>,
    threads: usize,
) -> anyhow::Result<ExitCode> {
    let name = || arguments.model.display().to_string();
    let quantized = quantize_dynamic(bytes, &arguments.keep.iter().cloned().collect()).with_context(name)?;
    warn_of_unknown(&quantized.report.unknown_keep);
    write_output(&arguments.out, |out| out.write_all(&quantized.bytes))
        .with_context(|| arguments.out.display().to_string())?;
    let comparison = match samples {
        Some(samples) => {
            let progress = ProgressReporter::new("comparing", samples.len() as u64);
            let found = compare([bytes, &quantized.bytes], samples, None, threads, &mut |done, _| {
                progress.at(done as u64);
                Ok(())
            });
            progress.finish();
            let found = found.with_context(name)?;
            warn_of_unread(&found.unread, samples.len());
            Some(found)
        }
        None => None,
    };
    let sizes = [bytes.len(), quantized.bytes.len()];
    print_dynamic(&arguments.out, &quantized.report, sizes, comparison.as_ref(), threads)?;
    write_report(arguments, &report_json(&quantized.report, comparison.as_ref(), quantized.bytes.len()))?;
    Ok(ExitCode::SUCCESS)
}

fn write_report(arguments: &QuantizeArguments, json: &serde_json::Value) -> anyhow::Result<()> {
    let Some(path) = &arguments.report else { return Ok(()) };
    let json = serde_json::to_vec_pretty(json)?;
    write_output(path, |out| out.write_all(&json)).with_context(|| path.display().to_string())
}

fn warn_of_unknown(keep: &[String]) {
    for kept in keep {
        log::warn!("--keep {}: no node, output of a node or operator has this name", one_line(kept));
    }
}

fn advise_on_number(count: usize) {
    if count < 30 {
        log::warn!(
            "{count} samples: ranges from so few miss what others hold; give 100 to 500, of all kinds that the model will see"
        );
    }
}

/// A part of the samples that is less than one of them.
fn advise_on_resolution(part: f64, samples: usize) {
    let one = 1.0 / samples.max(1) as f64;
    if part > 0.0 && part < one {
        log::warn!(
            "--max-loss {} %: one of the {samples} samples held out is {:.1} %, so that none may get another first place; give more samples",
            100.0 * part,
            100.0 * one
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
                Stage::Channels => "channels",
                Stage::Ranges => "ranges",
                Stage::Errors => "choosing",
                Stage::Refinement => "refining",
                Stage::Weights => "weights",
                Stage::Sensitivity => "sensitivity",
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
