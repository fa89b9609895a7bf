//! The `lineside` program: parses arguments, calls one command, turns its error into an exit code.

use clap::Parser;
use lineside::commands::{Cli, exit_code};
use lineside::memory::CountingAllocator;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    match lineside::commands::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            let code = exit_code(&error);
            if code != 0 {
                eprintln!("lineside: {error:#}");
            }
            ExitCode::from(code)
        }
    }
}
