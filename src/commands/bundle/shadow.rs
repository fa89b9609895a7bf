//! `lineside bundle shadow`: another version is judged beside the active one.

use super::install::TargetArguments;
use super::place::{RELOAD, active_title};
use crate::bundle::Role;
use std::io::Write;
use std::process::ExitCode;

pub(super) const EXAMPLES: &str = "\
Examples:
  sudo -u lineside lineside bundle shadow /media/usb/parts-3
  sudo -u lineside lineside bundle shadow other-parts --as parts
  sudo -u lineside lineside bundle shadow parts --end";

#[derive(clap::Args)]
pub struct ShadowArguments {
    /// The folder or name of the bundle that is to be judged, too; with --end, the name of the installed one
    bundle: String,
    /// Stop judging another version
    #[arg(long, conflicts_with_all = ["name", "config"])]
    end: bool,
    #[command(flatten)]
    target: TargetArguments,
}

pub fn run(arguments: &ShadowArguments) -> anyhow::Result<ExitCode> {
    if !arguments.end {
        return arguments.target.take(&arguments.bundle, Role::Shadow);
    }
    let home = arguments.target.store().open().end_shadow(&arguments.bundle)?;
    let mut out = crate::commands::stdout();
    writeln!(out, "nothing is judged beside {} any more", active_title(&home)?)?;
    writeln!(out, "next: {RELOAD}")?;
    Ok(ExitCode::SUCCESS)
}
