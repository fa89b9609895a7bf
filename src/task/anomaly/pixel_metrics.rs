//! Pixel metrics: how well the heat separates the pixels of defects from all others, and whether it covers every defect.
//!
//! Pixels are counted by their heat, a byte, so memory does not depend on the number of frames. The price: pixels whose distances
//! differ by less than a step of heat are ties.

use lineside_picture::{Picture, PictureError};

/// The share of false positives up to which overlap counts (Bergmann et al. 2021, section 5.2).
const MAX_FALSE_POSITIVES: f64 = 0.3;

/// Counts of pixels by heat.
pub struct PixelMetrics {
    normal: [u64; 256],
    defect: [u64; 256],
    /// By heat: the pixels of each region as a share of it, summed over all regions. Summed from a heat on and divided by the number
    /// of regions, they are the mean overlap at that threshold.
    overlap: [f64; 256],
    regions: u64,
    unmarked: u64,
}

impl Default for PixelMetrics {
    fn default() -> PixelMetrics {
        PixelMetrics { normal: [0; 256], defect: [0; 256], overlap: [0.0; 256], regions: 0, unmarked: 0 }
    }
}

impl PixelMetrics {
    /// Counts a frame without a defect; `heat` is `[H, W]`, one byte per pixel. Where `inspected`, of the same size, is 0, pixels are
    /// not counted.
    pub fn add_normal(&mut self, heat: &Picture, inspected: Option<&Picture>) {
        let counted = |at: usize| inspected.is_none_or(|inspected| inspected.data().get(at) != Some(&0));
        heat.data().iter().enumerate().filter(|(at, _)| counted(*at)).for_each(|(_, &heat)| {
            self.normal[usize::from(heat)] += 1;
        });
    }

