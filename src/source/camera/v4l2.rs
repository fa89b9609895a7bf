//! A camera by Linux's V4L2: buffers that the driver fills, mapped into this process. It decides nothing.

use super::device::{
    CameraMode, CaptureDevice, CapturedBuffer, ControlRange, FrameInterval, FrameSize, MAX_PLANES, NegotiatedMode,
    Rates,
};
use super::error::{CameraError, CameraErrorKind};
use super::mapping::Mapping;
use super::request::{self, Argument, Buffer, CAPTURE, CAPTURE_PLANES, MMAP, sys};
use super::translate::{FORMATS, frame_interval, frame_rates, frame_size, nanoseconds, negotiated_mode, text};
use crate::board::age_of;
use lineside_picture::PixelFormat;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::ffi::c_int;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An open camera.
pub struct V4l2Device {
    name: String,
    path: PathBuf,
    // Fields drop in this order: buffers are unmapped before the device is closed.
    buffers: Vec<Vec<Mapping>>,
    device: OwnedFd,
    /// Whether frames lie in one piece of memory or in several: the type of buffer in every request.
    kind: u32,
    streaming: bool,
}

/// How a driver describes its device.
pub struct DriverInfo {
    pub card: String,
    pub driver: String,
    pub bus: String,
}

impl V4l2Device {
    /// Opens the device at `path`, which must be a camera.
    ///
    /// # Errors
    /// [`CameraError`] of the camera called `name`.
    pub fn open(path: &Path, name: &str) -> Result<V4l2Device, CameraError> {
        // Without O_NONBLOCK taking a frame would wait until one comes, which may be never.
        let file = OpenOptions::new().read(true).write(true).custom_flags(OFlags::NONBLOCK.bits() as c_int).open(path);
        let file = file.map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::ISDIR) => not_a_camera(name),
            _ => CameraError::from_io(&error, name, path, "opening it"),
        })?;
        let device = OwnedFd::from(file);
        let (kind, buffers) = (CAPTURE, Vec::new());
        let mut camera = V4l2Device { name: name.into(), path: path.into(), device, kind, buffers, streaming: false };
        let capability = camera.capability()?;
        let can = match capability.capabilities & sys::V4L2_CAP_DEVICE_CAPS {
            0 => capability.capabilities,
            _ => capability.device_caps,
        };
        camera.kind = match () {
            () if can & sys::V4L2_CAP_STREAMING == 0 => return Err(not_a_camera(name)),
            () if can & sys::V4L2_CAP_VIDEO_CAPTURE != 0 => CAPTURE,
            () if can & sys::V4L2_CAP_VIDEO_CAPTURE_MPLANE != 0 => CAPTURE_PLANES,
            () => return Err(not_a_camera(name)),
        };
        Ok(camera)
    }

    fn capability(&self) -> Result<sys::v4l2_capability, CameraError> {
        let mut capability = sys::v4l2_capability::zeroed();
        request::QUERYCAP.call(self.device.as_fd(), &mut capability).map_err(|error| {
            match Errno::from_io_error(&error) {
                Some(Errno::NOTTY | Errno::INVAL) => not_a_camera(&self.name),
                _ => self.error("asking what it is", &error),
            }
        })?;
        Ok(capability)
    }

    /// How the driver describes the device.
    ///
    /// # Errors
    /// [`CameraError`] where it does not answer.
    pub fn driver_info(&self) -> Result<DriverInfo, CameraError> {
        let capability = self.capability()?;
        let [card, driver, bus] = [&capability.card[..], &capability.driver, &capability.bus_info].map(text);
        Ok(DriverInfo { card, driver, bus })
    }

    /// The four letters of every format that cannot be decoded.
    ///
    /// # Errors
    /// [`CameraError`] where the driver does not answer.
    pub fn undecodable_formats(&self) -> Result<Vec<String>, CameraError> {
        // The top bit marks the big-endian variant of a format.
        let letters = |format: u32| {
            let end = if format >> 31 == 1 { "-BE" } else { "" };
            text(&(format & !(1 << 31)).to_le_bytes()) + end
        };
        let mut formats = self.pixel_formats()?;
        formats.retain(|fourcc| FORMATS.iter().all(|(known, _)| known != fourcc));
        Ok(formats.into_iter().map(letters).collect())
    }

    fn pixel_formats(&self) -> Result<Vec<u32>, CameraError> {
        self.list("listing its formats", |index| {
            let mut format = sys::v4l2_fmtdesc { index, type_: self.kind, ..Argument::zeroed() };
            request::ENUM_FMT.call(self.device.as_fd(), &mut format).map(|()| format.pixelformat)
        })
    }

    /// Asks for one item after the other until the driver reports that there are no more. A driver that does not implement
    /// the list has no items.
    fn list<T>(&self, doing: &str, item: impl Fn(u32) -> io::Result<T>) -> Result<Vec<T>, CameraError> {
        let mut items = Vec::new();
        // A bound for a broken driver whose list has no end; no camera has a thousand of anything.
        for index in 0..1000 {
            match item(index) {
                Ok(item) => items.push(item),
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::INVAL | Errno::NOTTY | Errno::NODATA) => break,
                    _ => return Err(self.error(doing, &error)),
                },
            }
        }
        Ok(items)
    }

    /// The driver's number of a format: the first in its list that is decoded as that format.
    fn fourcc_of(&self, format: PixelFormat) -> Result<u32, CameraError> {
        let mut offered = self.pixel_formats()?.into_iter();
        let found = offered.find(|offered| FORMATS.contains(&(*offered, format)));
        found.ok_or_else(|| {
            CameraError::new(CameraErrorKind::NoSuchMode, &self.name, "it lacks a format that it offered before")
        })
    }

    fn queue(&self, index: u32) -> Result<(), CameraError> {
        Buffer::queue(self.device.as_fd(), self.kind, index).map_err(|error| self.error("queueing a buffer", &error))
    }

    fn error(&self, doing: &str, error: &io::Error) -> CameraError {
        CameraError::from_io(error, &self.name, &self.path, doing)
    }
}

