//! Why a task failed.

use crate::bundle::BundleError;
use lineside_engine::EngineError;
use lineside_picture::PictureError;

/// Why a task could not be set up, or failed on a frame.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The bundle does not fit the task.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The model failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The picture cannot be used.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The frame is of a size that the bundle was not taught with.
    #[error("{0}")]
    OtherSize(String),
    /// The part is nowhere in the frame, where it had to be.
    #[error("the part was not found in it")]
    Unfound,
    /// The network gave something on the frame of which no verdict can be made.
    #[error("{0}")]
    Output(String),
    /// The frame is too small to be inspected.
    #[error("{width}x{height} is too small: at least {min} pixels per side are needed")]
    TooSmall {
        /// The frame's width.
        width: usize,
        /// The frame's height.
        height: usize,
        /// The minimum, in pixels per side.
        min: usize,
    },
}
