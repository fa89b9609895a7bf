//! A camera that may come and go.

use super::choose::{RequestedMode, choose, format_name};
use super::controls;
use super::device::{CameraPort, CaptureDevice, CapturedBuffer, MAX_PLANES, NegotiatedMode};
use super::error::{CameraError, CameraErrorKind};
use super::freeze::{FreezeChange, FreezeDetector};
use super::outage::Outage;
use super::settings::{ControlSet, ProductControls};
use crate::source::{Frame, FrameSource, Next, SourceCondition, SourceState};
use crate::telemetry::{Cause, Telemetry};
use lineside_picture::{RawFrame, RawPlane, decode_into};
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;

#[path = "since.rs"]
mod since;

/// Buffers that the driver fills in turn: one is decoded, one is being filled, two are spare for a slow moment.
pub const BUFFERS: u32 = 4;
/// How long one call may wait for a frame.
const CALL_TIMEOUT: Duration = crate::times::BEAT;
/// A slow camera may take this many of its frame intervals.
const INTERVALS: f64 = 3.0;
/// A camera that has streamed for this long has recovered: the waits of the next outage start short again.
const STABLE_AFTER: Duration = Duration::from_secs(5);
/// Damaged frames are reported at most this often; all are counted.
const DAMAGE_REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// What is asked of a camera.
pub struct CameraOptions {
    /// Size, rate and format.
    pub requested: RequestedMode,
    /// Controls by their keys, set at every opening.
    pub controls: ControlSet,
    /// In place of them, where products have controls of their own.
    pub by_product: Option<Arc<ProductControls>>,
    /// A picture that stays bit-identical for this long is reported; zero: never.
    pub frozen_after: Duration,
}

/// The frames of a camera that may come and go.
pub struct CameraSource<P: CameraPort> {
    port: P,
    options: CameraOptions,
    connection: Connection<P::Device>,
    outage: Outage,
    freeze: FreezeDetector,
    number: u64,
    damage_reported: Option<Instant>,
    passed_over: u64,
    restarts: u64,
    /// The smaller size that is requested at present, if any.
    smaller: Option<(u32, u32)>,
    telemetry: Telemetry,
}

/// A dequeued frame, and when it was captured, where the driver has time stamps.
struct DatedBuffer {
    buffer: CapturedBuffer,
    at: Option<Instant>,
}

/// Whether the camera streams.
enum Connection<D> {
    Streaming(Streaming<D>),
    Away { until: Instant, seen_absent: bool, error: Option<CameraError> },
}

struct Streaming<D> {
    device: D,
    /// A frame that was dequeued and may be wanted yet.
    held: Option<DatedBuffer>,
    negotiated: NegotiatedMode,
    since: Instant,
    /// When the last good frame came, or when streaming started.
    last_good: Instant,
    /// Whether a good frame has come.
    has_delivered: bool,
    /// What is wrong with the frames since the last good one.
    damage: Option<String>,
    /// For how long it may deliver nothing.
    timeout: Duration,
}

impl<P: CameraPort> CameraSource<P> {
    /// A camera at `port`, opened by the first call of `next`.
    pub fn new(port: P, options: CameraOptions, telemetry: Telemetry) -> Self {
        let now = port.now();
        let freeze = FreezeDetector::new(options.frozen_after);
        CameraSource {
            port,
            options,
            connection: Connection::Away { until: now, seen_absent: false, error: None },
            outage: Outage::default(),
            freeze,
            number: 0,
            damage_reported: None,
            passed_over: 0,
            restarts: 0,
            smaller: None,
            telemetry,
        }
    }

    /// Opens it and starts streaming.
    ///
    /// # Errors
    /// [`CameraError`]. The next call of `next` tries again; a caller may give up on a permanent error.
    pub fn start(&mut self) -> Result<(), CameraError> {
        self.connection = Connection::Streaming(self.open()?);
        Ok(())
    }

    /// Opens the camera and waits for a frame. Returns the negotiated mode.
    ///
    /// # Errors
    /// [`CameraError`], also where no good frame comes in time.
    pub fn probe(&mut self) -> Result<NegotiatedMode, CameraError> {
        self.start()?;
        let mut frame = Frame::default();
        loop {
            let next = self.next(&mut frame);
            match (&self.connection, next) {
                (Connection::Streaming(streaming), Next::Frame) => return Ok(streaming.negotiated),
                (Connection::Streaming(_), _) => {}
                (Connection::Away { error: Some(error), .. }, _) => return Err(error.clone()),
                (Connection::Away { error: None, .. }, _) => self.start()?,
            }
        }
    }

