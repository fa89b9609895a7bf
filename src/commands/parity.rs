//! `lineside parity`: verifies the bundles' golden vectors on this CPU, with every kernel set it has.

use crate::bundle::{self, Bundle};
use crate::escape::one_line;
use lineside_engine::kernel_names;
use std::io::Write;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct ParityArguments {
    /// Names or folders of bundles [default: every bundle on this machine]
    bundles: Vec<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
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
        for kernel in kernel_names() {
            rows.extend(bundle::golden_results(bundle, kernel)?);
        }
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
