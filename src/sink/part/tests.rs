//! The state machines with a clock of their own: what they do one by one, and random events against what must always hold.

use super::counts::{CountedProduct, PartTable};
use super::ledger::{DecidedPart, MAX_IN_FLIGHT, PartLedger};
use super::outcome::{NoResultReason, PartResult, PartVerdict};
use super::pulses::{MIN_PULSE, PulseTiming, PulseTrain, ResultLevels};
use super::reject::{MAX_REJECTS, RejectCounts, RejectDistance, RejectQueue};
use proptest::prelude::*;
use std::collections::HashMap;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_millis(100);
const WINDOW: Duration = Duration::from_millis(98);

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn verdict(defect: bool) -> PartVerdict {
    PartVerdict { defect, score: 0.5, severity: 1.0, product: None }
}

fn ledger() -> PartLedger {
    PartLedger::new(DEADLINE, WINDOW, PartTable::new(Vec::new(), Vec::new()))
}

/// Everything that has come out, as `(id, result, reason)`.
fn out(ledger: &mut PartLedger) -> Vec<(u64, PartResult, Option<NoResultReason>)> {
    std::iter::from_fn(|| ledger.take_decided())
        .map(|part| (part.outcome.id, part.outcome.result, part.outcome.reason))
        .collect()
}

#[test]
fn a_part_is_judged_by_the_first_frame_since_its_edge() {
    let (mut ledger, start) = (ledger(), Instant::now());
    let at = |time| start + ms(time);
    assert_eq!(ledger.claim(at(5), at(6)), None, "there is no part");
    assert_eq!((ledger.announce(at(10), 0, at(10)), ledger.wanted()), (1, Some(at(10))));
    assert_eq!(ledger.claim(at(9), at(12)), None, "captured before the part was there");
    assert_eq!(ledger.claim(at(10), at(15)), Some(1));
    assert_eq!(ledger.claim(at(20), at(25)), None, "the part has its frame");
    let outcome = ledger.judge(1, verdict(true), at(40));
    assert_eq!((outcome.result, outcome.reason), (PartResult::Nok, None));
    assert_eq!(out(&mut ledger), [(1, PartResult::Nok, None)]);
    assert_eq!(ledger.claim(at(30), at(60)), None, "a frame of a part that has its result");
}

#[test]
fn a_verdict_at_the_deadline_is_late_and_just_before_it_is_not() {
    for (early, result) in [(Duration::ZERO, PartResult::NoResult), (Duration::from_nanos(1), PartResult::Ok)] {
        let (mut ledger, start) = (ledger(), Instant::now());
        ledger.announce(start, 0, start);
        ledger.claim(start, start);
        let outcome = ledger.judge(1, verdict(false), start + WINDOW - early);
        assert_eq!(outcome.result, result);
        assert_eq!(ledger.counts.late, u64::from(result == PartResult::NoResult));
        // What is said of it again changes nothing.
        assert_eq!(ledger.judge(1, verdict(true), start + WINDOW).reason, Some(NoResultReason::Late));
        ledger.fail(1, NoResultReason::Failed, start + WINDOW);
        assert_eq!(out(&mut ledger).iter().map(|part| part.1).collect::<Vec<_>>(), [result]);
    }
}

#[test]
fn a_part_that_the_next_one_overtakes_does_not_get_its_frame() {
    let (mut ledger, start) = (ledger(), Instant::now());
    let at = |time| start + ms(time);
    for edge in [0, 5, 10] {
        ledger.announce(at(edge), 0, at(edge));
    }
    // A frame of the second: the first has passed without one, the third may still have its own.
    assert_eq!(ledger.claim(at(7), at(12)), Some(2));
    assert_eq!(out(&mut ledger), [(1, PartResult::NoResult, Some(NoResultReason::Overtaken))]);
    assert_eq!(ledger.claim(at(11), at(14)), Some(3));
    ledger.judge(3, verdict(false), at(20));
    assert_eq!(out(&mut ledger), [], "the one before it comes first");
    ledger.fail(2, NoResultReason::Failed, at(30));
    let expected = [(2, PartResult::NoResult, Some(NoResultReason::Failed)), (3, PartResult::Ok, None)];
    assert_eq!(out(&mut ledger), expected);
    assert_eq!(ledger.without_frame.passed_over, 1);
}

