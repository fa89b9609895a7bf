//! Is this frame normal, and where not? A frozen INT8 backbone sees the frame at a few sizes; scorers, taught on normal
//! parts, tell how far what it saw is from them.
//!
//! ```text
//! frame -- view (each size) --+-- pooled --> scorers that judge the whole --+
//!                             +-- cells ---> scorers that judge places -----+--> sum -- calibration --> score 0..1
//!                                                                   +--> heatmap, regions
//! ```

mod averages;
mod baseline;
mod calibration;
mod cells;
mod heatmap;
mod look;
mod measure;
mod pixels;
mod pooled;
mod scorer;
pub mod teach;
mod verdict;
mod view;

pub use baseline::{Baseline, Looks};
pub use heatmap::Region;
pub use look::Look;
pub use measure::{auroc, f1, interval, recall_at};
pub use pixels::Pixels;
pub use verdict::Verdict;

use super::TaskError;
use crate::bundle::{Bundle, BundleError, Method, Task};
use calibration::Calibration;
use cells::Cells;
use heatmap::{Grid, Scratch, find_regions, heat};
use lineside_engine::{Plan, npy};
use lineside_picture::{Layout, Picture};
use look::Eye;
use pooled::pool;
use scorer::{Matrix, Seen, Sum, rebuild};
use std::sync::Arc;
use std::time::{Duration, Instant};
use view::View;

/// Below this many pixels a side a frame holds nothing that could be judged.
const LEAST_SIDE: usize = 32;

/// The distance that is half hot, once each cell is held to what is usual in its place.
const HALF_HOT: u32 = 4096;

/// Judges frames by one bundle.
pub struct Inspector {
    bundle: Arc<str>,
    views: Vec<View>,
    /// By view: what the scorers look at.
    needs: Vec<Needs>,
    seen: Seen,
    sum: Sum,
    calibration: Calibration,
    shown: usize,
    /// By cell: the distance that is shown half hot.
    half: Vec<f32>,
    /// By cell: the distance, where [`HALF_HOT`] is half hot.
    relative: Vec<u32>,
    threshold: f64,
    score: f64,
    previous: Vec<u8>,
    eye: Eye,
    look: Look,
    scratch: Scratch,
}

#[derive(Clone, Copy, Default)]
struct Needs {
    cells: bool,
    /// The cells joined, not group by group.
    joined: bool,
    pooled: bool,
}

impl Inspector {
    /// Loads the bundle's backbone and its statistics of normal. `threshold` replaces the bundle's own.
    ///
    /// # Errors
    /// [`TaskError::Bundle`] where the bundle is of another task or its parts do not fit each other.
    pub fn new(bundle: &Bundle, threshold: Option<f64>) -> Result<Inspector, TaskError> {
        Inspector::load(bundle, threshold, None)
    }

    /// The same, with a backbone that is computed by the kernel set of a name ([`lineside_engine::kernel_names`]).
    ///
    /// # Errors
    /// As [`Inspector::new`].
    pub fn on_kernel(bundle: &Bundle, threshold: Option<f64>, kernel: &str) -> Result<Inspector, TaskError> {
        Inspector::load(bundle, threshold, Some(kernel))
    }

    fn load(bundle: &Bundle, threshold: Option<f64>, kernel: Option<&str>) -> Result<Inspector, TaskError> {
        let manifest = bundle.manifest();
        let (Task::Anomaly, Some(section)) = (manifest.task, &manifest.anomaly) else {
            return Err(bundle
                .blame("bundle.toml", "task is not \"anomaly\"; name a bundle that was made for it")
                .into());
        };
        let mut views = Vec::new();
        let mut seen = Seen { pooled: Vec::new(), cells: Vec::new() };
        for &side in &section.views {
            let blame = |problem| bundle.blame(&manifest.model, problem);
            let model = bundle.model()?;
            let view = match kernel {
                Some(kernel) => View::on_kernel(model, side, kernel),
                None => View::new(model, side),
            };
            let view = view.map_err(blame)?;
            seen.cells.push(Cells::new(view.layers()).map_err(blame)?);
            seen.pooled.push(Vec::new());
            views.push(view);
        }
        let (mut sum, mut needs) = (Sum::default(), vec![Needs::default(); views.len()]);
        for part in &section.scorer {
            let matrix = matrix(bundle, &part.statistics)?;
            let scorer = rebuild(part, views[part.view].layers(), &matrix);
            let scorer = scorer.map_err(|problem| bundle.blame(&part.statistics, problem))?;
            let needs = &mut needs[part.view];
            *(if scorer.distances().is_some() { &mut needs.cells } else { &mut needs.pooled }) = true;
            needs.joined |= part.method == Method::Bank;
            sum.push(scorer, part);
        }
        if sum.scorers().nth(section.heat.scorer).is_none_or(|scorer| scorer.distances().is_none()) {
            return Err(bundle.blame("bundle.toml", "anomaly.heat.scorer does not look at places").into());
        }
        let half = matrix(bundle, &section.heat.half_distances)?.values;
        let shown = &section.scorer[section.heat.scorer];
        let (width, height) = seen.cells[shown.view].grid();
        if half.len() != width * height || !half.iter().all(|half| *half > 0.0) {
            let problem = format!("a number over 0 is expected for each of {width}x{height} cells");
            return Err(bundle.blame(&section.heat.half_distances, problem).into());
        }
        let calibration = Calibration::from_matrix(&matrix(bundle, &section.calibration)?);
        Ok(Inspector {
            bundle: bundle.fingerprint().into(),
            views,
            needs,
            seen,
            sum,
            calibration: calibration.map_err(|problem| bundle.blame(&section.calibration, problem))?,
            shown: section.heat.scorer,
            relative: vec![0; half.len()],
            scratch: Scratch::for_cells(half.len()),
            half,
            threshold: threshold.unwrap_or(section.threshold),
            score: 0.0,
            previous: Vec::new(),
            eye: Eye::new(section.views[0]),
            look: Look::default(),
        })
    }

