//! What can be wrong with a camera, and what to do about it.

use crate::board::permission_advice;
use rustix::io::Errno;
use std::io;
use std::path::Path;

/// Why there are no frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct CameraError {
    /// The kind, which says whether waiting may help.
    pub kind: CameraErrorKind,
    /// One line: what is wrong, where, and what to do.
    pub text: String,
}

/// Kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameraErrorKind {
    /// Not there: never plugged in, or unplugged.
    Missing,
    /// Taken by another program.
    Busy,
    /// This user may not open it.
    Denied,
    /// No camera, or none that frames can be had from.
    NotACamera,
    /// It lacks the size or format asked for.
    NoSuchMode,
    /// It lacks a control, or does not take its value.
    BadControl,
    /// It sends nothing.
    Silent,
    /// It sends, but nothing that can be decoded.
    Damaged,
    /// The driver reports something else.
    Driver,
}

impl CameraError {
    /// A fault of the camera called `name`.
    pub fn new(kind: CameraErrorKind, name: &str, problem: impl std::fmt::Display) -> CameraError {
        CameraError { kind, text: format!("{name}: {problem}") }
    }

    /// The fault behind an error of the operating system while `doing` something with the camera `name` at `path`.
    pub fn of(error: &io::Error, name: &str, path: &Path, doing: &str) -> CameraError {
        match Errno::from_io_error(error) {
            Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => CameraError::new(
                CameraErrorKind::Missing,
                name,
                "no such camera: plug it in; `lineside devices` shows what is there",
            ),
            Some(Errno::BUSY) => CameraError::new(
                CameraErrorKind::Busy,
                name,
                format_args!("another program uses it: `fuser -v {}`", path.display()),
            ),
            Some(Errno::ACCESS | Errno::PERM) => {
                CameraError::new(CameraErrorKind::Denied, name, permission_advice(path))
            }
            _ => CameraError::new(CameraErrorKind::Driver, name, format_args!("{doing}: {error}")),
        }
    }

    /// Whether it stays until somebody changes the configuration, the camera or the permissions.
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
