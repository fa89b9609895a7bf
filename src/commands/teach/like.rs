//! `--like BUNDLE`: what a bundle was taught with, but for its pictures.

use super::arguments::{AlignBy, TeachArguments};
use crate::bundle::{self, Bundle};
use crate::task::anomaly::teach::Detail;
use anyhow::Context;
use lineside_picture::Rect;

/// False alarms in 1000 normal frames that can be asked for.
const RATES: std::ops::RangeInclusive<f64> = 0.01..=500.0;

/// The arguments as a bundle was taught, and the bundle itself: it has its backbone with it.
///
/// # Errors
/// Where there is none, or one that was not taught.
pub fn as_taught(arguments: &TeachArguments, name: &str) -> anyhow::Result<(TeachArguments, Bundle)> {
    let like = bundle::find(name)?;
    let place = like.folder().display();
    let section = like.manifest().anomaly.as_ref();
    let section = section.with_context(|| format!("{place}: --like takes a bundle that lineside teach made"))?;
    let mut arguments = arguments.clone();
    if let Some(region) = &section.region {
        let shapes = region.shapes.iter().map(|shape| shape.parse());
        let shapes = shapes.collect::<Result<_, _>>();
        arguments.region = shapes.map_err(|problem: String| anyhow::anyhow!("{place}: its region: {problem}"))?;
        arguments.ignore = region.ignored.as_ref().map(|file| like.folder().join(file));
    }
    if let Some(alignment) = &section.alignment {
        let [x, y, width, height] = alignment.mark;
        arguments.align = Some(AlignBy::Mark(Rect { x, y, width, height }));
        arguments.align_within = Some(alignment.within);
    }
    arguments.tolerance = section.tolerance;
    arguments.detail = Detail::of(&section.views);
    // The threshold is the share of normal frames below it.
    arguments.false_alarms = (1000.0 * (1.0 - section.threshold)).clamp(*RATES.start(), *RATES.end());
    Ok((arguments, like))
}
