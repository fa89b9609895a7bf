//! The thread with simulated lines: edges come by a socket, and outputs write down when they were set.

use super::*;
use crate::board::{EDGE_BATCH, LineEdge};
use crate::sink::SwitchLine;
use crate::telemetry::Telemetry;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn verdict(defect: bool) -> PartVerdict {
    PartVerdict { defect, ..PartVerdict::default() }
}

/// A line whose edges a test makes.
struct Simulated {
    socket: UnixDatagram,
    base: Instant,
    state: Arc<Broken>,
}

#[derive(Default)]
struct Broken {
    is_gone: AtomicBool,
    panics: AtomicBool,
}

/// Makes the edges of a [`Simulated`].
struct Belt {
    socket: UnixDatagram,
    base: Instant,
    state: Arc<Broken>,
}

fn simulated() -> (Simulated, Belt) {
    let (socket, other) = UnixDatagram::pair().unwrap();
    socket.set_nonblocking(true).unwrap();
    let (base, state) = (Instant::now(), Arc::<Broken>::default());
    (Simulated { socket, base, state: Arc::clone(&state) }, Belt { socket: other, base, state })
}

impl Belt {
    fn edge(&self, lost: u64) -> Instant {
        let at = Instant::now();
        let nanoseconds = (at - self.base).as_nanos() as u64;
        self.socket.send(&[nanoseconds.to_ne_bytes(), lost.to_ne_bytes()].concat()).unwrap();
        at
    }
}

impl EdgeInput for Simulated {
    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn read(&mut self, edges: &mut [LineEdge; EDGE_BATCH]) -> Result<usize, String> {
        assert!(!self.state.panics.load(SeqCst), "as the test wants it");
        if self.state.is_gone.load(SeqCst) {
            return Err("unplugged".into());
        }
        let (mut count, mut bytes) = (0, [[0; 8]; 2]);
        while count < EDGE_BATCH && self.socket.recv(bytes.as_flattened_mut()).is_ok() {
            let [nanoseconds, lost] = bytes.map(u64::from_ne_bytes);
            edges[count] = LineEdge { at: self.base + Duration::from_nanos(nanoseconds), lost };
            count += 1;
        }
        Ok(count)
    }

    fn line_name(&self) -> &str {
        "simulated line 4"
    }
}

