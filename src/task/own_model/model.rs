//! A network that people bring, as a judge of frames.

use super::anomaly_map::MapReader;
use super::classifier::Classifier;
use super::matcher::Matcher;
use super::network::Network;
use super::residual::Residual;
use super::value_scale::ValueScale;
use crate::bundle::{Bundle, BundleError, InputSection, Manifest, Task, ViewSize};
use crate::task::anomaly::{
    Calibration, Grid, HALF_HEAT, ImageStats, ImageStatsMeter, Matrix, Scratch, Verdict, draw, regions_of_defect,
};
use crate::task::error::TaskError;
use crate::task::recognition::Recognition;
use lineside_engine::{Plan, Workspace};
use lineside_picture::{Picture, Rect};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Judges frames by the network of one bundle.
pub struct OwnModel {
    bundle: Arc<str>,
    network: Network,
    reader: Reader,
    scale: ValueScale,
    /// By cell: how far it is from normal, [`HALF_HEAT`] for a heat of a half.
    relative: Vec<u32>,
    grid: (usize, usize),
    scratch: Scratch,
    judged: Judged,
    /// The resized frame that was judged last.
    previous_frame: Vec<u8>,
    image_stats_meter: ImageStatsMeter,
    image_stats: ImageStats,
}

/// What reads the network's outputs.
enum Reader {
    Classes(Classifier),
    Map { reader: MapReader, cold: f32, hot: f32, cells: Vec<f32> },
    Residual { residual: Residual, hot: u32 },
    Parts(Matcher),
}

/// The figures of the last verdict.
#[derive(Default)]
struct Judged {
    value: f64,
    score: f64,
    severity: f64,
    defect: bool,
    recognition: Option<Recognition>,
}

impl OwnModel {
    /// Loads a bundle's network, with runs that `threads` threads share. `threshold` overrides the bundle's own.
    ///
    /// # Errors
    /// [`TaskError::Bundle`] where the bundle is of another task or its parts do not fit each other.
    pub fn new(bundle: &Bundle, threshold: Option<f64>, threads: usize) -> Result<OwnModel, TaskError> {
        OwnModel::in_workspace(bundle, threshold, &Workspace::new(threads)?)
    }

    /// As [`OwnModel::new`], with runs in a workspace, which may be shared with other networks that run before or after.
    ///
    /// # Errors
    /// As [`OwnModel::new`].
    pub fn in_workspace(bundle: &Bundle, threshold: Option<f64>, workspace: &Workspace) -> Result<OwnModel, TaskError> {
        OwnModel::load(bundle, threshold, |input| Ok(Network::new(bundle.model()?, input, workspace)))
    }

    /// As [`OwnModel::in_workspace`], by the plan of the same bundle that others run, too ([`OwnModel::shared_plan`]): they share the
    /// packed weights and nothing else.
    ///
    /// # Errors
    /// As [`OwnModel::new`].
    pub fn of_plan(
        bundle: &Bundle,
        threshold: Option<f64>,
        workspace: &Workspace,
        plan: &Arc<Plan>,
    ) -> Result<OwnModel, TaskError> {
        OwnModel::load(bundle, threshold, |input| Ok(Network::of_shared(Arc::clone(plan), input, workspace)))
    }

    /// As [`OwnModel::new`], with the kernel set of this name ([`lineside_engine::kernel_names`]).
    ///
    /// # Errors
    /// As [`OwnModel::new`].
    pub fn on_kernel(bundle: &Bundle, threshold: Option<f64>, kernel: &str) -> Result<OwnModel, TaskError> {
        let workspace = Workspace::new(1)?;
        OwnModel::load(bundle, threshold, |input| Ok(Network::on_kernel(bundle.model()?, input, &workspace, kernel)))
    }

    fn load(
        bundle: &Bundle,
        threshold: Option<f64>,
        plan: impl FnOnce(&InputSection) -> Result<Result<Network, String>, BundleError>,
    ) -> Result<OwnModel, TaskError> {
        let manifest = bundle.manifest();
        if !manifest.task.judges_frames() {
            return Err(no_judge(bundle).into());
        }
        let blame = |problem| bundle.blame(&manifest.model, problem);
        let network = plan(&manifest.input)?.map_err(blame)?;
        let (reader, scale) = read_sections(bundle, manifest, &network, threshold)?;
        let grid = match &reader {
            Reader::Map { reader, .. } => reader.grid(),
            Reader::Residual { residual, .. } => residual.grid(),
            Reader::Classes(_) | Reader::Parts(_) => (1, 1),
        };
        let cells = grid.0 * grid.1;
        Ok(OwnModel {
            bundle: bundle.fingerprint().into(),
            image_stats_meter: ImageStatsMeter::new(network.size().0),
            image_stats: ImageStats::default(),
            previous_frame: Vec::with_capacity(3 * network.bytes().len() / manifest.input.channels.count()),
            network,
            reader,
            scale,
            relative: vec![0; cells],
            grid,
            scratch: Scratch::for_cells(cells),
            judged: Judged::default(),
        })
    }