fn not_a_camera(name: &str) -> CameraError {
    let problem = "it is not a camera that delivers frames; `lineside devices` lists those that do";
    CameraError::new(CameraErrorKind::NotACamera, name, problem)
}

impl CaptureDevice for V4l2Device {
    fn formats(&mut self) -> Result<Vec<PixelFormat>, CameraError> {
        let offered = self.pixel_formats()?;
        let mut formats = Vec::new();
        for (_, format) in FORMATS.iter().filter(|(fourcc, _)| offered.contains(fourcc)) {
            if !formats.contains(format) {
                formats.push(*format);
            }
        }
        Ok(formats)
    }

    fn sizes(&mut self, format: PixelFormat) -> Result<Vec<FrameSize>, CameraError> {
        let pixel_format = self.fourcc_of(format)?;
        self.list("listing its sizes", |index| {
            let mut found = sys::v4l2_frmsizeenum { index, pixel_format, ..Argument::zeroed() };
            request::ENUM_FRAMESIZES.call(self.device.as_fd(), &mut found)?;
            Ok(frame_size(&found))
        })
    }

    fn rates(&mut self, format: PixelFormat, width: u32, height: u32) -> Result<Rates, CameraError> {
        let pixel_format = self.fourcc_of(format)?;
        let found = self.list("listing its rates", |index| {
            let mut found = sys::v4l2_frmivalenum { index, pixel_format, width, height, ..Argument::zeroed() };
            request::ENUM_FRAMEINTERVALS.call(self.device.as_fd(), &mut found)?;
            Ok(found)
        })?;
        Ok(frame_rates(&found))
    }

