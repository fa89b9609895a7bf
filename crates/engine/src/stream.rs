//! A file's bytes for the protobuf parser, a piece at a time: the whole file and what is parsed from it would lie in
//! memory together.

use prost::bytes::Buf;
use std::io::{self, Read};

/// Bytes kept at a time.
const PIECE: usize = 1 << 16;

/// A reader of known length as the parser takes it.
pub struct Stream<R> {
    reader: R,
    piece: Vec<u8>,
    /// Bytes of the piece that are parsed.
    parsed: usize,
    /// Bytes that are not in the piece yet.
    ahead: usize,
    /// Why the bytes end before their stated length.
    pub error: Option<io::Error>,
}

impl<R: Read> Stream<R> {
    /// The next `len` bytes of `reader`.
    pub fn new(reader: R, len: usize) -> Stream<R> {
        let mut stream =
            Stream { reader, piece: Vec::with_capacity(PIECE.min(len)), parsed: 0, ahead: len, error: None };
        stream.refill();
        stream
    }

    fn refill(&mut self) {
        self.parsed = 0;
        self.piece.resize(PIECE.min(self.ahead), 0);
        match self.reader.read_exact(&mut self.piece) {
            Ok(()) => self.ahead -= self.piece.len(),
            Err(error) => {
                // The parser finds the end of the bytes; the caller finds the error.
                (self.ahead, self.error) = (0, Some(error));
                self.piece.clear();
            }
        }
    }
}

impl<R: Read> Buf for Stream<R> {
    fn remaining(&self) -> usize {
        self.piece.len() - self.parsed + self.ahead
    }

    fn chunk(&self) -> &[u8] {
        &self.piece[self.parsed..]
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0 && self.remaining() > 0 {
            let step = count.min(self.piece.len() - self.parsed);
            self.parsed += step;
            count -= step;
            if self.parsed == self.piece.len() && self.ahead > 0 {
                self.refill();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_once_and_in_order() {
        let bytes: Vec<u8> = (0..2 * PIECE + 5).map(|i| (i % 251) as u8).collect();
        for step in [13, PIECE - 1, PIECE, PIECE + 1, bytes.len()] {
            let mut stream = Stream::new(&bytes[..], bytes.len());
            let mut found = Vec::new();
            while stream.has_remaining() {
                let mut part = vec![0; step.min(stream.remaining())];
                stream.copy_to_slice(&mut part);
                found.extend(part);
            }
            assert!(found == bytes && stream.error.is_none(), "{step}");
        }
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_read_ends_with_an_error() {
        let bytes = vec![1; PIECE + 10];
        let mut stream = Stream::new(&bytes[..], bytes.len() + 1);
        stream.advance(PIECE);
        assert_eq!(stream.remaining(), 0);
        assert!(stream.error.is_some());
    }
}