    /// The fingerprint of the bundle that it judges by.
    pub fn bundle(&self) -> &Arc<str> {
        &self.bundle
    }

    /// The plans of the backbone, one a view.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.views.iter().map(View::plan)
    }

    /// Bytes of the statistics of normal.
    pub fn statistics_bytes(&self) -> usize {
        self.sum.scorers().map(scorer::Scorer::bytes).sum()
    }

    /// Resizes the frame to the backbone's views.
    ///
    /// # Errors
    /// [`TaskError::TooSmall`] for a frame that holds nothing to judge, [`TaskError::Picture`] where it cannot be resized.
    pub fn prepare(&mut self, frame: &Picture) -> Result<(), TaskError> {
        let (width, height) = (frame.width(), frame.height());
        if width < LEAST_SIDE || height < LEAST_SIDE {
            return Err(TaskError::TooSmall { width, height, least: LEAST_SIDE });
        }
        view::prepare(&mut self.views, frame)?;
        self.look = self.eye.look(self.views[0].fitted());
        Ok(())
    }

    /// What the frame prepared last looks like.
    pub fn look(&self) -> &Look {
        &self.look
    }

    /// Mean absolute difference of the frame prepared last to the one judged last, in grey levels of the first view;
    /// infinite before the first verdict, and where one frame is grey and the other is not.
    pub fn change(&self) -> f64 {
        let now = self.views[0].fitted().data();
        if now.len() != self.previous.len() {
            return f64::INFINITY;
        }
        let sum: u64 = now.iter().zip(&self.previous).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / now.len() as f64
    }

    /// Judges the frame that was prepared last; `frame_size` is its size before resizing.
    ///
    /// # Errors
    /// [`TaskError::Engine`] where the backbone fails.
    pub fn judge(&mut self, frame_size: (usize, usize), verdict: &mut Verdict) -> Result<(), TaskError> {
        self.judge_timed(frame_size, verdict).map(|_| ())
    }

    /// The same; tells what time of it the backbone took.
    ///
    /// # Errors
    /// As [`Inspector::judge`].
    pub fn judge_timed(&mut self, frame_size: (usize, usize), verdict: &mut Verdict) -> Result<Duration, TaskError> {
        let mut backbone = Duration::ZERO;
        for (at, (view, needs)) in self.views.iter_mut().zip(&self.needs).enumerate() {
            let start = Instant::now();
            view.run()?;
            backbone += start.elapsed();
            if needs.pooled {
                pool(view.features(), &mut self.seen.pooled[at]);
            }
            if needs.cells {
                self.seen.cells[at].fill(view.features());
            }
            if needs.joined {
                self.seen.cells[at].join();
            }
        }
        self.previous.clear();
        self.previous.extend_from_slice(self.views[0].fitted().data());
        self.score = self.calibration.score(self.sum.score(&self.seen));
        self.repeat(frame_size, verdict);
        Ok(backbone)
    }

    /// The verdict on the frame judged last, for a frame of the given size.
    pub fn repeat(&mut self, frame_size: (usize, usize), verdict: &mut Verdict) {
        let shown = self.sum.scorers().nth(self.shown);
        let (Some(distances), Some(view)) = (shown.and_then(|s| s.distances()), shown.map(|s| s.view())) else {
            return;
        };
        let (width, height) = self.seen.cells[view].grid();
        let grid = Grid { width, height, frame_width: frame_size.0, frame_height: frame_size.1 };
        verdict.heat.reshape(Layout::Grey, width, height);
        let mut hottest = (0, 0);
        let pixels = verdict.heat.data_mut().iter_mut();
        for (cell, ((&distance, half), (relative, pixel))) in
            distances.iter().zip(&self.half).zip(self.relative.iter_mut().zip(pixels)).enumerate()
        {
            *relative = (distance as f32 / half * HALF_HOT as f32) as u32;
            *pixel = heat(*relative, HALF_HOT);
            if *relative > hottest.1 {
                hottest = (cell, *relative);
            }
        }
        verdict.score = self.score;
        verdict.threshold = self.threshold;
        verdict.defect = self.score >= self.threshold;
        verdict.peak = grid.centre(hottest.0);
        verdict.regions.clear();
        if verdict.defect {
            // A frame that is a defect by the sum of all scorers has a place, even if this one finds none very hot.
            let least = if hottest.1 > HALF_HOT { HALF_HOT.max(hottest.1 / 2) } else { hottest.1.max(1) };
            find_regions(&grid, &self.relative, least, HALF_HOT, &mut self.scratch, &mut verdict.regions);
        }
    }
}

/// Reads a matrix of floats.
fn matrix(bundle: &Bundle, name: &str) -> Result<Matrix, BundleError> {
    let tensor = npy::read(&bundle.read(name)?).map_err(|e| bundle.blame(name, e))?;
    match (tensor.values::<f32>(), tensor.shape()) {
        (Some(values), &[_, columns]) if columns > 0 => Ok(Matrix { columns, values: values.to_vec() }),
        _ => Err(bundle.blame(name, format!("holds {tensor}: a matrix of f32 is expected"))),
    }
}
