//! The map of registers: what each means is in `docs/modbus.md`. What is read at once is of one moment.

use crate::pipeline::{ChosenProduct, CommandError, Commands, Selection};
use crate::sink::{LastResult, ResultSnapshot};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};

/// The version of the map; it changes where a register gets another meaning.
const VERSION: u16 = 1;
/// The first register that can be written: the code of the product that is asked for.
const PRODUCT: u16 = 100;
/// The one after it: 1 acknowledges the alarm.
const ACKNOWLEDGE: u16 = 101;

/// Steps of a score of 1, and of a severity of 1.
const SCORE: f64 = 10_000.0;
const SEVERITY: f64 = 100.0;

/// Registers as functions of the protocol see them.
pub trait Map {
    /// Calls `each` with the values of `count` registers from `start` on, all of one moment; false where one of them is not there.
    fn read(&self, start: u16, count: u16, each: &mut dyn FnMut(u16)) -> bool;

    /// Writes registers from `start` on, all of them or none.
    ///
    /// # Errors
    /// [`WriteError`]
    fn write(&mut self, start: u16, values: &[u16]) -> Result<(), WriteError>;

    /// Somebody without the right to write has tried to.
    fn forbid(&mut self);
}

/// Why registers cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// One of them is not there, or is read-only.
    Address,
    /// It does not take such a value.
    Value,
}

/// What a line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum LineState {
    /// No frame has come yet.
    Starting = 1,
    /// Frames are inspected.
    Inspecting = 2,
    /// They are, and something else is wrong: a fault is active.
    Degraded = 3,
    /// They are not: the camera is away, or a thread makes no progress.
    Fault = 4,
}

/// State and heartbeat, in one word, so that both are of one moment. The supervisor sets it.
#[derive(Debug)]
pub struct PlcStatus(AtomicU32);

impl Default for PlcStatus {
    fn default() -> PlcStatus {
        PlcStatus(AtomicU32::new((LineState::Starting as u32) << 16))
    }
}

impl PlcStatus {
    /// Stores the state; `alive`: every thread has made progress since it was last true, so that the heart beats once.
    pub fn update(&self, state: LineState, alive: bool) {
        let (_, beats) = self.read();
        let beats = beats.wrapping_add(u16::from(alive));
        self.0.store((state as u32) << 16 | u32::from(beats), Release);
    }

    fn read(&self) -> (u16, u16) {
        let word = self.0.load(Acquire);
        ((word >> 16) as u16, word as u16)
    }
}

/// The registers of a line, as one client sees them.
pub(super) struct LineMap<'a> {
    pub(super) results: &'a LastResult,
    pub(super) status: &'a PlcStatus,
    pub(super) commands: &'a Commands,
    /// The client, for records.
    pub(super) client: &'a str,
}

/// Read-only registers, from 0 on.
const STATUS: usize = 19;

impl LineMap<'_> {
    /// All that can only be read.
    fn status_registers(&self) -> [u16; STATUS] {
        let ResultSnapshot { newest, counts } = self.results.read();
        let (state, heartbeat) = self.status.read();
        let kind = newest.map_or(0, |newest| newest.kind.code());
        let id = words(newest.map_or(0, |newest| newest.id));
        let score = scaled(newest.map_or(0.0, |newest| newest.score), SCORE);
        let severity = scaled(newest.map_or(0.0, |newest| newest.severity), SEVERITY);
        let judged_as = newest.and_then(|newest| newest.product).unwrap_or(0);
        let (wanted, active) = (self.commands.wanted(), self.commands.active());
        let active_code = self.commands.key(active).map_or(0, |key| key.code);
        let product_state = match (wanted, active) {
            (ChosenProduct::Without, _) => 0,
            (ChosenProduct::Unknown, _) => 3,
            _ if wanted == active => 1,
            _ => 2,
        };
        let waits = u16::from(self.commands.latched() == Some(true));
        let (ok, nok, no_result) = (words(counts.ok), words(counts.nok), words(counts.no_result));
        [
            VERSION,
            state,
            heartbeat,
            kind,
            id[0],
            id[1],
            score,
            severity,
            judged_as,
            active_code,
            product_state,
            waits,
            ok[0],
            ok[1],
            nok[0],
            nok[1],
            no_result[0],
            no_result[1],
            u16::from(state == LineState::Degraded as u16 || state == LineState::Fault as u16),
        ]
    }

    fn wanted_code(&self) -> u16 {
        self.commands.key(self.commands.wanted()).map_or(0, |key| key.code)
    }
}

