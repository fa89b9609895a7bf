//! Frames by the time at which they were captured: the first one after a trigger's edge, and none from before it.

use super::{BUFFERS, CALL_TIMEOUT, CameraSource, Connection, DatedBuffer};
use crate::source::camera::device::{CameraPort, CaptureDevice};
use crate::source::{Frame, Next};
use std::time::{Duration, Instant};

impl<P: CameraPort> CameraSource<P> {
    /// Decodes the oldest frame that was captured at `since` or later, or at an unknown time; earlier ones are requeued.
    pub(super) fn oldest_since(&mut self, frame: &mut Frame, since: Instant) -> Next {
        let mut timeout = CALL_TIMEOUT;
        // Not more often than there are buffers, as with `dequeue_newest`.
        for _ in 0..=BUFFERS {
            let Some(captured) = self.oldest_buffer(timeout) else { break };
            if captured.at.is_none_or(|at| at >= since) {
                return self.decode(captured, frame);
            }
            self.requeue_unwanted(captured);
            timeout = Duration::ZERO;
        }
        Next::Pending
    }

    /// Requeues the ready frames that were captured before a time, or at an unknown one. The first later one is kept.
    pub(super) fn requeue_before(&mut self, before: Instant) {
        for _ in 0..=BUFFERS {
            let Some(captured) = self.oldest_buffer(Duration::ZERO) else { break };
            if captured.at.is_some_and(|at| at >= before) {
                if let Connection::Streaming(streaming) = &mut self.connection {
                    streaming.held = Some(captured);
                }
                break;
            }
            self.requeue_unwanted(captured);
        }
    }

    /// The oldest frame that is ready, after at most `timeout`.
    fn oldest_buffer(&mut self, timeout: Duration) -> Option<DatedBuffer> {
        if !self.streams(timeout) || !self.follow_product() {
            return None;
        }
        let Connection::Streaming(streaming) = &mut self.connection else { return None };
        if let Some(held) = streaming.held.take() {
            return Some(held);
        }
        let dequeued = match streaming.device.wait(timeout) {
            Ok(true) => streaming.device.dequeue(),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        match dequeued {
            Ok(Some(buffer)) => Some(DatedBuffer::new(buffer, self.port.now())),
            Ok(None) => {
                self.check_silence();
                None
            }
            Err(error) => {
                self.disconnect(error);
                None
            }
        }
    }

    /// Returns a frame that nobody wants to the driver. It does not count as passed over, but shows that the camera is alive.
    pub(super) fn requeue_unwanted(&mut self, captured: DatedBuffer) {
        let Connection::Streaming(streaming) = &mut self.connection else { return };
        let damaged = captured.buffer.damaged;
        match streaming.device.requeue(captured.buffer) {
            Ok(()) if damaged => self.check_silence(),
            Ok(()) => self.mark_alive(self.port.now()),
            Err(error) => self.disconnect(error),
        }
    }
}
