//! What samples take on disk, and how many of them have room.

use super::feature_cache::CacheLayout;
use super::scheme::{IMAGE_LEVEL, PATCH_LEVEL, PLANES, TeachError};
use crate::task::anomaly::cells::Cells;
use crate::task::anomaly::planes::planes_len;
use crate::task::anomaly::pooled::pooled_len;
use crate::task::anomaly::view::{Layer, View};

/// The most bytes of samples on disk.
pub const CACHE_BYTES: usize = 96 << 20;
/// Pictures with cached detail: the minimum, and the maximum where the cache has room.
const DETAILED: (usize, usize) = (24, 64);

/// The layout of one sample of each picture, all of them with detail.
///
/// # Errors
/// [`TeachError::Refused`] where the views have layers that do not fit each other.
pub fn layout_of(views: &[View], made_with: String) -> Result<CacheLayout, TeachError> {
    let detail = views[IMAGE_LEVEL].layers();
    let bytes = |layers: &[Layer]| layers.iter().map(|layer| layer.channels * layer.plane()).sum::<usize>();
    let cells = |layers: &[Layer]| grid_of(layers).map(|(columns, rows)| columns * rows);
    Ok(CacheLayout {
        made_with,
        samples: 1,
        copies: 0,
        pooled: pooled_len(detail),
        features: bytes(views[PATCH_LEVEL].layers()),
        cells: cells(views[PATCH_LEVEL].layers())?,
        planes: planes_len(detail, PLANES),
        detail: (bytes(detail), cells(detail)?),
        detail_step: 1,
        detailed_samples: 1,
    })
}

/// Columns and rows of the cells of these layers.
///
/// # Errors
/// [`TeachError::Refused`] where they do not fit each other.
pub fn grid_of(layers: &[Layer]) -> Result<(usize, usize), TeachError> {
    Cells::new(layers).map(|cells| cells.grid()).map_err(TeachError::Refused)
}

/// How many normal pictures, copies counted, have room with one synthetic defect each.
pub fn most_pictures(layout: &CacheLayout) -> usize {
    CACHE_BYTES.saturating_sub(2 * DETAILED.0 * layout.detail_bytes()) / (2 * layout.sample_bytes()).max(1)
}

impl CacheLayout {
    /// Fits the number of samples per picture, at most `max`, and the number of pictures with detail into `bytes`. Of a picture
    /// with detail the first `detailed` samples have it.
    pub fn within(mut self, bytes: usize, pictures: usize, max: usize, detailed: usize) -> CacheLayout {
        let (samples, detail) = (self.sample_bytes() * pictures, self.detail_bytes());
        let details = |samples: usize| detailed.min(samples) * detail;
        let needed = |count: usize| count * samples + details(count) * DETAILED.0.min(pictures);
        self.samples = (2..=max).rev().find(|&count| needed(count) <= bytes).unwrap_or(2);
        let left = bytes.saturating_sub(self.samples * samples);
        let count = (left / details(self.samples).max(1)).clamp(DETAILED.0, DETAILED.1);
        // Copies take their turn, too.
        let shares_a_factor =
            |step: &usize| (2..=self.copies + 1).any(|n| step.is_multiple_of(n) && (self.copies + 1).is_multiple_of(n));
        let step = pictures.div_ceil(count).max(1);
        self.detail_step = (step..).find(|step| !shares_a_factor(step)).unwrap_or(step);
        self.detailed_samples = detailed.min(self.samples);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As backbone-lite0 has them for a larger view of so many cells.
    fn layout(cells: usize) -> CacheLayout {
        CacheLayout {
            made_with: String::new(),
            samples: 1,
            copies: 0,
            pooled: 3520,
            features: 20_480,
            cells: 64,
            planes: 40 * cells,
            detail: (320 * cells, cells),
            detail_step: 1,
            detailed_samples: 1,
        }
    }

    #[test]
    fn the_cache_stays_within_its_limit_at_any_detail() {
        for cells in [144, 400, 1260] {
            let most = most_pictures(&layout(cells));
            for pictures in [10, 100, 250, most] {
                let fitted = layout(cells).within(CACHE_BYTES, pictures, 4, 4);
                let detailed = pictures.div_ceil(fitted.detail_step) * fitted.detailed_samples;
                let bytes = pictures * fitted.samples * fitted.sample_bytes() + detailed * fitted.detail_bytes();
                assert!(bytes <= CACHE_BYTES, "{cells} cells, {pictures} pictures: {bytes} bytes");
                assert!(fitted.samples >= 2 && detailed > 0);
            }
        }
        // As many pictures as are taught at most, and half as many with copies.
        assert!(most_pictures(&layout(400)) >= 1000 && most_pictures(&layout(1260)) >= 500);
    }
}
