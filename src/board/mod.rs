//! The board: its GPIO lines, its temperature sensors, its name and CPU, and who may use its devices.

mod gpio;
pub mod heat;
mod machine;
mod permission;

pub use gpio::{Edges, GpioChip, GpioError, GpioLine, InputLevels, LineAddress, LineName, gpio_chips, open_output};
pub use machine::{Machine, machine};
pub(crate) use permission::permission_advice;
