//! Log files and their bytes: which files are logs, decompression, and lines in bounded memory.

mod colours;
mod damage;
mod decompress;
mod find;
mod lines;
mod regular;
mod source;
mod utf16;

pub use colours::strip as strip_colours;
pub use damage::{Damage, DamageKind};
pub use decompress::decompressed;
pub use find::find;
pub use lines::{LineReader, MAX_LINE};
pub use regular::{open_beside, open_log};
pub use source::LogSource;