#[test]
fn a_part_without_a_verdict_has_no_result_when_its_window_closes() {
    let (mut ledger, start) = (ledger(), Instant::now());
    let at = |time| start + ms(time);
    ledger.announce(at(0), 0, at(0));
    ledger.announce(at(20), 0, at(20));
    ledger.claim(at(25), at(30));
    assert_eq!(ledger.next_expiry(), Some(at(20) + WINDOW));
    ledger.expire(at(20) + WINDOW);
    let reasons: Vec<_> = out(&mut ledger).into_iter().filter_map(|part| part.2).collect();
    assert_eq!(reasons, [NoResultReason::Overtaken, NoResultReason::Late]);
    ledger.announce(at(200), 0, at(200));
    ledger.expire(at(200) + WINDOW);
    assert_eq!(out(&mut ledger)[0].2, Some(NoResultReason::NoFrame));
    assert_eq!(ledger.without_frame.expired, 1);
}

#[test]
fn lost_edges_are_parts_too_and_no_number_of_them_is_too_large() {
    let (mut ledger, start) = (ledger(), Instant::now());
    ledger.announce(start, 0, start);
    ledger.announce_lost(2, start + ms(10), 0, start + ms(10));
    assert_eq!(ledger.announce(start + ms(10), 0, start + ms(10)), 4);
    assert_eq!(out(&mut ledger), [], "the first is in flight");
    ledger.claim(start + ms(1), start + ms(12));
    ledger.judge(1, verdict(false), start + ms(15));
    let lost = |id| (id, PartResult::NoResult, Some(NoResultReason::EdgeLost));
    assert_eq!(out(&mut ledger), [(1, PartResult::Ok, None), lost(2), lost(3)]);
    ledger.announce_lost(u64::from(u32::MAX), start + ms(20), 0, start + ms(20));
    let shown = out(&mut ledger);
    assert!(shown.len() <= 1 + MAX_IN_FLIGHT && shown.last().unwrap().0 == 4 + u64::from(u32::MAX));
    let counts = ledger.counts;
    assert_eq!(counts.parts, counts.results.iter().sum::<u64>() + counts.in_flight);
    // The records have them all.
    let mut runs = Vec::new();
    assert_eq!(ledger.unjudged.take(&mut runs), 0);
    assert_eq!(runs.iter().map(|run| run.count).sum::<u64>(), counts.of(PartResult::NoResult));
}

#[test]
fn the_oldest_part_makes_room_where_too_many_are_in_flight() {
    let (mut ledger, start) = (ledger(), Instant::now());
    for part in 0..MAX_IN_FLIGHT as u64 + 2 {
        assert_eq!(ledger.announce(start, 0, start), part + 1);
    }
    let out = out(&mut ledger);
    assert_eq!(out, [1, 2].map(|id| (id, PartResult::NoResult, Some(NoResultReason::TooMany))));
    ledger.stop(start);
    assert_eq!(ledger.counts.of(PartResult::NoResult), MAX_IN_FLIGHT as u64 + 2);
    assert_eq!(ledger.counts.in_flight, 0);
}

#[test]
fn parts_count_by_product_and_shift_and_ids_go_on() {
    let product = |name: &str, code| CountedProduct { name: name.into(), code };
    let products = vec![product("cap", Some(3)), product("lid", Some(7)), product("unknown", None)];
    let table = PartTable::new(products, vec!["06:00".into(), "14:00".into()]);
    let (mut ledger, start) = (PartLedger::new(DEADLINE, WINDOW, table), Instant::now());
    ledger.begin_at(100);
    // What is not there changes nothing.
    ledger.table.set_product(Some(9));
    for (product, shift) in [(Some(3), 0), (Some(7), 1), (Some(7), 9), (None, 1)] {
        ledger.table.set_shift(shift);
        let id = ledger.announce(start, 0, start);
        ledger.claim(start, start);
        ledger.judge(id, PartVerdict { product, ..verdict(true) }, start);
        let decided = ledger.take_decided().unwrap();
        assert_eq!((decided.product, decided.verdict.unwrap().product), (product, product));
    }
    assert_eq!(ledger.next_id(), 104);
    let rows: Vec<_> = ledger.table.rows().into_iter().map(|row| (row.product, row.shift, row.results)).collect();
    let row = |product: &str, shift: &str, nok| (product.to_string(), shift.to_string(), [0, nok, 0]);
    let shifts = |product, first, second| [row(product, "06:00", first), row(product, "14:00", second)];
    assert_eq!(rows, [shifts("cap", 1, 0), shifts("lid", 0, 2), shifts("unknown", 0, 1)].concat());
    ledger.begin_at(7);
    assert_eq!(ledger.next_id(), 104, "only before the first part");
}

