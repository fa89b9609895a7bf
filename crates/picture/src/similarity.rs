//! A map between two pictures that turns, scales and shifts, in fixed point: the same pixels on every CPU.

use super::affine::Border;
use super::picture::{Picture, Rect};

/// Bits behind the point: over 16384 pixels they are right to a thousandth of a pixel.
const FRACTION: u32 = 24;
const ONE: i64 = 1 << FRACTION;

/// Where a part lies, compared with where it lay before: turned and scaled about a point, and shifted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// To the right and down, in pixels.
    pub shift: (f64, f64),
    /// Anticlockwise, in degrees.
    pub turn: f64,
    /// 1 is as large as before, 2 twice as large.
    pub scale: f64,
}

impl Pose {
    /// Where it was before.
    pub const STILL: Pose = Pose { shift: (0.0, 0.0), turn: 0.0, scale: 1.0 };
}

/// `(x, y) -> (a x + b y + right, a y - b x + down)`; coordinates are those of pixels' centres, the first of which is at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Similarity {
    a: i64,
    b: i64,
    right: i64,
    down: i64,
}

impl Similarity {
    /// Leaves everything in its place.
    pub const IDENTITY: Similarity = Similarity { a: ONE, b: 0, right: 0, down: 0 };

    /// From a place before to the place of the same point of the part in its pose; it turns about `centre`.
    pub fn of_pose(pose: &Pose, centre: (f64, f64)) -> Similarity {
        let (sine, cosine) = libm::sincos(pose.turn * (core::f64::consts::PI / 180.0));
        let (a, b) = (fixed(pose.scale * cosine), fixed(pose.scale * sine));
        // From the rounded matrix, so that the centre goes where it should.
        let (fa, fb) = (float(a), float(b));
        Similarity {
            a,
            b,
            right: fixed(centre.0 + pose.shift.0 - (fa * centre.0 + fb * centre.1)),
            down: fixed(centre.1 + pose.shift.1 - (fa * centre.1 - fb * centre.0)),
        }
    }

    /// The way back.
    pub fn inverse(&self) -> Similarity {
        let [a, b, right, down] = [self.a, self.b, self.right, self.down].map(float);
        let square = a * a + b * b;
        let (ia, ib) = if square > 0.0 { (a / square, -b / square) } else { (1.0, 0.0) };
        Similarity {
            a: fixed(ia),
            b: fixed(ib),
            right: fixed(-(ia * right + ib * down)),
            down: fixed(-(ia * down - ib * right)),
        }
    }

    /// Where a point goes.
    pub fn map(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let [a, b, right, down] = [self.a, self.b, self.right, self.down].map(float);
        (a * x + b * y + right, a * y - b * x + down)
    }

    /// The four numbers that make it, in fixed point: equal if and only if two maps are.
    pub fn bits(&self) -> [i64; 4] {
        [self.a, self.b, self.right, self.down]
    }

    /// The smallest rectangle that holds what becomes of another one, cut off at a frame of a size (width, height); at least a pixel.
    pub fn bounds(&self, Rect { x, y, width, height }: Rect, (frame_width, frame_height): (usize, usize)) -> Rect {
        // Edges of pixels.
        let (left, top) = (x as f64 - 0.5, y as f64 - 0.5);
        let (right, bottom) = (left + width as f64, top + height as f64);
        let corners = [(left, top), (right, top), (left, bottom), (right, bottom)].map(|corner| self.map(corner));
        let span = |of: fn(&(f64, f64)) -> f64, side: usize| {
            let low = corners.iter().map(of).fold(f64::INFINITY, f64::min) + 0.5;
            let high = corners.iter().map(of).fold(f64::NEG_INFINITY, f64::max) + 0.5;
            // A thousandth of a pixel is the rounding of the map.
            let start = ((low + 1e-3).floor().max(0.0) as usize).min(side.saturating_sub(1));
            let end = ((high - 1e-3).ceil().max(0.0) as usize).min(side);
            (start, end.saturating_sub(start).max(1))
        };
        let ((x, width), (y, height)) = (span(|c| c.0, frame_width), span(|c| c.1, frame_height));
        Rect { x, y, width, height }
    }

