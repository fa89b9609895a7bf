//! The inspection thread: the newest frame, its verdict, the alarm, the spot.

use super::counts::Fate;
use super::run::{Message, Smaller};
use super::{NewestFrame, Part, Progress, Pulse, Relief, Report, Taken, Times};
use crate::config::When;
use crate::field::Seen;
use crate::memory::seal_this_thread;
use crate::record::fault::{self, Cause};
use crate::sink::{Priority, Signal, VerdictObserver};
use crate::source::Frame;
use crate::task::TaskError;
use crate::task::anomaly::{Inspector, Look};
use crate::task::super_resolution::{Enlarger, spot, whole};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

/// How late an alarm may end where no frame comes.
const TICK: Duration = Duration::from_millis(10);

pub(super) struct Inspection<'a> {
    pub(super) inspector: &'a mut Inspector,
    pub(super) smaller: Option<&'a mut Smaller>,
    pub(super) enlarger: Option<&'a mut Enlarger>,
    pub(super) when: When,
    pub(super) spot: usize,
    pub(super) enlarging_limit: Option<Duration>,
    pub(super) skip_similar: f64,
    pub(super) normal_every: u64,
    pub(super) live: bool,
    pub(super) by_trigger: bool,
    pub(super) signals: Vec<Box<dyn Signal>>,
    pub(super) viewer: Option<Arc<dyn VerdictObserver>>,
    pub(super) relief: &'a Relief,
    /// Who judged the frame before; `None` where nobody could.
    pub(super) judged: Option<Judge>,
    /// The frame that counted last as one that shows something else than the one before.
    pub(super) last: Option<Look>,
    /// Whether the frame before counted as defect.
    pub(super) last_defect: bool,
    /// Normal frames that were judged since one was kept.
    pub(super) normals: u64,
}

/// Which inspector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judge {
    Usual,
    OfSmaller,
}

