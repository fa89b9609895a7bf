//! Learns from good pictures what the mark looks like, how much it varies, and when it counts as not found.

use super::aligner::{Aligner, window};
use crate::bundle::AlignWithin;
use crate::task::anomaly::region::RegionOfInterest;
use lineside_picture::registration::{LearnedTemplate, Match, Registration, SearchWindow, learn_template};
use lineside_picture::{Filter, Layout, Picture, Pose, Rect, Resizer};

/// The side of the backbone's larger view, in pixels, and what it does not see there.
const VIEW: f64 = 320.0;
const SMALL_MOVE: f64 = 2.0;

/// Why frames cannot be aligned.
#[derive(Debug, thiserror::Error)]
pub enum AlignmentError {
    /// The mark reaches beyond the frame or is too small.
    #[error(
        "the mark {0} of frames of {1} reaches beyond the frame or is smaller than 16x16 pixels: draw it larger or elsewhere"
    )]
    Misfit(String, String),
    /// The mark has no contrast.
    #[error("there is nothing at {0} by which it could be found: draw the mark around something with edges")]
    Even(String),
    /// It is found in too few pictures.
    #[error(
        "the part is found in {found} of {pictures} good pictures only: draw the mark around what all of them show, or let it vary by \
         more with --align-within"
    )]
    FewFound {
        /// Pictures in which it was found.
        found: usize,
        /// Pictures in which it was looked for.
        pictures: usize,
    },
    /// It looks the same elsewhere.
    #[error(
        "what lies at the mark cannot be told from what lies elsewhere (correlation {here:.2} and {elsewhere:.2}): draw it around \
         something that is there only once"
    )]
    Ambiguous {
        /// The lowest correlation where it is.
        here: f64,
        /// The highest where it is not.
        elsewhere: f64,
    },
}

/// How good pictures vary.
#[derive(Debug, Clone, serde::Serialize)]
pub struct AlignmentReport {
    /// The mark and its limits.
    pub mark: String,
    /// Pictures in which it was looked for, and those in which it was found.
    pub pictures: usize,
    /// See `pictures`.
    pub found: usize,
    /// The largest shift from the middle one, in pixels, to each side and up and down.
    pub shift: [f64; 2],
    /// The same of the rotation, in degrees.
    pub turn: f64,
    /// The same of the size, in percent.
    pub scale: f64,
    /// The correlation below which it is not found.
    pub correlation: f64,
}

/// Where to align and what may vary.
pub struct Mark<'a> {
    /// What is looked for; `None`: the region, or the frame.
    pub rect: Option<Rect>,
    /// The region.
    pub region: Option<&'a RegionOfInterest>,
    /// How far it may lie from where it is in the first picture.
    pub within: AlignWithin,
}

impl Mark<'_> {
    /// Where it is looked for in frames of a size.
    ///
    /// # Errors
    /// [`AlignmentError::Misfit`].
    pub fn window(&self, frame: (usize, usize)) -> Result<SearchWindow, AlignmentError> {
        let rect = self.rect(frame);
        let size = format!("{}x{}", frame.0, frame.1);
        window(frame, rect, &self.within).ok_or_else(|| AlignmentError::Misfit(name(rect), size))
    }

    fn rect(&self, frame: (usize, usize)) -> Rect {
        let whole = Rect { x: 0, y: 0, width: frame.0, height: frame.1 };
        self.rect.or(self.region.map(|region| region.area())).unwrap_or(whole)
    }

    /// How much each pixel of the reduced mark counts: not at all where the region, if that is the mark, is not inspected.
    fn shape(&self, window: &SearchWindow) -> Option<Picture> {
        let region = self.region.filter(|_| self.rect.is_none())?;
        let (mut mask, mut cropped, mut shape) = (Picture::default(), Picture::default(), Picture::default());
        region.fill_mask(&mut mask);
        let (width, height) = window.template_size();
        let Rect { x, y, .. } = window.mark();
        mask.crop_into(Rect { x, y, width: width * window.step(), height: height * window.step() }, &mut cropped);
        let resizer = Resizer::new(Filter::Area, Layout::Grey, (cropped.width(), cropped.height()), (width, height));
        resizer.ok()?.run(&cropped, &mut shape).ok()?;
        // A pixel of which a part is not inspected says something about what lies there.
        shape.data_mut().iter_mut().for_each(|weight| *weight = if *weight == 255 { 255 } else { 0 });
        Some(shape)
    }
}

