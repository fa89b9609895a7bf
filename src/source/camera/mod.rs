//! Frames from a camera (V4L2).
//!
//! ```text
//! request.rs, mapping.rs, v4l2.rs, node.rs
//!                         the driver: its requests, its buffers, the open device, its path; nothing is decided here
//! device.rs               what capture needs of it: the traits `CameraPort` and `CaptureDevice`
//! choose.rs, controls.rs  which mode, which controls
//! mod.rs                  the camera that comes and goes: open, stream, lose, wait, open again
//! freeze.rs, outage.rs    a picture that does not change; how long to wait, and what was told already
//! list.rs                 what `lineside devices` shows
//! ```
//!
//! A camera is at any time either streaming or away. Whatever goes wrong ends in the same way: the device is closed, the
//! fault is told once, and it is opened anew after a while. So there is one way back, and it is walked at every start.

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
#[cfg(test)]
mod tests;
mod v4l2;

pub use choose::{RequestedMode, format_name};
pub use controls::{ControlSetting, keys as control_keys};
pub use device::{CameraPort, CaptureDevice, FrameSize, NegotiatedMode};
pub use error::{CameraError, CameraErrorKind};
pub use list::{CameraInfo, OfferedMode, VideoDevice, video_devices};
pub use node::NodePort;
pub use v4l2::V4l2Device;

use super::{Frame, FrameSource, Next, SourceCondition, SourceState};
use crate::telemetry::{Cause, Telemetry};
use choose::choose;
use device::CapturedBuffer;
use freeze::{FreezeChange, FreezeDetector};
use lineside_picture::{RawFrame, decode_into};
use outage::Outage;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Buffers that the driver fills in turn: one is decoded, one is being filled, two are spare for a slow moment.
pub const BUFFERS: u32 = 4;
/// How long a call may wait.
const PATIENCE: Duration = crate::times::BEAT;
/// Without a whole frame for this long a camera counts as silent (or damaged). Found within 2 s with a call's timeout.
const SILENCE: Duration = crate::times::SILENT_SOURCE;
/// A slow camera may take this many of its intervals.
const INTERVALS: f64 = 3.0;
/// A camera that streamed this long is well again: the next outage waits briefly at first.
const WELL: Duration = Duration::from_secs(5);
/// Damaged frames are told at most this often; all are counted.
const TELL_DAMAGE_EVERY: Duration = Duration::from_secs(10);

/// What a camera is to give.
#[derive(Debug, Clone)]
pub struct CameraOptions {
    /// Size, rate and format.
    pub requested: RequestedMode,
    /// Controls by their keys, set at every opening.
    pub controls: Vec<(String, ControlSetting)>,
    /// A picture that stays bit-identical for this long is told; zero: never.
    pub frozen_after: Duration,
}

/// A camera that may come and go.
pub struct CameraSource<P: CameraPort> {
    port: P,
    options: CameraOptions,
    link: Connection<P::Device>,
    outage: Outage,
    freeze: FreezeDetector,
    number: u64,
    told_damage: Option<Instant>,
    passed_over: u64,
    restarts: u64,
    /// The size that it is asked for now, where that is not its own.
    smaller: Option<(u32, u32)>,
    telemetry: Telemetry,
}

enum Connection<D> {
    Streaming(Streaming<D>),
    Away { until: Instant, seen_absent: bool, fault: Option<CameraError> },
}

struct Streaming<D> {
    device: D,
    negotiated: NegotiatedMode,
    since: Instant,
    /// The last whole frame, or the start.
    last_whole: Instant,
    /// Whether there was one.
    begun: bool,
    /// What was wrong with the last one, where it came since.
    damage: Option<String>,
    /// For how long it may send nothing.
    timeout: Duration,
}

impl<P: CameraPort> CameraSource<P> {
    /// A camera at `port`, opened at the first call of `next`.
    pub fn new(port: P, options: CameraOptions, telemetry: Telemetry) -> Self {
        let now = port.now();
        let freeze = FreezeDetector::new(options.frozen_after);
        CameraSource {
            port,
            options,
            link: Connection::Away { until: now, seen_absent: false, fault: None },
            outage: Outage::default(),
            freeze,
            number: 0,
            told_damage: None,
            passed_over: 0,
            restarts: 0,
            smaller: None,
            telemetry,
        }
    }