    fn set_mode(&mut self, mode: &CameraMode) -> Result<NegotiatedMode, CameraError> {
        let mut format = sys::v4l2_format { type_: self.kind, ..Argument::zeroed() };
        let (width, height, pixelformat) = (mode.width, mode.height, self.fourcc_of(mode.format)?);
        if self.kind == CAPTURE {
            format.fmt.pix = sys::v4l2_pix_format { width, height, pixelformat, ..Argument::zeroed() };
        } else {
            format.fmt.pix_mp = sys::v4l2_pix_format_mplane { width, height, pixelformat, ..Argument::zeroed() };
        }
        request::S_FMT
            .call(self.device.as_fd(), &mut format)
            .map_err(|error| self.error("setting its format", &error))?;
        let fps = self.set_interval(mode.interval)?.and_then(FrameInterval::fps);
        Ok(NegotiatedMode { fps, ..negotiated_mode(&format) })
    }

    fn control(&mut self, id: u32) -> Result<Option<ControlRange>, CameraError> {
        let mut query = sys::v4l2_queryctrl { id, ..Argument::zeroed() };
        match request::QUERYCTRL.call(self.device.as_fd(), &mut query) {
            Ok(()) if query.flags & (sys::V4L2_CTRL_FLAG_DISABLED | sys::V4L2_CTRL_FLAG_READ_ONLY) == 0 => {
                Ok(Some(ControlRange { min: query.minimum, max: query.maximum }))
            }
            Ok(()) => Ok(None),
            Err(error) if is_unsupported(&error) => Ok(None),
            Err(error) => Err(self.error("asking for a control", &error)),
        }
    }

    fn set_control(&mut self, id: u32, value: i32) -> Result<(), CameraError> {
        let mut control = sys::v4l2_control { id, value };
        request::S_CTRL.call(self.device.as_fd(), &mut control).map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::INVAL | Errno::RANGE) => {
                let problem = format_args!("control 0x{id:x} does not take {value}");
                CameraError::new(CameraErrorKind::BadControl, &self.name, problem)
            }
            _ => self.error("setting a control", &error),
        })
    }

    fn start(&mut self, buffers: u32) -> Result<(), CameraError> {
        let failed = |camera: &Self, error: io::Error| camera.error("getting buffers", &error);
        let mut wanted =
            sys::v4l2_requestbuffers { count: buffers, type_: self.kind, memory: MMAP, ..Argument::zeroed() };
        request::REQBUFS.call(self.device.as_fd(), &mut wanted).map_err(|error| failed(self, error))?;
        for index in 0..wanted.count {
            let buffer = Buffer::query(self.device.as_fd(), self.kind, index).map_err(|error| failed(self, error))?;
            let planes = buffer.memory().map(|plane| Mapping::new(&self.device, plane.offset, plane.length));
            let planes = planes.collect::<io::Result<_>>().map_err(|error| failed(self, error))?;
            self.buffers.push(planes);
            self.queue(index)?;
        }
        request::STREAMON
            .call(self.device.as_fd(), &mut (self.kind as c_int))
            .map_err(|error| self.error("starting it", &error))?;
        self.streaming = true;
        Ok(())
    }

    fn wait(&mut self, time: Duration) -> Result<bool, CameraError> {
        let mut fds = [PollFd::new(&self.device, PollFlags::IN)];
        let timeout = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
        let ready = match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => ready > 0,
            // A signal: somebody may want this thread to stop.
            Err(Errno::INTR) => return Ok(false),
            Err(errno) => return Err(self.error("waiting", &errno.into())),
        };
        let events = fds[0].revents();
        if !events.contains(PollFlags::IN) && !events.is_empty() {
            // Asking for a frame returns the error itself (ENODEV after unplugging).
            let error = self.dequeue_buffer().err().unwrap_or_else(|| Errno::IO.into());
            return Err(self.error("waiting", &error));
        }
        Ok(ready)
    }

    fn dequeue(&mut self) -> Result<Option<CapturedBuffer>, CameraError> {
        match self.dequeue_buffer() {
            Ok(captured) => Ok(Some(captured)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(self.error("taking a frame", &error)),
        }
    }

    fn bytes(&self, captured: &CapturedBuffer, plane: usize) -> &[u8] {
        let mapping = self.buffers.get(captured.index as usize).and_then(|planes| planes.get(plane));
        let (Some(mapping), Some(filled)) = (mapping, captured.planes.get(plane)) else { return &[] };
        // SAFETY: the driver handed the buffer out, and `requeue`, which consumes `captured`, has not returned it.
        let bytes = unsafe { mapping.bytes(filled.end) };
        bytes.get(filled.start..).unwrap_or_default()
    }

    fn requeue(&mut self, captured: CapturedBuffer) -> Result<(), CameraError> {
        self.queue(captured.index)
    }
}

