//! The outcome of re-running one recorded verdict.

/// How a re-run verdict compares with the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutcomeKind {
    /// Bit-identical.
    Equal,
    /// The frame is missing: evicted since, or never written.
    Gone,
    /// The record is incomplete: its version kept no frames, or the verdict that it repeats is missing.
    Unknown,
    /// The bundle of the record is not on this machine.
    OtherBundle,
    /// The record is of another version of the program, whose verdict differs.
    OtherVersion,
    /// The frame or the record is not as it was written.
    Corrupt,
    /// One of the two CPUs computed wrongly.
    Wrong,
}

impl OutcomeKind {
    /// All of them.
    pub const ALL: [OutcomeKind; 7] = [
        OutcomeKind::Equal,
        OutcomeKind::Gone,
        OutcomeKind::Unknown,
        OutcomeKind::OtherBundle,
        OutcomeKind::OtherVersion,
        OutcomeKind::Corrupt,
        OutcomeKind::Wrong,
    ];

    /// Its name in text and JSON.
    pub fn word(self) -> &'static str {
        match self {
            OutcomeKind::Equal => "equal",
            OutcomeKind::Gone => "gone",
            OutcomeKind::Unknown => "unknown",
            OutcomeKind::OtherBundle => "other bundle",
            OutcomeKind::OtherVersion => "other version",
            OutcomeKind::Corrupt => "corrupt",
            OutcomeKind::Wrong => "computed wrongly",
        }
    }

    /// Whether something is wrong. A frame that was evicted is no fault, and neither is an old record.
    pub fn is_fault(self) -> bool {
        !matches!(self, OutcomeKind::Equal | OutcomeKind::Gone | OutcomeKind::Unknown)
    }
}

/// The outcome for one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How the verdicts compare.
    pub kind: OutcomeKind,
    /// Why, in one line; empty if bit-identical.
    pub why: String,
}

impl Outcome {
    pub(super) const EQUAL: Outcome = Outcome { kind: OutcomeKind::Equal, why: String::new() };

    pub(super) fn new(kind: OutcomeKind, why: impl Into<String>) -> Outcome {
        Outcome { kind, why: why.into() }
    }
}
