//! A template from pictures: the mean of the aligned mark, and where it is steady.

use super::search::{Match, Registration, correlation};
use super::template::{LEVEL_BITS, Template};
use super::window::SearchWindow;
use crate::picture::{Layout, Picture};

/// Pictures in which the mark is looked for where it is not.
const ABSENT: usize = 16;
/// A picture is not used where it correlates worse with the template than others do: by this many times their median, and this more.
const OTHERS: (f64, f64) = (4.0, 0.05);

/// What pictures taught.
#[derive(Debug, Clone)]
pub struct LearnedTemplate {
    /// The template.
    pub template: Template,
    /// By picture: where the mark is; its correlation is that with a template made of the other pictures.
    pub matches: Vec<Match>,
    /// By picture: whether it is part of the template. The others do not show the mark as most do, or not within the limits.
    pub used: Vec<bool>,
    /// The best correlations in pictures of which the halves are exchanged, so that the mark is not where it is looked for.
    pub absent: Vec<f64>,
}

/// Learns a template from reduced windows; the mark lies as in the first of them. `shape` is grey, of the template's size: how much each
/// pixel of the mark counts, where not all do. `None` without a picture, or where the mark has no contrast by which it could be found.
pub fn learn_template(window: &SearchWindow, pictures: &[Picture], shape: Option<&Picture>) -> Option<LearnedTemplate> {
    let first = pictures.first()?;
    let (width, height) = window.template_size();
    let mut even = Picture::new(Layout::Grey, width, height);
    even.data_mut().fill(255);
    let shape = shape.unwrap_or(&even);
    let (x, y) = window.origin();
    let mut grey = Picture::new(Layout::Grey, width, height);
    for row in 0..height {
        grey.row_mut(row).copy_from_slice(&first.row(y + row)[x..x + width]);
    }
    let mut by_first = Registration::new(Template::new(window.clone(), grey, shape.clone())?);
    let (matches, patches) = align(&mut by_first, pictures);
    let used = typical(&matches);
    let (grey, weights) = Mean::of(&patches, &used, shape, by_first.template().grey()).template((width, height), shape);
    let mut by_mean = Registration::new(Template::new(window.clone(), grey, weights)?);
    let (mut matches, patches) = align(&mut by_mean, pictures);
    let used = typical(&matches);
    let template = by_mean.template().clone();
    let mean = Mean::of(&patches, &used, template.weights(), template.grey());
    for (at, (found, patch)) in matches.iter_mut().zip(&patches).enumerate() {
        found.correlation = mean.correlation(patch, used[at].then_some(mean.light[at]), template.weights());
    }
    let every = pictures.len().div_ceil(ABSENT).max(1);
    let absent =
        pictures.iter().step_by(every).map(|picture| by_mean.find_in(&exchanged(picture)).correlation).collect();
    Some(LearnedTemplate { template, matches, used, absent })
}

/// Finds the mark in each picture, and its pixels there.
fn align(registration: &mut Registration, pictures: &[Picture]) -> (Vec<Match>, Vec<Vec<i16>>) {
    let found = pictures.iter().map(|picture| {
        let found = registration.find_in(picture);
        let mut patch = Vec::new();
        registration.aligned(picture, &found.pose, &mut patch);
        (found, patch)
    });
    found.unzip()
}

/// Which matches are like most of the others.
fn typical(matches: &[Match]) -> Vec<bool> {
    let mut missing: Vec<f64> = matches.iter().map(|found| 1.0 - found.correlation).collect();
    missing.sort_by(f64::total_cmp);
    let median = missing.get(missing.len() / 2).copied().unwrap_or(0.0);
    let limit = OTHERS.0 * median + OTHERS.1;
    matches.iter().map(|found| found.within && 1.0 - found.correlation <= limit).collect()
}

/// Sums over the marks of pictures, each brought to the same contrast and brightness.
struct Mean {
    counts: Vec<f64>,
    sums: Vec<f64>,
    squares: Vec<f64>,
    /// By picture: by what its levels are multiplied, and what is added.
    light: Vec<(f64, f64)>,
}

impl Mean {
    fn of(patches: &[Vec<i16>], used: &[bool], weights: &Picture, like: &Picture) -> Mean {
        let pixels = weights.data().len();
        let light = patches.iter().map(|patch| light(patch, weights, like)).collect();
        let mut mean = Mean { counts: vec![0.0; pixels], sums: vec![0.0; pixels], squares: vec![0.0; pixels], light };
        for ((patch, light), _) in patches.iter().zip(&mean.light).zip(used).filter(|(_, used)| **used) {
            for (at, level) in patch.iter().enumerate().filter(|(_, level)| **level >= 0) {
                let level = f64::from(*level) * light.0 + light.1;
                mean.counts[at] += 1.0;
                mean.sums[at] += level;
                mean.squares[at] += level * level;
            }
        }
        mean
    }

