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

/// How long a wait lasts before the caller checks for a stop.
const PATIENCE: Duration = crate::times::BEAT;

/// The result of waiting for a frame.
pub enum Taken {
    /// The newest frame.
    Frame(Frame),
    /// None in time.
    Nothing,
    /// None, and none will come.
    Closed,
}

impl NewestFrame {
    /// An empty slot. Where the size of the frames is known their buffers are made now.
    pub fn new(frame_size: Option<(usize, usize)>) -> Self {
        let spare = (0..3).map(|_| Frame::of_size(frame_size)).collect();
        let state = State { waiting: None, spare, closed: false, ended: false };
        NewestFrame { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// A frame to fill. There always is one: at most one waits and one is inspected.
    pub fn spare(&self) -> Frame {
        self.lock().spare.pop().unwrap_or_default()
    }

    /// Returns a frame that is not needed any more.
    pub fn give_back(&self, mut frame: Frame) {
        frame.receipt = None;
        frame.part = None;
        self.lock().spare.push(frame);
    }

    /// Puts a frame into the slot; an older one that still waits is dropped. True where one was.
    pub fn put_newest(&self, frame: Frame) -> bool {
        let mut state = self.lock();
        let mut stale = state.waiting.replace(frame);
        let dropped = stale.is_some();
        let part = stale.as_mut().and_then(|frame| frame.part.take());
        state.spare.extend(stale);
        self.changed.notify_all();
        drop(state);
        // The part has no result then; that concerns another lock.
        drop(part);
        dropped
    }

    /// Puts a frame into the slot once it is empty.
    ///
    /// # Errors
    /// Returns the frame where that takes over 100 ms: try again.
    #[expect(clippy::result_large_err, reason = "a frame that finds no room comes back as it is")]
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

    /// Whether a frame waits.
    pub fn is_waiting(&self) -> bool {
        self.lock().waiting.is_some()
    }

    /// No more frames come.
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

    /// The newest frame, as soon as there is one, but waits no longer than `patience`.
    pub fn take(&self, patience: Duration) -> Taken {
        let nothing = |state: &mut State| state.waiting.is_none() && !state.closed;
        let waited = self.changed.wait_timeout_while(self.lock(), patience, nothing);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        match state.waiting.take() {
            Some(frame) => {
                self.changed.notify_all();
                Taken::Frame(frame)
            }
            None if state.closed => Taken::Closed,
            None => Taken::Nothing,
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
        let slot = NewestFrame::new(None);
        let taken = || match slot.take(Duration::from_millis(1)) {
            Taken::Frame(frame) => Some(frame),
            _ => None,
        };
        assert!(taken().is_none() && matches!(slot.take(Duration::ZERO), Taken::Nothing));
        assert!(!slot.put_newest(named(&slot, "1")));
        assert!(slot.put_newest(named(&slot, "2")) && slot.is_waiting());
        let Err(refused) = slot.put_when_empty(named(&slot, "3")) else { panic!("the slot was full") };
        slot.give_back(refused);
        let second = taken().unwrap();
        assert!(second.name == "2" && !slot.is_waiting());
        slot.give_back(second);
        assert!(slot.put_when_empty(named(&slot, "4")).is_ok());
        slot.close();
        assert_eq!(taken().unwrap().name, "4");
        assert!(matches!(slot.take(PATIENCE), Taken::Closed));
    }
}
