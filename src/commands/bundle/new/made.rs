//! What a task makes of a network: its section of the manifest, its files, and what is told of it.

use crate::bundle::{AnomalyMapSection, ClassifySection, EmbedSection, ReconstructionSection, SuperResolutionSection};
use crate::task::anomaly::{Baseline, Matrix, auroc};
use crate::task::own_model::make::NormalFit;
use lineside_engine::{Tensor, npy};
use std::collections::BTreeMap;

/// The section of a task.
pub enum Section {
    /// `[classify]`
    Classify(ClassifySection),
    /// `[anomaly_map]`
    AnomalyMap(AnomalyMapSection),
    /// `[reconstruction]`
    Reconstruction(ReconstructionSection),
    /// `[embed]`
    Embed(EmbedSection),
    /// `[super_resolution]`
    SuperResolution(SuperResolutionSection),
}

/// What a task makes of a network.
pub struct Made {
    /// Its section.
    pub section: Section,
    /// Its files, by name.
    pub files: Vec<(String, Vec<u8>)>,
    /// Figures by name.
    pub measured: BTreeMap<String, toml::Value>,
    /// What was found and chosen, for people.
    pub told: Vec<String>,
    /// What they should know.
    pub warnings: Vec<String>,
}

impl Made {
    /// A section without anything else yet.
    pub fn new(section: Section) -> Made {
        Made { section, files: Vec::new(), measured: BTreeMap::new(), told: Vec::new(), warnings: Vec::new() }
    }

    /// The outputs that its task reads.
    pub fn outputs(&self) -> Vec<&str> {
        match &self.section {
            Section::Classify(section) => vec![&section.output],
            Section::AnomalyMap(section) => section.score.iter().chain(&section.map).map(String::as_str).collect(),
            Section::Reconstruction(section) => vec![&section.output],
            Section::Embed(section) => vec![&section.output],
            // It has one alone.
            Section::SuperResolution(_) => Vec::new(),
        }
    }

    /// Whether `--quantize` goes with its task.
    pub fn quantizes(&self) -> bool {
        !matches!(self.section, Section::SuperResolution(_))
    }

    /// A figure.
    pub fn measure(&mut self, name: &str, value: f64) {
        self.measured.insert(name.into(), toml::Value::Float(value));
    }

    /// A count.
    pub fn count(&mut self, name: &str, value: usize) {
        self.measured.insert(name.into(), toml::Value::Integer(value as i64));
    }

    /// A matrix of floats as a file.
    pub fn add_matrix(&mut self, name: &str, matrix: &Matrix) -> anyhow::Result<()> {
        let rows = matrix.values.len() / matrix.columns.max(1);
        let mut bytes = Vec::new();
        npy::write(&mut bytes, &Tensor::new(vec![rows, matrix.columns], matrix.values.clone())?)?;
        self.files.push((name.into(), bytes));
        Ok(())
    }

    /// The baseline of drift.
    pub fn add_baseline(&mut self, baseline: &Baseline) -> anyhow::Result<()> {
        self.files.push((Baseline::FILE.into(), baseline.to_json()?.into_bytes()));
        Ok(())
    }

    /// Threshold and calibration from pictures of good parts.
    pub fn add_fit(&mut self, fit: &NormalFit, file: &str, pictures: usize, asked: f64) -> anyhow::Result<()> {
        self.add_matrix(file, &fit.calibration.to_matrix())?;
        let [low, high] = fit.interval.map(|share| 1000.0 * share);
        self.count("pictures_normal", pictures);
        self.measure("false_alarms_asked", asked);
        self.measure("false_alarms_low", low);
        self.measure("false_alarms_high", high);
        let value = fit.calibration.sum_at(fit.threshold);
        self.told.push(format!(
            "threshold {:.4}, the network's value {value:.5}, from {pictures} pictures of good parts: {asked} false alarms in 1000 of them asked \
             for; {low:.1} to {high:.1} with 95 % confidence",
            fit.threshold
        ));
        self.warnings.extend(fit.warnings.iter().cloned());
        Ok(())
    }

    /// How well values tell defects from good parts, and how many of them count as defects.
    pub fn add_defects(&mut self, normal: &[f64], defects: &[f64], found: usize) {
        let count = defects.len();
        self.count("defects", count);
        self.count("defects_found", found);
        let mut told = format!("{found} of {count} pictures of defects count as defects");
        if let Some(auroc) = auroc(normal, defects) {
            self.measure("auroc", auroc);
            told.push_str(&format!(
                ", AUROC {auroc:.4} against the {} good ones that the threshold was set from",
                normal.len()
            ));
        }
        self.told.push(told);
    }
}
