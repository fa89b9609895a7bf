//! How hot the board is, and what is given up while it is too hot.
//!
//! ```text
//! sensors.rs   files of sysfs: the processor's temperature, what the Raspberry Pi's firmware says
//! throttle.rs    when to give up what, and when to take it back
//! ```

mod sensors;
mod throttle;

pub use sensors::{Reading, Sensors};
pub use throttle::{DegradeStep, ThrottleChange, ThrottleLimits, ThrottlePolicy};