    /// Checks that the camera offers frames of another size. Reads its list of modes only; a camera that is away passes.
    ///
    /// # Errors
    /// [`CameraError`] where it does not.
    pub fn check_size(&mut self, width: u32, height: u32) -> Result<(), CameraError> {
        let Connection::Streaming(streaming) = &mut self.connection else { return Ok(()) };
        let requested = RequestedMode { width, height, ..self.options.requested };
        choose(&mut streaming.device, self.port.name(), &requested).map(|_| ())
    }

    /// The negotiated mode, while it streams.
    pub fn negotiated_mode(&self) -> Option<NegotiatedMode> {
        match &self.connection {
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
                "asked for {} {}x{}, it delivers {found} {width}x{height}; set width and height to what it has",
                format_name(mode.format),
                mode.width,
                mode.height
            );
            return Err(CameraError::new(CameraErrorKind::NoSuchMode, &name, problem));
        }
        match &self.options.by_product {
            None => controls::apply(&mut device, &name, &self.options.controls)?,
            Some(products) => {
                // A product that the camera cannot do is known before it is chosen.
                products.sets().iter().try_for_each(|set| controls::check(&mut device, &name, set))?;
                let first = products.first();
                products.begin();
                controls::apply(&mut device, &name, &products.sets()[first])?;
                products.done(first, self.port.now(), false);
            }
        }
        device.start(BUFFERS)?;
        // Some cameras need long for the first frame: after failed tries they get more time, so that one succeeds.
        let patience = device.patience();
        let timeout = (timeout(patience.next, &negotiated) * self.outage.tries().clamp(1, 3)).max(patience.first);
        let now = self.port.now();
        self.freeze.reset();
        Ok(Streaming {
            device,
            held: None,
            negotiated,
            since: now,
            last_good: now,
            has_delivered: false,
            damage: None,
            timeout,
        })
    }

    /// Closes the camera, reports the error, and sets the time of the next try.
    fn disconnect(&mut self, error: CameraError) {
        if error.kind == CameraErrorKind::NoSuchMode && self.smaller.take().is_some() {
            // Frames of the full size are better than none.
            let record = self.telemetry.record(log::Level::Warn, "camera_not_smaller");
            self.telemetry.log(record.with("reason", error.text));
            self.reopen();
            return;
        }
        // Assigning drops the device: streaming stops, buffers are unmapped, the descriptor is closed.
        let now = self.port.now();
        let until = now + self.outage.failed(&error, &self.telemetry);
        let seen_absent = error.kind == CameraErrorKind::Missing && !self.port.is_present();
        self.connection = Connection::Away { until, seen_absent, error: Some(error) };
    }

    /// Closes the camera, so that the next call opens it again without waiting.
    fn reopen(&mut self) {
        self.connection = Connection::Away { until: self.port.now(), seen_absent: false, error: None };
    }

    /// Waits for the next try, at most `timeout`; true once it is due, or once the camera is plugged in again.
    fn retry_is_due(&mut self, timeout: Duration) -> bool {
        let Connection::Away { until, seen_absent, .. } = &mut self.connection else { return true };
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

    /// Whether it streams; opens it where that is due, after at most `timeout`.
    fn streams(&mut self, timeout: Duration) -> bool {
        if !self.retry_is_due(timeout) {
            return false;
        }
        if matches!(self.connection, Connection::Away { .. })
            && let Err(error) = self.start()
        {
            self.disconnect(error);
            return false;
        }
        true
    }

    /// The newest captured frame, after at most `timeout`; older ones are requeued and counted.
    fn newest_buffer(&mut self, timeout: Duration) -> Option<DatedBuffer> {
        if !self.streams(timeout) || !self.follow_product() {
            return None;
        }
        let now = || self.port.now();
        let Connection::Streaming(streaming) = &mut self.connection else { return None };
        match dequeue_newest(&mut streaming.device, streaming.held.take(), timeout, now) {
            Ok((Some(newest), older)) => {
                self.passed_over += older + streaming.device.take_dropped();
                Some(newest)
            }
            Ok((None, _)) => {
                self.check_silence();
                None
            }
            Err(error) => {
                self.disconnect(error);
                None
            }
        }
    }

    /// Gives the camera the controls of the product that is wanted; returns whether it has them.
    fn follow_product(&mut self) -> bool {
        let (Some(products), Connection::Streaming(streaming)) = (&self.options.by_product, &mut self.connection)
        else {
            return true;
        };
        let Some(set) = products.missing() else { return true };
        products.begin();
        match controls::apply(&mut streaming.device, self.port.name(), &products.sets()[set]) {
            Ok(()) => products.done(set, self.port.now(), true),
            Err(error) => {
                self.disconnect(error);
                return false;
            }
        }
        true
    }

    fn check_silence(&mut self) {
        let Connection::Streaming(streaming) = &self.connection else { return };
        let silent_for = self.port.now() - streaming.last_good;
        if silent_for >= streaming.timeout {
            let seconds = silent_for.as_secs_f64();
            let (kind, problem) = match &streaming.damage {
                Some(damage) => {
                    (CameraErrorKind::Damaged, format!("it sent only damaged frames for {seconds:.1} s: {damage}"))
                }
                None => (CameraErrorKind::Silent, format!("{} for {seconds:.1} s", streaming.device.silence())),
            };
            self.disconnect(CameraError::new(kind, self.port.name(), problem));
        }
    }

    /// Decodes a frame from the driver's memory, and requeues the buffer.
    fn decode(&mut self, captured: DatedBuffer, frame: &mut Frame) -> Next {
        let DatedBuffer { buffer: captured, at } = captured;
        let now = self.port.now();
        let Connection::Streaming(streaming) = &mut self.connection else { return Next::Pending };
        self.number += 1;
        frame.name.clear();
        // Writing to a String cannot fail.
        let _ = write!(frame.name, "camera-{:06}", self.number);
        frame.captured = at.unwrap_or(now);
        frame.wall = jiff::Timestamp::now() - now.saturating_duration_since(frame.captured);
        let negotiated = streaming.negotiated;
        let decoded = match (negotiated.format, captured.damaged) {
            (Some(format), false) => {
                let planes: [RawPlane; MAX_PLANES] = std::array::from_fn(|plane| RawPlane {
                    stride: negotiated.strides[plane],
                    bytes: streaming.device.bytes(&captured, plane),
                });
                let [RawPlane { stride, bytes }, ..] = planes;
                let (width, height) = (negotiated.width as usize, negotiated.height as usize);
                let apart = &planes[1..];
                let raw = RawFrame { format, range: negotiated.range, width, height, stride, bytes, apart };
                decode_into(&raw, &mut frame.picture).map_err(|error| error.to_string())
            }
            _ => Err(streaming.device.damage().into()),
        };
        let requeued = streaming.device.requeue(captured);
        let next = match decoded {
            Ok(()) => {
                self.frame_decoded(frame, now);
                Next::Frame
            }
            Err(reason) => self.frame_damaged(frame, reason, now),
        };
        match requeued {
            Err(error) => self.disconnect(error),
            Ok(()) if next != Next::Frame => self.check_silence(),
            Ok(()) => {}
        }
        next
    }

    /// Notes that a good frame came.
    fn mark_alive(&mut self, now: Instant) {
        let Connection::Streaming(streaming) = &mut self.connection else { return };
        streaming.last_good = now;
        streaming.damage = None;
        if !streaming.has_delivered {
            streaming.has_delivered = true;
            // From now on its rate is known to be real.
            streaming.timeout = timeout(streaming.device.patience().next, &streaming.negotiated);
            self.restarts += u64::from(self.outage.is_active());
            self.outage.ended(&self.telemetry);
            log_mode(self.port.name(), &streaming.negotiated, &self.telemetry);
        }
        if now - streaming.since >= STABLE_AFTER {
            self.outage.recovered();
        }
    }

    fn frame_decoded(&mut self, frame: &Frame, now: Instant) {
        self.mark_alive(now);
        match self.freeze.frame(frame.picture.data(), now) {
            FreezeChange::Froze(seconds) => {
                let text = format!("{}: the picture has not changed for {seconds} s", self.port.name());
                self.telemetry.fail(Cause::Frozen, &text);
            }
            FreezeChange::Resumed => self.telemetry.resolve(Cause::Frozen),
            FreezeChange::None => {}
        }
    }

    fn frame_damaged(&mut self, frame: &Frame, reason: String, now: Instant) -> Next {
        if let Connection::Streaming(streaming) = &mut self.connection {
            streaming.damage = Some(reason.clone());
            if !streaming.has_delivered {
                // Many cameras start with a few of these. One that sends nothing else is closed as damaged.
                return Next::Pending;
            }
        }
        if self.damage_reported.is_some_and(|reported| now - reported < DAMAGE_REPORT_INTERVAL) {
            return Next::FailedRepeatedly;
        }
        self.damage_reported = Some(now);
        Next::Failed { name: frame.name.clone(), reason }
    }
}

