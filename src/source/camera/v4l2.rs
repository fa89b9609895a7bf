//! A camera by Linux's V4L2: buffers that the driver fills, mapped into this process. Nothing is decided here.

use super::device::{
    CameraMode, CaptureDevice, CapturedBuffer, ControlRange, FrameInterval, FrameSize, NegotiatedMode, Rates,
};
use super::error::{CameraError, CameraErrorKind};
use super::mapping::Mapping;
use super::videodev2 as sys;
use lineside_picture::{PixelFormat, Range};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use sys::Plain;

/// An open camera.
pub struct V4l2Device {
    name: String,
    path: PathBuf,
    // In this order: mappings go before the descriptor that they are of.
    buffers: Vec<Mapping>,
    device: OwnedFd,
    streaming: bool,
}

/// What a driver says of its device.
pub struct DriverInfo {
    pub card: String,
    pub driver: String,
    pub bus: String,
}

const FORMATS: [(u32, PixelFormat); 5] = [
    (sys::fourcc(b"YUYV"), PixelFormat::Yuyv),
    (sys::fourcc(b"NV12"), PixelFormat::Nv12),
    (sys::fourcc(b"MJPG"), PixelFormat::Mjpeg),
    (sys::fourcc(b"JPEG"), PixelFormat::Mjpeg),
    (sys::fourcc(b"GREY"), PixelFormat::Grey),
];

impl V4l2Device {
    /// Opens the device at `path`, which must be a camera.
    ///
    /// # Errors
    /// A [`CameraError`] of the camera called `name`.
    pub fn open(path: &Path, name: &str) -> Result<V4l2Device, CameraError> {
        // Without O_NONBLOCK taking a frame would wait for one, for ever where none comes.
        let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path);
        let file = file.map_err(|error| match error.raw_os_error() {
            Some(libc::EISDIR) => not_a_camera(name),
            _ => CameraError::of(&error, name, path, "opening it"),
        })?;
        let device = OwnedFd::from(file);
        let camera = V4l2Device { name: name.into(), path: path.into(), device, buffers: Vec::new(), streaming: false };
        let capability = camera.capability()?;
        let can = match capability.capabilities & sys::CAP_DEVICE_CAPS {
            0 => capability.capabilities,
            _ => capability.device_caps,
        };
        if can & sys::CAP_CAPTURE_MPLANE != 0 && can & sys::CAP_CAPTURE == 0 {
            let problem = "it gives its planes apart (as CSI cameras do), which is not supported; use a USB camera";
            return Err(CameraError::new(CameraErrorKind::NotACamera, name, problem));
        }
        if can & sys::CAP_CAPTURE == 0 || can & sys::CAP_STREAMING == 0 {
            return Err(not_a_camera(name));
        }
        Ok(camera)
    }

    fn capability(&self) -> Result<sys::Capability, CameraError> {
        let mut capability = sys::Capability::zeroed();
        sys::QUERYCAP.call(self.device.as_fd(), &mut capability).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOTTY | libc::EINVAL) => not_a_camera(&self.name),
            _ => self.fault("asking what it is", &error),
        })?;
        Ok(capability)
    }

    /// What the driver says of the device.
    ///
    /// # Errors
    /// A [`CameraError`] where it does not answer.
    pub fn card(&self) -> Result<DriverInfo, CameraError> {
        let capability = self.capability()?;
        let [card, driver, bus] = [&capability.card[..], &capability.driver, &capability.bus_info].map(text);
        Ok(DriverInfo { card, driver, bus })
    }

    /// The four letters of every format, decodable or not.
    ///
    /// # Errors
    /// A [`CameraError`] where the driver does not tell.
    pub fn fourccs(&self) -> Result<Vec<String>, CameraError> {
        // The top bit marks the big-endian brother of a format.
        let letters = |format: u32| {
            let end = if format >> 31 == 1 { "-BE" } else { "" };
            text(&(format & !(1 << 31)).to_le_bytes()) + end
        };
        Ok(self.pixel_formats()?.into_iter().map(letters).collect())
    }

    fn pixel_formats(&self) -> Result<Vec<u32>, CameraError> {
        self.list("listing its formats", |index| {
            let mut format = sys::FormatDescription { index, kind: sys::CAPTURE, ..Plain::zeroed() };
            sys::ENUM_FMT.call(self.device.as_fd(), &mut format).map(|()| format.pixel_format)
        })
    }

    /// Asks for one item after the other until the driver says that there are no more; drivers that lack a list have
    /// none.
    fn list<T>(&self, doing: &str, item: impl Fn(u32) -> io::Result<T>) -> Result<Vec<T>, CameraError> {
        let mut items = Vec::new();
        // A driver that never ends its list is broken; no camera has a thousand of anything.
        for index in 0..1000 {
            match item(index) {
                Ok(item) => items.push(item),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINVAL | libc::ENOTTY | libc::ENODATA) => break,
                    _ => return Err(self.fault(doing, &error)),
                },
            }
        }
        Ok(items)
    }

    /// The driver's number for a format: the first of its list that is decoded as that.
    fn fourcc_of(&self, format: PixelFormat) -> Result<u32, CameraError> {
        let mut offered = self.pixel_formats()?.into_iter();
        let found = offered.find(|offered| FORMATS.contains(&(*offered, format)));
        found.ok_or_else(|| {
            CameraError::new(CameraErrorKind::NoSuchMode, &self.name, "it lacks the format that it offered")
        })
    }

    fn queue(&self, index: u32) -> Result<(), CameraError> {
        let mut buffer = sys::Buffer { index, kind: sys::CAPTURE, memory: sys::MMAP, ..Plain::zeroed() };
        sys::QBUF.call(self.device.as_fd(), &mut buffer).map_err(|error| self.fault("queueing a buffer", &error))
    }

    fn fault(&self, doing: &str, error: &io::Error) -> CameraError {
        CameraError::of(error, &self.name, &self.path, doing)
    }
}

