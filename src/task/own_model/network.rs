//! A network and how a frame becomes its input.

use crate::bundle::{AxisOrder, Channels, Fit, InputSection, PreparationSection};
use crate::task::error::TaskError;
use lineside_engine::{ElementKind, EngineError, Model, Plan, Session, Tensor, Workspace};
use lineside_picture::{Layout, Picture, PictureError, Rect, Resizer, luma_row};
use std::sync::Arc;

/// Values of a pixel's byte.
const LEVELS: usize = 256;

/// A network that takes one picture of a fixed size.
pub struct Network {
    session: Session,
    channels: Channels,
    preparation: PreparationSection,
    /// Width and height of the input in pixels.
    size: (usize, usize),
    /// By channel: the input's value for each byte; empty where the network takes bytes.
    table: Vec<f32>,
    resizer: Option<(Resizer, FrameShape)>,
    /// What is kept of the frame, where that is not all of it.
    kept: Picture,
    fitted: Picture,
    /// The input in bytes, in the order of its axes.
    bytes: Vec<u8>,
}

type FrameShape = (usize, usize, Layout);

impl Network {
    /// Plans a model for the input that a manifest states, with runs in a workspace.
    ///
    /// # Errors
    /// One line, where the model does not take one picture of that size in bytes or 32-bit floats.
    pub fn new(model: Model, input: &InputSection, workspace: &Workspace) -> Result<Network, String> {
        Network::of_plan(model.plan(&[shape(input)?]), input, workspace)
    }

    /// As [`Network::new`], with the kernel set of this name ([`lineside_engine::kernel_names`]).
    ///
    /// # Errors
    /// As [`Network::new`], and where this CPU has no such set.
    pub fn on_kernel(
        model: Model,
        input: &InputSection,
        workspace: &Workspace,
        kernel: &str,
    ) -> Result<Network, String> {
        Network::of_plan(model.plan_with(&[shape(input)?], kernel), input, workspace)
    }

    /// The same network for runs in another workspace, beside this one: both share the packed weights.
    ///
    /// # Errors
    /// One line, where a thread of the workspace has failed.
    pub fn beside(&self, input: &InputSection, workspace: &Workspace) -> Result<Network, String> {
        Network::of_shared(self.session.shared_plan(), input, workspace)
    }

    fn of_plan(
        plan: Result<Plan, EngineError>,
        input: &InputSection,
        workspace: &Workspace,
    ) -> Result<Network, String> {
        Network::of_shared(Arc::new(plan.map_err(|error| error.to_string())?), input, workspace)
    }

    fn of_shared(plan: Arc<Plan>, input: &InputSection, workspace: &Workspace) -> Result<Network, String> {
        let preparation = input.preparation.clone().unwrap_or_default();
        let (Some(width), Some(height)) = (input.width, input.height) else { return Err(NO_SIZE.into()) };
        let table = match (plan.inputs().first().map(|input| input.kind), preparation.mean.is_empty()) {
            (Some(ElementKind::U8), true) => Vec::new(),
            (Some(ElementKind::F32), false) => table(&preparation),
            (Some(ElementKind::U8), false) => {
                return Err("it takes bytes: [input.preparation] must not state mean and std".into());
            }
            (Some(ElementKind::F32), true) => {
                return Err("it takes floats: [input.preparation] must state mean and std".into());
            }
            (Some(kind), _) => return Err(format!("its input is {kind}: pictures come as uint8 or float32")),
            (None, _) => return Err("it has no input".into()),
        };
        let session = Session::in_workspace(plan, workspace).map_err(|error| error.to_string())?;
        let bytes = vec![0; width * height * input.channels.count()];
        let (channels, size) = (input.channels, (width, height));
        let (kept, fitted) = (Picture::default(), Picture::default());
        Ok(Network { session, channels, preparation, size, table, resizer: None, kept, fitted, bytes })
    }

    /// The network's plan.
    pub fn plan(&self) -> &Plan {
        self.session.plan()
    }

