//! Where verdicts go: records in `events.jsonl`, pictures beside it.

mod durable;
mod events;
mod snapshot;

pub use durable::write_durably;
pub use events::{Event, EventLog, Files, StartRecord, StopRecord};
pub use snapshot::{annotated, spot_beside_bicubic};
