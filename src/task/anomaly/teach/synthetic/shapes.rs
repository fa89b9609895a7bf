//! The shape of a defect: soft masks, rendered in the part of the picture that they cover.

use super::noise::Noise;
use super::random::Random;
use lineside_picture::{Picture, Rect};
use std::f64::consts::{FRAC_PI_2, PI};

/// The share of the defect in each pixel of a part of the picture, 0..1; 0 elsewhere.
#[derive(Default)]
pub(super) struct Mask {
    /// The part.
    pub area: Rect,
    /// `[area.height, area.width]`.
    pub values: Vec<f32>,
}

/// An ellipse, lengths in pixels.
pub(super) struct Ellipse {
    /// Centre.
    pub x: f64,
    pub y: f64,
    /// Semi-axes before the rotation.
    pub across: f64,
    pub down: f64,
    /// Rotation, in radians.
    pub angle: f64,
    /// Relative standard deviation of its radius.
    pub wobble: f64,
    /// Width of its soft edge, in pixels.
    pub soft: f64,
}

impl Ellipse {
    /// An ellipse at a random position of the frame, with a mean radius between two shares of the short side, up to 2.5 times as
    /// long as wide.
    pub fn random(size: (usize, usize), radius: (f64, f64), soft: f64, random: &mut Random) -> Ellipse {
        let radius = random.log_uniform(radius.0, radius.1) * size.0.min(size.1) as f64;
        let stretch = random.log_uniform(1.0, 2.5).sqrt();
        Ellipse {
            x: random.unit() * size.0 as f64,
            y: random.unit() * size.1 as f64,
            across: radius * stretch,
            down: radius / stretch,
            angle: random.unit() * PI,
            wobble: random.between(0.0, 0.4),
            soft,
        }
    }
}

impl Mask {
    /// Renders an ellipse. The wobble is noise with cells of the smaller radius; it may separate islands.
    pub fn ellipse(
        &mut self,
        size: (usize, usize),
        of: &Ellipse,
        noise: &mut Noise,
        wobbles: &mut Vec<f32>,
        random: &mut Random,
    ) {
        let (sine, cosine) = libm::sincos(of.angle);
        // Noise of more than 2.3 deviations, which could reach further, is rare.
        let reach = (1.0 / (1.0 - 2.3 * of.wobble)).min(3.0);
        let half = |along: f64, across: f64| reach * (along * along + across * across).sqrt() + of.soft;
        let (half_x, half_y) = (half(of.across * cosine, of.down * sine), half(of.across * sine, of.down * cosine));
        self.area = part(of.x - half_x, of.y - half_y, of.x + half_x, of.y + half_y, size);
        let least = of.across.min(of.down);
        noise.render(self.area.width, self.area.height, least.max(4.0), random, wobbles);
        let slope = (least / of.soft) as f32;
        let wobble = of.wobble as f32;
        let [ux, uy] = [cosine / of.across, sine / of.across].map(|v| v as f32);
        let [vx, vy] = [-sine / of.down, cosine / of.down].map(|v| v as f32);
        self.fill(wobbles, |x, y, noise| {
            let (dx, dy) = (x - of.x as f32, y - of.y as f32);
            let (u, v) = (ux * dx + uy * dy, vx * dx + vy * dy);
            let radius = (u * u + v * v).sqrt() * (1.0 + wobble * noise);
            (1.0 - radius) * slope + 0.5
        });
        self.trim();
    }

