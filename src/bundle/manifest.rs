//! `bundle.toml`, the manifest: task, input, measured figures, and the hash of every file.

use super::alignment::AlignmentSection;
use super::batch::{NormalSection, NuisanceSection};
use super::error::BundleError;
use super::own_model::{
    AnomalyMapSection, ClassifySection, EmbedSection, PreparationSection, ReconstructionSection, size_fault,
};
use super::region::RegionSection;
use super::taught::TaughtSection;
use super::tolerance::Tolerance;
use super::view_size::ViewSize;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// The version of the manifest format that this program reads.
const FORMAT: u32 = 1;

/// What says whether this program can use a manifest.
#[derive(Deserialize)]
struct Head {
    format: u32,
    requires: Option<String>,
}

impl Head {
    fn problem(&self) -> Option<String> {
        let own = env!("CARGO_PKG_VERSION");
        let update = "update Lineside, or install an older version of the bundle";
        if self.format > FORMAT {
            return Some(format!("format = {}: this program reads format {FORMAT}; {update}", self.format));
        }
        if self.format < FORMAT {
            return Some(format!("format = {}: this program reads format {FORMAT}; make it anew", self.format));
        }
        let required = self.requires.as_ref()?;
        match (numbers(required), numbers(own)) {
            (None, _) => Some(format!("requires = \"{required}\" is no version of Lineside, such as \"{own}\"")),
            (required, own) if required <= own => None,
            _ => Some(format!("requires Lineside {required} or newer, and this is {own}; {update}")),
        }
    }
}

/// `1.2.3` as numbers.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let numbers: Vec<u32> = version.split('.').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

/// The contents of `bundle.toml`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the manifest format; 1.
    pub format: u32,
    /// The oldest version of Lineside that can use it, as in `"0.2.0"`; absent: any that reads the format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// The bundle's name.
    pub name: String,
    /// The bundle's version.
    pub version: String,
    /// The task of the model.
    pub task: Task,
    /// A description in one sentence.
    pub description: String,
    /// The licence of weights and data.
    pub licence: String,
    /// The model's file name.
    pub model: String,
    /// The input of the model.
    pub input: InputSection,
    /// Present if `task = "anomaly"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<AnomalySection>,
    /// Present if `task = "super-resolution"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub super_resolution: Option<SuperResolutionSection>,
    /// Present if `task = "classify"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classify: Option<ClassifySection>,
    /// Present if `task = "anomaly-map"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomaly_map: Option<AnomalyMapSection>,
    /// Present if `task = "reconstruction"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconstruction: Option<ReconstructionSection>,
    /// Present if `task = "embed"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embed: Option<EmbedSection>,
    /// Inputs with their expected outputs.
    #[serde(default)]
    pub golden: Vec<Golden>,
    /// Measured figures by name.
    #[serde(default)]
    pub measured: BTreeMap<String, toml::Value>,
    /// SHA-256 in hexadecimal of every file, by path inside the bundle.
    pub files: BTreeMap<String, String>,
}

/// The task of a bundle's model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Anomaly detection: is this frame normal, and where is it not?
    Anomaly,
    /// Super-resolution.
    SuperResolution,
    /// Feature extraction, for training other bundles.
    Backbone,
    /// Which class does this frame show?
    Classify,
    /// As anomaly detection, by a network that gives a score or a map.
    AnomalyMap,
    /// As anomaly detection, by a network that gives back the picture of a normal part.
    Reconstruction,
    /// Which of some known parts does this frame show?
    Embed,
}

impl Task {
    /// Its name in manifests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Task::Anomaly => "anomaly",
            Task::SuperResolution => "super-resolution",
            Task::Backbone => "backbone",
            Task::Classify => "classify",
            Task::AnomalyMap => "anomaly-map",
            Task::Reconstruction => "reconstruction",
            Task::Embed => "embed",
        }
    }

    /// Whether frames are judged by it.
    pub fn judges_frames(self) -> bool {
        !matches!(self, Task::SuperResolution | Task::Backbone)
    }
}

/// The input of a model.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InputSection {
    /// Width in pixels; absent if the model takes any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Height in pixels; absent if the model takes any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<usize>,
    /// The channels.
    pub channels: Channels,
    /// How a frame becomes the input, for networks that people bring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preparation: Option<PreparationSection>,
}

/// The channels of a model's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green and blue planes.
    Rgb,
    /// Blue, green and red planes: networks that were trained with OpenCV.
    Bgr,
    /// One plane of BT.601 luma, full range.
    Luma,
}

impl Channels {
    /// How many there are.
    pub fn count(self) -> usize {
        match self {
            Channels::Rgb | Channels::Bgr => 3,
            Channels::Luma => 1,
        }
    }
}

