//! What can be wrong with a camera, and what to do about it.

use crate::board::permission_advice;
use rustix::io::Errno;
use std::io;
use std::path::Path;

/// Why a camera delivers no frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct CameraError {
    /// The kind, which decides whether waiting may help.
    pub kind: CameraErrorKind,
    /// One line: the camera, what is wrong, and what to do.
    pub text: String,
}

/// Kinds of [`CameraError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameraErrorKind {
    /// Not there: never plugged in, or unplugged.
    Missing,
    /// In use by another program.
    Busy,
    /// This user may not open it.
    Denied,
    /// Not a camera, or not one of a supported kind.
    NotACamera,
    /// It lacks the size or format asked for.
    NoSuchMode,
    /// It lacks a control, or does not accept its value.
    BadControl,
    /// It sends nothing.
    Silent,
    /// It sends frames, but none that can be decoded.
    Damaged,
    /// The program that delivers its frames has ended.
    Ended,
    /// Any other error of the driver.
    Driver,
}

impl CameraError {
    /// An error of the camera called `name`.
    pub fn new(kind: CameraErrorKind, name: &str, problem: impl std::fmt::Display) -> CameraError {
        CameraError { kind, text: format!("{name}: {problem}") }
    }

    /// Translates an error of the operating system that occurred while `doing` something with the camera `name` at `path`.
    pub fn from_io(error: &io::Error, name: &str, path: &Path, doing: &str) -> CameraError {
        match Errno::from_io_error(error) {
            Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => CameraError::new(
                CameraErrorKind::Missing,
                name,
                "no such camera: plug it in; `lineside devices` lists what is there",
            ),
            Some(Errno::BUSY) => CameraError::new(
                CameraErrorKind::Busy,
                name,
                format_args!("another program uses it: `fuser -v {}`", path.display()),
            ),
            Some(Errno::ACCESS | Errno::PERM) => {
                CameraError::new(CameraErrorKind::Denied, name, permission_advice(path))
            }
            Some(Errno::PIPE | Errno::NOLINK) => CameraError::new(
                CameraErrorKind::Driver,
                name,
                format_args!(
                    "{doing}: {error}: what lies between sensor and memory is not set up, as with cameras on a ribbon cable \
                     (CSI): use [source.libcamera]"
                ),
            ),
            _ => CameraError::new(CameraErrorKind::Driver, name, format_args!("{doing}: {error}")),
        }
    }

    /// Whether waiting does not help: only a change of the configuration, the camera or the permissions does.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self.kind,
            CameraErrorKind::Denied
                | CameraErrorKind::NotACamera
                | CameraErrorKind::NoSuchMode
                | CameraErrorKind::BadControl
        )
    }
}
