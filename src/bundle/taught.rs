//! What a bundle was taught with: the sizes of its good pictures, their number, and the day.
//!
//! A view is the whole frame, squeezed into a square. A frame of another aspect ratio is squeezed otherwise, and one of another size
//! is as sharp in the view as no taught frame was: both look like defects, or hide them. So a line refuses them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Sizes that are listed one by one, the most frequent first. Pictures of more sizes are cut-outs that vary.
const LISTED: usize = 16;
/// Two aspect ratios are the same up to this share.
const ASPECT_TOLERANCE: f64 = 0.02;

/// What a bundle was taught with.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaughtSection {
    /// Number of pictures of good parts.
    pub pictures: usize,
    /// Those of them in colour; the others are grey.
    pub in_colour: usize,
    /// The day, in UTC: `2026-11-29`.
    pub date: String,
    /// Least and greatest width and height in pixels, where the pictures have more sizes than are listed: then all sizes in
    /// between count as taught.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<SizeRange>,
    /// The sizes, the most frequent first.
    pub size: Vec<TaughtSize>,
}

/// A size of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaughtSize {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Number of pictures of this size.
    pub pictures: usize,
}

/// Least and greatest values, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SizeRange {
    /// Of the width.
    pub width: [usize; 2],
    /// Of the height.
    pub height: [usize; 2],
    /// Of width over height.
    pub aspect: [f64; 2],
}

/// How the size of a frame compares with what was taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeMatch {
    /// It was taught.
    Taught,
    /// The aspect ratio was taught, the size was not.
    OtherSize,
    /// Neither was.
    OtherAspect,
}

impl TaughtSection {
    /// From the size of each picture, and whether it is in colour. `date` is the day.
    pub fn new(pictures: impl IntoIterator<Item = ((usize, usize), bool)>, date: String) -> TaughtSection {
        let mut taught = TaughtSection { pictures: 0, in_colour: 0, date, range: None, size: Vec::new() };
        for ((width, height), in_colour) in pictures {
            taught.pictures += 1;
            taught.in_colour += usize::from(in_colour);
            match taught.size.iter_mut().find(|size| (size.width, size.height) == (width, height)) {
                Some(size) => size.pictures += 1,
                None => taught.size.push(TaughtSize { width, height, pictures: 1 }),
            }
        }
        // The most frequent first; of equals the first stays first.
        taught.size.sort_by_key(|size| std::cmp::Reverse(size.pictures));
        if taught.size.len() > LISTED {
            taught.range = SizeRange::of(&taught.size);
            taught.size.truncate(LISTED);
        }
        taught
    }

    /// How the size of a frame, width and height, compares with what was taught.
    pub fn compare(&self, (width, height): (usize, usize)) -> SizeMatch {
        if self.size.iter().any(|size| (size.width, size.height) == (width, height)) {
            return SizeMatch::Taught;
        }
        let aspect = width as f64 / height.max(1) as f64;
        let is_near = |[low, high]: [f64; 2]| {
            aspect >= low * (1.0 - ASPECT_TOLERANCE) && aspect <= high * (1.0 + ASPECT_TOLERANCE)
        };
        if let Some(range) = &self.range {
            let contains = |[low, high]: [usize; 2], value: usize| (low..=high).contains(&value);
            return match is_near(range.aspect) {
                true if contains(range.width, width) && contains(range.height, height) => SizeMatch::Taught,
                true => SizeMatch::OtherSize,
                false => SizeMatch::OtherAspect,
            };
        }
        let same_aspect = self.size.iter().any(|size| is_near([size.aspect(); 2]));
        if same_aspect { SizeMatch::OtherSize } else { SizeMatch::OtherAspect }
    }

    /// Why a frame of this size cannot be judged, and what to do; `None` where it can.
    pub fn problem(&self, (width, height): (usize, usize)) -> Option<String> {
        let wanted = self.size.first().map_or(String::new(), |size| format!("{}x{}", size.width, size.height));
        match self.compare((width, height)) {
            SizeMatch::Taught => None,
            SizeMatch::OtherSize => Some(format!(
                "frame {width}x{height}, taught with {self}: set the camera to {wanted}, or teach again with frames of this size"
            )),
            SizeMatch::OtherAspect => Some(format!(
                "frame {width}x{height}, taught with {self}: another aspect ratio; crop the frames or set the camera to {wanted}, or \
                 teach again with frames of this size"
            )),
        }
    }

