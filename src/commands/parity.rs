//! `lineside parity`: verifies the bundles' golden vectors on this CPU, with every kernel set it has.

use crate::bundle::{self, Bundle};
use crate::escape::one_line;
use lineside_engine::{Session, kernel_names};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

#[derive(clap::Args)]
pub struct ParityArguments {
    /// Names or folders of bundles [default: every bundle on this machine]
    bundles: Vec<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Row {
    bundle: String,
    /// The file of the expected output.
    golden: String,
    kernel: &'static str,
    /// Largest difference from the expected output, in LSB; null where type or shape differ.
    difference: Option<f64>,
    tolerance: u32,
    agrees: bool,
}

pub fn run(arguments: &ParityArguments) -> anyhow::Result<ExitCode> {
    let bundles: Vec<Bundle> = if arguments.bundles.is_empty() {
        bundle::all().iter().map(|folder| Bundle::open(folder)).collect::<Result<_, _>>()?
    } else {
        arguments.bundles.iter().map(|name| bundle::find(name)).collect::<Result<_, _>>()?
    };
    anyhow::ensure!(!bundles.is_empty(), "no bundle on this machine; name one");
    let mut rows = Vec::new();
    for bundle in &bundles {
        anyhow::ensure!(!bundle.manifest().golden.is_empty(), "{}: no golden vectors in it", bundle.folder().display());
        rows.extend(hold(bundle)?);
    }
    let all_agree = rows.iter().all(|row| row.agrees);
    if arguments.json {
        super::print_json(&serde_json::json!({ "agrees": all_agree, "vectors": rows }))?;
    } else {
        let mut out = crate::commands::stdout();
        for row in &rows {
            let verdict = if row.agrees { "agrees" } else { "DIFFERS" };
            let difference = row.difference.map_or("type or shape differ".into(), |d| format!("{d} LSB"));
            writeln!(
                out,
                "{verdict:<8} {:<16} {:<24} kernel {:<12} difference {difference}, allowed {}",
                one_line(&row.bundle),
                one_line(&row.golden),
                row.kernel,
                row.tolerance
            )?;
        }
    }
    Ok(if all_agree { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn hold(bundle: &Bundle) -> anyhow::Result<Vec<Row>> {
    let manifest = bundle.manifest();
    let mut rows = Vec::new();
    for golden in &manifest.golden {
        let (input, expected) = bundle.golden(golden)?;
        let blame = |e| bundle.blame(&manifest.model, e);
        for kernel in kernel_names() {
            let plan = bundle.model()?.plan_with(&[input.shape().to_vec()], kernel).map_err(blame)?;
            let mut session = Session::new(Arc::new(plan)).map_err(blame)?;
            session.set_input(0, input.clone()).map_err(|e| bundle.blame(&golden.input, e))?;
            session.run().map_err(blame)?;
            let outputs = session.outputs();
            if outputs.len() != expected.len() {
                let (stated, given) = (expected.len(), outputs.len());
                let problem = format!("{} has {stated} outputs stated, the model gives {given}", golden.input);
                return Err(bundle.blame("bundle.toml", problem).into());
            }
            for ((file, expected), output) in golden.output.files().iter().zip(&expected).zip(outputs) {
                let difference = output.largest_difference(expected);
                rows.push(Row {
                    bundle: manifest.name.clone(),
                    golden: file.clone(),
                    kernel,
                    difference,
                    tolerance: golden.tolerance,
                    agrees: difference.is_some_and(|difference| difference <= f64::from(golden.tolerance)),
                });
            }
        }
    }
    Ok(rows)
}
