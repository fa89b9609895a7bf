//! Ops that another runtime computes.

use crate::ElementKind;

/// A tensor of plain bytes that a foreign op reads: native byte order, row-major.
pub struct ForeignInput<'a> {
    pub kind: ElementKind,
    pub shape: &'a [usize],
    pub bytes: &'a [u8],
}

/// An op that another runtime computes. The graph knows what it costs and nothing else of it.
pub trait ForeignOp: Send + Sync {
    /// Element type and shape of each output, in order.
    fn outputs(&self) -> &[(ElementKind, Vec<usize>)];

    /// Computes the outputs; it may allocate.
    ///
    /// # Errors
    /// One line, where the runtime fails or an output has another size than stated.
    fn run(&self, inputs: &[ForeignInput], outputs: &mut [&mut [u8]]) -> Result<(), String>;

    /// Multiply-accumulates of a run.
    fn macs(&self) -> u64;

    /// Bytes of its constants.
    fn weights_bytes(&self) -> u64;

    /// Bytes that its values take at most.
    fn arena_bytes(&self) -> u64;
}