fn not_a_camera(name: &str) -> CameraError {
    let problem = "it is not a camera that gives frames; `lineside devices` shows those that do";
    CameraError::new(CameraErrorKind::NotACamera, name, problem)
}

/// Text that the driver ends with a zero.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_string()
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
        let found = self.list("listing its sizes", |index| {
            let mut size = sys::FrameSize { index, pixel_format, ..Plain::zeroed() };
            sys::ENUM_FRAMESIZES.call(self.device.as_fd(), &mut size).map(|()| (size.kind, size.size))
        })?;
        Ok(found
            .into_iter()
            .map(|(kind, [a, b, c, d, e, f])| match kind {
                sys::DISCRETE => FrameSize::One([a, b]),
                _ => FrameSize::Range { min: [a, d], max: [b, e], step: [c, f] },
            })
            .collect())
    }

    fn rates(&mut self, format: PixelFormat, width: u32, height: u32) -> Result<Rates, CameraError> {
        let pixel_format = self.fourcc_of(format)?;
        let found = self.list("listing its rates", |index| {
            let mut interval = sys::FrameInterval { index, pixel_format, width, height, ..Plain::zeroed() };
            sys::ENUM_FRAMEINTERVALS
                .call(self.device.as_fd(), &mut interval)
                .map(|()| (interval.kind, interval.interval))
        })?;
        let interval = |numerator, denominator| FrameInterval { numerator, denominator };
        match found.first() {
            Some((kind, [a, b, c, d, ..])) if *kind != sys::DISCRETE => {
                Ok(Rates::Range(interval(*a, *b), interval(*c, *d)))
            }
            _ => Ok(Rates::List(found.iter().map(|(_, [a, b, ..])| interval(*a, *b)).collect())),
        }
    }

    fn set_mode(&mut self, mode: &CameraMode) -> Result<NegotiatedMode, CameraError> {
        let pixels = sys::PixelFormat {
            width: mode.width,
            height: mode.height,
            pixel_format: self.fourcc_of(mode.format)?,
            ..Plain::zeroed()
        };
        let mut format = sys::Format { kind: sys::CAPTURE, pixels, ..Plain::zeroed() };
        sys::S_FMT.call(self.device.as_fd(), &mut format).map_err(|error| self.fault("setting its format", &error))?;
        let pixels = format.pixels;
        let agreed = FORMATS.iter().find(|(fourcc, _)| *fourcc == pixels.pixel_format).map(|(_, format)| *format);
        let fps = self.set_interval(mode.interval)?.and_then(FrameInterval::fps);
        let stride = match agreed {
            Some(PixelFormat::Mjpeg) => None,
            _ => Some(pixels.bytes_per_line as usize).filter(|stride| *stride > 0),
        };
        let range = range(agreed, pixels.colorspace, pixels.quantization);
        Ok(NegotiatedMode { format: agreed, range, width: pixels.width, height: pixels.height, stride, fps })
    }

    fn control(&mut self, id: u32) -> Result<Option<ControlRange>, CameraError> {
        let mut query = sys::QueryControl { id, ..Plain::zeroed() };
        match sys::QUERYCTRL.call(self.device.as_fd(), &mut query) {
            Ok(()) if query.flags & (sys::CONTROL_DISABLED | sys::CONTROL_READ_ONLY) == 0 => {
                Ok(Some(ControlRange { min: query.minimum, max: query.maximum }))
            }
            Ok(()) => Ok(None),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOTTY)) => Ok(None),
            Err(error) => Err(self.fault("asking for a control", &error)),
        }
    }

    fn set_control(&mut self, id: u32, value: i32) -> Result<(), CameraError> {
        let mut control = sys::Control { id, value };
        sys::S_CTRL.call(self.device.as_fd(), &mut control).map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL | libc::ERANGE) => CameraError::new(
                CameraErrorKind::BadControl,
                &self.name,
                format_args!("control 0x{id:x} does not take {value}"),
            ),
            _ => self.fault("setting a control", &error),
        })
    }

    fn start(&mut self, buffers: u32) -> Result<(), CameraError> {
        let mut request =
            sys::RequestBuffers { count: buffers, kind: sys::CAPTURE, memory: sys::MMAP, ..Plain::zeroed() };
        let failed = |camera: &Self, error: io::Error| camera.fault("getting buffers", &error);
        sys::REQBUFS.call(self.device.as_fd(), &mut request).map_err(|error| failed(self, error))?;
        for index in 0..request.count {
            let mut buffer = sys::Buffer { index, kind: sys::CAPTURE, memory: sys::MMAP, ..Plain::zeroed() };
            sys::QUERYBUF.call(self.device.as_fd(), &mut buffer).map_err(|error| failed(self, error))?;
            let mapping =
                Mapping::of(&self.device, buffer.offset, buffer.length).map_err(|error| failed(self, error))?;
            self.buffers.push(mapping);
            self.queue(index)?;
        }
        let mut kind = sys::StreamKind { kind: sys::CAPTURE };
        sys::STREAMON.call(self.device.as_fd(), &mut kind).map_err(|error| self.fault("starting it", &error))?;
        self.streaming = true;
        Ok(())
    }

    fn wait(&mut self, time: Duration) -> Result<bool, CameraError> {
        let mut poll = libc::pollfd { fd: self.device.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, which lives on this stack during the call.
        let ready = unsafe { libc::poll(&mut poll, 1, time.as_millis() as libc::c_int) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            // A signal: somebody may want this thread to stop.
            return if error.kind() == io::ErrorKind::Interrupted {
                Ok(false)
            } else {
                Err(self.fault("waiting", &error))
            };
        }
        if poll.revents & libc::POLLIN == 0 && poll.revents != 0 {
            // What is wrong is said when a frame is asked for (ENODEV after unplugging).
            let error = self.dequeue().err().unwrap_or_else(|| io::Error::from_raw_os_error(libc::EIO));
            return Err(self.fault("waiting", &error));
        }
        Ok(ready > 0)
    }

    fn take(&mut self) -> Result<Option<CapturedBuffer>, CameraError> {
        match self.dequeue() {
            Ok(filled) => Ok(Some(filled)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(self.fault("taking a frame", &error)),
        }
    }

    fn bytes(&self, filled: &CapturedBuffer) -> &[u8] {
        let Some(mapping) = self.buffers.get(filled.index as usize) else { return &[] };
        // SAFETY: the kernel gave the buffer, and `give_back`, which takes `filled` away, has not returned it.
        unsafe { mapping.bytes(filled.length) }
    }

    fn give_back(&mut self, filled: CapturedBuffer) -> Result<(), CameraError> {
        self.queue(filled.index)
    }
}

impl V4l2Device {
    fn dequeue(&self) -> io::Result<CapturedBuffer> {
        let mut buffer = sys::Buffer { kind: sys::CAPTURE, memory: sys::MMAP, ..Plain::zeroed() };
        sys::DQBUF.call(self.device.as_fd(), &mut buffer)?;
        let monotonic = buffer.flags & sys::FLAG_TIMESTAMP_MASK == sys::FLAG_TIMESTAMP_MONOTONIC;
        let age = match monotonic {
            true => age_of(buffer.seconds as u64 * 1_000_000_000 + buffer.microseconds as u64 * 1000),
            false => Duration::ZERO,
        };
        let damaged = buffer.flags & sys::FLAG_ERROR != 0;
        Ok(CapturedBuffer { index: buffer.index, length: buffer.bytes_used as usize, age, damaged })
    }

    /// Sets the time between frames, where that can be set; gives what the driver makes of it.
    fn set_interval(&self, interval: Option<FrameInterval>) -> Result<Option<FrameInterval>, CameraError> {
        let Some(FrameInterval { numerator, denominator }) = interval else { return Ok(None) };
        let mut parameters = sys::StreamParameters {
            kind: sys::CAPTURE,
            time_per_frame: sys::Fraction { numerator, denominator },
            ..Plain::zeroed()
        };
        match sys::S_PARM.call(self.device.as_fd(), &mut parameters) {
            Ok(()) if parameters.capability & sys::CAP_TIME_PER_FRAME != 0 => {
                let sys::Fraction { numerator, denominator } = parameters.time_per_frame;
                Ok(Some(FrameInterval { numerator, denominator }))
            }
            // It has the rate that it has.
            Ok(()) => Ok(interval),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOTTY)) => Ok(None),
            Err(error) => Err(self.fault("setting its rate", &error)),
        }
    }
}