    /// The score from which on a frame counts as defect.
    pub fn threshold(&self) -> f64 {
        match &self.reader {
            Reader::Classes(classifier) => classifier.threshold(),
            _ => self.scale.threshold(),
        }
    }

    /// The fingerprint of the bundle.
    pub fn bundle(&self) -> &Arc<str> {
        &self.bundle
    }

    /// The network's plan.
    pub fn plan(&self) -> &Plan {
        self.network.plan()
    }

    /// The same plan, to be shared.
    pub fn shared_plan(&self) -> Arc<Plan> {
        self.network.shared_plan()
    }

    /// Width and height of the network's input.
    pub fn view_size(&self) -> ViewSize {
        let (width, height) = self.network.size();
        ViewSize { width, height }
    }

    /// The names that it knows: classes or parts; empty where it knows none.
    pub fn names(&self) -> &[String] {
        match &self.reader {
            Reader::Classes(classifier) => classifier.names(),
            Reader::Parts(matcher) => matcher.names(),
            Reader::Map { .. } | Reader::Residual { .. } => &[],
        }
    }

    /// Size of what it knows beside the network, in bytes.
    pub fn statistics_bytes(&self) -> usize {
        match &self.reader {
            Reader::Parts(matcher) => matcher.bytes(),
            _ => size_of_val(&self.relative[..]),
        }
    }

    /// Resizes a frame to the network's input.
    ///
    /// # Errors
    /// [`TaskError::Picture`] for a frame without pixels.
    pub fn prepare(&mut self, frame: &Picture) -> Result<(), TaskError> {
        self.network.prepare(frame)?;
        self.image_stats = self.image_stats_meter.measure(self.network.fitted());
        Ok(())
    }

    /// Brightness and sharpness of the frame that was prepared last.
    pub fn image_stats(&self) -> &ImageStats {
        &self.image_stats
    }

    /// Mean absolute difference between the frame prepared last and the one judged last, in grey levels of the network's input;
    /// infinite before the first verdict.
    pub fn change(&self) -> f64 {
        let now = self.network.fitted().data();
        if now.len() != self.previous_frame.len() {
            return f64::INFINITY;
        }
        let sum: u64 = now.iter().zip(&self.previous_frame).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / now.len() as f64
    }

    /// Judges the frame that was prepared last; returns the time that the network took. `frame_size` is its size before resizing.
    ///
    /// # Errors
    /// [`TaskError::Engine`] where the network fails, [`TaskError::Output`] where no verdict follows from what it gives.
    pub fn judge(&mut self, frame_size: (usize, usize), verdict: &mut Verdict) -> Result<Duration, TaskError> {
        let start = Instant::now();
        self.network.run()?;
        let time = start.elapsed();
        self.previous_frame.clear();
        self.judged = self.read()?;
        self.previous_frame.extend_from_slice(self.network.fitted().data());
        self.repeat_verdict(frame_size, verdict);
        Ok(time)
    }

    /// Reads the network's outputs: the figures, and how far each cell is from normal.
    fn read(&mut self) -> Result<Judged, TaskError> {
        let network = &self.network;
        match &mut self.reader {
            Reader::Classes(classifier) => {
                let said = classifier.read(network)?;
                let threshold = classifier.threshold();
                let (_, severity) = ValueScale::new(None, threshold).measure(said.score);
                let (score, recognition) = (said.score, Some(said.recognition));
                Ok(Judged { value: score, score, severity, defect: said.defect, recognition })
            }
            Reader::Parts(matcher) => {
                let mut said = matcher.read(network)?;
                let (score, severity) = self.scale.measure(said.distance);
                let threshold = self.scale.threshold();
                said.recognition.is_unknown = score >= threshold;
                let defect = said.recognition.is_unknown || !said.is_ok;
                // The wrong part is no good frame, however much it looks like what it is.
                let (score, severity) =
                    if defect { (score.max(threshold), severity.max(1.0)) } else { (score, severity) };
                Ok(Judged { value: said.distance, score, severity, defect, recognition: Some(said.recognition) })
            }
            Reader::Map { reader, cold, hot, cells } => {
                let value = reader.measure(network)?;
                reader.cells(network, cells)?;
                for (relative, cell) in self.relative.iter_mut().zip(&*cells) {
                    // Saturates: 0 for all that is colder than cold.
                    *relative = ((cell - *cold) / (*hot - *cold) * HALF_HEAT as f32) as u32;
                }
                Ok(self.scaled(value))
            }
            Reader::Residual { residual, hot } => {
                let value = residual.measure(network)?;
                for (relative, cell) in self.relative.iter_mut().zip(residual.cells()) {
                    let scaled = u64::from(cell) * u64::from(HALF_HEAT) / u64::from(*hot);
                    *relative = u32::try_from(scaled).unwrap_or(u32::MAX);
                }
                Ok(self.scaled(value))
            }
        }
    }

