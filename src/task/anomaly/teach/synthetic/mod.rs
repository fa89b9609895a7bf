//! Synthetic defects: what is painted into a normal picture so that scorers can be taught without a single real defect
//! (after CutPaste, Li et al. 2021, and DRAEM, Zavrtanik et al. 2021).
//!
//! ```text
//! random.rs --> noise.rs --> shapes.rs ----- where: a soft mask, 0..1
//!                                 \-- kinds.rs, faint.rs --> fill.rs (blur.rs) --> the picture with its defect
//!                                       what: how the pixels under the mask change
//! labelled defects --> transplant.rs (blur.rs) --> the picture with one of them
//! ```
//!
//! All lengths are in pixels of the picture itself; those that are not a share of its short side grow with it, so that
//! a defect of a large frame does not vanish when the frame is reduced for a network. Numbers are `f32` and `f64` in a
//! fixed order with functions from `libm` alone: the same seed gives the same bytes on every CPU.

mod blur;
mod faint;
mod fill;
mod kinds;
mod noise;
mod random;
mod shapes;
#[cfg(test)]
mod tests;
mod transplant;

pub use transplant::Transplanter;

use fill::{Frame, Layers};
use lineside_picture::{Layout, Picture, Rect, luma_into, rgb_into};
use rand_xoshiro::Xoshiro256PlusPlus;
use random::Random;

/// How often a defect is drawn again when the last one could not be seen.
const TRIES: usize = 20;
/// A mask of fewer pixels is no defect.
const LEAST_PIXELS: u64 = 6;
/// What can be seen: the mean change under the mask, as a share of the picture's standard deviation.
const LEAST_CHANGE: f64 = 0.03;
/// The least standard deviation that is reckoned with, grey levels.
const LEAST_DEVIATION: f64 = 10.0;

/// What kind of defect is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A small dark or bright spot: a pore, a splash.
    Spot,
    /// A thin bent line.
    Scratch,
    /// A piece of this or another picture in the wrong place.
    Paste,
    /// A region that is darker or brighter, with straight or round edges.
    Region,
    /// A region of the same brightness whose texture is smoother, rougher or another one.
    Texture,
    /// Something missing or in front at the picture's edge.
    Bite,
    /// Ragged patches that let the texture through.
    Stain,
    /// A long, jagged, branching hairline.
    Crack,
    /// Brightness that drifts over a large part of the picture.
    Shade,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 9] = [
        Kind::Spot,
        Kind::Scratch,
        Kind::Paste,
        Kind::Region,
        Kind::Texture,
        Kind::Bite,
        Kind::Stain,
        Kind::Crack,
        Kind::Shade,
    ];
}

/// Paints defects. Its buffers, a few planes of `f32` no larger than the picture, are used again from picture to
/// picture.
#[derive(Default)]
pub struct Painter {
    layers: Layers,
    donor: Picture,
}

impl Painter {
    /// Copies `source` to `out` and paints a defect into it; whether one could be painted. `mask` becomes grey, of the
    /// same size, 255 where the defect is and 0 elsewhere. `donor` is another picture of any size and layout, from
    /// which a piece may be pasted.
    ///
    /// Where none can be drawn that would be seen (black on black), `out` is then the source and `mask` all 0.
    pub fn paint(
        &mut self,
        kind: Kind,
        source: &Picture,
        donor: &Picture,
        rng: &mut Xoshiro256PlusPlus,
        out: &mut Picture,
        mask: &mut Picture,
    ) -> bool {
        let donor = if donor.is_empty() { source } else { in_layout(donor, source.layout(), &mut self.donor) };
        out.copy_from(source);
        mask.reshape(Layout::Grey, source.width(), source.height());
        mask.data_mut().fill(0);
        if source.is_empty() {
            return false;
        }
        let frame = Frame::new(source, donor);
        let least = LEAST_CHANGE * frame.deviation.iter().copied().fold(LEAST_DEVIATION, f64::max);
        let mut random = Random::new(rng);
        for _ in 0..TRIES {
            let Some(defect) = kinds::draw(kind, &frame, &mut random, &mut self.layers) else { continue };
            for channel in 0..source.channels() {
                defect.fill.target(channel, &frame, &mut self.layers);
                self.layers.blend(channel, out);
            }
            self.layers.mask.write_above(defect.cut, mask);
            let (pixels, change) = change_under(mask, self.layers.mask.area, source, out);
            if pixels >= LEAST_PIXELS && change > least {
                return true;
            }
            out.copy_from(source);
            mask.data_mut().fill(0);
        }
        false
    }
}

/// The picture in a layout: itself, or converted in the buffer.
fn in_layout<'a>(picture: &'a Picture, layout: Layout, buffer: &'a mut Picture) -> &'a Picture {
    match (picture.layout(), layout) {
        (Layout::Rgb, Layout::Grey) => luma_into(picture, buffer),
        (Layout::Grey, Layout::Rgb) => rgb_into(picture, buffer),
        _ => return picture,
    }
    buffer
}

/// The number of pixels under the mask, which marks none outside an area, and their mean absolute change, grey levels.
fn change_under(mask: &Picture, area: Rect, before: &Picture, after: &Picture) -> (u64, f64) {
    let channels = before.channels();
    let (mut count, mut sum) = (0, 0);
    for y in area.y..area.bottom() {
        let pixels =
            |picture| Picture::row(picture, y)[area.x * channels..area.right() * channels].chunks_exact(channels);
        let marks = &mask.row(y)[area.x..area.right()];
        for ((before, after), _) in pixels(before).zip(pixels(after)).zip(marks).filter(|(_, mark)| **mark > 0) {
            count += 1;
            sum += before.iter().zip(after).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
        }
    }
    (count, sum as f64 / (count * channels as u64).max(1) as f64)
}
