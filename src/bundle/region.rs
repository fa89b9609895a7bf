//! The part of a frame that a bundle was taught with, in its manifest.

use serde::{Deserialize, Serialize};

/// The greatest width and height of a frame with a region, in pixels.
const MAX_FRAME_SIDE: usize = 16_384;

/// The part of a frame that is inspected, as it was drawn.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RegionSection {
    /// Width and height of the frames in which it was drawn, in pixels.
    pub frame: [usize; 2],
    /// Rectangles `x,y,width,height` and polygons `x,y x,y x,y …`, in pixels; without one all is inspected but what is ignored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shapes: Vec<String>,
    /// The file of the mask, of the frame's size and white where pixels are ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored: Option<String>,
}

impl RegionSection {
    /// What is wrong with the section, if anything; whether its shapes fit the frame is known where they are drawn.
    pub(super) fn fault(&self) -> Option<String> {
        let fits = self.frame.iter().all(|side| (32..=MAX_FRAME_SIDE).contains(side));
        (!fits).then(|| format!("anomaly.region.frame must lie in 32..{MAX_FRAME_SIDE}, found {:?}", self.frame))
    }
}
