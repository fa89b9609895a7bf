//! LSTM, GRU and RNN, and LSTM with dynamically quantized weights (DynamicQuantizeLSTM).
//!
//! The products of all inputs with the input weights are one matrix product before the layer, which walks through time.

use super::expression::Stored;
use super::onnx::{Attributes, as_slice, integers, integers_32};
use super::{Binding, Handled, Imported, Importer, name_of};
use crate::ElementKind;
use crate::graph::{Binary, Cell, Conv, Finish, FloatLinear, FloatOp, Movement, Op, Operands, QuantizedRecurrence};
use crate::graph::{RecurrenceWeights, Recurrent, ValueId, Weights, ZeroPoint};
use crate::tract::{Constant, kind};
use crate::unary::Unary;
use std::sync::Arc;
use tract_onnx::pb::NodeProto;

/// What a node states of its layer.
struct Statement {
    name: String,
    layer: Recurrent,
    steps: usize,
    /// Numbers of one input.
    inputs: usize,
    /// `[T * B, I]`
    x: ValueId,
    /// Whether the batch comes first.
    batch_first: bool,
}

impl<'a> Importer<'a> {
    pub(super) fn recurrent(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let cell = match node.op_type.as_str() {
            "GRU" => Cell::Gru { linear_before_reset: node.int("linear_before_reset", 0) != 0 },
            "RNN" => Cell::Rnn,
            _ => Cell::Lstm,
        };
        let quantized = node.op_type == "DynamicQuantizeLSTM";
        let mut statement = self.statement(node, cell, quantized)?;
        let mut operands = match quantized {
            true => vec![self.quantized_weights(node, &mut statement)?],
            false => self.float_weights(node, &mut statement)?,
        };
        operands.extend(self.optional_operands(node, &mut statement)?);
        self.layer(node, statement, &operands)
    }

    /// The attributes, and the input as one matrix.
    fn statement(&mut self, node: &'a NodeProto, cell: Cell, quantized: bool) -> Imported<Statement> {
        let batch_first = node.int("layout", 0) != 0;
        let reverse = match node.text("direction", "forward").as_str() {
            "forward" => vec![false],
            "reverse" => vec![true],
            "bidirectional" => vec![false, true],
            other => return Err(format!("direction {other} is none that is known").into()),
        };
        if node.int("input_forget", 0) != 0 {
            return Err("coupled gates (input_forget) are not supported".into());
        }
        let activations = activations(node, cell, reverse.len())?;
        let clip = node.attribute("clip").map(|a| a.f);
        if clip.is_some_and(|clip| clip <= 0.0 || clip.is_nan()) {
            return Err("clip must be positive".into());
        }
        let x = self.needed(node, 0)?;
        let shape = self.shape(&x);
        let &[first, second, inputs] = &shape[..] else {
            return Err(format!("its input {shape:?} must have three dimensions").into());
        };
        let (steps, batch) = if batch_first { (second, first) } else { (first, second) };
        let recurrence = self.shape(&self.needed(node, 2)?);
        let stated = recurrence.get(if quantized { 1 } else { 2 }).copied().unwrap_or(0);
        let hidden = usize::try_from(node.int("hidden_size", stated as i64)).unwrap_or(0);
        if hidden == 0 || hidden != stated {
            return Err(format!("its recurrence weights {recurrence:?} do not fit {hidden} hidden numbers").into());
        }
        if !self.is_float(&x) {
            return Err("its input must be of type f32".into());
        }
        let name = name_of(node);
        let mut value = self.compute(&x)?;
        if batch_first {
            value = self.move_value(&name, value, Movement::Transpose(vec![1, 0, 2]), &[steps, batch, inputs])?;
        }
        let x = self.move_value(&name, value, Movement::Reshape, &[steps * batch, inputs])?;
        let operands = Operands::default();
        let layer = Recurrent {
            cell,
            hidden,
            batch,
            reverse,
            activations,
            clip,
            operands,
            weights: RecurrenceWeights::Computed,
        };
        Ok(Statement { name, layer, steps, inputs, x, batch_first })
    }

