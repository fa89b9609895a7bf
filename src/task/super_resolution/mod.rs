//! The same picture, larger: luma through the network, chroma by fixed-point bicubic.
//!
//! Pictures of any size pass through in tiles with a halo as wide as the network's receptive field, so that memory is
//! fixed and the tiles' seams lie where both sides computed the same.

mod measure;

pub use measure::{psnr_y, ssim_y};

use super::TaskError;
use crate::bundle::{Bundle, Channels, SuperResolutionSection, Task};
use crate::engine::{EngineError, Plan, Session};
use crate::picture::{Filter, Layout, Picture, Rect, Resizer, merge_ycbcr, split_ycbcr};
use std::sync::Arc;

/// The largest tile, in input pixels a side, halo included.
const TILE: usize = 160;

/// Enlarges pictures by one bundle.
pub struct Enlarger {
    bundle: Bundle,
    section: SuperResolutionSection,
    tile: Option<(usize, usize, Session)>,
    work: Work,
}

/// Pictures on the way through an enlarger; reused.
#[derive(Default)]
struct Work {
    grown: Picture,
    planes: [Picture; 3],
    chroma: Picture,
    large: [Picture; 3],
}

impl Enlarger {
    /// Takes a bundle for super-resolution; the network is planned for the first picture's tile.
    ///
    /// # Errors
    /// [`TaskError::Bundle`] where the bundle is of another task or of channels that it cannot feed.
    pub fn new(bundle: Bundle) -> Result<Enlarger, TaskError> {
        let manifest = bundle.manifest();
        let (Task::SuperResolution, Some(section), Channels::Luma) =
            (manifest.task, manifest.super_resolution, manifest.input.channels)
        else {
            let problem = "task is not \"super-resolution\" on luma; name a bundle that was made for it";
            return Err(bundle.blame("bundle.toml", problem).into());
        };
        Ok(Enlarger { section, bundle, tile: None, work: Work::default() })
    }

