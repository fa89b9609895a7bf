//! What all cameras begin again with.

use crate::bundle::Home;
use crate::config::Config;

/// What all cameras begin again with.
pub(super) enum NextConfigurations {
    New(Vec<Config>),
    /// The same file, when a home has gone back to the version before.
    FailedTrial {
        /// The camera that has found out.
        place: usize,
        home: Box<Home>,
        why: String,
    },
}