    /// Opens it and starts streaming.
    ///
    /// # Errors
    /// The [`CameraError`]. The next call of `next` tries again, unless it is lasting and the caller gives up.
    pub fn start(&mut self) -> Result<(), CameraError> {
        self.link = Connection::Streaming(self.open()?);
        Ok(())
    }

    /// Opens it and waits for a frame: does it work? Returns the negotiated mode.
    ///
    /// # Errors
    /// The [`CameraError`], also where no whole frame comes in time.
    pub fn probe(&mut self) -> Result<NegotiatedMode, CameraError> {
        self.start()?;
        let mut frame = Frame::default();
        loop {
            let next = self.next(&mut frame);
            match (&self.link, next) {
                (Connection::Streaming(streaming), Next::Frame) => return Ok(streaming.negotiated),
                (Connection::Streaming(_), _) => {}
                (Connection::Away { fault: Some(fault), .. }, _) => return Err(fault.clone()),
                (Connection::Away { fault: None, .. }, _) => self.start()?,
            }
        }
    }

    /// Whether it could give frames of another size, too. Looks at its modes only; needs an open camera.
    ///
    /// # Errors
    /// The [`CameraError`], where it could not.
    pub fn offers(&mut self, width: u32, height: u32) -> Result<(), CameraError> {
        let Connection::Streaming(streaming) = &mut self.link else { return Ok(()) };
        let requested = RequestedMode { width, height, ..self.options.requested };
        choose(&mut streaming.device, self.port.name(), &requested).map(|_| ())
    }

    /// The negotiated mode, while it streams.
    pub fn negotiated_mode(&self) -> Option<NegotiatedMode> {
        match &self.link {
            Connection::Streaming(streaming) => Some(streaming.negotiated),
            Connection::Away { .. } => None,
        }
    }

    fn open(&mut self) -> Result<Streaming<P::Device>, CameraError> {
        let name = self.port.name().to_string();
        let mut device = self.port.open()?;
        let mut requested = self.options.requested;
        (requested.width, requested.height) = self.smaller.unwrap_or((requested.width, requested.height));
        let mode = choose(&mut device, &name, &requested)?;
        let negotiated = device.set_mode(&mode)?;
        let same = negotiated.format == Some(mode.format)
            && (negotiated.width, negotiated.height) == (mode.width, mode.height);
        if !same {
            let found = negotiated.format.map_or("another format", format_name);
            let (width, height) = (negotiated.width, negotiated.height);
            let problem = format!(
                "asked for {} {}x{}, it gives {found} {width}x{height}; set width and height to what it has",
                format_name(mode.format),
                mode.width,
                mode.height
            );
            return Err(CameraError::new(CameraErrorKind::NoSuchMode, &name, problem));
        }
        controls::apply(&mut device, &name, &self.options.controls)?;
        device.start(BUFFERS)?;
        let interval = negotiated.fps.map_or(0.0, |fps| INTERVALS / fps);
        // The first frame takes some cameras long: who failed before gets more time, so that it ends.
        let timeout = SILENCE.max(Duration::from_secs_f64(interval.min(3600.0))) * self.outage.tries().clamp(1, 3);
        let now = self.port.now();
        self.freeze.forget();
        Ok(Streaming { device, negotiated, since: now, last_whole: now, begun: false, damage: None, timeout })
    }

    /// Closes the camera, tells why, and sets the time of the next try.
    fn lose(&mut self, fault: CameraError) {
        if fault.kind == CameraErrorKind::NoSuchMode && self.smaller.take().is_some() {
            // Frames of its own size are better than none.
            let record = self.telemetry.record(log::Level::Warn, "camera_not_smaller");
            self.telemetry.log(record.with("reason", fault.text));
            self.reopen();
            return;
        }
        // Assigning drops the device: streaming stops, buffers are unmapped, the descriptor is closed.
        let now = self.port.now();
        let until = now + self.outage.failed(&fault, &self.telemetry);
        let seen_absent = fault.kind == CameraErrorKind::Missing && !self.port.is_present();
        self.link = Connection::Away { until, seen_absent, fault: Some(fault) };
    }

    /// Closes the camera, so that the next call opens it anew, at once.
    fn reopen(&mut self) {
        self.link = Connection::Away { until: self.port.now(), seen_absent: false, fault: None };
    }

