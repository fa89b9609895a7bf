//! What the board has: GPIO lines, sensors of heat, and who may use its devices.

mod gpio;
pub mod heat;
mod permission;

pub use gpio::{Edges, GpioChip, GpioError, GpioLine, LineName, Place, chips, output};
pub(crate) use permission::who_may_use;
