//! A command of this program in a process of its own, beside a line that runs: `lineside teach` and `recalibrate`, asked for on the page.
//!
//! ```text
//! lineside run -- stdin (held open) --> lineside in-background BYTES teach …
//!              <-- stderr: progress, warnings, the reason of a failure; stdout: the report ---
//! ```
//!
//! Its memory goes with it, and whatever ends it leaves inspection alone. It stands behind everything else on the board (nice 19), takes no
//! more heap than it may, and ends when its standard input does: however the line ends, also by SIGKILL.

mod child;
mod process;

pub use child::{enter, is_entered};
pub use process::{BackgroundProcess, BackgroundProgress, WARNINGS};

/// What the service manager says to the line by variables, and not to what that starts.
pub const OF_THE_MANAGER: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// The first argument of a process in the background; the second is the most bytes of its heap.
const IN_BACKGROUND: &str = "in-background";
