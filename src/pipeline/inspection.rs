//! The inspection thread: the newest frame, its verdict, the alarm, the spot.

use super::counts::Fate;
use super::message::{Message, QUEUE, ToWriter};
use super::product_switch::{Followed, ProductSwitch};
use super::shadow::{Pace, Shadow, ShadowFate};
use super::{LoadShedding, NewestFrame, Progress, Pulse, Report, Taken, TrialCounts, VerdictTimes, WatchedThread};
use crate::field::FrameStats;
use crate::memory::seal_this_thread;
use crate::sink::part::{NoResultReason, PartVerdict};
use crate::sink::{NewResult, Priority, ResultKind, ResultPublisher, Signal, VerdictObserver};
use crate::source::Frame;
use crate::task::anomaly::ImageStats;
use crate::task::super_resolution::{Enlarger, When, spot, whole};
use crate::task::{TaskError, Tasks};
use crate::telemetry::{Cause, Telemetry};
use crate::times::BEAT;
use lineside_picture::Picture;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How late an alarm may end where no frame comes.
const TICK: Duration = Duration::from_millis(10);
/// Reports that a verdict which is only printed leaves to those that are to be kept.
const FOR_EVIDENCE: usize = 1;

/// What is done with each frame.
pub struct Inspection {
    /// Judge the frames.
    pub tasks: Tasks,
    /// What else may judge them, where the line has products.
    pub products: Option<ProductSwitch>,
    /// What frames may become while the board is too hot.
    pub smaller: Option<Smaller>,
    /// Enlarges, where something is to be enlarged.
    pub enlargement: Option<Enlargement>,
    /// Judge beside active versions.
    pub shadows: Vec<Shadow>,
    /// Count what versions on trial say.
    pub trials: Vec<Arc<TrialCounts>>,
    /// A frame that differs from the one before by less than this, in grey levels, gets its verdict; 0: none does.
    pub skip_similar: f64,
    /// Keep every Nth normal frame that is judged; 0: none.
    pub normal_every: u64,
    /// Lines that follow the verdicts.
    pub signals: Vec<Box<dyn Signal>>,
    /// Receives the newest frame and its verdict.
    pub viewer: Option<Arc<dyn VerdictObserver>>,
    /// Where each frame's result goes; `None` where somebody else decides, as for parts.
    pub results: Option<ResultPublisher>,
}

/// Frames of another size, and a bundle that was taught with that size.
pub struct Smaller {
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// Judge frames of that size.
    pub tasks: Tasks,
}

/// What is enlarged, by what, and how long that may take.
pub struct Enlargement {
    /// Enlarges.
    pub enlarger: Enlarger,
    /// When to enlarge.
    pub when: When,
    /// Side of the square that is enlarged, in pixels.
    pub spot: usize,
    /// How long one enlargement may take; longer is reported.
    pub limit: Option<Duration>,
}

/// The inspection thread: what it does with each frame, and what it remembers of the frame before.
pub(super) struct InspectionThread<'a> {
    inspection: Inspection,
    live: bool,
    by_trigger: bool,
    pace: Pace,
    shedding: &'a LoadShedding,
    telemetry: &'a Telemetry,
    /// The report that is being filled.
    report: Option<Box<Report>>,
    /// Those that come back from the writer.
    used: Receiver<Box<Report>>,
    /// Those of them that have come back.
    #[expect(clippy::vec_box, reason = "the boxes go on to the writer as they are")]
    spare: Vec<Box<Report>>,
    /// Who judged the frame before; `None` where nobody could.
    judged: Option<Judge>,
    /// The last frame that showed something else than the one before.
    last: Option<ImageStats>,
    /// Whether the frame before counted as defect.
    last_defect: bool,
    /// Normal frames that were judged since one was kept.
    normals: u64,
    /// Frames that were taken.
    frames: u64,
    /// Whether nobody could judge the frame before: its product was unknown.
    was_unknown: bool,
    /// In place of a bundle, where nobody judged.
    no_bundle: Arc<str>,
}

