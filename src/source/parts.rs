//! One frame for each part that the trigger announces.

use super::frame::{Frame, FrameSource, Next, SourceCondition};
use crate::sink::part::{NoResultReason, Parts};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long one wait for a part lasts; the source is served in between.
const PART_TIMEOUT: Duration = Duration::from_millis(20);

/// Delivers the first frame of a source that was captured while a part was the newest. The edges are read elsewhere: this source may
/// be busy, or hang.
///
/// Each part is one frame of the counts: a part without a frame counts as failed, one that was overtaken as passed over.
pub struct PartSource {
    source: Box<dyn FrameSource>,
    parts: Arc<Parts>,
    /// The trigger's line, for messages.
    line: String,
    /// The part for which frames from before it were discarded.
    edge: Option<Instant>,
    passed_over: u64,
    /// Parts without a frame that are not reported yet.
    expired: u64,
    /// The last part had no frame either.
    failing: bool,
}

impl PartSource {
    /// Frames of `source` for `parts`, which the trigger at `line` announces.
    pub fn new(source: Box<dyn FrameSource>, parts: Arc<Parts>, line: String) -> PartSource {
        PartSource { source, parts, line, edge: None, passed_over: 0, expired: 0, failing: false }
    }

    /// A part without a frame that was not reported yet.
    fn without_frame(&mut self) -> Option<Next> {
        let without = self.parts.take_without_frame();
        self.passed_over += without.passed_over;
        self.expired += without.expired;
        self.expired = self.expired.checked_sub(1)?;
        if std::mem::replace(&mut self.failing, true) {
            return Some(Next::FailedRepeatedly);
        }
        Some(Next::Failed { name: "trigger".into(), reason: "no frame of the part within part.deadline_ms".into() })
    }
}

impl FrameSource for PartSource {
    fn next(&mut self, frame: &mut Frame) -> Next {
        if let Some(failed) = self.without_frame() {
            return failed;
        }
        // A part that comes from now on can only want frames that are captured from now on.
        let looked = Instant::now();
        let Some(edge) = self.parts.wanted(PART_TIMEOUT) else {
            self.source.discard_before(looked);
            return Next::Pending;
        };
        if self.edge.replace(edge) != Some(edge) {
            self.source.discard_before(edge);
        }
        match self.source.next_since(frame, edge) {
            Next::Frame => match self.parts.claim(frame.captured) {
                Some(ticket) => {
                    self.failing = false;
                    frame.part = Some(ticket);
                    Next::Frame
                }
                None => Next::Pending,
            },
            // The part has passed; a frame of it that failed is not repeated.
            failed @ (Next::Failed { .. } | Next::FailedRepeatedly) => match self.parts.claim(frame.captured) {
                Some(ticket) => {
                    ticket.fail(NoResultReason::Failed);
                    failed
                }
                None => Next::Pending,
            },
            outcome => outcome,
        }
    }

    fn discard_stale(&mut self) {
        self.source.discard_stale();
    }

    fn resize(&mut self, size: Option<(usize, usize)>) {
        self.source.resize(size);
    }

    fn limit_file_bytes(&mut self, bytes: u64) {
        self.source.limit_file_bytes(bytes);
    }

    fn condition(&self) -> SourceCondition {
        SourceCondition { passed_over: self.passed_over, ..self.source.condition() }
    }

    fn is_live(&self) -> bool {
        self.source.is_live()
    }

    fn is_triggered(&self) -> bool {
        true
    }

    fn max_pixels(&self) -> usize {
        self.source.max_pixels()
    }

    fn frame_size(&self) -> Option<(usize, usize)> {
        self.source.frame_size()
    }

    fn describe(&self) -> String {
        format!("{}, by the trigger at {}", self.source.describe(), self.line)
    }
}
