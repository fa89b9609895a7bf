//! What the board has: GPIO lines, and who may use its devices.

mod gpio;
mod permission;

pub use gpio::{Edges, GpioChip, GpioError, GpioLine, LineName, Place, chips, output};
pub(crate) use permission::who_may_use;
