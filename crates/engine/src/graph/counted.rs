//! Values of which one axis has a length that is only known in a run: what NonMaxSuppression and NonZero find.
//!
//! Plans have fixed shapes, so such an axis has the length of a *bound* that is known at load, and the number of places that are in
//! use is computed: a value of its own, a second output of the node that finds them. [`Value::counted`] names the axis and that
//! value; [`Graph::count`] carries it from the inputs of a node to its outputs. What is in use always comes first along the axis;
//! what lies behind is defined but means nothing. So an op may follow that makes each place of the axis from the same place of its
//! inputs, as those below do; every other op is refused, as it would compute with what means nothing. Outputs of the model are cut
//! to the count.
//!
//! A bound is 2 at least ([`counted_bound`]): an axis of one element would look like one that is broadcast, and could not be told
//! apart from others when a value is reshaped.

use super::{Arithmetic, FloatOp, Graph, Movement, Node, NumberOp, Op, ValueId};

/// An axis whose length is a bound, and the value (one `i64`) that holds how many places of it are in use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counted {
    pub axis: usize,
    pub count: ValueId,
}

/// The length of an axis of which at most so many places will be in use.
pub fn counted_bound(most: usize) -> usize {
    most.max(2)
}

/// Why an op cannot follow.
const TAKES_ALL: &str = "this op needs all of its input";
const ACROSS: &str = "it computes across it";

impl Graph {
    /// Works out which axis of the outputs of node `index` is counted, from its inputs.
    ///
    /// # Errors
    /// Why the op cannot run on an axis of which only a bound is known.
    pub fn count(&mut self, index: usize) -> Result<(), String> {
        let node = &self.nodes[index];
        let counted = match (&node.op, &node.outputs[..]) {
            (Op::NonMaxSuppression { .. }, &[_, count]) => {
                self.counted_boxes(node)?;
                Some(Counted { axis: 0, count })
            }
            (Op::NonZero, &[_, count]) => Some(Counted { axis: 1, count }),
            _ => self.carried(node)?,
        };
        if let (Some(counted), Some(&y)) = (counted, node.outputs.first()) {
            self.values[y].counted = Some(counted);
        }
        Ok(())
    }

    fn counted_input(&self, node: &Node, input: usize) -> Option<Counted> {
        node.inputs.get(input).and_then(|&id| self.values[id].counted)
    }

    /// The first counted input of a node, where it has one.
    fn first_counted(&self, node: &Node) -> Option<(usize, Counted)> {
        (0..node.inputs.len()).find_map(|input| Some((input, self.counted_input(node, input)?)))
    }

