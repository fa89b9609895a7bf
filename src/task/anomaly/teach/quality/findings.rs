//! What makes a set of pictures unfit for training, or suspicious.
//!
//! Outliers are judged against the set itself, by median and median absolute deviation: a white background may be normal here, and
//! so may be a soft lens.

use super::meter::PictureQuality;
use super::products::{Product, two_products};
use lineside_picture::Picture;
use std::fmt::{Display, Formatter, Result};

/// Fewer distinct pictures than the first are refused; fewer than the second get a warning.
pub const MIN_DISTINCT: usize = 10;
const ENOUGH_DISTINCT: usize = 30;
/// Two thumbnails show the same frame if, apart from brightness, they differ by less than this, in grey levels (root mean square):
/// the noise of a sensor, averaged over the hundreds of pixels behind each pixel of a thumbnail.
const SAME_FRAME: f64 = 0.75;
/// The share of pictures of the same frame above which a warning is given.
const NEARLY_ALL: f64 = 0.8;
/// The share of overexposed pixels above which detail is lost.
const OVEREXPOSED: f64 = 0.3;
/// The share of black pixels above which nothing is visible.
const BLACK: f64 = 0.95;
/// Nothing is visible below this contrast in grey levels, or below one part in so many of the set's median.
const MIN_CONTRAST: f64 = 1.0;
const CONTRAST_PART: f64 = 8.0;
/// A picture is blurred if its sharpness is below one part in so many of the set's median, and is an outlier.
const SHARPNESS_PART: f64 = 2.0;
/// An outlier is this many standard deviations, estimated by the median absolute deviation, from the median.
const OUTLIER: f64 = 4.0;
/// Aspect ratios are the same up to this share.
const ASPECT_TOLERANCE: f64 = 0.02;
/// The most files that are named; others are counted.
const MAX_NAMED: usize = 10;

/// The consequence of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Training continues; the user should look at the pictures.
    Warn,
    /// Training is refused.
    Refuse,
}

/// A problem of the set; displayed as one line.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// Too few distinct pictures.
    TooFew {
        /// Distinct pictures.
        distinct: usize,
        /// All pictures.
        of: usize,
    },
    /// Most pictures show the same frame.
    SameFrame {
        /// Pictures of that frame.
        count: usize,
        /// All pictures.
        of: usize,
    },
    /// The pictures show two products.
    TwoProducts {
        /// The pictures of each.
        counts: [usize; 2],
        /// A picture of each.
        examples: [String; 2],
    },
    /// Nothing is visible in most pictures.
    NothingSeen {
        /// Such pictures.
        count: usize,
        /// All pictures.
        of: usize,
    },
    /// Nothing is visible in some pictures.
    Empty(Vec<String>),
    /// Most pictures are overexposed over a large part of their area.
    AllOverexposed {
        /// Such pictures.
        count: usize,
        /// All pictures.
        of: usize,
    },
    /// Some pictures are overexposed, unlike the others.
    Overexposed(Vec<String>),
    /// Some pictures are far less sharp than the others.
    Blurred(Vec<String>),
    /// Not all pictures have the same size.
    MixedSizes {
        /// The most frequent size: width and height, pixels.
        usual: (usize, usize),
        /// Pictures that have it.
        count: usize,
        /// All pictures.
        of: usize,
        /// The number of sizes.
        sizes: usize,
        /// Pictures whose aspect ratio differs from the most frequent size's by more than 2 %.
        other_aspect: usize,
        /// The others.
        others: Vec<String>,
    },
}

impl Finding {
    /// Its consequence.
    pub fn severity(&self) -> Severity {
        match self {
            Finding::TooFew { distinct, .. } if *distinct < MIN_DISTINCT => Severity::Refuse,
            Finding::NothingSeen { .. } => Severity::Refuse,
            _ => Severity::Warn,
        }
    }
}

