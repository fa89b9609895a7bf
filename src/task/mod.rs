//! Tasks: anomaly detection and super-resolution.

pub mod anomaly;
mod error;
pub mod super_resolution;

pub use error::TaskError;
