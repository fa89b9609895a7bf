//! One frame for each edge of a trigger line, instead of all frames.

use super::frame::{Frame, FrameSource, Next, SourceCondition};
use crate::telemetry::{Cause, Telemetry};
use std::time::{Duration, Instant};

/// How long one wait for an edge lasts; the source is served in between.
const EDGE_TIMEOUT: Duration = Duration::from_millis(20);
/// A frame that was captured after the edge must come within this time.
const FRAME_TIMEOUT: Duration = Duration::from_secs(2);

/// Edges of a line.
pub trait TriggerInput: Send {
    /// Waits for edges; `None` where none came in time.
    ///
    /// # Errors
    /// In one line, where the line is gone.
    fn wait(&mut self, time: Duration) -> Result<Option<EdgeEvent>, String>;

    /// The chip and number of the line, for messages.
    fn line_name(&self) -> &str;
}

/// The newest edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeEvent {
    /// When it occurred.
    pub at: Instant,
    /// Edges before it that came too late to be served.
    pub missed: u64,
}

/// Delivers the first frame of a source that was captured after each edge.
pub struct TriggeredSource<T> {
    source: Box<dyn FrameSource>,
    trigger: T,
    edge: Option<Instant>,
    missed: u64,
    telemetry: Telemetry,
}

impl<T: TriggerInput> TriggeredSource<T> {
    /// Frames of `source` at the edges of `trigger`.
    pub fn new(source: Box<dyn FrameSource>, trigger: T, telemetry: Telemetry) -> Self {
        TriggeredSource { source, trigger, edge: None, missed: 0, telemetry }
    }

    fn poll_edge(&mut self) {
        let timeout = if self.edge.is_some() { Duration::ZERO } else { EDGE_TIMEOUT };
        // An edge that comes from now on can only want frames that are captured from now on.
        let looked = Instant::now();
        match self.trigger.wait(timeout) {
            Ok(None) => self.telemetry.resolve(Cause::Trigger),
            Ok(Some(edge)) => {
                self.telemetry.resolve(Cause::Trigger);
                self.missed += edge.missed + u64::from(self.edge.is_some());
                self.edge = Some(edge.at);
                self.source.discard_before(edge.at);
            }
            Err(failure) => {
                let text = format!("trigger at {}: {failure}", self.trigger.line_name());
                self.telemetry.fail(Cause::Trigger, &text);
                std::thread::sleep(EDGE_TIMEOUT);
            }
        }
        if self.edge.is_none() {
            self.source.discard_before(looked);
        }
    }
}

impl<T: TriggerInput> FrameSource for TriggeredSource<T> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        self.poll_edge();
        let Some(edge) = self.edge else { return Next::Pending };
        match self.source.next_since(frame, edge) {
            Next::Pending if edge.elapsed() > FRAME_TIMEOUT => {
                self.edge = None;
                let reason = format!("no frame within {} s of the trigger", FRAME_TIMEOUT.as_secs());
                Next::Failed { name: "trigger".into(), reason }
            }
            Next::Pending => Next::Pending,
            // The part has passed; a frame of it that failed is not repeated.
            outcome => {
                self.edge = None;
                outcome
            }
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
        SourceCondition { passed_over: self.missed, ..self.source.condition() }
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
        format!("{}, by the trigger at {}", self.source.describe(), self.trigger.line_name())
    }
}

impl TriggerInput for crate::board::Edges {
    fn wait(&mut self, time: Duration) -> Result<Option<EdgeEvent>, String> {
        let edges = crate::board::Edges::wait(self, time)?;
        Ok(edges.map(|(newest, edges)| EdgeEvent { at: crate::board::instant_of(newest), missed: edges - 1 }))
    }

