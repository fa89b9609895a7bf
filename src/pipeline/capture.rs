//! The capture thread: frames from the source into the slot.

use super::counts::Fate;
use super::run::Message;
use super::{NewestFrame, Part, Progress, Pulse, Relief, Shutdown};
use crate::memory::seal_this_thread;
use crate::record::fault::{self, Cause};
use crate::source::{Frame, FrameSource, Next};
use crate::times::BEAT;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

pub(super) struct Capture<'a> {
    pub(super) slot: &'a NewestFrame,
    pub(super) progress: &'a Progress,
    pub(super) pulse: &'a Pulse,
    pub(super) relief: &'a Relief,
    pub(super) shutdown: &'a Shutdown,
    pub(super) live: bool,
}

impl Capture<'_> {
    /// Takes up to `frames` frames, of the size `smaller` while the board needs relief.
    pub(super) fn run(
        &mut self,
        source: &mut dyn FrameSource,
        smaller: Option<(usize, usize)>,
        frames: Option<u64>,
        failures: &SyncSender<Message>,
    ) {
        seal_this_thread();
        // What waited while models were loaded is old by now.
        source.pass_time();
        let (mut given, mut is_small) = (0, false);
        while !self.shutdown.is_asked() && frames.is_none_or(|frames| given < frames) {
            self.pulse.beat(Part::Capture);
            if smaller.is_some() && self.relief.smaller() != is_small {
                is_small = !is_small;
                source.resize(smaller.filter(|_| is_small));
            }
            let mut frame = self.slot.spare();
            match source.next(&mut frame) {
                Next::Frame => {
                    given += 1;
                    self.put(frame);
                }
                Next::Failed { name, reason } => {
                    given += 1;
                    self.slot.give_back(frame);
                    self.progress.frame(Fate::Failed);
                    // The writer is gone only where the run is ending in disorder.
                    let _ = failures.send(Message::Failed { name, reason });
                }
                Next::FailedAgain => {
                    given += 1;
                    self.slot.give_back(frame);
                    self.progress.frame(Fate::Failed);
                    fault::failed_again(Cause::Frame);
                }
                Next::NotYet => self.slot.give_back(frame),
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
                self.leave_out(kept);
            }
        } else if self.relief.leaves_out(Instant::now()) {
            self.leave_out(frame);
        } else if self.slot.put_newest(frame) {
            self.progress.frame(Fate::DroppedStale);
        }
    }

    fn leave_out(&self, frame: Frame) {
        self.slot.give_back(frame);
        self.progress.frame(Fate::DroppedStale);
    }

    /// Waits for the slot, and longer where the board needs a rest; gives the frame back where a stop comes first.
    fn put_patiently(&self, mut frame: Frame) -> Option<Frame> {
        loop {
            let rest = self.relief.rest(Instant::now());
            if rest.is_zero() {
                self.relief.gives();
                frame = self.slot.put_when_empty(frame).err()?;
            } else {
                std::thread::sleep(rest.min(BEAT));
                // Nobody was late for this frame.
                frame.captured = Instant::now();
            }
            self.pulse.beat(Part::Capture);
            if self.shutdown.is_asked() {
                return Some(frame);
            }
        }
    }
}
