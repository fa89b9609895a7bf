//! The frames that somebody will want to see.

use super::line_ref::LineRef;
use crate::parser::{Entry, Millis};
use std::collections::VecDeque;

/// An event's frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventFrame {
    /// When it was captured.
    pub time: Option<Millis>,
    /// What the source calls it.
    pub frame: String,
    /// How far from normal, 0..1.
    pub score: f64,
    /// From which score on it counts as defect.
    pub threshold: Option<f64>,
    /// From capture to verdict, in milliseconds.
    pub latency_ms: Option<f64>,
    /// Where in the frame, as written.
    pub regions: String,
    /// Its pictures, beside the record's file.
    pub annotated: String,
    /// The enlarged spot.
    pub spot: String,
    /// Its record.
    pub line_ref: LineRef,
}

impl EventFrame {
    fn of(entry: &Entry, score: f64, line_ref: LineRef) -> EventFrame {
        let text = |key: &str| entry.fields.short_text(key);
        let short = |mut text: String| {
            text.truncate(text.floor_char_boundary(200));
            text
        };
        EventFrame {
            time: entry.time,
            frame: short(text("frame")),
            score,
            threshold: entry.fields.number("threshold"),
            latency_ms: entry.fields.number("latency_ms"),
            regions: short(text("regions")),
            annotated: text("annotated"),
            spot: text("spot"),
            line_ref,
        }
    }
}

/// The frames with the highest scores, the slowest, and the last.
#[derive(Debug, Clone, Default)]
pub struct NotableFrames {
    /// By score, the highest first.
    pub by_score: Vec<EventFrame>,
    /// By latency, the longest first.
    pub slowest: Vec<EventFrame>,
    /// The last, in the order of time.
    pub last: VecDeque<EventFrame>,
}

const BY_SCORE: usize = 12;
const SLOWEST: usize = 5;
const LAST: usize = 12;

impl NotableFrames {
    /// Takes in an event.
    pub fn event(&mut self, entry: &Entry, line_ref: LineRef) {
        let score = entry.fields.number("score").unwrap_or(0.0);
        let latency = entry.fields.number("latency_ms");
        let frame = EventFrame::of(entry, score, line_ref);
        insert(&mut self.by_score, &frame, BY_SCORE, |frame| frame.score);
        if latency.is_some() {
            insert(&mut self.slowest, &frame, SLOWEST, |frame| frame.latency_ms.unwrap_or(0.0));
        }
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(frame);
    }
}

/// Inserts a frame into a sorted list; among equal ones the earlier comes first.
fn insert(list: &mut Vec<EventFrame>, frame: &EventFrame, max: usize, of: impl Fn(&EventFrame) -> f64) {
    let at = list.partition_point(|other| of(other) >= of(frame));
    if at < max {
        list.insert(at, frame.clone());
        list.truncate(max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_stay() {
        let mut worst = NotableFrames::default();
        for i in 0..1000_u64 {
            let mut entry = Entry::default();
            let score = (i * 7919 % 1000) as f64 / 1000.0;
            entry.fields.push(b"frame", i.to_string().as_bytes());
            entry.fields.push(b"score", score.to_string().as_bytes());
            entry.fields.push(b"latency_ms", i.to_string().as_bytes());
            worst.event(&entry, LineRef::default());
        }
        let scores: Vec<f64> = worst.by_score.iter().map(|frame| frame.score).collect();
        assert_eq!(scores[..3], [0.999, 0.998, 0.997]);
        assert_eq!(worst.slowest[0].latency_ms, Some(999.0));
        assert_eq!((worst.last[0].frame.as_str(), worst.last[11].frame.as_str()), ("988", "999"));
    }
}
