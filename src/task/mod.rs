//! What is asked of a frame: is it normal, and what does the spot look like from nearer.

pub mod anomaly;
pub mod super_resolution;

use crate::bundle::BundleError;
use lineside_engine::EngineError;
use lineside_picture::PictureError;

/// Why a task could not be set up or could not answer for a frame.
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
    /// The frame is too small to be judged.
    #[error("{width}x{height} is too small to be judged: {min} pixels a side are the least")]
    TooSmall {
        /// The frame's width.
        width: usize,
        /// The frame's height.
        height: usize,
        /// The least that is needed.
        min: usize,
    },
}
