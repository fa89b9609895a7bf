//! Two bytes a character, as some shells write.

use std::io::{self, Read};

/// UTF-16 to UTF-8. The first byte of each pair is taken as the low one: of a big-endian file the leading zero was taken for
/// a stray NUL, so that what is ASCII reads the same.
pub fn utf16_to_utf8(utf16: &[u8], out: &mut Vec<u8>) {
    let units = utf16.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    for c in char::decode_utf16(units) {
        let c = c.unwrap_or('\u{fffd}');
        if c != '\r' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// The bytes of a stream that begins with a byte-order mark of UTF-16, as UTF-8. From a line on that is plain text, because
/// something else was appended to the file, the rest is given as it is.
pub struct Utf16Stream<R> {
    stream: R,
    big_endian: bool,
    /// Bytes that were read and are not decoded yet.
    raw: Vec<u8>,
    utf8: Vec<u8>,
    given: usize,
    ended: bool,
    plain: bool,
}

impl<R: Read> Utf16Stream<R> {
    /// The rest of `stream`, behind its byte-order mark.
    pub fn new(stream: R, big_endian: bool) -> Utf16Stream<R> {
        Utf16Stream { stream, big_endian, raw: Vec::new(), utf8: Vec::new(), given: 0, ended: false, plain: false }
    }

    /// Decodes what was read, up to what needs more bytes.
    fn decode(&mut self) {
        /// So many bytes of printable ASCII are no UTF-16.
        const PLAIN: usize = 8;
        let mut at = 0;
        while !self.plain {
            let Some(unit) = self.unit(at) else { break };
            let mut taken = 2;
            let c = match (unit, self.unit(at + 2)) {
                (0xd800..0xdc00, None) if !self.ended => break,
                (high @ 0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => {
                    taken = 4;
                    char::from_u32(0x10000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(low) - 0xdc00))
                }
                (unit, _) => char::from_u32(u32::from(unit)),
            };
            let next = at + taken;
            if unit == u16::from(b'\n') && !self.ended && self.raw.len() < next + PLAIN {
                break;
            }
            at = next;
            self.utf8.extend_from_slice(c.unwrap_or('\u{fffd}').encode_utf8(&mut [0; 4]).as_bytes());
            let ahead = self.raw.get(at..at + PLAIN);
            self.plain = unit == u16::from(b'\n')
                && ahead.is_some_and(|ahead| ahead.iter().all(|byte| (0x20..0x7f).contains(byte)));
        }
        self.raw.drain(..at);
        if self.plain || self.ended {
            self.utf8.append(&mut self.raw);
        }
    }

    fn unit(&self, at: usize) -> Option<u16> {
        let pair = [*self.raw.get(at)?, *self.raw.get(at + 1)?];
        Some(if self.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
    }
}

impl<R: Read> Read for Utf16Stream<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.utf8.len() && !self.ended {
            if self.plain {
                return self.stream.read(into);
            }
            let mut chunk = [0; 16 << 10];
            let read = self.stream.read(&mut chunk)?;
            self.ended = read == 0;
            self.raw.extend_from_slice(&chunk[..read]);
            self.utf8.clear();
            self.given = 0;
            self.decode();
        }
        let length = (self.utf8.len() - self.given).min(into.len());
        into[..length].copy_from_slice(&self.utf8[self.given..self.given + length]);
        self.given += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str, big_endian: bool) -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    }

    #[test]
    fn both_orders_are_decoded_and_plain_text_behind_is_kept() {
        let text = "дек 28\r\n12月 28 😀\n";
        for big_endian in [false, true] {
            let mut bytes = encoded(text, big_endian);
            let mut out = String::new();
            Utf16Stream::new(&bytes[..], big_endian).read_to_string(&mut out).unwrap();
            assert_eq!(out, text);
            bytes.extend_from_slice(b"record=status captured=1\n");
            out.clear();
            Utf16Stream::new(&bytes[..], big_endian).read_to_string(&mut out).unwrap();
            assert_eq!(out, format!("{text}record=status captured=1\n"));
        }
    }
}
