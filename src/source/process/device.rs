//! A program as a camera: what [`CameraSource`](crate::source::camera::CameraSource) opens, reads, loses and opens again.

use super::command::ProcessCommand;
use super::exchange::FrameExchange;
use super::reader::StreamReader;
use super::stream_mode::StreamMode;
use crate::source::camera::{
    CameraError, CameraErrorKind, CameraMode, CameraPort, CaptureDevice, CapturedBuffer, ControlRange, FrameSize,
    MAX_PLANES, NegotiatedMode, Patience, Rates,
};
use crate::telemetry::Telemetry;
use lineside_picture::PixelFormat;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A program that can be started.
pub struct ProcessPort {
    name: String,
    command: Arc<ProcessCommand>,
    mode: StreamMode,
    patience: Patience,
    /// The frames' buffers, while no program runs.
    buffers: Buffers,
    telemetry: Telemetry,
}

type Buffers = Arc<Mutex<Vec<Vec<u8>>>>;

impl ProcessPort {
    /// A command whose standard output has frames of a mode; `name` is the user's name of it, for messages.
    pub fn new(
        name: &str,
        command: ProcessCommand,
        mode: StreamMode,
        patience: Patience,
        telemetry: Telemetry,
    ) -> ProcessPort {
        ProcessPort {
            name: name.into(),
            command: Arc::new(command),
            mode,
            patience,
            buffers: Buffers::default(),
            telemetry,
        }
    }

    /// The command.
    pub fn command(&self) -> &ProcessCommand {
        &self.command
    }
}

impl CameraPort for ProcessPort {
    type Device = ProcessDevice;

    fn open(&mut self) -> Result<ProcessDevice, CameraError> {
        let program = &self.command.program;
        let path = self.command.find().ok_or_else(|| {
            let problem = if program.contains('/') {
                format!("{program} is no program that this user may start: correct the path, or chmod +x it")
            } else {
                format!("no program {program} in PATH: install it, or give its path")
            };
            CameraError::new(CameraErrorKind::Missing, &self.name, problem)
        })?;
        Ok(ProcessDevice {
            name: self.name.clone(),
            path,
            command: Arc::clone(&self.command),
            mode: self.mode,
            patience: self.patience,
            buffers: Arc::clone(&self.buffers),
            running: None,
            telemetry: self.telemetry.clone(),
        })
    }

    fn is_present(&self) -> bool {
        self.command.find().is_some()
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

/// A program that runs once it was started.
pub struct ProcessDevice {
    name: String,
    path: PathBuf,
    command: Arc<ProcessCommand>,
    mode: StreamMode,
    patience: Patience,
    buffers: Buffers,
    running: Option<Running>,
    telemetry: Telemetry,
}

struct Running {
    // Dropped first: the thread and the program end before the buffers go back.
    reader: StreamReader,
    exchange: Arc<FrameExchange>,
    /// Frames that were dequeued, by index.
    dequeued: Vec<Option<Vec<u8>>>,
}

impl CaptureDevice for ProcessDevice {
    fn formats(&mut self) -> Result<Vec<PixelFormat>, CameraError> {
        Ok(vec![self.mode.pixel_format()])
    }

    fn sizes(&mut self, _: PixelFormat) -> Result<Vec<FrameSize>, CameraError> {
        Ok(vec![FrameSize::One([self.mode.width, self.mode.height])])
    }

    fn rates(&mut self, _: PixelFormat, _: u32, _: u32) -> Result<Rates, CameraError> {
        Ok(Rates::List(Vec::new()))
    }

    fn set_mode(&mut self, mode: &CameraMode) -> Result<NegotiatedMode, CameraError> {
        let StreamMode { range, fps, .. } = self.mode;
        let CameraMode { format, width, height, .. } = *mode;
        let strides = [None; MAX_PLANES];
        Ok(NegotiatedMode { format: Some(format), range, width, height, strides, fps: Some(fps) })
    }

    fn control(&mut self, _: u32) -> Result<Option<ControlRange>, CameraError> {
        Ok(None)
    }

    fn set_control(&mut self, _: u32, _: i32) -> Result<(), CameraError> {
        Ok(())
    }

    fn start(&mut self, buffers: u32) -> Result<(), CameraError> {
        let mut made = std::mem::take(&mut *self.buffers.lock().unwrap_or_else(PoisonError::into_inner));
        made.resize_with(buffers as usize, Vec::new);
        for buffer in &mut made {
            buffer.clear();
            buffer.reserve_exact(self.mode.frame_bytes());
        }
        let exchange = Arc::new(FrameExchange::new(made));
        let program = (self.path.as_path(), &*self.command);
        let reader = StreamReader::start(&self.name, program, self.mode, Arc::clone(&exchange), &self.telemetry)?;
        self.running = Some(Running { reader, exchange, dequeued: (0..buffers).map(|_| None).collect() });
        Ok(())
    }

    fn wait(&mut self, time: Duration) -> Result<bool, CameraError> {
        let Some(running) = &mut self.running else { return Ok(false) };
        let waited = running.exchange.wait(time)?;
        if !waited {
            running.reader.check();
        }
        Ok(waited)
    }

    fn dequeue(&mut self) -> Result<Option<CapturedBuffer>, CameraError> {
        let Some(running) = &mut self.running else { return Ok(None) };
        let Some(index) = running.dequeued.iter().position(Option::is_none) else { return Ok(None) };
        let Some(frame) = running.exchange.take() else { return Ok(None) };
        let (length, age) = (frame.bytes.len(), Some(frame.at.elapsed()));
        let planes = CapturedBuffer::one_plane(length);
        running.dequeued[index] = Some(frame.bytes);
        Ok(Some(CapturedBuffer { index: index as u32, planes, age, damaged: length == 0 }))
    }

    fn bytes(&self, filled: &CapturedBuffer, plane: usize) -> &[u8] {
        let frame = self.running.as_ref().and_then(|running| running.dequeued[filled.index as usize].as_ref());
        frame.and_then(|bytes| bytes.get(filled.planes[plane].clone())).unwrap_or_default()
    }

    fn requeue(&mut self, filled: CapturedBuffer) -> Result<(), CameraError> {
        let Some(running) = &mut self.running else { return Ok(()) };
        if let Some(buffer) = running.dequeued[filled.index as usize].take() {
            running.exchange.give_back(buffer);
        }
        Ok(())
    }

    fn take_dropped(&mut self) -> u64 {
        self.running.as_ref().map_or(0, |running| running.exchange.take_dropped())
    }

    fn patience(&self) -> Patience {
        self.patience
    }

    fn silence(&self) -> String {
        match self.running.as_ref().map_or(0, |running| running.exchange.begun()) {
            0 => "it sent nothing".into(),
            begun => {
                let StreamMode { width, height, .. } = self.mode;
                let whole = self.mode.frame_bytes();
                format!(
                    "it sent {begun} bytes of a frame that has {whole} with {width}x{height} (set width, height and format to what \
                     it writes), and no whole one"
                )
            }
        }
    }

    fn damage(&self) -> &'static str {
        "no JPEG begins in what it sends: set format to what it writes"
    }
}

impl Drop for ProcessDevice {
    fn drop(&mut self) {
        if let Some(Running { reader, exchange, dequeued }) = self.running.take() {
            drop(reader);
            let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
            buffers.extend(exchange.buffers().into_iter().chain(dequeued.into_iter().flatten()));
        }
    }
}