impl V4l2Device {
    fn dequeue_buffer(&self) -> io::Result<CapturedBuffer> {
        let buffer = Buffer::dequeue(self.device.as_fd(), self.kind)?;
        let clock = buffer.flags() & sys::V4L2_BUF_FLAG_TIMESTAMP_MASK;
        let age = match clock {
            sys::V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC => Some(age_of(nanoseconds(buffer.timestamp()))),
            _ => None,
        };
        let damaged = buffer.flags() & sys::V4L2_BUF_FLAG_ERROR != 0;
        let mut planes = [const { 0..0 }; MAX_PLANES];
        for (filled, plane) in planes.iter_mut().zip(buffer.memory()) {
            *filled = plane.filled;
        }
        Ok(CapturedBuffer { index: buffer.index(), planes, age, damaged })
    }

    /// Sets the time between frames, where it can be set; returns what the driver makes of it.
    fn set_interval(&self, interval: Option<FrameInterval>) -> Result<Option<FrameInterval>, CameraError> {
        let Some(FrameInterval { numerator, denominator }) = interval else { return Ok(None) };
        let mut parameters = sys::v4l2_streamparm { type_: self.kind, ..Argument::zeroed() };
        parameters.parm.capture.timeperframe = sys::v4l2_fract { numerator, denominator };
        match request::S_PARM.call(self.device.as_fd(), &mut parameters) {
            Ok(()) => {
                // SAFETY: the variant of the union that belongs to this type of buffer; all its bytes are initialized.
                let capture = unsafe { parameters.parm.capture };
                let can_be_set = capture.capability & sys::V4L2_CAP_TIMEPERFRAME != 0;
                // Where it cannot be set, the camera keeps the rate of its mode.
                Ok(if can_be_set { Some(frame_interval(&capture.timeperframe)) } else { interval })
            }
            Err(error) if is_unsupported(&error) => Ok(None),
            Err(error) => Err(self.error("setting its rate", &error)),
        }
    }
}

impl Drop for V4l2Device {
    fn drop(&mut self) {
        if self.streaming {
            // A camera that is gone cannot be stopped, and need not be. Buffers are unmapped and the device is closed after
            // this, which stops it in any case.
            let _ = request::STREAMOFF.call(self.device.as_fd(), &mut (self.kind as c_int));
        }
    }
}

/// Whether a driver does not implement a request, or not for what was asked.
fn is_unsupported(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::NOTTY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_camera_is_refused_and_leaves_no_descriptor() {
        // Counted for a file that no other test of this process opens.
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("camera");
        std::fs::write(&own, "no camera").unwrap();
        let open = || {
            let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
            descriptors.filter(|one| std::fs::read_link(one.path()).is_ok_and(|file| file == own)).count()
        };
        let refused = |path: &str| {
            let fault = V4l2Device::open(Path::new(path), path).map(|_| ()).unwrap_err();
            (fault.kind, fault.text)
        };
        for _ in 0..50 {
            assert_eq!(refused(own.to_str().unwrap()).0, CameraErrorKind::NotACamera);
            assert_eq!(refused("/dev/null").0, CameraErrorKind::NotACamera);
            assert_eq!(refused("/dev").0, CameraErrorKind::NotACamera);
            assert_eq!(refused("/dev/no-such-camera").0, CameraErrorKind::Missing);
        }
        assert_eq!(open(), 0);
        assert!(refused("/dev/null").1.starts_with("/dev/null: it is not a camera"), "{:?}", refused("/dev/null"));
    }
}