    /// The products of the inputs, and the recurrence weights where they are computed; where they are known, the layer keeps them.
    fn float_weights(&mut self, node: &'a NodeProto, statement: &mut Statement) -> Imported<Vec<ValueId>> {
        let (d, h, g) = (statement.layer.directions(), statement.layer.hidden, statement.layer.gates());
        let (inputs, rows, float) = (statement.inputs, statement.steps * statement.layer.batch, ElementKind::F32);
        let name = statement.name.clone();
        let to = [rows, d * g];
        let mut operands = vec![match self.float_matrix(node, 1, "input weights", [d, g, inputs])? {
            // Columns of all directions side by side.
            (Some(stated), _) => {
                let at = |i: usize| i % (d * g) * inputs + i / (d * g);
                let weights = (0..stated.len()).map(|i| stated[at(i)]).collect();
                let linear = FloatLinear { weights, inputs, outputs: d * g, bias: [].into() };
                self.push(&name, Op::Float(FloatOp::Linear(linear)), &[statement.x], float, &to)?
            }
            (None, held) => {
                let value = self.compute(&held)?;
                let matrix = self.move_value(&name, value, Movement::Reshape, &[d * g, inputs])?;
                let matrix = self.move_value(&name, matrix, Movement::Transpose(vec![1, 0]), &[inputs, d * g])?;
                self.push(&name, Op::Float(FloatOp::MatMul), &[statement.x, matrix], float, &to)?
            }
        }];
        match self.float_matrix(node, 2, "recurrence weights", [d, g, h])? {
            (Some(stated), _) => {
                let at = |i: usize| (i / (g * h) * g + i % g) * h + i / g % h;
                let turned: Vec<f32> = (0..stated.len()).map(|i| stated[at(i)]).collect();
                let packed = Recurrent::packed(statement.layer.cell, h, &turned);
                statement.layer.weights = RecurrenceWeights::Floats(packed.into());
            }
            (None, held) => {
                let value = self.compute(&held)?;
                operands.push(self.move_value(&name, value, Movement::Transpose(vec![0, 2, 1]), &[d, h, g])?);
            }
        }
        Ok(operands)
    }

    /// A matrix for each direction, and its numbers where they are known.
    fn float_matrix(
        &mut self,
        node: &NodeProto,
        index: usize,
        what: &str,
        expected: [usize; 3],
    ) -> Imported<(Option<Vec<f32>>, Binding)> {
        let held = self.needed(node, index)?;
        let shape = self.shape(&held);
        if shape != expected || !self.is_float(&held) {
            return Err(format!("its {what} {shape:?} must be floats of shape {expected:?}").into());
        }
        Ok((self.constant_floats(&held)?, held))
    }

    /// Bias, lengths, first states and peepholes, where they are given.
    fn optional_operands(&mut self, node: &'a NodeProto, statement: &mut Statement) -> Imported<Vec<ValueId>> {
        let layer = &statement.layer;
        let (d, b, h, g) = (layer.directions(), layer.batch, layer.hidden, layer.gates());
        let mut found = Vec::new();
        let of = if layer.cell == Cell::Lstm { 8 } else { 6 };
        for (index, shape) in
            [(3, vec![d, 2 * g]), (4, vec![b]), (5, vec![d, b, h]), (6, vec![d, b, h]), (7, vec![d, 3 * h])]
        {
            let Some(held) = self.input(node, index)?.filter(|_| index < of) else { continue };
            if index == 4 {
                if let Binding::Constant(lengths) = &held {
                    // Whole sequences need no mention.
                    if lengths.len() == b && integers(lengths)?.iter().all(|&len| len == statement.steps as i64) {
                        continue;
                    }
                }
                if layer.in_integers() {
                    return Err("sequence lengths of a quantized layer are not supported".into());
                }
            }
            let first_state = index == 5 || index == 6;
            let given = self.shape(&held);
            let expected = if statement.batch_first && first_state { vec![b, d, h] } else { shape.clone() };
            if given != expected {
                return Err(format!("its input {index} {given:?} must have the shape {expected:?}").into());
            }
            let mut value = self.compute(&held)?;
            if statement.batch_first && first_state {
                value = self.move_value(&statement.name, value, Movement::Transpose(vec![1, 0, 2]), &shape)?;
            }
            found.push((index, value));
        }
        let has = |index: usize| found.iter().any(|&(found, _)| found == index);
        statement.layer.operands =
            Operands { bias: has(3), lengths: has(4), hidden: has(5), cell: has(6), peepholes: has(7) };
        Ok(found.into_iter().map(|(_, value)| value).collect())
    }

