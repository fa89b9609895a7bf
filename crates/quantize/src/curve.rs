//! A tensor that only functions of it take, such as what a convolution gives to a SiLU: what rounding does is seen behind them, where a
//! wide flat end counts for nothing.

use crate::QuantizeError;
use crate::calibrate::{Histogram, Quant};
use crate::network::Network;
use crate::placement::Placement;
use crate::run::Runner;
use lineside_engine::Tensor;
use tract_onnx::pb::NodeProto;

/// The functions of a tensor, computed.
pub struct Curve(Runner);

impl Curve {
    /// `None` where something takes the tensor that is no function of it alone.
    ///
    /// # Errors
    /// [`QuantizeError::Engine`] where the engine cannot read them.
    pub fn of(network: &Network, placement: &Placement, tensor: &str) -> Result<Option<Curve>, QuantizeError> {
        let (edges, functions) = (network.edges(), &placement.functions);
        let is_one = |node: &NodeProto| functions.holds(node) && functions.root(&node.output[0]) == tensor;
        let takers = edges.takers(tensor);
        if takers.is_empty() || edges.outputs.contains(tensor) || !takers.iter().all(|&at| is_one(&network.nodes()[at]))
        {
            return Ok(None);
        }
        let mut cut = network.clone();
        let graph = cut.graph_mut();
        graph.node.retain(is_one);
        let is_end = |name: &&String| {
            edges.outputs.contains(*name) || edges.takers(name).iter().any(|&at| !is_one(&network.nodes()[at]))
        };
        let ends: Vec<String> = graph.node.iter().flat_map(|node| &node.output).filter(is_end).cloned().collect();
        graph.input = vec![crate::network::open_input(tensor, 1)];
        Ok(Some(Curve(Runner::new(&cut, &ends, 1)?)))
    }

    /// The squared error behind the functions that each of `quants` makes of what was counted, relative to the square of what is there
    /// without it.
    ///
    /// # Errors
    /// [`QuantizeError::Engine`] where the engine cannot run them.
    pub fn errors(&mut self, histogram: &Histogram, quants: &[Quant]) -> Result<Vec<f64>, QuantizeError> {
        let (values, counts): (Vec<f32>, Vec<f64>) =
            histogram.counts().map(|(value, count)| (value as f32, count)).unzip();
        let points: Vec<f32> = values.iter().copied().chain(quants.iter().flat_map(|quant| quant.levels())).collect();
        let shape = vec![points.len()];
        let found = self.0.run(&[Tensor::new(shape, points)?])?;
        let mut errors = vec![0f64; quants.len()];
        for end in found.iter().filter_map(|tensor| tensor.values::<f32>()) {
            let (exact, levels) = end.split_at(values.len().min(end.len()));
            let square = |value: f32| f64::from(value) * f64::from(value);
            let power: f64 = exact.iter().zip(&counts).map(|(&value, count)| square(value) * count).sum();
            for ((error, quant), levels) in errors.iter_mut().zip(quants).zip(levels.chunks_exact(256)) {
                let lost = values.iter().zip(exact).zip(&counts);
                let lost =
                    lost.map(|((&value, exact), count)| square(exact - levels[usize::from(quant.byte(value))]) * count);
                *error += lost.sum::<f64>() / power.max(f64::MIN_POSITIVE);
            }
        }
        Ok(errors)
    }
}
