//! The verdict on a frame.

use super::heatmap::Region;
use super::placement::Placement;
use super::region::RegionOfInterest;
use crate::task::recognition::{Recognition, UNKNOWN};
use lineside_picture::{Filter, Layout, Picture, PictureError, Rect, Resizer};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The cause of a verdict that nobody made, because the product was none that the line knows.
pub const UNKNOWN_PRODUCT: &str = "product";

/// The verdict on a frame. Reused from frame to frame.
#[derive(Default)]
pub struct Verdict {
    /// The share of normal frames that score lower, 0..1.
    pub score: f64,
    /// How far the frame is from normal: 0 like what was taught, 1 at the threshold, and beyond (`calibration.rs`).
    pub severity: f64,
    /// The combined value of the scorers, from which score and severity follow. It orders all frames: defects whose scores are all 1.0,
    /// and normal frames whose severities are all 0.
    pub sum: f64,
    /// The score from which on a frame counts as a defect.
    pub threshold: f64,
    /// Whether the frame counts as a defect.
    pub defect: bool,
    /// The regions that are not normal, highest heat first; empty for a normal frame.
    pub regions: Vec<Region>,
    /// The centre of the cell with the highest heat, in frame coordinates `(x, y)`.
    pub peak: (usize, usize),
    /// The heat of each cell of the feature grid, one byte per cell: hardly any normal frame reaches 128.
    pub heat: Picture,
    /// What was inspected of the frame: the heat lies over its area. `None`: all of it.
    pub inspected: Option<Arc<RegionOfInterest>>,
    /// Where the part lies: heat and what was inspected are those of the frame with the part in its place, all other places those of the
    /// frame as it came. `None` where no part is looked for.
    pub placement: Option<Placement>,
    /// What the frame was recognised as, by a task that knows names.
    pub recognition: Option<Recognition>,
    /// Whether nobody judged, because the product is none that the line knows: the frame counts as a defect, whatever it shows.
    pub is_unknown_product: bool,
}

impl Verdict {
    /// Whether the part was looked for and not found: the frame counts as a defect, whatever it shows.
    pub fn is_unfound(&self) -> bool {
        self.placement == Some(Placement::Unfound)
    }

    /// Makes it the verdict on a frame of a product that the line does not know: a defect, at the threshold of whatever would judge it.
    pub fn refuse_product(&mut self, (width, height): (usize, usize)) {
        (self.score, self.severity, self.sum, self.threshold) = (1.0, 1.0, 0.0, 1.0);
        (self.defect, self.is_unknown_product) = (true, true);
        self.regions.clear();
        self.peak = (width / 2, height / 2);
        self.heat.reshape(Layout::Grey, 1, 1);
        self.heat.data_mut().fill(0);
        (self.inspected, self.placement, self.recognition) = (None, None, None);
    }

