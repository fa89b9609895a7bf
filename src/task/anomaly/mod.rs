//! Is this frame normal, and where not? A frozen INT8 backbone, then distances to what was seen on normal parts.

mod bank;
mod heatmap;
mod measure;

pub use bank::Bank;
pub use heatmap::Region;
pub use measure::{auroc, f1, interval, recall_at};

use super::TaskError;
use crate::bundle::{Bundle, Task};
use crate::engine::{EngineError, Plan, Session};
use crate::picture::{Layout, Picture, Resizer};
use heatmap::{Grid, Scratch, find_regions, heat, score, smooth_into_cells};
use std::sync::Arc;

/// Below this many pixels a side a frame holds nothing that could be judged.
const LEAST_SIDE: usize = 32;

/// The answer for one frame. Reused from frame to frame.
#[derive(Default)]
pub struct Verdict {
    /// How far from normal, 0..1; 0.5 at the bundle's half distance.
    pub score: f64,
    /// The score from which on a frame counts as defect.
    pub threshold: f64,
    /// Whether the frame counts as defect.
    pub defect: bool,
    /// Where it is not normal, hottest first; empty for a normal frame.
    pub regions: Vec<Region>,
    /// The centre of the hottest cell, in frame coordinates `(x, y)`.
    pub peak: (usize, usize),
    /// The heat of each cell of the feature grid, one byte a cell, 128 at score 0.5.
    pub heat: Picture,
}

/// Judges frames by one bundle.
pub struct Inspector {
    session: Session,
    bank: Bank,
    half: u32,
    least: u32,
    threshold: f64,
    grid: (usize, usize),
    resizer: Option<(Resizer, usize, usize, Layout)>,
    fitted: Picture,
    previous: Vec<u8>,
    cells: Vec<u8>,
    distances: Vec<u32>,
    scratch: Scratch,
    input: (usize, usize),
}

impl Inspector {
    /// Loads the bundle's backbone and its statistics of normal. `threshold` replaces the bundle's own.
    ///
    /// # Errors
    /// [`TaskError::Bundle`] where the bundle is of another task or its parts do not fit each other.
    pub fn new(bundle: &Bundle, threshold: Option<f64>) -> Result<Inspector, TaskError> {
        let manifest = bundle.manifest();
        let (Task::Anomaly, Some(section), Some(width), Some(height)) =
            (manifest.task, &manifest.anomaly, manifest.input.width, manifest.input.height)
        else {
            return Err(bundle
                .blame("bundle.toml", "task is not \"anomaly\"; name a bundle that was made for it")
                .into());
        };
        let bank = Bank::parse(&bundle.read(&section.bank)?).map_err(|e| bundle.blame(&section.bank, e))?;
        let blame_model = |e: EngineError| bundle.blame(&manifest.model, e);
        let plan = bundle.model()?.plan(&[vec![1, 3, height, width]]).map_err(blame_model)?;
        let grid = match plan.outputs().first().map(|output| output.shape.as_slice()) {
            Some(&[1, channels, rows, columns]) if channels == bank.channels() && rows * columns > 0 => (columns, rows),
            Some(other) => {
                let problem = format!("gives features {other:?}, the memory bank has {} channels", bank.channels());
                return Err(bundle.blame(&manifest.model, problem).into());
            }
            None => return Err(bundle.blame(&manifest.model, "has no output").into()),
        };
        let threshold = threshold.unwrap_or(section.threshold);
        let cells = grid.0 * grid.1;
        Ok(Inspector {
            session: Session::new(Arc::new(plan)).map_err(blame_model)?,
            cells: vec![0; cells * bank.channels()],
            distances: vec![0; cells],
            bank,
            half: section.half_distance,
            least: least_distance(threshold, section.half_distance),
            threshold,
            grid,
            resizer: None,
            fitted: Picture::default(),
            previous: Vec::new(),
            scratch: Scratch::default(),
            input: (width, height),
        })
    }

    /// The plan of the backbone.
    pub fn plan(&self) -> &Plan {
        self.session.plan()
    }

    /// Bytes of the memory bank.
    pub fn bank_bytes(&self) -> usize {
        self.bank.bytes()
    }

