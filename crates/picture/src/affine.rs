//! A picture moved, turned and scaled.
//!
//! Coordinates are computed in `f64` by plain sums and products, pixels in integers: the same bytes on every CPU.

use super::picture::Picture;

/// What is seen where the moved picture ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Border {
    /// The outermost pixels go on.
    Replicate,
    /// The picture goes on as its mirror image.
    Mirror,
}

/// A movement of a picture: scaled and turned about its centre, then shifted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Movement {
    /// To the right and down, in pixels.
    pub shift: (f64, f64),
    /// Anticlockwise, in degrees.
    pub turn: f64,
    /// 1 leaves the size as it is, 2 doubles it.
    pub scale: f64,
}

/// Steps of a weight between two pixels.
const STEPS: f64 = 256.0;

impl Movement {
    /// Writes the moved picture to `out`, which becomes of the same size and layout. Between pixels it is interpolated bilinearly, with
    /// weights in 256ths; a shift by whole pixels alone copies them. A scale that is not above 0 counts as 1.
    pub fn apply(&self, picture: &Picture, border: Border, out: &mut Picture) {
        let (width, height, channels) = (picture.width(), picture.height(), picture.channels());
        out.reshape(picture.layout(), width, height);
        if picture.is_empty() {
            return;
        }
        let (sine, cosine) = libm::sincos(self.turn * (core::f64::consts::PI / 180.0));
        let scale = if self.scale > 0.0 { self.scale } else { 1.0 };
        let (sine, cosine) = (sine / scale, cosine / scale);
        // The place in the picture of each pixel of `out`: the movement backwards.
        let centre = ((width - 1) as f64 / 2.0, (height - 1) as f64 / 2.0);
        for y in 0..height {
            let down = y as f64 - centre.1 - self.shift.1;
            for (x, pixel) in out.row_mut(y).chunks_exact_mut(channels).enumerate() {
                let right = x as f64 - centre.0 - self.shift.0;
                let column = Between::at(centre.0 + (cosine * right - sine * down), width, border);
                let row = Between::at(centre.1 + (sine * right + cosine * down), height, border);
                let rows = [picture.row(row.first), picture.row(row.second)];
                for (channel, byte) in pixel.iter_mut().enumerate() {
                    let at = |row: &[u8]| {
                        let level = |column: usize| u32::from(row[column * channels + channel]);
                        level(column.first) * (STEPS as u32 - column.weight) + level(column.second) * column.weight
                    };
                    let sum = at(rows[0]) * (STEPS as u32 - row.weight) + at(rows[1]) * row.weight;
                    *byte = ((sum + (1 << 15)) >> 16) as u8;
                }
            }
        }
    }
}

/// A place between two pixels of a row or column.
struct Between {
    first: usize,
    second: usize,
    /// Of the second pixel, in 256ths.
    weight: u32,
}

