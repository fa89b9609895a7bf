//! Finds the part in frames, and brings them into place.

use crate::bundle::{AlignWithin, AlignmentSection, Bundle, BundleError, sha256};
use crate::task::anomaly::placement::Placement;
use lineside_picture::registration::{Match, PoseLimits, Registration, SearchWindow, Template};
use lineside_picture::{Layout, Picture, PictureError, Rect, decode_file, write_png};
use std::fmt;

/// The files of a bundle.
const TEMPLATE: &str = "alignment.png";
const WEIGHTS: &str = "alignment-weights.png";

/// A file of a bundle: its name and what it holds.
pub type BundleFile = (&'static str, Vec<u8>);

/// Finds the part, and brings frames into place.
#[derive(Debug, Clone)]
pub struct Aligner {
    registration: Registration,
    within: AlignWithin,
    /// The correlation with the template below which the part is not found.
    min_correlation: f64,
}

impl Aligner {
    /// By a template, and the correlation with it below which the part is not found.
    pub fn new(template: Template, within: AlignWithin, min_correlation: f64) -> Aligner {
        let mut registration = Registration::new(template);
        let (width, height) = registration.template().window().frame();
        // Once, so that all buffers are there.
        registration.find(&Picture::new(Layout::Rgb, width, height));
        Aligner { registration, within, min_correlation }
    }

    /// That with which a bundle was taught; `None` where frames are inspected as they are.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where it cannot be used.
    pub fn of_bundle(bundle: &Bundle) -> Result<Option<Aligner>, BundleError> {
        let section = bundle.manifest().anomaly.as_ref().and_then(|anomaly| anomaly.alignment.as_ref());
        let Some(section) = section else { return Ok(None) };
        let window = window(section.frame.into(), section.mark_rect(), &section.within);
        let Some(window) = window else {
            let problem = "[anomaly.alignment] the mark is smaller than 16x16 pixels or reaches beyond the frame";
            return Err(bundle.blame("bundle.toml", problem));
        };
        let (width, height) = window.template_size();
        let read = |name: &String| {
            let mut picture = Picture::default();
            match decode_file(&bundle.read(name)?, width * height, &mut picture) {
                Ok(_) if (picture.width(), picture.height(), picture.layout()) == (width, height, Layout::Grey) => {
                    Ok(picture)
                }
                Ok(_) => Err(bundle.blame(name, format!("expected a grey picture of {width}x{height} pixels"))),
                Err(error) => Err(bundle.blame(name, error)),
            }
        };
        let template = Template::new(window, read(&section.template)?, read(&section.weights)?);
        let template =
            template.ok_or_else(|| bundle.blame(&section.template, "has nothing by which it could be found"))?;
        Ok(Some(Aligner::new(template, section.within, section.correlation)))
    }

    /// What a bundle keeps of it: the section, and its files by name.
    ///
    /// # Errors
    /// [`PictureError`] where a picture cannot be encoded.
    pub fn section(&self) -> Result<(AlignmentSection, [BundleFile; 2]), PictureError> {
        let template = self.registration.template();
        let png = |picture: &Picture| {
            let mut bytes = Vec::new();
            write_png(&mut bytes, picture).map(|()| bytes)
        };
        let Rect { x, y, width, height } = template.window().mark();
        let section = AlignmentSection {
            frame: self.frame_size().into(),
            mark: [x, y, width, height],
            within: self.within,
            correlation: self.min_correlation,
            template: TEMPLATE.into(),
            weights: WEIGHTS.into(),
        };
        Ok((section, [(TEMPLATE, png(template.grey())?), (WEIGHTS, png(template.weights())?)]))
    }

    /// The size of the frames: width and height in pixels.
    pub fn frame_size(&self) -> (usize, usize) {
        self.registration.template().window().frame()
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        self.registration.bytes()
    }

    /// Identifies it: SHA-256, hexadecimal.
    pub fn fingerprint(&self) -> String {
        let template = self.registration.template();
        let mut bytes = format!("{:?} {} {}", template.window(), self.within, self.min_correlation).into_bytes();
        bytes.extend_from_slice(template.grey().data());
        bytes.extend_from_slice(template.weights().data());
        sha256(&bytes)
    }

    /// Draws the mark into a frame of its size, where it was taught: a frame in which it is found.
    pub fn draw_mark(&self, frame: &mut Picture) {
        let template = self.registration.template();
        let (Rect { x, y, .. }, step) = (template.window().mark(), template.window().step());
        let (grey, channels) = (template.grey(), frame.channels());
        for row in 0..grey.height() * step {
            let to = &mut frame.row_mut(y + row)[x * channels..(x + grey.width() * step) * channels];
            let levels = grey.row(row / step);
            to.chunks_exact_mut(channels * step).zip(levels).for_each(|(pixels, level)| pixels.fill(*level));
        }
    }

    /// Where the part lies in a frame.
    ///
    /// # Errors
    /// One line for a frame of another size; it says what to do.
    pub fn find(&mut self, frame: &Picture) -> Result<Placement, String> {
        let (width, height) = self.frame_size();
        if (frame.width(), frame.height()) != (width, height) {
            let (actual_width, actual_height) = (frame.width(), frame.height());
            return Err(format!(
                "frame {actual_width}x{actual_height}, but parts are found in frames of {width}x{height}: give frames of that size, or \
                 teach again with these"
            ));
        }
        let found: Match = self.registration.find(frame);
        Ok(match found.within && found.correlation >= self.min_correlation {
            true => Placement::At(found.map(self.registration.template().window())),
            false => Placement::Unfound,
        })
    }
}

impl fmt::Display for Aligner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rect { x, y, width, height } = self.registration.template().window().mark();
        write!(out, "by {width}x{height} at {x},{y}, within {}", self.within)
    }
}

/// Where a mark is looked for.
pub(super) fn window(frame: (usize, usize), mark: Rect, within: &AlignWithin) -> Option<SearchWindow> {
    let pixels = |side: usize| within.shift() / 100.0 * side as f64;
    let limits =
        PoseLimits { shift: (pixels(frame.0), pixels(frame.1)), turn: within.turn(), scale: within.scale() / 100.0 };
    SearchWindow::new(frame, mark, limits)
}

impl AlignmentSection {
    fn mark_rect(&self) -> Rect {
        let [x, y, width, height] = self.mark;
        Rect { x, y, width, height }
    }
}
