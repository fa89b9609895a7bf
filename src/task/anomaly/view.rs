//! The backbone at one input size, and the features that it extracts from a frame.

use crate::bundle::ViewSize;
use lineside_engine::{EngineError, Model, Plan, Session, Workspace};
use lineside_picture::{Layout, Picture, PictureError, Resizer};
use multiversion::multiversion;
use std::sync::Arc;

/// The fewest pixels per side of a frame, or of the part of it, that can be inspected.
pub const MIN_SIDE: usize = 32;

/// The shape of one layer of features, bytes `[channels, rows, columns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Feature planes.
    pub channels: usize,
    /// Height of a plane.
    pub rows: usize,
    /// Width of a plane.
    pub columns: usize,
}

impl Layer {
    /// Values in a plane.
    pub fn plane(&self) -> usize {
        self.rows * self.columns
    }
}

/// The backbone, planned for one size. A frame is resized to it, whatever its aspect ratio.
pub struct View {
    session: Session,
    size: ViewSize,
    layers: Vec<Layer>,
    resizer: Option<(Resizer, FrameShape)>,
    fitted: Picture,
    bytes: Vec<u8>,
}

type FrameShape = (usize, usize, Layout);

/// The shape of an input: one picture of red, green and blue planes.
fn shape(size: ViewSize) -> Vec<usize> {
    vec![1, 3, size.height, size.width]
}

impl View {
    /// As [`View::in_workspace`], with the kernel set of this name ([`lineside_engine::kernel_names`]).
    ///
    /// # Errors
    /// As [`View::in_workspace`], and where this CPU has no such set.
    pub fn on_kernel(model: Model, size: ViewSize, workspace: &Workspace, kernel: &str) -> Result<View, String> {
        View::of_plan(model.plan_with(&[shape(size)], kernel), size, workspace)
    }

    /// Plans `model` for a size, with runs in a workspace.
    ///
    /// # Errors
    /// One line, where the model does not take RGB planes of bytes or has other outputs than planes of bytes.
    pub fn in_workspace(model: Model, size: ViewSize, workspace: &Workspace) -> Result<View, String> {
        View::of_plan(model.plan(&[shape(size)]), size, workspace)
    }

    /// The plan, to be shared with runs in another workspace ([`View::of_shared`]).
    pub fn shared_plan(&self) -> Arc<Plan> {
        self.session.shared_plan()
    }

    fn of_plan(plan: Result<Plan, EngineError>, size: ViewSize, workspace: &Workspace) -> Result<View, String> {
        View::of_shared(Arc::new(plan.map_err(|e| e.to_string())?), size, workspace)
    }

    /// A view of a plan that others run, too, each in its own workspace: they share the packed weights.
    ///
    /// # Errors
    /// One line, where a thread of the workspace has failed, or the plan is of another kind of network.
    pub fn of_shared(plan: Arc<Plan>, size: ViewSize, workspace: &Workspace) -> Result<View, String> {
        let layers = plan.outputs().iter().map(|output| match output.shape[..] {
            [1, channels, rows, columns] if channels * rows * columns > 0 && output.counted_axis.is_none() => {
                Ok(Layer { channels, rows, columns })
            }
            _ => Err(format!("output \"{}\" is {output}: planes of features are expected", output.name)),
        });
        let layers = layers.collect::<Result<Vec<Layer>, String>>()?;
        let mut session = Session::in_workspace(plan, workspace).map_err(|e| e.to_string())?;
        session.input_mut::<u8>(0).map_err(|e| e.to_string())?;
        for index in 0..layers.len() {
            session.output::<u8>(index).map_err(|e| e.to_string())?;
        }
        let bytes = vec![0; layers.iter().map(|layer| layer.channels * layer.plane()).sum()];
        Ok(View { session, size, layers, resizer: None, fitted: Picture::default(), bytes })
    }

    /// The layers of features, in the order of the backbone's outputs.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Its size.
    pub fn size(&self) -> ViewSize {
        self.size
    }

