//! The size of the spot that can be enlarged within a time limit.

use super::enlarger::Enlarger;
use crate::task::error::TaskError;
use lineside_picture::{Layout, Picture, Rect};
use std::time::{Duration, Instant};

/// The smallest spot, in pixels per side; a smaller one shows nothing.
pub const MIN_SPOT: usize = 16;

/// Sides are multiples of this.
const STEP: usize = 8;
/// Runs of a measurement, whose median counts.
const RUNS: usize = 5;

impl Enlarger {
    /// The side of the largest square, at most `side` pixels, that this machine enlarges within `limit`, and the time that it takes
    /// in colour. Where even the smallest takes longer, the smallest and its time.
    ///
    /// # Errors
    /// As [`Enlarger::enlarge`].
    pub fn fit_spot(&mut self, side: usize, limit: Option<Duration>) -> Result<(usize, Duration), TaskError> {
        fitted(side, limit, |side| self.time_of(side, side))
    }

    /// The time to enlarge a colour picture of this size, after planning: the median of five runs.
    ///
    /// # Errors
    /// As [`Enlarger::enlarge`].
    pub fn time_of(&mut self, width: usize, height: usize) -> Result<Duration, TaskError> {
        // The margin around the part is read too.
        let margin = self.margin();
        let mut picture = Picture::new(Layout::Rgb, width + 2 * margin, height + 2 * margin);
        picture.data_mut().iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * i / 7 % 251) as u8);
        let area = Rect { x: margin, y: margin, width, height };
        let mut large = Picture::default();
        self.enlarge_area(&picture, area, &mut large)?;
        let mut times = [Duration::ZERO; RUNS];
        for time in &mut times {
            let start = Instant::now();
            self.enlarge_area(&picture, area, &mut large)?;
            *time = start.elapsed();
        }
        times.sort();
        Ok(times[RUNS / 2])
    }
}

/// Shrinks `side` until its time is within the limit: to the area that would fit, and at least by one step.
fn fitted<E>(
    mut side: usize,
    limit: Option<Duration>,
    mut time_of: impl FnMut(usize) -> Result<Duration, E>,
) -> Result<(usize, Duration), E> {
    loop {
        let time = time_of(side)?;
        let Some(limit) = limit.filter(|limit| time > *limit && side > MIN_SPOT) else { return Ok((side, time)) };
        let share = (limit.as_secs_f64() / time.as_secs_f64()).sqrt();
        let wanted = (side as f64 * share) as usize / STEP * STEP;
        side = wanted.min((side - 1) / STEP * STEP).max(MIN_SPOT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// A machine that takes a number of nanoseconds per pixel and per run.
    fn fit(side: usize, limit_us: u64, ns_a_pixel: u64, ns_a_run: u64) -> (usize, usize) {
        let mut tries = 0;
        let limit = Some(Duration::from_micros(limit_us));
        let (side, time) = fitted::<Infallible>(side, limit, |side| {
            tries += 1;
            Ok(Duration::from_nanos(ns_a_run + ns_a_pixel * (side * side) as u64))
        })
        .unwrap();
        assert!(time <= Duration::from_micros(limit_us) || side == MIN_SPOT);
        (side, tries)
    }

    #[test]
    fn the_spot_shrinks_as_far_as_it_must_and_no_further() {
        assert_eq!(fit(96, 1000, 100, 0), (96, 1), "it fits");
        assert_eq!(fit(100, 900, 100, 0), (88, 2), "the next step below 94.9");
        assert_eq!(fit(96, 500, 100, 200_000), (48, 4), "54.8 would fit without what a run costs in itself");
        assert_eq!(fit(96, 1, 100, 0).0, MIN_SPOT);
        assert_eq!(fit(17, 1, 100, 0).0, MIN_SPOT);
        let unlimited = fitted::<Infallible>(512, None, |_| Ok(Duration::from_secs(9))).unwrap();
        assert_eq!(unlimited, (512, Duration::from_secs(9)));
    }
}
