//! Runs a network and shows what flows inside.

use crate::network::{Network, remove};
use crate::{QuantizeError, types};
use lineside_engine::{Model, Session, Tensor, Workspace};
use std::sync::Arc;
use std::time::Instant;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{TypeProto, ValueInfoProto, type_proto};

/// A network cut down to what some of its tensors depend on, ready for samples of any shape that it takes.
pub struct Runner {
    model: Model,
    workspace: Workspace,
    /// Places in a sample of the inputs that are left.
    inputs: Vec<usize>,
    /// Multiply-accumulates of the last plan.
    macs: u64,
    /// Whether the number of elements of each output is only known in a run, as of NonMaxSuppression.
    counted: Vec<bool>,
    /// Sessions by the shapes of the inputs; the last few.
    sessions: Vec<(Vec<Vec<usize>>, Session)>,
}

/// Sessions kept for other shapes: a data set of many sizes would otherwise hold packed weights for each.
const SESSIONS: usize = 2;

impl Runner {
    /// A runner that shows the tensors `shown`, in that order.
    ///
    /// # Errors
    /// [`QuantizeError::Engine`] where the network cannot be read by the engine.
    pub fn new(network: &Network, shown: &[String], threads: usize) -> Result<Runner, QuantizeError> {
        let mut cut = network.clone();
        let types = types::of(network);
        cut.graph_mut().output = shown.iter().map(|name| output(name, types.kind(name))).collect();
        remove(&mut cut);
        // An input that is shown itself is passed through, as a model must compute its outputs.
        let graph_inputs: Vec<String> = cut.graph().input.iter().map(|input| input.name.clone()).collect();
        for (at, name) in shown.iter().enumerate().filter(|(_, name)| graph_inputs.contains(name)) {
            let passed = cut.fresh(&format!("{name}_shown"));
            cut.graph_mut().node.push(crate::network::node("Identity", &passed, &[name], &[&passed], Vec::new()));
            cut.graph_mut().output[at] = output(&passed, types.kind(name));
        }
        let edges = cut.edges();
        let used: Vec<usize> =
            (0..graph_inputs.len()).filter(|&at| !edges.takers(&graph_inputs[at]).is_empty()).collect();
        let mut at = 0;
        cut.graph_mut().input.retain(|_| {
            at += 1;
            used.contains(&(at - 1))
        });
        let model = Model::parse(&cut.encode())?;
        Ok(Runner {
            model,
            workspace: Workspace::new(threads)?,
            inputs: used,
            macs: 0,
            counted: Vec::new(),
            sessions: Vec::new(),
        })
    }

    /// Runs one sample, which has all inputs of the whole network.
    ///
    /// # Errors
    /// [`QuantizeError::Engine`] where the sample does not fit or the engine cannot run it.
    pub fn run(&mut self, sample: &[Tensor]) -> Result<&[Tensor], QuantizeError> {
        self.run_counted(sample).map(|(outputs, _)| outputs)
    }

    /// As [`Runner::run`]; also whether the number of elements of each output is only known in a run.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn run_counted(&mut self, sample: &[Tensor]) -> Result<(&[Tensor], &[bool]), QuantizeError> {
        let taken: Vec<&Tensor> = self.inputs.iter().filter_map(|&at| sample.get(at)).collect();
        let shapes: Vec<Vec<usize>> = taken.iter().map(|tensor| tensor.shape().to_vec()).collect();
        let at = match self.sessions.iter().position(|(known, _)| *known == shapes) {
            Some(at) => at,
            None => {
                let plan = Arc::new(self.model.clone().plan(&shapes)?);
                self.macs = plan.macs();
                self.counted = plan.outputs().iter().map(|output| output.counted_axis.is_some()).collect();
                if self.sessions.len() == SESSIONS {
                    self.sessions.remove(0);
                }
                self.sessions.push((shapes, Session::in_workspace(plan, &self.workspace)?));
                self.sessions.len() - 1
            }
        };
        let session = &mut self.sessions[at].1;
        for (index, tensor) in taken.into_iter().enumerate() {
            session.set_input(index, tensor.clone())?;
        }
        session.run()?;
        Ok((session.outputs(), &self.counted))
    }

    /// Multiply-accumulates of the last shapes that were run; 0 before.
    pub fn macs(&self) -> u64 {
        self.macs
    }
}

/// The least time of a run of the first sample by each of some networks, in milliseconds, one after the other in turns; 0 without a sample.
///
/// # Errors
/// [`QuantizeError::Engine`] where the engine cannot run one of them.
pub fn times<const N: usize>(
    networks: [&Network; N],
    samples: &[Vec<Tensor>],
    threads: usize,
) -> Result<[f64; N], QuantizeError> {
    let Some(sample) = samples.first() else { return Ok([0.0; N]) };
    let mut runners = Vec::with_capacity(N);
    for network in networks {
        let names: Vec<String> = network.graph().output.iter().map(|output| output.name.clone()).collect();
        let mut runner = Runner::new(network, &names, threads)?;
        runner.run(sample)?;
        runners.push(runner);
    }
    let mut least = [f64::INFINITY; N];
    for _ in 0..TIMED {
        for (least, runner) in least.iter_mut().zip(&mut runners) {
            let begun = Instant::now();
            runner.run(sample)?;
            *least = least.min(1e3 * begun.elapsed().as_secs_f64());
        }
    }
    Ok(least)
}

/// Runs that are timed of each network.
const TIMED: usize = 10;

fn output(name: &str, kind: Option<DataType>) -> ValueInfoProto {
    let tensor = type_proto::Tensor { elem_type: kind.unwrap_or(DataType::Float) as i32, shape: None };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(r#type), ..ValueInfoProto::default() }
}