    /// The backbone's plan.
    pub fn plan(&self) -> &Plan {
        self.session.plan()
    }

    /// Resizes a frame to the view's size.
    ///
    /// # Errors
    /// [`PictureError`] for a frame without pixels.
    pub fn prepare(&mut self, frame: &Picture) -> Result<(), PictureError> {
        let shape = (frame.width(), frame.height(), frame.layout());
        let resizer = match &mut self.resizer {
            Some((resizer, known)) if *known == shape => resizer,
            stale => {
                let resizer = Resizer::fit(shape.2, (shape.0, shape.1), (self.size.width, self.size.height))?;
                &mut stale.insert((resizer, shape)).0
            }
        };
        resizer.run(frame, &mut self.fitted)
    }

    /// The resized frame, `[height, width, channels]`.
    pub fn fitted(&self) -> &Picture {
        &self.fitted
    }

    /// Runs the backbone on the frame that was prepared last.
    ///
    /// # Errors
    /// [`EngineError`] where the model fails.
    pub fn run(&mut self) -> Result<(), EngineError> {
        let plane = self.size.pixels();
        let planes = self.session.input_mut::<u8>(0)?;
        for (channel, to) in planes.chunks_exact_mut(plane).enumerate() {
            match self.fitted.layout() {
                Layout::Grey => to.copy_from_slice(self.fitted.data()),
                Layout::Rgb => deinterleave(&self.fitted.data()[channel..], to),
            }
        }
        self.session.run()?;
        self.bytes.clear();
        for index in 0..self.layers.len() {
            self.bytes.extend_from_slice(self.session.output::<u8>(index)?);
        }
        Ok(())
    }

    /// The features of the last run.
    pub fn features(&self) -> FeatureMaps<'_> {
        FeatureMaps { layers: &self.layers, bytes: &self.bytes }
    }
}

/// Plans a model for several sizes. It is parsed once, and what was parsed is freed with the last plan.
///
/// # Errors
/// The first error of `plan`.
pub fn plan_each(
    model: Model,
    sizes: &[ViewSize],
    plan: impl Fn(Model, ViewSize) -> Result<View, String>,
) -> Result<Vec<View>, String> {
    let Some((&last, others)) = sizes.split_last() else { return Ok(Vec::new()) };
    let mut views = others.iter().map(|&size| plan(model.clone(), size)).collect::<Result<Vec<View>, String>>()?;
    views.push(plan(model, last)?);
    Ok(views)
}

/// Copies one channel of RGB pixels; `from` begins at its first value.
#[multiversion(targets("x86_64+avx512bw+avx512vl", "x86_64+avx2"))]
fn deinterleave(from: &[u8], to: &mut [u8]) {
    for (i, to) in to.iter_mut().enumerate() {
        *to = from[3 * i];
    }
}

/// Resizes the frame for every view: for the first, and from there for smaller ones, which is faster and gives nearly the same
/// picture.
///
/// # Errors
/// As [`View::prepare`].
pub fn prepare(views: &mut [View], frame: &Picture) -> Result<(), PictureError> {
    let Some((first, others)) = views.split_first_mut() else { return Ok(()) };
    first.prepare(frame)?;
    others.iter_mut().try_for_each(|view| {
        let is_smaller = view.size.width < first.size.width && view.size.height < first.size.height;
        view.prepare(if is_smaller { &first.fitted } else { frame })
    })
}

/// The features of one frame in one view: the planes of all layers, one after the other.
#[derive(Clone, Copy)]
pub struct FeatureMaps<'a> {
    /// The layers.
    pub layers: &'a [Layer],
    /// Their planes.
    pub bytes: &'a [u8],
}

impl<'a> FeatureMaps<'a> {
    /// Each layer with its planes.
    pub fn iter(&self) -> impl Iterator<Item = (Layer, &'a [u8])> {
        let mut rest = self.bytes;
        self.layers.iter().map(move |layer| {
            let (planes, after) = rest.split_at((layer.channels * layer.plane()).min(rest.len()));
            rest = after;
            (*layer, planes)
        })
    }
}
