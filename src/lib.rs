//! Lineside watches a production line: frames in; verdict, heatmap and enlarged spot out.
//!
//! The rooms of the house, in the order in which data flows. Nothing imports from a room above its own.
//!
//! | room | holds |
//! |---|---|
//! | [`commands`] | one file a subcommand: reads arguments, calls the rooms below, prints |
//! | [`config`] | the TOML file: types, defaults, validation |
//! | [`service`] | what the process tells systemd, and is told by it |
//! | [`status_page`] | what a browser and Prometheus are shown of a run |
//! | [`pipeline`] | threads and queues: capture → newest-frame slot → inspection → bounded queue → sinks |
//! | [`field`] | what the field tells: times, scores and looks over time, drift; what its logs say: `inspect`, and whether it was right: `replay` |
//! | [`source`] | where frames come from |
//! | [`task`] | what is asked of a frame: is it normal, and what does the spot look like from nearer |
//! | [`sink`] | where verdicts go: lines, records, pictures, a broker |
//! | [`times`] | how long a thread waits, and the watchdog, from one constant |
//! | [`record`] | records, faults that begin and end, and where they go |
//! | [`board`] | what the board has: GPIO lines, sensors of heat, permissions |
//! | [`bundle`] | a model with all that it needs: manifest, hashes, golden vectors |
//! | [`memory`] | the budget and the counting allocator |
//!
//! What knows nothing of a line stands in libraries of its own, under `crates/`. `docs/architecture.md` tells the reasons.

// Nothing that comes from outside may end the process; tests may.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod board;
pub mod bundle;
pub mod commands;
pub mod config;
pub mod field;
pub mod memory;
pub mod pipeline;
pub mod record;
pub mod service;
pub mod sink;
pub mod source;
pub mod status_page;
pub mod task;
pub mod times;
