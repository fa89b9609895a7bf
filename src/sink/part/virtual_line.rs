//! Whole lines in virtual time: belt, trigger, camera, inspection, lines, controller, encoder and ejector.

use super::counts::PartTable;
use super::ledger::PartLedger;
use super::outcome::{NoResultReason, PartResult};
use super::pulses::{PulseTiming, PulseTrain};
use super::reject::{RejectCounts, RejectDistance, RejectQueue};
use super::tests::{Controller, is_bad, ms, verdict};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A line in virtual time, in steps of a tenth of a millisecond.
struct VirtualLine {
    parts: u64,
    /// Between two parts at least, and how much more at most, in ms.
    distance: (u64, u64),
    /// Between two frames, in ms.
    frame: u64,
    /// From a frame's capture until it has arrived, in ms.
    transport: u64,
    /// A verdict takes so long, and how much more at most, in ms.
    judge: (u64, u64),
    /// One of so many frames is lost.
    lost: u64,
    /// The camera is away for the second half of each of these, in ms.
    away: Option<u64>,
    timing: PulseTiming,
}

/// How a virtual line went.
struct Went {
    ledger: PartLedger,
    train: PulseTrain,
    rejects: RejectQueue,
    /// What the controller read, and its delay after the edge at most.
    read: Vec<(bool, bool)>,
    slowest: Duration,
    decided: Vec<PartResult>,
}

impl VirtualLine {
    fn run(&self, seed: u64) -> Went {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut up_to = |most: u64| if most == 0 { 0 } else { random.next_u64() % (most + 1) };
        let tenth = Duration::from_micros(100);
        let (deadline, start) = (ms(100), Instant::now());
        let window = deadline - self.timing.setup - ms(1);
        let mut ledger = PartLedger::new(deadline, window, PartTable::new(Vec::new(), Vec::new()));
        let (mut train, mut controller) = (PulseTrain::new(self.timing), Controller::new(self.timing));
        let mut rejects = RejectQueue::new(RejectDistance::Edges(700), ms(20));
        let (mut edges, mut decided): (Vec<Instant>, Vec<PartResult>) = (Vec::new(), Vec::new());
        // Frames that arrive then, each with its capture.
        let mut coming: VecDeque<(u64, Instant)> = VecDeque::new();
        let mut slot: Option<u64> = None;
        let mut judging: Option<(u64, u64)> = None;
        let mut next_edge = 10;
        let mut step = 0_u64;
        while (edges.len() as u64) < self.parts || ledger.counts.in_flight > 0 || !train.is_idle() {
            let now = start + tenth * step as u32;
            // The encoder runs with the belt: an edge each millisecond.
            let position = step / 10;
            if step == next_edge && (edges.len() as u64) < self.parts {
                ledger.announce(now, position, now);
                edges.push(now);
                next_edge = step + 10 * self.distance.0 + up_to(10 * self.distance.1);
            }
            let is_away = self.away.is_some_and(|period| step / 10 % period >= period / 2);
            if step.is_multiple_of(10 * self.frame) && !is_away && (self.lost == 0 || up_to(self.lost - 1) != 0) {
                coming.push_back((step + 10 * self.transport, now));
            }
            if let Some((_, captured)) = coming.pop_front_if(|frame| frame.0 <= step)
                && let Some(id) = ledger.claim(captured, now)
            {
                let truth = edges.iter().rposition(|edge| *edge <= captured).unwrap() as u64 + 1;
                assert_eq!(id, truth);
                // The newest frame wins, and a part whose frame is dropped has no verdict.
                if let Some(dropped) = slot.replace(id) {
                    ledger.fail(dropped, NoResultReason::Dropped, now);
                }
            }
            if let Some((id, _)) = judging.take_if(|judging| judging.1 <= step) {
                ledger.judge(id, verdict(is_bad(id)), now);
            }
            if judging.is_none()
                && let Some(id) = slot.take()
            {
                judging = Some((id, step + 10 * self.judge.0 + up_to(10 * self.judge.1)));
            }
            ledger.expire(now);
            while let Some(part) = ledger.take_decided() {
                assert_eq!(part.outcome.id, decided.len() as u64 + 1);
                if part.outcome.result != PartResult::NoResult {
                    assert_eq!(part.outcome.result == PartResult::Nok, is_bad(part.outcome.id));
                }
                decided.push(part.outcome.result);
                train.push(part.outcome.result, part.due);
                if part.outcome.result != PartResult::Ok {
                    rejects.push(part.at, part.position, now, position);
                }
            }
            controller.sees(train.tick(now), now);
            rejects.tick(now, position);
            step += 1;
        }
        for _ in 0..20_000 {
            rejects.tick(start + tenth * step as u32, step / 10);
            step += 1;
        }
        let slowest = edges.iter().zip(&controller.read_at).map(|(edge, read)| *read - *edge).max().unwrap();
        Went { ledger, train, rejects, read: controller.read, slowest, decided }
    }

    /// Each part has one result that the controller has read, in order and in time.
    fn check(&self, went: &Went) {
        let expected: Vec<_> = went.decided.iter().map(|result| self.timing.shown_as(*result)).collect();
        assert_eq!((went.decided.len() as u64, &went.read), (self.parts, &expected));
        assert!(went.slowest <= ms(100) && went.train.counts.overdue == 0, "{:?}", went.slowest);
        let bad = went.decided.iter().filter(|result| **result != PartResult::Ok).count() as u64;
        let RejectCounts { given, late, lost, pending } = went.rejects.counts;
        assert_eq!((given, late, lost, pending), (bad, 0, 0, 0));
    }
}

const TWENTY_A_SECOND: VirtualLine = VirtualLine {
    parts: 10_000,
    distance: (48, 4),
    frame: 33,
    transport: 5,
    judge: (20, 15),
    lost: 0,
    away: None,
    timing: PulseTiming {
        setup: Duration::from_millis(1),
        pulse: Duration::from_millis(10),
        strobe: true,
        no_result_is_nok: true,
    },
};

#[test]
fn ten_thousand_parts_at_twenty_a_second_get_ten_thousand_results_in_order() {
    let went = TWENTY_A_SECOND.run(1);
    TWENTY_A_SECOND.check(&went);
    assert_eq!(went.ledger.counts.of(PartResult::NoResult), 0);
    assert_eq!(went.train.counts.cut, 0);
}

#[test]
fn ten_thousand_parts_get_their_results_however_badly_camera_and_inspection_do() {
    let line = VirtualLine { lost: 4, judge: (5, 80), away: Some(30_000), transport: 12, ..TWENTY_A_SECOND };
    let went = line.run(2);
    line.check(&went);
    let counts = went.ledger.counts;
    // All of it happened: parts of each result, and verdicts that came too late.
    assert!(counts.results.iter().all(|count| *count > 1000) && counts.late > 100, "{counts:?}");
}

#[test]
fn two_hundred_parts_a_second_get_their_results_with_pulses_that_are_too_long() {
    let line = VirtualLine { parts: 3000, distance: (4, 2), frame: 8, transport: 3, judge: (6, 9), ..TWENTY_A_SECOND };
    let went = line.run(3);
    line.check(&went);
    assert!(went.train.counts.waited > 1000 && went.train.counts.cut > 1000, "{:?}", went.train.counts);
    assert!(went.ledger.counts.of(PartResult::NoResult) > 1000, "{:?}", went.ledger.counts);
}
