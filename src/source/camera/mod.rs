//! Frames from a camera (V4L2).
//!
//! ```text
//! videodev2.rs, mapping.rs, v4l2.rs, node.rs
//!                         the driver: its interface, its buffers, the open device, the place; nothing is decided here
//! device.rs               what capture needs of it: the traits `Port` and `Device`
//! choose.rs, controls.rs  which mode, which controls
//! mod.rs                  the camera that comes and goes: open, stream, lose, wait, open again
//! repeat.rs, outage.rs    a picture that does not change; how long to wait, and what was told already
//! list.rs                 what `lineside devices` shows
//! ```
//!
//! A camera is at any time either streaming or away. Whatever goes wrong ends in the same way: the device is closed, the
//! fault is told once, and it is opened anew after a while. So there is one way back, and it is walked at every start.

mod choose;
mod controls;
mod device;
#[cfg(test)]
mod fake;
mod fault;
mod list;
mod mapping;
mod node;
mod outage;
mod repeat;
#[cfg(test)]
mod tests;
mod v4l2;
mod videodev2;

pub use choose::{Wish, format_name};
pub use controls::{Setting, keys as control_keys};
pub use device::{Agreed, Device, Port, Size};
pub use fault::{Fault, Kind};
pub use list::{About, Found, Offer, found};
pub use node::NodePort;
pub use v4l2::V4l2;
pub(crate) use v4l2::age_of;

use super::{Condition, Frame, FrameSource, Next, State};
use crate::telemetry::fault::{self as faults, Cause};
use choose::choose;
use device::Filled;
use lineside_picture::{RawFrame, decode_into};
use outage::Outage;
use repeat::Repeat;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Buffers that the driver fills in turn: one is decoded, one is being filled, two are spare for a slow moment.
pub const BUFFERS: u32 = 4;
/// How long a call may wait.
const PATIENCE: Duration = crate::times::BEAT;
/// Without a whole frame for this long a camera counts as silent (or damaged). Found within 2 s with a call's patience.
const SILENCE: Duration = crate::times::SILENT_SOURCE;
/// A slow camera may take this many of its intervals.
const INTERVALS: f64 = 3.0;
/// A camera that streamed this long is well again: the next outage waits briefly at first.
const WELL: Duration = Duration::from_secs(5);
/// Damaged frames are told at most this often; all are counted.
const TELL_DAMAGE_EVERY: Duration = Duration::from_secs(10);

/// What a camera is to give.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Size, rate and format.
    pub wish: Wish,
    /// Controls by their keys, set at every opening.
    pub controls: Vec<(String, Setting)>,
    /// A picture that stays bit-identical for this long is told; zero: never.
    pub frozen_after: Duration,
}

/// A camera that may come and go.
pub struct Camera<P: Port> {
    port: P,
    terms: Terms,
    link: Link<P::Device>,
    outage: Outage,
    repeat: Repeat,
    number: u64,
    told_damage: Option<Instant>,
    passed_over: u64,
    restarts: u64,
    /// The size that it is asked for now, where that is not its own.
    smaller: Option<(u32, u32)>,
}

enum Link<D> {
    Streaming(Streaming<D>),
    Away { until: Instant, seen_absent: bool, fault: Option<Fault> },
}

struct Streaming<D> {
    device: D,
    agreed: Agreed,
    since: Instant,
    /// The last whole frame, or the start.
    last_whole: Instant,
    /// Whether there was one.
    begun: bool,
    /// What was wrong with the last one, where it came since.
    damage: Option<String>,
    /// For how long it may send nothing.
    patience: Duration,
}

impl<P: Port> Camera<P> {
    /// A camera at `port`, opened at the first call of `next`.
    pub fn new(port: P, terms: Terms) -> Self {
        let now = port.now();
        let repeat = Repeat::new(terms.frozen_after);
        Camera {
            port,
            terms,
            link: Link::Away { until: now, seen_absent: false, fault: None },
            outage: Outage::default(),
            repeat,
            number: 0,
            told_damage: None,
            passed_over: 0,
            restarts: 0,
            smaller: None,
        }
    }

    /// Opens it and starts streaming.
    ///
    /// # Errors
    /// The [`Fault`]. The next call of `next` tries again, unless it is lasting and the caller gives up.
    pub fn start(&mut self) -> Result<(), Fault> {
        self.link = Link::Streaming(self.open()?);
        Ok(())
    }

    /// Opens it and waits for a frame: does it work? Gives what it agreed to.
    ///
    /// # Errors
    /// The [`Fault`], also where no whole frame comes in time.
    pub fn prove(&mut self) -> Result<Agreed, Fault> {
        self.start()?;
        let mut frame = Frame::default();
        loop {
            let next = self.next(&mut frame);
            match (&self.link, next) {
                (Link::Streaming(streaming), Next::Frame) => return Ok(streaming.agreed),
                (Link::Streaming(_), _) => {}
                (Link::Away { fault: Some(fault), .. }, _) => return Err(fault.clone()),
                (Link::Away { fault: None, .. }, _) => self.start()?,
            }
        }
    }

