//! Where verdicts go: the alarm line, records in `events.jsonl`, pictures beside it, and a broker.

mod alarm;
mod album;
mod durable;
mod events;
#[cfg(feature = "mqtt")]
pub mod mqtt;
#[cfg(not(feature = "mqtt"))]
#[path = "no_mqtt.rs"]
pub mod mqtt;
mod previous;
mod run_log;
mod snapshot;
mod stamp;
mod tail;
mod viewer;

pub use alarm::{Active, Alarm, Heartbeat, Signal};
pub use album::{Album, Interest, Limits, is_full};
pub use durable::{prove_writable, write_durably, write_png_durably};
pub use events::{EventLog, record_files};
pub use previous::previous_run;
pub use run_log::RunLog;
pub use snapshot::{annotated, spot_beside_bicubic};
pub use viewer::Viewer;