/// Which inspector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judge {
    Usual,
    OfSmaller,
}

impl Inspection {
    /// A report with buffers for frames of a size, if it is known, so that none is made while the line runs.
    pub(super) fn new_report(&mut self, frame_size: Option<(usize, usize)>) -> Box<Report> {
        let mut report = Box::<Report>::default();
        if let Some(size) = frame_size {
            let enlargement = self.enlargement.as_ref().filter(|enlargement| enlargement.when == When::Anomaly);
            report.make_room(size, enlargement.map(|enlargement| (enlargement.spot, enlargement.enlarger.scale())));
            self.tasks.make_room(size, &mut report.verdict);
            self.products
                .iter_mut()
                .flat_map(ProductSwitch::others)
                .for_each(|tasks| tasks.make_room(size, &mut report.verdict));
            report.answers.reserve(self.tasks.count());
        }
        report
    }
}

impl<'a> InspectionThread<'a> {
    /// A thread that has seen no frame; `live`: the source has a pace of its own, `by_trigger`: an edge asks for each frame;
    /// `report` is filled first, others come from `used`.
    pub(super) fn new(
        inspection: Inspection,
        (live, by_trigger): (bool, bool),
        shedding: &'a LoadShedding,
        telemetry: &'a Telemetry,
        report: Box<Report>,
        used: Receiver<Box<Report>>,
    ) -> InspectionThread<'a> {
        let (judged, last, last_defect, normals, frames) = (None, None, false, 0, 0);
        let spare = Vec::with_capacity(QUEUE);
        InspectionThread {
            inspection,
            live,
            by_trigger,
            pace: Pace::default(),
            shedding,
            telemetry,
            report: Some(report),
            used,
            spare,
            judged,
            last,
            last_defect,
            normals,
            frames,
            was_unknown: false,
            no_bundle: "".into(),
        }
    }

    /// Inspects until there are no more frames; returns false where the writer is gone before.
    pub(super) fn run(&mut self, slot: &NewestFrame, pulse: &Pulse, to_writer: &ToWriter) -> bool {
        seal_this_thread();
        let progress = &*to_writer.progress;
        let mut free = Instant::now();
        loop {
            pulse.beat(WatchedThread::Inspection);
            let mut frame = match slot.take(TICK) {
                Taken::Frame(frame) => frame,
                Taken::Nothing => {
                    let now = Instant::now();
                    self.inspection.signals.iter_mut().for_each(|signal| signal.tick(now));
                    continue;
                }
                Taken::Closed => return true,
            };
            if self.inspection.products.as_ref().is_some_and(|products| products.is_outdated(frame.captured)) {
                // It shows the part in the light of another product: no verdict is better than a wrong one.
                if let Some(part) = frame.part.take() {
                    part.fail(NoResultReason::Dropped);
                }
                frame.receipt = None;
                // An alarm that was raised before goes off in time all the same.
                let now = Instant::now();
                self.inspection.signals.iter_mut().for_each(|signal| signal.tick(now));
                progress.frame(Fate::DroppedStale);
                slot.give_back(frame);
                // While the rate is lowered capture waits to hear what became of the frame that it let through.
                self.shedding.passed_over();
                continue;
            }
            self.pace.note(frame.captured);
            let taken = Instant::now();
            // A source without a pace of its own runs ahead of inspection; its waiting is not inspection's time.
            let begun = if self.live { frame.captured } else { frame.captured.max(free) };
            let Some(mut report) = self.report.take() else { return false };
            let result = self.judge(&frame, &mut report);
            let judge = taken.elapsed();
            let part = frame.part.take();
            report.part = None;
            if result.is_ok() {
                // At once: everything else may take its time.
                let (defect, now) = (report.verdict.defect, Instant::now());
                let (score, severity) = (report.verdict.score, report.verdict.severity);
                let product = self.product_code(&report).flatten();
                report.part = part.map(|part| part.judge(PartVerdict { defect, score, severity, product }, now));
                self.inspection.signals.iter_mut().for_each(|signal| signal.verdict(defect, now));
            } else if let Some(part) = part {
                part.fail(NoResultReason::Failed);
            }
            self.publish(&frame, &report, result.is_ok(), progress);
            report.name.clear();
            report.name.push_str(&frame.name);
            report.receipt = frame.receipt.take();
            report.wall = frame.wall;
            report.latency = begun.elapsed();
            let message = match result {
                Ok(fate) => {
                    let times =
                        VerdictTimes { verdict: report.latency, wait: taken.saturating_duration_since(begun), judge };
                    let stats = self.frame_stats(report.verdict.score);
                    progress.verdict(&stats, &report.verdict, times);
                    report.similar = fate == Fate::SkippedSimilar;
                    let is_unknown = report.verdict.is_unknown_product;
                    let repeats_unknown = std::mem::replace(&mut self.was_unknown, is_unknown) && is_unknown;
                    report.priority = self.priority(report.verdict.defect, report.similar, stats.is_distinct);
                    if repeats_unknown {
                        // They say all the same: they must not take the room of what was judged.
                        report.priority = Some(Priority::Repeated);
                    }
                    progress.frame(fate);
                    self.telemetry.resolve(Cause::Frame);
                    self.telemetry.resolve(Cause::FrameSize);
                    self.telemetry.resolve(Cause::Bundle);
                    self.enlarge(&frame, &mut report, progress);
                    self.count_for_trials();
                    report.shadow = None;
                    if fate == Fate::Inspected {
                        pulse.beat(WatchedThread::Inspection);
                        self.judge_beside(&frame, &mut report, slot, progress);
                    }
                    // Last: it may take the pixels and leave others.
                    if let Some(viewer) = &self.inspection.viewer {
                        viewer.observe(&mut frame.picture, &report.verdict, report.latency);
                    }
                    Message::Verdict(report)
                }
                Err(error) => {
                    self.judged = None;
                    progress.frame(Fate::Failed);
                    let cause = match error {
                        TaskError::Picture(_) | TaskError::TooSmall { .. } | TaskError::Unfound => Cause::Frame,
                        TaskError::OtherSize(_) => Cause::FrameSize,
                        TaskError::Bundle(_) | TaskError::Engine(_) | TaskError::Output(_) => Cause::Bundle,
                    };
                    Message::InspectionFailed { report, cause, reason: error.to_string() }
                }
            };
            slot.give_back(frame);
            if !self.hand_over(message, to_writer, pulse) {
                return false;
            }
            free = Instant::now();
            self.shedding.inspected(taken, free);
        }
    }

    /// Another run follows at once.
    pub(super) fn hand_over_signals(&mut self) {
        self.inspection.signals.iter_mut().for_each(|signal| signal.hand_over());
    }

    /// Hands a message to the writer, and takes another report for the next frame; where the writer has them all, this one is
    /// dropped and its report used again. Returns whether the writer is still there.
    fn hand_over(&mut self, message: Message, to_writer: &ToWriter, pulse: &Pulse) -> bool {
        let beat = || pulse.beat(WatchedThread::Inspection);
        self.spare.extend(self.used.try_iter());
        let is_evidence = matches!(&message, Message::Verdict(report) if report.is_evidence());
        let enough = if !self.live || is_evidence { 1 } else { 1 + FOR_EVIDENCE };
        while self.spare.len() < enough && !self.live && !to_writer.is_abandoned() {
            match self.used.recv_timeout(BEAT) {
                Ok(report) => self.spare.push(report),
                Err(RecvTimeoutError::Timeout) => beat(),
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        let unsent = if self.spare.len() < enough { Err(message) } else { to_writer.send(message, beat) };
        let Err(message) = unsent else {
            self.report = self.spare.pop();
            return true;
        };
        to_writer.progress.drop_verdict(is_evidence);
        match message {
            Message::Verdict(report) => self.report = Some(report),
            Message::InspectionFailed { report, cause, reason } => {
                self.telemetry.fail(cause, &format!("{}: {reason}", report.name));
                self.report = Some(report);
            }
            Message::CaptureFailed { .. } => return false,
        }
        true
    }

    fn judge(&mut self, frame: &Frame, report: &mut Report) -> Result<Fate, TaskError> {
        let (picture, skip_similar) = (&frame.picture, self.inspection.skip_similar);
        let size = (picture.width(), picture.height());
        if !self.follow_product(report) {
            report.verdict.refuse_product(size);
            report.bundle = Arc::clone(&self.no_bundle);
            report.answers.clear();
            return Ok(Fate::Inspected);
        }
        let smaller = self.inspection.smaller.as_mut().filter(|smaller| smaller.size == size);
        let judge = if smaller.is_some() { Judge::OfSmaller } else { Judge::Usual };
        let tasks = smaller.map_or(&mut self.inspection.tasks, |smaller| &mut smaller.tasks);
        tasks.require_taught_size(size)?;
        tasks.prepare(picture)?;
        let comparable = self.judged.replace(judge) == Some(judge);
        let fate = if comparable && skip_similar > 0.0 && tasks.change(picture)? < skip_similar {
            tasks.repeat_verdict(size, &mut report.verdict);
            Fate::SkippedSimilar
        } else {
            tasks.judge(picture, &mut report.verdict)?;
            Fate::Inspected
        };
        report.bundle = Arc::clone(tasks.bundle());
        tasks.answers(&mut report.answers);
        Ok(fate)
    }

    /// Lets the product judge that is asked for; returns whether somebody can.
    fn follow_product(&mut self, report: &mut Report) -> bool {
        report.verdict.is_unknown_product = false;
        let Some(products) = &mut self.inspection.products else { return true };
        let followed = products.follow(&mut self.inspection.tasks);
        if followed != Followed::Same {
            // What was seen before was another product.
            (self.judged, self.last) = (None, None);
        }
        report.product =
            products.product().map(|(name, _)| Arc::clone(name)).filter(|_| followed != Followed::Unavailable);
        followed != Followed::Unavailable
    }

    /// The code of the product that the frame was judged as; of an unknown one `Some(None)`, without products `None`.
    fn product_code(&self, report: &Report) -> Option<Option<u16>> {
        let products = self.inspection.products.as_ref()?;
        Some(products.product().filter(|_| report.product.is_some()).map(|(_, code)| code))
    }

    /// Publishes the result of the frame, whose number in this run is its id.
    fn publish(&mut self, frame: &Frame, report: &Report, is_judged: bool, progress: &Progress) {
        self.frames += 1;
        let product = self.product_code(report);
        if let Some(code) = product {
            progress.product(code.unwrap_or(0));
        }
        let product = product.flatten();
        let Some(results) = &mut self.inspection.results else { return };
        let (kind, score, severity) = match (is_judged, report.verdict.defect) {
            (true, false) => (ResultKind::Ok, report.verdict.score, report.verdict.severity),
            (true, true) => (ResultKind::Nok, report.verdict.score, report.verdict.severity),
            (false, _) => (ResultKind::NoResult, 0.0, 0.0),
        };
        results.publish(NewResult { id: self.frames, kind, score, severity, product, wall: frame.wall });
    }

    /// The statistics of the frame that was judged.
    fn frame_stats(&mut self, score: f64) -> FrameStats {
        let mut stats = FrameStats { score, look: None, is_distinct: false };
        // The scores of another bundle on smaller frames cannot be compared with the first task's baseline.
        if self.judged == Some(Judge::Usual) {
            stats.score = self.inspection.tasks.first_score();
            let look = self.inspection.tasks.image_stats();
            stats.look = Some((look.brightness, look.sharpness));
            // A part that triggers is another part, even if it looks the same.
            stats.is_distinct = self.by_trigger || self.last.as_ref().is_none_or(|last| look.differs_from(last));
            if stats.is_distinct {
                self.last = Some(*look);
            }
        }
        stats
    }

    /// Whether the frame is to be kept, and with which priority. What stands still before the lens looks like the frame
    /// before; smaller frames are not compared.
    fn priority(&mut self, defect: bool, similar: bool, is_distinct: bool) -> Option<Priority> {
        let same = self.last_defect && !is_distinct && self.judged == Some(Judge::Usual);
        self.last_defect = defect;
        if defect {
            return Some(if same { Priority::Repeated } else { Priority::Defect });
        }
        if similar || self.inspection.normal_every == 0 {
            return None;
        }
        self.normals += 1;
        (self.normals >= self.inspection.normal_every).then(|| {
            self.normals = 0;
            Priority::Normal
        })
    }

    /// Counts the frame for the versions on trial that judged it.
    fn count_for_trials(&self) {
        let Inspection { trials, tasks, .. } = &self.inspection;
        for trial in trials.iter().filter(|_| self.judged == Some(Judge::Usual)) {
            if let Some((_, verdict)) = tasks.said_by(trial.bundle()) {
                trial.add(verdict.defect);
            }
        }
    }

    /// Lets the shadows judge the frame, each where its active version has judged it and the time suffices or its share of it has come.
    fn judge_beside(&mut self, frame: &Frame, report: &mut Report, slot: &NewestFrame, progress: &Progress) {
        if self.judged != Some(Judge::Usual) {
            return;
        }
        let Inspection { shadows, tasks, .. } = &mut self.inspection;
        for shadow in shadows {
            let Some((task, active)) = tasks.said_by(shadow.beside()) else { continue };
            let now = Instant::now();
            let is_out_of_time = self.live && (shadow.is_out_of_time(self.pace.left(now)) || slot.is_waiting());
            // The next part is waited for: its verdict must not come later. A camera that runs freely shows the part in more frames.
            if is_out_of_time && (self.by_trigger || !shadow.is_owed(now)) {
                progress.shadow(ShadowFate::Skipped);
                continue;
            }
            let fate = shadow.judge(&frame.picture, active);
            progress.shadow(fate);
            if fate == ShadowFate::Differs && report.shadow.is_none() {
                report.shadow = shadow.record(Instant::now(), (tasks.count() > 1).then(|| Arc::clone(task)));
                if report.shadow.is_some() && report.priority.is_none() {
                    copy(&frame.picture, &mut report.frame);
                }
            }
        }
    }

    fn enlarge(&mut self, frame: &Frame, report: &mut Report, progress: &Progress) {
        let picture = &frame.picture;
        report.without_spot();
        if report.priority.is_some() {
            copy(picture, &mut report.frame);
        }
        let Some(Enlargement { enlarger, when, spot: side, limit }) = &mut self.inspection.enlargement else { return };
        let area = match when {
            When::Anomaly if report.verdict.is_unknown_product => return,
            When::Anomaly if report.verdict.defect => spot(report.verdict.peak, *side, picture),
            When::Always if report.verdict.defect || !self.shedding.enlarges_only_defects() => whole(picture),
            _ => return,
        };
        let (mut small, mut large) = report.spot_buffers();
        picture.crop_into(area, &mut small);
        let started = Instant::now();
        match enlarger.enlarge_area(picture, area, &mut large) {
            Ok(()) => {
                let time = started.elapsed();
                report.late = limit.is_some_and(|limit| time > limit).then_some(time);
                progress.enlarged(time, report.late.is_some());
                report.spot = Some((small, large));
            }
            Err(error) => report.spot_failure = Some(error.to_string()),
        }
    }
}

/// Copies a frame into a buffer that has been made.
fn copy(from: &Picture, to: &mut Picture) {
    to.reshape(from.layout(), from.width(), from.height());
    to.data_mut().copy_from_slice(from.data());
}