    fn scaled(&self, value: f64) -> Judged {
        let (score, severity) = self.scale.measure(value);
        Judged { value, score, severity, defect: score >= self.scale.threshold(), recognition: None }
    }

    /// Writes the verdict on the frame judged last again, for a frame of the given size.
    pub fn repeat_verdict(&mut self, frame_size: (usize, usize), verdict: &mut Verdict) {
        let Judged { value, score, severity, defect, recognition } = &self.judged;
        (verdict.score, verdict.severity, verdict.sum) = (*score, *severity, *value);
        verdict.threshold = self.threshold();
        verdict.defect = *defect;
        verdict.recognition.clone_from(recognition);
        (verdict.inspected, verdict.placement) = (None, None);
        let whole = Rect { x: 0, y: 0, width: frame_size.0, height: frame_size.1 };
        let grid = Grid { width: self.grid.0, height: self.grid.1, area: whole };
        let (cell, hottest) = draw(&grid, &self.relative, 0, &mut verdict.heat);
        verdict.peak = grid.centre(cell);
        verdict.regions.clear();
        // Without a map nothing is known of where.
        if verdict.defect && self.relative.len() > 1 {
            regions_of_defect(&grid, &self.relative, hottest, &mut self.scratch, &mut verdict.regions);
        }
    }
}

/// The reader for a bundle's task, and what its values mean.
fn read_sections(
    bundle: &Bundle,
    manifest: &Manifest,
    network: &Network,
    threshold: Option<f64>,
) -> Result<(Reader, ValueScale), TaskError> {
    let blame = |problem: String| TaskError::from(bundle.blame(&manifest.model, problem));
    let calibrated = |name: &str, own: f64| -> Result<ValueScale, TaskError> {
        Ok(ValueScale::new(Some(calibration(bundle, name)?), threshold.unwrap_or(own)))
    };
    match (manifest.task, &manifest.classify, &manifest.anomaly_map, &manifest.reconstruction, &manifest.embed) {
        (Task::Classify, Some(section), ..) => {
            let classifier = Classifier::new(network, section, lines(bundle, &section.labels)?, threshold);
            Ok((Reader::Classes(classifier.map_err(blame)?), ValueScale::Raw(threshold.unwrap_or(0.5))))
        }
        (Task::AnomalyMap, _, Some(section), ..) => {
            let reader = MapReader::new(network, section).map_err(blame)?;
            let scale = match &section.calibration {
                Some(name) => calibrated(name, section.threshold)?,
                None => ValueScale::new(None, threshold.unwrap_or(section.threshold)),
            };
            if !reader.has_map() && section.score.is_none() {
                return Err(blame("[anomaly_map] names no output".into()));
            }
            let cells = vec![section.cold as f32; reader.grid().0 * reader.grid().1];
            Ok((Reader::Map { reader, cold: section.cold as f32, hot: section.hot as f32, cells }, scale))
        }
        (Task::Reconstruction, _, _, Some(section), _) => {
            let residual = Residual::new(network, section).map_err(blame)?;
            Ok((Reader::Residual { residual, hot: section.hot }, calibrated(&section.calibration, section.threshold)?))
        }
        (Task::Embed, .., Some(section)) => {
            let references = Matrix::of_bundle(bundle, &section.references)?.values;
            let matcher = Matcher::new(network, section, references, &lines(bundle, &section.parts)?);
            Ok((Reader::Parts(matcher.map_err(blame)?), calibrated(&section.calibration, section.threshold)?))
        }
        _ => Err(no_judge(bundle).into()),
    }
}

fn no_judge(bundle: &Bundle) -> BundleError {
    let task = bundle.manifest().task.name();
    bundle.blame("bundle.toml", format!("task is \"{task}\", which judges no frames: use a bundle for another task"))
}

/// A file of names, one a line.
fn lines(bundle: &Bundle, name: &str) -> Result<Vec<String>, BundleError> {
    let text = String::from_utf8(bundle.read(name)?).map_err(|_| bundle.blame(name, "is no text in UTF-8"))?;
    Ok(text.lines().map(|line| line.trim().to_string()).collect())
}

fn calibration(bundle: &Bundle, name: &str) -> Result<Calibration, BundleError> {
    Calibration::from_matrix(&Matrix::of_bundle(bundle, name)?).map_err(|problem| bundle.blame(name, problem))
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
