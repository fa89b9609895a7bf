//! A camera's device node, by the name in the configuration.

use super::device::CameraPort;
use super::error::CameraError;
use super::v4l2::V4l2Device;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A device node, by the name in the configuration.
pub struct NodePort {
    name: String,
    candidates: Vec<PathBuf>,
}

/// Whether two names are those of one camera: by what is there now, where something is.
pub fn same_device(one: &str, other: &str) -> bool {
    let real = |name: &str| {
        let candidates = NodePort::new(name).candidates;
        candidates.iter().find_map(|path| path.canonicalize().ok()).or_else(|| candidates.into_iter().next())
    };
    real(one) == real(other)
}

impl NodePort {
    /// `name` is a path (`/dev/video0`, `/dev/v4l/by-id/…`, `/dev/v4l/by-path/…`), the last part of one, or a number.
    pub fn new(name: &str) -> NodePort {
        let candidates = if name.contains('/') {
            vec![PathBuf::from(name)]
        } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
            vec![PathBuf::from(format!("/dev/video{name}"))]
        } else {
            ["/dev/v4l/by-id", "/dev/v4l/by-path", "/dev"].iter().map(|folder| Path::new(folder).join(name)).collect()
        };
        // A number alone would be unclear in a message.
        let name = if candidates.len() == 1 { candidates[0].display().to_string() } else { name.to_string() };
        NodePort { name, candidates }
    }
}

impl CameraPort for NodePort {
    type Device = V4l2Device;

    fn open(&mut self) -> Result<V4l2Device, CameraError> {
        let path = self.candidates.iter().find(|path| path.exists()).or(self.candidates.first());
        V4l2Device::open(path.map_or(Path::new(""), PathBuf::as_path), &self.name)
    }

    fn is_present(&self) -> bool {
        self.candidates.iter().any(|path| path.exists())
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_is_named_by_path_link_or_number() {
        let candidates = |name| NodePort::new(name).candidates;
        assert_eq!(candidates("/dev/video7"), [Path::new("/dev/video7")]);
        assert_eq!(candidates("7"), [Path::new("/dev/video7")]);
        assert_eq!(NodePort::new("7").name(), "/dev/video7");
        assert_eq!(candidates("usb-A_Camera-video-index0")[0], Path::new("/dev/v4l/by-id/usb-A_Camera-video-index0"));
        assert!(same_device("7", "/dev/video7") && !same_device("7", "8") && !same_device("a", "b"));
        assert!(!NodePort::new("no-such-camera").is_present());
        assert!(NodePort::new("null").is_present());
    }
}
