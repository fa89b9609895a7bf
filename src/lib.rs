//! Lineside watches a production line: it detects anomalous parts, locates the defect and upscales it.
//!
//! The rooms, in the order of imports: nothing imports from a room above its own.
//!
//! | room | holds |
//! |---|---|
//! | [`commands`] | one file for each subcommand: arguments in, text or JSON out |
//! | [`line`](mod@line) | the application: from a configuration to a running line |
//! | [`config`] | the TOML file: types, defaults, validation |
//! | [`service`] | systemd: notify, watchdog, reload |
//! | [`modbus`] | what a PLC reads of a run by Modbus TCP, and what it may ask for |
//! | [`status_page`] | what a browser and Prometheus see of a run |
//! | [`pipeline`] | threads and queues: capture → newest-frame slot → inspection → bounded queue → writer |
//! | [`field`] | what a running line measures: times, scores, brightness, drift; and `replay` of its records |
//! | [`source`] | where frames come from: camera, folder, test pattern |
//! | [`sink`] | where verdicts go: GPIO lines, records, pictures, a broker |
//! | [`task`] | what is asked of a frame: anomaly detection, own networks, several of them in order, super-resolution |
//! | [`telemetry`] | records, faults that begin and end, log lines and their limits |
//! | [`bundle`] | a model with all that it needs: manifest, hashes, golden vectors, signature; its installed versions |
//! | [`board`] | what the board has: GPIO lines, temperature sensors, permissions |
//! | [`background`] | a command in a process of its own: behind inspection, within a limit of memory, ended with the line |
//! | [`memory`] | the memory budget and the counting allocator |
//! | [`escape`] | text from outside, made harmless for terminals and log lines |
//! | [`files`] | files from outside: opened without waiting, read up to a limit |
//! | [`storage`] | changes of the disk that survive a power cut, each of which a test can let fail |
//! | [`threads`] | output that holds nobody up; what is reported of a thread that failed or cannot be started |
//! | [`times`] | all timeouts, from one constant |
//!
//! What knows nothing of a line is in libraries of its own, under `crates/`. `docs/architecture.md` gives the reasons.

// Nothing that comes from outside may end the process; tests may.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod background;
pub mod board;
pub mod bundle;
pub mod commands;
pub mod config;
pub mod escape;
pub mod field;
pub mod files;
pub mod line;
pub mod memory;
pub mod modbus;
pub mod pipeline;
pub mod service;
pub mod sink;
pub mod source;
pub mod status_page;
pub mod storage;
pub mod task;
pub mod telemetry;
pub mod threads;
pub mod times;