/// What may happen to parts.
#[derive(Debug, Clone)]
enum Event {
    /// Time passes, in tenths of a millisecond.
    Pass(u64),
    /// An edge, after so many that were lost.
    Edge(u64),
    /// A frame that was captured so long ago, in tenths of a millisecond.
    Frame(u64),
    /// A verdict on one of the frames that were taken.
    Verdict(usize),
    /// One of those frames is lost.
    Fail(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..600_u64).prop_map(Event::Pass),
        3 => prop_oneof![8 => Just(0_u64), 1 => 1..4_u64].prop_map(Event::Edge),
        4 => (0..300_u64).prop_map(Event::Frame),
        3 => any::<usize>().prop_map(Event::Verdict),
        1 => any::<usize>().prop_map(Event::Fail),
    ]
}

/// Whether a part is bad: what a frame of it shows.
pub(super) fn is_bad(id: u64) -> bool {
    id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 63 == 1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn each_part_gets_one_result_in_order_in_time_and_never_that_of_another(events in prop::collection::vec(event(), 1..300)) {
        let (mut ledger, start) = (ledger(), Instant::now());
        let mut now = start;
        // When each part that announced itself was there.
        let mut edges: Vec<(u64, Instant)> = Vec::new();
        // Frames that were taken: the part that claimed it, and the one that it truly shows.
        let mut taken: Vec<(u64, u64)> = Vec::new();
        let mut judged: HashMap<u64, (bool, Instant)> = HashMap::new();
        let (mut late, mut next) = (0, 1);
        let mut check = |ledger: &mut PartLedger, now: Instant, edges: &[(u64, Instant)], judged: &HashMap<u64, (bool, Instant)>| {
            while let Some(DecidedPart { outcome, at, due, .. }) = ledger.take_decided() {
                assert_eq!(outcome.id, next, "in order, each once");
                next += 1;
                assert!(now <= at + WINDOW && due == at + DEADLINE, "after its window");
                match outcome.result {
                    PartResult::NoResult => assert!(outcome.reason.is_some()),
                    result => {
                        let bad = result == PartResult::Nok;
                        assert_eq!(judged.get(&outcome.id).map(|judged| judged.0), Some(bad));
                        assert_eq!(bad, is_bad(outcome.id), "the verdict on another part");
                        assert!(edges.contains(&(outcome.id, at)) && outcome.reason.is_none());
                    }
                }
            }
            let counts = ledger.counts;
            assert_eq!(counts.parts, counts.results.iter().sum::<u64>() + counts.in_flight);
            assert_eq!(counts.results.iter().sum::<u64>(), next - 1);
        };
        for event in events {
            match event {
                Event::Pass(tenths) => {
                    let until = now + Duration::from_micros(100 * tenths);
                    // As the thread does: it wakes up whenever a window closes.
                    while let Some(expiry) = ledger.next_expiry().filter(|expiry| *expiry <= until) {
                        now = now.max(expiry);
                        ledger.expire(now);
                        check(&mut ledger, now, &edges, &judged);
                    }
                    now = until;
                }
                Event::Edge(lost) => {
                    ledger.announce_lost(lost, now, 0, now);
                    let id = ledger.announce(now, 0, now);
                    edges.push((id, now));
                }
                Event::Frame(age) => {
                    let captured = now.checked_sub(Duration::from_micros(100 * age)).unwrap().max(start);
                    let shows = edges.iter().rev().find(|edge| edge.1 <= captured).map(|edge| edge.0);
                    if let Some(id) = ledger.claim(captured, now) {
                        prop_assert_eq!(Some(id), shows);
                        prop_assert!(!taken.iter().any(|frame| frame.0 == id), "two frames of one part");
                        taken.push((id, shows.unwrap()));
                    }
                }
                Event::Verdict(which) if !taken.is_empty() => {
                    let (id, shows) = taken[which % taken.len()];
                    let outcome = ledger.judge(id, verdict(is_bad(shows)), now);
                    if outcome.reason.is_some() { late += 1 } else { judged.insert(id, (is_bad(shows), now)); }
                }
                Event::Fail(which) if !taken.is_empty() => {
                    ledger.fail(taken[which % taken.len()].0, NoResultReason::Failed, now);
                }
                _ => {}
            }
            check(&mut ledger, now, &edges, &judged);
        }
        prop_assert_eq!(ledger.counts.late, late);
        ledger.stop(now);
        check(&mut ledger, now, &edges, &judged);
        prop_assert_eq!(ledger.counts.in_flight, 0);
    }

    /// Whatever comes how fast, and however late the thread is: the controller reads what was decided, in that order.
    #[test]
    fn a_controller_reads_each_result_once(
        gaps in prop::collection::vec(0..400_u64, 1..80),
        pulse in 1..30_u64,
        setup in 1..8_u64,
        strobe in any::<bool>(),
        no_result_is_nok in any::<bool>(),
        lateness in 1..40_u64,
    ) {
        let timing = PulseTiming { setup: ms(setup), pulse: ms(pulse), strobe, no_result_is_nok };
        let (mut train, mut controller) = (PulseTrain::new(timing), Controller::new(timing));
        let mut now = Instant::now();
        let mut expected = Vec::new();
        for (at, gap) in gaps.iter().enumerate() {
            // Late by a random time, up to `lateness` tenths.
            let until = now + Duration::from_micros(100 * gap);
            while let Some(next) = train.next().filter(|next| *next <= until) {
                now = now.max(next) + Duration::from_micros(100 * (at as u64 * 7 % lateness));
                controller.sees(train.tick(now), now);
            }
            now = now.max(until);
            let result = PartResult::ALL[(gap % 3) as usize];
            train.push(result, now + ms(50));
            controller.sees(train.tick(now), now);
            expected.push(timing.shown_as(result));
        }
        while let Some(next) = train.next() {
            now = now.max(next);
            controller.sees(train.tick(now), now);
        }
        prop_assert!(train.is_idle());
        // Without a strobe a part that sets no line cannot be seen.
        if !strobe {
            expected.retain(|shown| *shown != (false, false));
        }
        prop_assert_eq!(controller.read, expected);
        prop_assert_eq!(train.counts.shown, gaps.len() as u64);
    }
}

