//! The board's temperature, and when to reduce the load because of it.
//!
//! | file | content |
//! |---|---|
//! | `sensors.rs` | files of sysfs: the processor's temperature, the throttling bits of a Raspberry Pi's firmware |
//! | `throttle.rs` | which steps are active at which temperature |

mod sensors;
mod throttle;

pub use sensors::{Reading, Sensors};
pub use throttle::{DegradeStep, ThrottleChange, ThrottleLimits, ThrottlePolicy};
