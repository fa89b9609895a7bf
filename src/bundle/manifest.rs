//! `bundle.toml`: what the model is for, what it takes, what it was measured to do, and the hash of every file.

use super::BundleError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// The version of the manifest's form that this program reads.
const FORMAT: u32 = 1;

/// The contents of `bundle.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this file's form; 1.
    pub format: u32,
    /// The bundle's name.
    pub name: String,
    /// The bundle's version.
    pub version: String,
    /// What the model answers.
    pub task: Task,
    /// One sentence for people.
    pub description: String,
    /// The licence of weights and data.
    pub licence: String,
    /// The model's file name.
    pub model: String,
    /// What the model takes.
    pub input: InputSection,
    /// Present where `task = "anomaly"`.
    pub anomaly: Option<AnomalySection>,
    /// Present where `task = "super-resolution"`.
    pub super_resolution: Option<SuperResolutionSection>,
    /// Inputs with the outputs that they must give.
    #[serde(default)]
    pub golden: Vec<Golden>,
    /// Measured figures by name.
    #[serde(default)]
    pub measured: BTreeMap<String, toml::Value>,
    /// SHA-256 in hexadecimal of every file, by path inside the bundle.
    pub files: BTreeMap<String, String>,
}

/// What a bundle's model answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Is this frame normal, and where not?
    Anomaly,
    /// The same picture, larger.
    SuperResolution,
}

/// What a model takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSection {
    /// Width in pixels; absent where the model takes any.
    pub width: Option<usize>,
    /// Height in pixels; absent where the model takes any.
    pub height: Option<usize>,
    /// Which channels.
    pub channels: Channels,
}

/// The channels of a model's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green and blue planes.
    Rgb,
    /// One plane of BT.601 luma, full range.
    Luma,
}

/// Statistics of normal and what follows from them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnomalySection {
    /// The file of the memory bank.
    pub bank: String,
    /// The squared distance at which the score is 0.5.
    pub half_distance: u32,
    /// The score from which on a frame counts as defect, 0..1.
    pub threshold: f64,
}

/// How a super-resolution model enlarges.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuperResolutionSection {
    /// Output pixels per input pixel, along each axis.
    pub scale: usize,
    /// How far an output pixel looks, in input pixels: the halo that a tile needs.
    pub receptive_field: usize,
}

/// An input and the output that it must give.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The input's `.npy`.
    pub input: String,
    /// The expected output's `.npy`.
    pub output: String,
    /// The largest difference allowed, in LSB of the output.
    pub tolerance: u32,
}

impl Manifest {
    /// Parses and validates the text of the manifest at `path`.
    pub(super) fn parse(text: &str, path: &Path) -> Result<Manifest, BundleError> {
        let manifest: Manifest = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            BundleError::Bad { file: format!("{}:{line}", path.display()), problem: e.message().replace('\n', " ") }
        })?;
        match manifest.problem() {
            Some(problem) => Err(BundleError::bad(path, problem)),
            None => Ok(manifest),
        }
    }

    fn problem(&self) -> Option<String> {
        if self.format != FORMAT {
            return Some(format!(
                "format = {}: this program reads format {FORMAT}; update one of the two",
                self.format
            ));
        }
        if let Some(name) = self.files.keys().find(|name| !stays_inside(name)) {
            return Some(format!("[files] \"{name}\" points outside the bundle"));
        }
        let named = self.golden.iter().flat_map(|golden| [&golden.input, &golden.output]);
        let named = named.chain([&self.model]).chain(self.anomaly.as_ref().map(|anomaly| &anomaly.bank));
        for name in named {
            if !self.files.contains_key(name) {
                return Some(format!("[files] has no hash for \"{name}\""));
            }
        }
        match self.task {
            Task::Anomaly => {
                let Some(anomaly) = &self.anomaly else {
                    return Some("task = \"anomaly\" needs a section [anomaly]".into());
                };
                if !(0.0..=1.0).contains(&anomaly.threshold) {
                    return Some(format!("anomaly.threshold must lie in 0..1, found {}", anomaly.threshold));
                }
                if anomaly.half_distance == 0 {
                    return Some("anomaly.half_distance must be over 0".into());
                }
                match (self.input.width, self.input.height) {
                    (Some(1..), Some(1..)) => None,
                    _ => Some("task = \"anomaly\" needs input.width and input.height, both over 0".into()),
                }
            }
            Task::SuperResolution => match &self.super_resolution {
                None => Some("task = \"super-resolution\" needs a section [super_resolution]".into()),
                Some(section) if !(1..=8).contains(&section.scale) => {
                    Some(format!("super_resolution.scale must lie in 1..8, found {}", section.scale))
                }
                Some(section) if section.receptive_field > 64 => Some(format!(
                    "super_resolution.receptive_field is {}, at most 64 is sensible",
                    section.receptive_field
                )),
                Some(_) => None,
            },
        }
    }
}

fn stays_inside(name: &str) -> bool {
    Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
format = 1
name = "x"
version = "1"
task = "anomaly"
description = "d"
licence = "MIT"
model = "model.onnx"
[input]
width = 8
height = 8
channels = "rgb"
[anomaly]
bank = "bank.bin"
half_distance = 7
threshold = 0.5
[files]
"model.onnx" = "00"
"bank.bin" = "00"
"#;

    fn refusal(text: &str) -> String {
        Manifest::parse(text, Path::new("b/bundle.toml")).unwrap_err().to_string()
    }

    #[test]
    fn a_good_manifest_parses() {
        let manifest = Manifest::parse(GOOD, Path::new("b/bundle.toml")).unwrap();
        assert_eq!(manifest.anomaly.unwrap().half_distance, 7);
    }

    #[test]
    fn each_mistake_is_named_with_its_place() {
        let cases = [
            (("format = 1", "format = 2"), "b/bundle.toml: format = 2: this program reads format 1"),
            (("threshold = 0.5", "threshold = 7"), "anomaly.threshold must lie in 0..1, found 7"),
            (("half_distance = 7", "half_distance = 0"), "half_distance must be over 0"),
            (("version = \"1\"", "version = 1"), "b/bundle.toml:4: invalid type"),
            (("licence = \"MIT\"", "license = \"MIT\""), "b/bundle.toml:7: unknown field `license`"),
            (("\"bank.bin\" = \"00\"", "\"../bank.bin\" = \"00\""), "\"../bank.bin\" points outside the bundle"),
            (("\"bank.bin\" = \"00\"", ""), "no hash for \"bank.bin\""),
            (("width = 8", "width = 0"), "needs input.width and input.height, both over 0"),
            (("task = \"anomaly\"", "task = \"super-resolution\""), "needs a section [super_resolution]"),
        ];
        for ((from, to), expected) in cases {
            let said = refusal(&GOOD.replace(from, to));
            assert!(said.contains(expected), "{to}: {said}");
        }
    }
}