impl DatedBuffer {
    /// A frame that was dequeued now.
    fn new(buffer: CapturedBuffer, now: Instant) -> DatedBuffer {
        let at = buffer.age.map(|age| now.checked_sub(age).unwrap_or(now));
        DatedBuffer { buffer, at }
    }
}

/// Waits for a frame and dequeues all that are ready. Returns the newest, and how many older ones were requeued.
fn dequeue_newest(
    device: &mut impl CaptureDevice,
    held: Option<DatedBuffer>,
    timeout: Duration,
    now: impl Fn() -> Instant,
) -> Result<(Option<DatedBuffer>, u64), CameraError> {
    let timeout = if held.is_some() { Duration::ZERO } else { timeout };
    let (mut newest, mut older) = (held, 0);
    if device.wait(timeout)? {
        // Not more often than there are buffers: a camera that is faster than this loop must not keep it busy.
        for _ in 0..BUFFERS {
            let Some(captured) = device.dequeue()? else { break };
            if let Some(stale) = newest.replace(DatedBuffer::new(captured, now())) {
                device.requeue(stale.buffer)?;
                older += 1;
            }
        }
    }
    Ok((newest, older))
}

/// For how long a camera may deliver no whole frame: then it counts as silent, or as damaged. With [`CALL_TIMEOUT`] that is
/// noticed within 2 s, unless it is slow or has more patience.
fn timeout(patience: Duration, negotiated: &NegotiatedMode) -> Duration {
    let interval = negotiated.fps.map_or(0.0, |fps| INTERVALS / fps);
    patience.max(Duration::from_secs_f64(interval.min(3600.0)))
}

