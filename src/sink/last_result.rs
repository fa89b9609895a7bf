//! The newest result of a line, for whoever asks for it: a PLC, a page, a broker.
//!
//! One thread publishes, the one that decides: inspection for each frame, or for each part where parts are counted. Any number of
//! threads read. Nobody takes a lock: a sequence number is odd while a result is being written, and a reader that saw it odd, or saw
//! it change, reads again (a seqlock; H.-J. Boehm, "Can Seqlocks Get Along With Programming Language Memory Models?", 2012, figure 6).
//! So a reader gets all of one result, never halves of two, and holds up neither the publisher nor another reader.

use jiff::Timestamp;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

/// What a line says of a part or of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultKind {
    /// It is good.
    Ok,
    /// It is not.
    Nok,
    /// Nobody could say: no picture, a picture that cannot be judged, or not in time.
    NoResult,
}

impl ResultKind {
    /// As records and pages call it.
    pub fn word(self) -> &'static str {
        match self {
            ResultKind::Ok => "OK",
            ResultKind::Nok => "NOK",
            ResultKind::NoResult => "NO RESULT",
        }
    }

    /// As registers have it: 1, 2 and 3; 0 is kept for "none yet".
    pub fn code(self) -> u16 {
        match self {
            ResultKind::Ok => 1,
            ResultKind::Nok => 2,
            ResultKind::NoResult => 3,
        }
    }

    fn of_code(code: u64) -> Option<ResultKind> {
        [ResultKind::Ok, ResultKind::Nok, ResultKind::NoResult].into_iter().find(|kind| u64::from(kind.code()) == code)
    }
}

/// One result, as it is published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewResult {
    /// The number of the part; of the frame in this run, where parts are not counted.
    pub id: u64,
    /// What is said of it.
    pub kind: ResultKind,
    /// The share of normal frames that score lower, 0..1; 0 where there is none.
    pub score: f64,
    /// How far it is from normal: 1 at the threshold; 0 where there is none.
    pub severity: f64,
    /// The code of the product that it was judged as; `None` where the line knows no products, or not this one.
    pub product: Option<u16>,
    /// The wall time of capture, or of the trigger.
    pub wall: Timestamp,
}

/// How many results a run has had, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)] // as in `ResultKind`
pub struct ResultCounts {
    pub ok: u64,
    pub nok: u64,
    pub no_result: u64,
}

/// The newest result and the counts with it, all of one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ResultSnapshot {
    /// The newest result; `None` before the first.
    pub newest: Option<NewResult>,
    /// With it.
    pub counts: ResultCounts,
}

/// Words of a result in the cell.
const WORDS: usize = 9;
/// A product's word where there is none; codes have 16 bits.
const NO_PRODUCT: u64 = u64::MAX;

/// The cell that readers share.
#[derive(Debug, Default)]
pub struct LastResult {
    /// Odd while a result is being written.
    sequence: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// The only one who may publish into a cell.
#[derive(Debug)]
pub struct ResultPublisher {
    cell: Arc<LastResult>,
    counts: ResultCounts,
}

impl LastResult {
    /// An empty cell: its publisher, of which there is one, and what readers share.
    pub fn channel() -> (ResultPublisher, Arc<LastResult>) {
        let cell = Arc::<LastResult>::default();
        (ResultPublisher { cell: Arc::clone(&cell), counts: ResultCounts::default() }, cell)
    }

    /// The newest result.
    pub fn read(&self) -> ResultSnapshot {
        loop {
            let before = self.sequence.load(Acquire);
            if before.is_multiple_of(2) {
                let words: [u64; WORDS] = std::array::from_fn(|at| self.words[at].load(Relaxed));
                fence(Acquire);
                if self.sequence.load(Relaxed) == before {
                    return ResultSnapshot::of_words(words);
                }
            }
            // The publisher has nine words to write, or was interrupted while it did.
            spin_loop();
            std::thread::yield_now();
        }
    }
}

impl ResultPublisher {
    /// Publishes a result. Neither waits nor allocates.
    pub fn publish(&mut self, result: NewResult) {
        let count = match result.kind {
            ResultKind::Ok => &mut self.counts.ok,
            ResultKind::Nok => &mut self.counts.nok,
            ResultKind::NoResult => &mut self.counts.no_result,
        };
        *count += 1;
        let words = ResultSnapshot { newest: Some(result), counts: self.counts }.words();
        let sequence = self.cell.sequence.load(Relaxed);
        self.cell.sequence.store(sequence.wrapping_add(1), Relaxed);
        fence(Release);
        for (cell, word) in self.cell.words.iter().zip(words) {
            cell.store(word, Relaxed);
        }
        self.cell.sequence.store(sequence.wrapping_add(2), Release);
    }
}

impl ResultSnapshot {
    fn words(&self) -> [u64; WORDS] {
        let ResultCounts { ok, nok, no_result } = self.counts;
        let Some(newest) = self.newest else { return [0; WORDS] };
        let product = newest.product.map_or(NO_PRODUCT, u64::from);
        let wall = newest.wall.as_microsecond() as u64;
        let (score, severity) = (newest.score.to_bits(), newest.severity.to_bits());
        [newest.id, u64::from(newest.kind.code()), score, severity, product, wall, ok, nok, no_result]
    }

    fn of_words([id, kind, score, severity, product, wall, ok, nok, no_result]: [u64; WORDS]) -> ResultSnapshot {
        let newest = ResultKind::of_code(kind).map(|kind| NewResult {
            id,
            kind,
            score: f64::from_bits(score),
            severity: f64::from_bits(severity),
            product: u16::try_from(product).ok(),
            wall: Timestamp::from_microsecond(wall as i64).unwrap_or_default(),
        });
        ResultSnapshot { newest, counts: ResultCounts { ok, nok, no_result } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    /// A result all of whose fields follow from its number.
    fn result(id: u64) -> NewResult {
        let kind = [ResultKind::Ok, ResultKind::Nok, ResultKind::NoResult][(id % 3) as usize];
        let wall = Timestamp::from_microsecond(id as i64 * 1000).unwrap();
        NewResult { id, kind, score: id as f64, severity: -(id as f64), product: Some(id as u16), wall }
    }

    #[test]
    fn what_was_published_is_read() {
        let (mut publisher, cell) = LastResult::channel();
        assert_eq!(cell.read(), ResultSnapshot::default());
        for id in 1..=7 {
            publisher.publish(result(id));
            assert_eq!(cell.read().newest, Some(result(id)));
        }
        assert_eq!(cell.read().counts, ResultCounts { ok: 2, nok: 3, no_result: 2 });
        let without = NewResult { product: None, wall: Timestamp::MIN, ..result(8) };
        publisher.publish(without);
        assert_eq!(cell.read().newest, Some(without));
        assert_eq!(cell.read().counts, ResultCounts { ok: 2, nok: 3, no_result: 3 });
    }

    #[test]
    fn readers_see_all_of_one_result() {
        let (mut publisher, cell) = LastResult::channel();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut last = 0;
                    while !done.load(Relaxed) {
                        let ResultSnapshot { newest, counts } = cell.read();
                        let Some(newest) = newest else { continue };
                        assert_eq!(newest, result(newest.id));
                        assert_eq!(counts.ok + counts.nok + counts.no_result, newest.id);
                        assert!(newest.id >= last, "an older one after a newer");
                        last = newest.id;
                    }
                });
            }
            (1..=300_000).for_each(|id| publisher.publish(result(id)));
            done.store(true, Relaxed);
        });
        assert_eq!(cell.read().newest, Some(result(300_000)));
    }
}
