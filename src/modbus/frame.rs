//! One request of Modbus TCP and its answer.
//!
//! "MODBUS Application Protocol Specification" V1.1b3 (functions 3, 4, 6 and 16, exceptions) and "MODBUS Messaging on TCP/IP
//! Implementation Guide" V1.0b (the header of seven bytes before each).

use super::registers::{Map, WriteError};

/// Bytes of the header: transaction, protocol, length, unit.
const HEADER: usize = 7;
/// The longest frame: the header, and a function with its data.
pub const LONGEST: usize = HEADER + 253;
/// Registers that one request may read, and write.
const MOST_READ: u16 = 125;
const MOST_WRITTEN: u16 = 123;

const READ_HOLDING: u8 = 3;
const READ_INPUT: u8 = 4;
const WRITE_SINGLE: u8 = 6;
const WRITE_MULTIPLE: u8 = 16;
/// Set in the function of an answer that is an exception.
const EXCEPTION: u8 = 0x80;

/// Why a stream is no Modbus TCP: nothing after it can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The two bytes after the transaction are not 0.
    #[error("no Modbus TCP")]
    OtherProtocol,
    /// Shorter than a unit and a function, or longer than any request.
    #[error("a frame of {0} bytes, where 2 to 254 are possible")]
    Length(u16),
}

/// The exceptions of the standard that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Exception {
    IllegalFunction = 1,
    IllegalAddress = 2,
    IllegalValue = 3,
    /// Of a gateway: there is no such unit behind it.
    NoSuchUnit = 11,
}

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientRights {
    /// The unit that is answered for; `None`: every one.
    pub unit: Option<u8>,
    /// Whether products may be chosen and alarms acknowledged.
    pub write: bool,
}

/// The length of the first frame in bytes; `None` while its header is incomplete.
pub(super) fn frame_length(bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    let &[_, _, protocol_high, protocol_low, high, low, ..] = bytes else { return Ok(None) };
    if (protocol_high, protocol_low) != (0, 0) {
        return Err(FrameError::OtherProtocol);
    }
    let length = u16::from_be_bytes([high, low]);
    // The unit counts; after it comes a function at least.
    if !(2..=254).contains(&length) {
        return Err(FrameError::Length(length));
    }
    Ok(Some(HEADER - 1 + usize::from(length)))
}

/// Answers the first request of a stream into `out`, which is cleared; returns the bytes that it took, `None` while it is incomplete.
///
/// # Errors
/// [`FrameError`]: the connection must be closed.
pub fn answer(
    bytes: &[u8],
    rights: ClientRights,
    map: &mut dyn Map,
    out: &mut Vec<u8>,
) -> Result<Option<usize>, FrameError> {
    out.clear();
    let Some(taken) = frame_length(bytes)? else { return Ok(None) };
    let Some(frame) = bytes.get(..taken) else { return Ok(None) };
    let (&[transaction_high, transaction_low, _, _, _, _, unit, function], data) =
        frame.split_first_chunk().ok_or(FrameError::Length(0))?;
    out.extend([transaction_high, transaction_low, 0, 0, 0, 0, unit, function]);
    if let Err(exception) = execute(function, unit, data, rights, map, out) {
        out.truncate(HEADER);
        out.extend([function | EXCEPTION, exception as u8]);
    }
    let length = (out.len() - HEADER + 1) as u16;
    out[4..6].copy_from_slice(&length.to_be_bytes());
    Ok(Some(taken))
}