impl Display for Finding {
    fn fmt(&self, out: &mut Formatter) -> Result {
        match self {
            Finding::TooFew { distinct, of } => {
                let wanted = if *distinct < MIN_DISTINCT {
                    "at least 10 are needed, 30 or more are better"
                } else {
                    "30 or more are better"
                };
                write!(
                    out,
                    "{distinct} distinct picture(s) among {of}: {wanted}; add pictures of other parts of the same kind"
                )
            }
            Finding::SameFrame { count, of } => {
                write!(out, "{count} of {of} pictures show the same frame: use another part for each picture")
            }
            Finding::TwoProducts { counts: [first, second], examples: [one, other] } => write!(
                out,
                "the pictures seem to show two products: {first} are like {one}, {second} like {other}; teach each one a bundle of \
                 its own, unless both will come in any order"
            ),
            Finding::NothingSeen { count, of } => {
                write!(out, "{count} of {of} pictures are black or without contrast: check the lens cap and the light")
            }
            Finding::Empty(files) => {
                write!(out, "black or without contrast, remove them: {}", Names(files))
            }
            Finding::AllOverexposed { count, of } => write!(
                out,
                "{count} of {of} pictures are overexposed over more than 30 % of their area: shorten the exposure, \
                 unless the background is white"
            ),
            Finding::Overexposed(files) => {
                write!(out, "overexposed over more than 30 % of their area, unlike the others: {}", Names(files))
            }
            Finding::Blurred(files) => write!(out, "blurred, less than half as sharp as the others: {}", Names(files)),
            Finding::MixedSizes { usual, count, of, sizes, other_aspect, .. } if 2 * count < *of => write!(
                out,
                "{of} pictures of {sizes} sizes, {other_aspect} of another aspect ratio than {}x{}: all will be stretched to the same \
                 shape; crop them to one size",
                usual.0, usual.1
            ),
            Finding::MixedSizes { usual, count, of, other_aspect, others, .. } => write!(
                out,
                "{count} of {of} pictures are {}x{}, others are not ({other_aspect} of another aspect ratio): {}",
                usual.0,
                usual.1,
                Names(others)
            ),
        }
    }
}

/// The first of the files, and the number of the others.
struct Names<'a>(&'a [String]);

impl Display for Names<'_> {
    fn fmt(&self, out: &mut Formatter) -> Result {
        let named = self.0.len().min(MAX_NAMED);
        write!(out, "{}", self.0[..named].join(", "))?;
        match self.0.len() - named {
            0 => Ok(()),
            more => write!(out, " and {more} more"),
        }
    }
}

/// All findings about a set; `files` holds the names of the pictures of `qualities`, in the order in which they were taken.
pub fn findings(files: &[String], qualities: &[PictureQuality]) -> Vec<Finding> {
    let of = qualities.len();
    let mut found = Vec::new();
    let named = |pick: &dyn Fn(&PictureQuality) -> bool| -> Vec<String> {
        files.iter().zip(qualities).filter(|(_, quality)| pick(quality)).map(|(file, _)| file.clone()).collect()
    };

    let frames = same_frames(qualities);
    let most = frames.iter().copied().max().unwrap_or(0);
    if frames.len() < ENOUGH_DISTINCT {
        found.push(Finding::TooFew { distinct: frames.len(), of });
    }
    if most > 1 && most as f64 > NEARLY_ALL * of as f64 {
        found.push(Finding::SameFrame { count: most, of });
    }

    let thumbnails: Vec<&Picture> = qualities.iter().map(|quality| &quality.thumbnail).collect();
    if let Some(products) = two_products(&thumbnails) {
        let examples = products.map(|Product { example, .. }| files[example].clone());
        found.push(Finding::TwoProducts { counts: products.map(|product| product.count), examples });
    }

    let contrast = RobustStats::of(qualities.iter().map(|q| q.contrast));
    let black = RobustStats::of(qualities.iter().map(|q| q.black));
    let is_empty = |q: &PictureQuality| {
        q.contrast < MIN_CONTRAST.max(contrast.median / CONTRAST_PART)
            || (q.black > BLACK && black.is_outlier_above(q.black))
    };
    let empty = named(&is_empty);
    if 2 * empty.len() > of {
        found.push(Finding::NothingSeen { count: empty.len(), of });
    } else if !empty.is_empty() {
        found.push(Finding::Empty(empty));
    }

    let overexposed = RobustStats::of(qualities.iter().map(|q| q.overexposed));
    let clipped = named(&|q| q.overexposed > OVEREXPOSED);
    if 2 * clipped.len() > of {
        found.push(Finding::AllOverexposed { count: clipped.len(), of });
    } else {
        let unlike = named(&|q| q.overexposed > OVEREXPOSED && overexposed.is_outlier_above(q.overexposed));
        if !unlike.is_empty() {
            found.push(Finding::Overexposed(unlike));
        }
    }

    // Sharpness is compared by ratios, hence the logarithm.
    let visible = || qualities.iter().filter(|q| !is_empty(q) && q.sharpness > 0.0);
    let sharpness = RobustStats::of(visible().map(|q| -libm::log(q.sharpness)));
    let blurred = named(&|q| {
        let dullness = -libm::log(q.sharpness);
        !is_empty(q) && dullness > sharpness.median + libm::log(SHARPNESS_PART) && sharpness.is_outlier_above(dullness)
    });
    if !blurred.is_empty() {
        found.push(Finding::Blurred(blurred));
    }

    let (usual, sizes) = most_frequent(qualities.iter().map(|q| q.size));
    let others = named(&|q| q.size != usual);
    if !others.is_empty() {
        let aspect = |size: (usize, usize)| size.0 as f64 / size.1.max(1) as f64;
        let is_other = |q: &&PictureQuality| (aspect(q.size) / aspect(usual) - 1.0).abs() > ASPECT_TOLERANCE;
        let other_aspect = qualities.iter().filter(is_other).count();
        found.push(Finding::MixedSizes { usual, count: of - others.len(), of, sizes, other_aspect, others });
    }
    found
}

