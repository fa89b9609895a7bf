//! The appearance of a defect: for every pixel under the mask the value that it would have if the defect were opaque.

use super::blur::Blur;
use super::noise::Noise;
use super::random::Random;
use super::shapes::{Mask, mirrored};
use lineside_picture::{Layout, Picture, Rect, luma_into, rgb_into};

/// The Gaussian that separates the fine structure of a texture from the coarse, in units.
const COARSE: f64 = 6.0;
/// A unit is a pixel if the short side has at most this many: about the input size of a network.
const UNIT_SIDE: f64 = 320.0;

/// The unit of a picture of a size (width, height), pixels; at least 1.
pub(super) fn unit(size: (usize, usize)) -> f64 {
    (size.0.min(size.1) as f64 / UNIT_SIDE).max(1.0)
}

/// The picture into which a defect is painted, with its statistics.
pub(super) struct SourceFrame<'a> {
    pub source: &'a Picture,
    /// The picture from which pieces are taken, in the layout of the source.
    pub donor: &'a Picture,
    /// Mean of each channel, grey levels.
    pub mean: [f64; 3],
    /// Standard deviation of each channel, grey levels.
    pub deviation: [f64; 3],
    /// Width and height, pixels.
    pub size: (usize, usize),
    /// The short side, pixels.
    pub side: f64,
    /// The unit, in pixels, of lengths that are not a share of the short side; at least 1.
    pub unit: f64,
}

impl<'a> SourceFrame<'a> {
    /// Neither picture may be empty.
    pub fn new(source: &'a Picture, donor: &'a Picture) -> SourceFrame<'a> {
        let size = (source.width(), source.height());
        let (mut mean, mut deviation) = ([0.0; 3], [0.0; 3]);
        for channel in 0..source.channels() {
            let (mut sum, mut squares) = (0u64, 0u64);
            for pixel in source.data().chunks_exact(source.channels()) {
                let value = u64::from(pixel[channel]);
                sum += value;
                squares += value * value;
            }
            let count = (size.0 * size.1) as f64;
            mean[channel] = sum as f64 / count;
            deviation[channel] = (squares as f64 / count - mean[channel] * mean[channel]).max(0.0).sqrt();
        }
        SourceFrame { source, donor, mean, deviation, size, side: size.0.min(size.1) as f64, unit: unit(size) }
    }

    /// The mean of each channel within `reach` pixels of a point.
    pub fn mean_around(&self, x: f64, y: f64, reach: f64) -> [f64; 3] {
        let low = |at: f64| (at - reach).max(0.0) as usize;
        let (left, top) = (low(x).min(self.size.0 - 1), low(y).min(self.size.1 - 1));
        let (right, bottom) =
            (((x + reach) as usize + 2).min(self.size.0), ((y + reach) as usize + 2).min(self.size.1));
        let channels = self.source.channels();
        let mut sums = [0u64; 3];
        for y in top..bottom {
            for pixel in self.source.row(y)[left * channels..right * channels].chunks_exact(channels) {
                for (sum, &byte) in sums.iter_mut().zip(pixel) {
                    *sum += u64::from(byte);
                }
            }
        }
        sums.map(|sum| sum as f64 / ((right - left) * (bottom - top)) as f64)
    }
}

/// Intermediate results. Planes cover the mask's area, `[height, width]`.
#[derive(Default)]
pub(super) struct PaintBuffers {
    pub mask: Mask,
    pub noise: Noise,
    /// Noise, first for the edge of the mask, then for the fill.
    pub grain: Vec<f32>,
    /// A second noise.
    pub coarse: Vec<f32>,
    /// Points of a line, `(x, y)` in pixels.
    pub path: Vec<(f64, f64)>,
    target: Vec<f32>,
    blur: Blur,
}

impl PaintBuffers {
    /// Renders the noise of the fill over the mask's area, its nodes `cell` pixels apart.
    pub fn render_grain(&mut self, cell: f64, random: &mut Random) {
        self.noise.render(self.mask.area.width, self.mask.area.height, cell, random, &mut self.grain);
    }

    /// Blends the target of one channel into the picture, by the mask.
    pub fn blend(&self, channel: usize, out: &mut Picture) {
        let (area, channels) = (self.mask.area, out.channels());
        let width = area.width.max(1);
        let rows = self.mask.values.chunks_exact(width).zip(self.target.chunks_exact(width));
        for (y, (mask, target)) in (area.y..).zip(rows) {
            let pixels = out.row_mut(y)[area.x * channels..area.right() * channels].chunks_exact_mut(channels);
            for (pixel, (&share, &target)) in pixels.zip(mask.iter().zip(target)) {
                let value = f32::from(pixel[channel]) * (1.0 - share) + target * share;
                // The conversion saturates.
                pixel[channel] = (value + 0.5) as u8;
            }
        }
    }
}

/// How the pixels under a mask change. Arrays hold a value for each channel.
pub(super) enum Fill {
    /// Brightness times a factor.
    Scaled(f64),
    /// A level, plus the grain times a strength.
    Flat { level: [f64; 3], grain: [f64; 3] },
    /// Pixels from elsewhere.
    Pasted(Piece),
    /// Blurred by a Gaussian of `sigma` pixels, then scaled.
    Blurred { sigma: f64, factor: f64 },
    /// Contrast of the fine structure times `contrast`, then scaled.
    Roughened { contrast: f64, factor: f64 },
    /// The fine structure replaced by grain of `strength` times its standard deviation, then scaled.
    Grained { strength: f64, factor: f64 },
}

