//! Recurrent layers, step by step.
//!
//! Every product is a sum over the hidden state from its first number to its last, with one fused multiplication and addition
//! each; vectors run across the gates. So every CPU gives the same bits, whatever the width of its vectors.

use super::arena::Arena;
use super::float::{Isa, Lanes, Loop, math};
use super::grid::thread_share;
use super::quantize::dynamic_range;
use crate::graph::{BLOCK, Cell, QuantizedRecurrence, RecurrenceWeights, Recurrent};
use crate::unary::Unary;

/// A recurrent layer with the offsets of all that it reads and writes.
#[derive(Debug, Clone)]
pub struct RecurrentStep {
    pub layer: Recurrent,
    /// Steps in time.
    pub steps: usize,
    pub products: usize,
    pub weights: Option<usize>,
    pub bias: Option<usize>,
    pub lengths: Option<usize>,
    pub hidden: Option<usize>,
    pub cell: Option<usize>,
    pub peepholes: Option<usize>,
    /// All states, the last ones, the last cells.
    pub y: [Option<usize>; 3],
    /// [`Recurrent::scratch`] for each element of the batch in each direction.
    pub scratch: usize,
}

impl RecurrentStep {
    /// A thread's share: elements of the batch in each direction, or, where their states are quantized together, directions.
    ///
    /// # Errors
    /// A sequence length that is out of range; every thread finds the same.
    pub fn run(&self, isa: Isa, arena: Arena, part: (usize, usize)) -> Result<(), String> {
        if let Some(at) = self.lengths {
            for length in arena.read::<i32>(at, self.layer.batch) {
                if usize::try_from(*length).map_or(true, |length| length > self.steps) {
                    return Err(format!("a sequence length of {length} is out of range of {} steps", self.steps));
                }
            }
        }
        isa.run(Share { step: self, arena, part });
        Ok(())
    }
}

/// A thread's share of a step.
struct Share<'a> {
    step: &'a RecurrentStep,
    arena: Arena,
    part: (usize, usize),
}

impl Loop for Share<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self) {
        let Share { step, arena, part } = self;
        let (directions, batch) = (step.layer.directions(), step.layer.batch);
        if let RecurrenceWeights::Bytes(quantized) = &step.layer.weights {
            for index in thread_share(directions, part.0, part.1) {
                run_quantized(step, arena, &Direction::new(step, arena, index), quantized);
            }
            return;
        }
        for element in thread_share(directions * batch, part.0, part.1) {
            run_floats(step, arena, &Direction::new(step, arena, element / batch), element % batch);
        }
    }
}

/// One element of a batch in one direction.
#[inline(always)]
fn run_floats(step: &RecurrentStep, arena: Arena, direction: &Direction, b: usize) {
    let mut state = State::new(step, arena, direction.index, b);
    state.begin(step, arena, direction.index, b);
    let length = step.lengths.map_or(step.steps, |at| arena.read::<i32>(at, step.layer.batch)[b] as usize);
    for i in 0..length {
        let t = if direction.reverse { length - 1 - i } else { i };
        state.gates.copy_from_slice(products(step, arena, direction.index, t, b));
        direction.advance(step.layer.cell, &mut state);
        state.store(step, arena, direction.index, t, b);
    }
    state.store_last(step, arena, direction.index, b);
    state.hidden.fill(0.0);
    (length..step.steps).for_each(|t| state.store(step, arena, direction.index, t, b));
}

