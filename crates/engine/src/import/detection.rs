//! Ops that find an unknown number of things: NonMaxSuppression and NonZero. Their outputs have the size of a bound, and a count beside
//! them (`graph/counted.rs`).

use super::onnx::{Attributes, floats, integers};
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{Node, Op, ValueId, counted_bound};
use tract_onnx::pb::NodeProto;

impl<'a> Importer<'a> {
    pub(super) fn non_max_suppression(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let centered = match node.int("center_point_box", 0) {
            0 => false,
            1 => true,
            other => return Err(format!("center_point_box must be 0 or 1, found {other}").into()),
        };
        let (boxes, scores) = (self.needed(node, 0)?, self.needed(node, 1)?);
        let (boxes_shape, scores_shape) = (self.shape(&boxes), self.shape(&scores));
        let (&[batches, count, 4], &[_, classes, _]) = (&boxes_shape[..], &scores_shape[..]) else {
            return Err(format!(
                "boxes must be [batches, boxes, 4] and scores [batches, classes, boxes], found {boxes_shape:?} and {scores_shape:?}"
            )
            .into());
        };
        // As many as there are boxes where the most of a class is computed; none without it.
        let most = match (self.input(node, 2)?, self.known(node, 2)?) {
            (Some(_), Some(most)) => {
                let most = integers(&most)?.first().copied().unwrap_or(0);
                usize::try_from(most).unwrap_or(0).min(count)
            }
            (Some(_), None) => count,
            (None, _) => 0,
        };
        if let Some(threshold) = self.known(node, 3)? {
            let threshold = floats(&threshold)?.first().copied().unwrap_or(0.0);
            if !(0.0..=1.0).contains(&threshold) {
                return Err(format!("iou_threshold must lie in 0..1, found {threshold}").into());
            }
        }
        let mut inputs = vec![self.compute(&boxes)?, self.compute(&scores)?];
        let mut given = [false; 3];
        for (given, index) in given.iter_mut().zip(2..) {
            if let Some(parameter) = self.input(node, index)? {
                inputs.push(self.compute(&parameter)?);
                *given = true;
            }
        }
        let [most_given, iou_threshold, score_threshold] = given;
        let op = Op::NonMaxSuppression { centered, most: most_given, iou_threshold, score_threshold };
        let bound = batches.saturating_mul(classes).saturating_mul(most);
        let y = self.counted_node(node, op, inputs, &[counted_bound(bound), 3])?;
        self.done(node, Binding::Value(y))
    }

    pub(super) fn non_zero(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let held = self.needed(node, 0)?;
        let shape = self.shape(&held);
        if shape.is_empty() {
            return Err("its input is one number without an axis, of which runtimes give different results".into());
        }
        let bound = counted_bound(shape.iter().product());
        let x = self.compute(&held)?;
        let y = self.counted_node(node, Op::NonZero, vec![x], &[shape.len(), bound])?;
        self.done(node, Binding::Value(y))
    }

    /// Adds an op whose second output counts what the first holds.
    fn counted_node(
        &mut self,
        node: &'a NodeProto,
        op: Op,
        inputs: Vec<ValueId>,
        shape: &[usize],
    ) -> Imported<ValueId> {
        let name = name_of(node);
        let outputs = vec![
            self.new_value(&name, ElementKind::I64, shape)?,
            self.new_value(&format!("count of {name}"), ElementKind::I64, &[])?,
        ];
        let y = outputs[0];
        self.graph.nodes.push(Node { name, op, inputs, outputs });
        Ok(y)
    }
}
