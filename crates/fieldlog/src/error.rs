//! The errors of this crate.

/// Why a time was refused or a page not written. Logs that cannot be read are no error: the report lists them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FieldlogError {
    /// A text that is not a time.
    #[error(
        "{text:?} is no time: use 2026-11-21T14:00:00Z, \"2026-11-21 14:00\" (UTC), 2026-11-21, or -90min, -2h, -3d before now"
    )]
    InvalidTime {
        /// The text.
        text: String,
    },
    /// A date that there is not.
    #[error("{text:?}: that month has no such day")]
    NoSuchDay {
        /// The text.
        text: String,
    },
    /// The page could not be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
