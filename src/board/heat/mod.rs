//! How hot the board is, and what is given up while it is too hot.
//!
//! ```text
//! sensors.rs   files of sysfs: the processor's temperature, what the Raspberry Pi's firmware says
//! ladder.rs    when to give up what, and when to take it back
//! ```

mod ladder;
mod sensors;

pub use ladder::{Ladder, Rung, Step, Terms};
pub use sensors::{Reading, Sensors};
