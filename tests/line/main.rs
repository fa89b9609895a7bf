//! A running line: its frames, verdicts, records and pictures, and what disturbs it (heat, disks, the clock, signals).

#[path = "../common/mod.rs"]
mod common;

mod bundles;
mod cameras;
mod clock;
mod demo;
mod disk;
mod drift;
mod drop_folder;
mod field_log;
mod hanging;
mod heat;
mod modbus;
mod parts;
mod pictures;
mod pipeline;
mod plc;
mod process;
mod process_presets;
mod products;
mod reload;
mod rtsp_camera;
mod shadows;
mod signals;
mod stalled;
mod tasks;
mod threads;
