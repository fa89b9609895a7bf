//! The search: every place at the smallest size, then least squares from size to size.
//!
//! At a pose of the mark its pixels in the frame are explained as `contrast * template + brightness + motion * slopes`, by weighted
//! least squares. The motion, over the contrast, is by how much the pose is off (Lucas and Kanade 1981, in the inverse compositional form of
//! Baker and Matthews 2004 with gain and bias). Pixels that lie beyond the window are left out.

use super::template::{LEVEL_BITS, MOTIONS, Normal, Point, Size, TERMS, Template, add_to, keep_telling};
use super::window::halve;
use crate::picture::Picture;
use crate::similarity::{Pose, Similarity};

/// Points that are compared at each coarse place.
const COARSE_POINTS: usize = 600;
/// Coarse places that are followed.
const CANDIDATES: usize = 6;
/// Steps of least squares for each coarse place, and at each further size.
const COARSE_STEPS: usize = 4;
const STEPS: usize = 8;
/// A step of less than this, in pixels of a size, is the last.
const SMALL_STEP: f64 = 0.02;
/// The largest step, in pixels.
const LARGE_STEP: f64 = 1.5;
/// The share of a mark, by weight, that must be seen.
const SEEN: f64 = 0.5;
/// How far beyond its limits a pose counts as within them: a tenth, and a reduced pixel; and how far it is looked for.
const SLACK: f64 = 1.1;
const SEARCHED: f64 = 1.3;

/// Where a mark was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// Its pose, about [`super::SearchWindow::centre`].
    pub pose: Pose,
    /// The weighted correlation with the template there, -1..1.
    pub correlation: f64,
    /// Whether the pose lies within the limits.
    pub within: bool,
}

/// Looks for a mark. Buffers are made once.
#[derive(Debug, Clone)]
pub struct Registration {
    template: Template,
    /// The window at each size of the template.
    levels: Vec<Picture>,
    row_sums: Vec<u16>,
    coarse: Coarse,
}

/// What the coarse search uses.
#[derive(Debug, Clone)]
struct Coarse {
    points: Vec<Point>,
    /// By point: weight, weight times level, and that times level; of levels of a byte.
    weighted: Vec<[u32; 3]>,
    /// The sums of these.
    all: [i64; 3],
    /// Of the smallest window, with a margin all around; negative where there is no pixel.
    pixels: Vec<i16>,
    margin: usize,
    /// By point: where it lies in `pixels` for a mark that is turned and scaled but not shifted.
    places: Vec<usize>,
}

/// A pose in pixels of the reduced window.
#[derive(Debug, Clone, Copy)]
struct Place {
    shift: (f64, f64),
    /// In radians.
    turn: f64,
    scale: f64,
}

/// The sums of least squares at a place.
struct Sums {
    normal: Normal,
    /// Of weight times term times level in the frame.
    moments: [i64; TERMS],
    /// Of weight times the square of that.
    squares: i64,
}

impl Registration {
    /// Looks for this mark.
    pub fn new(template: Template) -> Registration {
        let levels = vec![Picture::default(); template.sizes().len()];
        let (limits, step) = (template.window().limits(), template.window().step() as f64);
        let shrink = step * (1u64 << (levels.len() - 1)) as f64;
        let mut points = template.sizes().last().map_or(Vec::new(), |size| size.points.clone());
        keep_telling(&mut points, COARSE_POINTS);
        let radius = template.sizes().last().map_or(0.0, |size| size.radius);
        let shift = limits.shift.0.abs().max(limits.shift.1.abs()) / shrink;
        let reach = 2.0 * radius * (limits.turn.abs().to_radians() + limits.scale.abs());
        let weighted: Vec<[u32; 3]> = points.iter().map(coarse_terms).collect();
        let all = [0, 1, 2].map(|at| weighted.iter().map(|terms| i64::from(terms[at])).sum());
        let (places, margin) = (vec![0; points.len()], (shift + reach) as usize + 4);
        let coarse = Coarse { places, points, weighted, all, pixels: Vec::new(), margin };
        Registration { template, levels, row_sums: Vec::new(), coarse }
    }

    /// What is looked for.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Bytes of memory that it takes, with its buffers.
    pub fn bytes(&self) -> usize {
        let (width, height) = self.template.window().size();
        let coarse = self.coarse.points.len() * (size_of::<Point>() + size_of::<usize>() + size_of::<[u32; 3]>());
        // The sizes of the window add up to less than one and a half of the largest.
        self.template.bytes() + width * height * 3 / 2 + coarse + 2 * self.template.window().mark().width * 3
    }