impl PulseTiming {
    pub(super) fn shown_as(&self, result: PartResult) -> (bool, bool) {
        let nok = result == PartResult::Nok || result == PartResult::NoResult && self.no_result_is_nok;
        (result == PartResult::Ok, nok)
    }
}

/// A controller that counts pulses, and checks that they are such that it can.
pub(super) struct Controller {
    timing: PulseTiming,
    levels: ResultLevels,
    /// When the result lines, and what counts as the pulse, changed last.
    changed: [Option<Instant>; 2],
    /// What it has read: OK, NOK.
    pub read: Vec<(bool, bool)>,
    pub read_at: Vec<Instant>,
}

impl Controller {
    pub fn new(timing: PulseTiming) -> Controller {
        Controller {
            timing,
            levels: ResultLevels::default(),
            changed: [None; 2],
            read: Vec::new(),
            read_at: Vec::new(),
        }
    }

    pub fn sees(&mut self, levels: ResultLevels, now: Instant) {
        let before = std::mem::replace(&mut self.levels, levels);
        let pulse = |levels: ResultLevels| if self.timing.strobe { levels.strobe } else { levels.ok || levels.nok };
        let (was, is) = (pulse(before), pulse(levels));
        if (before.ok, before.nok) != (levels.ok, levels.nok) {
            assert!(!(self.timing.strobe && is), "the lines changed under the strobe");
            assert!(!(levels.ok && levels.nok));
            self.changed[0] = Some(now);
        }
        if was == is {
            return;
        }
        let since = |at: Option<Instant>| at.map_or(Duration::MAX, |at| now - at);
        if is {
            assert!(since(self.changed[1]) >= self.timing.setup, "no gap between two pulses");
            assert!(
                !self.timing.strobe || since(self.changed[0]) >= self.timing.setup,
                "the lines did not stand still"
            );
            self.read.push((levels.ok, levels.nok));
            self.read_at.push(now);
        } else {
            assert!(since(self.changed[1]) >= MIN_PULSE, "a pulse that nobody sees");
        }
        self.changed[1] = Some(now);
    }
}