    /// Output pixels per input pixel, along each axis.
    pub fn scale(&self) -> usize {
        self.section.scale
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The plan for pictures of this size; larger ones than a tile share the tile's plan.
    ///
    /// # Errors
    /// [`TaskError::Bundle`] where the network cannot be planned.
    pub fn plan_for(&mut self, width: usize, height: usize) -> Result<&Plan, TaskError> {
        let halo = self.section.receptive_field;
        Ok(self.session(tile_side(width, halo), tile_side(height, halo))?.plan())
    }

    /// Enlarges a picture, grey or RGB, into `large`, which is reshaped to `scale` times its size.
    ///
    /// # Errors
    /// [`TaskError`] where the network cannot be planned or run.
    pub fn enlarge(&mut self, picture: &Picture, large: &mut Picture) -> Result<(), TaskError> {
        self.enlarge_area(picture, whole(picture), large)
    }

    /// Enlarges a part of a picture. The network sees the pixels around the part too, so that the part has no border.
    ///
    /// # Errors
    /// As [`Enlarger::enlarge`].
    pub fn enlarge_area(&mut self, picture: &Picture, area: Rect, large: &mut Picture) -> Result<(), TaskError> {
        let halo = self.section.receptive_field;
        let grown = Rect {
            x: area.x.saturating_sub(halo),
            y: area.y.saturating_sub(halo),
            width: area.width + 2 * halo,
            height: area.height + 2 * halo,
        };
        let grown = grown.clamp_to(picture.width(), picture.height());
        let inner = Rect { x: area.x - grown.x, y: area.y - grown.y, ..area };
        let mut work = std::mem::take(&mut self.work);
        picture.crop_into(grown, &mut work.grown);
        let result = match picture.layout() {
            Layout::Grey => self.enlarge_luma(&work.grown, inner, large),
            Layout::Rgb => self.enlarge_colour(&mut work, inner, large),
        };
        self.work = work;
        result
    }

    fn enlarge_colour(&mut self, work: &mut Work, inner: Rect, large: &mut Picture) -> Result<(), TaskError> {
        let [y, cb, cr] = &mut work.planes;
        let [large_y, large_cb, large_cr] = &mut work.large;
        split_ycbcr(&work.grown, y, cb, cr);
        self.enlarge_luma(y, inner, large_y)?;
        for (plane, large) in [(cb, &mut *large_cb), (cr, &mut *large_cr)] {
            plane.crop_into(inner, &mut work.chroma);
            enlarge_bicubic(&work.chroma, self.section.scale, large)?;
        }
        Ok(merge_ycbcr(large_y, large_cb, large_cr, large)?)
    }

    /// Enlarges the part `inner` of one plane of luma. Where the halo leaves the plane its edge is repeated.
    fn enlarge_luma(&mut self, luma: &Picture, inner: Rect, large: &mut Picture) -> Result<(), TaskError> {
        let scale = self.section.scale;
        let halo = self.section.receptive_field;
        let (tile_width, tile_height) = (tile_side(inner.width, halo), tile_side(inner.height, halo));
        let session = self.session(tile_width, tile_height)?;
        large.reshape(Layout::Grey, inner.width * scale, inner.height * scale);
        let inside = |at: usize, length: usize| at.saturating_sub(halo).min(length - 1);
        for down in tiles(inner.height, tile_height, halo) {
            for across in tiles(inner.width, tile_width, halo) {
                let input = session.input_mut::<u8>(0)?;
                for (y, row) in input.chunks_exact_mut(tile_width).enumerate() {
                    let from = luma.row(inside(inner.y + down.start + y, luma.height()));
                    for (x, pixel) in row.iter_mut().enumerate() {
                        *pixel = from[inside(inner.x + across.start + x, luma.width())];
                    }
                }
                session.run()?;
                let output = session.output::<u8>(0)?;
                let (left, right) = (across.keep.0 * scale, across.keep.1 * scale);
                for y in down.keep.0 * scale..down.keep.1 * scale {
                    let row = (y + halo * scale - down.start * scale) * tile_width * scale;
                    let from = row + left + halo * scale - across.start * scale;
                    large.row_mut(y)[left..right].copy_from_slice(&output[from..from + right - left]);
                }
            }
        }
        Ok(())
    }

    /// The network planned for tiles of this size; planned anew only where the size changes.
    fn session(&mut self, width: usize, height: usize) -> Result<&mut Session, TaskError> {
        let planned = match self.tile.take() {
            Some(tile) if (tile.0, tile.1) == (width, height) => tile,
            _ => {
                let file = &self.bundle.manifest().model;
                let blame = |e: EngineError| self.bundle.blame(file, e);
                let plan = self.bundle.model()?.plan(&[vec![1, 1, height, width]]).map_err(blame)?;
                let scale = self.section.scale;
                let expected = [1, 1, height * scale, width * scale];
                if plan.outputs().first().map(|output| output.shape.as_slice()) != Some(&expected[..]) {
                    let problem = format!("does not enlarge {width}x{height} by {scale}");
                    return Err(self.bundle.blame(file, problem).into());
                }
                (width, height, Session::new(Arc::new(plan)).map_err(blame)?)
            }
        };
        Ok(&mut self.tile.insert(planned).2)
    }
}

/// Enlarges by fixed-point bicubic: what there was before networks.
///
/// # Errors
/// [`TaskError::Picture`] where the picture cannot be resized.
pub fn enlarge_bicubic(picture: &Picture, scale: usize, large: &mut Picture) -> Result<(), TaskError> {
    let (width, height) = (picture.width(), picture.height());
    let to = (width * scale, height * scale);
    Resizer::new(Filter::Bicubic, picture.layout(), (width, height), to)?.run(picture, large)?;
    Ok(())
}

/// The square around `centre` that is enlarged, inside a picture of the given size.
pub fn spot(centre: (usize, usize), side: usize, picture: &Picture) -> Rect {
    Rect::around(centre.0, centre.1, side, side, picture.width(), picture.height())
}

/// The whole of a picture.
pub fn whole(picture: &Picture) -> Rect {
    Rect { x: 0, y: 0, width: picture.width(), height: picture.height() }
}

/// The side of the tiles for a picture of this side.
fn tile_side(length: usize, halo: usize) -> usize {
    (length + 2 * halo).min(TILE)
}

/// One tile along one axis: the first pixel it reads, counted from `halo` before the picture, and the pixels of the
/// picture whose enlargement it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tile {
    start: usize,
    keep: (usize, usize),
}

/// Tiles of `tile` pixels, halo included, that cover `length`. Every kept pixel has its whole receptive field inside
/// its tile, so it does not show where the tiles lie.
fn tiles(length: usize, tile: usize, halo: usize) -> impl Iterator<Item = Tile> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done >= length {
            return None;
        }
        let start = done.min(length + 2 * halo - tile);
        let keep = (done, start + tile - 2 * halo);
        done = keep.1;
        Some(Tile { start, keep })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_pixel_once_with_a_whole_halo() {
        for (length, halo) in [(1, 5), (150, 5), (151, 5), (160, 5), (1000, 5), (20000, 8), (33, 15), (7, 64)] {
            let tile = tile_side(length, halo);
            let mut next = 0;
            for Tile { start, keep: (from, to) } in tiles(length, tile, halo) {
                assert_eq!(from, next, "{length}");
                assert!(to > from && start + tile <= length + 2 * halo, "{length}: inside");
                assert!(start <= from && to + 2 * halo <= start + tile, "{length}: whole halo");
                next = to;
            }
            assert_eq!(next, length);
        }
    }
}
