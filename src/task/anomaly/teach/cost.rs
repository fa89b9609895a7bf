//! What a frame will cost, known before anything is taught.

use super::cache_room::{layout_of, most_pictures};
use super::detail::Views;
use super::scheme::TeachError;
use crate::bundle::{Bundle, Task, ViewSize};
use crate::task::anomaly::view::{self, View};
use lineside_engine::Workspace;
use lineside_picture::{Layout, Picture};
use std::time::{Duration, Instant};

/// Timed runs, of which the fastest counts.
const RUNS: usize = 5;

/// What views of these sizes cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Multiply-accumulates of the backbone per frame.
    pub macs: u64,
    /// What its runs take on this machine, on one thread.
    pub time: Duration,
    /// How many pictures, varied copies counted, can be taught with.
    pub most_pictures: usize,
}

impl Cost {
    /// The time in milliseconds.
    pub fn milliseconds(&self) -> f64 {
        self.time.as_secs_f64() * 1e3
    }

    /// Plans the backbone and runs it a few times.
    ///
    /// # Errors
    /// [`TeachError`] where the backbone cannot be used.
    pub fn measure(backbone: &Bundle, sizes: Views) -> Result<Cost, TeachError> {
        let mut views = plan_views(backbone, &sizes, 1)?;
        view::prepare(&mut views, &Picture::new(Layout::Rgb, sizes[0].width, sizes[0].height))?;
        let mut time = Duration::MAX;
        // The first run is the slowest: it touches the memory of the others.
        for _ in 0..=RUNS {
            let start = Instant::now();
            views.iter_mut().try_for_each(View::run)?;
            time = time.min(start.elapsed());
        }
        let most_pictures = most_pictures(&layout_of(&views, String::new())?);
        Ok(Cost { macs: views.iter().map(|view| view.plan().macs()).sum(), time, most_pictures })
    }
}

/// Plans the backbone for each of these sizes.
///
/// # Errors
/// [`TeachError::Refused`] where the bundle is no backbone, or not one for such views.
pub fn plan_views(backbone: &Bundle, sizes: &[ViewSize], threads: usize) -> Result<Vec<View>, TeachError> {
    // What was taught has its backbone with it.
    let is_taught = backbone.manifest().task == Task::Anomaly && backbone.manifest().anomaly.is_some();
    if backbone.manifest().task != Task::Backbone && !is_taught {
        let problem = "is not a backbone; backbone-lite0 is one";
        return Err(TeachError::Refused(format!("{} {problem}", backbone.folder().display())));
    }
    let model = backbone.model().map_err(|e| TeachError::Refused(e.to_string()))?;
    let blame = |problem| TeachError::Refused(format!("{}: {problem}", backbone.folder().display()));
    let workspace = Workspace::new(threads).map_err(|error| blame(error.to_string()))?;
    view::plan_each(model, sizes, |model, size| View::in_workspace(model, size, &workspace)).map_err(blame)
}