    /// Looks for the mark in a frame of the window's size.
    pub fn find(&mut self, frame: &Picture) -> Match {
        self.template.window().reduce(frame, &mut self.levels[0], &mut self.row_sums);
        self.find_in_levels()
    }

    /// As [`Registration::find`], in a window that is reduced already.
    pub fn find_in(&mut self, reduced: &Picture) -> Match {
        self.levels[0].copy_from(reduced);
        self.find_in_levels()
    }

    /// The correlation with the template of what lies in a pose, in a window that is reduced already.
    pub fn correlation_in(&mut self, reduced: &Picture, pose: &Pose) -> f64 {
        self.levels[0].copy_from(reduced);
        self.sums(0, self.place(pose)).map_or(0.0, |sums| sums.correlation())
    }

    fn find_in_levels(&mut self) -> Match {
        for at in 1..self.levels.len() {
            let (larger, smaller) = self.levels.split_at_mut(at);
            halve(&larger[at - 1], &mut smaller[0]);
        }
        let coarsest = self.levels.len() - 1;
        let mut best: Option<(Place, f64)> = None;
        for place in self.coarse_places().into_iter().flatten() {
            if let Some(found) = self.refine(coarsest, place, COARSE_STEPS)
                && best.is_none_or(|best| found.1 > best.1)
            {
                best = Some(found);
            }
        }
        // The smallest size again, if it is the only one.
        for size in (0..coarsest.max(1)).rev() {
            best = best.and_then(|(place, _)| self.refine(size, place, STEPS));
        }
        match best {
            Some((place, correlation)) => Match { pose: self.pose(place), correlation, within: self.is_within(place) },
            None => Match { pose: Pose::STILL, correlation: 0.0, within: false },
        }
    }

    /// The pose in pixels of the frame, in steps that are far finer than it is known.
    fn pose(&self, place: Place) -> Pose {
        let rounded = |value: f64, steps: f64| (value * steps + 0.5).floor() / steps;
        let step = self.template.window().step() as f64;
        Pose {
            shift: (rounded(place.shift.0 * step, 256.0), rounded(place.shift.1 * step, 256.0)),
            turn: rounded(place.turn * (180.0 / core::f64::consts::PI), 4096.0),
            scale: rounded(place.scale, 65536.0),
        }
    }

    fn place(&self, pose: &Pose) -> Place {
        let step = self.template.window().step() as f64;
        let shift = (pose.shift.0 / step, pose.shift.1 / step);
        Place { shift, turn: pose.turn * (core::f64::consts::PI / 180.0), scale: pose.scale }
    }

    /// How far a place may be off, in pixels, radians and as a share: the limits, `slack` times, and a pixel.
    fn bounds(&self, slack: f64) -> [f64; MOTIONS] {
        let (limits, step) = (self.template.window().limits(), self.template.window().step() as f64);
        let pixel = 1.0 / self.template.sizes()[0].radius;
        let [right, down] = [limits.shift.0, limits.shift.1].map(|shift| (shift.abs() / step + 1.0) * slack);
        let share = |limit: f64| if limit == 0.0 { 0.0 } else { (limit + pixel) * slack };
        [right, down, share(limits.turn.abs().to_radians()), share(limits.scale.abs())]
    }

    fn is_within(&self, place: Place) -> bool {
        let off = [place.shift.0, place.shift.1, place.turn, place.scale - 1.0];
        off.iter().zip(self.bounds(SLACK)).all(|(off, bound)| off.abs() <= bound)
    }

    /// The mark's pixels in a reduced window, in its pose there: levels in 16ths, row by row; -1 where there is no pixel.
    pub(super) fn aligned(&self, reduced: &Picture, pose: &Pose, out: &mut Vec<i16>) {
        let (width, height) = self.template.window().template_size();
        let sampler = self.sampler(0, self.place(pose));
        out.clear();
        for y in 0..height {
            out.extend((0..width).map(|x| sampler.level(reduced, x as i64, y as i64).map_or(-1, |level| level as i16)));
        }
    }