    fn layer(&mut self, node: &'a NodeProto, statement: Statement, operands: &[ValueId]) -> Imported<Handled> {
        let Statement { name, layer, steps, batch_first, .. } = statement;
        let (d, b, h) = (layer.directions(), layer.batch, layer.hidden);
        let lstm = layer.cell == Cell::Lstm;
        let y = self.push(&name, Op::Recurrent(layer), operands, ElementKind::F32, &[steps, d, b, h])?;
        let mut outputs = vec![y];
        for _ in 0..1 + usize::from(lstm) {
            outputs.push(self.new_value(&name, ElementKind::F32, &[d, b, h])?);
        }
        if let Some(made) = self.graph.nodes.last_mut() {
            made.outputs.clone_from(&outputs);
        }
        for (index, value) in outputs.into_iter().enumerate() {
            let value = match (batch_first, index) {
                (false, _) => value,
                (true, 0) => self.move_value(&name, value, Movement::Transpose(vec![2, 0, 1, 3]), &[b, steps, d, h])?,
                (true, _) => self.move_value(&name, value, Movement::Transpose(vec![1, 0, 2]), &[b, d, h])?,
            };
            self.give(node, index, Binding::Value(value));
        }
        Ok(Handled::Yes)
    }

    /// The products of inputs that are quantized as one tensor, and the recurrence weights, both of eight bits.
    fn quantized_weights(&mut self, node: &'a NodeProto, statement: &mut Statement) -> Imported<ValueId> {
        let (d, h, g) = (statement.layer.directions(), statement.layer.hidden, statement.layer.gates());
        let (name, x, float) = (statement.name.clone(), statement.x, ElementKind::F32);
        let (inputs, rows) = (statement.inputs, self.graph.values[statement.x].shape[0]);
        let (weights, w_scale) = self.bytes_and_scales(node, 1, 8, [d, inputs, g])?;
        let (recurrence, scale) = self.bytes_and_scales(node, 2, 10, [d, h, g])?;
        let recurrence = Recurrent::packed(statement.layer.cell, h, &recurrence);
        let recurrence = QuantizedRecurrence { weights: recurrence, scale };
        statement.layer.weights = RecurrenceWeights::Bytes(Arc::new(recurrence));
        let quantized = self.push(&name, Op::DynamicQuantize, &[x], ElementKind::U8, &[rows, inputs])?;
        let (x_scale, zero) = (self.new_value(&name, float, &[])?, self.new_value(&name, ElementKind::U8, &[])?);
        if let Some(op) = self.graph.nodes.last_mut() {
            op.outputs.extend([x_scale, zero]);
        }
        // Row `d * G + g` of a product's weights.
        let at = |o: usize, i: usize| (o / g * inputs + i) * g + o % g;
        let turned = (0..d * g).flat_map(|o| (0..inputs).map(move |i| (o, i)));
        let weights = Weights::of(turned.map(|(o, i)| i32::from(weights[at(o, i)])));
        let conv = Conv {
            zero_point: ZeroPoint::Held(zero),
            ..Conv::linear(weights, [d * g, inputs], 0, Finish::Accumulators)
        };
        let sums = self.push(&name, Op::Linear(conv), &[quantized], ElementKind::I32, &[rows, d * g])?;
        let sums = self.push(&name, Op::Cast, &[sums], float, &[rows, d * g])?;
        let scales = self.float_operand(&name, w_scale.into_iter())?;
        let multiply = || Op::Float(FloatOp::Binary(Binary::Mul));
        let factor = self.push(&name, multiply(), &[scales, x_scale], float, &[d * g])?;
        self.push(&name, multiply(), &[sums, factor], float, &[rows, d * g])
    }