    /// Whether it could give frames of another size, too. Looks at its modes only; needs an open camera.
    ///
    /// # Errors
    /// The [`Fault`], where it could not.
    pub fn offers(&mut self, width: u32, height: u32) -> Result<(), Fault> {
        let Link::Streaming(streaming) = &mut self.link else { return Ok(()) };
        let wish = Wish { width, height, ..self.terms.wish };
        choose(&mut streaming.device, self.port.name(), &wish).map(|_| ())
    }

    /// What the camera agreed to, where it streams.
    pub fn agreed(&self) -> Option<Agreed> {
        match &self.link {
            Link::Streaming(streaming) => Some(streaming.agreed),
            Link::Away { .. } => None,
        }
    }

    fn open(&mut self) -> Result<Streaming<P::Device>, Fault> {
        let name = self.port.name().to_string();
        let mut device = self.port.open()?;
        let mut wish = self.terms.wish;
        (wish.width, wish.height) = self.smaller.unwrap_or((wish.width, wish.height));
        let mode = choose(&mut device, &name, &wish)?;
        let agreed = device.set_mode(&mode)?;
        let same = agreed.format == Some(mode.format) && (agreed.width, agreed.height) == (mode.width, mode.height);
        if !same {
            let found = agreed.format.map_or("another format", format_name);
            let (width, height) = (agreed.width, agreed.height);
            let problem = format!(
                "asked for {} {}x{}, it gives {found} {width}x{height}; set width and height to what it has",
                format_name(mode.format),
                mode.width,
                mode.height
            );
            return Err(Fault::new(Kind::NoSuchMode, &name, problem));
        }
        controls::apply(&mut device, &name, &self.terms.controls)?;
        device.start(BUFFERS)?;
        let interval = agreed.fps.map_or(0.0, |fps| INTERVALS / fps);
        // The first frame takes some cameras long: who failed before gets more time, so that it ends.
        let patience = SILENCE.max(Duration::from_secs_f64(interval.min(3600.0))) * self.outage.tries().clamp(1, 3);
        let now = self.port.now();
        self.repeat.forget();
        Ok(Streaming { device, agreed, since: now, last_whole: now, begun: false, damage: None, patience })
    }

    /// Closes the camera, tells why, and sets the time of the next try.
    fn lose(&mut self, fault: Fault) {
        if fault.kind == Kind::NoSuchMode && self.smaller.take().is_some() {
            // Frames of its own size are better than none.
            log::warn!(reason = fault.text.as_str(); "camera_not_smaller");
            self.reopen();
            return;
        }
        // Assigning drops the device: streaming stops, buffers are unmapped, the descriptor is closed.
        let now = self.port.now();
        let until = now + self.outage.failed(&fault);
        let seen_absent = fault.kind == Kind::Missing && !self.port.is_present();
        self.link = Link::Away { until, seen_absent, fault: Some(fault) };
    }

    /// Closes the camera, so that the next call opens it anew, at once.
    fn reopen(&mut self) {
        self.link = Link::Away { until: self.port.now(), seen_absent: false, fault: None };
    }

    /// Waits out a part of the time until the next try; true once it has come, or the camera has.
    fn is_time(&mut self, patience: Duration) -> bool {
        let Link::Away { until, seen_absent, .. } = &mut self.link else { return true };
        let left = until.saturating_duration_since(self.port.now());
        if left.is_zero() {
            return true;
        }
        self.port.sleep(left.min(patience));
        if self.port.is_present() {
            if std::mem::take(seen_absent) {
                // Plugged in again: no reason to wait any longer.
                self.outage.hasten();
                return true;
            }
        } else {
            *seen_absent = true;
        }
        self.port.now() >= *until
    }