    /// The best coarse places.
    fn coarse_places(&mut self) -> [Option<Place>; CANDIDATES] {
        let size = self.levels.len() - 1;
        let shrink = (1u64 << size) as f64;
        let (limits, step) = (self.template.window().limits(), self.template.window().step() as f64);
        let radius = self.template.sizes()[size].radius;
        let level = &self.levels[size];
        let margin = self.coarse.margin;
        let stride = level.width() + 2 * margin;
        self.coarse.pixels.clear();
        self.coarse.pixels.resize(stride * (level.height() + 2 * margin), -1);
        for y in 0..level.height() {
            let row = &mut self.coarse.pixels[(y + margin) * stride + margin..][..level.width()];
            row.iter_mut().zip(level.row(y)).for_each(|(to, from)| *to = i16::from(*from));
        }
        let reach = |limit: f64| (limit.abs() / step / shrink).ceil() as i64;
        let (right, down) = (reach(limits.shift.0), reach(limits.shift.1));
        // By a pixel and a half at the corners from one to the next.
        let steps = |limit: f64| (limit * radius / 1.5).ceil() as i64;
        let (turn, scale) = (limits.turn.abs().to_radians(), limits.scale.abs());
        let (turns, scales) = (steps(turn), steps(scale));
        let mut best: [Option<(Place, f64)>; CANDIDATES] = [None; CANDIDATES];
        for at_scale in -scales..=scales {
            for at_turn in -turns..=turns {
                let share =
                    |at: i64, count: i64, limit: f64| if count > 0 { at as f64 / count as f64 * limit } else { 0.0 };
                let still = Place {
                    shift: (0.0, 0.0),
                    turn: share(at_turn, turns, turn),
                    scale: 1.0 + share(at_scale, scales, scale),
                };
                let sampler = self.sampler(size, still);
                let coarse = &mut self.coarse;
                for (place, point) in coarse.places.iter_mut().zip(&coarse.points) {
                    let (x, y) = sampler.nearest(i64::from(point.x), i64::from(point.y));
                    *place = ((y + margin as i64) * stride as i64 + x + margin as i64).max(0) as usize;
                }
                for y in -down..=down {
                    for x in -right..=right {
                        let correlation = coarse.correlation((y * stride as i64 + x) as isize);
                        let shift = (x as f64 * shrink, y as f64 * shrink);
                        insert(&mut best, (Place { shift, ..still }, correlation), 1.5 * shrink);
                    }
                }
            }
        }
        best.map(|found| found.map(|(place, _)| place))
    }

    /// From a place to the best one near it, at a size, and its correlation; `None` where too little of the mark is seen.
    fn refine(&self, size: usize, place: Place, steps: usize) -> Option<(Place, f64)> {
        let limits = self.template.window().limits();
        let (moves, bounds) = ([true, true, limits.turn != 0.0, limits.scale != 0.0], self.bounds(SEARCHED));
        let Size { radius, .. } = self.template.sizes()[size];
        let (mut place, mut best) = (place, None::<(Place, f64)>);
        for step in 0..=steps {
            let Some(sums) = self.sums(size, place) else { break };
            let correlation = sums.correlation();
            if best.is_none_or(|best| correlation > best.1) {
                best = Some((place, correlation));
            }
            let Some(motion) = (step < steps).then(|| sums.motion(moves)).flatten() else { break };
            place = place.moved(motion, radius, (1u64 << size) as f64).kept_within(bounds);
            if motion.iter().all(|step| step.abs() < SMALL_STEP) {
                // Too small to matter, but the best that is known.
                best = best.map(|(_, correlation)| (place, correlation));
                break;
            }
        }
        best
    }

    /// The sums at a place, over the points that are seen.
    fn sums(&self, size: usize, place: Place) -> Option<Sums> {
        let Size { points, normal, .. } = &self.template.sizes()[size];
        let (sampler, level) = (self.sampler(size, place), &self.levels[size]);
        let mut sums = Sums { normal: *normal, moments: [0; TERMS], squares: 0 };
        for point in points {
            let Some(seen) = sampler.level(level, i64::from(point.x), i64::from(point.y)) else {
                add_to(&mut sums.normal, point, -1);
                continue;
            };
            let weighted = i64::from(i32::from(point.weight) * seen);
            for (moment, term) in sums.moments.iter_mut().zip(point.terms) {
                *moment += weighted * i64::from(term);
            }
            sums.moments[TERMS - 1] += weighted;
            sums.squares += weighted * i64::from(seen);
        }
        let (seen, all) = (sums.normal[TERMS - 1][TERMS - 1] as f64, normal[TERMS - 1][TERMS - 1] as f64);
        (seen >= SEEN * all && seen > 0.0).then_some(sums)
    }