    /// The counted axis of a node's first output.
    fn carried(&self, node: &Node) -> Result<Option<Counted>, String> {
        let Some((input, counted)) = self.first_counted(node) else { return Ok(None) };
        let refused = |why: &str| {
            format!("only a bound of axis {} of its input {input} is known before a run, and {why}", counted.axis)
        };
        // All that is needed of other inputs is said by the ops that may have several counted ones.
        let only = || (0..node.inputs.len()).all(|other| other == input || self.counted_input(node, other).is_none());
        let first = |axis: Result<usize, &str>| match axis {
            _ if input != 0 || !only() => Err(refused(TAKES_ALL)),
            Ok(axis) => Ok(Some(Counted { axis, ..counted })),
            Err(why) => Err(refused(why)),
        };
        let (axis, shape) = (counted.axis, &self.values[node.inputs[input]].shape);
        let along = |others: bool, why: &'static str| if others { Ok(axis) } else { Err(why) };
        match &node.op {
            Op::Unary(_) | Op::Cast | Op::Lut(_) => first(Ok(axis)),
            Op::ChannelLut(_) => first(along(axis != 1, "it has a table for each place of it")),
            Op::Float(FloatOp::ScaleShift) => first(along(axis != 1, "it has a scale for each place of it")),
            Op::Quantize { scale, axis: own, .. } | Op::Dequantize { scale, axis: own, .. } => {
                first(along(scale.len() == 1 || axis != *own, "it has a scale for each place of it"))
            }
            Op::Number(NumberOp::Arithmetic(Arithmetic::Div | Arithmetic::Modulo | Arithmetic::Remainder))
                if self.counted_input(node, 1).is_some() && !self.values[node.inputs[1]].kind.is_float() =>
            {
                Err(refused("whole numbers cannot be divided by what lies behind its end"))
            }
            Op::Add { .. } | Op::Mul { .. } | Op::Float(FloatOp::Binary(_)) => self.counted_together(node).map(Some),
            Op::Number(NumberOp::ArgReduce { axis: own, .. }) => first(along(axis != *own, ACROSS)),
            Op::Number(NumberOp::Reduce { axes, .. }) | Op::Float(FloatOp::Reduce { axes, .. }) => {
                first(along(!axes.contains(&axis), ACROSS))
            }
            Op::Number(NumberOp::GatherElements { .. }) => Err(refused(TAKES_ALL)),
            Op::Number(_) => self.counted_together(node).map(Some),
            Op::Softmax { axis: own, .. }
            | Op::Float(FloatOp::Softmax { axis: own } | FloatOp::LogSoftmax { axis: own }) => {
                first(along(axis != *own, ACROSS))
            }
            Op::Float(FloatOp::LayerNorm { axis: own, .. } | FloatOp::RmsNorm { axis: own, .. }) => {
                first(along(axis < *own, ACROSS))
            }
            Op::Linear(_) | Op::Float(FloatOp::Linear(_)) => first(along(axis + 1 < shape.len(), "it sums over it")),
            Op::Float(FloatOp::MatMul) | Op::MatMul { .. } => {
                let rank = self.values[node.outputs[0]].shape.len();
                match (input, only()) {
                    // Rows of the left side, columns of the right.
                    (0, true) if axis + 2 == shape.len() => Ok(Some(Counted { axis: rank - 2, ..counted })),
                    (1, true) if axis + 1 == shape.len() => Ok(Some(Counted { axis: rank - 1, ..counted })),
                    _ => Err(refused("it sums over it, or has a matrix for each place of it")),
                }
            }
            Op::Movement(movement) => self.counted_movement(node, movement, counted).map_err(|why| refused(&why)),
            Op::Gather { axis: own } => self.counted_gather(node, *own).map_err(|why| refused(&why)),
            // The constant table is no input.
            Op::GatherRows { .. } => Ok(Some(counted)),
            Op::GatherNd => {
                let (data, indices) = (self.counted_input(node, 0), self.counted_input(node, 1));
                let shape = &self.values[node.inputs[1]].shape;
                let (places, depth) = (shape.len() - 1, shape.last().copied().unwrap_or(0));
                match (data, indices) {
                    (None, Some(counted)) if counted.axis < places => Ok(Some(counted)),
                    (Some(counted), None) if counted.axis >= depth => {
                        Ok(Some(Counted { axis: counted.axis - depth + places, ..counted }))
                    }
                    _ => Err(refused("it is gathered from, or together with another such axis")),
                }
            }
            // These read only what is in use.
            Op::NonZero | Op::NonMaxSuppression { .. } => Ok(None),
            Op::Island(_) => Err(refused("an op that runs through tract needs all of its input")),
            _ => Err(refused(TAKES_ALL)),
        }
    }

