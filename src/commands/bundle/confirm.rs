//! `lineside bundle confirm`: the active version is good, or the shadow takes its place.

use super::place::{RELOAD, StoreArguments, active_title};
use crate::bundle::Confirmed;
use std::io::Write;
use std::process::ExitCode;

pub(super) const EXAMPLES: &str = "\
Examples:
  sudo -u lineside lineside bundle confirm parts";

#[derive(clap::Args)]
pub struct ConfirmArguments {
    /// The name of an installed bundle
    bundle: String,
    #[command(flatten)]
    store: StoreArguments,
}

pub fn run(arguments: &ConfirmArguments) -> anyhow::Result<ExitCode> {
    let (home, confirmed) = arguments.store.open().confirm(&arguments.bundle)?;
    let (active, name) = (active_title(&home)?, home.name());
    let mut out = crate::commands::stdout();
    match confirmed {
        Confirmed::Already => writeln!(out, "{active} was confirmed already; nothing was changed")?,
        Confirmed::Active => {
            writeln!(out, "{active} is confirmed: the line does not go back by itself for its defects any more")?;
            if home.state().shadow.is_some() {
                writeln!(
                    out,
                    "another version is judged beside it: lineside bundle confirm {name} makes that the active one"
                )?;
            }
        }
        Confirmed::Shadow => {
            writeln!(out, "{active} was the shadow and is the active version now")?;
            writeln!(out, "next: {RELOAD}; back at once: lineside bundle rollback {name}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