    fn line_name(&self) -> &str {
        crate::board::Edges::line_name(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// The result of each wait for an edge.
    struct Script(VecDeque<Result<Option<EdgeEvent>, String>>);

    impl TriggerInput for Script {
        fn wait(&mut self, _: Duration) -> Result<Option<EdgeEvent>, String> {
            self.0.pop_front().unwrap_or(Ok(None))
        }

        fn line_name(&self) -> &str {
            "line 4"
        }
    }

    /// What a camera sends next: nothing, a frame captured at a time, or one that is damaged.
    #[derive(Clone, Copy)]
    enum Sent {
        Nothing,
        Whole(Instant),
        Damaged(Instant),
    }

    struct Belt(VecDeque<Sent>);

    impl FrameSource for Belt {
        fn next(&mut self, frame: &mut Frame) -> Next {
            match self.0.pop_front() {
                Some(Sent::Whole(captured)) => {
                    frame.captured = captured;
                    Next::Frame
                }
                Some(Sent::Damaged(captured)) => {
                    frame.captured = captured;
                    Next::Failed { name: "camera-1".into(), reason: "damaged".into() }
                }
                _ => Next::Pending,
            }
        }

        fn is_live(&self) -> bool {
            true
        }

        fn max_pixels(&self) -> usize {
            1
        }

        fn describe(&self) -> String {
            "belt".into()
        }
    }

    fn triggered(edges: Vec<Result<Option<EdgeEvent>, String>>, frames: Vec<Sent>) -> TriggeredSource<Script> {
        TriggeredSource::new(Box::new(Belt(frames.into())), Script(edges.into()), Telemetry::default())
    }

    #[test]
    fn each_edge_gives_one_frame_captured_after_it() {
        let now = Instant::now();
        let at = |ms: u64| now + Duration::from_millis(ms);
        let edge = |ms| Ok(Some(EdgeEvent { at: at(ms), missed: 0 }));
        // Two frames are older than the edge, the third is its own; the fourth nobody asked for.
        let frames = [5, 9, 12, 20].map(|ms| Sent::Whole(at(ms))).to_vec();
        let mut source = triggered(vec![Ok(None), edge(10)], frames);
        let mut frame = Frame::default();
        let outcome: Vec<bool> = (0..6).map(|_| source.next(&mut frame) == Next::Frame).collect();
        assert_eq!(outcome, [false, false, false, true, false, false]);
        assert_eq!(frame.captured, at(12));
        assert_eq!(source.condition().passed_over, 0);
        assert_eq!(source.describe(), "belt, by the trigger at line 4");
    }

    #[test]
    fn a_damaged_frame_fails_the_part_only_if_it_was_captured_after_the_edge() {
        let now = Instant::now();
        let at = |ms: u64| now + Duration::from_millis(ms);
        let edge = |ms| Ok(Some(EdgeEvent { at: at(ms), missed: 0 }));
        let frames = vec![Sent::Damaged(at(5)), Sent::Damaged(at(9)), Sent::Whole(at(10))];
        let mut source = triggered(vec![edge(10)], frames);
        let mut frame = Frame::default();
        let outcome: Vec<Next> = (0..4).map(|_| source.next(&mut frame)).collect();
        assert_eq!(outcome, [Next::Pending, Next::Pending, Next::Frame, Next::Pending]);
        let mut source = triggered(vec![edge(10)], vec![Sent::Damaged(at(12)), Sent::Whole(at(20))]);
        assert!(matches!(source.next(&mut frame), Next::Failed { reason, .. } if reason == "damaged"));
        assert_eq!(source.next(&mut frame), Next::Pending, "the part has passed");
    }

    #[test]
    fn edges_that_come_too_fast_are_counted_as_missed() {
        let now = Instant::now();
        let edge = |ms, missed| Ok(Some(EdgeEvent { at: now + Duration::from_millis(ms), missed }));
        let mut source =
            triggered(vec![edge(0, 2), edge(30, 0)], vec![Sent::Nothing, Sent::Whole(now + Duration::from_millis(40))]);
        let mut frame = Frame::default();
        assert_eq!(source.next(&mut frame), Next::Pending);
        assert_eq!(source.next(&mut frame), Next::Frame);
        assert_eq!(source.condition().passed_over, 3);
    }

    #[test]
    fn a_part_of_which_no_frame_comes_counts_as_failed_and_a_lost_line_does_no_harm() {
        let long_ago = Instant::now().checked_sub(FRAME_TIMEOUT + Duration::from_secs(1)).unwrap();
        let edge = Ok(Some(EdgeEvent { at: long_ago, missed: 0 }));
        let mut source = triggered(vec![Err("gone".into()), Err("gone".into()), edge], vec![]);
        let mut frame = Frame::default();
        assert_eq!(source.next(&mut frame), Next::Pending);
        assert_eq!(source.next(&mut frame), Next::Pending);
        assert!(matches!(source.next(&mut frame), Next::Failed { reason, .. } if reason.contains("within 2 s")));
        assert_eq!(source.next(&mut frame), Next::Pending);
    }
}