    /// Width and height of its input in pixels.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// The part of a frame of this size that it sees.
    pub fn area(&self, (width, height): (usize, usize)) -> Rect {
        if self.preparation.fit == Fit::Stretch {
            return Rect { x: 0, y: 0, width, height };
        }
        let (to_width, to_height) = self.size;
        // The longest part with the input's aspect ratio, and of that the share that is kept.
        let (wide, high) = if width * to_height > height * to_width {
            (height * to_width / to_height, height)
        } else {
            (width, width * to_height / to_width)
        };
        let kept = |side: usize| ((side as f64 * self.preparation.keep).round() as usize).max(1);
        let (wide, high) = (kept(wide).min(width), kept(high).min(height));
        Rect { x: (width - wide) / 2, y: (height - high) / 2, width: wide, height: high }
    }

    /// Makes the input of a frame.
    ///
    /// # Errors
    /// [`TaskError::Picture`] for a frame without pixels.
    pub fn prepare(&mut self, frame: &Picture) -> Result<(), TaskError> {
        let area = self.area((frame.width(), frame.height()));
        let is_whole = (area.width, area.height) == (frame.width(), frame.height());
        if !is_whole {
            frame.crop_into(area, &mut self.kept);
        }
        let from = if is_whole { frame } else { &self.kept };
        let shape = (from.width(), from.height(), from.layout());
        let resizer = match &mut self.resizer {
            Some((resizer, known)) if *known == shape => resizer,
            stale => &mut stale.insert((fit(shape, self.size)?, shape)).0,
        };
        resizer.run(from, &mut self.fitted)?;
        Ok(())
    }

    /// The resized frame, `[height, width, channels]`, before its values are scaled.
    pub fn fitted(&self) -> &Picture {
        &self.fitted
    }

    /// Runs the network on the frame that was prepared last.
    ///
    /// # Errors
    /// [`TaskError::Engine`] where the model fails.
    pub fn run(&mut self) -> Result<(), TaskError> {
        self.fill_input()?;
        Ok(self.session.run()?)
    }

    /// The input of the frame that was prepared last, as the network takes it.
    ///
    /// # Errors
    /// None in practice: the network was planned for this input.
    pub fn input(&mut self) -> Result<Tensor, TaskError> {
        self.fill_input()?;
        let shape = self.plan().inputs().first().map(|input| input.shape.clone()).unwrap_or_default();
        Ok(if self.table.is_empty() {
            Tensor::new(shape, self.bytes.clone())?
        } else {
            Tensor::new(shape, self.session.input_mut::<f32>(0)?.to_vec())?
        })
    }