    /// What is wrong with the section, if anything.
    pub(super) fn fault(&self) -> Option<String> {
        let no_size = self.size.is_empty() || self.size.iter().any(|size| size.width == 0 || size.height == 0);
        let no_range = self.range.as_ref().is_some_and(|range| {
            let SizeRange { width, height, aspect } = range;
            width[0] > width[1] || height[0] > height[1] || !(aspect[0] > 0.0 && aspect[0] <= aspect[1])
        });
        (no_size || no_range).then(|| "anomaly.taught: size or range is missing or out of range".into())
    }
}

impl fmt::Display for TaughtSection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(SizeRange { width, height, .. }) = &self.range {
            return write!(out, "{}x{} to {}x{}", width[0], height[0], width[1], height[1]);
        }
        for (at, size) in self.size.iter().enumerate().take(3) {
            write!(out, "{}{}x{}", if at > 0 { ", " } else { "" }, size.width, size.height)?;
        }
        match self.size.len() {
            0..=3 => Ok(()),
            sizes => write!(out, " and {} more sizes", sizes - 3),
        }
    }
}

impl TaughtSize {
    /// Width over height.
    fn aspect(&self) -> f64 {
        self.width as f64 / self.height.max(1) as f64
    }
}

impl SizeRange {
    /// The range of some sizes; `None` of none.
    fn of(sizes: &[TaughtSize]) -> Option<SizeRange> {
        let ends = |of: fn(&TaughtSize) -> usize| Some([sizes.iter().map(of).min()?, sizes.iter().map(of).max()?]);
        let aspects = sizes.iter().map(TaughtSize::aspect);
        Some(SizeRange {
            width: ends(|size| size.width)?,
            height: ends(|size| size.height)?,
            aspect: [aspects.clone().fold(f64::INFINITY, f64::min), aspects.fold(0.0, f64::max)],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taught(sizes: &[(usize, usize)]) -> TaughtSection {
        TaughtSection::new(sizes.iter().map(|size| (*size, false)), "2026-11-29".into())
    }

    #[test]
    fn only_taught_sizes_fit_and_the_way_out_is_named() {
        let one = taught(&[(1024, 768); 3]);
        assert_eq!((one.pictures, one.in_colour, one.size.len(), one.range), (3, 0, 1, None));
        assert_eq!(one.problem((1024, 768)), None);
        let other = one.problem((640, 480)).unwrap();
        assert!(other.starts_with("frame 640x480, taught with 1024x768: set the camera to 1024x768"), "{other}");
        let aspect = one.problem((1024, 1024)).unwrap();
        assert!(aspect.contains("another aspect ratio; crop the frames"), "{aspect}");
        // Two percent of the ratio of 4 to 3.
        assert_eq!(one.compare((1020, 751)), SizeMatch::OtherSize);
        assert_eq!(one.compare((1020, 748)), SizeMatch::OtherAspect);
        assert_eq!(one.compare((1024, 0)), SizeMatch::OtherAspect);
    }

    #[test]
    fn the_most_frequent_of_several_sizes_comes_first() {
        let several = taught(&[(64, 48), (80, 60), (80, 60), (32, 32), (90, 90)]);
        assert_eq!(several.to_string(), "80x60, 64x48, 32x32 and 1 more sizes");
        for size in [(64, 48), (80, 60), (32, 32), (90, 90)] {
            assert_eq!(several.compare(size), SizeMatch::Taught, "{size:?}");
        }
        assert_eq!(several.compare((40, 30)), SizeMatch::OtherSize);
        assert_eq!(several.compare((40, 20)), SizeMatch::OtherAspect);
    }

    #[test]
    fn where_sizes_vary_all_in_between_fit() {
        let sizes: Vec<(usize, usize)> = (0..40).map(|i| (100 + i, 200 - i)).collect();
        let varying = taught(&sizes);
        assert_eq!(varying.size.len(), LISTED);
        assert_eq!(varying.to_string(), "100x161 to 139x200");
        assert_eq!(varying.compare((120, 170)), SizeMatch::Taught);
        assert_eq!(varying.compare((240, 340)), SizeMatch::OtherSize);
        assert_eq!(varying.compare((170, 120)), SizeMatch::OtherAspect);
    }

    #[test]
    fn it_is_written_and_read_back() {
        let sizes: Vec<(usize, usize)> = (0..40).map(|i| (100 + i, 200 - i)).collect();
        for section in [taught(&[(64, 48); 2]), taught(&sizes)] {
            let text = toml::to_string(&section).unwrap();
            assert_eq!(toml::from_str::<TaughtSection>(&text).unwrap(), section, "{text}");
            assert_eq!(section.fault(), None);
        }
        assert!(TaughtSection { size: Vec::new(), ..taught(&[(64, 48)]) }.fault().is_some());
    }
}