    /// From pixels of the template at a size to the window at that size.
    fn sampler(&self, size: usize, place: Place) -> Sampler {
        let window = self.template.window();
        let ((columns, rows), origin) = (window.template_size(), window.origin());
        let shrink = (1u64 << size) as f64;
        // Centres of the mark in the window and in itself, in pixels of this size, and from there to centres of pixels.
        let half = (columns as f64 / 2.0 / shrink, rows as f64 / 2.0 / shrink);
        let centre = (origin.0 as f64 / shrink + half.0 - 0.5, origin.1 as f64 / shrink + half.1 - 0.5);
        let (sine, cosine) = libm::sincos(place.turn);
        let (a, b) = (place.scale * cosine, place.scale * sine);
        let (x, y) = (0.5 - half.0, 0.5 - half.1);
        Sampler {
            a: fixed(a),
            b: fixed(b),
            right: fixed(centre.0 + place.shift.0 / shrink + a * x + b * y),
            down: fixed(centre.1 + place.shift.1 / shrink + a * y - b * x),
        }
    }
}

/// Keeps the best places, each the best around it.
fn insert(best: &mut [Option<(Place, f64)>; CANDIDATES], found: (Place, f64), apart: f64) {
    let near = |(a, _): (Place, f64), (b, _): (Place, f64)| {
        (a.shift.0 - b.shift.0).abs() < apart && (a.shift.1 - b.shift.1).abs() < apart
    };
    let is_better = |other: Option<(Place, f64)>| other.is_none_or(|other| found.1 > other.1);
    if !is_better(best[CANDIDATES - 1]) {
        return;
    }
    let at = match best.iter().position(|other| other.is_some_and(|other| near(other, found))) {
        Some(at) if !is_better(best[at]) => return,
        Some(at) => at,
        None => CANDIDATES - 1,
    };
    best[at] = Some(found);
    best.sort_by(|a, b| b.map_or(f64::NEG_INFINITY, |b| b.1).total_cmp(&a.map_or(f64::NEG_INFINITY, |a| a.1)));
}

impl Coarse {
    /// The correlation of the mark, shifted by an offset in `pixels`.
    fn correlation(&self, offset: isize) -> f64 {
        let ([mut count, mut template, mut templates], [mut frame, mut frames, mut products]) = (self.all, [0i64; 3]);
        for (place, &[weight, level, square]) in self.places.iter().zip(&self.weighted) {
            let seen = self.pixels.get(place.wrapping_add_signed(offset)).copied().unwrap_or(-1);
            if seen < 0 {
                count -= i64::from(weight);
                template -= i64::from(level);
                templates -= i64::from(square);
                continue;
            }
            let seen = seen as u32;
            frame += i64::from(weight * seen);
            frames += i64::from(weight * seen * seen);
            products += i64::from(level * seen);
        }
        if (count as f64) < SEEN * self.all[0] as f64 {
            return -1.0;
        }
        correlation(count, [template, frame], [templates, frames], products)
    }
}

fn coarse_terms(point: &Point) -> [u32; 3] {
    let (weight, level) = (point.weight as u32, point.terms[TERMS - 2] as u32 >> LEVEL_BITS);
    [weight, weight * level, weight * level * level]
}

impl Place {
    /// The nearest place within bounds.
    fn kept_within(self, [right, down, turn, scale]: [f64; MOTIONS]) -> Place {
        Place {
            shift: (self.shift.0.clamp(-right, right), self.shift.1.clamp(-down, down)),
            turn: self.turn.clamp(-turn, turn),
            scale: self.scale.clamp(1.0 - scale, 1.0 + scale),
        }
    }

    /// A motion of the template's own coordinates goes before the pose. `radius` and `motion` are in pixels of a size, of which one is
    /// `shrink` pixels of the window.
    fn moved(self, motion: [f64; MOTIONS], radius: f64, shrink: f64) -> Place {
        let [right, down, turn, scale] = motion.map(|step| step.clamp(-LARGE_STEP, LARGE_STEP));
        let (sine, cosine) = libm::sincos(self.turn);
        let (a, b) = (self.scale * cosine * shrink, self.scale * sine * shrink);
        Place {
            shift: (self.shift.0 + a * right + b * down, self.shift.1 + a * down - b * right),
            turn: self.turn + turn / radius,
            scale: self.scale * (1.0 + scale / radius).max(0.5),
        }
    }
}

impl Sums {
    fn correlation(&self) -> f64 {
        let [level, one] = [TERMS - 2, TERMS - 1];
        let (sums, squares) = ([self.normal[level][one], self.moments[one]], [self.normal[level][level], self.squares]);
        correlation(self.normal[one][one], sums, squares, self.moments[level])
    }

