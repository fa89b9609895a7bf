//! What a page may change of a line that runs.

use crate::pipeline::Commands;
use std::path::PathBuf;
use std::sync::Arc;

/// Upper bound of the memory of a request that changes a bundle's versions, of which there is one at a time, in bytes: manifests and their
/// text, and the piece of a file that is copied.
pub const VERSIONS_BYTES: u64 = 12 << 20;

/// What a page may change of a line that runs.
pub struct LineControls {
    /// The product and the alarm.
    pub commands: Arc<Commands>,
    /// The bundle whose versions may be changed.
    pub bundle: LineBundle,
    /// Has the line take another version.
    pub reload: Box<dyn Fn() + Send + Sync>,
}

/// The bundle of a line, as far as a page may change it.
pub struct LineBundle {
    /// Where it is found: a home, or a folder of its own. What is wrong, where the line's verdicts are not of one bundle.
    pub place: Result<PathBuf, String>,
    /// Why its threshold cannot be set here, where that is so.
    pub fixed: Option<&'static str>,
}
