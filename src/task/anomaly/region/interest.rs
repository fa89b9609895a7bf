//! The pixels of a region, in frames of one size.

use super::spec::{RegionError, RegionSpec, mask_of};
use crate::bundle::{Bundle, BundleError, sha256};
use crate::task::anomaly::placement::Placement;
use crate::task::anomaly::view::MIN_SIDE;
use lineside_picture::{Layout, Picture, Rect};
use std::fmt;

/// What pixels outside get: the mean that the backbone subtracts, so that they are 0 to it.
const OUTSIDE: u8 = 127;

/// Pixels of one row: from `start` to the one before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PixelRun {
    y: u32,
    start: u32,
    end: u32,
}

/// The part of a frame that is inspected. Equal are regions with the same pixels, however they were drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionOfInterest {
    frame: (usize, usize),
    area: Rect,
    /// Pixels of `area` that are not inspected, in its own coordinates.
    outside: Vec<PixelRun>,
    /// Inspected pixels next to one that is not, or to the frame's edge; in the frame's coordinates.
    outline: Vec<PixelRun>,
    inspected: usize,
}

impl RegionOfInterest {
    /// The pixels of a region in frames of a size (width, height).
    ///
    /// # Errors
    /// [`RegionError::Misfit`] where a shape reaches beyond the frame, the mask has another size, or less than 32 x 32 pixels are left.
    pub fn new(spec: &RegionSpec, frame: (usize, usize)) -> Result<RegionOfInterest, RegionError> {
        let misfit = |problem: String| Err(RegionError::Misfit(problem));
        let (width, height) = frame;
        let beyond = |rect: Rect| rect.right() > width || rect.bottom() > height;
        if let Some(shape) = spec.shapes.iter().find(|shape| beyond(shape.bounds())) {
            return misfit(format!("{shape} reaches beyond the frame, which is {width}x{height}"));
        }
        if let Some(mask) = spec.ignored.as_ref().filter(|mask| (mask.width(), mask.height()) != frame) {
            let (mask_width, mask_height) = (mask.width(), mask.height());
            return misfit(format!(
                "the mask of what is ignored is {mask_width}x{mask_height}, the frame {width}x{height}"
            ));
        }
        let mask = rasterized(spec, frame);
        let mut outline = Vec::new();
        let mut area: Option<Rect> = None;
        let is_inspected = |x: usize, y: usize| mask.row(y)[x] > 0;
        for y in 0..height {
            let row = mask.row(y);
            if let (Some(left), Some(last)) =
                (row.iter().position(|mark| *mark > 0), row.iter().rposition(|mark| *mark > 0))
            {
                let (x, top) = area.map_or((left, y), |area| (area.x.min(left), area.y));
                let right = area.map_or(last + 1, |area| area.right().max(last + 1));
                area = Some(Rect { x, y: top, width: right - x, height: y + 1 - top });
            }
            runs_of(y, width, &mut outline, |x| {
                let is_enclosed = x > 0 && x + 1 < width && y > 0 && y + 1 < height && {
                    [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)].into_iter().all(|(x, y)| is_inspected(x, y))
                };
                is_inspected(x, y) && !is_enclosed
            });
        }
        let Some(area) = area else { return misfit("nothing is left to inspect: all of it is ignored".into()) };
        if area.width < MIN_SIDE || area.height < MIN_SIDE {
            let Rect { width, height, .. } = area;
            return misfit(format!(
                "what is inspected is {width}x{height}: at least {MIN_SIDE}x{MIN_SIDE} pixels are needed"
            ));
        }
        let mut outside = Vec::new();
        for y in 0..area.height {
            runs_of(y, area.width, &mut outside, |x| !is_inspected(area.x + x, area.y + y));
        }
        let inspected = mask.data().iter().filter(|mark| **mark > 0).count();
        outside.shrink_to_fit();
        outline.shrink_to_fit();
        Ok(RegionOfInterest { frame, area, outside, outline, inspected })
    }

    /// The region with which a bundle was taught; `None` where that was the whole frame.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where it cannot be read.
    pub fn of_bundle(bundle: &Bundle) -> Result<Option<RegionOfInterest>, BundleError> {
        let section = bundle.manifest().anomaly.as_ref().and_then(|anomaly| anomaly.region.as_ref());
        let Some(section) = section else { return Ok(None) };
        let blame = |problem: String| bundle.blame("bundle.toml", format!("[anomaly.region] {problem}"));
        let shapes = section.shapes.iter().map(|shape| shape.parse()).collect::<Result<_, String>>();
        let ignored = section.ignored.as_ref().map(|name| {
            let mask = mask_of(&bundle.read(name)?, section.frame[0].saturating_mul(section.frame[1]));
            mask.map_err(|error| bundle.blame(name, error))
        });
        let spec = RegionSpec { shapes: shapes.map_err(blame)?, ignored: ignored.transpose()? };
        let region = RegionOfInterest::new(&spec, section.frame.into());
        Ok(Some(region.map_err(|error| blame(error.to_string()))?))
    }

    /// The size of the frames for which it was drawn: width and height in pixels.
    pub fn frame_size(&self) -> (usize, usize) {
        self.frame
    }

    /// The bounding box of what is inspected, in the frame's coordinates.
    pub fn area(&self) -> Rect {
        self.area
    }

    /// Bytes of memory that it takes, with the picture that it makes of each frame.
    pub fn bytes(&self) -> usize {
        let runs = (self.outside.capacity() + self.outline.capacity()) * size_of::<PixelRun>();
        runs + self.area.width * self.area.height * Layout::Rgb.channels()
    }

    /// Identifies its pixels: SHA-256, hexadecimal.
    pub fn fingerprint(&self) -> String {
        sha256(format!("{:?} {:?} {:?}", self.frame, self.area, self.outside).as_bytes())
    }

    /// Makes `out` the part of a frame that is inspected: the pixels of [`RegionOfInterest::area`], those outside grey.
    ///
    /// # Errors
    /// [`RegionError::Misfit`] for a frame of another size; it says what to do.
    pub fn apply(&self, frame: &Picture, out: &mut Picture) -> Result<(), RegionError> {
        self.require_size((frame.width(), frame.height()))?;
        frame.crop_into(self.area, out);
        self.clear_outside(out, OUTSIDE);
        Ok(())
    }

    /// As [`RegionOfInterest::apply`], of a frame in which the part lies at a place.
    ///
    /// # Errors
    /// As [`RegionOfInterest::apply`].
    pub fn apply_at(&self, placement: &Placement, frame: &Picture, out: &mut Picture) -> Result<(), RegionError> {
        self.require_size((frame.width(), frame.height()))?;
        placement.resample(frame, self.area, out);
        self.clear_outside(out, OUTSIDE);
        Ok(())
    }

    /// As [`RegionOfInterest::apply_at`] of a mask, `[H, W]`: what lies outside is not marked.
    ///
    /// # Errors
    /// As [`RegionOfInterest::apply`].
    pub fn apply_to_mask(&self, placement: &Placement, mask: &Picture, out: &mut Picture) -> Result<(), RegionError> {
        self.require_size((mask.width(), mask.height()))?;
        placement.resample_mask(mask, self.area, out);
        self.clear_outside(out, 0);
        Ok(())
    }

    /// Takes back what was painted outside: of a picture that [`RegionOfInterest::apply`] has made, and of the mask of what was
    /// painted.
    pub fn restrict(&self, picture: &mut Picture, mask: &mut Picture) {
        self.clear_outside(picture, OUTSIDE);
        self.clear_outside(mask, 0);
    }

    /// Puts heat, `[H, W]` over [`RegionOfInterest::area`], in its place in the frame; nothing is hot outside.
    pub fn place_heat(&self, heat: &mut Picture) {
        self.clear_outside(heat, 0);
        let mut placed = Picture::new(Layout::Grey, self.frame.0, self.frame.1);
        for y in 0..self.area.height {
            placed.row_mut(self.area.y + y)[self.area.x..self.area.right()].copy_from_slice(heat.row(y));
        }
        *heat = placed;
    }

    /// Makes `out` a mask of the frame: 255 where it is inspected, 0 elsewhere.
    pub fn fill_mask(&self, out: &mut Picture) {
        out.reshape(Layout::Grey, self.area.width, self.area.height);
        out.data_mut().fill(255);
        self.place_heat(out);
    }

    /// Which cells of a grid of so many columns and rows over [`RegionOfInterest::area`] have a pixel that is inspected, row by row.
    pub fn cells(&self, (columns, rows): (usize, usize)) -> Vec<bool> {
        let mut mask = Picture::default();
        self.fill_mask(&mut mask);
        let Rect { x, y, width, height } = self.area;
        let span = |at: usize, side: usize, cells: usize| at * side / cells..((at + 1) * side).div_ceil(cells);
        let is_in = |row: usize, column: usize| {
            let columns = span(column, width, columns);
            span(row, height, rows).any(|down| mask.row(y + down)[x + columns.start..x + columns.end].contains(&255))
        };
        (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))).map(|(r, c)| is_in(r, c)).collect()
    }

    /// Its outline: rectangles of one row each, in the frame's coordinates.
    pub fn outline(&self) -> impl Iterator<Item = Rect> {
        self.outline.iter().map(|run| {
            let [y, start, end] = [run.y, run.start, run.end].map(|at| at as usize);
            Rect { x: start, y, width: end - start, height: 1 }
        })
    }

    fn require_size(&self, (width, height): (usize, usize)) -> Result<(), RegionError> {
        let (drawn_width, drawn_height) = self.frame;
        if (width, height) == self.frame {
            return Ok(());
        }
        Err(RegionError::Misfit(format!(
            "frame {width}x{height}, but the region was drawn in frames of {drawn_width}x{drawn_height}: give frames of that size, or \
             teach again with these"
        )))
    }

    fn clear_outside(&self, picture: &mut Picture, value: u8) {
        let channels = picture.channels();
        for run in &self.outside {
            let [y, start, end] = [run.y, run.start, run.end].map(|at| at as usize);
            picture.row_mut(y)[start * channels..end * channels].fill(value);
        }
    }
}

