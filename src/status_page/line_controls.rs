//! What a page may change of a line that runs.

use crate::bundle::{Moment, Role, Trial};
use crate::pipeline::Commands;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Upper bound of the memory of a request that changes a bundle's versions, of which there is one at a time, in bytes: manifests and their
/// text, and the piece of a file that is copied.
pub const VERSIONS_BYTES: u64 = 12 << 20;

/// How long the line goes back by itself where a new version finds far more defects, in seconds: as `lineside bundle install`.
const TRIAL: u64 = 24 * 60 * 60;

/// What a page may change of a line that runs.
pub struct LineControls {
    /// The product and the alarm.
    pub commands: Arc<Commands>,
    /// The bundle whose versions may be changed.
    pub bundle: LineBundle,
    /// Pixels of its largest frame.
    pub pixels: u64,
    /// Why the line could not take another version now: what is wrong with its configuration.
    pub check: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// Has the line take another version.
    pub reload: Box<dyn Fn() + Send + Sync>,
}

/// The bundle of a line, as far as a page may change it.
pub struct LineBundle {
    /// Where it is found: a home, or a folder of its own. What is wrong, where the line's verdicts are not of one bundle.
    pub place: Result<PathBuf, String>,
    /// Why its threshold cannot be set here, where that is so.
    pub fixed: Option<&'static str>,
    /// Why no new version can be made here, where that is so.
    pub unsigned: Option<&'static str>,
}

/// What a new version is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewRole {
    /// Judged beside the active version.
    Shadow,
    /// The active version, on trial.
    Active,
}

impl NewRole {
    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            NewRole::Shadow => "shadow",
            NewRole::Active => "active",
        }
    }

    /// Whether it is judged beside the active version.
    pub fn is_shadow(self) -> bool {
        self == NewRole::Shadow
    }

    /// The role from now on.
    pub fn begin(self) -> Role {
        match self {
            NewRole::Shadow => Role::Shadow,
            NewRole::Active => Role::Active(Trial::begin(&Moment::now(), TRIAL)),
        }
    }
}
