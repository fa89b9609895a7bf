//! Transplants: labelled defects are cut out of their pictures and inserted into normal ones (after copy-paste, Ghiasi et al. 2021).
//!
//! A defect is represented by the ratio of its pixels to the mean around it. Elsewhere that ratio multiplies the local level: a
//! crack on a dark part becomes a crack on a bright one.

use super::blur::Blur;
use super::fill::{in_layout, unit};
use super::random::Random;
use super::visibility::{MIN_CHANGE, MIN_DEVIATION, change_under};
use lineside_picture::{Layout, Picture, Rect};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A mask is dilated by this many units before its edge is feathered: labels cover the defect, not its halo.
const DILATION: f64 = 2.0;
/// The Gaussian that feathers the edge of a mask, in units.
const FEATHER: f64 = 1.5;
/// The smallest rectangle that holds all shares above this is transplanted.
const MIN_SHARE: f32 = 0.02;
/// The surroundings of a defect: pixels between these distances from the mask, in units.
const SURROUNDING: (f64, f64) = (3.0, 12.0);
/// The fewest pixels from which the level around a defect is computed.
const MIN_SURROUNDING: u64 = 20;
/// The Gaussian that computes the local level of the target, in units.
const LOCAL_LEVEL: f64 = 8.0;
/// Added to levels before they are divided, because black has no ratio; in grey levels.
const FLOOR: f32 = 4.0;
/// Standard deviation of the position about that in the defect's own picture, as a share of the side.
const JITTER: f64 = 0.15;

/// Transplants defects. Its buffers, a few planes of `f32` as large as the defect, are reused.
#[derive(Default)]
pub struct Transplanter {
    /// The defect and what surrounds it, in its own layout and in the target's.
    cut: Picture,
    converted: Picture,
    /// City-block distance from the mask, pixels, of the same part: 0 in the mask.
    distance: Vec<u32>,
    dilated: Picture,
    /// The share of the defect in each pixel of that part, 0..255.
    soft: Vec<f32>,
    /// The level of one channel of the target under the defect, grey levels.
    local: Vec<f32>,
    blur: Blur,
}

