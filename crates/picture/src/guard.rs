//! Decoders assert here and there what a damaged file can break. That must cost a picture, not the process.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread runs a decoder whose panics are caught and turned into an error. A program's panic hook can ask this to
/// keep silent about them; this library installs no hook of its own.
pub fn is_guarded() -> bool {
    GUARDED.with(Cell::get)
}

/// The result of `decode`, or `None` where it panicked. It takes `panic = "unwind"`, the default.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> T) -> Option<T> {
    let before = GUARDED.with(|guarded| guarded.replace(true));
    let result = catch_unwind(AssertUnwindSafe(decode));
    GUARDED.with(|guarded| guarded.set(before));
    result.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_inside_is_an_error_and_known_to_be_caught() {
        assert_eq!(guarded(|| 7), Some(7));
        assert_eq!(guarded(is_guarded), Some(true));
        assert_eq!(guarded(|| std::panic::resume_unwind(Box::new(()))), None::<()>);
        assert!(!is_guarded());
    }
}