    /// Weights `[D, K, G]` less their zero points, and a scale for each column; both are stated for all, or column by column.
    fn bytes_and_scales(
        &self,
        node: &'a NodeProto,
        index: usize,
        scale_index: usize,
        [d, k, g]: [usize; 3],
    ) -> Imported<(Vec<i16>, Vec<f32>)> {
        let missing = || format!("its weights (input {index}) must be a constant");
        let (stored, shape) = self.stored(node, index)?.ok_or_else(missing)?;
        if shape != [d, k, g] {
            return Err(format!("its weights {shape:?} must have the shape {:?}", [d, k, g]).into());
        }
        let stored = match &stored {
            Stored::Read(constant) => Arc::clone(constant),
            place => self.elements(place)?,
        };
        let scale =
            super::quantized::checked_scales(super::onnx::floats(&*self.parameter(node, scale_index, "scale")?)?)?;
        let zero = self.known(node, scale_index + 1)?;
        let zero = zero.map_or(Ok(vec![0]), |zero| integers_32(&zero))?;
        if ![1, d, d * g].contains(&scale.len()) || ![1, d, d * g].contains(&zero.len()) {
            return Err(format!("{} scales and {} zero points do not fit {shape:?}", scale.len(), zero.len()).into());
        }
        // Column `c` of all directions' columns.
        let of = |count: usize, c: usize| c * count / (d * g);
        let bytes = stored_bytes(&stored)?;
        let column = |i: usize| i / (k * g) * g + i % g;
        let less = |(i, &byte): (usize, &i32)| i16::try_from(byte.saturating_sub(zero[of(zero.len(), column(i))]));
        let weights = bytes.iter().enumerate().map(less).collect::<Result<Vec<_>, _>>();
        let weights = weights.ok().filter(|weights| weights.iter().all(|w| (-255..=255).contains(w)));
        let weights = weights.ok_or("its zero points are not of the type of its weights")?;
        Ok((weights, (0..d * g).map(|c| scale[of(scale.len(), c)]).collect()))
    }
}

fn stored_bytes(stored: &Constant) -> Result<Vec<i32>, String> {
    Ok(match kind(stored.datum_type())? {
        ElementKind::U8 => as_slice::<u8>(stored)?.iter().map(|&byte| byte.into()).collect(),
        ElementKind::I8 => as_slice::<i8>(stored)?.iter().map(|&byte| byte.into()).collect(),
        _ => return Err("its weights must have eight bits".into()),
    })
}

/// The activations of every direction: those of the cell, unless others are listed.
fn activations(node: &NodeProto, cell: Cell, directions: usize) -> Result<Vec<Vec<Unary>>, String> {
    let standard = cell.activations();
    let Some(listed) = node.attribute("activations").filter(|list| !list.strings.is_empty()) else {
        return Ok(vec![standard.to_vec(); directions]);
    };
    if node.attribute("activation_alpha").is_some() || node.attribute("activation_beta").is_some() {
        return Err("activations with parameters (activation_alpha, activation_beta) are not supported".into());
    }
    let of = |name: &Vec<u8>| match String::from_utf8_lossy(name).to_ascii_lowercase().as_str() {
        "sigmoid" => Ok(Unary::Sigmoid),
        "tanh" => Ok(Unary::Tanh),
        "relu" => Ok(Unary::Relu),
        "hardsigmoid" => Ok(Unary::HardSigmoid(0.2, 0.5)),
        "leakyrelu" => Ok(Unary::LeakyRelu(0.01)),
        "elu" => Ok(Unary::Elu(1.0)),
        "softplus" => Ok(Unary::Softplus),
        other => Err(format!("activation {other} is none that is known here")),
    };
    let all = listed.strings.iter().map(of).collect::<Result<Vec<_>, _>>()?;
    if all.len() != standard.len() * directions {
        return Err(format!("{} activations are listed, {} are needed", all.len(), standard.len() * directions));
    }
    Ok(all.chunks(standard.len()).map(<[Unary]>::to_vec).collect())
}
