//! The `lineside` program: parses arguments, calls one command, turns its error into an exit code.

use clap::Parser;
use lineside::background;
use lineside::commands::{Cli, exit_code};
use lineside::escape;
use lineside::memory::CountingAllocator;
use lineside::source::process::run_as_keeper;
use lineside::threads::print_last_line;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    if let Some(code) = run_as_keeper() {
        return code;
    }
    let arguments = background::enter();
    silence_caught_panics();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(problem) => return refuse_arguments(&problem),
    };
    let telemetry = cli.telemetry();
    // The only thing of it that is one for the whole process. There was no logger before, so this does not fail.
    let _ = telemetry.install_logger();
    let ended = catch_unwind(AssertUnwindSafe(|| lineside::commands::run(cli, &telemetry)));
    let failed = |_| Err(anyhow::Error::msg(lineside::threads::describe_failure("main")));
    match ended.unwrap_or_else(failed) {
        Ok(code) => code,
        Err(error) => {
            let code = exit_code(&error);
            if code != 0 {
                print_last_line(&format!("lineside: {}", escape::one_line(&format!("{error:#}"))));
            }
            ExitCode::from(code)
        }
    }
}

/// Prints help, a version, or what is wrong with the arguments. What comes from a script may name hostile files.
fn refuse_arguments(problem: &clap::Error) -> ExitCode {
    let text = problem.render().to_string();
    let mut harmless = text.clone();
    for argument in std::env::args_os() {
        let argument = argument.to_string_lossy();
        // The whole word or, of `--option=value`, the value may be quoted.
        let value = argument.split_once('=').map(|(_, value)| value);
        for part in [argument.as_ref()].into_iter().chain(value) {
            if !part.is_empty() {
                harmless = harmless.replace(part, &escape::one_line(part));
            }
        }
    }
    let harmless = escape::lines(&harmless);
    if harmless == text {
        // In colours, where the terminal has some.
        problem.exit();
    }
    let _ = write!(std::io::stderr(), "{harmless}");
    ExitCode::from(2)
}

/// A malformed model or picture can make its parser panic. That is turned into an error; the panic's own message would only
/// confuse.
fn silence_caught_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !lineside_engine::is_guarded() && !lineside_picture::is_guarded() {
            print(info);
        }
    }));
}
