//! The rate of defects of a version on trial: where it is far higher than a line's, the version goes back.
//!
//! A normal frame counts as defect with the probability `1 − threshold`, by the meaning of a score, and [`DEFECTIVE`] of the parts may
//! really be defective. With `q` the sum of both and `k` defects in `n` frames, the probability of so many or more is at most
//! `exp(−n · D(k/n ‖ q))`, where `D(a ‖ q) = a ln(a/q) + (1 − a) ln((1 − a)/(1 − q))` (Hoeffding, "Probability Inequalities for Sums of
//! Bounded Random Variables", 1963, theorem 1). A version goes back where that is below [`MOST_LIKELY`]: so small that looking at it
//! thousands of times in a trial makes no false alarm likely.
//!
//! Frames in a row are not independent: one defective part may lie before the camera for a while. So the version must also have
//! judged for [`MIN_TIME`], or a tenth of its trial where that is shorter, and [`MIN_FRAMES`] frames.

use super::tasks::{HomeInUse, homes_in_use};
use crate::bundle::{Home, Moment, Trial};
use crate::config::Config;
use crate::pipeline::TrialCounts;
use std::sync::Arc;
use std::time::Duration;

/// The share of parts that may be defective before the version is blamed.
const DEFECTIVE: f64 = 0.05;
/// The probability below which so many defects are no chance.
const MOST_LIKELY: f64 = 1e-9;
/// The least number of judged frames.
const MIN_FRAMES: u64 = 200;
/// The least time of judging, where the trial is not short.
const MIN_TIME: Duration = Duration::from_secs(120);

/// An installed version on trial.
pub(super) struct TrialWatch {
    /// Its home, as of the start of the run.
    pub(super) home: Home,
    trial: Trial,
    /// The largest share of defects that is expected.
    expected: f64,
    /// What it said of the frames of this run.
    pub(super) counts: Arc<TrialCounts>,
}

impl TrialWatch {
    /// The trials of the bundles that judge, where they are on one and there is a version to go back to. `loaded`: the fingerprints of the
    /// bundles that judge. One that cannot be used is told: a line that ended its run for it would begin the next with the same version,
    /// and so on.
    pub(super) fn find_all(config: &Config, loaded: &[&str]) -> Vec<TrialWatch> {
        homes_in_use(config).into_iter().filter_map(|used| TrialWatch::find(used, loaded)).collect()
    }

    fn find(HomeInUse { home, thresholds }: HomeInUse, loaded: &[&str]) -> Option<TrialWatch> {
        let trial = home.state().trial.clone()?;
        let before = home.state().previous.as_ref()?;
        // That of a product which is not loaded waits for a run with it.
        let active = loaded.iter().find(|loaded| loaded.starts_with(home.state().active.as_str()))?;
        if trial.left_s(&Moment::now()) == 0 {
            return None;
        }
        if let Err(error) = home.version(before) {
            log::warn!(
                "{} is on trial and does not go back by itself: the version before cannot be used: {error}",
                home.name()
            );
            return None;
        }
        let stated = || home.version(&home.state().active).ok()?.manifest().anomaly.as_ref().map(|a| a.threshold);
        let stated = stated().unwrap_or(1.0);
        // Where several judge by it: whatever raises most alarms by itself must not blame it.
        let lowest = thresholds.iter().map(|own| own.unwrap_or(stated)).fold(1.0, f64::min);
        let counts = Arc::new(TrialCounts::new(active));
        Some(TrialWatch { trial, expected: expected(lowest), counts, home })
    }

    /// Whether somebody has confirmed the version since the run began, or made another one the active one.
    pub(super) fn is_over(&self) -> bool {
        let now = Home::open(self.home.folder()).ok().flatten();
        now.is_none_or(|now| now.state().trial.as_ref() != Some(&self.trial))
    }

