//! What became of one verdict of the past.

/// In which way a verdict came out, or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutcomeKind {
    /// Equal to the last bit.
    Equal,
    /// The frame is not there: deleted since to make room, or never written.
    Gone,
    /// The record does not say enough: a version of before kept no frames, or there is nothing to hold it against.
    Unknown,
    /// The bundle that judged is not here.
    OtherBundle,
    /// This version of the program comes to another verdict than that of the record.
    OtherVersion,
    /// The frame or the record is not as it was written.
    Corrupt,
    /// One of the two CPUs computes wrongly.
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

    /// As people and programs read it.
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

    /// Whether something is not as it should be. A frame that had to make room is no fault, and neither is an old record.
    pub fn is_fault(self) -> bool {
        !matches!(self, OutcomeKind::Equal | OutcomeKind::Gone | OutcomeKind::Unknown)
    }
}

/// What became of one verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// In which way.
    pub kind: OutcomeKind,
    /// Why, in a line; empty where it is equal.
    pub why: String,
}

impl Outcome {
    pub(super) const EQUAL: Outcome = Outcome { kind: OutcomeKind::Equal, why: String::new() };

    pub(super) fn new(kind: OutcomeKind, why: impl Into<String>) -> Outcome {
        Outcome { kind, why: why.into() }
    }
}