impl fmt::Display for RegionOfInterest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rect { x, y, width, height } = self.area;
        write!(out, "{width}x{height} at {x},{y} of frames of {}x{}", self.frame.0, self.frame.1)?;
        match self.outside.is_empty() {
            true => Ok(()),
            false => write!(out, ", {} % of that", 100 * self.inspected / (width * height)),
        }
    }
}

/// The frame as a mask, 255 where it is inspected. Every shape lies in the frame.
fn rasterized(spec: &RegionSpec, (width, height): (usize, usize)) -> Picture {
    let mut mask = Picture::new(Layout::Grey, width, height);
    let mut crossings = Vec::new();
    for y in 0..height {
        let row = mask.row_mut(y);
        if spec.shapes.is_empty() {
            row.fill(255);
        }
        for shape in &spec.shapes {
            shape.runs(y, &mut crossings).for_each(|(start, end)| row[start..end].fill(255));
        }
        if let Some(ignored) = &spec.ignored {
            row.iter_mut().zip(ignored.row(y)).for_each(|(mark, ignored)| *mark &= !*ignored);
        }
    }
    mask
}

/// Adds the runs of a row's pixels that are `chosen`.
fn runs_of(y: usize, width: usize, runs: &mut Vec<PixelRun>, chosen: impl Fn(usize) -> bool) {
    let mut start = None;
    for x in 0..=width {
        match (start, x < width && chosen(x)) {
            (None, true) => start = Some(x),
            (Some(first), false) => {
                runs.push(PixelRun { y: y as u32, start: first as u32, end: x as u32 });
                start = None;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "interest_tests.rs"]
mod tests;