    /// The newest frame that waits, after at most `patience`; the older ones go back to the driver.
    fn newest(&mut self, patience: Duration) -> Option<Filled> {
        if !self.is_time(patience) {
            return None;
        }
        if matches!(self.link, Link::Away { .. })
            && let Err(fault) = self.start()
        {
            self.lose(fault);
            return None;
        }
        let Link::Streaming(streaming) = &mut self.link else { return None };
        match drain(&mut streaming.device, patience) {
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
        let Link::Streaming(streaming) = &self.link else { return };
        let silent_for = self.port.now() - streaming.last_whole;
        if silent_for >= streaming.patience {
            let seconds = silent_for.as_secs_f64();
            let (kind, problem) = match &streaming.damage {
                Some(damage) => (Kind::Damaged, format!("it sent only damaged frames for {seconds:.1} s: {damage}")),
                None => (Kind::Silent, format!("it sent nothing for {seconds:.1} s")),
            };
            self.lose(Fault::new(kind, self.port.name(), problem));
        }
    }

    /// Decodes a frame from where the driver put it, and gives the buffer back.
    fn decode(&mut self, filled: Filled, frame: &mut Frame) -> Next {
        let now = self.port.now();
        let Link::Streaming(streaming) = &mut self.link else { return Next::NotYet };
        self.number += 1;
        frame.name.clear();
        // Writing to a String cannot fail.
        let _ = write!(frame.name, "camera-{:06}", self.number);
        frame.captured = now.checked_sub(filled.age).unwrap_or(now);
        frame.wall = jiff::Timestamp::now() - filled.age;
        let agreed = streaming.agreed;
        let decoded = match (agreed.format, filled.damaged) {
            (Some(format), false) => {
                let bytes = streaming.device.bytes(&filled);
                let (width, height) = (agreed.width as usize, agreed.height as usize);
                let raw = RawFrame { format, range: agreed.range, width, height, stride: agreed.stride, bytes };
                decode_into(&raw, &mut frame.picture).map_err(|error| error.to_string())
            }
            _ => Err("the driver says that it is damaged".into()),
        };
        let given_back = streaming.device.give_back(filled);
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
        let Link::Streaming(streaming) = &mut self.link else { return };
        streaming.last_whole = now;
        streaming.damage = None;
        if !streaming.begun {
            streaming.begun = true;
            // From now on it has shown how long it takes.
            let interval = streaming.agreed.fps.map_or(0.0, |fps| INTERVALS / fps);
            streaming.patience = SILENCE.max(Duration::from_secs_f64(interval.min(3600.0)));
            self.restarts += u64::from(self.outage.is_on());
            self.outage.ended();
            tell_mode(self.port.name(), &streaming.agreed);
        }
        if now - streaming.since >= WELL {
            self.outage.forget();
        }
    }

    fn whole(&mut self, frame: &Frame, now: Instant) {
        self.is_alive(now);
        match self.repeat.frame(frame.picture.data(), now) {
            repeat::Told::Froze(seconds) => {
                let text = format!("{}: the picture has not changed for {seconds} s", self.port.name());
                faults::failed(Cause::Frozen, &text);
            }
            repeat::Told::Moves => faults::well(Cause::Frozen),
            repeat::Told::Nothing => {}
        }
    }

    fn damaged(&mut self, frame: &Frame, reason: String, now: Instant) -> Next {
        if let Link::Streaming(streaming) = &mut self.link {
            streaming.damage = Some(reason.clone());
            if !streaming.begun {
                // Many cameras begin with a few of these; one that goes on so is lost.
                return Next::NotYet;
            }
        }
        if self.told_damage.is_some_and(|told| now - told < TELL_DAMAGE_EVERY) {
            return Next::FailedAgain;
        }
        self.told_damage = Some(now);
        Next::Failed { name: frame.name.clone(), reason }
    }
}

/// Waits for a frame and takes all that wait: the newest, and how many older ones went back to the driver.
fn drain(device: &mut impl Device, patience: Duration) -> Result<(Option<Filled>, u64), Fault> {
    let (mut newest, mut older) = (None, 0);
    if device.wait(patience)? {
        // Not more often than there are buffers: a camera faster than this loop must not hold it.
        for _ in 0..BUFFERS {
            let Some(filled) = device.take()? else { break };
            if let Some(stale) = newest.replace(filled) {
                device.give_back(stale)?;
                older += 1;
            }
        }
    }
    Ok((newest, older))
}

fn tell_mode(name: &str, agreed: &Agreed) {
    let size = format!("{}x{}", agreed.width, agreed.height);
    let format = agreed.format.map_or("?", format_name);
    let fps = agreed.fps.map_or_else(|| "unknown".into(), |fps| format!("{fps:.1}"));
    log::info!(camera = name, format = format, size = size.as_str(), fps = fps.as_str(); "camera_streams");
}

impl<P: Port> FrameSource for Camera<P> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        match self.newest(PATIENCE) {
            Some(filled) => self.decode(filled, frame),
            None => Next::NotYet,
        }
    }

    fn pass_time(&mut self) {
        let passed_over = self.passed_over;
        if let Some(filled) = self.newest(Duration::ZERO)
            && let Link::Streaming(streaming) = &mut self.link
        {
            // Nobody wants these frames, so nobody misses them; but they show that the camera is alive.
            let damaged = filled.damaged;
            match streaming.device.give_back(filled) {
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
        if matches!(self.link, Link::Streaming(_)) {
            self.reopen();
        }
    }

    fn is_live(&self) -> bool {
        true
    }

    fn max_pixels(&self) -> usize {
        self.terms.wish.width as usize * self.terms.wish.height as usize
    }

    fn frame_size(&self) -> Option<(usize, usize)> {
        Some((self.terms.wish.width as usize, self.terms.wish.height as usize))
    }

    fn condition(&self) -> Condition {
        let state = match &self.link {
            Link::Streaming(streaming) if streaming.begun && self.repeat.is_frozen() => State::Frozen,
            Link::Streaming(streaming) if streaming.begun => State::Flowing,
            _ => State::Away,
        };
        Condition { state, passed_over: self.passed_over, restarts: self.restarts }
    }

    fn describe(&self) -> String {
        let mode = match self.agreed() {
            Some(agreed) => {
                let fps = agreed.fps.map_or_else(|| "an unknown rate".into(), |fps| format!("{fps:.1} fps"));
                let format = agreed.format.map_or("?", format_name);
                format!("{format} {}x{} at {fps}", agreed.width, agreed.height)
            }
            None => "away".into(),
        };
        format!("camera {} ({mode})", self.port.name())
    }
}