/// One direction of an LSTM with quantized weights: `gates += f32(sum of integers) * (scale of the state * scale)`, as ONNX Runtime
/// has it, with the states of a batch quantized together as DynamicQuantizeLinear does.
#[inline(always)]
fn run_quantized(step: &RecurrentStep, arena: Arena, direction: &Direction, quantized: &QuantizedRecurrence) {
    let (batch, h, g) = (step.layer.batch, step.layer.hidden, step.layer.gates());
    let weights = &quantized.weights[direction.index * h * g..][..h * g];
    let scales = &quantized.scale[direction.index * g..][..g];
    for b in 0..batch {
        State::new(step, arena, direction.index, b).begin(step, arena, direction.index, b);
    }
    for i in 0..step.steps {
        let t = if direction.reverse { step.steps - 1 - i } else { i };
        let (mut low, mut high) = (0f32, 0f32);
        for b in 0..batch {
            let state = State::new(step, arena, direction.index, b);
            (low, high) = state.hidden.iter().fold((low, high), |(low, high), &x| (low.min(x), high.max(x)));
        }
        let (scale, zero_point) = dynamic_range(&[low, high]);
        let zero_point = f32::from(zero_point);
        for b in 0..batch {
            let mut state = State::new(step, arena, direction.index, b);
            for (x, &real) in state.integers.iter_mut().zip(&*state.hidden) {
                *x = (((real / scale).round_ties_even() + zero_point).clamp(0.0, 255.0) - zero_point) as i32;
            }
            state.sums.fill(0);
            multiply_integers(state.integers, weights, state.sums);
            let products = products(step, arena, direction.index, t, b);
            for j in 0..g {
                state.gates[j] = products[j] + state.sums[j] as f32 * (scale * scales[j]);
            }
            direction.advance(step.layer.cell, &mut state);
            state.store(step, arena, direction.index, t, b);
        }
    }
    for b in 0..batch {
        State::new(step, arena, direction.index, b).store_last(step, arena, direction.index, b);
    }
}

/// Products of the input at time `t`.
fn products<'a>(step: &RecurrentStep, arena: Arena, direction: usize, t: usize, b: usize) -> &'a [f32] {
    let g = step.layer.gates();
    let place = (t * step.layer.batch + b) * step.layer.directions() + direction;
    arena.read(step.products + place * g * 4, g)
}

/// The state of one element of a batch, in scratch memory.
struct State<'a> {
    gates: &'a mut [f32],
    hidden: &'a mut [f32],
    cell: &'a mut [f32],
    other: &'a mut [f32],
    /// For quantized weights: the state in steps of its scale, and accumulators.
    integers: &'a mut [i32],
    sums: &'a mut [i32],
}

impl<'a> State<'a> {
    /// As it was left.
    fn new(step: &RecurrentStep, arena: Arena, direction: usize, b: usize) -> State<'a> {
        let layer = &step.layer;
        let (h, g) = (layer.hidden, layer.gates());
        let at = step.scratch + (direction * layer.batch + b) * layer.scratch() * 4;
        let (gates, rest) = arena.write::<f32>(at, g + 3 * h).split_at_mut(g);
        let (hidden, rest) = rest.split_at_mut(h);
        let (cell, other) = rest.split_at_mut(h);
        let integers = if layer.in_integers() { h + g } else { 0 };
        let (integers, sums) = arena.write::<i32>(at + (g + 3 * h) * 4, integers).split_at_mut(h.min(integers));
        State { gates, hidden, cell, other, integers, sums }
    }

    /// Before the first step.
    fn begin(&mut self, step: &RecurrentStep, arena: Arena, direction: usize, b: usize) {
        let at = (direction * step.layer.batch + b) * step.layer.hidden * 4;
        for (to, from) in [(&mut *self.hidden, step.hidden), (&mut *self.cell, step.cell)] {
            match from {
                Some(from) => to.copy_from_slice(arena.read(from + at, to.len())),
                None => to.fill(0.0),
            }
        }
    }

    /// Stores the hidden state of time `t`.
    fn store(&self, step: &RecurrentStep, arena: Arena, direction: usize, t: usize, b: usize) {
        let place = (t * step.layer.directions() + direction) * step.layer.batch + b;
        if let Some(at) = step.y[0] {
            let h = self.hidden.len();
            arena.write::<f32>(at + place * h * 4, h).copy_from_slice(self.hidden);
        }
    }

    /// Stores the last state and cell.
    fn store_last(&self, step: &RecurrentStep, arena: Arena, direction: usize, b: usize) {
        let h = self.hidden.len();
        let place = (direction * step.layer.batch + b) * h * 4;
        for (at, from) in [(step.y[1], &self.hidden), (step.y[2], &self.cell)] {
            if let Some(at) = at {
                arena.write::<f32>(at + place, h).copy_from_slice(from);
            }
        }
    }
}

