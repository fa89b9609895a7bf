//! The capture thread: frames from the source into the slot.

use super::counts::Fate;
use super::message::{Message, ToWriter};
use super::{LoadShedding, NewestFrame, Progress, Pulse, Shutdown, WatchedThread};
use crate::memory::seal_this_thread;
use crate::source::{Frame, FrameSource, Next};
use crate::telemetry::{Cause, Telemetry};
use crate::times::BEAT;
use std::time::Instant;

pub(super) struct Capture<'a> {
    pub(super) slot: &'a NewestFrame,
    pub(super) progress: &'a Progress,
    pub(super) pulse: &'a Pulse,
    pub(super) shedding: &'a LoadShedding,
    pub(super) shutdown: &'a Shutdown,
    pub(super) live: bool,
    pub(super) telemetry: &'a Telemetry,
}

impl Capture<'_> {
    /// Takes up to `frames` frames; of the size `smaller` while load shedding asks for it.
    pub(super) fn run(
        &mut self,
        source: &mut dyn FrameSource,
        smaller: Option<(usize, usize)>,
        frames: Option<u64>,
        to_writer: &ToWriter,
    ) {
        seal_this_thread();
        // What waited while models were loaded is old by now.
        source.discard_stale();
        let (mut delivered, mut is_small) = (0, false);
        while !self.shutdown.is_asked() && frames.is_none_or(|frames| delivered < frames) {
            self.pulse.beat(WatchedThread::Capture);
            if smaller.is_some() && self.shedding.uses_smaller_frames() != is_small {
                is_small = !is_small;
                source.resize(smaller.filter(|_| is_small));
            }
            let mut frame = self.slot.spare();
            match source.next(&mut frame) {
                Next::Frame => {
                    delivered += 1;
                    self.put(frame);
                }
                Next::Failed { name, reason } => {
                    delivered += 1;
                    let receipt = frame.receipt.take();
                    self.slot.give_back(frame);
                    self.progress.frame(Fate::Failed);
                    let message = Message::CaptureFailed { name, reason, receipt };
                    let failed = to_writer.send(message, || self.pulse.beat(WatchedThread::Capture));
                    if let Err(Message::CaptureFailed { name, reason, .. }) = failed {
                        self.telemetry.fail(Cause::Frame, &format!("{name}: {reason}"));
                        self.progress.drop_verdict(false);
                    }
                }
                Next::FailedRepeatedly => {
                    delivered += 1;
                    self.slot.give_back(frame);
                    self.progress.frame(Fate::Failed);
                    self.telemetry.fail_again(Cause::Frame);
                }
                Next::Pending => self.slot.give_back(frame),
                Next::Ended => {
                    self.slot.give_back(frame);
                    self.slot.mark_ended();
                    return;
                }
            }
            self.progress.source(source.condition());
        }
    }

    fn put(&self, frame: Frame) {
        if !self.live {
            if let Some(kept) = self.put_patiently(frame) {
                self.skip(kept);
            }
        } else if self.shedding.should_skip(Instant::now()) {
            self.skip(frame);
        } else if self.slot.put_newest(frame) {
            self.progress.frame(Fate::DroppedStale);
        }
    }

    fn skip(&self, frame: Frame) {
        self.slot.give_back(frame);
        self.progress.frame(Fate::DroppedStale);
    }

    /// Waits for the slot, and longer while load shedding asks for a cooldown; returns the frame where a stop comes first.
    fn put_patiently(&self, mut frame: Frame) -> Option<Frame> {
        loop {
            let cooldown = self.shedding.cooldown(Instant::now());
            if cooldown.is_zero() {
                self.shedding.begin_frame();
                frame = self.slot.put_when_empty(frame).err()?;
            } else {
                std::thread::sleep(cooldown.min(BEAT));
                // Nobody was late for this frame.
                frame.captured = Instant::now();
            }
            self.pulse.beat(WatchedThread::Capture);
            if self.shutdown.is_asked() {
                return Some(frame);
            }
        }
    }
}