impl Transplanter {
    /// Copies `target` to `out` and inserts the defect, mirrored at random, near the same relative position. Returns whether it is
    /// visible; if not (an empty mask, or black on black), `out` is the target and `mask` all 0. `defect_mask` is grey, of the
    /// defect's size and over 127 where the defect is; a mask of another shape marks nothing. Pictures may be of any size and
    /// layout; a defect that exceeds the target is cropped. `mask` becomes grey, of the target's size, 255 where the defect is and
    /// 0 elsewhere. Pixels less than 10 units around it change too; a unit is a pixel, or a 320th of the short side where that is
    /// more.
    pub fn transplant(
        &mut self,
        defect: &Picture,
        defect_mask: &Picture,
        target: &Picture,
        rng: &mut Xoshiro256PlusPlus,
        out: &mut Picture,
        mask: &mut Picture,
    ) -> bool {
        out.copy_from(target);
        mask.reshape(Layout::Grey, target.width(), target.height());
        mask.data_mut().fill(0);
        let from = (defect.width(), defect.height());
        let fits = defect_mask.layout() == Layout::Grey && (defect_mask.width(), defect_mask.height()) == from;
        if !fits || target.is_empty() {
            return false;
        }
        let Some(marked) = bounds(defect_mask.data(), from.0, |byte| *byte > 127) else { return false };
        let pixels = |units: f64| (units * unit(from)).round() as usize;
        let part = widened(marked, pixels(SURROUNDING.1), from);
        self.measure(defect_mask, part);
        self.fade(part, pixels(DILATION), FEATHER * unit(from));
        defect.crop_into(part, &mut self.cut);
        let cut = in_layout(&self.cut, target.layout(), &mut self.converted);
        let base = surroundings(cut, &self.distance, (pixels(SURROUNDING.0), pixels(SURROUNDING.1)));

        let shares = &self.soft;
        let least = 255.0 * MIN_SHARE;
        let Some(touched) = bounds(shares, part.width, |share| *share > least) else { return false };
        let place = Placement::draw(from, part, touched, (target.width(), target.height()), &mut Random::new(rng));

        let channels = target.channels();
        for channel in 0..channels {
            self.blur.run(
                target,
                channel,
                place.to,
                LOCAL_LEVEL * unit((target.width(), target.height())),
                &mut self.local,
            );
            for (row, local) in self.local.chunks_exact(place.to.width).enumerate() {
                let y = place.source_row(row);
                let pixels = &mut out.row_mut(place.to.y + row)[place.to.x * channels..];
                for (column, (pixel, local)) in pixels.chunks_exact_mut(channels).zip(local).enumerate() {
                    let x = place.source_column(column);
                    let share = shares[y * part.width + x] / 255.0;
                    let ratio = (f32::from(cut.row(y)[x * channels + channel]) + FLOOR) / (base[channel] + FLOOR);
                    let moved = ratio * (local + FLOOR) - FLOOR;
                    // The conversion saturates.
                    pixel[channel] = (f32::from(pixel[channel]) * (1.0 - share) + moved * share + 0.5) as u8;
                }
            }
        }
        for row in 0..place.to.height {
            let y = place.source_row(row);
            let marks = &mut mask.row_mut(place.to.y + row)[place.to.x..place.to.right()];
            for (column, mark) in marks.iter_mut().enumerate() {
                *mark = if self.distance[y * part.width + place.source_column(column)] == 0 { 255 } else { 0 };
            }
        }
        let (count, change) = change_under(mask, place.to, target, out);
        let visible = count > 0 && change > MIN_CHANGE * MIN_DEVIATION;
        if !visible {
            out.copy_from(target);
            mask.data_mut().fill(0);
        }
        visible
    }

    /// Fills `distance` for the part: two sweeps, each pixel one further than its nearest neighbour (Rosenfeld and
    /// Pfaltz 1966).
    fn measure(&mut self, mask: &Picture, part: Rect) {
        let (width, distance) = (part.width, &mut self.distance);
        distance.clear();
        for y in part.y..part.bottom() {
            let row = &mask.row(y)[part.x..part.right()];
            // Far, but one more can be added.
            distance.extend(row.iter().map(|&byte| if byte > 127 { 0 } else { u32::MAX / 2 }));
        }
        for i in 0..distance.len() {
            let left = if i % width > 0 { distance[i - 1] + 1 } else { u32::MAX };
            let above = if i >= width { distance[i - width] + 1 } else { u32::MAX };
            distance[i] = distance[i].min(left).min(above);
        }
        for i in (0..distance.len()).rev() {
            let right = if i % width + 1 < width { distance[i + 1] + 1 } else { u32::MAX };
            let below = distance.get(i + width).map_or(u32::MAX, |far| far + 1);
            distance[i] = distance[i].min(right).min(below);
        }
    }

    /// Fills `soft`: the mask dilated by some pixels, blurred by a Gaussian of `sigma` pixels.
    fn fade(&mut self, part: Rect, dilated: usize, sigma: f64) {
        self.dilated.reshape(Layout::Grey, part.width, part.height);
        for (to, &distance) in self.dilated.data_mut().iter_mut().zip(&self.distance) {
            *to = if distance as usize <= dilated { 255 } else { 0 };
        }
        let all = Rect { x: 0, y: 0, width: part.width, height: part.height };
        self.blur.run(&self.dilated, 0, all, sigma, &mut self.soft);
    }
}