/// Recurrence weights of some gates.
#[derive(Clone, Copy)]
struct Part<'a> {
    weights: &'a [f32],
    /// From one row to the next where the weights are an operand; `None` where they are packed.
    row: Option<usize>,
}

/// `sums[j] = fma(x[k], weights[k, j], sums[j])` for k = 0, 1, 2, …
#[inline(always)]
fn multiply(x: &[f32], part: Part, sums: &mut [f32]) {
    for (i, sums) in sums.chunks_mut(BLOCK).enumerate() {
        let (start, row) = match part.row {
            Some(row) => (i * BLOCK, row),
            None => (i * BLOCK * x.len(), sums.len()),
        };
        let weights = &part.weights[start..];
        match <&mut [f32; BLOCK]>::try_from(&mut *sums) {
            Ok(sums) => {
                let mut all = *sums;
                for (k, &x) in x.iter().enumerate() {
                    let row = &weights[k * row..][..BLOCK];
                    for j in 0..BLOCK {
                        all[j] = x.mul_add(row[j], all[j]);
                    }
                }
                *sums = all;
            }
            Err(_) => {
                for (k, &x) in x.iter().enumerate() {
                    let row = &weights[k * row..][..sums.len()];
                    sums.iter_mut().zip(row).for_each(|(sum, &weight)| *sum = x.mul_add(weight, *sum));
                }
            }
        }
    }
}

/// The same of integers, modulo 2^32.
#[inline(always)]
fn multiply_integers(x: &[i32], weights: &[i16], sums: &mut [i32]) {
    for (i, sums) in sums.chunks_mut(BLOCK).enumerate() {
        let weights = &weights[i * BLOCK * x.len()..];
        match <&mut [i32; BLOCK]>::try_from(&mut *sums) {
            Ok(sums) => {
                let mut all = *sums;
                for (&x, row) in x.iter().zip(weights.as_chunks::<BLOCK>().0) {
                    for j in 0..BLOCK {
                        all[j] = all[j].wrapping_add(x * i32::from(row[j]));
                    }
                }
                *sums = all;
            }
            Err(_) => {
                for (&x, row) in x.iter().zip(weights.chunks_exact(sums.len())) {
                    let sums = sums.iter_mut().zip(row);
                    sums.for_each(|(sum, &weight)| *sum = sum.wrapping_add(x * i32::from(weight)));
                }
            }
        }
    }
}

