//! Ops whose inputs must have a rank that tract takes for granted: with less, its rules count down from below zero, and take memory
//! until none is left.

use tract_onnx::tract_hir::internal::*;

/// The rank, at least, of the first input of these ops.
const LEAST: [(&str, i64); 4] = [("MatMulNBits", 1), ("Dft17", 1), ("Dft", 1), ("GridSample", 2)];

/// Makes each such op of a graph refuse a lesser rank.
pub fn check_ranks(graph: &mut InferenceModel) {
    for id in 0..graph.nodes().len() {
        let node = graph.node_mut(id);
        let Some(op) = node.op_as::<Box<dyn Expansion>>() else { continue };
        let name = op.as_ref().name();
        let least = LEAST.iter().find(|(op, _)| *op == name);
        if let Some((_, rank)) = least {
            node.op = expand(OfRank { op: op.clone(), least: *rank });
        }
    }
}

/// An op that refuses a first input of lesser rank.
#[derive(Debug, Clone)]
struct OfRank {
    op: Box<dyn Expansion>,
    least: i64,
}

impl Expansion for OfRank {
    fn name(&self) -> StaticName {
        self.op.as_ref().name()
    }

    fn validation(&self) -> Validation {
        self.op.as_ref().validation()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        self.op.as_ref().info()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        self.op.as_ref().nboutputs()
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        self.op.as_ref().wire(prefix, model, inputs)
    }

    fn wire_with_inference_model_and_node(
        &self,
        prefix: &str,
        model: &InferenceModel,
        node: &InferenceNode,
        typed_model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        self.op.as_ref().wire_with_inference_model_and_node(prefix, model, node, typed_model, inputs)
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        // Rules are applied in the order in which they are given.
        if let Some(input) = inputs.first() {
            s.given(&input.rank, move |_, rank| {
                ensure!(rank >= self.least, "an input of rank {rank}, at least {} is needed", self.least);
                Ok(())
            })?;
        }
        self.op.as_ref().rules(s, inputs, outputs)
    }

    fn runs_out_of_plan(&self) -> bool {
        self.op.as_ref().runs_out_of_plan()
    }
}