    /// Waits out a part of the time until the next try; true once it has come, or the camera has.
    fn is_time(&mut self, timeout: Duration) -> bool {
        let Connection::Away { until, seen_absent, .. } = &mut self.link else { return true };
        let left = until.saturating_duration_since(self.port.now());
        if left.is_zero() {
            return true;
        }
        self.port.sleep(left.min(timeout));
        if self.port.is_present() {
            if std::mem::take(seen_absent) {
                // Plugged in again: no reason to wait any longer.
                self.outage.retry_now();
                return true;
            }
        } else {
            *seen_absent = true;
        }
        self.port.now() >= *until
    }

    /// The newest frame that waits, after at most `timeout`; the older ones go back to the driver.
    fn newest(&mut self, timeout: Duration) -> Option<CapturedBuffer> {
        if !self.is_time(timeout) {
            return None;
        }
        if matches!(self.link, Connection::Away { .. })
            && let Err(fault) = self.start()
        {
            self.lose(fault);
            return None;
        }
        let Connection::Streaming(streaming) = &mut self.link else { return None };
        match drain(&mut streaming.device, timeout) {
            Ok((Some(newest), older)) => {
                self.passed_over += older;
                Some(newest)
            }
            Ok((None, _)) => {
                self.look_for_silence();
                None
            }
            Err(fault) => {
                self.lose(fault);
                None
            }
        }
    }

    fn look_for_silence(&mut self) {
        let Connection::Streaming(streaming) = &self.link else { return };
        let silent_for = self.port.now() - streaming.last_whole;
        if silent_for >= streaming.timeout {
            let seconds = silent_for.as_secs_f64();
            let (kind, problem) = match &streaming.damage {
                Some(damage) => {
                    (CameraErrorKind::Damaged, format!("it sent only damaged frames for {seconds:.1} s: {damage}"))
                }
                None => (CameraErrorKind::Silent, format!("it sent nothing for {seconds:.1} s")),
            };
            self.lose(CameraError::new(kind, self.port.name(), problem));
        }
    }

    /// Decodes a frame from where the driver put it, and gives the buffer back.
    fn decode(&mut self, captured: CapturedBuffer, frame: &mut Frame) -> Next {
        let now = self.port.now();
        let Connection::Streaming(streaming) = &mut self.link else { return Next::Pending };
        self.number += 1;
        frame.name.clear();
        // Writing to a String cannot fail.
        let _ = write!(frame.name, "camera-{:06}", self.number);
        frame.captured = now.checked_sub(captured.age).unwrap_or(now);
        frame.wall = jiff::Timestamp::now() - captured.age;
        let negotiated = streaming.negotiated;
        let decoded = match (negotiated.format, captured.damaged) {
            (Some(format), false) => {
                let bytes = streaming.device.bytes(&captured);
                let (width, height) = (negotiated.width as usize, negotiated.height as usize);
                let raw = RawFrame { format, range: negotiated.range, width, height, stride: negotiated.stride, bytes };
                decode_into(&raw, &mut frame.picture).map_err(|error| error.to_string())
            }
            _ => Err("the driver says that it is damaged".into()),
        };
        let given_back = streaming.device.give_back(captured);
        let next = match decoded {
            Ok(()) => {
                self.whole(frame, now);
                Next::Frame
            }
            Err(reason) => self.damaged(frame, reason, now),
        };
        match given_back {
            Err(fault) => self.lose(fault),
            Ok(()) if next != Next::Frame => self.look_for_silence(),
            Ok(()) => {}
        }
        next
    }

    /// Notes that a frame came.
    fn is_alive(&mut self, now: Instant) {
        let Connection::Streaming(streaming) = &mut self.link else { return };
        streaming.last_whole = now;
        streaming.damage = None;
        if !streaming.begun {
            streaming.begun = true;
            // From now on it has shown how long it takes.
            let interval = streaming.negotiated.fps.map_or(0.0, |fps| INTERVALS / fps);
            streaming.timeout = SILENCE.max(Duration::from_secs_f64(interval.min(3600.0)));
            self.restarts += u64::from(self.outage.is_on());
            self.outage.ended(&self.telemetry);
            log_mode(self.port.name(), &streaming.negotiated, &self.telemetry);
        }
        if now - streaming.since >= WELL {
            self.outage.forget();
        }
    }

