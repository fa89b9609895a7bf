//! `baseline.json`: how normal pictures scored and looked when a bundle was taught. What drift is measured against.

use crate::bundle::{Bundle, BundleError};
use serde::{Deserialize, Serialize};

/// Its name in a bundle.
const FILE: &str = "baseline.json";

/// How normal pictures scored and looked.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
pub struct Baseline {
    /// Scores of the pictures when they were held out, rising.
    pub scores: Vec<f64>,
    /// What they looked like; bundles of older programs do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looks: Option<Looks>,
}

/// What normal pictures looked like, by the measure of [`Look`](super::Look).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Looks {
    /// Their brightness, grey levels, rising.
    pub brightness: Vec<f64>,
    /// Their sharpness, thousandths, rising.
    pub sharpness: Vec<f64>,
}

impl Baseline {
    /// The baseline of a bundle, where it has one.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where it is not what it should be.
    pub fn of(bundle: &Bundle) -> Result<Option<Baseline>, BundleError> {
        if !bundle.manifest().files.contains_key(FILE) {
            return Ok(None);
        }
        let baseline: Baseline =
            serde_json::from_slice(&bundle.read(FILE)?).map_err(|error| bundle.blame(FILE, error))?;
        let looks = baseline.looks.iter().flat_map(|looks| [&looks.brightness, &looks.sharpness]);
        for values in looks.chain([&baseline.scores]) {
            if values.is_empty() || !values.is_sorted() || !values.iter().all(|value| value.is_finite()) {
                return Err(bundle.blame(FILE, "rising numbers are expected, at least one of each kind"));
            }
        }
        Ok(Some(baseline))
    }

    /// As a bundle stores it.
    ///
    /// # Errors
    /// None, in truth: numbers can always be written.
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
        json.into_iter().for_each(|json| draft.add(FILE, json.as_bytes()).unwrap());
        draft.finish(shipped.manifest().clone()).unwrap();
        Baseline::of(&Bundle::open(&folder.path().join("x")).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn old_baselines_tell_of_scores_and_new_ones_of_looks_too() {
        assert_eq!(read(None), Ok(None));
        let old = "{\"frames\":2,\"scores\":[0.0,0.5],\"brightness\":[102.7,1.2],\"sharpness\":[0.04,0.001]}";
        assert_eq!(read(Some(old)), Ok(Some(Baseline { scores: vec![0.0, 0.5], looks: None })));
        let looks = Some(Looks { brightness: vec![99.5, 101.0], sharpness: vec![31.5, 31.5] });
        let new = Baseline { scores: vec![0.25], looks };
        assert_eq!(read(Some(&new.to_json().unwrap())), Ok(Some(new)));
    }

    #[test]
    fn what_is_no_baseline_is_blamed() {
        for (json, part) in [
            ("{", "EOF while parsing"),
            ("{\"scores\":[]}", "rising numbers are expected"),
            ("{\"scores\":[0.5,0.25]}", "rising numbers are expected"),
            ("{\"scores\":[0.5],\"looks\":{\"brightness\":[],\"sharpness\":[1.0]}}", "rising numbers are expected"),
            ("{\"scores\":\"many\"}", "invalid type"),
        ] {
            let said = read(Some(json)).unwrap_err();
            assert!(said.contains("baseline.json") && said.contains(part), "{json}: {said}");
        }
    }
}
