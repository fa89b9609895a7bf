//! The two purposes of a plan.

/// What a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To run unattended: a camera that is away may come back.
    Run,
    /// To find out whether all is well: a frame must come now.
    Check,
}
