//! The enlarger: tiles and bands through the network, joined with chroma and opacity.

use super::luma_scale::LumaScale;
use super::plane_window::PlaneWindow;
use super::shared_plans::EnlargerPlans;
use super::tiles::{kept, spans};
use crate::bundle::{Bundle, Channels, SuperResolutionSection, Task};
use crate::task::error::TaskError;
use lineside_engine::{EngineError, Plan, Session, Workspace};
use lineside_picture::{BicubicRows, Layout, Picture, Rect, RowLayout, RowReader, merge_row};
use std::sync::Arc;

/// The largest tile, in input pixels per side, halo included.
const MAX_TILE: usize = 256;
/// The most bytes of enlarged luma in a band of rows, unless 16 rows have more.
const MAX_BAND_BYTES: usize = 4 << 20;

/// Enlarges pictures by one bundle.
pub struct Enlarger {
    bundle: Bundle,
    section: SuperResolutionSection,
    luma_scale: LumaScale,
    workspace: Workspace,
    tile: usize,
    session: Option<((usize, usize), Session)>,
    plans: EnlargerPlans,
    bicubic: BicubicRows,
    buffers: Buffers,
}

/// The buffers of an enlarger; reused.
#[derive(Default)]
struct Buffers {
    window: PlaneWindow,
    /// Enlarged luma of a band.
    luma: Picture,
    /// The planes of a band that are enlarged by bicubic, with their margins, and an enlarged row of each.
    planes: [Picture; 3],
    rows: [Vec<u8>; 3],
    colour: Vec<u8>,
    pixels: Vec<u8>,
}

impl Enlarger {
    /// An enlarger by a bundle for super-resolution. The network is planned when the first picture comes, for its tile size.
    ///
    /// # Errors
    /// [`TaskError::Bundle`] where the bundle is for another task or does not take luma.
    pub fn new(bundle: Bundle) -> Result<Enlarger, TaskError> {
        let manifest = bundle.manifest();
        let (Task::SuperResolution, Some(section), Channels::Luma) =
            (manifest.task, manifest.super_resolution, manifest.input.channels)
        else {
            let problem = "task is not \"super-resolution\" on luma; use a bundle for that task";
            return Err(bundle.blame("bundle.toml", problem).into());
        };
        let bicubic = BicubicRows::new(section.scale);
        let luma_scale = LumaScale::new(manifest.input.preparation.as_ref());
        Ok(Enlarger {
            section,
            luma_scale,
            bundle,
            workspace: Workspace::new(1)?,
            tile: MAX_TILE,
            session: None,
            plans: EnlargerPlans::default(),
            bicubic,
            buffers: Buffers::default(),
        })
    }

    /// Runs the network on `threads` threads. The output is the same for any number.
    ///
    /// # Errors
    /// [`TaskError::Engine`] where they cannot be started.
    pub fn with_threads(self, threads: usize) -> Result<Enlarger, TaskError> {
        Ok(self.in_workspace(&Workspace::new(threads)?))
    }

    /// Runs the network in a workspace, which may be shared with other networks that run before or after.
    pub fn in_workspace(self, workspace: &Workspace) -> Enlarger {
        Enlarger { workspace: workspace.clone(), session: None, ..self }
    }

    /// Takes plans from others that enlarge by the same bundle, and leaves its own to them, so that they share the packed weights.
    pub fn sharing(self, plans: &EnlargerPlans) -> Enlarger {
        Enlarger { plans: plans.clone(), session: None, ..self }
    }

    /// Whether another enlarger runs the plan for pictures of this size, too.
    ///
    /// # Errors
    /// As [`Enlarger::plan_for`].
    pub fn shares_plan_for(&mut self, width: usize, height: usize) -> Result<bool, TaskError> {
        let plan = self.session(self.kept(width, height))?.shared_plan();
        // The session's, and this one.
        Ok(Arc::strong_count(&plan) > 2)
    }

    /// Limits tiles to `tile` pixels per side, halo included. The output is the same for any number.
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

    /// The plan for pictures of this size. Pictures larger than a tile share the tile's plan.
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

    /// Enlarges a part of a picture: the same pixels as in the enlarged whole. After the first area of a size, further areas of
    /// that size allocate nothing.
    ///
    /// # Errors
    /// As [`Enlarger::enlarge`].
    pub fn enlarge_area(&mut self, picture: &Picture, area: Rect, large: &mut Picture) -> Result<(), TaskError> {
        let area = area.clamp_to(picture.width(), picture.height());
        let mut buffers = std::mem::take(&mut self.buffers);
        buffers.window.copy_area(picture, area, self.margin());
        large.reshape(picture.layout(), area.width * self.scale(), area.height * self.scale());
        let kept = self.kept(area.width, area.height);
        let mut done = 0;
        let result = spans(area.height, kept.1).try_for_each(|(start, height)| {
            let band = Rect { y: area.y + start, height, ..area };
            self.enlarge_band(&mut buffers, band, kept, &mut |row| {
                large.row_mut(done).copy_from_slice(row);
                done += 1;
                Ok(())
            })
        });
        self.buffers = buffers;
        result
    }