    /// By how much the place is off: right, down, turn and scale in pixels. `None` where that cannot be known.
    fn motion(&self, moves: [bool; MOTIONS]) -> Option<[f64; MOTIONS]> {
        let active = |term: usize| moves.get(term).is_none_or(|moves| *moves);
        let mut system = [[0.0; TERMS + 1]; TERMS];
        for (at, row) in system.iter_mut().enumerate() {
            if !active(at) {
                row[at] = 1.0;
                continue;
            }
            for (other, value) in row[..TERMS].iter_mut().enumerate().filter(|(other, _)| active(*other)) {
                *value = self.normal[at][other] as f64;
            }
            // What cannot be told apart stays where it is.
            row[at] *= 1.0 + 1e-6;
            row[at] += 1.0;
            row[TERMS] = self.moments[at] as f64;
        }
        let solved = solve(system)?;
        let contrast = solved[MOTIONS];
        if contrast <= 0.0 {
            return None;
        }
        let mut motion = [0.0; MOTIONS];
        for (motion, term) in motion.iter_mut().zip(solved) {
            *motion = -term / contrast;
        }
        motion.iter().all(|step| step.is_finite()).then_some(motion)
    }
}

/// Gaussian elimination with pivots on the diagonal, which a sum of squares allows; the last column is the right side.
fn solve(mut rows: [[f64; TERMS + 1]; TERMS]) -> Option<[f64; TERMS]> {
    for at in 0..TERMS {
        let pivot = rows[at];
        if pivot[at].is_nan() || pivot[at] <= 0.0 {
            return None;
        }
        for row in rows.iter_mut().skip(at + 1) {
            let factor = row[at] / pivot[at];
            row.iter_mut().zip(pivot).for_each(|(value, above)| *value -= factor * above);
        }
    }
    let mut solved = [0.0; TERMS];
    for at in (0..TERMS).rev() {
        let known: f64 = (at + 1..TERMS).map(|other| rows[at][other] * solved[other]).sum();
        solved[at] = (rows[at][TERMS] - known) / rows[at][at];
    }
    Some(solved)
}

/// From sums over a total weight: of both, of their squares, and of their products. 0 where one of them is even.
pub(super) fn correlation(count: i64, sums: [i64; 2], squares: [i64; 2], products: i64) -> f64 {
    let count = count as f64;
    let variance = |at: usize| squares[at] as f64 - sums[at] as f64 / count * sums[at] as f64;
    let covariance = products as f64 - sums[0] as f64 / count * sums[1] as f64;
    let both = variance(0) * variance(1);
    if count > 0.0 && variance(0) > 0.0 && both > 0.0 { covariance / both.sqrt() } else { 0.0 }
}

/// From pixels of the template to places in a window, in 65536ths.
struct Sampler {
    a: i64,
    b: i64,
    right: i64,
    down: i64,
}

impl Sampler {
    fn place(&self, x: i64, y: i64) -> (i64, i64) {
        (self.a * x + self.b * y + self.right, self.a * y - self.b * x + self.down)
    }

    /// The level, in 16ths, interpolated bilinearly; `None` beyond the picture.
    fn level(&self, picture: &Picture, x: i64, y: i64) -> Option<i32> {
        let (right, down) = self.place(x, y);
        let (column, line) = (right >> 16, down >> 16);
        if column < 0 || line < 0 {
            return None;
        }
        let (column, line, stride) = (column as usize, line as usize, picture.width());
        if column + 1 >= stride || line + 1 >= picture.height() {
            return None;
        }
        let at = line * stride + column;
        let (upper, lower) = (picture.data().get(at..at + 2)?, picture.data().get(at + stride..at + stride + 2)?);
        let (fx, fy) = (((right >> 8) & 255) as i32, ((down >> 8) & 255) as i32);
        let between = |row: &[u8]| i32::from(row[0]) * (256 - fx) + i32::from(row[1]) * fx;
        Some((between(upper) * (256 - fy) + between(lower) * fy + (1 << 11)) >> 12)
    }

    /// The pixel nearest to the place.
    fn nearest(&self, x: i64, y: i64) -> (i64, i64) {
        let (right, down) = self.place(x, y);
        ((right + (1 << 15)) >> 16, (down + (1 << 15)) >> 16)
    }
}

fn fixed(value: f64) -> i64 {
    (value * 65536.0 + 0.5).floor() as i64
}

impl Match {
    /// The map from a pixel of a frame with the mark where it was learned to the same point of the part in this frame.
    pub fn map(&self, window: &super::SearchWindow) -> Similarity {
        Similarity::of_pose(&self.pose, window.centre())
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
