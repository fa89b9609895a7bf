//! Lines with and without drift. A frame's score is the share of normal frames below a standard normal value that is made
//! of three: the part (a second to come and go), the frame (noise), and something slow that all parts of some minutes share
//! (light, temperature, position; an autoregression).

use super::*;
use crate::field::FrameStats;
use crate::task::anomaly::ImageStatsBaseline;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

const FPS: f64 = 2.0;
const FRAMES_A_PART: u32 = 4;
/// Brightness and sharpness of the simulated line: level, deviation from part to part, and of the slow component.
const BRIGHTNESS: (f64, f64, f64) = (100.0, 3.0, 2.0);
const SHARPNESS: (f64, f64, f64) = (40.0, 2.0, 1.0);

#[derive(Clone)]
struct Line {
    random: Xoshiro256PlusPlus,
    /// Share of the variance that is slow, and for how many seconds it remembers.
    slow_share: f64,
    memory: f64,
    part: f64,
    slow: f64,
    left: u32,
    /// What is added to each value, in standard deviations: always, and by drift; and what brightness and sharpness are multiplied by.
    settled: f64,
    shift: f64,
    light: f64,
    lens: f64,
    /// A line at rest shows one part.
    rests: bool,
}

/// Frames of the shipped line score lower than its held-out pictures by this many standard deviations (docs/field-log.md).
const SETTLED: f64 = -0.4;

impl Line {
    fn new(seed: u64, slow_share: f64, memory: f64) -> Line {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let slow = gauss(&mut random);
        let (settled, shift, light, lens) = (0.0, 0.0, 1.0, 1.0);
        Line { random, slow_share, memory, part: 0.0, slow, left: 0, settled, shift, light, lens, rests: false }
    }

    /// The value of the next frame, and whether it shows another part.
    fn frame(&mut self) -> (f64, bool) {
        let is_distinct = self.left == 0 && !self.rests;
        if is_distinct {
            (self.part, self.left) = (gauss(&mut self.random), FRAMES_A_PART);
        }
        self.left = self.left.saturating_sub(1);
        let kept = (-1.0 / (self.memory * FPS)).exp();
        self.slow = kept * self.slow + (1.0 - kept * kept).sqrt() * gauss(&mut self.random);
        let (slow, frame) = (self.slow_share, 0.2);
        let value = (1.0 - slow - frame).sqrt() * self.part + slow.sqrt() * self.slow;
        (value + frame.sqrt() * gauss(&mut self.random) + self.settled + self.shift, is_distinct)
    }

    /// Two minutes of the line.
    fn block(&mut self, interval: &mut Interval) {
        interval.clear();
        for _ in 0..(BLOCK_SECONDS * FPS) as usize {
            let (value, is_distinct) = self.frame();
            let look = |(level, part, slow): (f64, f64, f64), by: f64| {
                (16.0 * by * (level + part * self.part + slow * self.slow)).max(0.0) as u32
            };
            let (brightness, sharpness) = (look(BRIGHTNESS, self.light), look(SHARPNESS, self.lens));
            // Parts come and go, so that on a moving line every frame is another.
            let is_distinct = is_distinct || !self.rests;
            interval.add_frame(&FrameStats {
                score: share_below(value),
                look: Some((brightness, sharpness)),
                is_distinct,
            });
        }
        interval.seconds = BLOCK_SECONDS;
    }

