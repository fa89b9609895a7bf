//! What a source wants to know of a frame's verdict.

use std::fmt;

/// Of a frame whose source keeps something until its verdict is recorded, such as the file of a drop folder. Dropped without an
/// answer, the source keeps it.
pub struct Receipt(Box<dyn FnOnce(Settled) + Send>);

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Its verdict is recorded.
    Recorded,
    /// It cannot be judged, whoever tries again.
    Failed,
}

impl Receipt {
    /// One that hands the answer to `settle`, on the writer's thread.
    pub fn new(settle: impl FnOnce(Settled) + Send + 'static) -> Receipt {
        Receipt(Box::new(settle))
    }

    /// Answers it.
    pub fn settle(self, settled: Settled) {
        (self.0)(settled);
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}