    /// Why the frame counts as a defect, where that is not how it looks: `product`, the line does not know what is before the camera;
    /// `unfound`, the part is nowhere; `unknown`, it is nothing of what is known by name.
    pub fn cause(&self) -> Option<&'static str> {
        let is_unknown = self.recognition.as_ref().is_some_and(|recognition| recognition.is_unknown);
        if self.is_unknown_product {
            return Some(UNKNOWN_PRODUCT);
        }
        match (self.is_unfound(), self.defect && is_unknown) {
            (true, _) => Some("unfound"),
            (false, true) => Some(UNKNOWN),
            (false, false) => None,
        }
    }

    /// The heat of each pixel of a frame of this size: the heat of the cells, enlarged bilinearly; 0 where it was not inspected.
    ///
    /// # Errors
    /// [`PictureError`] without heat, if the frame has no pixels, or another size than the one that was inspected.
    pub fn heat_over(&self, frame_size: (usize, usize), out: &mut Picture) -> Result<(), PictureError> {
        let cells = (self.heat.width(), self.heat.height());
        let Some(region) = &self.inspected else {
            Resizer::new(Filter::Bilinear, Layout::Grey, cells, frame_size)?.run(&self.heat, out)?;
            self.restore(out);
            return Ok(());
        };
        let ((width, height), (actual_width, actual_height)) = (region.frame_size(), frame_size);
        if (width, height) != frame_size {
            return Err(PictureError::SizeMismatch { what: "frame", width, height, actual_width, actual_height });
        }
        let area = region.area();
        Resizer::new(Filter::Bilinear, Layout::Grey, cells, (area.width, area.height))?.run(&self.heat, out)?;
        region.place_heat(out);
        self.restore(out);
        Ok(())
    }

    /// Makes `out` a mask of the frame: 255 where it was inspected, 0 elsewhere; returns whether that is not all of it.
    pub fn inspected_mask(&self, out: &mut Picture) -> bool {
        let Some(region) = &self.inspected else { return false };
        region.fill_mask(out);
        self.restore(out);
        out.data_mut().iter_mut().for_each(|byte| *byte = if *byte > 127 { 255 } else { 0 });
        true
    }

    /// The outline of what was inspected, in a frame of this size: small rectangles.
    pub fn outline(&self, frame_size: (usize, usize), mut draw: impl FnMut(Rect)) {
        let Some(region) = &self.inspected else { return };
        for run in region.outline() {
            match &self.placement {
                Some(placement @ Placement::At(_)) => {
                    for x in run.x..run.right() {
                        let (x, y) = placement.point((x, run.y), frame_size);
                        draw(Rect { x, y, width: 1, height: 1 });
                    }
                }
                _ => draw(run),
            }
        }
    }

    /// From the frame with the part in its place to the frame as it came.
    fn restore(&self, picture: &mut Picture) {
        if let Some(placement) = &self.placement {
            placement.restore(picture);
        }
    }

    /// SHA-256 of the verdict, hexadecimal: equal if and only if two verdicts are equal to the last bit. Hashed are, as 64-bit values
    /// in little endian, score, threshold, `defect`, the peak's x and y, the number of regions, x, y, width, height and score of each,
    /// width and height of the heat, and then its bytes; where a part is looked for, the four numbers of its place, or one 0; where the
    /// frame is recognised, whether it is unknown, and index and share of the best name. Severity and sum follow the score, and what is
    /// inspected the bundle: they are not hashed.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut number = |bits: u64| hash.update(bits.to_le_bytes());
        number(self.score.to_bits());
        number(self.threshold.to_bits());
        number(u64::from(self.defect));
        number(self.peak.0 as u64);
        number(self.peak.1 as u64);
        number(self.regions.len() as u64);
        for Region { area: Rect { x, y, width, height }, score } in &self.regions {
            [*x, *y, *width, *height].into_iter().for_each(|pixels| number(pixels as u64));
            number(score.to_bits());
        }
        number(self.heat.width() as u64);
        number(self.heat.height() as u64);
        hash.update(self.heat.data());
        match &self.placement {
            None => {}
            Some(Placement::Unfound) => hash.update(0u64.to_le_bytes()),
            Some(Placement::At(map)) => map.bits().iter().for_each(|bits| hash.update(bits.to_le_bytes())),
        }
        if let Some(recognition) = &self.recognition {
            let (best, share) = recognition.best();
            for bits in [u64::from(recognition.is_unknown), best as u64, share.to_bits()] {
                hash.update(bits.to_le_bytes());
            }
        }
        crate::bundle::hexadecimal(&hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::anomaly::region::RegionSpec;
    use lineside_picture::{Pose, Similarity};

    fn verdict() -> Verdict {
        let region = Region { area: Rect { x: 1, y: 2, width: 3, height: 4 }, score: 0.5 };
        let heat = Picture::from_data(Layout::Grey, 2, 1, vec![7, 9]).unwrap();
        Verdict {
            score: 0.75,
            severity: 1.5,
            sum: 2.0,
            threshold: 0.5,
            defect: true,
            regions: vec![region],
            peak: (5, 6),
            heat,
            inspected: None,
            placement: None,
            recognition: None,
            is_unknown_product: false,
        }
    }

    fn recognised(share: f64) -> Recognition {
        let mut recognition = Recognition::new(&["bolt".to_string()].into());
        recognition.offer(0, share);
        recognition
    }

    #[test]
    fn every_bit_of_a_verdict_counts() {
        let changes: [fn(&mut Verdict); 13] = [
            |v| v.score = f64::from_bits(v.score.to_bits() + 1),
            |v| v.threshold = 0.25,
            |v| v.defect = false,
            |v| v.peak.1 += 1,
            |v| v.regions[0].area.width += 1,
            |v| v.regions[0].score = f64::from_bits(v.regions[0].score.to_bits() - 1),
            |v| v.regions.clear(),
            |v| v.heat.data_mut()[1] += 1,
            |v| v.heat = Picture::from_data(Layout::Grey, 1, 2, vec![7, 9]).unwrap(),
            |v| v.placement = Some(Placement::Unfound),
            |v| v.placement = Some(Placement::At(Similarity::IDENTITY)),
            |v| v.recognition = Some(recognised(0.5)),
            |v| v.recognition = Some(recognised(0.5f64.next_up())),
        ];
        let same = verdict().fingerprint();
        assert_eq!(same, verdict().fingerprint());
        for (at, change) in changes.iter().enumerate() {
            let mut changed = verdict();
            change(&mut changed);
            assert_ne!(changed.fingerprint(), same, "change {at}");
        }
    }

    #[test]
    fn heat_lies_where_it_was_inspected() {
        let spec = RegionSpec { shapes: vec!["20,10 60,10 60,50".parse().unwrap()], ignored: None };
        let region = Arc::new(RegionOfInterest::new(&spec, (80, 60)).unwrap());
        let mut verdict = verdict();
        verdict.heat.data_mut().fill(9);
        verdict.inspected = Some(Arc::clone(&region));
        let (mut heat, mut mask) = (Picture::default(), Picture::default());
        verdict.heat_over((80, 60), &mut heat).unwrap();
        region.fill_mask(&mut mask);
        assert!(heat.data().iter().zip(mask.data()).all(|(heat, mask)| *heat == mask / 255 * 9));
        assert!(heat.data().contains(&9) && (heat.width(), heat.height()) == (80, 60));
        assert!(matches!(verdict.heat_over((60, 80), &mut heat), Err(PictureError::SizeMismatch { .. })));
    }

    #[test]
    fn heat_mask_and_outline_lie_on_the_part_where_it_is_in_the_frame() {
        let spec = RegionSpec { shapes: vec!["20,10,30,20".parse().unwrap()], ignored: None };
        let region = RegionOfInterest::new(&spec, (80, 60));
        assert!(region.is_err(), "at least 32 pixels");
        let spec = RegionSpec { shapes: vec!["20,10,40,32".parse().unwrap()], ignored: None };
        let mut verdict = verdict();
        verdict.heat.data_mut().fill(9);
        verdict.inspected = Some(Arc::new(RegionOfInterest::new(&spec, (80, 60)).unwrap()));
        let shifted = Pose { shift: (7.0, 5.0), ..Pose::STILL };
        verdict.placement = Some(Placement::At(Similarity::of_pose(&shifted, (39.5, 29.5))));
        let (mut heat, mut mask) = (Picture::default(), Picture::default());
        verdict.heat_over((80, 60), &mut heat).unwrap();
        assert!(verdict.inspected_mask(&mut mask));
        let is_in = |x: usize, y: usize| (27..67).contains(&x) && (15..47).contains(&y);
        for y in 0..60 {
            for x in 0..80 {
                assert_eq!((heat.row(y)[x], mask.row(y)[x]), if is_in(x, y) { (9, 255) } else { (0, 0) }, "{x},{y}");
            }
        }
        let mut drawn = Vec::new();
        verdict.outline((80, 60), |rect| drawn.push((rect.x, rect.y)));
        assert!(drawn.iter().all(|&(x, y)| is_in(x, y)) && drawn.contains(&(27, 15)) && drawn.contains(&(66, 46)));
    }
}
