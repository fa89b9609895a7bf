//! Frames from the standard output of a program: `[source.process]`, and the presets for libcamera, RTSP and GStreamer.
//!
//! | file | content |
//! |---|---|
//! | `command.rs` | the program and its arguments, looked up in `PATH` |
//! | `keeper.rs` | the process between the line and the program, which ends the program however the line ends |
//! | `child.rs`, `lines.rs` | the running program; what it writes to its standard error |
//! | `stream_mode.rs`, `framer.rs`, `jpeg_scan.rs`, `y4m.rs` | what the stream is; its bytes, cut into frames |
//! | `reader.rs`, `exchange.rs` | the thread that reads the stream, and the buffers between it and the source |
//! | `device.rs` | the program as a camera |
//! | `libcamera.rs`, `rtsp.rs`, `gstreamer.rs` | the commands of the presets |
//! | `libcamera_list.rs` | the cameras that libcamera drives, for `lineside devices` |
//!
//! A program is a camera that [`CameraSource`](super::camera::CameraSource) opens, so everything else is a camera's: the waits between
//! tries, what is reported and counted, silent and frozen pictures, the newest frame.

mod child;
mod command;
mod device;
mod exchange;
mod framer;
mod gstreamer;
mod jpeg_scan;
mod keeper;
mod libcamera;
mod libcamera_list;
mod lines;
mod reader;
mod rtsp;
mod stream_mode;
mod y4m;

pub use command::{ProcessCommand, find_program};
pub use device::{ProcessDevice, ProcessPort};
pub use gstreamer::gstreamer;
pub use keeper::run_as_keeper;
pub use libcamera::{LIBCAMERA_PROGRAMS, LibcameraFocus, LibcameraOptions, LibcameraWhiteBalance};
pub use libcamera_list::{LibcameraCamera, libcamera_cameras};
pub use reader::READER_BYTES;
pub use rtsp::{RtspOptions, RtspTransport, has_password, has_stray_at};
pub use stream_mode::{StreamFormat, StreamMode};
