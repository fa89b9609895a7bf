//! The interface to the service manager (systemd, Type=notify): readiness, watchdog, status text, reload.
//!
//! ```text
//! threads -- pipeline::Pulse --> ServiceManager --+-- READY=1 once models, source and sinks are up
//!                                          +-- WATCHDOG=1 only while every thread makes progress, or models are loaded (Feeder)
//!                                          +-- STATUS=… a line for `systemctl status`
//! SIGHUP --> Reload --> the new configuration, or the old one and the reason
//! ```
//!
//! Of several cameras each reports to `cameras.rs`, and the main thread for all of them to the manager.
//!
//! Without a manager (`NOTIFY_SOCKET` is not set) all of it does nothing.

mod cameras;
mod feeder;
mod manager;
mod reload;

pub use cameras::{CameraProgress, CameraState, CamerasManager, LineManager};
pub use feeder::Feeder;
pub use manager::ServiceManager;
pub use reload::Reload;