/// A line was set at a time.
type Setting = (&'static str, bool, Instant);

/// What was set, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Setting>>>);

struct Lamp(&'static str, Log, Option<bool>);

impl SwitchLine for Lamp {
    fn set(&mut self, on: bool) {
        if self.2.replace(on) != Some(on) {
            self.1.0.lock().unwrap().push((self.0, on, Instant::now()));
        }
    }
}

impl Log {
    fn lamp(&self, name: &'static str) -> Option<Box<dyn SwitchLine>> {
        Some(Box::new(Lamp(name, self.clone(), None)))
    }

    /// What a controller reads at each strobe: OK, NOK; and when.
    fn read(&self) -> Vec<(bool, bool, Instant)> {
        let (mut ok, mut nok, mut read) = (false, false, Vec::new());
        for (name, on, at) in self.0.lock().unwrap().iter() {
            match *name {
                "ok" => ok = *on,
                "nok" => nok = *on,
                "strobe" if *on => read.push((ok, nok, *at)),
                _ => {}
            }
        }
        read
    }

    fn last(&self, line: &str) -> Option<bool> {
        self.0.lock().unwrap().iter().rev().find(|set| set.0 == line).map(|set| set.1)
    }
}

struct Rig {
    thread: PartThread,
    parts: Arc<Parts>,
    trigger: Belt,
    encoder: Belt,
    log: Log,
    telemetry: Telemetry,
}

fn rig(deadline: u64, pulse: u64, reject: Option<RejectDistance>) -> Rig {
    let ms = Duration::from_millis;
    let (log, telemetry) = (Log::default(), Telemetry::default());
    let ((trigger, belt), (encoder, encoder_belt)) = (simulated(), simulated());
    let parts = Arc::new(Parts::new(ms(deadline), ms(1), Vec::new(), Vec::new()).unwrap());
    let line = PartLine {
        parts: Arc::clone(&parts),
        trigger: Box::new(trigger),
        encoder: Some(Box::new(encoder)),
        outputs: PartOutputs {
            ok: log.lamp("ok"),
            nok: log.lamp("nok"),
            strobe: log.lamp("strobe"),
            reject: log.lamp("reject"),
        },
        timing: PulseTiming { setup: ms(1), pulse: ms(pulse), strobe: true, no_result_is_nok: true },
        reject: reject.map(|distance| RejectRule { distance, pulse: ms(5) }),
        results: None,
        telemetry: telemetry.clone(),
    };
    // These passed before the line was ready.
    (0..20).for_each(|_| {
        belt.edge(0);
    });
    let thread = line.start().unwrap();
    let rig = Rig { thread, parts, trigger: belt, encoder: encoder_belt, log, telemetry };
    // The first beat is behind the edges that are too old.
    rig.until(|rig| rig.parts.has_beaten(&mut 0));
    rig
}

impl Rig {
    /// Waits for something that will be, however slow the machine.
    fn until(&self, done: impl Fn(&Rig) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < Duration::from_secs(180), "it never came");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A part with its frame.
    fn part(&self) -> PartTicket {
        self.parts.claim(self.trigger.edge(0)).expect("its part waits")
    }
}

#[test]
fn the_lines_show_what_parts_got_in_order() {
    // Long enough for any machine.
    let mut rig = rig(20_000, 1, None);
    let results: Vec<bool> = (0..40).map(|part| part % 3 == 0).collect();
    for (id, defect) in (1..).zip(&results) {
        let outcome = rig.part().judge(verdict(*defect), Instant::now());
        assert_eq!((outcome.id, outcome.result == PartResult::Nok, outcome.reason), (id, *defect, None));
    }
    rig.until(|rig| rig.parts.status().lines.pulses.shown == 40);
    rig.thread.stop();
    let read: Vec<(bool, bool)> = rig.log.read().iter().map(|read| (read.0, read.1)).collect();
    assert_eq!(read, results.iter().map(|defect| (!defect, *defect)).collect::<Vec<_>>());
    assert_eq!(rig.parts.next_id(), 41);
    for line in ["ok", "nok", "strobe", "reject"] {
        assert_eq!(rig.log.last(line), Some(false), "{line} is off in the end");
    }
}

#[test]
fn a_part_without_a_frame_has_no_result_at_its_deadline_and_not_before() {
    let rig = rig(60, 5, None);
    let edge = rig.trigger.edge(2);
    rig.until(|rig| rig.parts.status().lines.pulses.shown == 3);
    let read = rig.log.read();
    // Two lost edges, at once, then the one that had no frame.
    assert!(read.iter().all(|read| (read.0, read.1) == (false, true)));
    assert!(read[2].2 >= edge + Duration::from_millis(58), "{:?}", read[2].2 - edge);
    let mut runs = Vec::with_capacity(64);
    assert_eq!(rig.parts.take_unjudged(Duration::ZERO, &mut runs), Some(0));
    let runs: Vec<_> = runs.iter().map(|run| (run.first, run.count, run.reason)).collect();
    assert_eq!(runs, [(1, 2, NoResultReason::EdgeLost), (3, 1, NoResultReason::NoFrame)]);
    assert_eq!(rig.parts.take_without_frame(), WithoutFrame { passed_over: 2, expired: 1 });
}

#[test]
fn a_frame_that_is_dropped_leaves_its_part_without_a_result_at_once() {
    let rig = rig(20_000, 1, None);
    drop(rig.part());
    let kept = rig.part();
    kept.fail(NoResultReason::Failed);
    rig.until(|rig| rig.parts.status().counts.of(PartResult::NoResult) == 2);
    assert_eq!(rig.parts.status().counts.late, 0);
}

#[test]
fn parts_in_flight_have_no_result_when_the_line_stops_and_the_lines_show_that() {
    let mut rig = rig(20_000, 10, None);
    let ticket = rig.part();
    rig.trigger.edge(0);
    rig.until(|rig| rig.parts.status().counts.parts == 2);
    rig.thread.stop();
    assert_eq!(rig.log.read().len(), 2);
    assert_eq!(ticket.judge(verdict(false), Instant::now()).reason, Some(NoResultReason::Late));
    let status = rig.parts.status();
    assert_eq!((status.counts.results, status.counts.in_flight, status.counts.late), ([0, 0, 2], 0, 1));
}

#[test]
fn bad_parts_are_rejected_by_the_encoder() {
    let rig = rig(20_000, 1, Some(RejectDistance::Edges(30)));
    for _ in 0..7 {
        rig.encoder.edge(0);
    }
    rig.part().judge(verdict(true), Instant::now());
    // Lost edges of the encoder count.
    rig.encoder.edge(28);
    rig.part().judge(verdict(false), Instant::now());
    assert_eq!(rig.parts.status().lines.rejects.given, 0);
    rig.encoder.edge(0);
    rig.until(|rig| rig.parts.status().lines.rejects.given == 1);
    rig.until(|rig| rig.log.last("reject") == Some(false));
    assert_eq!(rig.parts.status().lines.rejects.pending, 0);
}

#[test]
fn a_trigger_that_is_gone_is_a_fault_and_parts_in_flight_still_get_their_results() {
    let rig = rig(2000, 1, None);
    let ticket = rig.part();
    rig.trigger.edge(0);
    rig.until(|rig| rig.parts.status().counts.parts == 2);
    rig.trigger.state.is_gone.store(true, SeqCst);
    drop(ticket);
    rig.until(|rig| rig.telemetry.active_faults().as_deref() == Some("trigger"));
    rig.until(|rig| rig.parts.status().lines.pulses.shown == 2);
    rig.trigger.state.is_gone.store(false, SeqCst);
    rig.until(|rig| rig.telemetry.active_faults().is_none());
    assert_eq!(rig.part().id(), 3);
}

#[test]
fn a_panic_of_the_thread_is_seen_and_leaves_the_lines_off() {
    let mut rig = rig(20_000, 200, None);
    rig.part().judge(verdict(false), Instant::now());
    rig.until(|rig| rig.log.last("strobe") == Some(true));
    rig.trigger.state.panics.store(true, SeqCst);
    rig.until(|rig| rig.thread.has_failed());
    assert_eq!((rig.log.last("ok"), rig.log.last("strobe")), (Some(false), Some(false)));
    // Nobody waits for it: frames find no part.
    assert!(rig.parts.claim(Instant::now()).is_none());
    rig.thread.stop();
}