impl Map for LineMap<'_> {
    fn read(&self, start: u16, count: u16, each: &mut dyn FnMut(u16)) -> bool {
        let (start, end) = (usize::from(start), usize::from(start) + usize::from(count));
        if let Some(registers) = self.status_registers().get(start..end) {
            registers.iter().copied().for_each(each);
            return true;
        }
        let Some(from) = start.checked_sub(usize::from(PRODUCT)) else { return false };
        let Some(registers) = [self.wanted_code(), 0].get(from..from + usize::from(count)).map(<[u16]>::to_vec) else {
            return false;
        };
        registers.into_iter().for_each(each);
        true
    }

    fn write(&mut self, start: u16, values: &[u16]) -> Result<(), WriteError> {
        let registers = || (start..=ACKNOWLEDGE).zip(values.iter().copied());
        if start < PRODUCT || registers().count() != values.len() {
            return Err(WriteError::Address);
        }
        // All of them are looked at before the first is written.
        if registers().any(|(register, value)| register == ACKNOWLEDGE && value > 1) {
            return Err(WriteError::Value);
        }
        // What cannot be done leaves the product as it is, too.
        if registers().any(|(register, value)| (register, value) == (ACKNOWLEDGE, 1))
            && self.commands.latched().is_none()
        {
            return self.commands.acknowledge(self.client).map_err(|_: CommandError| WriteError::Value);
        }
        for (register, value) in registers() {
            let done = match (register, value) {
                (PRODUCT, code) => self.commands.select(Selection::Code(code), self.client),
                (_, 0) => Ok(()),
                (_, _) => self.commands.acknowledge(self.client),
            };
            done.map_err(|_: CommandError| WriteError::Value)?;
        }
        Ok(())
    }

    fn forbid(&mut self) {
        self.commands.forbid("write", self.client, "modbus.write is not set");
    }
}

/// The lower 32 bits, the high word first.
fn words(count: u64) -> [u16; 2] {
    [(count >> 16) as u16, count as u16]
}

