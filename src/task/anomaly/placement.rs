//! Where the part lies in a frame, and the frame as if it lay where it was taught.

use lineside_picture::{Border, Picture, Rect, Similarity};

/// What comes into a frame from beyond its edge: its outermost pixels go on.
const BORDER: Border = Border::Replicate;

/// Where the part lies in a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Placement {
    /// At the place to which this map leads from where it was taught.
    At(Similarity),
    /// It was not found.
    Unfound,
}

impl Placement {
    /// Makes `out` an area of the frame as if the part lay where it was taught; of one that was not found, as it is.
    pub fn resample(&self, frame: &Picture, area: Rect, out: &mut Picture) {
        match self {
            Placement::At(map) => map.resample(frame, area, Some(BORDER), out),
            Placement::Unfound => frame.crop_into(area, out),
        }
    }

    /// The same of a mask: nothing is marked beyond the frame.
    pub fn resample_mask(&self, mask: &Picture, area: Rect, out: &mut Picture) {
        match self {
            Placement::At(map) => map.resample(mask, area, None, out),
            Placement::Unfound => mask.crop_into(area, out),
        }
    }

    /// Puts a picture of the whole frame, as it was taught, back to where the part lies; 0 beyond.
    pub fn restore(&self, picture: &mut Picture) {
        if let Placement::At(map) = self {
            let whole = Rect { x: 0, y: 0, width: picture.width(), height: picture.height() };
            let placed = std::mem::take(picture);
            map.inverse().resample(&placed, whole, None, picture);
        }
    }

    /// The rectangle of the frame, of a size (width, height), that holds one of where it was taught.
    pub fn bounds(&self, rect: Rect, frame: (usize, usize)) -> Rect {
        match self {
            Placement::At(map) => map.bounds(rect, frame),
            Placement::Unfound => rect,
        }
    }

    /// The pixel of the frame, of a size (width, height), at a point of where it was taught, or the nearest.
    pub fn point(&self, (x, y): (usize, usize), (width, height): (usize, usize)) -> (usize, usize) {
        let Placement::At(map) = self else { return (x, y) };
        let (x, y) = map.map((x as f64, y as f64));
        let nearest = |at: f64, side: usize| ((at + 0.5).floor().max(0.0) as usize).min(side.saturating_sub(1));
        (nearest(x, width), nearest(y, height))
    }

    /// Whether the part lies at another place than by `other`: found or not, or by more than a pixel at a corner of the frame.
    pub fn differs_from(&self, other: &Placement, (width, height): (usize, usize)) -> bool {
        let (Placement::At(map), Placement::At(other)) = (self, other) else { return self != other };
        let corners = [(0.0, 0.0), (width as f64, 0.0), (0.0, height as f64), (width as f64, height as f64)];
        corners.into_iter().any(|corner| {
            let ((x, y), (other_x, other_y)) = (map.map(corner), other.map(corner));
            (x - other_x).abs() > 1.0 || (y - other_y).abs() > 1.0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_picture::{Layout, Pose};

    fn shifted(right: f64, down: f64) -> Placement {
        Placement::At(Similarity::of_pose(&Pose { shift: (right, down), ..Pose::STILL }, (50.0, 40.0)))
    }

    #[test]
    fn places_go_to_where_the_part_is_and_stay_in_the_frame() {
        let rect = Rect { x: 10, y: 20, width: 30, height: 8 };
        assert_eq!(shifted(5.0, -3.0).bounds(rect, (100, 80)), Rect { x: 15, y: 17, ..rect });
        assert_eq!(shifted(5.0, -3.0).point((10, 20), (100, 80)), (15, 17));
        assert_eq!(shifted(500.0, -300.0).point((10, 20), (100, 80)), (99, 0));
        assert_eq!(Placement::Unfound.bounds(rect, (100, 80)), rect);
        assert_eq!(Placement::Unfound.point((10, 20), (100, 80)), (10, 20));
    }

    #[test]
    fn what_is_restored_lies_where_it_was_taken_from() {
        let mut frame = Picture::new(Layout::Grey, 100, 80);
        frame.row_mut(33)[44] = 200;
        let (placement, mut taken) = (shifted(7.0, 4.0), Picture::default());
        placement.resample(&frame, Rect { x: 20, y: 10, width: 40, height: 40 }, &mut taken);
        assert_eq!(taken.row(33 - 4 - 10)[44 - 7 - 20], 200);
        let mut whole = Picture::default();
        placement.resample_mask(&frame, Rect { x: 0, y: 0, width: 100, height: 80 }, &mut whole);
        placement.restore(&mut whole);
        assert!(whole == frame);
    }

    #[test]
    fn a_part_elsewhere_differs() {
        let size = (100, 80);
        assert!(!shifted(3.0, 0.0).differs_from(&shifted(3.5, 0.0), size));
        assert!(shifted(3.0, 0.0).differs_from(&shifted(4.5, 0.0), size));
        assert!(Placement::Unfound.differs_from(&shifted(0.0, 0.0), size));
        assert!(!Placement::Unfound.differs_from(&Placement::Unfound, size));
    }
}
