//! The commands beside `run`: their output, their exit codes, their refusals, and the same bytes on every CPU.

#[path = "../common/mod.rs"]
mod common;

mod alignment;
mod bad_input;
mod board;
mod bundle;
mod bundle_new;
mod control_characters;
mod detail;
mod file_metadata;
mod frame_size;
mod infer;
mod init;
mod odd_files;
mod parity;
mod pixels;
mod quantize;
mod recalibrate;
mod region;
mod replay;
mod superres_eval;
mod teach;
mod terminal;
mod upscale;
