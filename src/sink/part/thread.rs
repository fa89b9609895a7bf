//! The thread that serves the parts: it reads the edges, closes the windows of parts without a verdict, and sets the lines, each to
//! about 0.1 ms. It sleeps until the next of these is due or somebody wakes it, makes no allocation, and waits for nobody.

use super::inputs::{EdgeInput, InputLine, RETRY, no_edges};
use super::ledger::DecidedPart;
use super::outcome::{PartResult, PartVerdict};
use super::outputs::{OffAtEnd, PartOutputs};
use super::pulses::{PulseTiming, PulseTrain};
use super::reject::{RejectDistance, RejectQueue};
use super::shared::{PartLineCounts, Parts};
use crate::board::EDGE_BATCH;
use crate::memory::seal_this_thread;
use crate::sink::{NewResult, ResultKind, ResultPublisher};
use crate::telemetry::{Cause, Telemetry};
use crate::threads::{join_within, not_started};
use crate::times::{BEAT, LAST_RESULTS};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::setpriority_process;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// The name of the thread.
pub const PART_THREAD: &str = "parts";
/// Its stack, in bytes.
pub const PART_STACK: usize = 1 << 18;

/// Of this thread: Linux keeps it for each thread.
const NICENESS: i32 = -15;
/// Batches of encoder edges that are read at once: what the kernel's queue holds.
const ENCODER_BATCHES: usize = 64;

/// How the ejector is served.
#[derive(Debug, Clone, Copy)]
pub struct RejectRule {
    /// From the trigger to the ejector.
    pub distance: RejectDistance,
    /// How long it is on for one part.
    pub pulse: Duration,
}

/// Everything that the thread needs, opened.
pub struct PartLine {
    /// The parts.
    pub parts: Arc<Parts>,
    /// Announces parts.
    pub trigger: Box<dyn EdgeInput>,
    /// Counts the way that they go.
    pub encoder: Option<Box<dyn EdgeInput>>,
    /// The lines.
    pub outputs: PartOutputs,
    /// The lengths of pulses.
    pub timing: PulseTiming,
    /// The ejector, where there is one.
    pub reject: Option<RejectRule>,
    /// Where each part's result is published.
    pub results: Option<ResultPublisher>,
    /// Where faults are reported.
    pub telemetry: Telemetry,
}

/// The running thread; it ends when this is dropped.
pub struct PartThread {
    parts: Arc<Parts>,
    thread: Option<JoinHandle<()>>,
}

impl PartLine {
    /// Starts the thread. Edges from before that announce nothing.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(self) -> io::Result<PartThread> {
        let parts = Arc::clone(&self.parts);
        let mut server = PartServer::new(self);
        let started = Builder::new().name(PART_THREAD.into()).stack_size(PART_STACK).spawn(move || server.run());
        let thread = started.map_err(|error| not_started(PART_THREAD, &error))?;
        Ok(PartThread { parts, thread: Some(thread) })
    }
}

impl PartThread {
    /// The parts.
    pub fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }

    /// Whether the thread has panicked.
    pub fn has_failed(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Ends it: parts in flight have no result, which the lines still show.
    pub fn stop(&mut self) {
        self.parts.ask_to_stop();
        if let Some(thread) = self.thread.take() {
            join_within(thread, LAST_RESULTS + RETRY);
        }
    }
}

impl Drop for PartThread {
    fn drop(&mut self) {
        self.stop();
    }
}

struct PartServer {
    parts: Arc<Parts>,
    trigger: InputLine,
    encoder: Option<InputLine>,
    /// Edges of the encoder so far.
    position: u64,
    outputs: OffAtEnd,
    pulses: PulseTrain,
    rejects: Option<RejectQueue>,
    no_result_is_nok: bool,
    results: Option<ResultPublisher>,
    counts: PartLineCounts,
}

impl PartServer {
    fn new(line: PartLine) -> PartServer {
        let PartLine { parts, trigger, encoder, outputs, timing, reject, results, telemetry } = line;
        let input = |input, name, cause| InputLine { input, name, cause, telemetry: telemetry.clone(), retry_at: None };
        let mut outputs = OffAtEnd(outputs);
        outputs.all_off();
        PartServer {
            parts,
            trigger: input(trigger, "trigger", Cause::Trigger),
            encoder: encoder.map(|encoder| input(encoder, "encoder", Cause::Encoder)),
            position: 0,
            outputs,
            pulses: PulseTrain::new(timing),
            rejects: reject.map(|rule| RejectQueue::new(rule.distance, rule.pulse)),
            no_result_is_nok: timing.no_result_is_nok,
            results,
            counts: PartLineCounts::default(),
        }
    }