    /// Counts a frame whose defects are where `mask`, `[H, W]` or `[H, W, 3]`, is over 127 in its first channel. A region is a
    /// connected component, including diagonals. A frame whose mask marks nothing is left out, because it is unknown which of its
    /// pixels are normal. Where `inspected`, of the same size, is 0, pixels are not counted, and no mark counts.
    ///
    /// # Errors
    /// [`PictureError::SizeMismatch`] where the mask has another size than `heat`.
    pub fn add(&mut self, heat: &Picture, mask: &Picture, inspected: Option<&Picture>) -> Result<(), PictureError> {
        let (width, height) = (heat.width(), heat.height());
        let (actual_width, actual_height) = (mask.width(), mask.height());
        if (actual_width, actual_height) != (width, height) {
            return Err(PictureError::SizeMismatch { what: "mask", width, height, actual_width, actual_height });
        }
        let counted = |at: usize| inspected.is_none_or(|inspected| inspected.data().get(at) != Some(&0));
        let marks = mask.data().iter().step_by(mask.channels()).enumerate();
        let mut marked: Vec<bool> = marks.map(|(at, &byte)| byte > 127 && counted(at)).collect();
        if !marked.contains(&true) {
            self.unmarked += 1;
            return Ok(());
        }
        for (_, (&heat, marked)) in heat.data().iter().zip(&marked).enumerate().filter(|(at, _)| counted(*at)) {
            let counts = if *marked { &mut self.defect } else { &mut self.normal };
            counts[usize::from(heat)] += 1;
        }
        let mut todo = Vec::new();
        for start in 0..marked.len() {
            if !marked[start] {
                continue;
            }
            let mut counts = [0u64; 256];
            marked[start] = false;
            todo.push(start);
            while let Some(pixel) = todo.pop() {
                counts[usize::from(heat.data()[pixel])] += 1;
                let (x, y) = (pixel % width, pixel / width);
                for y in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                    for x in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                        if std::mem::take(&mut marked[y * width + x]) {
                            todo.push(y * width + x);
                        }
                    }
                }
            }
            let size = counts.iter().sum::<u64>() as f64;
            self.overlap.iter_mut().zip(counts).for_each(|(overlap, count)| *overlap += count as f64 / size);
            self.regions += 1;
        }
        Ok(())
    }

    /// The number of frames that were left out because their mask marks nothing.
    pub fn unmarked(&self) -> u64 {
        self.unmarked
    }

    /// Area under the ROC curve of the pixels, ties counted half; `None` without normal pixels or without defect ones.
    pub fn auroc(&self) -> Option<f64> {
        let (normal, defect): (u64, u64) = (self.normal.iter().sum(), self.defect.iter().sum());
        let (mut won, mut below) = (0u128, 0u128);
        for (&normal, &defect) in self.normal.iter().zip(&self.defect) {
            // Twice the number of pairs won, so that ties stay integers.
            won += u128::from(defect) * (2 * below + u128::from(normal));
            below += u128::from(normal);
        }
        let pairs = 2.0 * normal as f64 * defect as f64;
        (pairs > 0.0).then(|| won as f64 / pairs)
    }

    /// Per-region overlap (Bergmann et al. 2021, section 5.2): at each threshold of the heat, the mean over the regions of the share
    /// that is above; the area under that curve over the false positive rate of pixels, up to 0.3, divided by 0.3. A small defect
    /// counts as much as a large one. `None` without normal pixels or without regions.
    pub fn pro(&self) -> Option<f64> {
        let normal: u64 = self.normal.iter().sum();
        if normal == 0 || self.regions == 0 {
            return None;
        }
        let (mut called, mut overlap) = (0, 0.0);
        let (mut before, mut area) = ((0.0, 0.0), 0.0);
        for heat in (0..256).rev() {
            called += self.normal[heat];
            overlap += self.overlap[heat];
            let (x, y) = (called as f64 / normal as f64, overlap / self.regions as f64);
            let end = x.min(MAX_FALSE_POSITIVES);
            if end > before.0 {
                let y_end = before.1 + (y - before.1) * (end - before.0) / (x - before.0);
                area += (end - before.0) * (before.1 + y_end) / 2.0;
            }
            before = (x, y);
        }
        Some(area / MAX_FALSE_POSITIVES)
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics::auroc;
    use super::*;
    use lineside_picture::Layout;
    use proptest::prelude::*;

    fn grey(width: usize, bytes: &[u8]) -> Picture {
        Picture::from_data(Layout::Grey, width, bytes.len() / width, bytes.to_vec()).unwrap()
    }

    #[test]
    fn heat_on_the_defect_alone_is_perfect() {
        let mut pixels = PixelMetrics::default();
        pixels.add(&grey(3, &[9, 0, 0, 0, 0, 7]), &grey(3, &[255, 0, 0, 0, 0, 255]), None).unwrap();
        assert_eq!((pixels.auroc(), pixels.pro(), pixels.regions), (Some(1.0), Some(1.0), 2));
    }

    #[test]
    fn a_small_region_counts_as_much_as_a_large_one() {
        // A region of four pixels, all found before any false positive, and one of a single pixel, never found: 0.5 until
        // the cold pixels are called, which are over 30 % of the normal ones.
        let mut pixels = PixelMetrics::default();
        pixels
            .add(&grey(10, &[9, 9, 9, 9, 0, 5, 0, 0, 0, 0]), &grey(10, &[255, 255, 255, 255, 0, 0, 0, 0, 0, 255]), None)
            .unwrap();
        // Normal: one of 5, four of 0. From (0, 0.5) by (0.2, 0.5) towards (1, 1), cut at 0.3: 0.5625 there.
        let expected = (0.2 * 0.5 + 0.1 * (0.5 + 0.5625) / 2.0) / 0.3;
        assert!((pixels.pro().unwrap() - expected).abs() < 1e-12);
        // Pairs won: four pixels over all five normal ones; the fifth ties with four.
        assert_eq!(pixels.auroc(), Some((4.0 * 5.0 + 4.0 * 0.5) / 25.0));
    }

    #[test]
    fn normal_frames_and_corners_count() {
        let mut pixels = PixelMetrics::default();
        assert_eq!((pixels.auroc(), pixels.pro()), (None, None));
        pixels.add_normal(&grey(2, &[8; 4]), None);
        assert_eq!((pixels.auroc(), pixels.pro()), (None, None));
        // Two pixels that touch at a corner are one region.
        pixels.add(&grey(2, &[9, 0, 0, 9]), &grey(2, &[128, 127, 0, 255]), None).unwrap();
        assert_eq!((pixels.regions, pixels.auroc(), pixels.pro()), (1, Some(1.0), Some(1.0)));
    }

    #[test]
    fn masks_of_another_size_or_without_a_mark_are_not_counted() {
        let mut pixels = PixelMetrics::default();
        let heat = grey(2, &[1, 2]);
        assert!(matches!(pixels.add(&heat, &grey(1, &[255, 0]), None), Err(PictureError::SizeMismatch { .. })));
        pixels.add(&heat, &grey(2, &[127, 0]), None).unwrap();
        assert_eq!((pixels.normal.iter().sum::<u64>(), pixels.unmarked()), (0, 1));
    }

    #[test]
    fn pixels_outside_are_not_counted() {
        let inspected = grey(3, &[255, 255, 0, 255, 0, 0]);
        let (mut pixels, mut expected) = (PixelMetrics::default(), PixelMetrics::default());
        pixels.add_normal(&grey(3, &[1, 2, 3, 4, 5, 6]), Some(&inspected));
        expected.add_normal(&grey(3, &[1, 2, 4]), None);
        pixels.add(&grey(3, &[1, 2, 3, 4, 5, 6]), &grey(3, &[0, 255, 255, 0, 255, 0]), Some(&inspected)).unwrap();
        expected.add(&grey(3, &[1, 2, 4]), &grey(3, &[0, 255, 0]), None).unwrap();
        pixels.add(&grey(3, &[9; 6]), &grey(3, &[0, 0, 255, 0, 0, 0]), Some(&inspected)).unwrap();
        assert_eq!(
            (pixels.normal, pixels.defect, pixels.overlap),
            (expected.normal, expected.defect, expected.overlap)
        );
        assert_eq!((pixels.regions, pixels.unmarked()), (1, 1), "a defect outside is none");
    }

    /// Each marked pixel's region: the lowest index in it.
    fn labels(width: usize, mask: &[u8]) -> Vec<Option<usize>> {
        let mut labels: Vec<Option<usize>> = (0..mask.len()).map(|i| (mask[i] > 127).then_some(i)).collect();
        loop {
            let before = labels.clone();
            for a in 0..mask.len() {
                for b in 0..mask.len() {
                    let near = (a % width).abs_diff(b % width) <= 1 && (a / width).abs_diff(b / width) <= 1;
                    if let (true, Some(x), Some(y)) = (near, labels[a], labels[b]) {
                        labels[a] = Some(x.min(y));
                    }
                }
            }
            if labels == before {
                return labels;
            }
        }
    }

    /// By the definition, threshold by threshold; the area in small steps.
    fn pro_by_definition(width: usize, heat: &[u8], mask: &[u8]) -> f64 {
        let labels = labels(width, mask);
        let mut regions: Vec<usize> = labels.iter().flatten().copied().collect();
        regions.sort_unstable();
        regions.dedup();
        let share = |threshold: u16, label: Option<usize>| {
            let members: Vec<usize> = (0..heat.len()).filter(|&i| labels[i] == label).collect();
            members.iter().filter(|&&i| u16::from(heat[i]) >= threshold).count() as f64 / members.len() as f64
        };
        let curve: Vec<(f64, f64)> = (0..=256)
            .rev()
            .map(|threshold| {
                let overlap: f64 = regions.iter().map(|&region| share(threshold, Some(region))).sum();
                (share(threshold, None), overlap / regions.len() as f64)
            })
            .collect();
        let at = |x: f64| {
            let next = curve.iter().position(|point| point.0 > x).unwrap();
            let ((x0, y0), (x1, y1)) = (curve[next - 1], curve[next]);
            y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        };
        // The middle of each step: exact on straight lines, and ten steps a normal pixel, so that no step holds a corner.
        let steps = 3 * labels.iter().filter(|label| label.is_none()).count();
        (0..steps).map(|i| at(0.3 * (i as f64 + 0.5) / steps as f64)).sum::<f64>() / steps as f64
    }

    proptest! {
        #[test]
        fn agrees_with_the_definitions(
            width in 2usize..6,
            cells in prop::collection::vec((0u8..8, prop::bool::weighted(0.3)), 12..40),
        ) {
            let count = cells.len() / width * width;
            let heat: Vec<u8> = cells[..count].iter().map(|cell| cell.0 * 36).collect();
            let mask: Vec<u8> = cells[..count].iter().map(|cell| if cell.1 { 255 } else { 0 }).collect();
            prop_assume!(mask.contains(&255) && mask.contains(&0));
            let mut pixels = PixelMetrics::default();
            pixels.add(&grey(width, &heat), &grey(width, &mask), None).unwrap();
            let of = |marked: u8| -> Vec<f64> {
                heat.iter().zip(&mask).filter(|pair| *pair.1 == marked).map(|pair| f64::from(*pair.0)).collect()
            };
            prop_assert!((pixels.auroc().unwrap() - auroc(&of(0), &of(255)).unwrap()).abs() < 1e-12);
            let (ours, theirs) = (pixels.pro().unwrap(), pro_by_definition(width, &heat, &mask));
            prop_assert!((ours - theirs).abs() < 1e-9, "{ours} {theirs}");
        }
    }
}
