//! `lineside bundle verify`: a bundle's hashes, signature and golden vectors on this CPU.

use super::place::title;
use super::policy::PolicyArguments;
use crate::bundle::{find, self_test};
use crate::escape::one_line;
use std::io::Write;
use std::process::ExitCode;

pub(super) const EXAMPLES: &str = "\
Examples:
  lineside bundle verify parts
  lineside bundle verify ./parts-2 --config line.toml --json";

#[derive(clap::Args)]
pub struct VerifyArguments {
    /// A bundle's name or folder
    bundle: String,
    #[command(flatten)]
    policy: PolicyArguments,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &VerifyArguments) -> anyhow::Result<ExitCode> {
    let policy = arguments.policy.read()?;
    let bundle = find(&arguments.bundle)?;
    let signer = policy.check(&bundle)?;
    let vectors = self_test(&bundle)?;
    let manifest = bundle.manifest();
    if arguments.json {
        crate::commands::print_json(&serde_json::json!({
            "name": manifest.name,
            "version": manifest.version,
            "folder": bundle.folder(),
            "fingerprint": bundle.fingerprint(),
            "files": manifest.files.len(),
            "signed": signer,
            "vectors": vectors,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = crate::commands::stdout();
    writeln!(out, "{}: {}", title(&bundle), one_line(&bundle.folder().display().to_string()))?;
    writeln!(out, "files      {} have the hashes that bundle.toml states", manifest.files.len())?;
    writeln!(out, "signature  {}", one_line(&signer.to_string()))?;
    match vectors.first() {
        Some(first) => writeln!(out, "self-test  {} outputs agree with the kernels {}", vectors.len(), first.kernel)?,
        None => writeln!(out, "self-test  none: the bundle has no golden vectors")?,
    }
    Ok(ExitCode::SUCCESS)
}