fn execute(
    function: u8,
    unit: u8,
    data: &[u8],
    rights: ClientRights,
    map: &mut dyn Map,
    out: &mut Vec<u8>,
) -> Result<(), Exception> {
    // 0 and 255 are the device itself, where it is no gateway.
    if rights.unit.is_some_and(|own| ![own, 0, 255].contains(&unit)) {
        return Err(Exception::NoSuchUnit);
    }
    match function {
        READ_HOLDING | READ_INPUT => {
            let (start, count) = pair(data)?;
            if !(1..=MOST_READ).contains(&count) {
                return Err(Exception::IllegalValue);
            }
            out.push(2 * count as u8);
            let known = map.read(start, count, &mut |value| out.extend(value.to_be_bytes()));
            if known { Ok(()) } else { Err(Exception::IllegalAddress) }
        }
        WRITE_SINGLE | WRITE_MULTIPLE if !rights.write => {
            map.forbid();
            Err(Exception::IllegalFunction)
        }
        WRITE_SINGLE => {
            pair(data)?;
            write(map, data)?;
            out.extend(data);
            Ok(())
        }
        WRITE_MULTIPLE => {
            let (&[start_high, start_low, count_high, count_low, bytes], values) =
                data.split_first_chunk().ok_or(Exception::IllegalValue)?;
            let count = u16::from_be_bytes([count_high, count_low]);
            let is_whole = usize::from(bytes) == values.len() && values.len() == 2 * usize::from(count);
            if !is_whole || !(1..=MOST_WRITTEN).contains(&count) {
                return Err(Exception::IllegalValue);
            }
            let mut at_and_values = Vec::with_capacity(2 + values.len());
            at_and_values.extend([start_high, start_low]);
            at_and_values.extend(values);
            write(map, &at_and_values)?;
            out.extend([start_high, start_low, count_high, count_low]);
            Ok(())
        }
        _ => Err(Exception::IllegalFunction),
    }
}

/// Writes registers: the address of the first, and then the values.
fn write(map: &mut dyn Map, data: &[u8]) -> Result<(), Exception> {
    let (start, values) = data.split_first_chunk().ok_or(Exception::IllegalValue)?;
    let values: Vec<u16> = values.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    map.write(u16::from_be_bytes(*start), &values).map_err(|error| match error {
        WriteError::Address => Exception::IllegalAddress,
        WriteError::Value => Exception::IllegalValue,
    })
}

