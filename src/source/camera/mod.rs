//! Frames from a camera (V4L2).
//!
//! | file | content |
//! |---|---|
//! | `error.rs` | what can be wrong with a camera |
//! | `device.rs` | what capture needs of a camera: the traits [`CameraPort`] and [`CaptureDevice`] |
//! | `request.rs`, `translate.rs`, `mapping.rs`, `v4l2.rs`, `node.rs` | the driver: its requests and structs, its buffers, the open device, its path |
//! | `choose.rs`, `controls.rs`, `settings.rs` | which mode, which controls, and those of products |
//! | `freeze.rs`, `outage.rs` | a picture that does not change; the waits between tries, and what has been reported |
//! | `source.rs` | a camera that may come and go: open, stream, lose, wait, open again |
//! | `list.rs` | the cameras of this board, for `lineside devices` |
//!
//! A camera is either streaming or away. Every failure is handled in the same way: the device is closed, the error is
//! reported once, and the device is opened again after a while. So there is one recovery path, and every start uses it.

mod choose;
mod controls;
mod device;
mod error;
#[cfg(test)]
mod fake;
mod freeze;
mod list;
mod mapping;
mod node;
mod outage;
mod request;
mod settings;
mod source;
mod suggest;
mod translate;
mod v4l2;

pub use choose::{RequestedMode, format_name};
pub use controls::{ControlSetting, keys as control_keys};
pub use device::{
    CameraMode, CameraPort, CaptureDevice, CapturedBuffer, ControlRange, FrameSize, MAX_PLANES, NegotiatedMode,
    Patience, Rates,
};
pub use error::{CameraError, CameraErrorKind};
pub use list::{CameraInfo, OfferedMode, VideoDevice, video_devices};
pub use node::{NodePort, same_device};
pub use settings::{ControlSet, ProductControls};
pub use source::{BUFFERS, CameraOptions, CameraSource};
pub use suggest::{SuggestedCamera, suggest, suggest_mode, suggest_usb};
pub use v4l2::V4l2Device;
