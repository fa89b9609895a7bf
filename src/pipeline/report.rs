//! What inspection hands to the writer: a verdict with copies of the pixels that it needs. Its buffers are reused.

use super::shadow::ShadowVerdict;
use crate::sink::Priority;
use crate::sink::part::PartOutcome;
use crate::source::Receipt;
use crate::task::TaskAnswer;
use crate::task::anomaly::Verdict;
use lineside_picture::{Layout, Picture};
use std::sync::Arc;
use std::time::Duration;

/// The verdict on one frame.
#[derive(Default)]
pub struct Report {
    /// What the source calls the frame.
    pub name: String,
    /// The wall time of capture.
    pub wall: jiff::Timestamp,
    /// The verdict.
    pub verdict: Verdict,
    /// What each task says, where there are several.
    pub answers: Vec<TaskAnswer>,
    /// From capture to verdict.
    pub latency: Duration,
    /// The fingerprint of the bundle that judged.
    pub bundle: Arc<str>,
    /// The name of the product that it was judged as; `None` where the line knows no products, or not this one.
    pub product: Option<Arc<str>>,
    /// Whether the verdict is that of the frame before, which this one is like.
    pub similar: bool,
    /// The part that it shows and the result that the part got, where parts get results.
    pub part: Option<PartOutcome>,
    /// The priority of keeping the frame, where it is to be kept: it counts as defect, or serves later teaching.
    pub priority: Option<Priority>,
    /// What the shadow says of the frame, where it says otherwise and that is to be recorded.
    pub shadow: Option<ShadowVerdict>,
    /// The frame; only where it is to be kept.
    pub frame: Picture,
    /// The pixels that were enlarged and their enlargement, where there is one.
    pub spot: Option<(Picture, Picture)>,
    /// How long enlarging took, where that was longer than the limit.
    pub late: Option<Duration>,
    /// A spot that is not used for this frame but whose buffers are kept for the next.
    pub(super) idle_spot: Option<(Picture, Picture)>,
    /// Why the enlargement failed, where it did.
    pub spot_failure: Option<String>,
    /// Where the source waits until it is recorded.
    pub(super) receipt: Option<Receipt>,
}

impl Report {
    /// Whether something of it is to be kept on the disk: the others are only printed.
    pub fn is_evidence(&self) -> bool {
        self.priority.is_some() || self.spot.is_some() || self.shadow.is_some()
    }

    /// Makes the buffers for frames of a size, and for spots of `spot` pixels a side that are enlarged `scale` times.
    pub(super) fn make_room(&mut self, (width, height): (usize, usize), spot: Option<(usize, usize)>) {
        self.name.reserve(64);
        self.verdict.regions.reserve(64);
        self.frame.reshape(Layout::Rgb, width, height);
        if let Some((side, scale)) = spot {
            let side = side.min(width).min(height);
            let mut buffers = <(Picture, Picture)>::default();
            buffers.0.reshape(Layout::Rgb, side, side);
            buffers.1.reshape(Layout::Rgb, side * scale, side * scale);
            self.idle_spot = Some(buffers);
        }
    }

    /// The spot's buffers, to be filled.
    pub(super) fn spot_buffers(&mut self) -> (Picture, Picture) {
        self.spot.take().or(self.idle_spot.take()).unwrap_or_default()
    }

    /// Puts the spot's buffers aside: this frame has none.
    pub(super) fn without_spot(&mut self) {
        if let Some(buffers) = self.spot.take() {
            self.idle_spot = Some(buffers);
        }
        self.spot_failure = None;
        self.late = None;
    }
}
