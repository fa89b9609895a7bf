//! The service on a board: systemd's view of the process, the unit and the Debian package.

#[path = "../common/mod.rs"]
mod common;

mod manager;
mod package;
mod unit;
