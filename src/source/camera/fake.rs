//! A scripted camera, with a clock that advances only when somebody waits.

use super::device::{
    CameraMode, CameraPort, CaptureDevice, CapturedBuffer, ControlRange, FrameSize, MAX_PLANES, NegotiatedMode, Rates,
};
use super::error::{CameraError, CameraErrorKind};
use lineside_picture::{PixelFormat, Range};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What a camera sends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Content {
    /// A picture that changes.
    Moving,
    /// The same picture for ever.
    Same,
    /// Fewer bytes than a frame has.
    Short,
    /// Marked as damaged by the driver.
    Damaged,
}

/// The world of a test: the clock, and what is plugged in.
pub struct World(Arc<Mutex<Things>>);

pub struct Things {
    pub now: Instant,
    /// Plugged in.
    pub present: bool,
    /// Another program has it.
    pub busy: bool,
    /// Between frames; `None`: it is silent.
    pub period: Option<Duration>,
    pub content: Content,
    pub offers: Vec<(PixelFormat, FrameSize, Rates)>,
    pub lists_sizes: bool,
    /// Number, min, max.
    pub controls: Vec<(u32, i32, i32)>,
    pub controls_set: Vec<(u32, i32)>,
    /// Devices that are open now, and were opened at all.
    pub open: usize,
    pub opened: usize,
    pub opening_times: Vec<Instant>,
    /// Whether frames have time stamps.
    pub stamps: bool,
    /// Frames that found no free buffer.
    pub lost: u64,
    sent: u64,
    due: Instant,
}

impl World {
    /// A camera with YUYV 8x4 at 10 frames a second.
    pub fn new() -> World {
        let now = Instant::now();
        let rates = Rates::List(vec![super::device::FrameInterval { numerator: 1, denominator: 10 }]);
        World(Arc::new(Mutex::new(Things {
            now,
            present: true,
            busy: false,
            period: Some(Duration::from_millis(100)),
            content: Content::Moving,
            offers: vec![(PixelFormat::Yuyv, FrameSize::One([8, 4]), rates)],
            lists_sizes: true,
            controls: Vec::new(),
            controls_set: Vec::new(),
            open: 0,
            opened: 0,
            opening_times: Vec::new(),
            stamps: true,
            lost: 0,
            sent: 0,
            due: now,
        })))
    }

    pub fn lock(&self) -> MutexGuard<'_, Things> {
        self.0.lock().unwrap()
    }

    pub fn port(&self) -> FakePort {
        FakePort(World(Arc::clone(&self.0)))
    }
}

pub struct FakePort(World);

impl CameraPort for FakePort {
    type Device = FakeDevice;

    fn open(&mut self) -> Result<FakeDevice, CameraError> {
        let mut things = self.0.lock();
        let now = things.now;
        things.opening_times.push(now);
        if !things.present {
            return Err(CameraError::new(CameraErrorKind::Missing, "cam", "no such camera"));
        }
        drop(things);
        Ok(FakeDevice::open(&self.0))
    }

    fn is_present(&self) -> bool {
        self.0.lock().present
    }

    fn now(&self) -> Instant {
        self.0.lock().now
    }

    fn sleep(&self, time: Duration) {
        self.0.lock().now += time;
    }

    fn name(&self) -> &str {
        "cam"
    }
}

/// Asserts the rules of buffers: each is requeued once, and none is used that belongs to the driver.
pub struct FakeDevice {
    world: World,
    bytes: Vec<Vec<u8>>,
    queued: VecDeque<u32>,
    captured: VecDeque<CapturedBuffer>,
    captured_at: VecDeque<Instant>,
    taken: HashSet<u32>,
    streaming: bool,
}

impl FakeDevice {
    pub fn open(world: &World) -> FakeDevice {
        let mut things = world.lock();
        things.open += 1;
        things.opened += 1;
        assert_eq!(things.open, 1, "opened twice at once");
        drop(things);
        let world = World(Arc::clone(&world.0));
        let (bytes, queued, captured, captured_at) = (Vec::new(), VecDeque::new(), VecDeque::new(), VecDeque::new());
        FakeDevice { world, bytes, queued, captured, captured_at, taken: HashSet::new(), streaming: false }
    }

