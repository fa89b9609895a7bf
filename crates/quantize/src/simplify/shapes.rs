//! Fixed shapes: what a network computes from them becomes constants.

use crate::QuantizeError;
use crate::array;
use crate::network::{Attributes, Network};
use crate::run::Runner;
use lineside_engine::Tensor;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{TensorShapeProto, ValueInfoProto, tensor_shape_proto};

/// States the shapes of `sample` for the inputs, and those that follow for the outputs; Shape nodes become constants.
///
/// # Errors
/// [`QuantizeError::Engine`] where the network does not take the sample.
pub fn fix(network: &mut Network, sample: &[Tensor], threads: usize) -> Result<(), QuantizeError> {
    let types = crate::types::of(network);
    let known = |name: &String| types.kind(name).is_some();
    let asked: Vec<String> = network
        .nodes()
        .iter()
        .filter(|node| node.op_type == "Shape" && node.input.first().is_some_and(known))
        .map(|node| node.input[0].clone())
        .collect();
    let outputs: Vec<String> = network.graph().output.iter().map(|output| output.name.clone()).collect();
    let shown: Vec<String> = asked.iter().chain(&outputs).cloned().collect();
    let shapes: Vec<Vec<usize>> =
        Runner::new(network, &shown, threads)?.run(sample)?.iter().map(|tensor| tensor.shape().to_vec()).collect();
    for (name, shape) in asked.iter().zip(&shapes) {
        let nodes = std::mem::take(&mut network.graph_mut().node);
        for node in nodes {
            if node.op_type != "Shape" || node.input.first() != Some(name) {
                network.graph_mut().node.push(node);
                continue;
            }
            let rank = shape.len() as i64;
            let place = |at: i64| (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize;
            let (start, end) = (place(node.int("start", 0)), place(node.int("end", rank)));
            let part: Vec<i64> = shape.get(start..end).unwrap_or_default().iter().map(|&dim| dim as i64).collect();
            network.set_constant(array::of_integers(&node.output[0], &[part.len()], &part));
        }
    }
    let graph = network.graph_mut();
    graph.input.iter_mut().zip(sample).for_each(|(input, tensor)| state(input, tensor.shape()));
    graph.output.iter_mut().zip(&shapes[asked.len()..]).for_each(|(output, shape)| state(output, shape));
    Ok(())
}

fn state(value: &mut ValueInfoProto, shape: &[usize]) {
    let Some(Value::TensorType(tensor)) = value.r#type.as_mut().and_then(|kind| kind.value.as_mut()) else { return };
    let dim = |&size: &usize| tensor_shape_proto::Dimension {
        value: Some(tensor_shape_proto::dimension::Value::DimValue(size as i64)),
        ..tensor_shape_proto::Dimension::default()
    };
    tensor.shape = Some(TensorShapeProto { dim: shape.iter().map(dim).collect() });
}
