//! The board: its GPIO lines, its temperature sensors, its name and CPU, and who may use its devices.

mod gpio;
pub mod heat;
mod machine;
mod monotonic;
mod permission;

pub use gpio::{
    EDGE_BATCH, Edges, GpioChip, GpioError, GpioLine, InputLevels, LineAddress, LineEdge, LineName, gpio_chips,
    open_output,
};
pub use machine::{Machine, machine};
pub(crate) use monotonic::{age_of, instant_of};
pub(crate) use permission::permission_advice;
