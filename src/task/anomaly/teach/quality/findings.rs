//! What speaks against learning from a set of pictures.
//!
//! What is unusual is judged against the set itself, by median and median absolute deviation: a white background may be
//! normal here, and so may be a soft lens.

use super::Quality;
use lineside_picture::Picture;
use std::fmt::{Display, Formatter, Result};

/// Fewer distinct pictures than these are refused, or warned of.
const LEAST_DISTINCT: usize = 10;
const GOOD_DISTINCT: usize = 30;
/// Two thumbnails show the same frame when, but for brightness, they differ by less than this, grey levels (root of the
/// mean square): the noise of a sensor, averaged over the hundreds of pixels behind each of theirs.
const SAME: f64 = 0.75;
/// The set is nearly all one frame when more than this share of it is.
const NEARLY_ALL: f64 = 0.8;
/// A share of overexposed pixels from which on details are lost.
const OVEREXPOSED: f64 = 0.3;
/// A share of black pixels that leaves nothing to see.
const BLACK: f64 = 0.95;
/// Contrast below this, grey levels, or below this part of the set's median, shows nothing.
const LEAST_CONTRAST: f64 = 1.0;
const CONTRAST_PART: f64 = 8.0;
/// Sharpness below this part of the set's median is blur, where so little is unusual.
const SHARPNESS_PART: f64 = 2.0;
/// Unusual: this many standard deviations, estimated by the median absolute deviation, from the median.
const UNUSUAL: f64 = 4.0;
/// More files than these are counted, not named.
const MOST_NAMED: usize = 10;

/// What follows from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Teaching goes on; somebody should look.
    Warn,
    /// Nothing good can be learnt.
    Refuse,
}

/// One thing that speaks against the set; displayed as one line.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// Not enough pictures that differ.
    TooFew {
        /// Pictures that differ from each other.
        distinct: usize,
        /// All pictures.
        of: usize,
    },
    /// Most pictures show the very same frame.
    SameFrame {
        /// Pictures of that frame.
        count: usize,
        /// All pictures.
        of: usize,
    },
    /// Most pictures show nothing.
    NothingSeen {
        /// Such pictures.
        count: usize,
        /// All pictures.
        of: usize,
    },
    /// Some pictures show nothing.
    Empty(Vec<String>),
    /// Most pictures are overexposed over a large part.
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
        /// How many sizes there are.
        sizes: usize,
        /// The others.
        others: Vec<String>,
    },
}

impl Finding {
    /// What follows from it.
    pub fn severity(&self) -> Severity {
        match self {
            Finding::TooFew { distinct, .. } if *distinct < LEAST_DISTINCT => Severity::Refuse,
            Finding::NothingSeen { .. } => Severity::Refuse,
            _ => Severity::Warn,
        }
    }
}

impl Display for Finding {
    fn fmt(&self, out: &mut Formatter) -> Result {
        match self {
            Finding::TooFew { distinct, of } => {
                let wanted = if *distinct < LEAST_DISTINCT {
                    "10 are the least, 30 or more are good"
                } else {
                    "30 or more are better"
                };
                write!(out, "{distinct} distinct picture(s) among {of}: {wanted}; take other parts of the same kind")
            }
            Finding::SameFrame { count, of } => {
                write!(out, "{count} of {of} pictures show the same frame: take the next part before each picture")
            }
            Finding::NothingSeen { count, of } => {
                write!(
                    out,
                    "{count} of {of} pictures show nothing (black, or without contrast): lens cap on? light off?"
                )
            }
            Finding::Empty(files) => {
                write!(out, "nothing to see (black, or without contrast), leave them out: {}", Names(files))
            }
            Finding::AllOverexposed { count, of } => write!(
                out,
                "{count} of {of} pictures are overexposed over more than 30 % of their area: shorten the exposure, \
                 unless the background is meant to be white"
            ),
            Finding::Overexposed(files) => {
                write!(out, "overexposed over more than 30 % of their area, unlike the others: {}", Names(files))
            }
            Finding::Blurred(files) => write!(out, "blurred, less than half as sharp as the others: {}", Names(files)),
            Finding::MixedSizes { count, of, sizes, .. } if 2 * count < *of => {
                write!(out, "{of} pictures of {sizes} sizes: all will be stretched to one shape; crop them alike")
            }
            Finding::MixedSizes { usual, count, of, others, .. } => {
                write!(out, "{count} of {of} pictures are {}x{}, others are not: {}", usual.0, usual.1, Names(others))
            }
        }
    }
}

/// The first of the files, and how many more there are.
struct Names<'a>(&'a [String]);

impl Display for Names<'_> {
    fn fmt(&self, out: &mut Formatter) -> Result {
        let named = self.0.len().min(MOST_NAMED);
        write!(out, "{}", self.0[..named].join(", "))?;
        match self.0.len() - named {
            0 => Ok(()),
            more => write!(out, " and {more} more"),
        }
    }
}

