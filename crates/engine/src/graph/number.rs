//! Ops on numbers of any kind: masks, indices, shapes that are computed. Their loops are in `numbers.rs`.

/// An op on whole numbers, truth values or mixed kinds, with one scalar implementation. Broadcasting follows ONNX.
#[derive(Debug, Clone, PartialEq)]
pub enum NumberOp {
    /// Two operands of one kind.
    Arithmetic(Arithmetic),
    /// Two operands of one kind to `bool`.
    Compare(Comparison),
    /// Two operands of `bool`.
    Logic(Logic),
    /// `bool` to `bool`.
    Not,
    /// Of a float: whether it is none.
    IsNan,
    /// Of a float: whether it is infinite, of either sign where that is `true`.
    IsInfinite { negative: bool, positive: bool },
    /// Whole numbers.
    Absolute,
    /// Whole numbers.
    Negative,
    /// -1, 0 or 1, of any kind but `bool`.
    Sign,
    /// Every bit of a whole number turned.
    BitNot,
    /// `condition (bool), a, b -> y`: `a` where it holds, else `b`.
    Where,
    /// The index (`i64`) of the greatest or the least element along an axis; of equal ones the first or the last.
    ArgReduce { axis: usize, greatest: bool, last: bool },
    /// Whole numbers over the given axes.
    Reduce { kind: Fold, axes: Vec<usize> },
    /// `data, indices (i32 or i64) -> y` of the indices' shape: each element's place in `data` is its own, but for the axis, where the index
    /// says it. Negative ones count from the end; one out of range is an error of the run.
    GatherElements { axis: usize },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arithmetic {
    Add,
    Sub,
    Mul,
    /// Towards zero; by 0 it is an error of the run.
    Div,
    /// With the divisor's sign.
    Modulo,
    /// With the dividend's sign: C's `fmod` and `%`.
    Remainder,
    Power,
    Min,
    Max,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Logic {
    And,
    Or,
    Xor,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fold {
    Sum,
    Product,
    Min,
    Max,
}

impl NumberOp {
    pub fn kind(&self) -> &'static str {
        match self {
            NumberOp::Arithmetic(_) => "Arithmetic",
            NumberOp::Compare(_) => "Compare",
            NumberOp::Logic(_) | NumberOp::Not => "Logic",
            NumberOp::IsNan | NumberOp::IsInfinite { .. } => "Classify",
            NumberOp::Absolute | NumberOp::Negative | NumberOp::Sign | NumberOp::BitNot => "IntegerUnary",
            NumberOp::Where => "Where",
            NumberOp::ArgReduce { greatest: true, .. } => "ArgMax",
            NumberOp::ArgReduce { .. } => "ArgMin",
            NumberOp::Reduce { .. } => "IntegerReduce",
            NumberOp::GatherElements { .. } => "GatherElements",
        }
    }
}