fn log_mode(name: &str, negotiated: &NegotiatedMode, telemetry: &Telemetry) {
    let size = format!("{}x{}", negotiated.width, negotiated.height);
    let format = negotiated.format.map_or("?", format_name);
    let fps = negotiated.fps.map_or_else(|| "unknown".into(), |fps| format!("{fps:.1}"));
    // Of several cameras each record has the name of one: this is what that one is.
    let key = if telemetry.camera().is_some() { "device" } else { "camera" };
    let record = telemetry.info("camera_streams").with(key, name).with("format", format);
    telemetry.log(record.with("size", size).with("fps", fps));
}

impl<P: CameraPort> FrameSource for CameraSource<P> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        match self.newest_buffer(CALL_TIMEOUT) {
            Some(captured) => self.decode(captured, frame),
            None => Next::Pending,
        }
    }

    fn discard_stale(&mut self) {
        let passed_over = self.passed_over;
        if let Some(captured) = self.newest_buffer(Duration::ZERO) {
            // Frames that are not wanted do not count as passed over.
            self.requeue_unwanted(captured);
        }
        self.passed_over = passed_over;
    }

    fn next_since(&mut self, frame: &mut Frame, since: Instant) -> Next {
        self.oldest_since(frame, since)
    }

    fn discard_before(&mut self, before: Instant) {
        self.requeue_before(before);
    }

    fn resize(&mut self, size: Option<(usize, usize)>) {
        self.smaller = size.map(|(width, height)| (width as u32, height as u32));
        // A camera that is away gets the new size when it comes back.
        if matches!(self.connection, Connection::Streaming(_)) {
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
        let state = match &self.connection {
            Connection::Streaming(streaming) if streaming.has_delivered && self.freeze.is_frozen() => {
                SourceState::Frozen
            }
            Connection::Streaming(streaming) if streaming.has_delivered => SourceState::Flowing,
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