    /// Frames that were due until now, each into a free buffer or nowhere.
    fn fill(&mut self) {
        let mut things = self.world.lock();
        while let Some(period) = things.period
            && self.streaming
            && things.due <= things.now
        {
            let captured = things.due;
            things.due += period;
            things.sent += 1;
            let Some(index) = self.queued.pop_front() else {
                things.lost += 1;
                continue;
            };
            let level = if things.content == Content::Same { 7 } else { things.sent as u8 };
            let bytes = &mut self.bytes[index as usize];
            bytes.fill(level);
            let length = if things.content == Content::Short { 5 } else { bytes.len() };
            let damaged = things.content == Content::Damaged;
            self.captured.push_back(CapturedBuffer {
                index,
                planes: CapturedBuffer::one_plane(length),
                age: None,
                damaged,
            });
            self.captured_at.push_back(captured);
        }
    }

    fn gone(&self) -> Result<(), CameraError> {
        match self.world.lock().present {
            true => Ok(()),
            false => Err(CameraError::new(CameraErrorKind::Missing, "cam", "unplugged")),
        }
    }
}

impl Drop for FakeDevice {
    fn drop(&mut self) {
        self.world.lock().open -= 1;
    }
}

impl CaptureDevice for FakeDevice {
    fn formats(&mut self) -> Result<Vec<PixelFormat>, CameraError> {
        Ok(self.world.lock().offers.iter().map(|(format, ..)| *format).collect())
    }

    fn sizes(&mut self, format: PixelFormat) -> Result<Vec<FrameSize>, CameraError> {
        let things = self.world.lock();
        let sizes = things.offers.iter().filter(|offer| offer.0 == format && things.lists_sizes);
        Ok(sizes.map(|(_, size, _)| *size).collect())
    }

    fn rates(&mut self, format: PixelFormat, _: u32, _: u32) -> Result<Rates, CameraError> {
        let things = self.world.lock();
        let rates = things.offers.iter().find(|offer| offer.0 == format).map(|(_, _, rates)| rates.clone());
        Ok(rates.unwrap_or(Rates::List(vec![])))
    }

    fn set_mode(&mut self, mode: &CameraMode) -> Result<NegotiatedMode, CameraError> {
        self.gone()?;
        if self.world.lock().busy {
            return Err(CameraError::new(CameraErrorKind::Busy, "cam", "another program uses it"));
        }
        let fps = mode.interval.and_then(|interval| interval.fps());
        let (width, height) = (mode.width, mode.height);
        let strides = [None; MAX_PLANES];
        Ok(NegotiatedMode { format: Some(mode.format), range: Range::Limited, width, height, strides, fps })
    }

    fn control(&mut self, id: u32) -> Result<Option<ControlRange>, CameraError> {
        let things = self.world.lock();
        let found = things.controls.iter().find(|control| control.0 == id);
        Ok(found.map(|&(_, min, max)| ControlRange { min, max }))
    }

    fn set_control(&mut self, id: u32, value: i32) -> Result<(), CameraError> {
        self.world.lock().controls_set.push((id, value));
        Ok(())
    }

    fn start(&mut self, buffers: u32) -> Result<(), CameraError> {
        self.gone()?;
        self.bytes = vec![vec![0; 8 * 4 * 2]; buffers as usize];
        self.queued = (0..buffers).collect();
        self.streaming = true;
        let mut things = self.world.lock();
        things.due = things.now + things.period.unwrap_or_default();
        Ok(())
    }

    fn wait(&mut self, time: Duration) -> Result<bool, CameraError> {
        self.gone()?;
        self.fill();
        if self.captured.is_empty() {
            let mut things = self.world.lock();
            let due = things.period.map(|_| things.due.saturating_duration_since(things.now));
            things.now += due.filter(|due| *due <= time).unwrap_or(time);
            drop(things);
            self.fill();
        }
        Ok(!self.captured.is_empty())
    }

    fn dequeue(&mut self) -> Result<Option<CapturedBuffer>, CameraError> {
        self.gone()?;
        let mut captured = self.captured.pop_front();
        if let (Some(captured), Some(at)) = (&mut captured, self.captured_at.pop_front()) {
            let things = self.world.lock();
            captured.age = things.stamps.then(|| things.now - at);
            assert!(self.taken.insert(captured.index), "buffer {} was taken twice", captured.index);
        }
        Ok(captured)
    }

    fn bytes(&self, captured: &CapturedBuffer, plane: usize) -> &[u8] {
        assert!(self.taken.contains(&captured.index), "buffer {} is the driver's", captured.index);
        &self.bytes[captured.index as usize][captured.planes[plane].clone()]
    }

    fn requeue(&mut self, captured: CapturedBuffer) -> Result<(), CameraError> {
        assert!(self.taken.remove(&captured.index), "buffer {} was requeued twice", captured.index);
        self.gone()?;
        self.queued.push_back(captured.index);
        Ok(())
    }
}