/// The mean of each channel around the mask, in grey levels. Where too few pixels are around it, the mean of all that are not
/// marked, or of all.
fn surroundings(cut: &Picture, distance: &[u32], around: (usize, usize)) -> [f32; 3] {
    let mut base = [0.0; 3];
    for (low, high) in [(around.0 + 1, around.1), (1, usize::MAX), (0, usize::MAX)] {
        let (mut sums, mut count) = ([0u64; 3], 0u64);
        for (pixel, &distance) in cut.data().chunks_exact(cut.channels()).zip(distance) {
            if (low..=high).contains(&(distance as usize)) {
                sums.iter_mut().zip(pixel).for_each(|(sum, &byte)| *sum += u64::from(byte));
                count += 1;
            }
        }
        base = sums.map(|sum| (sum as f64 / count.max(1) as f64) as f32);
        if count >= MIN_SURROUNDING {
            break;
        }
    }
    base
}

/// The position of a defect in the target, and how its pixels are read.
struct Placement {
    /// The affected rectangle of the part that was cut out.
    touched: Rect,
    mirrored: [bool; 2],
    /// Its position in the target.
    to: Rect,
}

impl Placement {
    /// `from` and `target` are sizes (width, height); `touched` lies in `part`, and that in a picture of size `from`.
    fn draw(from: (usize, usize), part: Rect, touched: Rect, target: (usize, usize), random: &mut Random) -> Placement {
        let mirrored = [random.chance(0.5), random.chance(0.5)];
        let mut to = |start: usize, length: usize, mirrored: bool, from: usize, side: usize| {
            let start = if mirrored { from - start - length } else { start };
            let length = length.min(side);
            let at = (start as f64 / from as f64 + random.normal() * JITTER) * side as f64;
            (at.clamp(0.0, (side - length) as f64) as usize, length)
        };
        let (y, height) = to(part.y + touched.y, touched.height, mirrored[1], from.1, target.1);
        let (x, width) = to(part.x + touched.x, touched.width, mirrored[0], from.0, target.0);
        Placement { touched, mirrored, to: Rect { x, y, width, height } }
    }

    /// The column of the part that is copied to a column of `to`.
    fn source_column(&self, column: usize) -> usize {
        if self.mirrored[0] { self.touched.right() - 1 - column } else { self.touched.x + column }
    }

    /// The row of the part that is copied to a row of `to`.
    fn source_row(&self, row: usize) -> usize {
        if self.mirrored[1] { self.touched.bottom() - 1 - row } else { self.touched.y + row }
    }
}

/// The smallest rectangle with all marked values, `values` in rows of `width`; `None` where nothing is marked.
fn bounds<T>(values: &[T], width: usize, marked: impl Fn(&T) -> bool) -> Option<Rect> {
    let (mut left, mut right, mut top, mut bottom) = (width, 0, 0, 0);
    for (y, row) in values.chunks_exact(width.max(1)).enumerate() {
        if let (Some(first), Some(last)) = (row.iter().position(&marked), row.iter().rposition(&marked)) {
            top = if right == 0 { y } else { top };
            (left, right, bottom) = (left.min(first), right.max(last + 1), y + 1);
        }
    }
    (right > 0).then(|| Rect { x: left, y: top, width: right - left, height: bottom - top })
}

/// The rectangle enlarged by some pixels on each side, within a picture of a size (width, height).
fn widened(rect: Rect, by: usize, size: (usize, usize)) -> Rect {
    let (x, y) = (rect.x.saturating_sub(by), rect.y.saturating_sub(by));
    Rect { x, y, width: rect.right() + by - x, height: rect.bottom() + by - y }.clamp_to(size.0, size.1)
}

#[cfg(test)]
mod tests {
    use super::super::tests::part;
    use super::*;
    use lineside_picture::testing::checksum;
    use lineside_picture::{luma_into, rgb_into};
    use rand_xoshiro::rand_core::SeedableRng;

