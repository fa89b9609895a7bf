//! Where verdicts go: the alarm line, records in `events.jsonl`, pictures beside it.

mod alarm;
mod durable;
mod events;
mod snapshot;

pub use alarm::{Active, Alarm, Heartbeat, Signal};
pub use durable::{free_stem, prove_writable, write_durably};
pub use events::{Event, EventLog, Files, StartRecord, StopRecord};
pub use snapshot::{annotated, spot_beside_bicubic};
