//! Recurrent networks: LSTM, GRU and RNN after their inputs were multiplied with the input weights.

use crate::unary::Unary;
use std::sync::Arc;

/// Columns of the recurrence weights whose sums are kept in registers together.
pub const BLOCK: usize = 64;

/// What a step of a recurrent network computes. Gates lie in ONNX's order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    /// Gates i, o, f, c; activations f, g, h.
    Lstm,
    /// Gates z, r, h; activations f, g.
    Gru { linear_before_reset: bool },
    /// One gate; activation f.
    Rnn,
}

impl Cell {
    pub fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru { .. } => 3,
            Cell::Rnn => 1,
        }
    }

    pub fn activations(self) -> &'static [Unary] {
        match self {
            Cell::Lstm => &[Unary::Sigmoid, Unary::Tanh, Unary::Tanh],
            Cell::Gru { .. } => &[Unary::Sigmoid, Unary::Tanh],
            Cell::Rnn => &[Unary::Tanh],
        }
    }
}

/// A recurrent layer. With `D` directions, `T` steps, a batch of `B`, `H` hidden numbers and `G = gates * H` it reads, all `f32`:
/// the products of the inputs `[T * B, D * G]`; the recurrence weights `[D, H, G]`, unless they are known; then those that
/// `operands` names. It gives all hidden states `[T, D, B, H]`, the last ones `[D, B, H]` and, of an LSTM, the last cells.
#[derive(Debug, Clone)]
pub struct Recurrent {
    pub cell: Cell,
    pub hidden: usize,
    pub batch: usize,
    /// For each direction, whether it goes from the last step to the first.
    pub reverse: Vec<bool>,
    /// For each direction, as many as the cell has.
    pub activations: Vec<Vec<Unary>>,
    /// Limits what activations are given.
    pub clip: Option<f32>,
    pub operands: Operands,
    pub weights: RecurrenceWeights,
}

/// The weights by which the hidden state is multiplied.
#[derive(Debug, Clone)]
pub enum RecurrenceWeights {
    /// An operand.
    Computed,
    /// [`packed`](Recurrent::packed).
    Floats(Arc<[f32]>),
    Bytes(Arc<QuantizedRecurrence>),
}

/// Which optional operands are there; they follow one another in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Operands {
    /// `[D, 2 * G]`: of the input's and of the recurrence's products.
    pub bias: bool,
    /// `i32 [B]`
    pub lengths: bool,
    /// `[D, B, H]`
    pub hidden: bool,
    /// `[D, B, H]`
    pub cell: bool,
    /// `[D, 3 * H]`: of gates i, o, f.
    pub peepholes: bool,
}

/// Recurrence weights of eight bits: hidden states are quantized in every step, all of a batch together.
#[derive(Debug)]
pub struct QuantizedRecurrence {
    /// Less their zero points, [`packed`](Recurrent::packed).
    pub weights: Vec<i16>,
    /// `[D, G]`
    pub scale: Vec<f32>,
}

impl Recurrent {
    pub fn directions(&self) -> usize {
        self.reverse.len()
    }

    /// Whether the hidden state is multiplied in integers.
    pub fn in_integers(&self) -> bool {
        matches!(self.weights, RecurrenceWeights::Bytes(_))
    }

    /// The gates that are multiplied together, as runs of columns of the weights: those of a GRU depend on one another.
    pub fn parts(cell: Cell, hidden: usize) -> [usize; 2] {
        match cell {
            Cell::Gru { .. } => [2 * hidden, hidden],
            _ => [cell.gates() * hidden, 0],
        }
    }

    /// Recurrence weights `[D, H, G]` in the order in which they are read: for each direction and part, blocks of
    /// [`BLOCK`] columns (the last one has fewer), each row by row.
    pub fn packed<T: Copy>(cell: Cell, hidden: usize, weights: &[T]) -> Vec<T> {
        let gates = cell.gates() * hidden;
        let mut packed = Vec::with_capacity(weights.len());
        for direction in weights.chunks_exact((hidden * gates).max(1)) {
            let mut first = 0;
            for columns in Recurrent::parts(cell, hidden) {
                for block in (first..first + columns).step_by(BLOCK) {
                    let width = BLOCK.min(first + columns - block);
                    for row in direction.chunks_exact(gates) {
                        packed.extend_from_slice(&row[block..block + width]);
                    }
                }
                first += columns;
            }
        }
        packed
    }

    /// The numbers of all gates of one element of a batch.
    pub fn gates(&self) -> usize {
        self.cell.gates() * self.hidden
    }

    /// The shapes of its inputs in order, for so many steps.
    pub fn inputs(&self, steps: usize) -> Vec<Vec<usize>> {
        let (d, b, h, g) = (self.directions(), self.batch, self.hidden, self.gates());
        let Operands { bias, lengths, hidden, cell, peepholes } = self.operands;
        let all = [
            (true, vec![steps * b, d * g]),
            (matches!(self.weights, RecurrenceWeights::Computed), vec![d, h, g]),
            (bias, vec![d, 2 * g]),
            (lengths, vec![b]),
            (hidden, vec![d, b, h]),
            (cell, vec![d, b, h]),
            (peepholes, vec![d, 3 * h]),
        ];
        all.into_iter().filter_map(|(there, shape)| there.then_some(shape)).collect()
    }

    /// Numbers of scratch memory, four bytes each, that a step needs for one element of the batch: gates, hidden state, cell, and
    /// one more state; for quantized weights the state in steps of its scale, and accumulators.
    pub fn scratch(&self) -> usize {
        let quantized = if self.in_integers() { self.hidden + self.gates() } else { 0 };
        self.gates() + 3 * self.hidden + quantized
    }

    /// Multiply-accumulates of a run of so many steps.
    pub fn macs(&self, steps: usize) -> u64 {
        [steps, self.batch, self.directions(), self.hidden, self.gates()].iter().map(|&count| count as u64).product()
    }
}
