//! `baseline.json`: scores and image statistics of the normal pictures from which a bundle was trained; the reference for drift
//! detection.

use crate::bundle::{Bundle, BundleError};
use serde::{Deserialize, Serialize};

/// Scores and image statistics of normal pictures.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
pub struct Baseline {
    /// Scores of the pictures when they were held out, ascending.
    pub scores: Vec<f64>,
    /// Their image statistics; missing in bundles of older programs.
    #[serde(rename = "looks", default, skip_serializing_if = "Option::is_none")]
    pub image_stats: Option<ImageStatsBaseline>,
}

/// The distributions of [`ImageStats`](super::ImageStats) of normal pictures.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ImageStatsBaseline {
    /// Brightness in grey levels, ascending.
    pub brightness: Vec<f64>,
    /// Sharpness in thousandths, ascending.
    pub sharpness: Vec<f64>,
}

impl Baseline {
    /// Its file name in a bundle.
    pub const FILE: &str = "baseline.json";

    /// The baseline of a bundle, if it has one.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where the file is malformed.
    pub fn of(bundle: &Bundle) -> Result<Option<Baseline>, BundleError> {
        if !bundle.manifest().files.contains_key(Baseline::FILE) {
            return Ok(None);
        }
        let baseline: Baseline = serde_json::from_slice(&bundle.read(Baseline::FILE)?)
            .map_err(|error| bundle.blame(Baseline::FILE, error))?;
        let image_stats =
            baseline.image_stats.iter().flat_map(|image_stats| [&image_stats.brightness, &image_stats.sharpness]);
        for values in image_stats.chain([&baseline.scores]) {
            if values.is_empty() || !values.is_sorted() || !values.iter().all(|value| value.is_finite()) {
                return Err(bundle.blame(Baseline::FILE, "expected ascending numbers, at least one in each list"));
            }
        }
        Ok(Some(baseline))
    }

    /// The JSON that a bundle stores.
    ///
    /// # Errors
    /// None in practice: finite numbers can always be written.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Draft;
    use std::path::Path;

    /// A bundle with this baseline.
    fn read(json: Option<&str>) -> Result<Option<Baseline>, String> {
        let folder = tempfile::tempdir().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/superres-x2");
        let shipped = Bundle::open(&shipped).unwrap();
        let mut draft = Draft::begin(&folder.path().join("x")).unwrap();
        for name in shipped.manifest().files.keys() {
            draft.add(name, &shipped.read(name).unwrap()).unwrap();
        }
        json.into_iter().for_each(|json| draft.add(Baseline::FILE, json.as_bytes()).unwrap());
        draft.finish(shipped.manifest().clone()).unwrap();
        Baseline::of(&Bundle::open(&folder.path().join("x")).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn old_baselines_hold_scores_and_new_ones_image_stats_too() {
        assert_eq!(read(None), Ok(None));
        let old = "{\"frames\":2,\"scores\":[0.0,0.5],\"brightness\":[102.7,1.2],\"sharpness\":[0.04,0.001]}";
        assert_eq!(read(Some(old)), Ok(Some(Baseline { scores: vec![0.0, 0.5], image_stats: None })));
        let image_stats = Some(ImageStatsBaseline { brightness: vec![99.5, 101.0], sharpness: vec![31.5, 31.5] });
        let new = Baseline { scores: vec![0.25], image_stats };
        assert_eq!(read(Some(&new.to_json().unwrap())), Ok(Some(new)));
    }

    #[test]
    fn malformed_baselines_are_refused() {
        for (json, part) in [
            ("{", "EOF while parsing"),
            ("{\"scores\":[]}", "expected ascending numbers"),
            ("{\"scores\":[0.5,0.25]}", "expected ascending numbers"),
            ("{\"scores\":[0.5],\"looks\":{\"brightness\":[],\"sharpness\":[1.0]}}", "expected ascending numbers"),
            ("{\"scores\":\"many\"}", "invalid type"),
        ] {
            let message = read(Some(json)).unwrap_err();
            assert!(message.contains("baseline.json") && message.contains(part), "{json}: {message}");
        }
    }
}
