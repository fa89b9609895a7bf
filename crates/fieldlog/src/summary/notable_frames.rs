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
    /// The share of normal frames that score lower, 0..1: 1.000 for most defects.
    pub score: f64,
    /// How far from normal: a defect from 1. Records of older programs have none.
    pub severity: Option<f64>,
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
            severity: entry.fields.number("severity").filter(|severity| severity.is_finite()),
            threshold: entry.fields.number("threshold"),
            latency_ms: entry.fields.number("latency_ms"),
            regions: short(text("regions")),
            annotated: text("annotated"),
            spot: text("spot"),
            line_ref,
        }
    }

    /// What the worst frames are ordered by. Among frames with a severity one without counts by its score, as a defect that is just one:
    /// more is not known of it.
    fn rank(&self) -> f64 {
        self.severity.unwrap_or(self.score)
    }
}

/// The worst frames, the slowest, and the last.
#[derive(Debug, Clone, Default)]
pub struct NotableFrames {
    /// By severity, or by score where a record has none; the highest first.
    pub by_severity: Vec<EventFrame>,
    /// By latency, the longest first.
    pub slowest: Vec<EventFrame>,
    /// The last, in the order of time.
    pub last: VecDeque<EventFrame>,
}

const WORST: usize = 12;
const SLOWEST: usize = 5;
const LAST: usize = 12;

impl NotableFrames {
    /// Whether the worst frames are ordered by severity.
    pub fn have_severities(&self) -> bool {
        self.by_severity.iter().any(|frame| frame.severity.is_some())
    }

    /// What the worst frames are.
    pub fn title(&self) -> &'static str {
        if self.have_severities() { "Highest severities" } else { "Highest scores" }
    }

    /// Takes in an event.
    pub fn event(&mut self, entry: &Entry, line_ref: LineRef) {
        let score = entry.fields.number("score").unwrap_or(0.0);
        let latency = entry.fields.number("latency_ms");
        let frame = EventFrame::of(entry, score, line_ref);
        insert(&mut self.by_severity, &frame, WORST, EventFrame::rank);
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
        let scores: Vec<f64> = worst.by_severity.iter().map(|frame| frame.score).collect();
        assert_eq!(scores[..3], [0.999, 0.998, 0.997]);
        assert_eq!(worst.slowest[0].latency_ms, Some(999.0));
        assert_eq!((worst.last[0].frame.as_str(), worst.last[11].frame.as_str()), ("988", "999"));
    }

    #[test]
    fn severities_order_what_scores_cannot() {
        let mut worst = NotableFrames::default();
        // An older program wrote the second, and something broke the last.
        for (frame, severity) in
            [("scratch", "1.3"), ("old", ""), ("missing", "9.25"), ("bad", "NaN"), ("stain", "2.5")]
        {
            let mut entry = Entry::default();
            entry.fields.push(b"frame", frame.as_bytes());
            entry.fields.push(b"score", b"1.0");
            if !severity.is_empty() {
                entry.fields.push(b"severity", severity.as_bytes());
            }
            worst.event(&entry, LineRef::default());
        }
        let order: Vec<(&str, Option<f64>)> =
            worst.by_severity.iter().map(|frame| (frame.frame.as_str(), frame.severity)).collect();
        let expected =
            [("missing", Some(9.25)), ("stain", Some(2.5)), ("scratch", Some(1.3)), ("old", None), ("bad", None)];
        assert_eq!(order, expected);
    }
}
