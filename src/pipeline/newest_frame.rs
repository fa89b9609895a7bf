//! The slot between capture and inspection: it holds one frame, the newest.

use crate::source::Frame;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Three frames go round: one is being filled, one waits here, one is being inspected.
pub struct NewestFrame {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: Option<Frame>,
    spare: Vec<Frame>,
    closed: bool,
    ended: bool,
}

/// How long a wait lasts before the caller looks for a stop.
const PATIENCE: Duration = Duration::from_millis(100);

impl Default for NewestFrame {
    fn default() -> Self {
        let state =
            State { waiting: None, spare: (0..3).map(|_| Frame::default()).collect(), closed: false, ended: false };
        NewestFrame { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl NewestFrame {
    /// A frame to fill. There always is one: at most one waits and one is inspected.
    pub fn spare(&self) -> Frame {
        self.lock().spare.pop().unwrap_or_default()
    }

    /// Gives back a frame that is not needed any more.
    pub fn give_back(&self, frame: Frame) {
        self.lock().spare.push(frame);
    }

    /// Puts a frame into the slot; an older one that still waits is dropped. True where one was.
    pub fn put_newest(&self, frame: Frame) -> bool {
        let mut state = self.lock();
        let stale = state.waiting.replace(frame);
        let dropped = stale.is_some();
        state.spare.extend(stale);
        self.changed.notify_all();
        dropped
    }

    /// Puts a frame into the slot once it is empty.
    ///
    /// # Errors
    /// Gives the frame back where that takes over 100 ms: try again.
    pub fn put_when_empty(&self, frame: Frame) -> Result<(), Frame> {
        let mut state = self.lock();
        if state.waiting.is_some() {
            state = self.changed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.waiting.is_some() {
            return Err(frame);
        }
        state.waiting = Some(frame);
        self.changed.notify_all();
        Ok(())
    }

    /// Says that no more frames come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Notes that the source itself came to its end, in contrast to a stop from outside.
    pub fn mark_ended(&self) {
        self.lock().ended = true;
    }

    /// Whether the source itself came to its end.
    pub fn source_ended(&self) -> bool {
        self.lock().ended
    }

    /// The newest frame, as soon as there is one; `None` once the slot is closed and empty.
    pub fn take(&self) -> Option<Frame> {
        let mut state = self.lock();
        loop {
            if let Some(frame) = state.waiting.take() {
                self.changed.notify_all();
                return Some(frame);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent after every statement, so another thread's panic does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(slot: &NewestFrame, name: &str) -> Frame {
        let mut frame = slot.spare();
        frame.name = name.into();
        frame
    }

    #[test]
    fn only_the_newest_frame_waits() {
        let slot = NewestFrame::default();
        assert!(!slot.put_newest(named(&slot, "1")));
        assert!(slot.put_newest(named(&slot, "2")));
        let Err(refused) = slot.put_when_empty(named(&slot, "3")) else { panic!("the slot was full") };
        slot.give_back(refused);
        let taken = slot.take().unwrap();
        assert_eq!(taken.name, "2");
        slot.give_back(taken);
        assert!(slot.put_when_empty(named(&slot, "4")).is_ok());
        slot.close();
        assert_eq!(slot.take().unwrap().name, "4");
        assert!(slot.take().is_none());
    }
}
