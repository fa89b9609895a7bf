//! The `lineside` program: parses arguments, calls one command, turns its error into an exit code.

use clap::Parser;
use lineside::commands::{Cli, exit_code};
use lineside::memory::CountingAllocator;
use lineside::threads::print_last_line;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    silence_caught_panics();
    let cli = Cli::parse();
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
                print_last_line(&format!("lineside: {error:#}"));
            }
            ExitCode::from(code)
        }
    }
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