    fn whole(&mut self, frame: &Frame, now: Instant) {
        self.is_alive(now);
        match self.freeze.frame(frame.picture.data(), now) {
            FreezeChange::Froze(seconds) => {
                let text = format!("{}: the picture has not changed for {seconds} s", self.port.name());
                self.telemetry.fail(Cause::Frozen, &text);
            }
            FreezeChange::Moves => self.telemetry.resolve(Cause::Frozen),
            FreezeChange::Nothing => {}
        }
    }

    fn damaged(&mut self, frame: &Frame, reason: String, now: Instant) -> Next {
        if let Connection::Streaming(streaming) = &mut self.link {
            streaming.damage = Some(reason.clone());
            if !streaming.begun {
                // Many cameras begin with a few of these; one that goes on so is lost.
                return Next::Pending;
            }
        }
        if self.told_damage.is_some_and(|told| now - told < TELL_DAMAGE_EVERY) {
            return Next::FailedRepeatedly;
        }
        self.told_damage = Some(now);
        Next::Failed { name: frame.name.clone(), reason }
    }
}

/// Waits for a frame and takes all that wait: the newest, and how many older ones went back to the driver.
fn drain(device: &mut impl CaptureDevice, timeout: Duration) -> Result<(Option<CapturedBuffer>, u64), CameraError> {
    let (mut newest, mut older) = (None, 0);
    if device.wait(timeout)? {
        // Not more often than there are buffers: a camera faster than this loop must not hold it.
        for _ in 0..BUFFERS {
            let Some(captured) = device.take()? else { break };
            if let Some(stale) = newest.replace(captured) {
                device.give_back(stale)?;
                older += 1;
            }
        }
    }
    Ok((newest, older))
}

fn log_mode(name: &str, negotiated: &NegotiatedMode, telemetry: &Telemetry) {
    let size = format!("{}x{}", negotiated.width, negotiated.height);
    let format = negotiated.format.map_or("?", format_name);
    let fps = negotiated.fps.map_or_else(|| "unknown".into(), |fps| format!("{fps:.1}"));
    let record = telemetry.info("camera_streams").with("camera", name).with("format", format);
    telemetry.log(record.with("size", size).with("fps", fps));
}

impl<P: CameraPort> FrameSource for CameraSource<P> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        match self.newest(PATIENCE) {
            Some(captured) => self.decode(captured, frame),
            None => Next::Pending,
        }
    }

    fn discard_stale(&mut self) {
        let passed_over = self.passed_over;
        if let Some(captured) = self.newest(Duration::ZERO)
            && let Connection::Streaming(streaming) = &mut self.link
        {
            // Nobody wants these frames, so nobody misses them; but they show that the camera is alive.
            let damaged = captured.damaged;
            match streaming.device.give_back(captured) {
                Ok(()) if damaged => self.look_for_silence(),
                Ok(()) => self.is_alive(self.port.now()),
                Err(fault) => self.lose(fault),
            }
        }
        self.passed_over = passed_over;
    }

    fn resize(&mut self, size: Option<(usize, usize)>) {
        self.smaller = size.map(|(width, height)| (width as u32, height as u32));
        // A camera that is away gets the new size when it comes back.
        if matches!(self.link, Connection::Streaming(_)) {
            self.reopen();
        }
    }

    fn is_live(&self) -> bool {
        true
    }

    fn max_pixels(&self) -> usize {
        self.options.requested.width as usize * self.options.requested.height as usize
    }

    fn frame_size(&self) -> Option<(usize, usize)> {
        Some((self.options.requested.width as usize, self.options.requested.height as usize))
    }

    fn condition(&self) -> SourceCondition {
        let state = match &self.link {
            Connection::Streaming(streaming) if streaming.begun && self.freeze.is_frozen() => SourceState::Frozen,
            Connection::Streaming(streaming) if streaming.begun => SourceState::Flowing,
            _ => SourceState::Away,
        };
        SourceCondition { state, passed_over: self.passed_over, restarts: self.restarts }
    }

    fn describe(&self) -> String {
        let mode = match self.negotiated_mode() {
            Some(negotiated) => {
                let fps = negotiated.fps.map_or_else(|| "an unknown rate".into(), |fps| format!("{fps:.1} fps"));
                let format = negotiated.format.map_or("?", format_name);
                format!("{format} {}x{} at {fps}", negotiated.width, negotiated.height)
            }
            None => "away".into(),
        };
        format!("camera {} ({mode})", self.port.name())
    }
}
