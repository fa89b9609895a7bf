//! The same picture, larger: luma through the network, chroma and opacity by fixed-point bicubic.
//!
//! Pictures of any size pass through in tiles with a halo as wide as the network's receptive field, and from file to
//! file in bands of rows, so that memory is fixed. Every pixel has around it what it depends on, so it is the same in
//! whatever tile, band or part of the picture it was computed.

mod bleed;
mod camera;
mod fit;
mod measure;
mod tiles;
mod when;
mod window;

pub use camera::photograph;
pub use fit::LEAST_SPOT;
pub use measure::{psnr_y, ssim_y};
pub use when::When;

use super::TaskError;
use crate::bundle::{Bundle, Channels, SuperResolutionSection, Task};
use lineside_engine::{EngineError, Plan, Session};
use lineside_picture::{BicubicRows, Filter, Layout, Picture, Rect, Resizer, RowLayout, RowReader, merge_row};
use std::sync::Arc;
use tiles::{kept, stretches};
use window::Window;

/// The largest tile, in input pixels a side, halo included.
const TILE: usize = 256;
/// The most bytes of enlarged luma that a band of rows may have, unless 16 rows have more.
const BAND: usize = 4 << 20;

/// Enlarges pictures by one bundle.
pub struct Enlarger {
    bundle: Bundle,
    section: SuperResolutionSection,
    threads: usize,
    tile: usize,
    session: Option<((usize, usize), Session)>,
    bicubic: BicubicRows,
    work: Work,
}

