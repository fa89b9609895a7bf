//! `lineside bundle rollback`: the version before is the active one again.

use super::place::{RELOAD, StoreArguments, active_title};
use std::io::Write;
use std::process::ExitCode;

pub(super) const EXAMPLES: &str = "\
Examples:
  sudo -u lineside lineside bundle rollback parts && sudo systemctl reload lineside";

#[derive(clap::Args)]
pub struct RollbackArguments {
    /// The name of an installed bundle
    bundle: String,
    #[command(flatten)]
    store: StoreArguments,
}

pub fn run(arguments: &RollbackArguments) -> anyhow::Result<ExitCode> {
    let home = arguments.store.open().go_back(&arguments.bundle, None)?;
    let mut out = crate::commands::stdout();
    writeln!(out, "{} is the active version of {} again", active_title(&home)?, home.name())?;
    writeln!(out, "next: {RELOAD}")?;
    Ok(ExitCode::SUCCESS)
}
