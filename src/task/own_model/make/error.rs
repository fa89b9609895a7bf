//! Why no bundle can be made of a network.

use crate::task::TaskError;
use lineside_engine::EngineError;

/// Why no bundle can be made of a network. Messages do not name the file: the caller knows it and puts it before.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// What the network does not say of itself, and was not stated; the message names the option.
    #[error("{0}")]
    Unstated(String),
    /// The network does not fit the task.
    #[error("{0}")]
    Unfit(String),
    /// It failed on a picture.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The engine refuses it.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
