//! `rotate`, `flip` and `crop`, which every source takes.

use super::array::exactly;
use super::{FlipConfig, Violation};
use crate::source::FrameView;
use lineside_picture::Rect;
use lineside_picture::image::metadata::Orientation;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, Error};

/// How the frames of a source are to be looked at: turned, then mirrored, then cropped.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ViewConfig {
    /// By how many degrees they are turned clockwise: 0, 90, 180 or 270.
    pub rotate: Option<Spanned<i64>>,
    /// What is swapped then.
    pub flip: FlipConfig,
    /// What is left of the turned frame: left, top, width, height in its pixels.
    #[serde(deserialize_with = "exactly")]
    pub crop: Option<Spanned<[usize; 4]>>,
}

/// The least width and height of what is left, as of every frame.
const LEAST: usize = 32;

impl ViewConfig {
    /// Takes the keys out of the source's table: the sources themselves know nothing of them.
    ///
    /// # Errors
    /// Where a value is of another type.
    pub(super) fn take_from(root: &mut Spanned<DeTable>) -> Result<ViewConfig, Error> {
        let mut taken = DeTable::new();
        if let Some(DeValue::Table(sources)) = root.get_mut().get_mut("source").map(Spanned::get_mut) {
            for (name, source) in sources.iter_mut() {
                let DeValue::Table(source) = source.get_mut() else { continue };
                // What libcamera can do itself is left to it.
                let by_itself = name.get_ref() == "libcamera";
                for key in ["rotate", "flip", "crop"].into_iter().filter(|key| !by_itself || *key != "flip") {
                    taken.extend(source.remove_entry(key));
                }
            }
        }
        let span = root.span();
        serde::Deserialize::deserialize(Deserializer::from(Spanned::new(span, taken)))
    }

    /// The view.
    pub fn view(&self) -> FrameView {
        let (across, down) = match self.flip {
            FlipConfig::None => (false, false),
            FlipConfig::Horizontal => (true, false),
            FlipConfig::Vertical => (false, true),
            FlipConfig::Both => (true, true),
        };
        let quarters = self.rotate.as_ref().map_or(0, |rotate| rotate.get_ref() / 90);
        // Swapping both sides is half a turn; swapping up and down is that and left and right.
        let quarters = (quarters + if down { 2 } else { 0 }) % 4;
        let orientation = match (quarters, across != down) {
            (0, false) => Orientation::NoTransforms,
            (1, false) => Orientation::Rotate90,
            (2, false) => Orientation::Rotate180,
            (_, false) => Orientation::Rotate270,
            (0, true) => Orientation::FlipHorizontal,
            (1, true) => Orientation::Rotate90FlipH,
            (2, true) => Orientation::FlipVertical,
            (_, true) => Orientation::Rotate270FlipH,
        };
        let crop = self.crop.as_ref().map(|crop| {
            let [x, y, width, height] = *crop.get_ref();
            Rect { x, y, width, height }
        });
        FrameView { orientation, crop }
    }

    /// The first invalid value.
    pub(super) fn problem(&self) -> Option<Violation> {
        let turned =
            self.rotate.as_ref().filter(|rotate| ![0, 90, 180, 270].contains(rotate.get_ref())).map(|rotate| {
                let problem =
                    format!("rotate must be 0, 90, 180 or 270 (degrees, clockwise), found {}", rotate.get_ref());
                (rotate.span().start, problem)
            });
        turned.or_else(|| {
            let crop = self.crop.as_ref()?;
            let [_, _, width, height] = *crop.get_ref();
            let problem = format!(
                "crop is left, top, width and height in pixels, width and height at least {LEAST}: found {width}x{height}"
            );
            (width < LEAST || height < LEAST).then(|| (crop.span().start, problem))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use lineside_picture::{Layout, Picture};
    use std::path::Path;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("line.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn every_source_takes_it() {
        for source in ["[source.pattern]\n", "[source.folder]\npath = \"a\"\n", "[source.camera]\ndevice = \"0\"\n"] {
            let config =
                parse(&format!("{source}rotate = 270\nflip = \"horizontal\"\ncrop = [1, 2, 300, 200]\n")).unwrap();
            let crop = Some(Rect { x: 1, y: 2, width: 300, height: 200 });
            assert_eq!(config.view.view(), FrameView { orientation: Orientation::Rotate270FlipH, crop });
        }
        assert!(parse("[source.pattern]\n").unwrap().view.view().is_plain());
        // It has a flip of its own.
        let config = parse("[source.libcamera]\nflip = \"both\"\nrotate = 90\n").unwrap();
        assert_eq!(config.view.view().orientation, Orientation::Rotate90);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, expected) in [
            ("rotate = 45", "line.toml:2: rotate must be 0, 90, 180 or 270 (degrees, clockwise), found 45"),
            ("rotate = \"left\"", "line.toml:2: rotate: invalid type: string \"left\""),
            ("flip = \"over\"", "line.toml:2: flip: unknown variant `over`"),
            ("crop = [0, 0, 10, 10]", "line.toml:2: crop is left, top, width and height in pixels"),
            ("crop = [0, 0, 10]", "line.toml:2: crop: 4 numbers are wanted, found 3"),
            ("crop = [0, 0, 100, 100, 5]", "line.toml:2: crop: 4 numbers are wanted, found 5"),
            ("\nwidht = 3", "line.toml:3: unknown field `widht`"),
        ] {
            let error = parse(&format!("[source.pattern]\n{text}\n")).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    /// Turned, then mirrored, of all combinations: by a picture of which each pixel is known.
    #[test]
    fn turning_and_mirroring_make_one_of_eight_orientations() {
        let turn = |picture: &Picture| {
            let (width, height) = (picture.height(), picture.width());
            let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
            let data = pixels.map(|(x, y)| picture.row(picture.height() - 1 - x)[y]).collect();
            Picture::from_data(Layout::Grey, width, height, data).unwrap()
        };
        let mirror = |picture: &Picture, across: bool, down: bool| {
            let (width, height) = (picture.width(), picture.height());
            let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
            let from = |at: usize, length: usize, swap: bool| if swap { length - 1 - at } else { at };
            let data = pixels.map(|(x, y)| picture.row(from(y, height, down))[from(x, width, across)]).collect();
            Picture::from_data(Layout::Grey, width, height, data).unwrap()
        };
        let original = Picture::from_data(Layout::Grey, 3, 2, (1..=6).collect()).unwrap();
        for (word, across, down) in
            [("none", false, false), ("horizontal", true, false), ("vertical", false, true), ("both", true, true)]
        {
            let mut turned = original.clone();
            for degrees in [0, 90, 180, 270] {
                let config = parse(&format!("[source.pattern]\nrotate = {degrees}\nflip = \"{word}\"\n")).unwrap();
                let shown = original.clone().upright(config.view.view().orientation);
                assert_eq!(shown, mirror(&turned, across, down), "{degrees} {word}");
                turned = turn(&turned);
            }
        }
    }
}