impl Inspection<'_> {
    pub(super) fn run(
        &mut self,
        slot: &NewestFrame,
        progress: &Progress,
        pulse: &Pulse,
        used: &Receiver<Box<Report>>,
        to_writer: &SyncSender<Message>,
    ) {
        seal_this_thread();
        let mut free = Instant::now();
        loop {
            pulse.beat(Part::Inspection);
            let mut frame = match slot.take(TICK) {
                Taken::Frame(frame) => frame,
                Taken::Nothing => {
                    let now = Instant::now();
                    self.signals.iter_mut().for_each(|signal| signal.tick(now));
                    continue;
                }
                Taken::Closed => return,
            };
            let Ok(mut report) = used.recv() else { return };
            let taken = Instant::now();
            // A source without a pace of its own runs ahead of inspection; its waiting is not inspection's time.
            let begun = if self.live { frame.captured } else { frame.captured.max(free) };
            let result = self.judge(&frame, &mut report);
            let judge = taken.elapsed();
            if result.is_ok() {
                // At once: everything else may take its time.
                let (defect, now) = (report.verdict.defect, Instant::now());
                self.signals.iter_mut().for_each(|signal| signal.verdict(defect, now));
            }
            report.name.clear();
            report.name.push_str(&frame.name);
            report.wall = frame.wall;
            report.latency = begun.elapsed();
            let message = match result {
                Ok(fate) => {
                    let times = Times { verdict: report.latency, wait: taken.saturating_duration_since(begun), judge };
                    let seen = self.seen(report.verdict.score);
                    progress.verdict(&seen, report.verdict.defect, times);
                    report.similar = fate == Fate::SkippedSimilar;
                    report.priority = self.priority(report.verdict.defect, report.similar, seen.is_other);
                    progress.frame(fate);
                    fault::well(Cause::Frame);
                    fault::well(Cause::Bundle);
                    self.enlarge(&frame, &mut report, progress);
                    if let Some(viewer) = &self.viewer {
                        viewer.observe(&mut frame.picture, &report.verdict, report.latency);
                    }
                    Message::Verdict(report)
                }
                Err(error) => {
                    self.judged = None;
                    progress.frame(Fate::Failed);
                    let cause = match error {
                        TaskError::Picture(_) | TaskError::TooSmall { .. } => Cause::Frame,
                        TaskError::Bundle(_) | TaskError::Engine(_) => Cause::Bundle,
                    };
                    Message::NotJudged { report, cause, reason: error.to_string() }
                }
            };
            slot.give_back(frame);
            if to_writer.send(message).is_err() {
                return;
            }
            free = Instant::now();
            self.relief.inspected(taken, free);
        }
    }

    fn judge(&mut self, frame: &Frame, report: &mut Report) -> Result<Fate, TaskError> {
        let picture = &frame.picture;
        let size = (picture.width(), picture.height());
        let smaller = self.smaller.as_mut().filter(|smaller| smaller.size == size);
        let judge = if smaller.is_some() { Judge::OfSmaller } else { Judge::Usual };
        let inspector = smaller.map_or(&mut *self.inspector, |smaller| &mut smaller.inspector);
        inspector.prepare(picture)?;
        report.bundle = Arc::clone(inspector.bundle());
        let comparable = self.judged.replace(judge) == Some(judge);
        if comparable && self.skip_similar > 0.0 && inspector.change() < self.skip_similar {
            inspector.repeat(size, &mut report.verdict);
            return Ok(Fate::SkippedSimilar);
        }
        inspector.judge(size, &mut report.verdict)?;
        Ok(Fate::Inspected)
    }

    /// What is known of the frame that was judged.
    fn seen(&mut self, score: f64) -> Seen {
        let mut seen = Seen { score, look: None, is_other: false };
        // What another bundle says of smaller frames cannot be held against this one's baseline.
        if self.judged == Some(Judge::Usual) {
            let look = self.inspector.look();
            seen.look = Some((look.brightness, look.sharpness));
            // A part that triggers is another part, even if it looks the same.
            seen.is_other = self.by_trigger || self.last.as_ref().is_none_or(|last| look.differs_from(last));
            if seen.is_other {
                self.last = Some(*look);
            }
        }
        seen
    }

    /// Whether the frame is to be kept, and how much it interests. What stands still before the lens looks like the frame
    /// before; smaller frames are not compared.
    fn priority(&mut self, defect: bool, similar: bool, is_other: bool) -> Option<Priority> {
        let same = self.last_defect && !is_other && self.judged == Some(Judge::Usual);
        self.last_defect = defect;
        if defect {
            return Some(if same { Priority::Repeated } else { Priority::Defect });
        }
        if similar || self.normal_every == 0 {
            return None;
        }
        self.normals += 1;
        (self.normals >= self.normal_every).then(|| {
            self.normals = 0;
            Priority::Normal
        })
    }

    fn enlarge(&mut self, frame: &Frame, report: &mut Report, progress: &Progress) {
        let picture = &frame.picture;
        report.without_spot();
        if report.priority.is_some() {
            report.frame.reshape(picture.layout(), picture.width(), picture.height());
            report.frame.data_mut().copy_from_slice(picture.data());
        }
        let area = match self.when {
            When::Anomaly if report.verdict.defect => spot(report.verdict.peak, self.spot, picture),
            When::Always if report.verdict.defect || !self.relief.only_defects() => whole(picture),
            _ => return,
        };
        let Some(enlarger) = &mut self.enlarger else { return };
        let (mut small, mut large) = report.spot_buffers();
        picture.crop_into(area, &mut small);
        let started = Instant::now();
        match enlarger.enlarge_area(picture, area, &mut large) {
            Ok(()) => {
                let time = started.elapsed();
                report.late = self.enlarging_limit.is_some_and(|limit| time > limit).then_some(time);
                progress.enlarged(time, report.late.is_some());
                report.spot = Some((small, large));
            }
            Err(error) => report.spot_failure = Some(error.to_string()),
        }
    }
}