    /// The mean mark, and how steady it is: 255 times half of what the variance of a pixel is to the median of all.
    fn template(&self, (width, height): (usize, usize), shape: &Picture) -> (Picture, Picture) {
        let most = self.counts.iter().copied().fold(0.0, f64::max);
        let variance = |at: usize| {
            let mean = self.sums[at] / self.counts[at];
            (self.squares[at] / self.counts[at] - mean * mean).max(0.0)
        };
        let is_seen = |at: &usize| shape.data()[*at] > 0 && 2.0 * self.counts[*at] >= most && self.counts[*at] > 0.0;
        let mut variances: Vec<f64> = (0..self.sums.len()).filter(is_seen).map(variance).collect();
        variances.sort_by(f64::total_cmp);
        // At least that of the rounding of a level.
        let median = variances.get(variances.len() / 2).copied().unwrap_or(0.0).max(f64::from(1 << LEVEL_BITS));
        let (mut grey, mut weights) =
            (Picture::new(Layout::Grey, width, height), Picture::new(Layout::Grey, width, height));
        for at in (0..self.sums.len()).filter(is_seen) {
            let level = self.sums[at] / self.counts[at] / f64::from(1 << LEVEL_BITS);
            grey.data_mut()[at] = (level + 0.5).clamp(0.0, 255.0) as u8;
            let weight = f64::from(shape.data()[at]) * median / (median + variance(at));
            weights.data_mut()[at] = (weight + 0.5).max(1.0) as u8;
        }
        (grey, weights)
    }

    /// The correlation of a mark with the mean of the others; `light` is its own where it is part of the mean.
    fn correlation(&self, patch: &[i16], light: Option<(f64, f64)>, weights: &Picture) -> f64 {
        let (mut count, mut sums, mut squares, mut products) = (0, [0; 2], [0; 2], 0);
        for (at, level) in patch.iter().enumerate().filter(|(_, level)| **level >= 0) {
            let own = light.map_or((0.0, 0.0), |light| (1.0, f64::from(*level) * light.0 + light.1));
            let others = self.counts[at] - own.0;
            if others < 0.5 {
                continue;
            }
            let mean = ((self.sums[at] - own.1) / others + 0.5) as i64;
            let (weight, level) = (i64::from(weights.data()[at]), i64::from(*level));
            count += weight;
            sums = [sums[0] + weight * mean, sums[1] + weight * level];
            squares = [squares[0] + weight * mean * mean, squares[1] + weight * level * level];
            products += weight * mean * level;
        }
        if count > 0 { correlation(count, sums, squares, products) } else { 0.0 }
    }
}

/// By what the levels of a mark are multiplied, and what is added, so that contrast and brightness are those of another one.
fn light(patch: &[i16], weights: &Picture, like: &Picture) -> (f64, f64) {
    let (mut count, mut own, mut other) = (0i64, [0i64; 2], [0i64; 2]);
    let pixels = patch.iter().zip(weights.data()).zip(like.data());
    for ((level, weight), like) in pixels.filter(|((level, _), _)| **level >= 0) {
        let (weight, level, like) = (i64::from(*weight), i64::from(*level), i64::from(*like) << LEVEL_BITS);
        count += weight;
        own = [own[0] + weight * level, own[1] + weight * level * level];
        other = [other[0] + weight * like, other[1] + weight * like * like];
    }
    let moments = |[sum, squares]: [i64; 2]| {
        let mean = sum as f64 / count.max(1) as f64;
        (mean, (squares as f64 / count.max(1) as f64 - mean * mean).max(0.0).sqrt())
    };
    let ((mean, deviation), (wanted_mean, wanted)) = (moments(own), moments(other));
    if deviation <= 0.0 || wanted <= 0.0 {
        return (1.0, wanted_mean - mean);
    }
    let contrast = wanted / deviation;
    (contrast, wanted_mean - contrast * mean)
}

/// A picture of which left and right, top and bottom are exchanged.
fn exchanged(picture: &Picture) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let mut out = Picture::new(Layout::Grey, width, height);
    for y in 0..height {
        let row = out.row_mut((y + height / 2) % height);
        row.copy_from_slice(picture.row(y));
        row.rotate_right(width / 2);
    }
    out
}
