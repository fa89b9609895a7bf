//! Frames of another source as they are to be looked at: turned, mirrored, cropped. Pixels are moved, none is computed.

use super::frame::{Frame, FrameSource, Next, SourceCondition};
use lineside_picture::image::metadata::Orientation;
use lineside_picture::{Picture, Rect};
use std::time::Instant;

/// How a frame is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameView {
    /// How it is turned and mirrored.
    pub orientation: Orientation,
    /// What is left of the turned frame, in its pixels; `None`: all.
    pub crop: Option<Rect>,
}

impl FrameView {
    /// Whether frames stay as they are.
    pub fn is_plain(&self) -> bool {
        self.orientation == Orientation::NoTransforms && self.crop.is_none()
    }

    fn swaps_sides(&self) -> bool {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        matches!(self.orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
    }

    /// A frame's width and height, turned.
    fn turned(&self, (width, height): (usize, usize)) -> (usize, usize) {
        if self.swaps_sides() { (height, width) } else { (width, height) }
    }

    /// What is taken of a turned frame of this size.
    ///
    /// # Errors
    /// In one line, where a part of it lies outside.
    pub fn area(&self, (width, height): (usize, usize)) -> Result<Rect, String> {
        let Some(crop) = self.crop else { return Ok(Rect { x: 0, y: 0, width, height }) };
        if crop.right() > width || crop.bottom() > height {
            let Rect { x, y, width: w, height: h } = crop;
            let turned = if self.orientation == Orientation::NoTransforms { "" } else { ", once turned" };
            return Err(format!(
                "crop = [{x}, {y}, {w}, {h}] (left, top, width, height) reaches beyond the frame, which is {width}x{height}{turned}"
            ));
        }
        Ok(crop)
    }
}

/// Delivers another source's frames as a [`FrameView`] has them.
pub struct ViewSource {
    source: Box<dyn FrameSource>,
    view: FrameView,
    /// The frame as the source delivers it; its buffer goes round.
    raw: Picture,
}

impl ViewSource {
    /// Frames of `source` through `view`.
    ///
    /// # Errors
    /// In one line, where the source's frames are known to be too small for the view.
    pub fn new(source: Box<dyn FrameSource>, view: FrameView) -> Result<ViewSource, String> {
        let mut raw = Picture::default();
        if let Some(size) = source.frame_size() {
            view.area(view.turned(size))?;
            raw.reshape(lineside_picture::Layout::Rgb, size.0, size.1);
        }
        Ok(ViewSource { source, view, raw })
    }

    fn show(&mut self, frame: &mut Frame, outcome: Next) -> Next {
        if outcome != Next::Frame {
            return outcome;
        }
        std::mem::swap(&mut frame.picture, &mut self.raw);
        match self.view.area(self.raw.upright_size(self.view.orientation)) {
            Ok(area) => {
                self.raw.upright_into(self.view.orientation, area, &mut frame.picture);
                Next::Frame
            }
            Err(reason) => Next::Failed { name: frame.name.clone(), reason },
        }
    }
}

impl FrameSource for ViewSource {
    fn next(&mut self, frame: &mut Frame) -> Next {
        let outcome = self.source.next(frame);
        self.show(frame, outcome)
    }

    fn discard_stale(&mut self) {
        self.source.discard_stale();
    }

    fn next_since(&mut self, frame: &mut Frame, since: Instant) -> Next {
        let outcome = self.source.next_since(frame, since);
        self.show(frame, outcome)
    }

    fn discard_before(&mut self, before: Instant) {
        self.source.discard_before(before);
    }

    fn resize(&mut self, size: Option<(usize, usize)>) {
        self.source.resize(size.map(|size| self.view.turned(size)));
    }

    fn limit_file_bytes(&mut self, bytes: u64) {
        self.source.limit_file_bytes(bytes);
    }

    fn condition(&self) -> SourceCondition {
        self.source.condition()
    }

    fn is_live(&self) -> bool {
        self.source.is_live()
    }

