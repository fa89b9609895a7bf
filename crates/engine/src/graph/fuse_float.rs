//! Float ops taken together with the one before them: a scale and shift by channel goes into the convolution's weights, a constant sum
//! into the bias of a product, `x * sigmoid(x)` becomes one function.

use super::{Binary, FloatConv, FloatLinear, FloatOp, Graph, Op, ValueId};
use crate::unary::Unary;
use std::sync::Arc;

impl Graph {
    /// Joins float ops where the value between them is read by nobody else. Nodes that are left without readers remain; see
    /// [`Graph::drop_unused`].
    pub fn fuse_floats(&mut self) {
        let mut readers = vec![0usize; self.values.len()];
        let mut producer = vec![None; self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|&id| readers[id] += 1);
            node.outputs.iter().for_each(|&id| producer[id] = Some(index));
        }
        // The caller reads them, too.
        self.outputs.iter().for_each(|&id| readers[id] += 2);
        for index in 0..self.nodes.len() {
            let Op::Float(op) = &self.nodes[index].op else { continue };
            let inputs = &self.nodes[index].inputs;
            let before = |i: usize| inputs.get(i).and_then(|&id| producer[id].filter(|_| readers[id] == 1));
            let fused = match op {
                FloatOp::ScaleShift => before(0).and_then(|conv| Some((conv, self.scaled_conv(conv, inputs)?))),
                FloatOp::Binary(Binary::Add) => [(0, 1), (1, 0)].into_iter().find_map(|(product, bias)| {
                    let linear = before(product)?;
                    Some((linear, self.biased_linear(linear, *inputs.get(bias)?, self.nodes[index].outputs[0])?))
                }),
                FloatOp::Binary(Binary::Mul) => [(0, 1), (1, 0)].into_iter().find_map(|(x, factor)| {
                    let sigmoid = before(factor)?;
                    let of_x = matches!(self.nodes[sigmoid].op, Op::Unary(Unary::Sigmoid));
                    (of_x && self.nodes[sigmoid].inputs == inputs[x..=x])
                        .then_some((sigmoid, Op::Unary(Unary::Silu(1.0))))
                }),
                _ => None,
            };
            // The node before computes the result under its own inputs; this one's place stays empty.
            if let Some((earlier, op)) = fused {
                let outputs = std::mem::take(&mut self.nodes[index].outputs);
                outputs.iter().for_each(|&id| producer[id] = Some(earlier));
                (self.nodes[earlier].op, self.nodes[earlier].outputs) = (op, outputs);
            }
        }
        self.nodes.retain(|node| !node.outputs.is_empty());
    }

    /// The floats of a constant.
    fn floats_of(&self, id: ValueId) -> Option<Vec<f32>> {
        let node = self.nodes.iter().find(|node| node.outputs.first() == Some(&id))?;
        let Op::Constant(bytes) = &node.op else { return None };
        let (floats, _) = bytes.as_chunks::<4>();
        Some(floats.iter().map(|&bytes| f32::from_ne_bytes(bytes)).collect())
    }

    /// A convolution with a scale and shift of its outputs.
    fn scaled_conv(&self, index: usize, inputs: &[ValueId]) -> Option<Op> {
        let Op::Float(FloatOp::Conv(conv)) = &self.nodes[index].op else { return None };
        let (scale, shift) = (self.floats_of(*inputs.get(1)?)?, self.floats_of(*inputs.get(2)?)?);
        if scale.len() != conv.outputs || shift.len() != conv.outputs {
            return None;
        }
        let (area, outputs) = (conv.kernel[0] * conv.kernel[1], conv.outputs / conv.groups);
        let output_of = |place: usize| {
            if conv.transposed {
                place / area / outputs / conv.inputs * outputs + place / area % outputs
            } else {
                place / area / conv.inputs
            }
        };
        let product = |a: f32, b: f32| f64::from(a) * f64::from(b);
        let weight = |(place, &weight): (usize, &f32)| product(weight, scale[output_of(place)]) as f32;
        let weights: Arc<[f32]> = conv.weights.iter().enumerate().map(weight).collect();
        let bias = |o: usize| conv.bias.get(o).map_or(0.0, |&bias| product(bias, scale[o])) + f64::from(shift[o]);
        let bias = (0..conv.outputs).map(|o| bias(o) as f32).collect();
        Some(Op::Float(FloatOp::Conv(FloatConv { weights, bias, ..conv.clone() })))
    }

    /// A product with constant weights that gets a bias, which it did not have.
    fn biased_linear(&self, index: usize, bias: ValueId, sum: ValueId) -> Option<Op> {
        let Op::Float(FloatOp::Linear(linear)) = &self.nodes[index].op else { return None };
        let product = self.nodes[index].outputs[0];
        let shape = &self.values[bias].shape;
        let along = shape.last() == Some(&linear.outputs) && shape.iter().product::<usize>() == linear.outputs;
        if !linear.bias.is_empty() || !along || self.values[product].shape != self.values[sum].shape {
            return None;
        }
        let bias = self.floats_of(bias)?.into();
        Some(Op::Float(FloatOp::Linear(FloatLinear { bias, ..linear.clone() })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ElementKind::F32;

    fn constant(graph: &mut Graph, shape: &[usize], floats: &[f32]) -> ValueId {
        let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_ne_bytes()).collect();
        graph.push("constant", Op::Constant(bytes.into()), &[], F32, shape)
    }

    fn kinds(graph: &Graph) -> Vec<&'static str> {
        graph.nodes.iter().map(|node| node.op.kind()).collect()
    }

    fn conv(transposed: bool) -> Op {
        // Two groups of two outputs and one input.
        let (weights, bias) = ([1.0, 2.0, 3.0, 4.0].into(), [0.5; 4].into());
        let (kernel, stride, dilation, pads) = ([1, 1], [1, 1], [1, 1], [0, 0]);
        Op::Float(FloatOp::Conv(FloatConv {
            weights,
            bias,
            transposed,
            outputs: 4,
            inputs: 1,
            groups: 2,
            kernel,
            stride,
            dilation,
            pads,
        }))
    }

    #[test]
    fn a_scale_and_shift_goes_into_the_weights() {
        for transposed in [false, true] {
            for outputs_of_conv in [false, true] {
                let mut graph = Graph::default();
                let x = graph.value("x", F32, &[1, 2, 3, 3]);
                let y = graph.push("conv", conv(transposed), &[x], F32, &[1, 4, 3, 3]);
                let scale = constant(&mut graph, &[4], &[10.0, 20.0, 30.0, 40.0]);
                let shift = constant(&mut graph, &[4], &[1.0, 2.0, 3.0, 4.0]);
                let z = graph.push("bn", Op::Float(FloatOp::ScaleShift), &[y, scale, shift], F32, &[1, 4, 3, 3]);
                graph.inputs = vec![x];
                graph.outputs = if outputs_of_conv { vec![y, z] } else { vec![z] };
                graph.fuse_floats();
                graph.drop_unused();
                if outputs_of_conv {
                    assert_eq!(kinds(&graph).last(), Some(&"BatchNorm"), "what the caller reads stays");
                    continue;
                }
                let [node] = &graph.nodes[..] else { panic!("{:?}", kinds(&graph)) };
                let Op::Float(FloatOp::Conv(conv)) = &node.op else { panic!("{}", node.op.kind()) };
                assert_eq!(conv.weights[..], [10.0, 40.0, 90.0, 160.0]);
                assert_eq!(conv.bias[..], [6.0, 12.0, 18.0, 24.0]);
                assert_eq!(node.outputs, [z]);
            }
        }
    }

    #[test]
    fn a_constant_sum_becomes_the_bias_of_a_product() {
        let mut graph = Graph::default();
        let x = graph.value("x", F32, &[3, 2]);
        let linear = FloatLinear { weights: [1.0; 4].into(), inputs: 2, outputs: 2, bias: [].into() };
        let y = graph.push("product", Op::Float(FloatOp::Linear(linear)), &[x], F32, &[3, 2]);
        let bias = constant(&mut graph, &[2], &[5.0, 6.0]);
        let z = graph.push("sum", Op::Float(FloatOp::Binary(Binary::Add)), &[bias, y], F32, &[3, 2]);
        (graph.inputs, graph.outputs) = (vec![x], vec![z]);
        graph.fuse_floats();
        graph.drop_unused();
        let [node] = &graph.nodes[..] else { panic!("{:?}", kinds(&graph)) };
        let Op::Float(FloatOp::Linear(linear)) = &node.op else { panic!("{}", node.op.kind()) };
        assert_eq!(linear.bias[..], [5.0, 6.0]);
    }

    #[test]
    fn a_number_times_its_sigmoid_is_one_function() {
        let mut graph = Graph::default();
        let x = graph.value("x", F32, &[5]);
        let s = graph.push("s", Op::Unary(Unary::Sigmoid), &[x], F32, &[5]);
        let y = graph.push("y", Op::Float(FloatOp::Binary(Binary::Mul)), &[s, x], F32, &[5]);
        (graph.inputs, graph.outputs) = (vec![x], vec![y]);
        graph.fuse_floats();
        assert!(matches!(graph.nodes[..], [ref node] if matches!(node.op, Op::Unary(Unary::Silu(1.0)))));
        // Of another number it is a product.
        let mut graph = Graph::default();
        let (x, other) = (graph.value("x", F32, &[5]), graph.value("other", F32, &[5]));
        let s = graph.push("s", Op::Unary(Unary::Sigmoid), &[x], F32, &[5]);
        let y = graph.push("y", Op::Float(FloatOp::Binary(Binary::Mul)), &[s, other], F32, &[5]);
        (graph.inputs, graph.outputs) = (vec![x, other], vec![y]);
        graph.fuse_floats();
        assert_eq!(graph.nodes.len(), 2);
    }
}
