//! Where verdicts go: GPIO lines, records in `events.jsonl`, images beside it, an MQTT broker, and the newest result for whoever asks.
//!
//! A sink takes a verdict, so this room imports `task`; `task` knows no sink.

mod alarm;
#[cfg_attr(not(feature = "mqtt"), allow(dead_code))]
mod checksum;
#[cfg(test)]
mod crash_tests;
mod durable;
mod events;
mod image_store;
mod last_result;
mod latch;
mod marks;
#[cfg(feature = "mqtt")]
pub mod mqtt;
#[cfg(not(feature = "mqtt"))]
#[path = "no_mqtt.rs"]
pub mod mqtt;
mod observer;
mod output_line;
pub mod part;
mod previous;
mod run_log;
// The queue of a broker uses more of it than the records do.
#[cfg_attr(not(feature = "mqtt"), allow(dead_code))]
mod segmented_log;
mod snapshot;
mod stamp;
mod tail;

pub use crate::storage::write_durably;
pub use alarm::{AlarmLine, HeartbeatLine, Signal};
pub use durable::{check_writable, encode_png, write_png_durably};
pub use events::{EventLog, record_files};
pub use image_store::{ImageStore, NORMAL, Priority, StorageLimits, is_full};
pub use last_result::{LastResult, NewResult, ResultCounts, ResultKind, ResultPublisher, ResultSnapshot};
pub use latch::AlarmLatch;
pub use marks::{FrameMark, MARKS, MARKS_BYTES, MarkError, Marked, MarkedFrame, Marks};
pub use observer::VerdictObserver;
pub use output_line::{ActiveLevel, OutputLine, SwitchLine};
pub use previous::previous_run;
pub use run_log::RunLog;
pub use snapshot::{annotated, spot_beside_bicubic};
// For the fuzz targets (fuzz/).
#[doc(hidden)]
pub use tail::{is_ours, repair_tail};