/// A piece of a picture, transposed and mirrored; the picture is continued by its mirror images.
pub(super) struct Piece {
    /// From the donor rather than from the picture itself.
    pub foreign: bool,
    /// Transposed: rows become columns.
    pub turned: bool,
    /// Read from right to left, from bottom to top.
    pub backwards: [bool; 2],
    /// Column and row of the pixel at the upper left corner of the frame.
    pub start: [usize; 2],
    /// Shifted to the mean brightness of what it covers.
    pub matched: bool,
}

/// The picture in a layout: itself, or converted into the buffer.
pub(super) fn in_layout<'a>(picture: &'a Picture, layout: Layout, buffer: &'a mut Picture) -> &'a Picture {
    match (picture.layout(), layout) {
        (Layout::Rgb, Layout::Grey) => luma_into(picture, buffer),
        (Layout::Grey, Layout::Rgb) => rgb_into(picture, buffer),
        _ => return picture,
    }
    buffer
}

/// The appearance of a defect, and the share of the mask that counts as defect.
pub(super) struct Defect {
    pub fill: Fill,
    /// Pixels with more than this share are marked.
    pub cut: f32,
}

impl Fill {
    /// Computes the target of one channel for the mask's area.
    pub fn target(&self, channel: usize, frame: &SourceFrame, buffers: &mut PaintBuffers) {
        let PaintBuffers { mask, grain, coarse, target, blur, .. } = buffers;
        let area = mask.area;
        match self {
            Fill::Scaled(factor) => {
                channel_into(frame.source, channel, area, target);
                scale(target, *factor);
            }
            Fill::Flat { level, grain: strength } => {
                let (level, strength) = (level[channel] as f32, strength[channel] as f32);
                target.clear();
                target.extend(grain.iter().map(|grain| level + strength * grain));
            }
            Fill::Pasted(piece) => {
                piece.copy_into(channel, frame, area, target);
                if piece.matched {
                    channel_into(frame.source, channel, area, coarse);
                    let shift = mean_under(mask, coarse) - mean_under(mask, target);
                    target.iter_mut().for_each(|value| *value += shift as f32);
                }
            }
            Fill::Blurred { sigma, factor } => {
                blur.run(frame.source, channel, area, *sigma, target);
                scale(target, *factor);
            }
            Fill::Roughened { contrast, factor } => {
                blur.run(frame.source, channel, area, COARSE * frame.unit, coarse);
                channel_into(frame.source, channel, area, target);
                for (value, low) in target.iter_mut().zip(coarse.iter()) {
                    *value = low + (*value - low) * *contrast as f32;
                }
                scale(target, *factor);
            }
            Fill::Grained { strength, factor } => {
                blur.run(frame.source, channel, area, COARSE * frame.unit, coarse);
                channel_into(frame.source, channel, area, target);
                let squares: f64 =
                    target.iter().zip(coarse.iter()).map(|(v, low)| f64::from((v - low) * (v - low))).sum();
                let amount = ((squares / target.len().max(1) as f64).sqrt() * strength) as f32;
                for ((value, low), grain) in target.iter_mut().zip(coarse.iter()).zip(grain.iter()) {
                    *value = low + amount * grain;
                }
                scale(target, *factor);
            }
        }
    }
}

impl Piece {
    /// Copies the pixels of the area.
    fn copy_into(&self, channel: usize, frame: &SourceFrame, area: Rect, out: &mut Vec<f32>) {
        let from = if self.foreign { frame.donor } else { frame.source };
        let channels = from.channels();
        let place = |axis: usize, at: usize, length: usize| {
            let at = (self.start[axis] + at) as i64;
            mirrored(if self.backwards[axis] { -1 - at } else { at }, length)
        };
        out.clear();
        for y in area.y..area.bottom() {
            if self.turned {
                let x = place(1, y, from.width());
                out.extend(
                    (area.x..area.right())
                        .map(|column| f32::from(from.row(place(0, column, from.height()))[x * channels + channel])),
                );
            } else {
                let row = from.row(place(1, y, from.height()));
                out.extend(
                    (area.x..area.right())
                        .map(|column| f32::from(row[place(0, column, from.width()) * channels + channel])),
                );
            }
        }
    }
}

/// One channel of a part of a picture.
fn channel_into(picture: &Picture, channel: usize, area: Rect, out: &mut Vec<f32>) {
    let channels = picture.channels();
    out.clear();
    for y in area.y..area.bottom() {
        let pixels = picture.row(y)[area.x * channels..area.right() * channels].chunks_exact(channels);
        out.extend(pixels.map(|pixel| f32::from(pixel[channel])));
    }
}

fn scale(values: &mut [f32], factor: f64) {
    values.iter_mut().for_each(|value| *value *= factor as f32);
}

/// The mean of the values where the mask is more than a half.
fn mean_under(mask: &Mask, values: &[f32]) -> f64 {
    let (mut sum, mut count) = (0.0, 0u64);
    for (&value, _) in values.iter().zip(&mask.values).filter(|(_, share)| **share > 0.5) {
        sum += f64::from(value);
        count += 1;
    }
    sum / count.max(1) as f64
}