    /// Renders the inside of one to four nearly straight lines that are nearly vertical or horizontal; the edge is `soft` pixels
    /// wide and wavers by a few times `unit` pixels.
    pub fn polygon(
        &mut self,
        size: (usize, usize),
        soft: f64,
        unit: f64,
        noise: &mut Noise,
        waver: &mut Vec<f32>,
        random: &mut Random,
    ) {
        let (width, height) = (size.0 as f64, size.1 as f64);
        let (x0, y0) = (random.between(0.15, 0.85) * width, random.between(0.15, 0.85) * height);
        self.area = Rect { x: 0, y: 0, width: size.0, height: size.1 };
        self.values.clear();
        self.values.resize(size.0 * size.1, 1.0);
        for _ in 0..1 + random.below(4) {
            let (sine, cosine) = libm::sincos(random.below(4) as f64 * FRAC_PI_2 + random.normal() * 0.15);
            let distance = random.log_uniform(0.04, 0.4) * width.min(height);
            noise.render(size.0, size.1, 25.0 * unit, random, waver);
            let wavering = (random.between(0.0, 4.0) * unit / soft) as f32;
            let [dx, dy] = [cosine / soft, sine / soft].map(|v| v as f32);
            let start = ((distance + x0 * cosine + y0 * sine) / soft + 0.5) as f32;
            let rows = self.values.chunks_exact_mut(size.0).zip(waver.chunks_exact(size.0));
            for (y, (row, waver)) in rows.enumerate() {
                let start = start - y as f32 * dy;
                for (x, (value, waver)) in row.iter_mut().zip(waver).enumerate() {
                    *value = value.min((start - x as f32 * dx - waver * wavering).clamp(0.0, 1.0));
                }
            }
        }
        self.trim();
    }

    /// Renders a line through points that lie close together, each `(x, y)` a pixel, `half` pixels to each side with an edge of
    /// half a pixel.
    pub fn line(&mut self, size: (usize, usize), path: &[(f64, f64)], half: f64) {
        let inside = |&&(x, y): &&(f64, f64)| x >= 0.0 && y >= 0.0 && x < size.0 as f64 && y < size.1 as f64;
        let bound = |pick: fn(f64, f64) -> f64, start: f64| {
            path.iter().filter(inside).fold((start, start), |at, point| (pick(at.0, point.0), pick(at.1, point.1)))
        };
        let (least, most) = (bound(f64::min, f64::INFINITY), bound(f64::max, f64::NEG_INFINITY));
        let reach = half + 0.5;
        // One pixel more, because points are rounded down to their pixel.
        let past = reach + 1.0;
        self.area = part(least.0 - past, least.1 - past, most.0 + past, most.1 + past, size);
        self.values.clear();
        self.values.resize(self.area.width * self.area.height, 0.0);
        for &(x, y) in path.iter().filter(inside) {
            let (x, y) = (x.floor(), y.floor());
            let spot = part(x - reach, y - reach, x + reach, y + reach, size);
            for row in spot.y..spot.bottom() {
                for column in spot.x..spot.right() {
                    let (dx, dy) = (column as f64 - x, row as f64 - y);
                    let value = (half + 0.5 - (dx * dx + dy * dy).sqrt()).clamp(0.0, 1.0) as f32;
                    let at = &mut self.values[(row - self.area.y) * self.area.width + column - self.area.x];
                    *at = at.max(value);
                }
            }
        }
    }

    /// Sets each value to `share(x, y, noise)`, kept within 0..1; `x` and `y` in pixels of the picture.
    pub fn fill(&mut self, noise: &[f32], share: impl Fn(f32, f32, f32) -> f32) {
        let area = self.area;
        self.values.resize(area.width * area.height, 0.0);
        let rows = self.values.chunks_exact_mut(area.width.max(1)).zip(noise.chunks_exact(area.width.max(1)));
        for (y, (row, noise)) in (area.y..).zip(rows) {
            for (x, (value, &noise)) in (area.x..).zip(row.iter_mut().zip(noise)) {
                *value = share(x as f32, y as f32, noise).clamp(0.0, 1.0);
            }
        }
    }

    /// Multiplies each value with `share(noise)`, kept within 0..1; `noise` is of the area.
    pub fn thin(&mut self, noise: &[f32], share: impl Fn(f32) -> f32) {
        for (value, &noise) in self.values.iter_mut().zip(noise) {
            *value *= share(noise).clamp(0.0, 1.0);
        }
    }

    /// The number of pixels above a share.
    pub fn count_above(&self, cut: f32) -> usize {
        self.values.iter().filter(|value| **value > cut).count()
    }