    fn is_triggered(&self) -> bool {
        self.source.is_triggered()
    }

    fn max_pixels(&self) -> usize {
        self.source.max_pixels()
    }

    fn frame_size(&self) -> Option<(usize, usize)> {
        let area = self.view.area(self.view.turned(self.source.frame_size()?)).ok()?;
        Some((area.width, area.height))
    }

    fn describe(&self) -> String {
        let FrameView { orientation, crop } = self.view;
        let turned = match orientation {
            Orientation::NoTransforms => "",
            Orientation::Rotate90 => ", turned by 90 degrees",
            Orientation::Rotate180 => ", turned by 180 degrees",
            Orientation::Rotate270 => ", turned by 270 degrees",
            _ => ", turned and mirrored",
        };
        let cropped =
            crop.map_or(String::new(), |Rect { x, y, width, height }| format!(", {width}x{height} of it at {x},{y}"));
        self.source.describe() + turned + &cropped
    }
}

#[cfg(test)]
mod tests {
    use super::super::pattern::PatternSource;
    use super::*;

    fn pattern() -> Box<dyn FrameSource> {
        Box::new(PatternSource::new(64, 48, 3, 2, None, Some(2)))
    }

    #[test]
    fn frames_are_turned_and_cropped_to_the_byte() {
        let (mut plain, mut frame) = (Frame::default(), Frame::default());
        assert_eq!(pattern().next(&mut plain), Next::Frame);
        let crop = Rect { x: 5, y: 7, width: 30, height: 20 };
        let view = FrameView { orientation: Orientation::Rotate90, crop: Some(crop) };
        let mut source = ViewSource::new(pattern(), view).unwrap();
        assert_eq!(source.frame_size(), Some((30, 20)));
        for _ in 0..2 {
            assert_eq!(source.next(&mut frame), Next::Frame);
            assert_eq!((frame.picture.width(), frame.picture.height()), (30, 20));
        }
        let mut source = ViewSource::new(pattern(), view).unwrap();
        assert_eq!(source.next(&mut frame), Next::Frame);
        // Clockwise: what was at the left bottom is at the left top.
        let pixel = |picture: &Picture, x: usize, y: usize| picture.row(y)[3 * x..3 * x + 3].to_vec();
        for (x, y) in [(0, 0), (29, 19), (11, 3)] {
            let (turned_x, turned_y) = (x + crop.x, y + crop.y);
            assert_eq!(pixel(&frame.picture, x, y), pixel(&plain.picture, turned_y, 47 - turned_x), "{x},{y}");
        }
        assert!(source.describe().ends_with(", turned by 90 degrees, 30x20 of it at 5,7"), "{}", source.describe());
    }

    #[test]
    fn what_does_not_fit_is_refused_at_the_start_or_frame_by_frame() {
        let crop = Some(Rect { x: 0, y: 0, width: 60, height: 20 });
        let view = FrameView { orientation: Orientation::Rotate270, crop };
        let error = ViewSource::new(pattern(), view).err().unwrap();
        assert!(error.contains("crop = [0, 0, 60, 20]") && error.contains("which is 48x64, once turned"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let small = Picture::new(lineside_picture::Layout::Grey, 8, 8);
        lineside_picture::write_png(std::fs::File::create(folder.path().join("1.png")).unwrap(), &small).unwrap();
        let mode = super::super::FolderMode::Listed { repeat: false, fps: None };
        let telemetry = crate::telemetry::Telemetry::default();
        let source = super::super::FolderSource::open(folder.path(), mode, Vec::new(), 64, &telemetry).unwrap();
        let mut source =
            ViewSource::new(Box::new(source), FrameView { orientation: Orientation::NoTransforms, crop }).unwrap();
        let mut frame = Frame::default();
        let outcome = loop {
            match source.next(&mut frame) {
                Next::Pending => {}
                outcome => break outcome,
            }
        };
        assert!(matches!(outcome, Next::Failed { reason, .. } if reason.contains("the frame, which is 8x8")));
    }
}
