//! `lineside bundle verify`: a bundle's hashes and golden vectors on this CPU.

use crate::bundle::{find, self_test};
use crate::escape::one_line;
use std::io::Write;
use std::process::ExitCode;

pub(super) const EXAMPLES: &str = "\
Examples:
  lineside bundle verify parts
  lineside bundle verify ./parts-2026-12 --json";

#[derive(clap::Args)]
pub struct VerifyArguments {
    /// A bundle's name or folder
    bundle: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &VerifyArguments) -> anyhow::Result<ExitCode> {
    let bundle = find(&arguments.bundle)?;
    let vectors = self_test(&bundle)?;
    let manifest = bundle.manifest();
    if arguments.json {
        crate::commands::print_json(&serde_json::json!({
            "name": manifest.name,
            "version": manifest.version,
            "folder": bundle.folder(),
            "fingerprint": bundle.fingerprint(),
            "files": manifest.files.len(),
            "vectors": vectors,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = crate::commands::stdout();
    let (name, version) = (one_line(&manifest.name), one_line(&manifest.version));
    writeln!(out, "{name} {version}: {}", one_line(&bundle.folder().display().to_string()))?;
    writeln!(out, "files    {} have the hashes that bundle.toml states", manifest.files.len())?;
    let kernel = vectors.first().map_or("", |vector| vector.kernel);
    writeln!(out, "vectors  {} outputs agree with the kernels {kernel}", vectors.len())?;
    Ok(ExitCode::SUCCESS)
}