    /// Enlarges a picture row by row, including alpha: `write_row` receives the rows in the layout of the reader's, from top to
    /// bottom. Memory does not grow with the picture's height.
    ///
    /// # Errors
    /// As [`Enlarger::enlarge`], [`TaskError::Picture`] where a row cannot be read, and the first error of `write_row`.
    pub fn enlarge_rows(
        &mut self,
        reader: &mut RowReader,
        mut write_row: impl FnMut(&[u8]) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        let (width, height) = (reader.width(), reader.height());
        // Partial opacity reaches this far beyond visible pixels, and pixels there depend on this many around them.
        let hidden = BicubicRows::MARGIN + self.margin();
        let margin = self.margin() + if reader.row_layout().alpha { hidden } else { 0 };
        let kept = self.kept(width, height);
        let mut buffers = std::mem::take(&mut self.buffers);
        buffers.window.begin(reader, kept.1 + 2 * margin);
        let result = spans(height, kept.1).try_for_each(|(y, rows)| {
            buffers.window.read_to(reader, y.saturating_sub(margin), (y + rows + margin).min(height))?;
            buffers.window.bleed_alpha(hidden);
            self.enlarge_band(&mut buffers, Rect { x: 0, y, width, height: rows }, kept, &mut write_row)
        });
        self.buffers = buffers;
        result
    }

    /// The width of the border around a part on which its enlargement depends, in pixels.
    pub(super) fn margin(&self) -> usize {
        self.section.receptive_field.max(BicubicRows::MARGIN)
    }

    /// The width and height that each tile contributes to a picture of this size, in input pixels.
    fn kept(&self, width: usize, height: usize) -> (usize, usize) {
        let halo = self.section.receptive_field;
        let across = kept(width, halo, self.tile);
        let rows = MAX_BAND_BYTES / (width * self.scale() * self.scale()).max(1);
        (across, kept(height, halo, self.tile.min(rows + 2 * halo)))
    }

    /// Enlarges a band of the window, no higher than a tile.
    fn enlarge_band(
        &mut self,
        buffers: &mut Buffers,
        band: Rect,
        kept: (usize, usize),
        write_row: &mut dyn FnMut(&[u8]) -> Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        let Buffers { window, luma, planes, rows, colour, pixels } = buffers;
        self.enlarge_luma(window, band, kept, luma)?;
        let scale = self.section.scale;
        let RowLayout { layout, alpha } = window.row_layout();
        let others = window.row_layout().channels() - 1;
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
                write_row(coloured)?;
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
            write_row(pixels)?;
        }
        Ok(())
    }

    /// Runs the network on the luma of a band, tile by tile.
    fn enlarge_luma(
        &mut self,
        window: &PlaneWindow,
        band: Rect,
        kept: (usize, usize),
        luma: &mut Picture,
    ) -> Result<(), TaskError> {
        let SuperResolutionSection { scale, receptive_field: halo } = self.section;
        let (tile_width, border) = (kept.0 + 2 * halo, halo * scale);
        luma.reshape(Layout::Grey, band.width * scale, band.height * scale);
        self.session(kept)?;
        let Some((_, session)) = &mut self.session else { return Ok(()) };
        let before = |at: usize| at as isize - halo as isize;
        for (start, width) in spans(band.width, kept.0) {
            self.luma_scale.fill(session, tile_width, |row, to| {
                window.luma_into(before(band.x + start), before(band.y) + row as isize, to);
            })?;
            session.run()?;
            for y in 0..band.height * scale {
                let at = (border + y) * tile_width * scale + border;
                self.luma_scale.read(session, at, &mut luma.row_mut(y)[start * scale..][..width * scale])?;
            }
        }
        Ok(())
    }

    /// The network planned for tiles that contribute `kept` pixels; planned again only if that changes.
    fn session(&mut self, kept: (usize, usize)) -> Result<&mut Session, TaskError> {
        let planned = match self.session.take() {
            Some(planned) if planned.0 == kept => planned,
            _ => {
                let SuperResolutionSection { scale, receptive_field: halo } = self.section;
                let (width, height) = (kept.0 + 2 * halo, kept.1 + 2 * halo);
                let file = &self.bundle.manifest().model;
                if let Some(plan) = self.plans.find(self.bundle.fingerprint(), kept) {
                    let session = Session::in_workspace(plan, &self.workspace)?;
                    return Ok(&mut self.session.insert((kept, session)).1);
                }
                let blame = |e: EngineError| self.bundle.blame(file, e);
                let plan = self.bundle.model()?.plan(&[vec![1, 1, height, width]]).map_err(blame)?;
                let expected = [1, 1, height * scale, width * scale];
                let kind = self.luma_scale.kind();
                if let Some(other) = plan.inputs().iter().chain(plan.outputs().first()).find(|info| info.kind != kind) {
                    let problem = format!(
                        "\"{}\" is {}, but {kind} is expected: bytes, or floats with mean and std in [input.preparation]",
                        other.name, other.kind
                    );
                    return Err(self.bundle.blame(file, problem).into());
                }
                let output = plan.outputs().first().filter(|output| output.counted_axis.is_none());
                if output.map(|output| output.shape.as_slice()) != Some(&expected[..]) {
                    let problem = format!("does not enlarge {width}x{height} by {scale}");
                    return Err(self.bundle.blame(file, problem).into());
                }
                let plan = Arc::new(plan);
                self.plans.keep(self.bundle.fingerprint(), kept, &plan);
                (kept, Session::in_workspace(plan, &self.workspace)?)
            }
        };
        Ok(&mut self.session.insert(planned).1)
    }
}

/// The square of `side` pixels around `centre`, shifted to lie inside the picture.
pub fn spot(centre: (usize, usize), side: usize, picture: &Picture) -> Rect {
    Rect::around(centre.0, centre.1, side, side, picture.width(), picture.height())
}

/// The whole of a picture.
pub fn whole(picture: &Picture) -> Rect {
    Rect { x: 0, y: 0, width: picture.width(), height: picture.height() }
}