    /// Sets the pixels above a share to 255 in a grey picture of the frame's size.
    pub fn write_above(&self, cut: f32, out: &mut Picture) {
        let area = self.area;
        for (y, values) in (area.y..).zip(self.values.chunks_exact(area.width.max(1))) {
            for (to, &value) in out.row_mut(y)[area.x..area.right()].iter_mut().zip(values) {
                if value > cut {
                    *to = 255;
                }
            }
        }
    }

    /// Shrinks the area to the pixels that are not 0, so that nothing is computed that is not visible.
    fn trim(&mut self) {
        let area = self.area;
        let (mut left, mut right, mut top, mut bottom) = (area.width, 0, area.height, 0);
        for (y, row) in self.values.chunks_exact(area.width.max(1)).enumerate() {
            if let Some(first) = row.iter().position(|&v| v > 0.0) {
                let end = row.iter().rposition(|&v| v > 0.0).map_or(0, |last| last + 1);
                (left, right) = (left.min(first), right.max(end));
                (top, bottom) = (top.min(y), y + 1);
            }
        }
        let (width, height) = (right.saturating_sub(left), bottom.saturating_sub(top));
        for y in 0..height {
            let from = (top + y) * area.width + left;
            self.values.copy_within(from..from + width, y * width);
        }
        self.values.truncate(width * height);
        self.area = Rect { x: area.x + left, y: area.y + top, width, height };
    }
}

/// The pixels between real bounds that lie in a frame of `size` (width, height).
fn part(left: f64, top: f64, right: f64, bottom: f64, size: (usize, usize)) -> Rect {
    let first = |low: f64, side: usize| (low.floor().max(0.0) as usize).min(side);
    let end = |high: f64, side: usize| ((high.floor() + 1.0).max(0.0) as usize).min(side);
    let (x, y) = (first(left, size.0), first(top, size.1));
    Rect { x, y, width: end(right, size.0).saturating_sub(x), height: end(bottom, size.1).saturating_sub(y) }
}

/// The pixel at `i` of a row of `length` that is continued by its mirror images.
pub(super) fn mirrored(i: i64, length: usize) -> usize {
    if (0..length as i64).contains(&i) {
        return i as usize;
    }
    let i = i.rem_euclid(2 * length as i64) as usize;
    i.min(2 * length - 1 - i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::SeedableRng;

    #[test]
    fn an_ellipse_has_its_area_and_nothing_around() {
        let mut bits = Xoshiro256PlusPlus::seed_from_u64(1);
        let (mut mask, mut noise, mut plane) = (Mask::default(), Noise::default(), Vec::new());
        let of = Ellipse { x: 60.0, y: 40.0, across: 30.0, down: 10.0, angle: 0.5, wobble: 0.0, soft: 1.0 };
        mask.ellipse((120, 80), &of, &mut noise, &mut plane, &mut Random::new(&mut bits));
        // The edge is 1 pixel soft along the short axis and 3 along the long one, symmetric about the true edge.
        assert!((mask.count_above(0.5) as f64 / (PI * 300.0) - 1.0).abs() < 0.03);
        let touched = mask.values.chunks(mask.area.width).all(|row| row.iter().any(|&v| v > 0.0));
        assert!(touched && mask.area.width < 60 && mask.area.height < 45, "{:?}", mask.area);
    }

    #[test]
    fn a_line_lies_along_its_path_and_inside_the_frame() {
        let path: Vec<(f64, f64)> = (-5..60).map(|i| (f64::from(i) + 0.5, 20.5)).collect();
        let mut mask = Mask::default();
        mask.line((50, 40), &path, 1.0);
        assert_eq!((mask.area.x, mask.area.right()), (0, 50));
        assert_eq!(mask.count_above(0.3), 50 * 3);
        mask.line((50, 40), &[(-3.0, 5.0)], 1.0);
        assert_eq!(mask.values.len(), 0);
    }

    #[test]
    fn mirror_images_continue_a_row() {
        let visible: Vec<usize> = (-4..8).map(|i| mirrored(i, 3)).collect();
        assert_eq!(visible, [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1].map(|v: usize| v));
        assert_eq!(mirrored(-7, 1), 0);
    }
}