    fn run(&mut self) {
        seal_this_thread();
        // It computes next to nothing, and comes before whoever computes, where the user may decide that (operations.md).
        let _ = setpriority_process(None, NICENESS);
        self.discard_edges();
        let mut last_results = None;
        loop {
            self.parts.beat();
            self.parts.clear_wake();
            if last_results.is_none() {
                self.read_edges();
            }
            let now = Instant::now();
            if last_results.is_none() && self.parts.is_stopping() {
                self.parts.end(now);
                if let Some(rejects) = &mut self.rejects {
                    rejects.stop();
                }
                last_results = Some(now + LAST_RESULTS);
            }
            let next = self.serve(now);
            if last_results.is_some_and(|until| now >= until || self.pulses.is_idle()) {
                return;
            }
            self.sleep(next, last_results.is_none());
        }
    }

    /// What passed before the line was ready is not inspected.
    fn discard_edges(&mut self) {
        let mut edges = no_edges();
        for line in [Some(&mut self.trigger), self.encoder.as_mut()].into_iter().flatten() {
            for _ in 0..ENCODER_BATCHES {
                if line.read(&mut edges, Instant::now()) != Some(EDGE_BATCH) {
                    break;
                }
            }
        }
    }

    /// Announces the parts of new edges, each with the encoder's count at that time.
    fn read_edges(&mut self) {
        let looked = Instant::now();
        let (mut triggers, mut edges) = (no_edges(), no_edges());
        let read = self.trigger.read(&mut triggers, looked);
        let count = read.unwrap_or(0);
        // The encoder is read afterwards, so that all its edges that were before a trigger's are known.
        let (mut positions, mut placed) = ([0; EDGE_BATCH], 0);
        if let Some(encoder) = &mut self.encoder {
            for _ in 0..ENCODER_BATCHES {
                let read = encoder.read(&mut edges, looked).unwrap_or(0);
                for edge in &edges[..read] {
                    while placed < count && triggers[placed].at <= edge.at {
                        positions[placed] = self.position;
                        placed += 1;
                    }
                    self.position += edge.lost + 1;
                }
                if read < EDGE_BATCH {
                    break;
                }
            }
        }
        positions[placed..count].fill(self.position);
        // A full batch may not be all.
        let known = read.filter(|count| *count < EDGE_BATCH).map(|_| looked);
        let announced = triggers[..count].iter().zip(positions).map(|(edge, position)| (edge.at, edge.lost, position));
        self.parts.announce(announced, known);
    }

    /// Sets the lines; returns when something is due next.
    fn serve(&mut self, now: Instant) -> Option<Instant> {
        let PartServer { parts, pulses, rejects, position, no_result_is_nok, results, .. } = self;
        let show = |part: DecidedPart| {
            let result = part.outcome.result;
            if let Some(results) = results {
                results.publish(published(&part, now));
            }
            pulses.push(result, part.due);
            let is_bad = result == PartResult::Nok || result == PartResult::NoResult && *no_result_is_nok;
            if let Some(rejects) = rejects.as_mut().filter(|_| is_bad) {
                rejects.push(part.at, part.position, now, *position);
            }
        };
        let expiry = parts.serve(now, show);
        let levels = self.pulses.tick(now);
        self.outputs.show(levels);
        let mut due = [expiry, self.pulses.next(), None];
        if let Some(rejects) = &mut self.rejects {
            self.outputs.reject(rejects.tick(now, self.position));
            due[2] = rejects.next();
        }
        let rejects = self.rejects.as_ref().map(|rejects| rejects.counts).unwrap_or_default();
        let counts = PartLineCounts { pulses: self.pulses.counts, rejects };
        if counts != self.counts {
            self.counts = counts;
            self.parts.set_lines(counts);
        }
        due.into_iter().flatten().min()
    }

    /// Until something is due, an edge comes or somebody wakes it.
    fn sleep(&self, until: Option<Instant>, reads_edges: bool) {
        let inputs = [Some(&self.trigger), self.encoder.as_ref()];
        let is_gone = inputs.into_iter().flatten().any(|line| line.retry_at.is_some());
        let longest = if is_gone { RETRY } else { BEAT };
        let now = Instant::now();
        let time = until.map_or(longest, |until| until.saturating_duration_since(now).min(longest));
        let timeout = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
        let wake = self.parts.wake_fd();
        // A line that is gone is readable for ever; it is left out until it is tried again.
        let mut fds = [wake; 3];
        for (fd, line) in fds.iter_mut().zip(inputs) {
            if let Some(line) = line.filter(|line| reads_edges && line.retry_at.is_none()) {
                *fd = line.input.fd();
            }
        }
        let mut polled = fds.each_ref().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN));
        // Interrupted or not: the loop looks at everything.
        let _ = poll(&mut polled, Some(&timeout));
    }
}

/// A part's result, for whoever asks for the newest.
fn published(part: &DecidedPart, now: Instant) -> NewResult {
    let kind = match part.outcome.result {
        PartResult::Ok => ResultKind::Ok,
        PartResult::Nok => ResultKind::Nok,
        PartResult::NoResult => ResultKind::NoResult,
    };
    let PartVerdict { score, severity, .. } = part.verdict.unwrap_or_default();
    let wall = jiff::Timestamp::now();
    let wall = wall.checked_sub(now.saturating_duration_since(part.at)).unwrap_or(wall);
    NewResult { id: part.outcome.id, kind, score, severity, product: part.product, wall }
}