/// What belongs to one direction.
struct Direction<'a> {
    index: usize,
    reverse: bool,
    /// Of a GRU's gates z and r, and of its gate h; of all gates of the others. Not read where weights are quantized.
    parts: [Part<'a>; 2],
    multiplied: bool,
    /// Of the input's and of the recurrence's products; empty where there is none.
    bias: [&'a [f32]; 2],
    peepholes: &'a [f32],
    activations: &'a [Unary],
    clip: Option<f32>,
}

impl<'a> Direction<'a> {
    fn new(step: &'a RecurrentStep, arena: Arena, index: usize) -> Direction<'a> {
        let layer = &step.layer;
        let (h, g) = (layer.hidden, layer.gates());
        let list = |at: Option<usize>, count: usize| -> &'a [f32] {
            at.map_or(&[][..], |at| arena.read::<f32>(at + index * count * 4, count))
        };
        let [first, _] = Recurrent::parts(layer.cell, h);
        let (weights, row, second) = match &layer.weights {
            RecurrenceWeights::Computed => (list(step.weights, h * g), Some(g), first),
            RecurrenceWeights::Floats(weights) => (&weights[index * h * g..][..h * g], None, first * h),
            RecurrenceWeights::Bytes(_) => (&[][..], None, 0),
        };
        let bias = list(step.bias, 2 * g);
        Direction {
            index,
            reverse: layer.reverse[index],
            parts: [Part { weights, row }, Part { weights: weights.get(second..).unwrap_or_default(), row }],
            multiplied: layer.in_integers(),
            bias: bias.split_at(bias.len() / 2).into(),
            peepholes: list(step.peepholes, 3 * h),
            activations: &layer.activations[index],
            clip: layer.clip,
        }
    }

    /// Adds both biases of gates from number `first` on.
    #[inline(always)]
    fn add_bias(&self, gates: &mut [f32], first: usize) {
        if self.bias[0].is_empty() {
            return;
        }
        let both = self.bias[0][first..].iter().zip(&self.bias[1][first..]);
        gates.iter_mut().zip(both).for_each(|(gate, (of_input, of_state))| *gate += of_input + of_state);
    }

    /// Adds cells by their peepholes to gate number `index`.
    #[inline(always)]
    fn add_peephole(&self, gate: &mut [f32], cell: &[f32], index: usize) {
        if let Some(weights) = self.peepholes.get(index * gate.len()..) {
            gate.iter_mut().zip(cell).zip(weights).for_each(|((gate, &cell), &w)| *gate = cell.mul_add(w, *gate));
        }
    }

    /// Clips numbers and applies activation number `index` to them.
    #[inline(always)]
    fn activate(&self, index: usize, x: &mut [f32]) {
        if let Some(clip) = self.clip {
            x.iter_mut().for_each(|x| *x = x.clamp(-clip, clip));
        }
        apply(self.activations[index], x);
    }

    /// The next state from gates that hold the products of the input, and of the hidden state where it was multiplied.
    #[inline(always)]
    fn advance(&self, cell: Cell, state: &mut State) {
        let h = state.hidden.len();
        match cell {
            Cell::Rnn => {
                multiply(state.hidden, self.parts[0], state.gates);
                self.add_bias(state.gates, 0);
                self.activate(0, state.gates);
                state.hidden.copy_from_slice(state.gates);
            }
            Cell::Lstm => {
                if !self.multiplied {
                    multiply(state.hidden, self.parts[0], state.gates);
                }
                self.add_bias(state.gates, 0);
                let (input, rest) = state.gates.split_at_mut(h);
                let (output, rest) = rest.split_at_mut(h);
                let (forget, new) = rest.split_at_mut(h);
                self.add_peephole(input, state.cell, 0);
                self.add_peephole(forget, state.cell, 2);
                self.activate(0, input);
                self.activate(0, forget);
                self.activate(1, new);
                for j in 0..h {
                    state.cell[j] = forget[j] * state.cell[j] + input[j] * new[j];
                }
                self.add_peephole(output, state.cell, 1);
                self.activate(0, output);
                state.hidden.copy_from_slice(state.cell);
                apply(self.activations[2], state.hidden);
                state.hidden.iter_mut().zip(output).for_each(|(hidden, output)| *hidden *= *output);
            }
            Cell::Gru { linear_before_reset } => {
                let (two, new) = state.gates.split_at_mut(2 * h);
                multiply(state.hidden, self.parts[0], two);
                self.add_bias(two, 0);
                self.activate(0, two);
                let (update, reset) = two.split_at(h);
                if linear_before_reset {
                    match self.bias[1].get(2 * h..) {
                        Some(bias) => state.other.copy_from_slice(bias),
                        None => state.other.fill(0.0),
                    }
                    multiply(state.hidden, self.parts[1], state.other);
                    if let Some(bias) = self.bias[0].get(2 * h..) {
                        new.iter_mut().zip(bias).for_each(|(new, bias)| *new += bias);
                    }
                    for j in 0..h {
                        new[j] = reset[j].mul_add(state.other[j], new[j]);
                    }
                } else {
                    for j in 0..h {
                        state.other[j] = reset[j] * state.hidden[j];
                    }
                    multiply(state.other, self.parts[1], new);
                    self.add_bias(new, 2 * h);
                }
                self.activate(1, new);
                for j in 0..h {
                    state.hidden[j] = (1.0 - update[j]) * new[j] + update[j] * state.hidden[j];
                }
            }
        }
    }
}

/// A function of each number; the commonest ones as loops that a compiler makes vectors of.
#[inline(always)]
fn apply(function: Unary, x: &mut [f32]) {
    match function {
        Unary::Sigmoid => x.iter_mut().for_each(|x| *x = math::sigmoid(*x)),
        Unary::Tanh => x.iter_mut().for_each(|x| *x = math::tanh(*x)),
        _ => x.iter_mut().for_each(|x| *x = function.apply(*x)),
    }
}
