//! The controls that a camera has for the product that is inspected: set by the thread that captures, and told to the one that
//! inspects, which takes no frame that may have been exposed for another product.

use super::controls::ControlSetting;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Release};
use std::time::{Duration, Instant};

/// Controls by their keys.
pub type ControlSet = Vec<(String, ControlSetting)>;

/// Asks for the place of the product that is wanted; `None` where it is unknown.
type Wanted = Box<dyn Fn() -> Option<usize> + Send + Sync>;

/// The controls of a camera for each product, and which of them it has.
pub struct ProductControls {
    sets: Vec<ControlSet>,
    /// By product: the place of its set. Products with the same controls share one.
    set_of: Vec<usize>,
    wanted: Wanted,
    /// For how long frames are passed over that were captured after a change: sensors expose some of them before it holds.
    settle: Duration,
    /// What `from` counts from.
    origin: Instant,
    /// The place of the set that the camera has, plus one; 0: none for certain.
    applied: AtomicUsize,
    /// From when on frames are exposed with it, in microseconds.
    from: AtomicU64,
}

impl ProductControls {
    /// By product: all controls that it needs. `wanted` asks for the product.
    pub fn new(controls: Vec<ControlSet>, settle: Duration, wanted: Wanted) -> ProductControls {
        let mut sets: Vec<ControlSet> = Vec::new();
        let mut set_of = Vec::with_capacity(controls.len());
        for set in controls {
            let at = sets.iter().position(|known| *known == set).unwrap_or_else(|| {
                sets.push(set);
                sets.len() - 1
            });
            set_of.push(at);
        }
        let (applied, from) = (AtomicUsize::new(0), AtomicU64::new(0));
        ProductControls { sets, set_of, wanted, settle, origin: Instant::now(), applied, from }
    }

    /// Whether a frame was exposed with the controls of the product at `product`.
    pub fn fit(&self, product: usize, captured: Instant) -> bool {
        let Some(set) = self.set_of.get(product) else { return true };
        // A camera that is away has none, and `from` is stored before `applied`.
        self.applied.load(Acquire) == set + 1 && self.micros(captured) >= self.from.load(Acquire)
    }

    /// The sets, each once.
    pub(super) fn sets(&self) -> &[ControlSet] {
        &self.sets
    }

    /// The set that the camera should have and has not; the last one where the product is unknown.
    pub(super) fn missing(&self) -> Option<usize> {
        let wanted = *self.set_of.get((self.wanted)()?)?;
        (self.applied.load(Acquire) != wanted + 1).then_some(wanted)
    }

    /// The set to open the camera with.
    pub(super) fn first(&self) -> usize {
        let known = self.applied.load(Acquire).checked_sub(1);
        self.missing().or(known).unwrap_or(0)
    }

    /// The camera is about to get another set: frames are of neither until it has it. Its source's to call.
    pub fn begin(&self) {
        self.applied.store(0, Release);
    }

    /// The camera has this set since now; `settles`: frames that it captures in the next moments may be older. Its source's to call.
    pub fn done(&self, set: usize, now: Instant, settles: bool) {
        let settle = if settles { self.settle } else { Duration::ZERO };
        self.from.store(self.micros(now + settle), Release);
        self.applied.store(set + 1, Release);
    }

    fn micros(&self, at: Instant) -> u64 {
        // The first use is after the origin.
        u64::try_from(at.saturating_duration_since(self.origin).as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn frames_fit_once_the_camera_has_had_the_controls_for_a_while() {
        let wanted = Arc::new(AtomicUsize::new(0));
        let asked = Arc::clone(&wanted);
        let set = |value| vec![("exposure".to_string(), ControlSetting::Value(value))];
        let settle = Duration::from_millis(300);
        let ask: Wanted = Box::new(move || Some(asked.load(Acquire)).filter(|at| *at < 9));
        let controls = ProductControls::new(vec![set(10), set(20), set(10)], settle, ask);
        assert_eq!((controls.sets().len(), controls.first(), controls.missing()), (2, 0, Some(0)));
        let start = Instant::now();
        assert!(!controls.fit(0, start), "nobody has set them");
        controls.done(0, start, false);
        assert!(controls.fit(0, start) && controls.fit(2, start) && !controls.fit(1, start));
        // The third product has the controls of the first.
        wanted.store(2, Release);
        assert_eq!(controls.missing(), None);
        wanted.store(1, Release);
        assert_eq!(controls.missing(), Some(1));
        controls.begin();
        assert!(!controls.fit(0, start) && !controls.fit(1, start));
        controls.done(1, start, true);
        let at = |ms| start + Duration::from_millis(ms);
        assert!(!controls.fit(1, at(299)) && controls.fit(1, at(300)) && !controls.fit(0, at(900)));
        // An unknown product changes nothing: nobody judges by it.
        wanted.store(99, Release);
        assert_eq!((controls.missing(), controls.first()), (None, 1));
    }
}