/// All that speaks against the set; `files` names the pictures of `qualities`, in order of taking.
pub fn findings(files: &[String], qualities: &[Quality]) -> Vec<Finding> {
    let of = qualities.len();
    let mut found = Vec::new();
    let named = |pick: &dyn Fn(&Quality) -> bool| -> Vec<String> {
        files.iter().zip(qualities).filter(|(_, quality)| pick(quality)).map(|(file, _)| file.clone()).collect()
    };

    let frames = same_frames(qualities);
    let most = frames.iter().copied().max().unwrap_or(0);
    if frames.len() < GOOD_DISTINCT {
        found.push(Finding::TooFew { distinct: frames.len(), of });
    }
    if most > 1 && most as f64 > NEARLY_ALL * of as f64 {
        found.push(Finding::SameFrame { count: most, of });
    }

    let contrast = Usual::of(qualities.iter().map(|q| q.contrast));
    let black = Usual::of(qualities.iter().map(|q| q.black));
    let is_empty = |q: &Quality| {
        q.contrast < LEAST_CONTRAST.max(contrast.median / CONTRAST_PART) || (q.black > BLACK && black.is_below(q.black))
    };
    let empty = named(&is_empty);
    if 2 * empty.len() > of {
        found.push(Finding::NothingSeen { count: empty.len(), of });
    } else if !empty.is_empty() {
        found.push(Finding::Empty(empty));
    }

    let overexposed = Usual::of(qualities.iter().map(|q| q.overexposed));
    let clipped = named(&|q| q.overexposed > OVEREXPOSED);
    if 2 * clipped.len() > of {
        found.push(Finding::AllOverexposed { count: clipped.len(), of });
    } else {
        let unlike = named(&|q| q.overexposed > OVEREXPOSED && overexposed.is_below(q.overexposed));
        if !unlike.is_empty() {
            found.push(Finding::Overexposed(unlike));
        }
    }

    // Sharpness is compared by ratios, so its logarithm is what is usual or not.
    let seen = || qualities.iter().filter(|q| !is_empty(q) && q.sharpness > 0.0);
    let sharpness = Usual::of(seen().map(|q| -libm::log(q.sharpness)));
    let blurred = named(&|q| {
        let dullness = -libm::log(q.sharpness);
        !is_empty(q) && dullness > sharpness.median + libm::log(SHARPNESS_PART) && sharpness.is_below(dullness)
    });
    if !blurred.is_empty() {
        found.push(Finding::Blurred(blurred));
    }

    let (usual, sizes) = most_frequent(qualities.iter().map(|q| q.size));
    let others = named(&|q| q.size != usual);
    if !others.is_empty() {
        found.push(Finding::MixedSizes { usual, count: of - others.len(), of, sizes, others });
    }
    found
}

/// What values usually are.
struct Usual {
    median: f64,
    /// The standard deviation that normal values of the same median absolute deviation would have.
    deviation: f64,
}

impl Usual {
    fn of(values: impl Iterator<Item = f64>) -> Usual {
        let mut values: Vec<f64> = values.collect();
        let middle = median(&mut values);
        values.iter_mut().for_each(|value| *value = (*value - middle).abs());
        Usual { median: middle, deviation: 1.4826 * median(&mut values) }
    }

    /// Whether what is usual lies well below a value.
    fn is_below(&self, value: f64) -> bool {
        value > self.median + UNUSUAL * self.deviation
    }
}

/// The middle value, the upper one of two; 0 without any.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The number of pictures of each frame, in order of its first picture: a picture belongs to the first frame that it
/// equals.
fn same_frames(qualities: &[Quality]) -> Vec<usize> {
    let mut frames: Vec<(&Picture, usize)> = Vec::new();
    for quality in qualities {
        match frames.iter_mut().find(|(first, _)| are_same(first, &quality.thumbnail)) {
            Some((_, count)) => *count += 1,
            None => frames.push((&quality.thumbnail, 1)),
        }
    }
    frames.into_iter().map(|(_, count)| count).collect()
}

/// Whether two thumbnails differ by noise alone: the variance of their difference, in whole numbers.
fn are_same(a: &Picture, b: &Picture) -> bool {
    let differences = a.data().iter().zip(b.data()).map(|(&a, &b)| i64::from(a) - i64::from(b));
    let (sum, squares) = differences.fold((0, 0), |(sum, squares), d| (sum + d, squares + d * d));
    let count = a.data().len() as i64;
    ((count * squares - sum * sum) as f64) < SAME * SAME * (count * count) as f64
}

/// The size that most pictures have, the first of equals, and how many sizes there are.
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