impl Drop for V4l2Device {
    fn drop(&mut self) {
        if self.streaming {
            let mut kind = sys::StreamKind { kind: sys::CAPTURE };
            // A camera that is gone cannot be stopped, and need not be. Buffers are unmapped and the descriptor is closed
            // after this, which stops it in any case.
            let _ = sys::STREAMOFF.call(self.device.as_fd(), &mut kind);
        }
    }
}

/// How long ago a time of the monotonic clock was, given in nanoseconds as the kernel stamps frames and edges.
pub(crate) fn age_of(nanoseconds: u64) -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec, which lives on this stack.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    let now = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
    Duration::from_nanos(now.saturating_sub(nanoseconds))
}

/// Which luma is black and white. Where the driver leaves it open: full for JPEG and for sensors that give grey alone,
/// limited for video (`V4L2_MAP_QUANTIZATION_DEFAULT`).
fn range(format: Option<PixelFormat>, colorspace: u32, quantization: u32) -> Range {
    match (quantization, format) {
        (sys::QUANTIZATION_FULL, _) => Range::Full,
        (sys::QUANTIZATION_LIMITED, _) => Range::Limited,
        (_, Some(PixelFormat::Yuyv | PixelFormat::Nv12)) if colorspace != sys::COLORSPACE_JPEG => Range::Limited,
        _ => Range::Full,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_camera_is_told_and_leaves_no_descriptor() {
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let refused = |path: &str| {
            let fault = V4l2Device::open(Path::new(path), path).map(|_| ()).unwrap_err();
            (fault.kind, fault.text)
        };
        let _ = refused("/dev/null");
        let before = open();
        for _ in 0..50 {
            assert_eq!(refused("/dev/null").0, CameraErrorKind::NotACamera);
            assert_eq!(refused("/dev").0, CameraErrorKind::NotACamera);
            assert_eq!(refused("/dev/no-such-camera").0, CameraErrorKind::Missing);
        }
        // Other tests of this process open and close files too.
        assert!(open() < before + 40, "{before} then {}", open());
        assert!(refused("/dev/null").1.starts_with("/dev/null: it is not a camera"), "{:?}", refused("/dev/null"));
    }

    #[test]
    fn video_has_limited_range_and_jpeg_full() {
        assert_eq!(range(Some(PixelFormat::Yuyv), 8, 0), Range::Limited);
        assert_eq!(range(Some(PixelFormat::Yuyv), sys::COLORSPACE_JPEG, 0), Range::Full);
        assert_eq!(range(Some(PixelFormat::Yuyv), 8, sys::QUANTIZATION_FULL), Range::Full);
        assert_eq!(range(Some(PixelFormat::Mjpeg), 8, 0), Range::Full);
        assert_eq!(range(Some(PixelFormat::Grey), 8, 0), Range::Full);
        assert_eq!(range(Some(PixelFormat::Grey), 8, sys::QUANTIZATION_LIMITED), Range::Limited);
    }

    #[test]
    fn an_age_is_counted_by_the_monotonic_clock() {
        let boot = age_of(0);
        std::thread::sleep(Duration::from_millis(2));
        assert!(age_of(0) >= boot + Duration::from_millis(2));
        assert_eq!(age_of(u64::MAX), Duration::ZERO);
    }
}