    /// Why the version must go back, where it must; `time`: since the run began.
    pub(super) fn verdict(&self, time: Duration) -> Option<String> {
        let (judged, defects) = self.counts.get();
        let least = MIN_TIME.min(Duration::from_secs(self.trial.within_s) / 10);
        let exceeded = judged >= MIN_FRAMES && time >= least && exceeds(judged, defects, self.expected);
        if !exceeded || self.trial.left_s(&Moment::now()) == 0 {
            return None;
        }
        Some(format!(
            "{defects} of {judged} frames were defects while it was on trial, where at most {:.1} % were to be expected",
            100.0 * self.expected
        ))
    }
}

/// The largest share of defects that is expected with a threshold.
fn expected(threshold: f64) -> f64 {
    (1.0 - threshold + DEFECTIVE).clamp(DEFECTIVE, 1.0)
}

/// Whether so many defects are no chance where `expected` of the frames are to be.
fn exceeds(judged: u64, defects: u64, expected: f64) -> bool {
    if judged == 0 || expected >= 1.0 {
        return false;
    }
    let share = defects as f64 / judged as f64;
    // 0 ln 0 is 0.
    let term = |a: f64, q: f64| if a > 0.0 { a * libm::log(a / q) } else { 0.0 };
    let divergence = term(share, expected) + term(1.0 - share, 1.0 - expected);
    share > expected && judged as f64 * divergence > -libm::log(MOST_LIKELY)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The probability of `k` or more of `n`, summed up.
    fn tail(n: u64, k: u64, q: f64) -> f64 {
        let mut term = libm::pow(1.0 - q, n as f64);
        let mut below = 0.0;
        for i in 0..k {
            below += term;
            term *= (n - i) as f64 / (i + 1) as f64 * q / (1.0 - q);
        }
        1.0 - below
    }

    #[test]
    fn a_version_goes_back_only_for_what_chance_does_not_make() {
        let q = expected(0.999);
        assert!((q - 0.051).abs() < 1e-12);
        for n in [200, 500, 1000, 5000] {
            let least = (0..=n).find(|defects| exceeds(n, *defects, q)).unwrap();
            // The bound holds, and is not far from the least number that would do.
            assert!(tail(n, least, q) < 1e-8, "{n}: {least}");
            assert!((least as f64) < 0.2 * n as f64, "{n}: {least}");
            assert!((0..least).all(|defects| !exceeds(n, defects, q)), "{n}: {least}");
        }
        assert!(exceeds(200, 200, q) && !exceeds(0, 0, q) && !exceeds(1000, 51, q));
        // A threshold of 0: every frame is a defect, and that is what was asked for.
        assert!(!exceeds(1000, 1000, expected(0.0)));
    }

    #[test]
    fn a_version_that_was_confirmed_meanwhile_does_not_go_back() {
        // Its home is not there any more: whoever removed it wanted no trial.
        let trial = Trial::begin(&Moment::now(), 60);
        assert!(TrialWatch { home: Home::for_test(), trial, expected: 0.05, counts: counts(0, 0) }.is_over());
    }

    fn counts(judged: u64, defects: u64) -> Arc<TrialCounts> {
        let counts = TrialCounts::new("0123456789abcdef");
        (0..judged).for_each(|at| counts.add(at < defects));
        Arc::new(counts)
    }

    #[test]
    fn one_part_before_the_camera_for_a_while_is_no_verdict() {
        let home = Home::for_test();
        let verdict = |within_s, judged, defects, seconds| {
            let (home, trial) = (home.clone(), Trial::begin(&Moment::now(), within_s));
            let watch = TrialWatch { home, trial, expected: expected(1.0), counts: counts(judged, defects) };
            watch.verdict(Duration::from_secs(seconds))
        };
        let day = 86_400;
        assert!(verdict(day, 1000, 900, 119).is_none());
        assert!(verdict(day, 199, 199, 600).is_none());
        let why = verdict(day, 1000, 900, 120).unwrap();
        assert_eq!(
            why,
            "900 of 1000 frames were defects while it was on trial, where at most 5.0 % were to be expected"
        );
        assert!(verdict(100, 1000, 900, 10).is_some());
        assert!(verdict(0, 1000, 900, 600).is_none());
    }
}