    /// Makes `out` the pixels of `area` after the map: each is that of `picture` where the map leads. Between pixels it is interpolated
    /// bilinearly with weights in 256ths; `None` as border: what lies beyond is 0.
    pub fn resample(&self, picture: &Picture, area: Rect, border: Option<Border>, out: &mut Picture) {
        out.reshape(picture.layout(), area.width, area.height);
        if picture.is_empty() {
            return;
        }
        match picture.channels() {
            1 => self.resample_pixels::<1>(picture, area, border, out),
            _ => self.resample_pixels::<3>(picture, area, border, out),
        }
    }

    fn resample_pixels<const C: usize>(
        &self,
        picture: &Picture,
        area: Rect,
        border: Option<Border>,
        out: &mut Picture,
    ) {
        let (width, height, data) = (picture.width(), picture.height(), picture.data());
        let stride = width * C;
        let (last_column, last_line) = ((width as i64 - 1) << FRACTION, (height as i64 - 1) << FRACTION);
        for row in 0..area.height {
            let (x, y) = (area.x as i64, (area.y + row) as i64);
            let (right, down) = (self.a * x + self.b * y + self.right, self.a * y - self.b * x + self.down);
            // Where all four pixels around lie in the picture.
            let (from, until) = both(span(right, self.a, last_column), span(down, -self.b, last_line), area.width);
            for (x, pixel) in out.row_mut(row).as_chunks_mut::<C>().0.iter_mut().enumerate() {
                let (right, down) = (right + self.a * x as i64, down - self.b * x as i64);
                let (column, line) = (right >> FRACTION, down >> FRACTION);
                let (fx, fy) = (weight(right), weight(down));
                if (from..until).contains(&x) {
                    let at = line as usize * stride + column as usize * C;
                    if let Some((upper, lower)) = eight(data, at).zip(eight(data, at + stride)) {
                        between(upper, lower, fx, fy, pixel);
                        continue;
                    }
                }
                for (c, byte) in pixel.iter_mut().enumerate() {
                    let level = |column: i64, line: i64| {
                        let place = within(column, width, border).zip(within(line, height, border));
                        place.map_or(0, |(column, line)| u64::from(data[line * stride + column * C + c]))
                    };
                    let upper = level(column, line) * (256 - fx) + level(column + 1, line) * fx;
                    let lower = level(column, line + 1) * (256 - fx) + level(column + 1, line + 1) * fx;
                    *byte = ((upper * (256 - fy) + lower * fy + (1 << 15)) >> 16) as u8;
                }
            }
        }
    }
}

/// From which number on, and before which, `start + step * number` lies in `0..end`.
fn span(start: i64, step: i64, end: i64) -> (i64, i64) {
    let up = |value: i64, by: i64| value.div_euclid(by) + i64::from(value.rem_euclid(by) > 0);
    match step {
        0 if (0..end).contains(&start) => (0, i64::MAX),
        0 => (0, 0),
        1.. => (up(-start, step), up(end - start, step)),
        _ => (up(start - end + 1, -step), up(start + 1, -step)),
    }
}

/// The numbers below `count` in two spans.
fn both(a: (i64, i64), b: (i64, i64), count: usize) -> (usize, usize) {
    let from = a.0.max(b.0).clamp(0, count as i64);
    (from as usize, a.1.min(b.1).clamp(from, count as i64) as usize)
}

