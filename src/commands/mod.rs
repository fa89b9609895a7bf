//! One file for each subcommand: arguments in, text or JSON out.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong arguments, 78 bad configuration or bundle (`EX_CONFIG` of sysexits.h).

mod bench;
mod bundle;
mod check;
mod compare;
mod comparison_text;
mod dataset;
mod devices;
mod eval;
mod examples;
mod in_order;
mod infer;
mod init;
mod inspect;
mod labels;
mod name_folders;
mod outputs;
mod parity;
mod picture_reader;
mod preparation;
mod prepared_pictures;
mod progress;
mod quantization_text;
mod quantize;
mod recalibrate;
mod replay;
mod run;
mod samples;
mod sheet;
mod standard_output;
mod teach;
mod upscale;

use crate::bundle::{BundleError, StoreError};
use crate::config::ConfigError;
use crate::escape::one_line;
use crate::memory::OverBudget;
use crate::task::TaskError;
use crate::telemetry::{LogFormat, LogSettings, LogTarget, Telemetry};
use clap::{Parser, Subcommand};
use standard_output::{print_json, stdout};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Visual inspection on a small board. Detects anomalous parts, locates the defect and upscales it.
#[derive(Parser)]
#[command(version, about, max_term_width = 110)]
pub struct Cli {
    /// Format of the log lines on stderr [default: text; on a terminal short, in colours]
    #[arg(long, global = true, value_enum)]
    log_format: Option<LogFormat>,
    /// On a terminal, too: every log line as it is written elsewhere
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Inspect frames of a line; without CONFIG the demo on shipped frames, results under ./lineside-out/
    #[command(after_help = examples::RUN)]
    Run(run::RunArguments),
    /// Validate configuration, bundles, memory budget, camera, GPIO lines and broker on this board; starts nothing
    #[command(after_help = examples::CHECK)]
    Check(check::CheckArguments),
    /// List the cameras and GPIO lines of this board
    #[command(after_help = examples::DEVICES)]
    Devices(devices::DevicesArguments),
    /// Write a commented configuration for what this board has
    #[command(after_help = examples::INIT)]
    Init(init::InitArguments),
    /// Learn what is normal from pictures of good parts
    #[command(after_help = examples::TEACH)]
    Teach(teach::TeachArguments),
    /// Take good frames of a new batch into a bundle, without forgetting what was taught
    #[command(after_help = examples::RECALIBRATE)]
    Recalibrate(recalibrate::RecalibrateArguments),
    /// Re-run recorded events and report any verdict that is not bit-identical
    #[command(after_help = examples::REPLAY)]
    Replay(replay::ReplayArguments),
    /// Measure a bundle on labelled pictures
    #[command(after_help = examples::EVAL)]
    Eval(eval::EvalArguments),
    /// Enlarge a picture, or all pictures of a folder, by super-resolution
    #[command(after_help = examples::UPSCALE)]
    Upscale(upscale::UpscaleArguments),
    /// Run any ONNX model on .npy arrays
    #[command(after_help = examples::INFER)]
    Infer(infer::InferArguments),
    /// Make an INT8 model of a float one, from pictures or arrays, and say what it cost
    #[command(after_help = examples::QUANTIZE)]
    Quantize(quantize::QuantizeArguments),
    /// Compare two models on the same data: speed, size, outputs, scores; and say which to ship
    #[command(after_help = examples::COMPARE)]
    Compare(compare::CompareArguments),
    /// Measure the latency and memory of a model on this CPU
    #[command(after_help = examples::BENCH)]
    Bench(bench::BenchArguments),
    /// Verify the bundles' golden vectors on this CPU
    #[command(after_help = examples::PARITY)]
    Parity(parity::ParityArguments),
    /// Verify bundles, and change those of this board: install, shadow, confirm, roll back
    #[command(subcommand)]
    Bundle(bundle::BundleCommand),
    /// Report what happened in the field from logs of any form, of any number of boards
    #[command(after_help = examples::INSPECT)]
    Inspect(inspect::InspectArguments),
}

impl Cli {
    /// The telemetry that the arguments and `LINESIDE_LOG` ask for: logs go to stderr, or to the journal. People at a terminal get
    /// short lines, and of a run only what needs attention: its verdicts are printed, its records are in the file.
    pub fn telemetry(&self) -> Telemetry {
        let mut filter = std::env::var("LINESIDE_LOG").ok();
        let for_people = self.log_format.is_none() && !self.verbose && std::io::stderr().is_terminal();
        let format = match self.log_format {
            _ if for_people => LogFormat::Short { coloured: wants_colours() },
            format => format.unwrap_or_default(),
        };
        if for_people && matches!(self.command, Command::Run(_)) {
            filter = filter.or(Some("warn".into()));
        }
        Telemetry::new(LogSettings { format, filter, target: LogTarget::Stderr })
    }
}

