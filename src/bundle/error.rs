//! Why a bundle cannot be used, or a store not changed.

use std::io;
use std::path::Path;

/// A bundle that cannot be used. The message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// There is no bundle of that name on the search path.
    #[error("no bundle \"{name}\": looked for {name}/bundle.toml in {looked}")]
    NotFound {
        /// The name or path that was asked for.
        name: String,
        /// The folders that were searched.
        looked: String,
    },
    /// The manifest or a file is missing, damaged or inconsistent.
    #[error("{file}: {problem}")]
    Bad {
        /// The file, with a line number where one is known.
        file: String,
        /// What is wrong with it and what to do.
        problem: String,
    },
}

impl BundleError {
    /// An error about a file, in one line: names in a manifest may hold line ends.
    pub(super) fn bad(file: &Path, problem: impl std::fmt::Display) -> BundleError {
        let problem = problem.to_string().replace(char::is_control, "\u{fffd}");
        BundleError::Bad { file: file.display().to_string(), problem }
    }
}

/// Why the store was not changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A bundle cannot be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The disk failed.
    #[error("{place}: {error}")]
    Disk {
        /// Where.
        place: String,
        /// How.
        error: io::Error,
    },
    /// What was given as a name for an installed bundle is none.
    #[error("{0}: is no name for an installed bundle: letters, digits, \".\", \"_\" and \"-\", at most 64")]
    Name(String),
    /// There is nothing to do that with, and what to do.
    #[error("{0}")]
    Refused(String),
}

/// An error of the store's disk.
pub(super) fn disk(place: &Path, error: io::Error) -> StoreError {
    StoreError::Disk { place: place.display().to_string(), error }
}
