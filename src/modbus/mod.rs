//! What a PLC reads of a running line by Modbus TCP, and what it may ask for: another product, the alarm acknowledged.
//!
//! ```text
//! PLC --> server.rs (one thread, at most 8 clients) --> frame.rs (one request, one answer) --> registers.rs (the map)
//!                                                             results: sink::LastResult; commands: pipeline::Commands
//! ```
//!
//! `docs/modbus.md` has the map. Nothing here is waited for by inspection: the newest result is read without a lock, and a client that
//! is slow, silent or sends garbage holds nobody up but itself.
//!
//! The protocol is written out here: of its functions four are needed, a page of code. `rmodbus` 0.13, the crate that is kept for it,
//! panics on requests that are shorter than they say, and takes reads of no register.

mod frame;
mod registers;
mod server;

pub use frame::{ClientRights, FrameError, LONGEST, answer};
pub use registers::{LineState, PlcStatus};
// For the fuzz targets (fuzz/).
#[doc(hidden)]
pub use registers::{Map, WriteError};
pub use server::{MODBUS_THREAD, ModbusServer, ModbusSettings, max_bytes};
