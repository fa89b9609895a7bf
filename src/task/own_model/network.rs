//! A network that takes one picture, and gives numbers.

use super::frame_input::FrameInput;
use crate::bundle::InputSection;
use crate::task::error::TaskError;
use lineside_engine::{ElementKind, EngineError, Model, Plan, Session, Workspace};
use lineside_picture::{Picture, Rect};
use std::sync::Arc;

/// A network that takes one picture of a fixed size.
pub struct Network {
    session: Session,
    input: FrameInput,
}

impl Network {
    /// Plans a model for the input that a manifest states, with runs in a workspace.
    ///
    /// # Errors
    /// One line, where the model does not take one picture of that size in bytes or 32-bit floats.
    pub fn new(model: Model, input: &InputSection, workspace: &Workspace) -> Result<Network, String> {
        Network::of_plan(model.plan(&[FrameInput::shape_of(input)?]), input, workspace)
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
        Network::of_plan(model.plan_with(&[FrameInput::shape_of(input)?], kernel), input, workspace)
    }

    /// The plan, to be shared with runs in another workspace ([`Network::of_shared`]).
    pub fn shared_plan(&self) -> Arc<Plan> {
        self.session.shared_plan()
    }

    fn of_plan(
        plan: Result<Plan, EngineError>,
        input: &InputSection,
        workspace: &Workspace,
    ) -> Result<Network, String> {
        Network::of_shared(Arc::new(plan.map_err(|error| error.to_string())?), input, workspace)
    }

    /// A network of a plan that others run, too, each in its own workspace: they share the packed weights.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn of_shared(plan: Arc<Plan>, input: &InputSection, workspace: &Workspace) -> Result<Network, String> {
        let kind = plan.inputs().first().map(|input| input.kind).ok_or("it has no input")?;
        let input = FrameInput::new(input, kind)?;
        let session = Session::in_workspace(plan, workspace).map_err(|error| error.to_string())?;
        Ok(Network { session, input })
    }

    /// The network's plan.
    pub fn plan(&self) -> &Plan {
        self.session.plan()
    }

    /// Width and height of its input in pixels.
    pub fn size(&self) -> (usize, usize) {
        self.input.size()
    }

    /// The part of a frame of this size that it sees.
    pub fn area(&self, frame: (usize, usize)) -> Rect {
        self.input.area(frame)
    }

    /// Makes the input of a frame.
    ///
    /// # Errors
    /// [`TaskError::Picture`] for a frame without pixels.
    pub fn prepare(&mut self, frame: &Picture) -> Result<(), TaskError> {
        self.input.prepare(frame)
    }

    /// The resized frame, `[height, width, channels]`, before its values are scaled.
    pub fn fitted(&self) -> &Picture {
        self.input.fitted()
    }

    /// Runs the network on the frame that was prepared last.
    ///
    /// # Errors
    /// [`TaskError::Engine`] where the model fails.
    pub fn run(&mut self) -> Result<(), TaskError> {
        self.input.fill_bytes();
        if self.input.takes_bytes() {
            self.session.input_mut::<u8>(0)?.copy_from_slice(self.input.bytes());
        } else {
            self.input.scale(self.session.input_mut::<f32>(0)?);
        }
        Ok(self.session.run()?)
    }

    /// What makes its input of a frame.
    pub fn frame_input(&mut self) -> &mut FrameInput {
        &mut self.input
    }

    /// The input of the last run in bytes, in the order of its axes: before it was scaled.
    pub fn bytes(&self) -> &[u8] {
        self.input.bytes()
    }

    /// Bytes of a row of the input, and of a pixel in it.
    pub fn row(&self) -> (usize, usize) {
        self.input.row()
    }

    /// Of values in the input's shape the bytes of which they would have been made, the nearest ones.
    pub fn unscale(&self, values: &[f32], bytes: &mut [u8]) {
        self.input.unscale(values, bytes);
    }

    /// The output of this name, which has one size: its index.
    ///
    /// # Errors
    /// One line with the names that there are, or where its size is only known in a run.
    pub fn output_named(&self, name: &str) -> Result<usize, String> {
        let outputs = self.plan().outputs();
        let index = outputs.iter().position(|output| output.name == name).ok_or_else(|| {
            let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
            format!("has no output \"{name}\", only {}", names.join(", "))
        })?;
        match outputs[index].counted_axis {
            None => Ok(index),
            Some(_) => Err(format!(
                "its output \"{name}\" is {}: a task needs one whose size is the same in every run",
                outputs[index]
            )),
        }
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
}