    /// A part with a dark blot of a size (width, height) at a place, and its mask.
    fn labelled(layout: Layout, frame: (usize, usize), at: (usize, usize), blot: (usize, usize)) -> (Picture, Picture) {
        let (mut picture, mut mask) = (part(layout, frame.0, frame.1), Picture::new(Layout::Grey, frame.0, frame.1));
        for y in at.1..(at.1 + blot.1).min(frame.1) {
            for x in at.0..(at.0 + blot.0).min(frame.0) {
                // Round off a corner, so that mirror images differ.
                if x - at.0 + y - at.1 > blot.0 / 3 {
                    mask.row_mut(y)[x] = 255;
                    let channels = layout.channels();
                    picture.row_mut(y)[x * channels..][..channels].iter_mut().for_each(|byte| *byte /= 2);
                }
            }
        }
        (picture, mask)
    }

    fn transplanted(of: &(Picture, Picture), target: &Picture, seed: u64) -> (bool, Picture, Picture) {
        let (mut out, mut mask) = (Picture::default(), Picture::default());
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let visible = Transplanter::default().transplant(&of.0, &of.1, target, &mut rng, &mut out, &mut mask);
        (visible, out, mask)
    }

    #[test]
    fn a_defect_comes_whole_and_what_is_around_stays() {
        for (layout, from) in [(Layout::Grey, Layout::Grey), (Layout::Rgb, Layout::Rgb), (Layout::Rgb, Layout::Grey)] {
            let (defect, target) = (labelled(from, (160, 120), (30, 40), (22, 13)), part(layout, 200, 150));
            let marked = defect.1.data().iter().filter(|v| **v > 0).count();
            for seed in 0..30 {
                let (visible, out, mask) = transplanted(&defect, &target, seed);
                assert!(visible && (out.layout(), out.width(), out.height()) == (layout, 200, 150));
                assert_eq!(mask.data().iter().filter(|v| **v > 0).count(), marked);
                let all = Rect { x: 0, y: 0, width: 200, height: 150 };
                let mut distances = Transplanter::default();
                distances.measure(&mask, all);
                let channels = layout.channels();
                let pixels = target.data().chunks_exact(channels).zip(out.data().chunks_exact(channels));
                for ((before, after), &distance) in pixels.zip(&distances.distance) {
                    // In both directions as far as the fading reaches.
                    assert!(distance < 20 || before == after);
                    // Halved there, so about halved here.
                    let (was, is) = (f32::from(before[0]), f32::from(after[0]));
                    assert!(distance > 0 || (0.3..0.75).contains(&(is / was)), "{was} became {is}");
                }
            }
        }
    }

    #[test]
    fn the_level_is_that_of_the_target() {
        let flat = |level: u8| Picture::from_data(Layout::Grey, 64, 64, vec![level; 64 * 64]).unwrap();
        let mut mask = Picture::new(Layout::Grey, 64, 64);
        let mut defect = flat(96);
        for y in 20..30 {
            mask.row_mut(y)[20..40].fill(200);
            defect.row_mut(y)[20..40].fill(46);
        }
        for level in [20, 146, 250] {
            let (visible, out, placed) = transplanted(&(defect.clone(), mask.clone()), &flat(level), 5);
            assert!(visible);
            // (46 + 4) / (96 + 4) is one half.
            let half = (level + 4) / 2 - 4;
            let inside = out.data().iter().zip(placed.data()).filter(|(_, mark)| **mark > 0);
            assert_eq!(inside.clone().count(), 200);
            // The fading takes up to a sixth off at the corners.
            let worst = inside.map(|(byte, _)| byte.abs_diff(half)).max().unwrap();
            assert!(worst <= 1 + (level - half) / 6, "{level}: off by {worst}");
        }
    }

