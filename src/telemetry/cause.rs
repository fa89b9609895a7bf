//! What can fail.

use log::Level;
use std::time::Duration;

/// What fails now and then is over after this time without a failure.
const QUIET: Duration = Duration::from_secs(10);

/// What can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There is no camera, or it sends nothing.
    Camera,
    /// The camera sends the same picture again and again.
    Frozen,
    /// The trigger's line cannot be read.
    Trigger,
    /// The alarm's line cannot be set.
    Alarm,
    /// The heartbeat's line cannot be set.
    Heartbeat,
    /// A line of a part's result cannot be set.
    PartLine,
    /// Results come faster than the lines can show them.
    PartPulses,
    /// The encoder's line cannot be read.
    Encoder,
    /// A bad part was not rejected.
    Reject,
    /// Records cannot be written.
    Records,
    /// Pictures cannot be written.
    Pictures,
    /// A frame cannot be read, decoded or judged.
    Frame,
    /// A frame is of a size that the bundle was not taught with.
    FrameSize,
    /// The bundle's model fails.
    Bundle,
    /// The spot cannot be enlarged.
    Enlarge,
    /// Enlarging takes longer than its limit.
    Late,
    /// Log lines cannot be written.
    Log,
    /// The broker is away.
    Mqtt,
    /// Records for the broker cannot be written.
    Spool,
    /// The status page cannot be served.
    Page,
    /// Nobody can be served by Modbus.
    Modbus,
    /// The product is none that the line knows.
    Product,
    /// The lines that give a product's code cannot be read.
    ProductLines,
    /// The product that was chosen cannot be written down.
    ProductFile,
    /// Results are dropped, because the disk does not take them in time.
    Unrecorded,
    /// What is printed is dropped, because nobody reads it.
    Console,
}

pub(super) const CAUSES: [Cause; 26] = [
    Cause::Camera,
    Cause::Frozen,
    Cause::Trigger,
    Cause::Alarm,
    Cause::Heartbeat,
    Cause::PartLine,
    Cause::PartPulses,
    Cause::Encoder,
    Cause::Reject,
    Cause::Records,
    Cause::Pictures,
    Cause::Frame,
    Cause::FrameSize,
    Cause::Bundle,
    Cause::Enlarge,
    Cause::Late,
    Cause::Log,
    Cause::Mqtt,
    Cause::Spool,
    Cause::Page,
    Cause::Modbus,
    Cause::Product,
    Cause::ProductLines,
    Cause::ProductFile,
    Cause::Unrecorded,
    Cause::Console,
];

/// The words of all causes, each once, as records call them.
pub const FAULT_WORDS: [&str; 13] = [
    "camera", "trigger", "alarm", "disk", "frame", "bundle", "enlarge", "log", "mqtt", "page", "modbus", "product",
    "part",
];

impl Cause {
    /// As records call it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Cause::Camera | Cause::Frozen => "camera",
            Cause::Trigger => "trigger",
            Cause::Alarm | Cause::Heartbeat => "alarm",
            Cause::PartLine | Cause::PartPulses | Cause::Encoder | Cause::Reject => "part",
            Cause::Records | Cause::Pictures | Cause::Spool | Cause::Unrecorded | Cause::ProductFile => "disk",
            Cause::Frame | Cause::FrameSize => "frame",
            Cause::Bundle => "bundle",
            Cause::Enlarge | Cause::Late => "enlarge",
            Cause::Log | Cause::Console => "log",
            Cause::Page => "page",
            Cause::Modbus => "modbus",
            Cause::Product | Cause::ProductLines => "product",
            Cause::Mqtt => "mqtt",
        }
    }

    pub(super) fn level(self) -> Level {
        match self {
            Cause::Camera | Cause::Frozen | Cause::Frame | Cause::FrameSize => Level::Warn,
            Cause::Late | Cause::Mqtt | Cause::Console | Cause::PartPulses => Level::Warn,
            _ => Level::Error,
        }
    }

    /// How long it must not fail to be over: states are over at once, what is tried again and again is not.
    pub(super) fn quiet(self) -> Duration {
        match self {
            Cause::Camera | Cause::Frozen | Cause::Trigger | Cause::Encoder | Cause::PartLine => Duration::ZERO,
            Cause::Alarm | Cause::Heartbeat | Cause::Mqtt => Duration::ZERO,
            Cause::Page | Cause::Modbus | Cause::Product | Cause::ProductLines => Duration::ZERO,
            _ => QUIET,
        }
    }

    /// A bit of its own.
    pub(super) fn bit(self) -> u32 {
        1 << self as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_own_place() {
        for (at, cause) in CAUSES.into_iter().enumerate() {
            assert_eq!(cause as usize, at);
        }
    }

    #[test]
    fn the_words_are_those_of_the_causes() {
        let words: std::collections::BTreeSet<&str> = CAUSES.into_iter().map(Cause::word).collect();
        assert_eq!(words, FAULT_WORDS.into_iter().collect());
    }
}
