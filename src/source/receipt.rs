//! What a source wants to know of a frame's verdict.

use std::fmt;

/// Of a frame whose source keeps something until its verdict is recorded, such as the file of a drop folder. Dropped without an
/// answer, the source keeps it, and hears of that, too.
pub struct Receipt(Option<Box<dyn FnOnce(Settled) + Send>>);

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Its verdict is recorded.
    Recorded,
    /// It cannot be judged, whoever tries again.
    Failed,
    /// Its verdict is not kept, or it has none, and that was no fault of its own.
    Unanswered,
}

impl Receipt {
    /// One that hands the answer to `settle`, on the writer's thread; where there is none, on the thread that drops it, which must not have to
    /// wait for it.
    pub fn new(settle: impl FnOnce(Settled) + Send + 'static) -> Receipt {
        Receipt(Some(Box::new(settle)))
    }

    /// Answers it.
    pub fn settle(mut self, settled: Settled) {
        self.answer(settled);
    }

    fn answer(&mut self, settled: Settled) {
        if let Some(settle) = self.0.take() {
            settle(settled);
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.answer(Settled::Unanswered);
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}