    /// Operands that are broadcast: wherever one is counted, the others are counted alike, or repeated.
    fn counted_together(&self, node: &Node) -> Result<Counted, String> {
        let rank = self.values[node.outputs[0]].shape.len();
        let mut found: Option<Counted> = None;
        let from_left = |id: ValueId, axis: usize| axis + rank - self.values[id].shape.len();
        for &id in &node.inputs {
            let Some(counted) = self.values[id].counted else { continue };
            let counted = Counted { axis: from_left(id, counted.axis), ..counted };
            if found.is_some_and(|found| found != counted) {
                return Err("its inputs have axes of different counts, which are only known in a run".into());
            }
            found = Some(counted);
        }
        let counted = found.ok_or("none of its inputs is counted")?;
        for (input, &id) in node.inputs.iter().enumerate() {
            let value = &self.values[id];
            let own = (counted.axis + value.shape.len()).checked_sub(rank);
            let repeated = own.is_none_or(|own| value.shape[own] == 1);
            if value.counted.is_none() && !repeated {
                return Err(format!(
                    "only a bound of axis {} of its output is known before a run, and its input {input} has {:?} elements",
                    counted.axis, value.shape
                ));
            }
        }
        Ok(counted)
    }

    /// The axis where a movement brings the counted one, whole.
    fn counted_movement(&self, node: &Node, movement: &Movement, counted: Counted) -> Result<Option<Counted>, String> {
        let (x, y) = (&self.values[node.inputs[0]].shape, &self.values[node.outputs[0]].shape);
        let Counted { axis, count } = counted;
        let at = |axis: usize| Ok(Some(Counted { axis, count }));
        match movement {
            Movement::Reshape => {
                let before = |shape: &[usize], axis: usize| shape[..axis].iter().product::<usize>();
                // At most one is found: the bound is larger than 1.
                let same = |&to: &usize| y[to] == x[axis] && before(y, to) == before(x, axis);
                (0..y.len()).find(same).map_or(Err("it does not stay an axis of its own".into()), at)
            }
            Movement::Transpose(order) => match order.iter().position(|&from| from == axis) {
                Some(to) => at(to),
                None => Err(TAKES_ALL.into()),
            },
            Movement::Concat { axis: own } => {
                let alike = node.inputs.iter().all(|&id| self.values[id].counted == Some(counted));
                match () {
                    () if *own == axis => Err("others are put behind its end".into()),
                    () if !alike => Err("not all of its inputs have the same count".into()),
                    () => at(axis),
                }
            }
            Movement::Slice { start, step } if (start[axis], step[axis]) == (0, 1) && x[axis] == y[axis] => at(axis),
            Movement::Slice { .. } => Err("a part of it is taken".into()),
            Movement::Pad { before, .. } if before[axis] == 0 && x[axis] == y[axis] => at(axis),
            Movement::Pad { .. } => Err("its end is padded".into()),
            Movement::Expand => at(axis + y.len() - x.len()),
            Movement::Tile(repeats) if repeats[axis] == 1 => at(axis),
            Movement::Tile(_) => Err("it is repeated".into()),
            Movement::Nearest { .. } | Movement::DepthToSpace { .. } | Movement::SpaceToDepth { .. } => {
                Err(TAKES_ALL.into())
            }
        }
    }

    fn counted_gather(&self, node: &Node, own: usize) -> Result<Option<Counted>, String> {
        let indices = self.counted_input(node, 1);
        let rank = self.values[node.inputs[1]].shape.len();
        let chosen = indices.map(|indices| Counted { axis: own + indices.axis, ..indices });
        match self.counted_input(node, 0) {
            None => Ok(chosen),
            // Indices are compared with the count.
            Some(data) if data.axis == own => Ok(chosen),
            Some(_) if indices.is_some() => Err("its indices have another such axis".into()),
            Some(data) if data.axis < own => Ok(Some(data)),
            Some(data) => Ok(Some(Counted { axis: data.axis + rank - 1, ..data })),
        }
    }

    /// Boxes and their scores are counted alike, or not at all; nothing else of the node is.
    fn counted_boxes(&self, node: &Node) -> Result<(), String> {
        let axes = [self.counted_input(node, 0), self.counted_input(node, 1)];
        let fits = match axes {
            [None, None] => true,
            [Some(boxes), Some(scores)] => boxes.axis == 1 && scores.axis == 2 && boxes.count == scores.count,
            _ => false,
        };
        if fits { Ok(()) } else { Err("only its boxes and their scores may have a count, and the same one".into()) }
    }
}