    /// Writes the resized frame to the network's input.
    fn fill_input(&mut self) -> Result<(), TaskError> {
        self.fill_bytes();
        if self.table.is_empty() {
            self.session.input_mut::<u8>(0)?.copy_from_slice(&self.bytes);
        } else {
            let values = self.session.input_mut::<f32>(0)?;
            let channels = self.channels.count();
            match self.preparation.order {
                AxisOrder::Nchw => {
                    let plane = self.size.0 * self.size.1;
                    let planes = values.chunks_exact_mut(plane).zip(self.bytes.chunks_exact(plane));
                    for ((to, from), table) in planes.zip(self.table.chunks_exact(LEVELS)) {
                        to.iter_mut().zip(from).for_each(|(to, &byte)| *to = table[usize::from(byte)]);
                    }
                }
                AxisOrder::Nhwc => {
                    for (to, from) in values.chunks_exact_mut(channels).zip(self.bytes.chunks_exact(channels)) {
                        for ((to, &byte), table) in to.iter_mut().zip(from).zip(self.table.chunks_exact(LEVELS)) {
                            *to = table[usize::from(byte)];
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The input of the last run in bytes, in the order of its axes: before it was scaled.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of a row of the input, and of a pixel in it.
    pub fn row(&self) -> (usize, usize) {
        let pixel = match self.preparation.order {
            AxisOrder::Nchw => 1,
            AxisOrder::Nhwc => self.channels.count(),
        };
        (self.size.0 * pixel, pixel)
    }

    /// Of values in the input's shape the bytes of which they would have been made, the nearest ones.
    pub fn unscale(&self, values: &[f32], bytes: &mut [u8]) {
        let (plane, channels) = (self.size.0 * self.size.1, self.channels.count());
        let scales = || self.preparation.mean.iter().zip(&self.preparation.std);
        // A saturating cast: what lies beyond a picture's values is cut off.
        let byte = |value: f32, mean: f64, std: f64| (f64::from(value) * std + mean).round() as u8;
        match self.preparation.order {
            AxisOrder::Nchw => {
                let planes = values.chunks_exact(plane).zip(bytes.chunks_exact_mut(plane));
                for ((values, bytes), (mean, std)) in planes.zip(scales()) {
                    bytes.iter_mut().zip(values).for_each(|(to, value)| *to = byte(*value, *mean, *std));
                }
            }
            AxisOrder::Nhwc => {
                for (values, bytes) in values.chunks_exact(channels).zip(bytes.chunks_exact_mut(channels)) {
                    for ((to, value), (mean, std)) in bytes.iter_mut().zip(values).zip(scales()) {
                        *to = byte(*value, *mean, *std);
                    }
                }
            }
        }
    }

    /// The output of this name: its index.
    ///
    /// # Errors
    /// One line with the names that there are.
    pub fn output_named(&self, name: &str) -> Result<usize, String> {
        let outputs = self.plan().outputs();
        outputs.iter().position(|output| output.name == name).ok_or_else(|| {
            let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
            format!("has no output \"{name}\", only {}", names.join(", "))
        })
    }

    /// As [`Network::output_named`], where it is one of floats.
    ///
    /// # Errors
    /// One line, where there is none of this name, or it has other elements.
    pub fn floats_named(&self, name: &str) -> Result<usize, String> {
        let index = self.output_named(name)?;
        match self.plan().outputs()[index].kind {
            ElementKind::F32 => Ok(index),
            kind => {
                Err(format!("its output \"{name}\" is {kind}: float32 is needed, as after DequantizeLinear or Cast"))
            }
        }
    }

    /// An output of floats of the last run.
    ///
    /// # Errors
    /// [`TaskError::Output`] where it holds what is no finite number, [`TaskError::Engine`] where it has other elements.
    pub fn floats(&self, index: usize) -> Result<&[f32], TaskError> {
        let values = self.session.output::<f32>(index)?;
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(at) => {
                let name = self.plan().outputs().get(index).map_or("", |output| output.name.as_str());
                Err(TaskError::Output(format!(
                    "the network gave {} at place {at} of its output \"{name}\": no verdict follows from that",
                    values[at]
                )))
            }
        }
    }

    /// An output of bytes of the last run.
    ///
    /// # Errors
    /// [`TaskError::Engine`] where it has other elements.
    pub fn output_bytes(&self, index: usize) -> Result<&[u8], TaskError> {
        Ok(self.session.output::<u8>(index)?)
    }

    /// The input in bytes, of the resized frame.
    fn fill_bytes(&mut self) {
        let (width, channels) = (self.size.0, self.channels.count());
        let plane = width * self.size.1;
        let picture = &self.fitted;
        let planar = self.preparation.order == AxisOrder::Nchw;
        if self.channels == Channels::Luma {
            luma_row(picture.layout(), picture.data(), &mut self.bytes);
            return;
        }
        for channel in 0..channels {
            let source = if self.channels == Channels::Bgr { channels - 1 - channel } else { channel };
            let (first, step) = match picture.layout() {
                Layout::Grey => (0, 1),
                Layout::Rgb => (source, 3),
            };
            let from = picture.data()[first..].iter().step_by(step);
            if planar {
                self.bytes[channel * plane..][..plane].iter_mut().zip(from).for_each(|(to, byte)| *to = *byte);
            } else {
                self.bytes[channel..].iter_mut().step_by(channels).zip(from).for_each(|(to, byte)| *to = *byte);
            }
        }
    }
}

const NO_SIZE: &str = "this task needs input.width and input.height";

/// The input's shape: one picture.
fn shape(input: &InputSection) -> Result<Vec<usize>, String> {
    let (Some(width), Some(height)) = (input.width, input.height) else { return Err(NO_SIZE.into()) };
    let channels = input.channels.count();
    Ok(match input.preparation.as_ref().map_or(AxisOrder::Nchw, |section| section.order) {
        AxisOrder::Nchw => vec![1, channels, height, width],
        AxisOrder::Nhwc => vec![1, height, width, channels],
    })
}

/// By channel: `(byte - mean) / std`, rounded once.
fn table(preparation: &PreparationSection) -> Vec<f32> {
    let channels = preparation.mean.iter().zip(&preparation.std);
    channels.flat_map(|(mean, std)| (0..LEVELS).map(move |byte| ((byte as f64 - mean) / std) as f32)).collect()
}

fn fit((width, height, layout): FrameShape, size: (usize, usize)) -> Result<Resizer, PictureError> {
    Resizer::fit(layout, (width, height), size)
}
