//! `lineside bundle sign`: `bundle.sig`, in minisign's form.

use super::place::title;
use crate::bundle::{SIGNATURE, find, sign};
use crate::escape::one_line;
use crate::files;
use crate::sink::write_durably;
use anyhow::Context;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

pub(super) const EXAMPLES: &str = "\
Examples:
  minisign -G -p factory.pub -s factory.key
  lineside bundle sign ./parts-2 --key factory.key
  minisign -S -s factory.key -m parts-2/bundle.toml -x parts-2/bundle.sig    # the same";

/// The most bytes of a secret key's file.
const MAX_KEY: u64 = 1 << 12;

#[derive(clap::Args)]
pub struct SignArguments {
    /// A bundle's folder, or its name
    bundle: String,
    /// The secret key, made by `minisign -G`; its password is asked for at the terminal
    #[arg(long, value_name = "SECRET")]
    key: PathBuf,
}

pub fn run(arguments: &SignArguments) -> anyhow::Result<ExitCode> {
    let bundle = find(&arguments.bundle)?;
    let name = || arguments.key.display().to_string();
    let secret = files::read_secret_text(&arguments.key, MAX_KEY).with_context(name)?;
    let signature = sign(&bundle, &secret).with_context(name)?;
    let path = bundle.folder().join(SIGNATURE);
    write_durably(&path, |out| out.write_all(signature.as_bytes())).with_context(|| path.display().to_string())?;
    let mut out = crate::commands::stdout();
    writeln!(out, "{} is signed: {}", title(&bundle), one_line(&path.display().to_string()))?;
    writeln!(out, "next: put the public key on the board: /etc/lineside/keys/NAME.pub")?;
    Ok(ExitCode::SUCCESS)
}