/// Buffers of an enlarger; reused.
#[derive(Default)]
struct Work {
    window: Window,
    /// Enlarged luma of a band.
    luma: Picture,
    /// Planes of a band that go by bicubic, with their margins, and a row of each, enlarged.
    planes: [Picture; 3],
    rows: [Vec<u8>; 3],
    colour: Vec<u8>,
    pixels: Vec<u8>,
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
        let bicubic = BicubicRows::new(section.scale);
        Ok(Enlarger { section, bundle, threads: 1, tile: TILE, session: None, bicubic, work: Work::default() })
    }

    /// The same, with the network's rows shared by `threads` threads. The bytes are the same for any number.
    pub fn with_threads(self, threads: usize) -> Enlarger {
        Enlarger { threads: threads.max(1), session: None, ..self }
    }

    /// The same, with tiles of at most `tile` pixels a side, halo included. The bytes are the same for any number.
    pub fn with_tile(self, tile: usize) -> Enlarger {
        Enlarger { tile, session: None, ..self }
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
        Ok(self.session(self.kept(width, height))?.plan())
    }

    /// Enlarges a picture, grey or RGB, into `large`, which is reshaped to `scale` times its size.
    ///
    /// # Errors
    /// [`TaskError`] where the network cannot be planned or run.
    pub fn enlarge(&mut self, picture: &Picture, large: &mut Picture) -> Result<(), TaskError> {
        self.enlarge_area(picture, whole(picture), large)
    }

    /// Enlarges a part of a picture: the same pixels as in the enlarged whole. Once areas of one size have been
    /// enlarged, others of that size take no memory.
    ///
    /// # Errors
    /// As [`Enlarger::enlarge`].
    pub fn enlarge_area(&mut self, picture: &Picture, area: Rect, large: &mut Picture) -> Result<(), TaskError> {
        let area = area.clamp_to(picture.width(), picture.height());
        let mut work = std::mem::take(&mut self.work);
        work.window.take(picture, area, self.margin());
        large.reshape(picture.layout(), area.width * self.scale(), area.height * self.scale());
        let kept = self.kept(area.width, area.height);
        let mut done = 0;
        let result = stretches(area.height, kept.1).try_for_each(|(start, height)| {
            let band = Rect { y: area.y + start, height, ..area };
            self.enlarge_band(&mut work, band, kept, &mut |row| {
                large.row_mut(done).copy_from_slice(row);
                done += 1;
                Ok(())
            })
        });
        self.work = work;
        result
    }

    /// Enlarges a picture row by row, alpha too: `give` gets the rows in the form of the reader's, from top to bottom.
    /// What is held does not grow with the picture's height.
    ///
    /// # Errors
    /// As [`Enlarger::enlarge`], [`TaskError::Picture`] where a row cannot be read, and what `give` fails with.
    pub fn enlarge_rows(
        &mut self,
        reader: &mut RowReader,
        mut give: impl FnMut(&[u8]) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        let (width, height) = (reader.width(), reader.height());
        // Opacity reaches so far from what can be seen, and what is seen there depends on so much around it.
        let hidden = BicubicRows::MARGIN + self.margin();
        let margin = self.margin() + if reader.row_layout().alpha { hidden } else { 0 };
        let kept = self.kept(width, height);
        let mut work = std::mem::take(&mut self.work);
        work.window.begin(reader, kept.1 + 2 * margin);
        let result = stretches(height, kept.1).try_for_each(|(y, rows)| {
            work.window.advance(reader, y.saturating_sub(margin), (y + rows + margin).min(height))?;
            work.window.reveal(hidden);
            self.enlarge_band(&mut work, Rect { x: 0, y, width, height: rows }, kept, &mut give)
        });
        self.work = work;
        result
    }

    /// Pixels around a part that its enlargement depends on.
    fn margin(&self) -> usize {
        self.section.receptive_field.max(BicubicRows::MARGIN)
    }

    /// Pixels that a tile keeps of a picture of this size, across and down.
    fn kept(&self, width: usize, height: usize) -> (usize, usize) {
        let halo = self.section.receptive_field;
        let across = kept(width, halo, self.tile);
        let rows = BAND / (width * self.scale() * self.scale()).max(1);
        (across, kept(height, halo, self.tile.min(rows + 2 * halo)))
    }

    /// Enlarges a band of what the window holds, no higher than a tile.
    fn enlarge_band(
        &mut self,
        work: &mut Work,
        band: Rect,
        kept: (usize, usize),
        give: &mut dyn FnMut(&[u8]) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        let Work { window, luma, planes, rows, colour, pixels } = work;
        self.enlarge_luma(window, band, kept, luma)?;
        let scale = self.section.scale;
        let RowLayout { layout, alpha } = window.form();
        let others = window.form().channels() - 1;
        for (i, plane) in planes.iter_mut().enumerate().take(others) {
            window.mirrored_into(i + 1, band, BicubicRows::MARGIN, plane);
        }
        let width = band.width * scale;
        rows.iter_mut().take(others).for_each(|row| row.resize(width, 0));
        colour.resize(width * layout.channels(), 0);
        pixels.resize(width * (layout.channels() + usize::from(alpha)), 0);
        for y in 0..luma.height() {
            for (plane, row) in planes.iter().zip(&mut *rows).take(others) {
                self.bicubic.row(plane, y, row)?;
            }
            let [cb, cr, _] = &*rows;
            let coloured = match layout {
                Layout::Grey => luma.row(y),
                Layout::Rgb => {
                    merge_row(luma.row(y), cb, cr, colour);
                    &*colour
                }
            };
            if !alpha {
                give(coloured)?;
                continue;
            }
            let channels = layout.channels();
            let opacity = &rows[others - 1];
            for ((pixel, colour), opacity) in
                pixels.chunks_exact_mut(channels + 1).zip(coloured.chunks_exact(channels)).zip(opacity)
            {
                pixel[..channels].copy_from_slice(colour);
                pixel[channels] = *opacity;
            }
            give(pixels)?;
        }
        Ok(())
    }

    /// Sends the luma of a band through the network, tile by tile.
    fn enlarge_luma(
        &mut self,
        window: &Window,
        band: Rect,
        kept: (usize, usize),
        luma: &mut Picture,
    ) -> Result<(), TaskError> {
        let SuperResolutionSection { scale, receptive_field: halo } = self.section;
        let session = self.session(kept)?;
        let (tile_width, border) = (kept.0 + 2 * halo, halo * scale);
        luma.reshape(Layout::Grey, band.width * scale, band.height * scale);
        let before = |at: usize| at as isize - halo as isize;
        for (start, width) in stretches(band.width, kept.0) {
            let input = session.input_mut::<u8>(0)?;
            for (row, y) in input.chunks_exact_mut(tile_width).zip(before(band.y)..) {
                window.luma_into(before(band.x + start), y, row);
            }
            session.run()?;
            let output = session.output::<u8>(0)?;
            for y in 0..band.height * scale {
                let from = &output[(border + y) * tile_width * scale + border..][..width * scale];
                luma.row_mut(y)[start * scale..][..width * scale].copy_from_slice(from);
            }
        }
        Ok(())
    }

    /// The network planned for tiles that keep so many pixels; planned anew only where their number changes.
    fn session(&mut self, kept: (usize, usize)) -> Result<&mut Session, TaskError> {
        let planned = match self.session.take() {
            Some(planned) if planned.0 == kept => planned,
            _ => {
                let SuperResolutionSection { scale, receptive_field: halo } = self.section;
                let (width, height) = (kept.0 + 2 * halo, kept.1 + 2 * halo);
                let file = &self.bundle.manifest().model;
                let blame = |e: EngineError| self.bundle.blame(file, e);
                let plan = self.bundle.model()?.plan(&[vec![1, 1, height, width]]).map_err(blame)?;
                let expected = [1, 1, height * scale, width * scale];
                if plan.outputs().first().map(|output| output.shape.as_slice()) != Some(&expected[..]) {
                    let problem = format!("does not enlarge {width}x{height} by {scale}");
                    return Err(self.bundle.blame(file, problem).into());
                }
                (kept, Session::with_threads(Arc::new(plan), self.threads).map_err(blame)?)
            }
        };
        Ok(&mut self.session.insert(planned).1)
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

/// The square around `centre` that is enlarged, shifted to lie inside a picture of the given size.
pub fn spot(centre: (usize, usize), side: usize, picture: &Picture) -> Rect {
    Rect::around(centre.0, centre.1, side, side, picture.width(), picture.height())
}

/// The whole of a picture.
pub fn whole(picture: &Picture) -> Rect {
    Rect { x: 0, y: 0, width: picture.width(), height: picture.height() }
}
