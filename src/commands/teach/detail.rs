//! The views that `--detail` asks for, and what a frame will cost: reported before anything is taught.

use crate::bundle::Bundle;
use crate::commands::picture_reader::PictureReader;
use crate::task::anomaly::RegionOfInterest;
use crate::task::anomaly::teach::{Cost, Detail, TeachError, Views};
use lineside_picture::Picture;
use std::path::PathBuf;

/// Pictures whose size is looked at.
const MEASURED: usize = 15;

/// The views, and what they cost.
#[derive(Debug, Clone, Copy)]
pub struct PlannedViews {
    /// What was asked for.
    pub detail: Detail,
    /// The sizes of the views.
    pub sizes: Views,
    /// Their cost.
    pub cost: Cost,
}

impl PlannedViews {
    /// For the region, where there is one, or for frames like `files`.
    ///
    /// # Errors
    /// Where the backbone cannot be used.
    pub fn new(
        detail: Detail,
        region: Option<&RegionOfInterest>,
        (files, bits): (&[PathBuf], Option<u8>),
        backbone: &Bundle,
    ) -> Result<PlannedViews, TeachError> {
        let frame = match region.map(RegionOfInterest::area) {
            Some(area) => (area.width, area.height),
            None if detail == Detail::Fine => typical_size(files, bits),
            None => Default::default(),
        };
        let sizes = detail.views(frame);
        if detail == Detail::Fine && frame != (0, 0) && sizes == Detail::Normal.views(frame) {
            let what = if region.is_some() { "the region" } else { "a frame" };
            log::warn!(
                "--detail fine: {what} of {}x{} pixels is not larger than the view of --detail normal, {}: taught with that",
                frame.0,
                frame.1,
                sizes[0]
            );
        }
        Ok(PlannedViews { detail, sizes, cost: Cost::measure(backbone, sizes)? })
    }

    /// Reports what a frame will cost.
    pub fn report(&self) {
        let PlannedViews { detail, sizes: [large, small], cost } = self;
        log::info!(
            "detail {}: the backbone sees a frame in {large} and {small} pixels, {:.0} M multiply-accumulates; it takes {:.1} ms a \
             frame here, on one thread",
            detail.name(),
            cost.macs as f64 / 1e6,
            cost.milliseconds()
        );
    }
}

/// Medians of width and height of some of the pictures; 0 where none can be read, which is reported when they are taught.
fn typical_size(files: &[PathBuf], bits: Option<u8>) -> (usize, usize) {
    let (mut reader, mut picture) = (PictureReader::new(bits), Picture::default());
    let (mut widths, mut heights) = (Vec::new(), Vec::new());
    for file in files.iter().step_by(files.len().div_ceil(MEASURED).max(1)) {
        if reader.read(file, &mut picture).is_ok() {
            widths.push(picture.width());
            heights.push(picture.height());
        }
    }
    let median = |mut values: Vec<usize>| {
        values.sort_unstable();
        values.get(values.len() / 2).copied().unwrap_or(0)
    };
    (median(widths), median(heights))
}