#[test]
fn a_pulse_lasts_as_it_should_unless_the_next_result_would_miss_its_deadline() {
    let timing = PulseTiming { setup: ms(2), pulse: ms(20), strobe: true, no_result_is_nok: true };
    let (mut train, start) = (PulseTrain::new(timing), Instant::now());
    let at = |time| start + ms(time);
    train.push(PartResult::Ok, at(100));
    assert_eq!(train.tick(at(0)), ResultLevels { ok: true, nok: false, strobe: false }, "at once");
    assert_eq!(train.next(), Some(at(2)));
    assert!(train.tick(at(2)).strobe);
    assert_eq!(train.next(), Some(at(22)));
    // One that has time waits; one that has not cuts the pulse short.
    train.push(PartResult::Nok, at(30));
    train.tick(at(5));
    assert_eq!((train.next(), train.counts.waited, train.counts.cut), (Some(at(22)), 1, 0));
    train.push(PartResult::NoResult, at(20));
    assert_eq!(train.next(), Some(at(15)), "2 ms setup, 1 ms pulse and 2 ms setup before its deadline");
    assert_eq!(train.tick(at(15)), ResultLevels { ok: false, nok: true, strobe: false });
    assert!(train.tick(at(17)).strobe && train.counts.cut == 1);
    assert_eq!(train.next(), Some(at(18)));
    train.tick(at(18));
    assert!(train.tick(at(20)).strobe && train.counts.overdue == 0);
    assert_eq!(train.tick(at(40)), ResultLevels { ok: false, nok: true, strobe: false }, "the lines keep their level");
    assert!(train.is_idle());
    for _ in 0..MAX_IN_FLIGHT + 5 {
        train.push(PartResult::Ok, at(41));
    }
    assert_eq!(train.counts.unshown, 5);
}

#[test]
fn a_bad_part_is_rejected_when_it_is_at_the_ejector() {
    let start = Instant::now();
    let at = |time| start + ms(time);
    let mut by_time = RejectQueue::new(RejectDistance::Time(ms(100)), ms(30));
    by_time.push(at(0), 0, at(60), 0);
    by_time.push(at(20), 0, at(61), 0);
    assert_eq!((by_time.tick(at(99), 0), by_time.next()), (false, Some(at(100))));
    assert!(by_time.tick(at(100), 0));
    // Two in a row: it stays on.
    assert!(by_time.tick(at(120), 0) && by_time.tick(at(149), 0));
    assert_eq!((by_time.tick(at(150), 0), by_time.next()), (false, None));
    by_time.push(at(30), 0, at(131), 0);
    assert_eq!(by_time.counts, RejectCounts { given: 2, late: 1, ..RejectCounts::default() });

    let mut by_edges = RejectQueue::new(RejectDistance::Edges(50), ms(30));
    by_edges.push(at(0), 10, at(5), 12);
    by_edges.push(at(1), 11, at(5), 62);
    // The belt stands still for as long as it likes, and it may run fast.
    assert!(!by_edges.tick(at(100_000), 59));
    assert!(by_edges.tick(at(100_001), 75));
    assert_eq!(by_edges.counts, RejectCounts { given: 1, late: 1, ..RejectCounts::default() });
    for part in 0..MAX_REJECTS as u64 + 3 {
        by_edges.push(at(2), 100 + part, at(100_002), 100);
    }
    assert_eq!((by_edges.counts.pending, by_edges.counts.lost), (MAX_REJECTS as u64, 3));
    by_edges.stop();
    assert_eq!((by_edges.counts.pending, by_edges.counts.lost), (0, MAX_REJECTS as u64 + 3));
    assert!(!by_edges.tick(at(100_003), 9999));
}
