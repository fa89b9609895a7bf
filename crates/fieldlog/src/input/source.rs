//! Where a log comes from.

use std::path::PathBuf;

/// Where a log comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogSource {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// The output of `journalctl` with these arguments.
    Journal(Vec<String>),
    /// What a search passed over in a folder.
    PassedOver {
        /// The folder that was searched.
        folder: PathBuf,
        /// What was passed over: how many, where, and why.
        what: String,
    },
}
