//! Requests of Modbus TCP.

use super::Target;
use super::text::check_line;
use lineside::modbus::{ClientRights, LONGEST, Map, WriteError, answer};

/// This target.
pub const TARGET: Target = Target {
    name: "modbus",
    run: target,
    max_len: 2048,
    max_memory: 1 << 20,
    iterations: 50_000,
    words: &[
        b"\0\x01\0\0\0\x06\x01\x03\0\0\0\x13",
        b"\0\x01\0\0\0\x06\x01\x04\0\x64\0\x02",
        b"\0\x02\0\0\0\x06\x01\x06\0\x64\0\x02",
        b"\0\x03\0\0\0\x0B\xFF\x10\0\x64\0\x02\x04\0\x02\0\x01",
        b"\0\0\0\0\0\x02\0\x11",
        b"\0\0\0\0\0\xFE",
        b"\x7D",
        b"\xFF\xFF",
        b"\0\0",
    ],
};

/// Registers of any value, two of which can be written.
#[derive(Default, PartialEq, Debug)]
struct Registers {
    written: Vec<(u16, u16)>,
    forbidden: usize,
}

impl Map for Registers {
    fn read(&self, start: u16, count: u16, each: &mut dyn FnMut(u16)) -> bool {
        let known = u32::from(start) + u32::from(count) <= 200;
        if known {
            (start..start + count).for_each(each);
        }
        known
    }

    fn write(&mut self, start: u16, values: &[u16]) -> Result<(), WriteError> {
        if start < 100 || usize::from(start) + values.len() > 102 {
            return Err(WriteError::Address);
        }
        self.written.extend((start..).zip(values.iter().copied()));
        Ok(())
    }

    fn forbid(&mut self) {
        self.forbidden += 1;
    }
}

/// The answers to a stream that comes in parts, what was written, and the error that ended it.
fn answers(parts: &[&[u8]], write: bool) -> (Vec<Vec<u8>>, Registers, Option<String>) {
    let (mut buffer, mut answers, mut map, mut out) = (Vec::new(), Vec::new(), Registers::default(), Vec::new());
    let rights = ClientRights { unit: Some(1), write };
    for part in parts {
        buffer.extend_from_slice(part);
        loop {
            match answer(&buffer, rights, &mut map, &mut out) {
                Ok(Some(taken)) => {
                    assert!((8..=LONGEST).contains(&taken) && (9..=LONGEST).contains(&out.len()), "{taken} {out:?}");
                    assert_eq!(out[..4], buffer[..4], "the transaction");
                    assert_eq!(usize::from(u16::from_be_bytes([out[4], out[5]])), out.len() - 6, "the length");
                    assert_eq!(out[7] & 0x7f, buffer[7] & 0x7f, "the function");
                    answers.push(out.clone());
                    buffer.drain(..taken);
                }
                Ok(None) => break,
                Err(error) => return (answers, map, Some(error.to_string())),
            }
        }
    }
    (answers, map, None)
}

/// Answers all requests of a stream, as one part and as three, with and without the right to write.
pub fn target(data: &[u8]) {
    let (first, rest) = data.split_at(data.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    for write in [false, true] {
        let whole = answers(&[data], write);
        if let Some(error) = &whole.2 {
            check_line(error);
        }
        assert!(write || whole.1.written.is_empty(), "written without the right to");
        assert!(answers(&[first, second, third], write) == whole, "the answers depend on how the requests come");
    }
}