/// A model of normal frames, written by `lineside teach`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AnomalySection {
    /// The sizes to which a frame is resized for the backbone.
    pub views: Vec<ViewSize>,
    /// The score from which on a frame counts as defect, 0..1.
    pub threshold: f64,
    /// The file with the distribution of sums on normal frames, which turns a sum into a score.
    pub calibration: String,
    /// Which part of a frame it was taught with; absent where that was the whole frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<RegionSection>,
    /// By what frames are brought into place before they are inspected; absent where they are inspected as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<AlignmentSection>,
    /// How far good frames may vary beyond the pictures that were shown, where the user stated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Tolerance>,
    /// What it was taught with; bundles of older programs do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taught: Option<TaughtSection>,
    /// Good frames for `recalibrate`; bundles of older programs have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normal: Option<NormalSection>,
    /// What later batches may differ by; present after `recalibrate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nuisance: Option<NuisanceSection>,
    /// The heatmap.
    pub heat: HeatSection,
    /// How the scorers' values become one; a sum in bundles of older programs.
    #[serde(default)]
    pub combination: Combination,
    /// The scorers.
    pub scorer: Vec<ScorerSection>,
}

impl Method {
    /// Its name in bundles and reports.
    pub fn name(self) -> &'static str {
        match self {
            Method::Contrast => "contrast",
            Method::Gaussian => "gaussian",
            Method::Bank => "bank",
            Method::Place => "place",
            Method::Subspace => "subspace",
            Method::Linear => "linear",
            Method::Mahalanobis => "mahalanobis",
        }
    }
}

/// The heatmap.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HeatSection {
    /// The scorer whose distances make the heatmap, counted from 0.
    pub scorer: usize,
    /// The file with the squared distance, in 256ths, at which the heat is a half, for each cell.
    pub half_distances: String,
}

/// How scorers are combined; see `combine` in task/anomaly/scorer/ensemble.rs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combination {
    /// The weighted sum.
    #[default]
    Sum,
    /// The weighted soft maximum.
    SoftMaximum,
}

/// A scorer, its statistics, and its term `(value - median) / spread` with its weight.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ScorerSection {
    /// Its method.
    pub method: Method,
    /// The view whose features it uses, counted from 0.
    pub view: usize,
    /// The file with its statistics.
    pub statistics: String,
    /// Patch-level methods: the share of the cells, the most distant ones, whose mean distance is the frame's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<f64>,
    /// The median of its values on normal frames.
    pub median: f64,
    /// The standard deviation of its values on normal frames.
    pub spread: f64,
    /// Its weight; 0 if it only makes the heatmap.
    pub weight: f64,
    /// The largest value of its term that counts, in standard deviations; where there is none, all do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<f64>,
}

impl ScorerSection {
    /// Its weight, and its term for a value of the scorer.
    pub fn term(&self, value: f64) -> (f64, f64) {
        let term = (value - self.median) / self.spread;
        (self.weight, self.ceiling.map_or(term, |ceiling| term.min(ceiling)))
    }
}

/// How a scorer scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Patch-level: distances along the directions that separate defects from normal.
    Contrast,
    /// Patch-level: distances along the directions in which normal cells vary least (Mahalanobis).
    Gaussian,
    /// Patch-level: distances to the nearest cell of a memory bank.
    Bank,
    /// Patch-level: distances from the mean of each place, by a covariance of its own.
    Place,
    /// Image-level: the distance of pooled features along the directions that separate defects from normal.
    Subspace,
    /// Image-level: a weighted sum of pooled features.
    Linear,
    /// Image-level: the distance of pooled features from their mean, by their full covariance.
    Mahalanobis,
}

/// Properties of a super-resolution model.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SuperResolutionSection {
    /// Output pixels per input pixel, along each axis.
    pub scale: usize,
    /// The radius of the receptive field of an output pixel, in input pixels: the halo of a tile.
    pub receptive_field: usize,
}

/// An input and its expected outputs.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The input's `.npy`.
    pub input: String,
    /// The expected outputs.
    pub output: Outputs,
    /// The largest allowed difference, in LSB of the output.
    pub tolerance: u32,
}

/// The `.npy` files of a model's outputs, in the model's order; a model with one output needs no list.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected the file of the output, or a list with one for each output")]
pub enum Outputs {
    /// The file of the only output.
    One(String),
    /// A file for each output.
    Each(Vec<String>),
}

impl Outputs {
    /// The files, one for each output.
    pub fn files(&self) -> &[String] {
        match self {
            Outputs::One(file) => std::slice::from_ref(file),
            Outputs::Each(files) => files,
        }
    }
}

