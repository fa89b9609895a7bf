//! What a part gets: one of three results, and why it has no verdict.

/// The result of a part. Each part gets exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartResult {
    /// Judged in time: normal.
    Ok,
    /// Judged in time: a defect.
    Nok,
    /// Not judged in time.
    NoResult,
}

impl PartResult {
    /// All results, in the order of counts.
    pub const ALL: [PartResult; 3] = [PartResult::Ok, PartResult::Nok, PartResult::NoResult];

    /// Its word in records and metrics.
    pub fn word(self) -> &'static str {
        match self {
            PartResult::Ok => "ok",
            PartResult::Nok => "nok",
            PartResult::NoResult => "no_result",
        }
    }
}

/// Why a part has no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoResultReason {
    /// No frame came before the deadline.
    NoFrame,
    /// Its frame was being judged when the deadline came.
    Late,
    /// The next part was there before a frame of this one.
    Overtaken,
    /// Its frame was dropped for a newer one, or because of heat.
    Dropped,
    /// Its frame could not be read or judged.
    Failed,
    /// The kernel had no room for its edge.
    EdgeLost,
    /// More parts were in flight than the line can keep.
    TooMany,
    /// The run ended first.
    Stopped,
}

impl NoResultReason {
    /// All reasons.
    pub const ALL: [NoResultReason; 8] = [
        NoResultReason::NoFrame,
        NoResultReason::Late,
        NoResultReason::Overtaken,
        NoResultReason::Dropped,
        NoResultReason::Failed,
        NoResultReason::EdgeLost,
        NoResultReason::TooMany,
        NoResultReason::Stopped,
    ];

    /// Its words in records.
    pub fn word(self) -> &'static str {
        match self {
            NoResultReason::NoFrame => "no frame",
            NoResultReason::Late => "late",
            NoResultReason::Overtaken => "overtaken",
            NoResultReason::Dropped => "frame dropped",
            NoResultReason::Failed => "frame failed",
            NoResultReason::EdgeLost => "edge lost",
            NoResultReason::TooMany => "too many parts",
            NoResultReason::Stopped => "stopped",
        }
    }
}

/// What inspection says of a part's frame.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PartVerdict {
    /// Whether it has a defect.
    pub defect: bool,
    /// The share of normal frames that score lower, 0..1.
    pub score: f64,
    /// How far it is from normal: 1 at the threshold.
    pub severity: f64,
    /// The code of the product that it was judged as; `None` where the line has none, or not this one.
    pub product: Option<u16>,
}

/// The result that a part got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartOutcome {
    /// The part.
    pub id: u64,
    /// Its result.
    pub result: PartResult,
    /// Why it has none; always there with [`PartResult::NoResult`], and only then.
    pub reason: Option<NoResultReason>,
}