/// Location and scale of values, robust against outliers.
struct RobustStats {
    median: f64,
    /// The standard deviation that normal values of the same median absolute deviation would have.
    deviation: f64,
}

impl RobustStats {
    fn of(values: impl Iterator<Item = f64>) -> RobustStats {
        let mut values: Vec<f64> = values.collect();
        let middle = median(&mut values);
        values.iter_mut().for_each(|value| *value = (*value - middle).abs());
        RobustStats { median: middle, deviation: 1.4826 * median(&mut values) }
    }

    /// Whether a value is an outlier above.
    fn is_outlier_above(&self, value: f64) -> bool {
        value > self.median + OUTLIER * self.deviation
    }
}

/// The middle value, the upper one of two; 0 without any.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The number of pictures of each frame, in the order of its first picture. A picture belongs to the first frame that it equals.
fn same_frames(qualities: &[PictureQuality]) -> Vec<usize> {
    let mut frames: Vec<(&Picture, usize)> = Vec::new();
    for quality in qualities {
        match frames.iter_mut().find(|(first, _)| are_same(first, &quality.thumbnail)) {
            Some((_, count)) => *count += 1,
            None => frames.push((&quality.thumbnail, 1)),
        }
    }
    frames.into_iter().map(|(_, count)| count).collect()
}

/// Whether two thumbnails differ by noise alone: the variance of their difference, in integers.
fn are_same(a: &Picture, b: &Picture) -> bool {
    let differences = a.data().iter().zip(b.data()).map(|(&a, &b)| i64::from(a) - i64::from(b));
    let (sum, squares) = differences.fold((0, 0), |(sum, squares), d| (sum + d, squares + d * d));
    let count = a.data().len() as i64;
    ((count * squares - sum * sum) as f64) < SAME_FRAME * SAME_FRAME * (count * count) as f64
}

/// The most frequent size, the first of equals, and the number of sizes.
fn most_frequent(sizes: impl Iterator<Item = (usize, usize)>) -> ((usize, usize), usize) {
    let mut counts: Vec<((usize, usize), usize)> = Vec::new();
    for size in sizes {
        match counts.iter_mut().find(|(known, _)| *known == size) {
            Some((_, count)) => *count += 1,
            None => counts.push((size, 1)),
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max();
    let usual = counts.iter().find(|(_, count)| Some(*count) == most).map_or((0, 0), |(size, _)| *size);
    (usual, counts.len())
}

#[cfg(test)]
#[path = "findings_tests.rs"]
mod tests;
