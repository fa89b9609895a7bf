//! Bytes from files, folders, pipes and the journal: unpacked, cut into lines, and brought into the order of time.

mod damage;
mod find;
mod lines;
mod merged;
mod unpack;
mod utf16;

pub use damage::{Damage, Hurt};
pub use find::find;
pub use lines::{LONGEST, Lines};
pub use merged::{Input, LogSource, Merged};
