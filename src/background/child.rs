//! The process that works in the background.

use super::IN_BACKGROUND;
use crate::memory::limit_heap;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::Builder;

/// The nice value: with all cores taken it gets about a seventieth of one (`sched(7)`).
const NICE: i32 = 19;
/// The stack of the thread that waits for the line's end, in bytes.
const STACK: usize = 64 << 10;
/// The status of a process whose line is gone, as a shell has it for SIGTERM.
const ABANDONED: i32 = 143;

static ENTERED: AtomicBool = AtomicBool::new(false);

/// Whether this process works in the background of a line.
pub fn is_entered() -> bool {
    ENTERED.load(Relaxed)
}

/// Enters the background where the arguments ask for that; returns the arguments of the command. To be called before there is any
/// other thread.
pub fn enter() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let limit = match arguments.get(1..3) {
        Some([word, limit]) if word == IN_BACKGROUND => limit.to_str().and_then(|limit| limit.parse().ok()),
        _ => None,
    };
    let Some(limit) = limit else { return arguments };
    arguments.drain(1..3);
    ENTERED.store(true, Relaxed);
    limit_heap(limit);
    // All threads that follow have it, too. Where it is not allowed the command works nevertheless.
    let _ = rustix::process::setpriority_process(None, NICE);
    let watch = Builder::new().name("line's end".into()).stack_size(STACK).spawn(end_with_the_line);
    if watch.is_err() {
        // Nothing would end it.
        exit(ABANDONED);
    }
    arguments
}

/// Nothing is ever written to standard input: it ends when the line is gone, or lets go of it.
fn end_with_the_line() {
    loop {
        match io::stdin().read(&mut [0; 16]) {
            Ok(read) if read > 0 => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => exit(ABANDONED),
        }
    }
}
