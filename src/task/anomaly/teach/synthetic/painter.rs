//! Paints a synthetic defect into a picture.

use super::defect_kind::DefectKind;
use super::fill::{PaintBuffers, SourceFrame, in_layout};
use super::prominent::draw;
use super::random::Random;
use super::visibility::{MIN_CHANGE, MIN_DEVIATION, change_under};
use crate::task::anomaly::region::RegionOfInterest;
use lineside_picture::{Layout, Picture};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::sync::Arc;

/// How often a defect is drawn again if the last one was not visible.
const MAX_TRIES: usize = 20;
/// The fewest pixels of a mask.
const MIN_PIXELS: u64 = 6;

/// Paints defects. Its buffers, a few planes of `f32` no larger than the picture, are reused.
#[derive(Default)]
pub struct DefectPainter {
    buffers: PaintBuffers,
    donor: Picture,
    region: Option<Arc<RegionOfInterest>>,
}

impl DefectPainter {
    /// For pictures of a region: what is painted outside it is taken back.
    pub fn within(region: Option<Arc<RegionOfInterest>>) -> DefectPainter {
        DefectPainter { region, ..DefectPainter::default() }
    }

    /// Copies `source` to `out` and paints a defect into it. Returns whether a visible one could be painted; if not (black on
    /// black), `out` is the source and `mask` all 0. `mask` becomes grey, of the same size, 255 where the defect is and 0
    /// elsewhere. `donor` is another picture of any size and layout, from which a piece may be pasted.
    pub fn paint(
        &mut self,
        kind: DefectKind,
        source: &Picture,
        donor: &Picture,
        rng: &mut Xoshiro256PlusPlus,
        out: &mut Picture,
        mask: &mut Picture,
    ) -> bool {
        let donor = if donor.is_empty() { source } else { in_layout(donor, source.layout(), &mut self.donor) };
        out.copy_from(source);
        mask.reshape(Layout::Grey, source.width(), source.height());
        mask.data_mut().fill(0);
        if source.is_empty() {
            return false;
        }
        let frame = SourceFrame::new(source, donor);
        let min_change = MIN_CHANGE * frame.deviation.iter().copied().fold(MIN_DEVIATION, f64::max);
        let mut random = Random::new(rng);
        for _ in 0..MAX_TRIES {
            let Some(defect) = draw(kind, &frame, &mut random, &mut self.buffers) else { continue };
            for channel in 0..source.channels() {
                defect.fill.target(channel, &frame, &mut self.buffers);
                self.buffers.blend(channel, out);
            }
            self.buffers.mask.write_above(defect.cut, mask);
            if let Some(region) = &self.region {
                region.restrict(out, mask);
            }
            let (pixels, change) = change_under(mask, self.buffers.mask.area, source, out);
            if pixels >= MIN_PIXELS && change > min_change {
                return true;
            }
            out.copy_from(source);
            mask.data_mut().fill(0);
        }
        false
    }
}