    #[test]
    fn nothing_comes_of_a_mask_without_pixels_or_of_another_shape() {
        let (defect, mask) = labelled(Layout::Grey, (60, 50), (20, 20), (12, 12));
        let target = part(Layout::Rgb, 80, 70);
        let none = Picture::new(Layout::Grey, 60, 50);
        let mut faint = mask.clone();
        faint.data_mut().iter_mut().for_each(|byte| *byte = (*byte).min(127));
        let (mut small, mut rgb) = Default::default();
        mask.crop_into(Rect { x: 0, y: 0, width: 59, height: 50 }, &mut small);
        rgb_into(&mask, &mut rgb);
        for mask in [none, faint, small, rgb, Picture::default()] {
            let (visible, out, placed) = transplanted(&(defect.clone(), mask), &target, 1);
            assert!(!visible && out == target && placed == Picture::new(Layout::Grey, 80, 70));
        }
    }

    #[test]
    fn tiny_and_plain_pictures_and_defects_larger_than_the_target_are_handled() {
        let whole = |layout, width, height, level: u8| {
            let mut picture = Picture::new(layout, width, height);
            picture.data_mut().fill(level);
            (picture, Picture::from_data(Layout::Grey, width, height, vec![255; width * height]).unwrap())
        };
        let defects = [
            labelled(Layout::Rgb, (300, 200), (0, 0), (300, 200)),
            labelled(Layout::Grey, (90, 400), (40, 10), (5, 390)),
            labelled(Layout::Grey, (60, 50), (59, 49), (1, 1)),
            whole(Layout::Grey, 1, 1, 30),
            whole(Layout::Rgb, 3, 50, 255),
            whole(Layout::Grey, 64, 64, 0),
            (Picture::default(), Picture::default()),
        ];
        for defect in &defects {
            for target in
                [part(Layout::Rgb, 40, 33), whole(Layout::Grey, 1, 1, 90).0, whole(Layout::Rgb, 3, 200, 255).0]
            {
                for seed in 0..8 {
                    let (visible, out, mask) = transplanted(defect, &target, seed);
                    assert_eq!(visible, mask.data().contains(&255));
                    assert_eq!(visible, out != target);
                }
            }
            assert!(!transplanted(defect, &Picture::default(), 1).0);
        }
        // White and whole: as bright as all around it, so the target shows through.
        assert!(!transplanted(&defects[4], &whole(Layout::Grey, 64, 64, 90).0, 1).0);
    }

    #[test]
    fn colours_become_grey_and_grey_stays_grey() {
        let (defect, target) = (labelled(Layout::Grey, (120, 90), (30, 20), (30, 20)), part(Layout::Grey, 100, 80));
        let (mut rgb_defect, mut rgb_target, mut grey) = Default::default();
        rgb_into(&defect.0, &mut rgb_defect);
        rgb_into(&target, &mut rgb_target);
        let expected = transplanted(&defect, &target, 3);
        let coloured = transplanted(&(rgb_defect, defect.1), &rgb_target, 3);
        luma_into(&coloured.1, &mut grey);
        assert!(expected.0 && expected.1 == grey && expected.2 == coloured.2);
    }

    #[test]
    fn same_bytes_on_every_cpu() {
        let (mut transplanter, mut out, mut mask) = Default::default();
        let transplanter: &mut Transplanter = &mut transplanter;
        let mut sum = 0u64;
        for (layout, frame) in [(Layout::Grey, (97, 131)), (Layout::Rgb, (900, 800))] {
            let (defect, marked) = labelled(layout, frame, (frame.0 / 5, frame.1 / 3), (frame.0 / 4, 30));
            for target in [part(Layout::Rgb, 410, 350), part(Layout::Grey, 131, 97)] {
                for seed in 0..6 {
                    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
                    assert!(transplanter.transplant(&defect, &marked, &target, &mut rng, &mut out, &mut mask));
                    sum = sum.rotate_left(7) ^ checksum(&out) ^ checksum(&mask).rotate_left(32);
                }
            }
        }
        assert_eq!(sum, 0x0f0f_eb08_39a3_87cb, "{sum:#x}");
    }
}