/// Eight bytes from a place on, the first the lowest.
fn eight(data: &[u8], at: usize) -> Option<u64> {
    data.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// A pixel between two, each of the lowest `C` bytes, in each of two rows. Down first, of four bytes at a time in lanes of 16 bits.
fn between<const C: usize>(upper: u64, lower: u64, fx: u64, fy: u64, pixel: &mut [u8; C]) {
    const LANES: u64 = 0x00FF_00FF_00FF_00FF;
    let even = (upper & LANES) * (256 - fy) + (lower & LANES) * fy;
    let odd = ((upper >> 8) & LANES) * (256 - fy) + ((lower >> 8) & LANES) * fy;
    let lane = |byte: usize| ((if byte.is_multiple_of(2) { even } else { odd }) >> (byte / 2 * 16)) & 0xFFFF;
    for (c, byte) in pixel.iter_mut().enumerate() {
        *byte = ((lane(c) * (256 - fx) + lane(C + c) * fx + (1 << 15)) >> 16) as u8;
    }
}

/// Of the second of two pixels, in 256ths.
fn weight(place: i64) -> u64 {
    ((place >> (FRACTION - 8)) & 255) as u64
}

/// The pixel of a row of `length` that stands at a place; `None` where there is none.
fn within(at: i64, length: usize, border: Option<Border>) -> Option<usize> {
    let last = length as i64 - 1;
    if (0..=last).contains(&at) {
        return Some(at as usize);
    }
    match border? {
        Border::Replicate => Some(at.clamp(0, last) as usize),
        Border::Mirror => {
            let at = at.rem_euclid(2 * length as i64);
            Some(at.min(2 * length as i64 - 1 - at) as usize)
        }
    }
}

fn fixed(value: f64) -> i64 {
    (value * ONE as f64 + 0.5).floor() as i64
}

fn float(value: i64) -> f64 {
    value as f64 / ONE as f64
}

#[cfg(test)]
mod tests {
    use super::super::affine::Movement;
    use super::super::picture::Layout;
    use super::super::testing::{checksum, synthetic};
    use super::*;

    fn whole(picture: &Picture) -> Rect {
        Rect { x: 0, y: 0, width: picture.width(), height: picture.height() }
    }

    #[test]
    fn the_identity_copies_and_an_area_is_a_crop() {
        for layout in [Layout::Grey, Layout::Rgb] {
            let picture = synthetic(layout, 37, 23);
            let (mut out, mut crop) = (Picture::default(), Picture::default());
            Similarity::IDENTITY.resample(&picture, whole(&picture), None, &mut out);
            assert_eq!(out, picture);
            let area = Rect { x: 5, y: 3, width: 20, height: 11 };
            Similarity::of_pose(&Pose::STILL, (18.0, 11.0)).resample(&picture, area, None, &mut out);
            picture.crop_into(area, &mut crop);
            assert_eq!(out, crop);
        }
    }

    #[test]
    fn a_moved_picture_comes_back() {
        let picture = synthetic(Layout::Rgb, 64, 48);
        // By whole pixels nothing is lost.
        let movement = Movement { shift: (3.0, -2.0), turn: 0.0, scale: 1.0 };
        let (mut moved, mut back) = (Picture::default(), Picture::default());
        movement.apply(&picture, Border::Replicate, &mut moved);
        let pose = Pose { shift: (3.0, -2.0), ..Pose::STILL };
        Similarity::of_pose(&pose, (31.5, 23.5)).resample(&moved, whole(&picture), Some(Border::Replicate), &mut back);
        for y in 3..45 {
            assert_eq!(back.row(y)[9..180], picture.row(y)[9..180]);
        }
    }

    #[test]
    fn a_map_and_its_inverse_cancel_and_agree_with_a_movement() {
        let pose = Pose { shift: (4.25, -7.5), turn: 11.0, scale: 1.07 };
        let (there, centre) = (Similarity::of_pose(&pose, (320.0, 240.0)), (320.0, 240.0));
        let moved = there.map(centre);
        assert!((moved.0 - 324.25).abs() < 1e-3 && (moved.1 - 232.5).abs() < 1e-3, "{moved:?}");
        for point in [(0.0, 0.0), (639.0, 3.0), (100.0, 470.0)] {
            let back = there.inverse().map(there.map(point));
            assert!((back.0 - point.0).abs() < 1e-3 && (back.1 - point.1).abs() < 1e-3, "{point:?} {back:?}");
        }
        // The movement writes forwards, the map reads: resampling by the inverse is the movement.
        let picture = synthetic(Layout::Grey, 61, 41);
        let (mut by_movement, mut by_map) = (Picture::default(), Picture::default());
        let Pose { shift, turn, scale } = pose;
        Movement { shift, turn, scale }.apply(&picture, Border::Replicate, &mut by_movement);
        let map = Similarity::of_pose(&pose, (30.0, 20.0)).inverse();
        map.resample(&picture, whole(&picture), Some(Border::Replicate), &mut by_map);
        // Weights are rounded to nearest there, down here: a 256th of a contrast in each direction.
        assert!(by_movement.data().iter().zip(by_map.data()).all(|(a, b)| a.abs_diff(*b) <= 3));
    }

    #[test]
    fn bounds_hold_the_rectangle_and_stay_in_the_frame() {
        let rect = Rect { x: 10, y: 20, width: 30, height: 8 };
        assert_eq!(Similarity::IDENTITY.bounds(rect, (100, 80)), rect);
        let shifted = Similarity::of_pose(&Pose { shift: (-20.0, 55.0), ..Pose::STILL }, (50.0, 40.0));
        assert_eq!(shifted.bounds(rect, (100, 80)), Rect { x: 0, y: 75, width: 20, height: 5 });
        let far = Similarity::of_pose(&Pose { shift: (500.0, -500.0), ..Pose::STILL }, (50.0, 40.0));
        assert_eq!(far.bounds(rect, (100, 80)), Rect { x: 99, y: 0, width: 1, height: 1 });
    }

    #[test]
    fn what_lies_beyond_is_black_mirrored_or_goes_on() {
        let row = Picture::from_data(Layout::Grey, 5, 1, vec![10, 20, 30, 40, 50]).unwrap();
        let map = Similarity::of_pose(&Pose { shift: (-2.0, 0.0), ..Pose::STILL }, (2.0, 0.0));
        let by = |border| {
            let mut out = Picture::default();
            map.resample(&row, whole(&row), border, &mut out);
            out.into_data()
        };
        assert_eq!(by(None), [0, 0, 10, 20, 30]);
        assert_eq!(by(Some(Border::Replicate)), [10, 10, 10, 20, 30]);
        assert_eq!(by(Some(Border::Mirror)), [20, 10, 10, 20, 30]);
    }

    #[test]
    fn bytes_are_those_of_every_cpu() {
        let picture = synthetic(Layout::Rgb, 64, 48);
        let mut out = Picture::default();
        let pose = Pose { shift: (1.25, 3.5), turn: -2.5, scale: 0.95 };
        let map = Similarity::of_pose(&pose, (31.5, 23.5));
        map.resample(&picture, whole(&picture), Some(Border::Replicate), &mut out);
        assert_eq!(checksum(&out), CHECKSUM);
    }

    #[test]
    fn a_span_holds_exactly_what_it_should() {
        for (start, step, end) in
            [(5, 3, 40), (-7, 3, 40), (-7, 1, 3), (50, -3, 40), (39, -1, 40), (-1, -2, 9), (0, 0, 1), (7, 0, 7)]
        {
            let (from, until) = both(span(start, step, end), (0, i64::MAX), 100);
            for number in 0..100 {
                let expected = (0..end).contains(&(start + step * number as i64));
                assert_eq!((from..until).contains(&number), expected, "{start} {step} {end}: {number}");
            }
        }
    }

    const CHECKSUM: u64 = 3_154_094_651_018_568_495;
}