    /// Resizes the frame to the backbone's input.
    ///
    /// # Errors
    /// [`TaskError::TooSmall`] for a frame that holds nothing to judge, [`TaskError::Picture`] where it cannot be resized.
    pub fn prepare(&mut self, frame: &Picture) -> Result<(), TaskError> {
        let (width, height, layout) = (frame.width(), frame.height(), frame.layout());
        if width < LEAST_SIDE || height < LEAST_SIDE {
            return Err(TaskError::TooSmall { width, height, least: LEAST_SIDE });
        }
        let resizer = match &mut self.resizer {
            Some((resizer, w, h, l)) if (*w, *h, *l) == (width, height, layout) => resizer,
            stale => {
                let resizer = Resizer::fit(layout, (width, height), self.input)?;
                &mut stale.insert((resizer, width, height, layout)).0
            }
        };
        resizer.run(frame, &mut self.fitted)?;
        let plane = self.input.0 * self.input.1;
        let planes = self.session.input_mut::<u8>(0)?;
        match layout {
            Layout::Grey => planes.chunks_exact_mut(plane).for_each(|to| to.copy_from_slice(self.fitted.data())),
            Layout::Rgb => {
                for (channel, to) in planes.chunks_exact_mut(plane).enumerate() {
                    for (to, pixel) in to.iter_mut().zip(self.fitted.data().chunks_exact(3)) {
                        *to = pixel[channel];
                    }
                }
            }
        }
        Ok(())
    }

    /// Mean absolute difference of the frame prepared last to the one judged last, in grey levels of the backbone's
    /// input; infinite before the first verdict.
    ///
    /// # Errors
    /// [`TaskError::Engine`] where the backbone's input is not of bytes.
    pub fn change(&mut self) -> Result<f64, TaskError> {
        let planes = self.session.input_mut::<u8>(0)?;
        let sum: u64 = planes.iter().zip(&self.previous).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        Ok(if self.previous.is_empty() { f64::INFINITY } else { sum as f64 / self.previous.len() as f64 })
    }

    /// Judges the frame that was prepared last; `frame_size` is its size before resizing.
    ///
    /// # Errors
    /// [`TaskError::Engine`] where the backbone fails.
    pub fn judge(&mut self, frame_size: (usize, usize), verdict: &mut Verdict) -> Result<(), TaskError> {
        self.session.run()?;
        self.previous.clear();
        self.previous.extend_from_slice(self.session.input_mut::<u8>(0)?);
        let features = self.session.output::<u8>(0)?;
        let (columns, rows) = self.grid;
        smooth_into_cells(features, self.bank.channels(), rows, columns, &mut self.cells);
        let cells = self.cells.chunks_exact(self.bank.channels());
        for (cell, distance) in cells.zip(&mut self.distances) {
            *distance = self.bank.distance(cell);
        }
        self.repeat(frame_size, verdict);
        Ok(())
    }

    /// The verdict that follows from the distances of the frame judged last, for a frame of the given size.
    pub fn repeat(&mut self, frame_size: (usize, usize), verdict: &mut Verdict) {
        let (columns, rows) = self.grid;
        let grid = Grid { width: columns, height: rows, frame_width: frame_size.0, frame_height: frame_size.1 };
        verdict.heat.reshape(Layout::Grey, columns, rows);
        let mut hottest = (0, 0);
        for (cell, (&distance, pixel)) in self.distances.iter().zip(verdict.heat.data_mut()).enumerate() {
            *pixel = heat(distance, self.half);
            if distance > hottest.1 {
                hottest = (cell, distance);
            }
        }
        verdict.score = score(hottest.1, self.half);
        verdict.threshold = self.threshold;
        verdict.defect = hottest.1 >= self.least;
        verdict.peak = grid.centre(hottest.0);
        find_regions(&grid, &self.distances, self.least, self.half, &mut self.scratch, &mut verdict.regions);
    }
}

/// The smallest distance whose score reaches `threshold`: so that frames and cells are decided on integers alone.
fn least_distance(threshold: f64, half: u32) -> u32 {
    let (mut low, mut high) = (0u32, u32::MAX);
    while low < high {
        let middle = low + (high - low) / 2;
        if score(middle, half) >= threshold { high = middle } else { low = middle + 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_distance_is_where_the_score_reaches_the_threshold() {
        assert_eq!(least_distance(0.5, 1000), 1000);
        assert_eq!(least_distance(0.0, 1000), 0);
        for threshold in [0.1, 0.25, 0.7, 0.99] {
            let least = least_distance(threshold, 777);
            assert!(score(least, 777) >= threshold && score(least - 1, 777) < threshold);
        }
    }
}
