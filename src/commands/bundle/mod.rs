//! `lineside bundle …`: the bundles of this board, one file for each verb.

mod verify;

use clap::Subcommand;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum BundleCommand {
    /// Verify a bundle's hashes, signature and golden vectors on this CPU
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::VerifyArguments),
}

pub fn run(command: &BundleCommand) -> anyhow::Result<ExitCode> {
    match command {
        BundleCommand::Verify(arguments) => verify::run(arguments),
    }
}
