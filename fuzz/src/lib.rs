//! Fuzz targets: one for everything that reads bytes from outside.
//!
//! A target takes any bytes, bounds its own work, and panics where the program breaks a promise: a panic of its own, and wherever
//! there is something to compare with, a wrong result ("oracle").
//!
//! | target | reads | oracle |
//! |---|---|---|
//! | [`model`] | an ONNX file: import, plan, one run | every kernel set and any number of threads give the same bytes |
//! | [`jpeg`] | a JPEG as file and as frame of a camera | both have the header's size and the same pixels |
//! | [`png`] | a PNG, also with its check sums repaired | rows one by one are those of the whole; written again it is the same |
//! | [`picture`] | BMP, TIFF, WebP, PNM | rows one by one are those of the whole |
//! | [`array`](mod@array) | a `.npy` | written and read again it is the same |
//! | [`manifest`] | a `bundle.toml` | written and read again it is the same; an error is one line |
//! | [`config`] | a configuration | an error is one line |
//! | [`request`] | a request to the status page | where it comes in two parts, nothing changes; nobody gets in without the token |
//! | [`log`] | logs of any form | no markup in the page, no control characters on the terminal |
//! | [`modbus`] | requests of Modbus TCP | where they come in parts, nothing changes; nothing is written without the right to |
//! | [`packet`] | a broker's packets | where they come in two parts, nothing changes |
//! | [`tail`] | the end of a file of records | what is left is a beginning of what was there; a second repair changes nothing |

pub mod array;
pub mod config;
mod file;
pub mod jpeg;
pub mod log;
pub mod manifest;
pub mod modbus;
pub mod model;
mod mutate;
pub mod packet;
pub mod picture;
pub mod png;
pub mod request;
pub mod tail;
mod text;

pub use mutate::Mutator;

/// A fuzz target.
pub struct Target {
    /// Its name, that of its folder in `corpus/`.
    pub name: &'static str,
    /// Runs it once.
    pub run: fn(&[u8]),
    /// The most bytes of an input.
    pub max_len: usize,
    /// The most memory of one run, in bytes.
    pub max_memory: usize,
    /// Mutated inputs that the replay test runs.
    pub iterations: u64,
    /// What a mutation may insert: words of the format.
    pub words: &'static [&'static [u8]],
}

/// All targets.
pub const TARGETS: &[Target] = &[
    array::TARGET,
    config::TARGET,
    jpeg::TARGET,
    log::TARGET,
    manifest::TARGET,
    modbus::TARGET,
    model::TARGET,
    packet::TARGET,
    picture::TARGET,
    png::TARGET,
    request::TARGET,
    tail::TARGET,
];