/// Whether a terminal is to show colours: <https://no-color.org>.
fn wants_colours() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Runs the command that was asked for.
///
/// # Errors
/// What the command could not do; [`exit_code`] has the exit code for it.
pub fn run(cli: Cli, telemetry: &Telemetry) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Run(arguments) => run::run(&arguments, telemetry),
        Command::Check(arguments) => check::run(&arguments, telemetry),
        Command::Devices(arguments) => devices::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Teach(arguments) => teach::run(&arguments, telemetry),
        Command::Recalibrate(arguments) => recalibrate::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Upscale(arguments) => upscale::run(&arguments),
        Command::Infer(arguments) => infer::run(&arguments),
        Command::Quantize(arguments) => quantize::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Parity(arguments) => parity::run(&arguments),
        Command::Bundle(command) => bundle::run(&command),
        Command::Inspect(arguments) => inspect::run(&arguments),
    }
}

/// A combination of arguments that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongArguments(String);

/// The exit code for an error; 0 for a reader that went away (as in `lineside eval … | head`).
pub fn exit_code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<WrongArguments>() || matches!(cause.downcast_ref(), Some(StoreError::Name(_))) {
            return 2;
        }
        let bad_bundle = cause.is::<BundleError>()
            || matches!(cause.downcast_ref(), Some(TaskError::Bundle(_)))
            || matches!(cause.downcast_ref(), Some(StoreError::Bundle(_)));
        if bad_bundle || cause.is::<ConfigError>() || cause.is::<OverBudget>() {
            return 78;
        }
        let of_json = cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind).or(of_json);
        if kind == Some(std::io::ErrorKind::BrokenPipe) {
            return 0;
        }
    }
    1
}

/// Writes an error to stderr, in one line.
fn report_error(error: &anyhow::Error) {
    // Where stderr is closed, the exit code has to do.
    let _ = writeln!(std::io::stderr(), "lineside: {}", one_line(&format!("{error:#}")));
}

/// `q` of the way through the sorted values (nearest rank), or 0 where there are none.
fn percentile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// The path beside `path` with a suffix to its name: a slash at the end is none of it, and `.` is the folder that it stands for.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let resolved = if path.file_name().is_none() { path.canonicalize().ok() } else { None };
    let path = resolved.as_deref().unwrap_or(path);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

/// At most so many of the files, spread evenly over them, and a warning that the others are left out.
fn evenly(files: Vec<PathBuf>, most: usize, limit: u64) -> Vec<PathBuf> {
    let count = files.len();
    if count <= most {
        return files;
    }
    log::warn!("{most} of {count} pictures are used, spread evenly over all: --frames sets how many, {limit} at most");
    spread(&files, most)
}

/// At most so many of the files, spread evenly over them.
fn spread(files: &[PathBuf], most: usize) -> Vec<PathBuf> {
    let count = files.len();
    let most = most.min(count);
    (0..most).map(|i| files[i * count / most].clone()).collect()
}

/// Parses a number of false alarms in 1000 normal frames.
fn false_alarm_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.01..=500.0).contains(rate));
    rate.ok_or_else(|| "expected a number in 0.01..500".into())
}

/// A word of a command, in quotes where a shell needs them.
fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./+,:=@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The most pixels of a picture that a command reads by name.
const MAX_PIXELS: usize = 64_000_000;
/// The most bytes of its file.
const MAX_PICTURE_BYTES: u64 = lineside_picture::max_file_bytes(MAX_PIXELS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn only_what_a_change_of_the_configuration_can_mend_ends_in_78() {
        let config = crate::config::Config::parse("[source.pattern]\nfps = -1\n", std::path::Path::new("a.toml"));
        assert_eq!(exit_code(&config.unwrap_err().into()), 78);
        assert_eq!(exit_code(&WrongArguments("x".into()).into()), 2);
        assert_eq!(exit_code(&anyhow::Error::msg("a.toml:2: no such camera")), 1);
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(exit_code(&StoreError::Disk { place: "store".into(), error: full }.into()), 1);
        assert_eq!(exit_code(&StoreError::Name("../evil".into()).into()), 2);
    }

    #[test]
    fn what_lies_beside_a_folder_is_not_in_it() {
        let beside = |path: &str| with_suffix(Path::new(path), ".teaching");
        for path in ["a/parts", "a/parts/", "a/parts//", "a/parts/."] {
            assert_eq!(beside(path), Path::new("a/parts.teaching"), "{path}");
        }
        assert_eq!(beside("parts/"), Path::new("parts.teaching"));
        let here = std::env::current_dir().unwrap();
        let name = here.file_name().unwrap().to_str().unwrap();
        assert_eq!(beside("."), here.canonicalize().unwrap().with_file_name(format!("{name}.teaching")));
    }

    #[test]
    fn files_are_spread_evenly() {
        let files: Vec<PathBuf> = (0..10).map(|at: usize| at.to_string().into()).collect();
        assert_eq!(spread(&files, 3), ["0", "3", "6"].map(PathBuf::from));
        assert_eq!((spread(&files, 20), spread(&[], 3)), (files, Vec::new()));
    }

    #[test]
    fn percentiles_take_the_nearest_rank() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), 50.0);
        assert_eq!(percentile(&values, 0.99), 99.0);
        assert_eq!(percentile(&[7.0], 0.5), 7.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