/// A number in steps, as far as a register goes.
fn scaled(value: f64, steps: f64) -> u16 {
    // A cast keeps to the range of the type, and makes 0 of what is no number.
    (value * steps).round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::ProductKey;
    use crate::sink::{AlarmLatch, NewResult, ResultKind};
    use crate::telemetry::{Telemetry, text_line};
    use std::sync::Arc;

    fn read(map: &LineMap, start: u16, count: u16) -> Option<Vec<u16>> {
        let mut values = Vec::new();
        map.read(start, count, &mut |value| values.push(value)).then_some(values)
    }

    #[test]
    fn a_result_is_read_as_the_document_says() {
        let (mut publisher, results) = LastResult::channel();
        let (status, latch) = (PlcStatus::default(), Arc::<AlarmLatch>::default());
        let products = ["cap", "lid"].into_iter().zip([1, 700]);
        let products = products.map(|(name, code)| ProductKey { name: name.into(), code }).collect();
        let commands = Commands::new(products, ChosenProduct::Known(0), Some(Arc::clone(&latch)), Telemetry::default());
        let map = LineMap { results: &results, status: &status, commands: &commands, client: "modbus 10.0.0.5" };
        assert_eq!(read(&map, 0, 12).unwrap(), [1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0]);
        (0..3).for_each(|_| status.update(LineState::Degraded, true));
        commands.select(Selection::Code(700), "test").unwrap();
        latch.set();
        let wall = jiff::Timestamp::UNIX_EPOCH;
        let (score, severity, product) = (0.99996, 1234.5, Some(700));
        publisher.publish(NewResult { id: 0x1_0002_0003, kind: ResultKind::Nok, score, severity, product, wall });
        let all = read(&map, 0, 19).unwrap();
        assert_eq!(all[..12], [1, 3, 3, 2, 2, 3, 10_000, u16::MAX, 700, 1, 2, 1]);
        assert_eq!(all[12..], [0, 0, 0, 1, 0, 0, 1]);
        assert_eq!(read(&map, 100, 2), Some(vec![700, 0]));
        commands.set_active(commands.wanted());
        assert_eq!(read(&map, 9, 2), Some(vec![700, 1]));
        for (start, count) in [(0, 20), (19, 1), (99, 1), (101, 2), (102, 1), (u16::MAX, 125)] {
            assert_eq!(read(&map, start, count), None, "{start} {count}");
        }
    }

    #[test]
    fn commands_are_written_with_the_client_and_all_or_none() {
        let telemetry = Telemetry::default();
        let kept = telemetry.begin_run(1 << 32);
        let (_publisher, results) = LastResult::channel();
        let (status, latch) = (PlcStatus::default(), Arc::<AlarmLatch>::default());
        let products = vec![ProductKey { name: "cap".into(), code: 5 }, ProductKey { name: "lid".into(), code: 6 }];
        let commands = Commands::new(products, ChosenProduct::Known(0), Some(Arc::clone(&latch)), telemetry);
        let mut map = LineMap { results: &results, status: &status, commands: &commands, client: "modbus 10.0.0.5" };
        latch.set();
        assert_eq!(map.write(100, &[6, 2]), Err(WriteError::Value));
        assert_eq!((commands.wanted(), latch.is_set()), (ChosenProduct::Known(0), true), "nothing is done");
        assert_eq!(map.write(100, &[6, 1]), Ok(()));
        assert_eq!((commands.wanted(), latch.is_set()), (ChosenProduct::Known(1), false));
        assert_eq!(map.write(100, &[9]), Err(WriteError::Value));
        assert_eq!(commands.wanted(), ChosenProduct::Unknown);
        for (start, values) in [(0, &[1][..]), (18, &[1]), (99, &[1, 5]), (101, &[1, 1]), (102, &[1]), (u16::MAX, &[1])]
        {
            assert_eq!(map.write(start, values), Err(WriteError::Address), "{start}");
        }
        map.forbid();
        let records: Vec<String> = kept.try_iter().map(|record| text_line(&record)).collect();
        assert_eq!(records.len(), 4, "{records:?}");
        assert!(records.iter().all(|record| record.contains("by=\"modbus 10.0.0.5\"")), "{records:?}");
        assert!(records[3].contains("modbus.write is not set"), "{records:?}");
        // Without a latch there is nothing to acknowledge, and the product stays as well.
        let products = ["cap", "lid"].into_iter().zip([5, 6]);
        let products = products.map(|(name, code)| ProductKey { name: name.into(), code }).collect();
        let commands = Commands::new(products, ChosenProduct::Known(0), None, Telemetry::default());
        let mut map = LineMap { results: &results, status: &status, commands: &commands, client: "modbus 10.0.0.5" };
        assert_eq!((map.write(100, &[6, 1]), commands.wanted()), (Err(WriteError::Value), ChosenProduct::Known(0)));
        assert_eq!((map.write(100, &[6, 0]), commands.wanted()), (Ok(()), ChosenProduct::Known(1)));
    }

    #[test]
    fn numbers_keep_to_their_registers() {
        assert_eq!([scaled(1.0, SCORE), scaled(1e9, SEVERITY), scaled(-1.0, SEVERITY)], [10_000, u16::MAX, 0]);
        assert_eq!(scaled(f64::NAN, SCORE), 0);
        assert_eq!(words(u64::from(u32::MAX) + 1), [0, 0]);
    }
}
