//! `lineside compare`: two models on the same data.

use super::comparison_text::{default_threads, print_costs, print_outputs, print_verdict, warn_of_unread};
use super::progress::ProgressReporter;
use super::samples::{ModelSamples, PreProcessing};
use super::{WrongArguments, labels};
use crate::escape::one_line;
use crate::files;
use anyhow::Context;
use lineside_engine::{Model, StatedInput};
use lineside_quantize::{Samples, compare, layers, pairs};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct CompareArguments {
    /// The model that is compared with, usually the float one
    a: PathBuf,
    /// The model that is to replace it
    b: PathBuf,
    /// Folders or files of pictures, or .npy arrays with the samples along their first dimension: others than those of calibration
    #[arg(long, value_name = "DIR|NPY", required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    #[command(flatten)]
    how: PreProcessing,
    /// The right place of each sample in the first output: lines of `FILE NUMBER`, where FILE has as much of the path as tells files apart,
    /// or of one number each in the order of the samples
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Show where they part, layer by layer
    #[arg(long)]
    layers: bool,
    /// Number of threads [default: all cores, four at most]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: Option<u32>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &CompareArguments) -> anyhow::Result<ExitCode> {
    let read = |path: &Path| files::read(path, files::MAX_ARRAY).with_context(|| path.display().to_string());
    let [a, b] = [read(&arguments.a)?, read(&arguments.b)?];
    let parse = |path: &Path, bytes: &[u8]| {
        let name = || path.display().to_string();
        let model = Model::parse(bytes).with_context(name)?;
        let inputs = model.inputs().with_context(name)?;
        anyhow::Ok((model, inputs))
    };
    let ((model, first), (_, second)) = (parse(&arguments.a, &a)?, parse(&arguments.b, &b)?);
    let names = |list: &[StatedInput]| list.iter().map(|input| input.name.clone()).collect::<Vec<_>>();
    let kinds = |list: &[StatedInput]| list.iter().map(|input| input.kind).collect::<Vec<_>>();
    let same = |order: Vec<usize>| first.iter().zip(order).all(|(input, at)| input.kind == second[at].kind);
    if !pairs(&names(&first), &names(&second)).is_some_and(same) {
        let message = format!(
            "{} and {} take other inputs: {:?} and {:?}",
            arguments.a.display(),
            arguments.b.display(),
            kinds(&first),
            kinds(&second)
        );
        return Err(WrongArguments(message).into());
    }
    let mut samples = ModelSamples::new(&arguments.data, (&arguments.a, &model), &arguments.how)?;
    let labels = arguments.labels.as_deref().map(|path| labels::read(path, &samples)).transpose()?;
    let threads = arguments.threads.map_or_else(default_threads, |threads| threads as usize);
    let progress = ProgressReporter::new("comparing", samples.len() as u64);
    let comparison = compare([&a, &b], &mut samples, labels.as_deref(), threads, &mut |done, _| {
        progress.at(done as u64);
        Ok(())
    });
    progress.finish();
    let names = || format!("{} and {}", arguments.a.display(), arguments.b.display());
    let comparison = comparison.with_context(names)?;
    warn_of_unread(&comparison.unread, samples.len());
    let parts = if arguments.layers {
        let mut few = Few(&mut samples);
        layers([&a, &b], &mut few, threads).with_context(names)?
    } else {
        Vec::new()
    };
    if arguments.json {
        let (verdict, reasons) = comparison.verdict();
        super::print_json(&serde_json::json!({
            "sqnr_db": comparison.outputs.first().and_then(|output| output.sqnr_db),
            "is_same": comparison.outputs.iter().all(|output| output.is_same),
            "size_bytes": [comparison.a.size_bytes, comparison.b.size_bytes],
            "p50_ms": [comparison.a.p50_ms, comparison.b.p50_ms],
            "top1_agreement": comparison.top1_agreement,
            "score_shift": comparison.score_shift.median,
            "verdict": verdict,
            "reasons": reasons,
            "comparison": comparison,
            "layers": parts,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = super::stdout();
    writeln!(out, "{} against {}, {} samples:", arguments.b.display(), arguments.a.display(), comparison.samples)?;
    print_outputs(&mut out, &comparison)?;
    print_costs(&mut out, &comparison.a, &comparison.b, threads)?;
    if arguments.layers {
        writeln!(out, "where they part (tensors that both have, in order):")?;
        let mut before = f64::INFINITY;
        for part in &parts {
            let db = match part.sqnr_db {
                Some(db) if part.not_finite_apart == 0 => db,
                _ if part.is_same => f64::INFINITY,
                _ => f64::NEG_INFINITY,
            };
            let falls = if before - db > 6.0 && before.is_finite() { "   <- falls here" } else { "" };
            let strange = match part.not_finite_apart {
                0 => String::new(),
                count => format!("   {count} numbers are NaN or infinite in one of both"),
            };
            writeln!(out, "  {db:6.1} dB  {}{falls}{strange}", one_line(&part.name))?;
            before = db;
        }
        if parts.is_empty() {
            writeln!(out, "  they have no tensor of the same name")?;
        }
    }
    print_verdict(&mut out, &comparison)?;
    Ok(ExitCode::SUCCESS)
}

/// The first samples: each shows all tensors.
struct Few<'a>(&'a mut ModelSamples);

impl Samples for Few<'_> {
    fn len(&self) -> usize {
        self.0.len().min(16)
    }

    fn get(&mut self, index: usize) -> Result<Vec<lineside_engine::Tensor>, lineside_quantize::QuantizeError> {
        let all = self.0.len();
        self.0.get(index * all / self.len().max(1))
    }
}