impl Between {
    /// `length` is at least 1.
    fn at(place: f64, length: usize, border: Border) -> Between {
        let whole = place.floor();
        let inside = |index: i64| match border {
            Border::Replicate => index.clamp(0, length as i64 - 1) as usize,
            Border::Mirror => {
                let index = index.rem_euclid(2 * length as i64) as usize;
                index.min(2 * length - 1 - index)
            }
        };
        let weight = ((place - whole) * STEPS + 0.5) as u32;
        // The conversions saturate.
        let whole = (whole as i64).clamp(-(1 << 40), 1 << 40);
        Between { first: inside(whole), second: inside(whole + 1), weight }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Layout;
    use crate::testing::{checksum, synthetic};

    const STILL: Movement = Movement { shift: (0.0, 0.0), turn: 0.0, scale: 1.0 };

    fn moved(picture: &Picture, movement: Movement, border: Border) -> Picture {
        let mut out = Picture::default();
        movement.apply(picture, border, &mut out);
        out
    }

    #[test]
    fn a_shift_by_whole_pixels_copies_them() {
        let row = Picture::from_data(Layout::Grey, 5, 1, vec![10, 20, 30, 40, 50]).unwrap();
        let shifted = |by: f64, border| moved(&row, Movement { shift: (by, 0.0), ..STILL }, border).into_data();
        assert_eq!(shifted(0.0, Border::Mirror), [10, 20, 30, 40, 50]);
        assert_eq!(shifted(2.0, Border::Replicate), [10, 10, 10, 20, 30]);
        assert_eq!(shifted(2.0, Border::Mirror), [20, 10, 10, 20, 30]);
        assert_eq!(shifted(-2.0, Border::Mirror), [30, 40, 50, 50, 40]);
        assert_eq!(shifted(-12.0, Border::Mirror), [30, 40, 50, 50, 40]);
        assert_eq!(shifted(0.5, Border::Replicate), [10, 15, 25, 35, 45]);
        let picture = synthetic(Layout::Rgb, 31, 22);
        for border in [Border::Replicate, Border::Mirror] {
            assert_eq!(moved(&picture, STILL, border), picture);
            let there = moved(&picture, Movement { shift: (3.0, -4.0), ..STILL }, border);
            for y in 0..18 {
                assert_eq!(there.row(y)[9..], picture.row(y + 4)[..28 * 3]);
            }
        }
    }

    #[test]
    fn a_quarter_turn_is_anticlockwise_and_double_size_doubles() {
        let picture = Picture::from_data(Layout::Grey, 3, 3, vec![1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
        let turned = moved(&picture, Movement { turn: 90.0, ..STILL }, Border::Replicate);
        assert_eq!(turned.data(), [3, 6, 9, 2, 5, 8, 1, 4, 7]);
        let ramp: Vec<u8> = (0..9).map(|x| 10 * x).collect();
        let ramp = Picture::from_data(Layout::Grey, 9, 1, ramp).unwrap();
        let twice = moved(&ramp, Movement { scale: 2.0, ..STILL }, Border::Replicate);
        assert_eq!(twice.data(), [20, 25, 30, 35, 40, 45, 50, 55, 60]);
    }

    #[test]
    fn it_agrees_with_interpolation_in_floats() {
        let picture = synthetic(Layout::Grey, 47, 36);
        let movement = Movement { shift: (2.3, -1.7), turn: 7.0, scale: 1.08 };
        let out = moved(&picture, movement, Border::Replicate);
        let (sine, cosine) = 7f64.to_radians().sin_cos();
        let level = |x: f64, y: f64| f64::from(picture.row(y.clamp(0.0, 35.0) as usize)[x.clamp(0.0, 46.0) as usize]);
        for y in 0..36 {
            for x in 0..47 {
                // Forwards, the pixel lands at `x`, `y`: solved for where it came from.
                let (right, down) = ((x as f64 - 23.0 - 2.3) / 1.08, (y as f64 - 17.5 + 1.7) / 1.08);
                let (u, v) = (23.0 + cosine * right - sine * down, 17.5 + sine * right + cosine * down);
                let (fx, fy) = (u - u.floor(), v - v.floor());
                let (u, v) = (u.floor(), v.floor());
                let upper = level(u, v) * (1.0 - fx) + level(u + 1.0, v) * fx;
                let lower = level(u, v + 1.0) * (1.0 - fx) + level(u + 1.0, v + 1.0) * fx;
                let expected = upper * (1.0 - fy) + lower * fy;
                // Two weights of half a 256th each, at a contrast of 255 levels, and half a level of rounding.
                assert!((f64::from(out.row(y)[x]) - expected).abs() < 1.5, "{x} {y}");
            }
        }
    }

    #[test]
    fn bytes_are_those_of_every_cpu_and_odd_numbers_do_no_harm() {
        let picture = synthetic(Layout::Rgb, 64, 48);
        let movement = Movement { shift: (1.25, 3.5), turn: -2.5, scale: 0.95 };
        assert_eq!(checksum(&moved(&picture, movement, Border::Mirror)), CHECKSUM);
        for odd in [f64::NAN, f64::INFINITY, -1e300, 0.0] {
            for movement in [
                Movement { shift: (odd, 1.0), ..STILL },
                Movement { turn: odd, ..STILL },
                Movement { scale: odd, ..STILL },
            ] {
                assert_eq!(moved(&picture, movement, Border::Mirror).width(), 64);
            }
        }
        assert!(moved(&Picture::default(), movement, Border::Mirror).is_empty());
    }

    const CHECKSUM: u64 = 8_960_206_498_251_345_941;
}
