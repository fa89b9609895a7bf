//! Writes the manual pages and the shells' completions of the program, from the program's own command line:
//! `cargo run --release --example manual -- OUT`. `cross/package` packs them.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use lineside::commands::Cli;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let Some(out) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("manual: which folder to write to?");
        std::process::exit(2);
    };
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    let man = out.join("man");
    std::fs::create_dir_all(&man)?;
    page(&cli, "lineside", &man)?;
    for command in cli.get_subcommands() {
        page(command, &format!("lineside-{}", command.get_name()), &man)?;
    }
    let completions = out.join("completions");
    std::fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "lineside", &completions)?;
    }
    Ok(())
}

/// Writes the page of one command.
fn page(command: &clap::Command, name: &str, folder: &Path) -> std::io::Result<()> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    std::fs::write(folder.join(format!("{name}.1")), page)
}
