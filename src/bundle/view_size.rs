//! The size of a view: what a frame, or the part of it that is inspected, is resized to for the backbone.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest side.
const LONGEST: usize = 1024;

/// Width and height in pixels; in a manifest `320` for a square, otherwise `[672, 480]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(from = "Written", into = "Written")]
pub struct ViewSize {
    /// Width.
    pub width: usize,
    /// Height.
    pub height: usize,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged, expecting = "expected the side of a square, or [width, height]")]
enum Written {
    Square(usize),
    Sides([usize; 2]),
}

impl ViewSize {
    /// Of which sides are multiples: the backbone halves its input five times.
    pub const MULTIPLE: usize = 32;

    /// A square.
    pub const fn square(side: usize) -> ViewSize {
        ViewSize { width: side, height: side }
    }

    /// Number of pixels.
    pub fn pixels(self) -> usize {
        self.width * self.height
    }

    /// Whether the backbone can take it.
    pub(super) fn is_sound(self) -> bool {
        [self.width, self.height]
            .iter()
            .all(|side| (ViewSize::MULTIPLE..=LONGEST).contains(side) && side % ViewSize::MULTIPLE == 0)
    }

    /// The side nearest to this many pixels that a view can have.
    pub fn nearest_side(pixels: usize) -> usize {
        ((pixels + ViewSize::MULTIPLE / 2) / ViewSize::MULTIPLE * ViewSize::MULTIPLE).clamp(ViewSize::MULTIPLE, LONGEST)
    }
}

impl From<Written> for ViewSize {
    fn from(written: Written) -> ViewSize {
        match written {
            Written::Square(side) => ViewSize::square(side),
            Written::Sides([width, height]) => ViewSize { width, height },
        }
    }
}

impl From<ViewSize> for Written {
    fn from(ViewSize { width, height }: ViewSize) -> Written {
        if width == height { Written::Square(width) } else { Written::Sides([width, height]) }
    }
}

impl fmt::Display for ViewSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}x{}", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_written_as_before() {
        #[derive(Debug, PartialEq, Deserialize, Serialize)]
        struct Section {
            views: Vec<ViewSize>,
        }
        for (text, sizes) in [
            ("views = [320, 128]\n", [(320, 320), (128, 128)]),
            ("views = [[672, 480], 128]\n", [(672, 480), (128, 128)]),
        ] {
            let views = sizes.map(|(width, height)| ViewSize { width, height }).to_vec();
            assert_eq!(toml::from_str::<Section>(text).unwrap(), Section { views: views.clone() });
            assert_eq!(toml::to_string(&Section { views }).unwrap(), text);
        }
        let problem = toml::from_str::<Section>("views = [\"large\"]").unwrap_err().to_string();
        assert!(problem.contains("expected the side of a square, or [width, height]"), "{problem}");
    }

    #[test]
    fn sides_are_multiples_of_32() {
        assert_eq!([1, 47, 48, 300, 330, 5000].map(ViewSize::nearest_side), [32, 32, 64, 288, 320, 1024]);
        for (width, height, sound) in [(672, 480, true), (672, 481, false), (1056, 32, false), (0, 32, false)] {
            assert_eq!(ViewSize { width, height }.is_sound(), sound, "{width}x{height}");
        }
    }
}
