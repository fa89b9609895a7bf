//! The mark as it looks, at several sizes, and how it changes when it moves.

use super::window::{SearchWindow, halve};
use crate::picture::Picture;

/// The shortest side at the smallest size, in pixels.
const SMALLEST_SIDE: usize = 10;
/// Below this shift, in pixels, a still smaller size saves nothing.
const COARSE_SHIFT: f64 = 4.0;
/// The most points that are compared at each size: those that say most about where the mark lies.
const MAX_POINTS: usize = 2000;
/// What may vary: right, down, turn, scale.
pub(super) const MOTIONS: usize = 4;
/// These, contrast and brightness.
pub(super) const TERMS: usize = MOTIONS + 2;
/// Fractional bits of grey levels.
pub(super) const LEVEL_BITS: u32 = 4;

/// A pixel of the mark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) x: i16,
    pub(super) y: i16,
    /// How steady it is in good pictures, 1..255.
    pub(super) weight: i16,
    /// By how much it changes when the mark moves by a pixel to the right, down, turns or grows by a pixel at [`Size::radius`]; and its
    /// level.
    pub(super) terms: [i16; TERMS - 1],
}

impl Point {
    /// The terms that explain a level: those above, and 1 for brightness.
    pub(super) fn all_terms(&self) -> [i64; TERMS] {
        let [right, down, turn, scale, level] = self.terms.map(i64::from);
        [right, down, turn, scale, level, 1]
    }
}

/// Sums over points of weight times term times term.
pub(super) type Normal = [[i64; TERMS]; TERMS];

/// The mark at one size.
#[derive(Debug, Clone)]
pub(super) struct Size {
    pub(super) points: Vec<Point>,
    /// Of all points.
    pub(super) normal: Normal,
    /// Half of the longer side, in pixels.
    pub(super) radius: f64,
}

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Template {
    window: SearchWindow,
    grey: Picture,
    weights: Picture,
    /// The largest first, each half of the one before.
    sizes: Vec<Size>,
}

impl Template {
    /// From the reduced mark, `[H, W]` of [`SearchWindow::template_size`], and how much each of its pixels counts, 0..255. `None` where
    /// sizes differ, or it has no contrast to the right or down by which it could be found.
    pub fn new(window: SearchWindow, grey: Picture, weights: Picture) -> Option<Template> {
        let size = window.template_size();
        if [&grey, &weights]
            .iter()
            .any(|picture| (picture.width(), picture.height()) != size || picture.channels() != 1)
        {
            return None;
        }
        let (mut sizes, mut level, mut level_weights) = (Vec::new(), grey.clone(), weights.clone());
        let limits = window.limits();
        let mut shift = limits.shift.0.abs().max(limits.shift.1.abs()) / window.step() as f64;
        loop {
            sizes.push(Size::new(&level, &level_weights));
            let side = level.width().min(level.height()) / 2;
            if side < SMALLEST_SIDE || shift < COARSE_SHIFT && sizes.len() > 1 {
                break;
            }
            shift /= 2.0;
            level = halved(&level);
            level_weights = halved(&level_weights);
        }
        let has_slopes = |size: &Size| size.normal[0][0] > 0 && size.normal[1][1] > 0;
        let found = sizes.iter().all(|size| size.points.len() >= 2 * TERMS && has_slopes(size));
        found.then_some(Template { window, grey, weights, sizes })
    }

    /// Where it is looked for.
    pub fn window(&self) -> &SearchWindow {
        &self.window
    }

    /// The reduced mark.
    pub fn grey(&self) -> &Picture {
        &self.grey
    }

    /// How much each of its pixels counts.
    pub fn weights(&self) -> &Picture {
        &self.weights
    }

    pub(super) fn sizes(&self) -> &[Size] {
        &self.sizes
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        let points: usize = self.sizes.iter().map(|size| size.points.capacity() * size_of::<Point>()).sum();
        points + self.grey.data().len() + self.weights.data().len()
    }
}

fn halved(picture: &Picture) -> Picture {
    let mut half = Picture::default();
    halve(picture, &mut half);
    half
}

impl Size {
    fn new(grey: &Picture, weights: &Picture) -> Size {
        let (width, height) = (grey.width(), grey.height());
        let radius = width.max(height) as f64 / 2.0;
        let mut points = Vec::new();
        let level = |x: usize, y: usize| i32::from(grey.row(y)[x]) << LEVEL_BITS;
        // Without the outermost pixels, which have no slope.
        for y in 1..height.saturating_sub(1) {
            for x in 1..width.saturating_sub(1) {
                let weight = i16::from(weights.row(y)[x]);
                if weight == 0 {
                    continue;
                }
                let right = (level(x + 1, y) - level(x - 1, y)) / 2;
                let down = (level(x, y + 1) - level(x, y - 1)) / 2;
                // From the centre, in half pixels.
                let (cx, cy) = (2 * x as i32 + 1 - width as i32, 2 * y as i32 + 1 - height as i32);
                let diameter = width.max(height) as i32;
                let turn = (right * cy - down * cx) / diameter;
                let scale = (right * cx + down * cy) / diameter;
                let terms = [right, down, turn, scale, level(x, y)].map(|term| term as i16);
                points.push(Point { x: x as i16, y: y as i16, weight, terms });
            }
        }
        keep_telling(&mut points, MAX_POINTS);
        let mut normal = [[0; TERMS]; TERMS];
        points.iter().for_each(|point| add_to(&mut normal, point, 1));
        Size { points, normal, radius }
    }
}

/// How much a point says about where the mark lies.
pub(super) fn importance(point: &Point) -> i64 {
    let [right, down, ..] = point.terms.map(i64::from);
    i64::from(point.weight) * (right * right + down * down)
}

/// Keeps the `most` points that say most, in their order; of equals the first.
pub(super) fn keep_telling(points: &mut Vec<Point>, most: usize) {
    if points.len() <= most {
        return;
    }
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by_key(|at| (std::cmp::Reverse(importance(&points[*at])), *at));
    order.truncate(most);
    order.sort_unstable();
    *points = order.into_iter().map(|at| points[at]).collect();
}

/// Adds a point to the sums, `sign` times.
pub(super) fn add_to(normal: &mut Normal, point: &Point, sign: i64) {
    let terms = point.all_terms();
    for (row, first) in normal.iter_mut().zip(terms) {
        let weighted = sign * i64::from(point.weight) * first;
        row.iter_mut().zip(terms).for_each(|(sum, second)| *sum += weighted * second);
    }
}
