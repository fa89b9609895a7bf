//! Sections about networks that people bring: how a frame becomes their input, and what their outputs mean.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest side of an input, in pixels.
const LONGEST: usize = 4096;
/// The most references that are compared with a frame.
const MOST_NEAREST: usize = 32;

/// How a frame becomes the input of a network: the part that is kept is resized to the input's width and height, and each value is
/// `(pixel - mean) / std`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PreparationSection {
    /// Which part of the frame is kept.
    #[serde(default)]
    pub fit: Fit,
    /// With [`Fit::Crop`]: the share of the longest part in the middle that has the input's aspect ratio, over 0 to 1. Networks that were
    /// trained with "resize to 256, crop 224" take 0.875.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub keep: f64,
    /// The order of the input's axes.
    #[serde(default)]
    pub order: AxisOrder,
    /// By channel, in grey levels (0 to 255); empty for networks that take bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mean: Vec<f64>,
    /// By channel, in grey levels, over 0; empty for networks that take bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub std: Vec<f64>,
}

/// Which part of a frame a network sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// All of it, whatever its aspect ratio.
    #[default]
    Stretch,
    /// What lies in the middle, with the input's aspect ratio.
    Crop,
}

/// The order of an input's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AxisOrder {
    /// Batch, channels, rows, columns: PyTorch's.
    #[default]
    Nchw,
    /// Batch, rows, columns, channels: TensorFlow's.
    Nhwc,
}

/// `[classify]`: the network says which class a frame shows.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifySection {
    /// The output with a value for each class.
    pub output: String,
    /// The file with the classes' names, one a line, in the order of the output.
    pub labels: String,
    /// What the output's values are.
    pub values: ClassValues,
    /// The classes of good parts; empty where every class is good and the task only says which it is.
    #[serde(default)]
    pub ok: Vec<String>,
    /// A frame whose best class leads the second by less than this probability is unknown, and not good; 0..1.
    #[serde(default)]
    pub margin: f64,
    /// By class: from this probability on a bad class counts as a defect, whatever else is likelier; a good class counts as good only from
    /// there on. 0..1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub thresholds: BTreeMap<String, f64>,
}

/// What a classifier's output holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassValues {
    /// Any numbers, of which a softmax makes probabilities.
    Logits,
    /// Probabilities, whose sum is 1.
    Probabilities,
}

/// `[anomaly_map]`: the network says how abnormal a frame is, and where.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AnomalyMapSection {
    /// The output with the frame's value; absent: the greatest value of the map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// The output with the map, rows and columns behind axes of length 1; absent where the network does not say where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// With a calibration: the score from which on a frame counts as defect, 0..1. Without: the value of which this is true.
    pub threshold: f64,
    /// The file with the distribution of values of normal frames, which turns a value into a score. Absent: the value is the score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<String>,
    /// The map's value that has no heat.
    pub cold: f64,
    /// The map's value that has a heat of a half: hardly any normal frame reaches it.
    pub hot: f64,
}

/// `[reconstruction]`: the network gives back the picture as it would be if the part were normal.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReconstructionSection {
    /// The output with the picture, of the input's shape.
    pub output: String,
    /// The side of the squares over which differences are averaged, in pixels of the input.
    pub cell: usize,
    /// The score from which on a frame counts as defect, 0..1.
    pub threshold: f64,
    /// The file with the distribution of values of normal frames.
    pub calibration: String,
    /// The mean difference of a square that has a heat of a half, in 256ths of a grey level.
    pub hot: u32,
}

/// `[embed]`: the network gives a vector; which part it is, is told by the nearest references.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedSection {
    /// The output with the vector.
    pub output: String,
    /// The file with the references, vectors of length 1, `[references, values]`.
    pub references: String,
    /// The file with the name of each reference's part, one a line.
    pub parts: String,
    /// How many references vote.
    pub nearest: usize,
    /// The right parts; empty where every known part is right and the task only says which it is.
    #[serde(default)]
    pub ok: Vec<String>,
    /// The score from which on a frame shows no known part, 0..1.
    pub threshold: f64,
    /// The file with the distribution of distances between parts of one name.
    pub calibration: String,
}

