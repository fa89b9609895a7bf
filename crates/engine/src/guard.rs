//! Parsers and other people's runtimes assert on some malformed models. A bad file must end in an error all the same.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread runs code whose panics are caught and turned into an error. A program's panic hook can ask this to keep
/// silent about them; this library installs no hook of its own.
pub fn is_guarded() -> bool {
    GUARDED.with(Cell::get)
}

/// The result of `work`, or `None` where it panicked.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = GUARDED.with(|guarded| guarded.replace(true));
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.with(|guarded| guarded.set(before));
    result.ok()
}

/// The result of `work`, or one line where it failed or panicked.
pub(crate) fn guarded_result<T, E: From<String>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    guarded(work).unwrap_or_else(|| Err(String::from("the graph is malformed").into()))
}
