//! Tasks: what is asked of a frame. Anomaly detection, networks that people bring, several of them one after the other, and
//! super-resolution.

pub mod anomaly;
mod error;
mod judge;
pub mod own_model;
mod recognition;
pub mod super_resolution;
mod tasks;

pub use error::TaskError;
pub use judge::Judge;
pub use recognition::{RANKED, Recognition, UNKNOWN};
pub use tasks::{Condition, NamedTask, TaskAnswer, Tasks};