impl Manifest {
    /// Parses and validates the text of the manifest at `path`.
    ///
    /// # Errors
    /// [`BundleError::Bad`] where it is no manifest of this format, or has an invalid value.
    pub fn parse(text: &str, path: &Path) -> Result<Manifest, BundleError> {
        // Before all else: what a newer program wrote may not even parse.
        if let Some(problem) = toml::from_str::<Head>(text).ok().and_then(|head| head.problem()) {
            return Err(BundleError::bad(path, problem));
        }
        let manifest: Manifest = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            BundleError::Bad {
                file: format!("{}:{line}", path.display()),
                problem: e.message().replace(char::is_control, " "),
            }
        })?;
        match manifest.problem() {
            Some(problem) => Err(BundleError::bad(path, problem)),
            None => Ok(manifest),
        }
    }

    fn problem(&self) -> Option<String> {
        if let Some(name) = self.files.keys().find(|name| !stays_inside(name)) {
            return Some(format!("[files] \"{name}\" points outside the bundle"));
        }
        let named = self.golden.iter().flat_map(|golden| golden.output.files().iter().chain([&golden.input]));
        let named = named.chain([&self.model]).chain(self.anomaly.iter().flat_map(AnomalySection::files));
        let named = named.chain(self.classify.iter().flat_map(ClassifySection::files));
        let named = named.chain(self.anomaly_map.iter().flat_map(AnomalyMapSection::files));
        let named = named.chain(self.reconstruction.iter().flat_map(ReconstructionSection::files));
        let named = named.chain(self.embed.iter().flat_map(EmbedSection::files));
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
                anomaly.problem()
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
                Some(_) => {
                    let preparation = self.input.preparation.as_ref();
                    preparation.and_then(|section| section.fault(self.input.channels.count()))
                }
            },
            Task::Backbone if self.anomaly.is_some() => {
                Some("task = \"backbone\": a section [anomaly] does not belong here".into())
            }
            Task::Backbone => match self.input {
                InputSection { width: None, height: None, channels: Channels::Rgb, preparation: None } => None,
                _ => Some("task = \"backbone\" takes pictures of any size: [input] is channels = \"rgb\" alone".into()),
            },
            Task::Classify => self.own_problem("classify", self.classify.as_ref().map(ClassifySection::fault)),
            Task::AnomalyMap => {
                self.own_problem("anomaly_map", self.anomaly_map.as_ref().map(AnomalyMapSection::fault))
            }
            Task::Reconstruction => {
                self.own_problem("reconstruction", self.reconstruction.as_ref().map(ReconstructionSection::fault))
            }
            Task::Embed => self.own_problem("embed", self.embed.as_ref().map(EmbedSection::fault)),
        }
    }

    /// What is wrong with the manifest of a network that people bring; `fault`: what is wrong with its section, where there is one.
    fn own_problem(&self, section: &str, fault: Option<Option<String>>) -> Option<String> {
        let Some(fault) = fault else {
            return Some(format!("task = \"{}\" needs a section [{section}]", self.task.name()));
        };
        let input = &self.input;
        let preparation = input.preparation.as_ref().and_then(|section| section.fault(input.channels.count()));
        fault.or_else(|| size_fault(input.width, input.height)).or(preparation)
    }
}

impl AnomalySection {
    /// The files that it names.
    fn files(&self) -> impl Iterator<Item = &String> {
        let scorers = self.scorer.iter().map(|scorer| &scorer.statistics);
        let ignored = self.region.iter().filter_map(|region| region.ignored.as_ref());
        let normal = self.normal.iter().flat_map(NormalSection::files);
        let nuisance = self.nuisance.iter().map(|nuisance| &nuisance.directions);
        let alignment = self.alignment.iter().flat_map(AlignmentSection::files);
        let others = [&self.calibration, &self.heat.half_distances];
        scorers.chain(others).chain(ignored).chain(normal).chain(nuisance).chain(alignment)
    }

    fn problem(&self) -> Option<String> {
        if self.views.is_empty() || !self.views.iter().all(|view| view.is_sound()) {
            let found: Vec<String> = self.views.iter().map(ViewSize::to_string).collect();
            return Some(format!("anomaly.views must be multiples of 32 in 32..1024, found {}", found.join(", ")));
        }
        if self.heat.scorer >= self.scorer.len() {
            return Some(format!("anomaly.heat.scorer = {}, but there are {}", self.heat.scorer, self.scorer.len()));
        }
        let view = |view: Option<usize>| view.is_some_and(|view| view >= self.views.len());
        if view(self.normal.as_ref().map(|normal| normal.view))
            || view(self.nuisance.as_ref().map(|nuisance| nuisance.view))
        {
            return Some("anomaly.normal.view or anomaly.nuisance.view is no view of the bundle".into());
        }
        let region = self.region.as_ref().and_then(RegionSection::fault);
        let region = region.or_else(|| self.alignment.as_ref().and_then(AlignmentSection::fault));
        if let Some(fault) = region.or_else(|| self.taught.as_ref().and_then(TaughtSection::fault)) {
            return Some(fault);
        }
        let bad = self.scorer.iter().position(|scorer| {
            let top = scorer.top.unwrap_or(1.0);
            let ceiling = scorer.ceiling.is_none_or(f64::is_finite);
            let sound = scorer.median.is_finite() && scorer.weight.is_finite() && scorer.spread.is_normal() && ceiling;
            !(sound && scorer.spread > 0.0 && top > 0.0 && top <= 1.0 && scorer.view < self.views.len())
        })?;
        Some(format!("[[anomaly.scorer]] number {bad}: view, top, median, spread, weight or ceiling is out of range"))
    }
}

fn stays_inside(name: &str) -> bool {
    Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