/// Learns from reduced windows of good pictures, [`SearchWindow::reduce`]; the part lies as in the first.
///
/// # Errors
/// [`AlignmentError`].
pub fn learn_alignment(
    mark: &Mark,
    window: &SearchWindow,
    pictures: &[Picture],
) -> Result<(Aligner, AlignmentReport), AlignmentError> {
    let learned = learn_template(window, pictures, mark.shape(window).as_ref());
    let LearnedTemplate { template, matches, used, absent } =
        learned.ok_or_else(|| AlignmentError::Even(name(window.mark())))?;
    let typical: Vec<&Match> = matches.iter().zip(&used).filter(|(_, used)| **used).map(|(found, _)| found).collect();
    let (found, pictures) = (typical.len(), matches.len());
    // Each in which it is not found would be a false alarm on the line.
    if 4 * found < 3 * pictures {
        return Err(AlignmentError::FewFound { found, pictures });
    }
    let here = typical.iter().map(|found| found.correlation).fold(1.0, f64::min);
    let elsewhere = absent.iter().copied().fold(0.0, f64::max);
    if elsewhere >= here {
        return Err(AlignmentError::Ambiguous { here, elsewhere });
    }
    // Half way between the worst good picture and the best of those in which it is not: good pictures to come may be worse than these.
    let correlation = (here + elsewhere) / 2.0;
    let report = AlignmentReport::new(window, &typical, pictures, correlation);
    Ok((Aligner::new(template, mark.within, correlation), report))
}

/// Pictures in which the part lies differently, though nobody asked for alignment: how they vary, where it pays to bring them into place.
/// That is where nearly all of them show one part for sure, where it lies off by more than a pixel or two of the backbone's view, and
/// where that explains most of what they differ by.
pub fn would_align(mark: &Mark, window: &SearchWindow, pictures: &[Picture]) -> Option<AlignmentReport> {
    let LearnedTemplate { template, matches, used, absent } =
        learn_template(window, pictures, mark.shape(window).as_ref())?;
    let typical: Vec<&Match> = matches.iter().zip(&used).filter(|(_, used)| **used).map(|(found, _)| found).collect();
    let here = typical.iter().map(|found| found.correlation).fold(1.0, f64::min);
    let elsewhere = absent.iter().copied().fold(0.0, f64::max);
    if 10 * typical.len() < 9 * matches.len() || elsewhere >= here {
        return None;
    }
    let report = AlignmentReport::new(window, &typical, matches.len(), (here + elsewhere) / 2.0);
    let Rect { width, height, .. } = window.mark();
    let side = width.max(height) as f64;
    let moves = report.shift[0].max(report.shift[1]) + report.turn.to_radians() * side / 2.0;
    // In pixels of the backbone's larger view.
    if moves * VIEW / side < SMALL_MOVE {
        return None;
    }
    let shift = |of: fn(&Match) -> f64| median(typical.iter().map(|found| of(found)).collect());
    let middle = Pose {
        shift: (shift(|found| found.pose.shift.0), shift(|found| found.pose.shift.1)),
        turn: shift(|found| found.pose.turn),
        scale: shift(|found| found.pose.scale),
    };
    let mut registration = Registration::new(template);
    let mut missing = |pose: &dyn Fn(&Match) -> Pose| {
        let pairs = pictures.iter().zip(&matches);
        median(pairs.map(|(picture, found)| 1.0 - registration.correlation_in(picture, &pose(found))).collect())
    };
    let (in_place, as_it_is) = (missing(&|found| found.pose), missing(&|_| middle));
    (2.0 * in_place < as_it_is).then_some(report)
}

impl AlignmentReport {
    /// How these vary, of so many pictures.
    fn new(window: &SearchWindow, typical: &[&Match], pictures: usize, correlation: f64) -> AlignmentReport {
        let spread = |of: fn(&Match) -> f64| {
            let values: Vec<f64> = typical.iter().map(|found| of(found)).collect();
            let middle = median(values.clone());
            values.iter().map(|value| (value - middle).abs()).fold(0.0, f64::max)
        };
        AlignmentReport {
            mark: name(window.mark()),
            pictures,
            found: typical.len(),
            shift: [spread(|found| found.pose.shift.0), spread(|found| found.pose.shift.1)],
            turn: spread(|found| found.pose.turn),
            scale: 100.0 * spread(|found| found.pose.scale),
            correlation,
        }
    }
}

/// The middle one; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// As `--align` takes it.
fn name(Rect { x, y, width, height }: Rect) -> String {
    format!("{x},{y},{width},{height}")
}