/// Two registers, and nothing else.
fn pair(data: &[u8]) -> Result<(u16, u16), Exception> {
    let &[a, b, c, d] = data else { return Err(Exception::IllegalValue) };
    Ok((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Registers 10 to 19 hold their addresses; 15 and 16 can be written.
    #[derive(Default)]
    struct Ten {
        written: Vec<(u16, u16)>,
        forbidden: usize,
    }

    impl Map for Ten {
        fn read(&self, start: u16, count: u16, each: &mut dyn FnMut(u16)) -> bool {
            let known = start >= 10 && u32::from(start) + u32::from(count) <= 20;
            if known {
                (start..start + count).for_each(each);
            }
            known
        }

        fn write(&mut self, start: u16, values: &[u16]) -> Result<(), WriteError> {
            if start < 15 || usize::from(start) + values.len() > 17 {
                return Err(WriteError::Address);
            }
            if values.contains(&0xBAD) {
                return Err(WriteError::Value);
            }
            self.written.extend((start..).zip(values.iter().copied()));
            Ok(())
        }

        fn forbid(&mut self) {
            self.forbidden += 1;
        }
    }

    /// A frame with a header.
    fn framed(unit: u8, pdu: &[u8]) -> Vec<u8> {
        let length = (pdu.len() as u16 + 1).to_be_bytes();
        [&[0x12, 0x34, 0, 0, length[0], length[1], unit], pdu].concat()
    }

    /// The function and data of the answer to a function and its data.
    fn ask(map: &mut Ten, write: bool, pdu: &[u8]) -> Vec<u8> {
        let (frame, mut out) = (framed(7, pdu), Vec::new());
        let taken = answer(&frame, ClientRights { unit: None, write }, map, &mut out).unwrap();
        assert_eq!(taken, Some(frame.len()));
        assert_eq!(out, framed(7, &out[HEADER..]), "the header of the answer");
        out.split_off(HEADER)
    }

    #[test]
    fn registers_are_read_by_both_functions() {
        let mut map = Ten::default();
        for function in [READ_HOLDING, READ_INPUT] {
            assert_eq!(ask(&mut map, false, &[function, 0, 12, 0, 2]), [function, 4, 0, 12, 0, 13]);
        }
    }

    #[test]
    fn exceptions_are_those_of_the_standard() {
        let mut map = Ten::default();
        let cases: [(&[u8], u8); 14] = [
            (&[1, 0, 0, 0, 1], 1),
            (&[0], 1),
            (&[43, 14, 1, 0], 1),
            (&[0x84, 0, 0], 1),
            (&[4, 0, 9, 0, 1], 2),
            (&[4, 0, 19, 0, 2], 2),
            (&[4, 0xff, 0xff, 0, 125], 2),
            (&[4, 0, 12, 0, 0], 3),
            (&[4, 0, 12, 0, 126], 3),
            (&[4, 0, 12, 0], 3),
            (&[4, 0, 12, 0, 1, 0], 3),
            (&[6, 0, 12, 0, 1], 2),
            (&[16, 0, 15, 0, 2, 2, 0, 1], 3),
            (&[16, 0, 15, 0, 1, 2, 0x0B, 0xAD], 3),
        ];
        for (pdu, exception) in cases {
            assert_eq!(ask(&mut map, true, pdu), [pdu[0] | EXCEPTION, exception], "{pdu:?}");
        }
        assert!(map.written.is_empty() && map.forbidden == 0);
    }

    #[test]
    fn writing_is_a_right() {
        let mut map = Ten::default();
        assert_eq!(ask(&mut map, false, &[6, 0, 15, 0, 1]), [0x86, 1]);
        assert_eq!(ask(&mut map, false, &[16, 0, 15, 0, 1, 2, 0, 1]), [0x90, 1]);
        assert_eq!((map.written.len(), map.forbidden), (0, 2));
        assert_eq!(ask(&mut map, true, &[6, 0, 15, 0, 9]), [6, 0, 15, 0, 9]);
        assert_eq!(ask(&mut map, true, &[16, 0, 15, 0, 2, 4, 0, 1, 0, 2]), [16, 0, 15, 0, 2]);
        assert_eq!(map.written, [(15, 9), (15, 1), (16, 2)]);
    }

    #[test]
    fn a_unit_is_answered_for_where_it_is_this_one() {
        let (mut map, mut out) = (Ten::default(), Vec::new());
        for (unit, answered) in [(7, true), (0, true), (255, true), (8, false)] {
            let rights = ClientRights { unit: Some(7), write: false };
            answer(&framed(unit, &[4, 0, 12, 0, 1]), rights, &mut map, &mut out).unwrap();
            assert_eq!(out[HEADER..] == [4, 2, 0, 12], answered, "{unit}");
            assert!(answered || out[HEADER..] == [0x84, 11]);
        }
    }

    #[test]
    fn an_incomplete_frame_is_waited_for_and_garbage_ends_the_stream() {
        let (mut map, mut out) = (Ten::default(), Vec::new());
        let rights = ClientRights { unit: None, write: true };
        let frame = framed(1, &[4, 0, 12, 0, 1]);
        for cut in 0..frame.len() {
            assert_eq!(answer(&frame[..cut], rights, &mut map, &mut out), Ok(None), "{cut}");
        }
        assert_eq!(answer(b"GET / HTTP/1.1\r\n", rights, &mut map, &mut out), Err(FrameError::OtherProtocol));
        for length in [0, 1, 255, u16::MAX] {
            let [high, low] = length.to_be_bytes();
            let refused = answer(&[0, 0, 0, 0, high, low, 1, 4], rights, &mut map, &mut out);
            assert_eq!(refused, Err(FrameError::Length(length)));
        }
    }
}