    /// What is taught from so many pictures of such a line, taken over a day.
    fn baseline(&self, pictures: usize, seed: u64) -> Baseline {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(!seed);
        let mut values = |of: &mut dyn FnMut(&mut Xoshiro256PlusPlus) -> f64| {
            let mut values: Vec<f64> = (0..pictures).map(|_| of(&mut random)).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let look = |(level, part, slow): (f64, f64, f64)| {
            move |random: &mut Xoshiro256PlusPlus| level + part * gauss(random) + slow * gauss(random)
        };
        Baseline {
            scores: values(&mut |random| share_below(gauss(random))),
            image_stats: Some(ImageStatsBaseline {
                brightness: values(&mut look(BRIGHTNESS)),
                sharpness: values(&mut look(SHARPNESS)),
            }),
        }
    }
}

/// What is taught from so many parts, one after the other: whatever is slow stands still meanwhile.
fn taught_in_one_go(pictures: usize, seed: u64, slow_share: f64, memory: f64) -> Baseline {
    let mut line = Line::new(!seed, slow_share, memory);
    let mut scores: Vec<f64> = (0..pictures)
        .map(|_| {
            line.left = 0;
            share_below(line.frame().0)
        })
        .collect();
    scores.sort_by(f64::total_cmp);
    Baseline { scores, image_stats: None }
}

/// Box and Muller 1958.
fn gauss(random: &mut Xoshiro256PlusPlus) -> f64 {
    let mut uniform = || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let radius = (-2.0 * uniform().max(f64::MIN_POSITIVE).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform()).cos()
}

fn share_below(value: f64) -> f64 {
    0.5 * libm::erfc(-value / std::f64::consts::SQRT_2)
}

/// Runs a line for so many hours; returns the reviews with the minute of each.
fn run(line: &mut Line, drift: &mut DriftMonitor, hours: f64) -> Vec<(f64, Review)> {
    let (mut interval, mut reviews) = (Interval::new(), Vec::new());
    for block in 1..=(hours * 3600.0 / BLOCK_SECONDS) as usize {
        line.block(&mut interval);
        reviews.extend(drift.take(&interval).into_iter().map(|review| (block as f64 * BLOCK_SECONDS / 60.0, review)));
    }
    reviews
}

/// A line that has run for three hours without a review, and what watches it.
fn running(seed: u64, pictures: usize, settled: f64) -> Option<(Line, DriftMonitor)> {
    let mut line = Line::new(seed, 0.1, 300.0);
    line.settled = settled;
    let mut drift = DriftMonitor::new(Some(&line.baseline(pictures, seed)));
    run(&mut line, &mut drift, 3.0).is_empty().then_some((line, drift))
}

fn usual(seed: u64) -> (Line, DriftMonitor) {
    running(seed, 120, 0.0).unwrap()
}

#[test]
fn other_parts_are_reported_once_and_their_end_too() {
    let (mut line, mut drift) = usual(1);
    assert_eq!(drift.cause(), None);
    line.shift = 1.0;
    let reviews = run(&mut line, &mut drift, 12.0);
    assert_eq!(reviews.len(), 1, "{reviews:?}");
    let (minute, review) = reviews[0];
    assert!((30.0..150.0).contains(&minute), "{minute}");
    assert!(review.needed && review.value > review.limit && review.cause == "new parts?", "{review:?}");
    assert_eq!(drift.cause(), Some("new parts?"));
    let (ks, median) = drift.distance().unwrap();
    assert!((ks - 0.383).abs() < 0.1 && (median - 0.341).abs() < 0.1, "{ks} {median}");
    line.shift = 0.0;
    let reviews = run(&mut line, &mut drift, 12.0);
    assert!(matches!(&reviews[..], [(_, Review { needed: false, cause: "new parts?", .. })]), "{reviews:?}");
    let text = crate::telemetry::text_line(&reviews[0].1.record());
    assert!(text.contains("record=review") && text.contains("review=over statistic="), "{text}");
}

#[test]
fn a_dead_lamp_and_a_dirty_lens_are_reported_as_such() {
    for (light, lens, shift, statistic, cause) in [
        (0.3, 0.6, 2.0, DriftStatistic::Brightness, "lamp, or lens covered?"),
        (1.4, 1.0, 1.0, DriftStatistic::Brightness, "lamp, or lens covered?"),
        (0.95, 0.6, 2.0, DriftStatistic::Sharpness, "dirty lens?"),
    ] {
        let (mut line, mut drift) = usual(2);
        (line.light, line.lens, line.shift) = (light, lens, shift);
        let reviews = run(&mut line, &mut drift, 12.0);
        let [(minute, review)] = reviews[..] else { panic!("{reviews:?}") };
        assert!(review.needed && review.statistic == statistic && review.cause == cause, "{review:?}");
        // The middle one of five blocks.
        assert_eq!(minute, 6.0);
        (line.light, line.lens, line.shift) = (1.0, 1.0, 0.0);
        let reviews = run(&mut line, &mut drift, 12.0);
        assert!(matches!(&reviews[..], [(_, Review { needed: false, .. })]), "{reviews:?}");
        assert_eq!(drift.cause(), None);
    }
}

#[test]
fn a_lens_that_gets_dirty_slowly_is_not_taken_for_new_parts() {
    let (mut line, mut drift) = usual(3);
    let mut causes = Vec::new();
    for step in 0..40 {
        line.lens = 1.0 - f64::from(step) * 0.015;
        line.shift = f64::from(step) * 0.03;
        causes.extend(run(&mut line, &mut drift, 0.25).iter().map(|(_, review)| (review.needed, review.cause)));
    }
    assert!(causes.contains(&(true, "dirty lens?")), "{causes:?}");
    assert!(causes.iter().all(|(_, cause)| *cause == "dirty lens?"), "{causes:?}");
}

#[test]
fn a_line_at_rest_is_no_drift() {
    let (mut line, mut drift) = usual(4);
    // A part as rare as they come, for a whole day.
    (line.rests, line.part, line.left) = (true, 2.5, 0);
    assert_eq!(run(&mut line, &mut drift, 24.0), []);
}

#[test]
fn without_a_baseline_or_with_an_old_one_nothing_is_made_up() {
    let mut line = Line::new(5, 0.1, 300.0);
    (line.light, line.lens) = (0.2, 0.2);
    let mut blind = DriftMonitor::new(None);
    assert_eq!(run(&mut line, &mut blind, 6.0), []);
    assert_eq!((blind.distance(), blind.cause()), (None, None));
    let old = Baseline { image_stats: None, ..line.baseline(120, 5) };
    assert_eq!(run(&mut line, &mut DriftMonitor::new(Some(&old)), 6.0), []);
}

#[test]
fn memory_is_fixed() {
    assert!(std::mem::size_of::<DriftMonitor>() + std::mem::size_of::<Interval>() < 150 << 10);
}

/// How the pictures of the baseline were taken, and how many.
#[derive(Debug, Clone, Copy)]
enum Taught {
    OverADay(usize),
    InOneGo(usize),
}

/// False alarms on lines without drift: how many there were in how many hours, and of how many lines.
fn false_alarms(lines: u64, hours: f64, taught: Taught, slow_share: f64, memory: f64) -> (usize, f64, usize) {
    let (mut alarms, mut alarmed) = (0, 0);
    for seed in 1000..1000 + lines {
        let mut line = Line::new(seed, slow_share, memory);
        let baseline = match taught {
            Taught::OverADay(pictures) => line.baseline(pictures, seed),
            Taught::InOneGo(pictures) => taught_in_one_go(pictures, seed, slow_share, memory),
        };
        let mut drift = DriftMonitor::new(Some(&baseline));
        let reviews = run(&mut line, &mut drift, hours);
        let needed = reviews.iter().filter(|(_, review)| review.needed).count();
        alarms += needed;
        alarmed += usize::from(needed > 0);
    }
    (alarms, lines as f64 * hours, alarmed)
}

#[test]
fn a_thousand_hours_without_drift_bring_no_review() {
    assert_eq!(false_alarms(20, 50.0, Taught::OverADay(120), 0.1, 300.0).0, 0);
}

/// The table of docs/field-log.md: `cargo test --release --lib drift_rates -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn drift_rates() {
    println!("false alarms");
    for (taught, slow_share, memory) in [
        (Taught::OverADay(60), 0.1, 300.0),
        (Taught::OverADay(120), 0.1, 300.0),
        (Taught::OverADay(400), 0.1, 300.0),
        (Taught::OverADay(120), 0.0, 300.0),
        (Taught::OverADay(120), 0.1, 60.0),
        (Taught::OverADay(120), 0.2, 600.0),
        (Taught::InOneGo(120), 0.1, 300.0),
    ] {
        let (alarms, hours, alarmed) = false_alarms(400, 50.0, taught, slow_share, memory);
        let rate = 1000.0 * alarms as f64 / hours;
        println!(
            "{taught:?}, slow {slow_share} {memory} s: {alarms} in {hours} h, {rate:.2} per 1000 h, {alarmed} of 400 lines"
        );
    }
    println!("time to detection");
    for pictures in [120, 400] {
        for shift in [0.5, 0.75, 1.0, 1.5, 2.0, 3.0] {
            let mut minutes: Vec<f64> = (0..100)
                .filter_map(|seed| running(seed, pictures, SETTLED))
                .map(|(mut line, mut drift)| {
                    line.shift = shift;
                    run(&mut line, &mut drift, 8.0).first().map_or(f64::INFINITY, |(minute, _)| *minute)
                })
                .collect();
            minutes.sort_by(f64::total_cmp);
            let found = minutes.iter().filter(|minute| minute.is_finite()).count();
            let ks = share_below(shift / 2.0) - share_below(-shift / 2.0);
            println!(
                "{pictures} pictures, shift {shift} (ks {ks:.2}): {found} of {} within 8 h, half within {:.0} min, 90 % within {:.0} min",
                minutes.len(),
                minutes[minutes.len() / 2],
                minutes[minutes.len() * 9 / 10]
            );
        }
    }
}
