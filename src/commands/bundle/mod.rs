//! `lineside bundle …`: the bundles of this board, one file for each verb.

mod confirm;
mod install;
mod list;
mod new;
mod place;
mod policy;
mod rollback;
mod shadow;
mod sign;
mod verify;

use clap::Subcommand;
use std::process::ExitCode;

#[derive(Subcommand)]
pub enum BundleCommand {
    /// List the bundles of this board: versions, which one is active, who signed them
    #[command(after_help = list::EXAMPLES)]
    List(list::ListArguments),
    /// Make a bundle of a network of your own
    #[command(after_help = new::EXAMPLES)]
    New(Box<new::NewArguments>),
    /// Verify a bundle's hashes, signature and golden vectors on this CPU
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::VerifyArguments),
    /// Sign a bundle with a secret key of minisign
    #[command(after_help = sign::EXAMPLES)]
    Sign(sign::SignArguments),
    /// Verify a bundle, copy it into this board's store and make it the active version; the one before is kept
    #[command(after_help = install::EXAMPLES)]
    Install(install::InstallArguments),
    /// Judge another version beside the active one, without any effect on verdicts
    #[command(after_help = shadow::EXAMPLES)]
    Shadow(shadow::ShadowArguments),
    /// Confirm the active version that is on trial, else make the shadow the active version
    #[command(after_help = confirm::EXAMPLES)]
    Confirm(confirm::ConfirmArguments),
    /// Make the version before the active one again
    #[command(after_help = rollback::EXAMPLES)]
    Rollback(rollback::RollbackArguments),
}

pub fn run(command: &BundleCommand) -> anyhow::Result<ExitCode> {
    match command {
        BundleCommand::List(arguments) => list::run(arguments),
        BundleCommand::New(arguments) => new::run(arguments),
        BundleCommand::Verify(arguments) => verify::run(arguments),
        BundleCommand::Sign(arguments) => sign::run(arguments),
        BundleCommand::Install(arguments) => install::run(arguments),
        BundleCommand::Shadow(arguments) => shadow::run(arguments),
        BundleCommand::Confirm(arguments) => confirm::run(arguments),
        BundleCommand::Rollback(arguments) => rollback::run(arguments),
    }
}
