//! What the board has: GPIO lines, sensors of heat, and who may use its devices; what it is.

mod gpio;
pub mod heat;
mod machine;
mod permission;

pub use gpio::{Edges, GpioChip, GpioError, GpioLine, LineAddress, LineName, gpio_chips, open_output};
pub use machine::{Machine, machine};
pub(crate) use permission::permission_advice;
