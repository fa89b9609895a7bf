//! What became of one verdict of the past.

/// In which way a verdict came out, or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
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

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 7] =
        [Kind::Equal, Kind::Gone, Kind::Unknown, Kind::OtherBundle, Kind::OtherVersion, Kind::Corrupt, Kind::Wrong];

    /// As people and programs read it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Equal => "equal",
            Kind::Gone => "gone",
            Kind::Unknown => "unknown",
            Kind::OtherBundle => "other bundle",
            Kind::OtherVersion => "other version",
            Kind::Corrupt => "corrupt",
            Kind::Wrong => "computed wrongly",
        }
    }

    /// Whether something is not as it should be. A frame that had to make room is no fault, and neither is an old record.
    pub fn is_fault(self) -> bool {
        !matches!(self, Kind::Equal | Kind::Gone | Kind::Unknown)
    }
}

/// What became of one verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// In which way.
    pub kind: Kind,
    /// Why, in a line; empty where it is equal.
    pub why: String,
}

impl Outcome {
    pub(super) const EQUAL: Outcome = Outcome { kind: Kind::Equal, why: String::new() };

    pub(super) fn new(kind: Kind, why: impl Into<String>) -> Outcome {
        Outcome { kind, why: why.into() }
    }
}
