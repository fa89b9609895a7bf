//! Mutations from a seed: the same inputs on every machine.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// Changes inputs at random.
pub struct Mutator {
    random: Xoshiro256PlusPlus,
    words: &'static [&'static [u8]],
    max_len: usize,
}

/// Numbers at which arithmetic breaks.
const NUMBERS: [u64; 14] =
    [0, 1, 2, 4, 16, 64, 127, 128, 255, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF];

impl Mutator {
    /// A mutator of inputs up to `max_len` bytes, which may insert `words`.
    pub fn new(seed: u64, words: &'static [&'static [u8]], max_len: usize) -> Mutator {
        Mutator { random: Xoshiro256PlusPlus::seed_from_u64(seed), words, max_len }
    }

    /// A number below `end`; 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.random.next_u64() % end as u64) as usize }
    }

    /// A changed copy of `input`; some are spliced with `other`.
    pub fn mutate(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        let changes = 1 + self.below(4);
        for _ in 0..changes {
            self.change(&mut bytes, other);
        }
        bytes.truncate(self.max_len);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        let length = self.below(16).min(bytes.len() - at);
        let kind = self.below(10);
        match kind {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            2 if at < bytes.len() => bytes[at] = self.random.next_u64() as u8,
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let copy = bytes[at..at + length].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            5 => {
                let number = NUMBERS[self.below(NUMBERS.len())];
                let size = [1, 2, 4, 8][self.below(4)];
                let number =
                    if self.below(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes().map(|byte| byte) };
                let part = if number[0] == 0 && number[7] != 0 { &number[8 - size..] } else { &number[..size] };
                let end = (at + size).min(bytes.len());
                bytes.splice(at..end, part.iter().copied());
            }
            6 | 7 if !self.words.is_empty() => {
                let word = self.words[self.below(self.words.len())];
                // Inserted, or in the place of what is there.
                let end = if self.below(2) == 0 { at } else { (at + word.len()).min(bytes.len()) };
                bytes.splice(at..end, word.iter().copied());
            }
            8 if !other.is_empty() => {
                let from = self.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            9 => bytes.truncate(at.max(bytes.len() / 2)),
            _ => bytes.insert(at, self.random.next_u64() as u8),
        }
    }
}
