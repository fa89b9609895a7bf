//! What the writer thread receives.

use super::Report;
use crate::telemetry::Cause;

pub(super) enum Message {
    /// A frame was judged.
    Verdict(Box<Report>),
    /// A frame could not be judged; its report carries the name and goes back to inspection.
    InspectionFailed { report: Box<Report>, cause: Cause, reason: String },
    /// The source could not deliver a frame.
    CaptureFailed { name: String, reason: String },
}
