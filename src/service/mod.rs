//! What the process tells the manager that started it (systemd, Type=notify), and what it is told by it.
//!
//! ```text
//! threads -- pipeline::Pulse --> Manager --+-- READY=1 once models, source and sinks are up
//!                                          +-- WATCHDOG=1 only while every thread gets on
//!                                          +-- STATUS=… what an engineer wants to see in `systemctl status`
//! SIGHUP --> Reload --> a new configuration, or the old one and why
//! ```
//!
//! Without a manager (`NOTIFY_SOCKET` is not set) all of it does nothing.

mod manager;
mod reload;

pub use manager::Manager;
pub use reload::Reload;
