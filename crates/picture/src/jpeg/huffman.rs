//! Huffman tables and the bits of a scan: ITU-T T.81, annexes C and F.2.2.

use super::super::PictureError;
use super::stream::broken;

/// Bits that are decoded by one look into a table; longer codes are rare.
const LOOKAHEAD: u32 = 9;

/// The codes of one table.
pub(super) struct HuffmanTable {
    /// For each start of 9 bits: length of the code it begins with (0: longer than that), and its symbol.
    short: [(u8, u8); 1 << LOOKAHEAD],
    /// For each length: the largest code, -1 where there is none, and what has to be added to a code for its symbol's place.
    long: [(i32, i32); 17],
    symbols: Vec<u8>,
}

impl HuffmanTable {
    /// The table of a DHT segment: how many codes there are of the lengths 1 to 16, and the symbols in the order of the codes.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<HuffmanTable, PictureError> {
        let wrong = || broken("a Huffman table contradicts itself");
        let mut table =
            HuffmanTable { short: [(0, 0); 1 << LOOKAHEAD], long: [(-1, 0); 17], symbols: symbols.to_vec() };
        let (mut code, mut place) = (0_i32, 0_i32);
        for (length, &count) in (1_u32..).zip(counts) {
            let first = code;
            code += i32::from(count);
            // The code of all ones stays free.
            if count > 0 && code >= 1 << length {
                return Err(wrong());
            }
            if count > 0 {
                table.long[length as usize] = (code - 1, place - first);
            }
            for code in first..code {
                let symbol = *symbols.get(place as usize).ok_or_else(wrong)?;
                if let Some(free) = LOOKAHEAD.checked_sub(length) {
                    let from = (code as usize) << free;
                    table.short[from..from + (1 << free)].fill((length as u8, symbol));
                }
                place += 1;
            }
            code <<= 1;
        }
        Ok(table)
    }
}

/// The bits between two markers, without the zero bytes that stuff them.
pub(super) struct Bits<'a> {
    rest: &'a [u8],
    /// The next bits, from the highest on.
    buffer: u64,
    held: u32,
}

impl<'a> Bits<'a> {
    /// Reads from where `rest` begins.
    pub fn new(rest: &'a [u8]) -> Bits<'a> {
        Bits { rest, buffer: 0, held: 0 }
    }

    /// Drops what is left of this stretch and steps behind the restart marker `number` (0..=7), which must come next.
    pub fn restart(&mut self, number: u8) -> Result<(), PictureError> {
        let mut rest = self.rest;
        loop {
            match rest {
                [0xFF, 0x00, after @ ..] => rest = after,
                [0xFF, marker, after @ ..] if *marker == 0xD0 + number => {
                    *self = Bits::new(after);
                    return Ok(());
                }
                [0xFF, ..] | [] => {
                    return Err(broken("a part of it is missing: a restart marker is not where it must be"));
                }
                [_, after @ ..] => rest = after,
            }
        }
    }

    /// What follows, from the next marker on.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bits are left before the next marker, `None` for more than 56.
    pub fn left(&self) -> Option<u32> {
        let mut rest = Bits { rest: self.rest, buffer: 0, held: self.held };
        rest.top_up();
        (rest.held < 57).then_some(rest.held)
    }

    /// Holds 16 bits at least, as long as there are so many.
    #[inline]
    fn fill(&mut self) {
        if self.held < 16 {
            self.top_up();
        }
    }

    fn top_up(&mut self) {
        while self.held <= 56 {
            let byte = match self.rest {
                [0xFF, 0x00, after @ ..] => {
                    self.rest = after;
                    0xFF
                }
                [0xFF, ..] | [] => return,
                [byte, after @ ..] => {
                    self.rest = after;
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.held);
            self.held += 8;
        }
    }

    #[inline]
    fn skip(&mut self, bits: u32) -> Result<(), PictureError> {
        self.held = self.held.checked_sub(bits).ok_or_else(ends_early)?;
        self.buffer <<= bits;
        Ok(())
    }

    /// The next `count` bits, 0 to 16, as a number.
    #[inline]
    pub fn take(&mut self, count: u32) -> Result<i32, PictureError> {
        if count == 0 {
            return Ok(0);
        }
        self.fill();
        let bits = (self.buffer >> (64 - count)) as i32;
        self.skip(count)?;
        Ok(bits)
    }

    /// A number of `size` bits, 0 to 15, of which the first half is negative: T.81, F.2.2.1, EXTEND.
    #[inline]
    pub fn signed(&mut self, size: u32) -> Result<i32, PictureError> {
        let bits = self.take(size)?;
        Ok(if size > 0 && bits < 1 << (size - 1) { bits - (1 << size) + 1 } else { bits })
    }

    /// The next symbol.
    #[inline]
    pub fn symbol(&mut self, table: &HuffmanTable) -> Result<u8, PictureError> {
        self.fill();
        let (length, symbol) = table.short[(self.buffer >> (64 - LOOKAHEAD)) as usize];
        if length > 0 {
            self.skip(u32::from(length))?;
            return Ok(symbol);
        }
        for length in LOOKAHEAD + 1..=16 {
            let code = (self.buffer >> (64 - length)) as i32;
            let (largest, shift) = table.long[length as usize];
            if code <= largest {
                self.skip(length)?;
                return table.symbols.get((code + shift) as usize).copied().ok_or_else(ends_early);
            }
        }
        Err(if self.held < 16 { ends_early() } else { broken("its scan has a code that no table has") })
    }
}

fn ends_early() -> PictureError {
    broken("it is cut short: a scan ends too early")
}
