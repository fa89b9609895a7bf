//! Writes the manual pages and the shells' completions of the program, from the definition of its command line:
//! `cargo run --release --example manual -- OUT DATE`. `cross/package` packs them.

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use lineside::commands::Cli;
use std::path::Path;

const CODES: [(&str, &str); 4] = [
    ("0", "Done."),
    ("1", "Failed; one line on stderr says what, and what to do."),
    ("2", "Wrong arguments."),
    ("78", "Bad configuration or bundle: the same again would not help, so systemd does not start the service again."),
];

const ENVIRONMENT: [(&str, &str); 3] = [
    ("LINESIDE_LOG", "How much is logged: error, warn, info (the default), debug or trace."),
    ("LINESIDE_BUNDLES", "Folders, separated by colons, in which bundles are looked for before all others."),
    (
        "LINESIDE_KERNEL",
        "The engine's kernel set, of those that lineside-parity(1) names; by default the best that the CPU has. Results \
         are the same.",
    ),
];

const FILES: [(&str, &str); 5] = [
    ("/etc/lineside/lineside.toml", "The configuration of the service, with every key, its default and its reason."),
    (
        "/var/lib/lineside/",
        "Records and pictures of the service, and bundles taught or installed on this board (bundles/).",
    ),
    ("/etc/lineside/keys/", "Public keys of minisign (*.pub) of those whose bundles this board takes."),
    ("/usr/share/lineside/bundles/", "The bundles that are shipped."),
    ("/usr/lib/systemd/system/lineside.service", "The unit, with a reason beside each directive."),
];

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, date] = &arguments[..] else {
        eprintln!("manual: which folder to write to, and which day to state?");
        std::process::exit(2);
    };
    let out = Path::new(out);
    let (man, completions) = (out.join("man"), out.join("completions"));
    for folder in [&man, &completions] {
        std::fs::create_dir_all(folder)?;
    }
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    pages(&cli, None, date, &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "lineside", &completions)?;
    }
    Ok(())
}

/// Writes the pages of a command and of those below it: `lineside-bundle-install`. `above`: the page of the group that it is in.
fn pages(command: &Command, above: Option<&str>, date: &str, folder: &Path) -> std::io::Result<()> {
    let below = |above: &str, command: &Command| format!("{above}-{}", command.get_name());
    let name = above.map_or_else(|| command.get_name().into(), |above| below(above, command));
    let children: Vec<&Command> = command.get_subcommands().filter(|child| child.get_name() != "help").collect();
    let also = above.map(String::from).into_iter().chain(children.iter().map(|child| below(&name, child)));
    let also: Vec<String> = also.collect();
    page(command, &name, above.is_none(), &also, date, folder)?;
    children.into_iter().try_for_each(|child| pages(child, Some(&name), date, folder))
}

/// Writes the page of one command; `whole`: of the program.
fn page(command: &Command, name: &str, whole: bool, also: &[String], date: &str, folder: &Path) -> std::io::Result<()> {
    let version = format!("lineside {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).title(name.to_uppercase()).date(date).source(version).manual("Lineside");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut roff = Roff::new();
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if whole {
        terms(&mut roff, "FILES", &FILES);
    }
    terms(&mut roff, "ENVIRONMENT", &ENVIRONMENT);
    terms(&mut roff, "EXIT STATUS", &CODES);
    roff.control("SH", ["SEE ALSO"]);
    for page in also {
        roff.text([bold(page.as_str()), roman("(1),")]);
    }
    roff.text([roman("/usr/share/doc/lineside/operations.md (from a bare board to a running line)")]);
    roff.to_writer(&mut page)?;
    std::fs::write(folder.join(format!("{name}.1")), page)
}

/// A section of words, each with what it means.
fn terms(roff: &mut Roff, title: &str, terms: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (word, meaning) in terms {
        roff.control("TP", []);
        roff.text([bold(*word)]);
        roff.text([roman(*meaning)]);
    }
}