impl PreparationSection {
    /// What is wrong with it, for an input of so many channels, if anything.
    pub(super) fn fault(&self, channels: usize) -> Option<String> {
        if !(self.keep > 0.0 && self.keep <= 1.0) {
            return Some(format!("input.preparation.keep must lie over 0, up to 1, found {}", self.keep));
        }
        if self.mean.len() != self.std.len() || ![0, channels].contains(&self.mean.len()) {
            let (mean, std) = (self.mean.len(), self.std.len());
            return Some(format!(
                "input.preparation.mean and std need a number for each of {channels} channels, or none, found {mean} and {std}"
            ));
        }
        let sound =
            self.mean.iter().all(|mean| mean.is_finite()) && self.std.iter().all(|std| std.is_normal() && *std > 0.0);
        (!sound).then(|| "input.preparation.mean must be finite, std over 0".into())
    }
}

impl ClassifySection {
    /// The files that it names.
    pub(super) fn files(&self) -> [&String; 1] {
        [&self.labels]
    }

    pub(super) fn fault(&self) -> Option<String> {
        let thresholds = self.thresholds.iter().map(|(class, value)| (format!("classify.thresholds.{class}"), *value));
        out_of_range(thresholds.chain([("classify.margin".into(), self.margin)]))
    }
}

impl AnomalyMapSection {
    /// The files that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = &String> {
        self.calibration.iter()
    }

    pub(super) fn fault(&self) -> Option<String> {
        if self.score.is_none() && self.map.is_none() {
            return Some("[anomaly_map] names neither an output with the score nor one with the map".into());
        }
        // As they are used.
        let (cold, hot) = (self.cold as f32, self.hot as f32);
        if !(cold.is_finite() && hot.is_finite() && cold < hot) {
            return Some(format!("anomaly_map.cold = {} must be less than anomaly_map.hot = {}", self.cold, self.hot));
        }
        if self.calibration.is_none() {
            return (!self.threshold.is_finite()).then(|| format!("anomaly_map.threshold is {}", self.threshold));
        }
        out_of_range([("anomaly_map.threshold".into(), self.threshold)])
    }
}

impl ReconstructionSection {
    /// The files that it names.
    pub(super) fn files(&self) -> [&String; 1] {
        [&self.calibration]
    }

    pub(super) fn fault(&self) -> Option<String> {
        if !(1..=256).contains(&self.cell) {
            return Some(format!("reconstruction.cell must lie in 1..256, found {}", self.cell));
        }
        if self.hot == 0 {
            return Some("reconstruction.hot must be over 0".into());
        }
        out_of_range([("reconstruction.threshold".into(), self.threshold)])
    }
}

impl EmbedSection {
    /// The files that it names.
    pub(super) fn files(&self) -> [&String; 3] {
        [&self.references, &self.parts, &self.calibration]
    }

    pub(super) fn fault(&self) -> Option<String> {
        if !(1..=MOST_NEAREST).contains(&self.nearest) {
            return Some(format!("embed.nearest must lie in 1..{MOST_NEAREST}, found {}", self.nearest));
        }
        out_of_range([("embed.threshold".into(), self.threshold)])
    }
}

/// What is wrong with the size of an input, if anything.
pub(super) fn size_fault(width: Option<usize>, height: Option<usize>) -> Option<String> {
    match (width, height) {
        (Some(width), Some(height)) if [width, height].iter().all(|side| (1..=LONGEST).contains(side)) => None,
        _ => Some(format!("this task needs input.width and input.height in 1..{LONGEST}")),
    }
}

/// The first of named numbers that is not in 0..1.
fn out_of_range(numbers: impl IntoIterator<Item = (String, f64)>) -> Option<String> {
    let mut numbers = numbers.into_iter();
    let (name, value) = numbers.find(|(_, value)| !(0.0..=1.0).contains(value))?;
    Some(format!("{name} must lie in 0..1, found {value}"))
}

fn whole() -> f64 {
    1.0
}

fn is_whole(keep: &f64) -> bool {
    *keep == 1.0
}

impl Default for PreparationSection {
    /// The whole frame, as bytes.
    fn default() -> Self {
        PreparationSection { fit: Fit::Stretch, keep: 1.0, order: AxisOrder::Nchw, mean: Vec::new(), std: Vec::new() }
    }
}
