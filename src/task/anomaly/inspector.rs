//! The inspector: scores frames by one bundle.

use super::alignment::Aligner;
use super::calibration::{Calibration, SeverityScale};
use super::cells::Cells;
use super::heatmap::{Grid, HALF_HEAT, Scratch, draw, regions_of_defect};
use super::image_stats::{ImageStats, ImageStatsMeter};
use super::nuisance::Nuisance;
use super::placement::Placement;
use super::planes::{gather, planes_len};
use super::pooled::{pool, pooled_len};
use super::region::RegionOfInterest;
use super::scorer::{Ensemble, Features, Matrix, Scorer, build_scorer};
use super::verdict::Verdict;
use super::view::{self, Layer, MIN_SIDE, View};
use crate::bundle::{Bundle, Method, Task, TaughtSection, ViewSize};
use crate::task::error::TaskError;
use lineside_engine::{Plan, Workspace};
use lineside_picture::{Layout, Picture, Rect};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Inspects frames by one bundle.
pub struct Inspector {
    bundle: Arc<str>,
    /// The part of the frame that it was taught with; `None`: all of it.
    region: Option<Arc<RegionOfInterest>>,
    /// Finds the part where frames are brought into place.
    aligner: Option<Aligner>,
    /// What was inspected of the last frame, where that is not all of it as it came.
    inspected: Picture,
    /// Where the part lies in the frame that was prepared last, and in the one that was judged last.
    prepared: Option<Placement>,
    judged: Option<Placement>,
    /// The size of the frame that was prepared last.
    size: (usize, usize),
    /// What it was taught with, where the bundle says so.
    taught: Option<TaughtSection>,
    views: Vec<View>,
    /// By view: the features that the scorers use.
    needs: Vec<Needs>,
    features: Features,
    /// What is taken out of the pooled features of a view.
    nuisance: Option<(usize, Nuisance)>,
    sum: Ensemble,
    calibration: Calibration,
    heat_scorer: usize,
    /// By cell: the distance at which the heat is a half.
    half: Vec<f32>,
    /// By cell: whether it has a pixel that is inspected.
    is_inspected: Vec<bool>,
    /// By cell: the distance on a scale where [`HALF_HEAT`] has a heat of a half.
    relative: Vec<u32>,
    threshold: f64,
    severity_scale: SeverityScale,
    score: f64,
    severity: f64,
    sum_of_scores: f64,
    previous_frame: Vec<u8>,
    image_stats_meter: ImageStatsMeter,
    image_stats: ImageStats,
    scratch: Scratch,
}

#[derive(Clone, Copy, Default)]
struct Needs {
    cells: bool,
    /// Cells of all layers on one grid, not only group by group.
    joined: bool,
    pooled: bool,
    /// How many planes of each layer.
    planes: usize,
}

impl Inspector {
    /// Loads the bundle's backbone and scorers. `threshold` overrides the bundle's own.
    ///
    /// # Errors
    /// [`TaskError::Bundle`] where the bundle is of another task or its parts do not fit each other.
    pub fn new(bundle: &Bundle, threshold: Option<f64>) -> Result<Inspector, TaskError> {
        Inspector::with_threads(bundle, threshold, 1)
    }

    /// As [`Inspector::new`], with backbone runs that `threads` threads share. The verdicts are the same for any number.
    ///
    /// # Errors
    /// As [`Inspector::new`].
    pub fn with_threads(bundle: &Bundle, threshold: Option<f64>, threads: usize) -> Result<Inspector, TaskError> {
        Inspector::in_workspace(bundle, threshold, &Workspace::new(threads)?)
    }

    /// As [`Inspector::new`], with backbone runs in the memory and on the threads of a workspace: the views share it, and it may
    /// be shared with other networks that run before or after.
    ///
    /// # Errors
    /// As [`Inspector::new`].
    pub fn in_workspace(
        bundle: &Bundle,
        threshold: Option<f64>,
        workspace: &Workspace,
    ) -> Result<Inspector, TaskError> {
        Inspector::load(bundle, threshold, |sizes| {
            let blame = |problem| bundle.blame(&bundle.manifest().model, problem);
            Ok(view::plan_each(bundle.model()?, sizes, |model, size| View::in_workspace(model, size, workspace))
                .map_err(blame)?)
        })
    }

    /// As [`Inspector::in_workspace`], by plans of the same bundle that others run, too ([`Inspector::shared_plans`]): they share the
    /// packed weights and nothing else.
    ///
    /// # Errors
    /// As [`Inspector::new`].
    pub fn of_plans(
        bundle: &Bundle,
        threshold: Option<f64>,
        workspace: &Workspace,
        plans: &[Arc<Plan>],
    ) -> Result<Inspector, TaskError> {
        Inspector::load(bundle, threshold, |sizes| {
            let views = sizes.iter().zip(plans).map(|(size, plan)| View::of_shared(Arc::clone(plan), *size, workspace));
            let blame = |problem| bundle.blame(&bundle.manifest().model, problem);
            Ok(views.collect::<Result<_, _>>().map_err(blame)?)
        })
    }

    /// As [`Inspector::new`], with the kernel set of this name ([`lineside_engine::kernel_names`]).
    ///
    /// # Errors
    /// As [`Inspector::new`].
    pub fn on_kernel(bundle: &Bundle, threshold: Option<f64>, kernel: &str) -> Result<Inspector, TaskError> {
        let workspace = Workspace::new(1)?;
        Inspector::load(bundle, threshold, |sizes| {
            let blame = |problem| bundle.blame(&bundle.manifest().model, problem);
            let plan = |model, size| View::on_kernel(model, size, &workspace, kernel);
            Ok(view::plan_each(bundle.model()?, sizes, plan).map_err(blame)?)
        })
    }

    fn load(
        bundle: &Bundle,
        threshold: Option<f64>,
        views: impl FnOnce(&[ViewSize]) -> Result<Vec<View>, TaskError>,
    ) -> Result<Inspector, TaskError> {
        let manifest = bundle.manifest();
        let (Task::Anomaly, Some(section)) = (manifest.task, &manifest.anomaly) else {
            return Err(bundle.blame("bundle.toml", "task is not \"anomaly\"; use a bundle for that task").into());
        };
        let blame = |problem| bundle.blame(&manifest.model, problem);
        let views = views(&section.views)?;
        let cells = views.iter().map(|view| Cells::new(view.layers()).map_err(blame));
        let mut features = Features {
            pooled: vec![Vec::new(); views.len()],
            cells: cells.collect::<Result<_, _>>()?,
            planes: vec![Vec::new(); views.len()],
        };
        let (mut sum, mut needs) = (Ensemble::new(section.combination), vec![Needs::default(); views.len()]);
        for part in &section.scorer {
            let matrix = Matrix::of_bundle(bundle, &part.statistics)?;
            let scorer = build_scorer(part, views[part.view].layers(), &matrix);
            let scorer = scorer.map_err(|problem| bundle.blame(&part.statistics, problem))?;
            let needs = &mut needs[part.view];
            match scorer.planes() {
                // All scorers of a program's time use the same number.
                Some(each) if needs.planes != 0 && needs.planes != each => {
                    return Err(bundle.blame(&part.statistics, "uses other planes than another scorer").into());
                }
                Some(each) => {
                    needs.planes = each;
                    features.planes[part.view] = Vec::with_capacity(planes_len(views[part.view].layers(), each));
                }
                None if scorer.distances().is_some() => needs.cells = true,
                None => needs.pooled = true,
            }
            needs.joined |= part.method == Method::Bank;
            sum.push(scorer, part);
        }
        if sum.scorers().nth(section.heat.scorer).is_none_or(|scorer| scorer.distances().is_none()) {
            return Err(bundle.blame("bundle.toml", "anomaly.heat.scorer is not a patch-level scorer").into());
        }
        let half = Matrix::of_bundle(bundle, &section.heat.half_distances)?.values;
        let heat_scorer = &section.scorer[section.heat.scorer];
        let (width, height) = features.cells[heat_scorer.view].grid();
        if half.len() != width * height || !half.iter().all(|half| *half > 0.0) {
            let problem = format!("expected a number over 0 for each of {width}x{height} cells");
            return Err(bundle.blame(&section.heat.half_distances, problem).into());
        }
        let region = RegionOfInterest::of_bundle(bundle)?.map(Arc::new);
        let is_inspected = region.as_ref().map_or(vec![true; half.len()], |region| region.cells((width, height)));
        let aligner = Aligner::of_bundle(bundle)?;
        let drawn = region.as_ref().map(|region| region.frame_size());
        if let (Some(drawn), Some(aligned)) = (drawn, aligner.as_ref().map(Aligner::frame_size))
            && drawn != aligned
        {
            return Err(bundle
                .blame("bundle.toml", "[anomaly.region] and [anomaly.alignment] are of frames of two sizes")
                .into());
        }
        let mut inspected = Picture::default();
        let area = region.as_ref().map(|region| (region.area().width, region.area().height));
        if let Some((width, height)) = area.or(aligner.as_ref().map(Aligner::frame_size)) {
            inspected.reshape(Layout::Rgb, width, height);
        }
        let nuisance = section.nuisance.as_ref().map(|part| {
            let values = pooled_len(views[part.view].layers());
            let nuisance = Nuisance::from_matrix(&Matrix::of_bundle(bundle, &part.directions)?, values);
            nuisance.map(|nuisance| (part.view, nuisance)).map_err(|problem| bundle.blame(&part.directions, problem))
        });
        let nuisance = nuisance.transpose()?;
        let calibration = Calibration::from_matrix(&Matrix::of_bundle(bundle, &section.calibration)?);
        let calibration = calibration.map_err(|problem| bundle.blame(&section.calibration, problem))?;
        let threshold = threshold.unwrap_or(section.threshold);
        Ok(Inspector {
            bundle: bundle.fingerprint().into(),
            region,
            aligner,
            inspected,
            prepared: None,
            judged: None,
            size: (0, 0),
            taught: section.taught.clone(),
            views,
            needs,
            features,
            nuisance,
            sum,
            severity_scale: SeverityScale::new(&calibration, threshold),
            calibration,
            heat_scorer: section.heat.scorer,
            relative: vec![0; half.len()],
            scratch: Scratch::for_cells(half.len()),
            half,
            is_inspected,
            threshold,
            score: 0.0,
            severity: 0.0,
            sum_of_scores: 0.0,
            previous_frame: Vec::new(),
            image_stats_meter: ImageStatsMeter::new(section.views[0].width),
            image_stats: ImageStats::default(),
        })
    }

    /// The score, 0..1, from which on a frame counts as defect.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// The fingerprint of the bundle.
    pub fn bundle(&self) -> &Arc<str> {
        &self.bundle
    }

    /// The part of a frame that it inspects; `None`: all of it.
    pub fn region(&self) -> Option<&Arc<RegionOfInterest>> {
        self.region.as_ref()
    }

    /// By what it brings frames into place; `None`: it inspects them as they are.
    pub fn aligner(&self) -> Option<&Aligner> {
        self.aligner.as_ref()
    }

    /// The only size of frames that it takes: width and height in pixels; `None` where it takes others.
    pub fn frame_size(&self) -> Option<(usize, usize)> {
        let drawn = self.region.as_ref().map(|region| region.frame_size());
        drawn.or(self.aligner.as_ref().map(Aligner::frame_size))
    }

    /// Whether the part was looked for in the frame that was prepared last, and not found.
    pub fn is_unfound(&self) -> bool {
        self.prepared == Some(Placement::Unfound)
    }

    /// What is inspected of the frame that was prepared last.
    pub(super) fn inspected<'a>(&'a self, frame: &'a Picture) -> &'a Picture {
        if self.region.is_some() || matches!(self.prepared, Some(Placement::At(_))) { &self.inspected } else { frame }
    }

    /// Checks that frames of this width and height were taught, as a line does with each frame. Bundles that do not say what they
    /// were taught with take every size.
    ///
    /// # Errors
    /// [`TaskError::OtherSize`], which says what to do.
    pub fn require_taught_size(&self, size: (usize, usize)) -> Result<(), TaskError> {
        match self.taught.as_ref().and_then(|taught| taught.problem(size)) {
            Some(problem) => Err(TaskError::OtherSize(problem)),
            None => Ok(()),
        }
    }

    /// The plans of the backbone, one per view.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.views.iter().map(View::plan)
    }

    /// The same plans, to be shared.
    pub fn shared_plans(&self) -> Vec<Arc<Plan>> {
        self.views.iter().map(View::shared_plan).collect()
    }

    /// The sizes of the views.
    pub fn view_sizes(&self) -> impl Iterator<Item = ViewSize> {
        self.views.iter().map(View::size)
    }

    /// Size of the scorers' statistics in bytes.
    pub fn statistics_bytes(&self) -> usize {
        let nuisance = self.nuisance.as_ref().map_or(0, |(_, nuisance)| nuisance.bytes());
        nuisance + self.sum.scorers().map(Scorer::bytes).sum::<usize>()
    }

    /// Finds the part where frames are brought into place, and resizes the frame, or what is inspected of it, to the backbone's views.
    ///
    /// # Errors
    /// [`TaskError::TooSmall`] for a frame of less than 32 pixels per side, [`TaskError::OtherSize`] for one of another size than the
    /// region was drawn for or in which a part is looked for, [`TaskError::Picture`] where it cannot be resized.
    pub fn prepare(&mut self, frame: &Picture) -> Result<(), TaskError> {
        let (width, height) = (frame.width(), frame.height());
        if width < MIN_SIDE || height < MIN_SIDE {
            return Err(TaskError::TooSmall { width, height, min: MIN_SIDE });
        }
        let placement = self.aligner.as_mut().map(|aligner| aligner.find(frame)).transpose();
        self.prepared = placement.map_err(TaskError::OtherSize)?;
        self.size = (width, height);
        match (&self.region, &self.prepared) {
            (Some(region), None) => region.apply(frame, &mut self.inspected),
            (Some(region), Some(placement)) => region.apply_at(placement, frame, &mut self.inspected),
            (None, Some(placement @ Placement::At(_))) => {
                placement.resample(frame, Rect { x: 0, y: 0, width, height }, &mut self.inspected);
                Ok(())
            }
            (None, _) => Ok(()),
        }
        .map_err(|error| TaskError::OtherSize(error.to_string()))?;
        let is_whole = self.region.is_none() && !matches!(self.prepared, Some(Placement::At(_)));
        view::prepare(&mut self.views, if is_whole { frame } else { &self.inspected })?;
        self.image_stats = self.image_stats_meter.measure(self.views[0].fitted());
        Ok(())
    }

    /// Brightness and sharpness of the frame that was prepared last.
    pub fn image_stats(&self) -> &ImageStats {
        &self.image_stats
    }

    /// Mean absolute difference between the frame prepared last and the one judged last, in grey levels of the first view; infinite
    /// before the first verdict, where only one of them is grey, and where the part lies elsewhere.
    pub fn change(&self) -> f64 {
        let is_elsewhere = match (&self.prepared, &self.judged) {
            (Some(now), Some(before)) => now.differs_from(before, self.size),
            (now, before) => now != before,
        };
        if is_elsewhere {
            return f64::INFINITY;
        }
        let now = self.views[0].fitted().data();
        if now.len() != self.previous_frame.len() {
            return f64::INFINITY;
        }
        let sum: u64 = now.iter().zip(&self.previous_frame).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / now.len() as f64
    }

    /// Judges the frame that was prepared last; `frame_size` is its size before resizing.
    ///
    /// # Errors
    /// [`TaskError::Engine`] where the backbone fails.
    pub fn judge(&mut self, frame_size: (usize, usize), verdict: &mut Verdict) -> Result<(), TaskError> {
        self.judge_timed(frame_size, verdict).map(|_| ())
    }

    /// As [`Inspector::judge`]; returns the time that the backbone took.
    ///
    /// # Errors
    /// As [`Inspector::judge`].
    pub fn judge_timed(&mut self, frame_size: (usize, usize), verdict: &mut Verdict) -> Result<Duration, TaskError> {
        let backbone = self.extract()?;
        if let Some((view, nuisance)) = self.nuisance.as_mut().filter(|(view, _)| self.needs[*view].pooled) {
            nuisance.remove(&mut self.features.pooled[*view]);
        }
        self.previous_frame.clear();
        self.previous_frame.extend_from_slice(self.views[0].fitted().data());
        self.judged = self.prepared;
        let sum = self.sum.score(&self.features);
        self.score = self.calibration.score(sum);
        self.severity = self.severity_scale.severity(sum, self.score);
        self.sum_of_scores = sum;
        self.repeat_verdict(frame_size, verdict);
        Ok(backbone)
    }

    /// Extracts the features of the frame that was prepared last; returns the time that the backbone took.
    pub(super) fn extract(&mut self) -> Result<Duration, TaskError> {
        let mut backbone = Duration::ZERO;
        for (at, (view, needs)) in self.views.iter_mut().zip(&self.needs).enumerate() {
            let start = Instant::now();
            view.run()?;
            backbone += start.elapsed();
            if needs.pooled {
                pool(view.features(), &mut self.features.pooled[at]);
            }
            if needs.planes > 0 {
                gather(view.features(), needs.planes, &mut self.features.planes[at]);
            }
            if needs.cells {
                self.features.cells[at].fill(view.features());
            }
            if needs.joined {
                self.features.cells[at].join();
            }
        }
        Ok(backbone)
    }

    /// The features that were extracted last, the scorers, and what is taken out of the pooled features of a view.
    pub(super) fn parts(&mut self) -> (&mut Features, &mut Ensemble, Option<&mut (usize, Nuisance)>) {
        (&mut self.features, &mut self.sum, self.nuisance.as_mut())
    }

    /// The layers of a view's features.
    pub(super) fn layers(&self, view: usize) -> &[Layer] {
        self.views[view].layers()
    }

    /// The distribution of the sums of normal frames.
    pub(super) fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Writes the verdict on the frame judged last again, for a frame of the given size; with a region, of the size for which that
    /// was drawn.
    pub fn repeat_verdict(&mut self, frame_size: (usize, usize), verdict: &mut Verdict) {
        let heat_scorer = self.sum.scorers().nth(self.heat_scorer);
        let (Some(distances), Some(view)) = (heat_scorer.and_then(|s| s.distances()), heat_scorer.map(|s| s.view()))
        else {
            return;
        };
        let (width, height) = self.features.cells[view].grid();
        let whole = Rect { x: 0, y: 0, width: frame_size.0, height: frame_size.1 };
        let grid = Grid { width, height, area: self.region.as_ref().map_or(whole, |region| region.area()) };
        verdict.inspected.clone_from(&self.region);
        verdict.placement = self.judged;
        verdict.recognition = None;
        let references = self.half.iter().zip(&self.is_inspected);
        for ((&distance, (half, &is_inspected)), relative) in distances.iter().zip(references).zip(&mut self.relative) {
            *relative = if is_inspected { (distance as f32 / half * HALF_HEAT as f32) as u32 } else { 0 };
        }
        let first = self.is_inspected.iter().position(|inspected| *inspected).unwrap_or(0);
        let hottest = draw(&grid, &self.relative, first, &mut verdict.heat);
        verdict.score = self.score;
        verdict.severity = self.severity;
        verdict.sum = self.sum_of_scores;
        verdict.threshold = self.threshold;
        verdict.defect = self.score >= self.threshold;
        if self.judged == Some(Placement::Unfound) {
            self.count_as_defect(verdict);
        }
        verdict.peak = grid.centre(hottest.0);
        verdict.regions.clear();
        if verdict.defect {
            regions_of_defect(&grid, &self.relative, hottest.1, &mut self.scratch, &mut verdict.regions);
        }
        if let Some(placement) = &self.judged {
            verdict.peak = placement.point(verdict.peak, frame_size);
            verdict.regions.iter_mut().for_each(|region| region.area = placement.bounds(region.area, frame_size));
        }
    }

    /// A frame in which the part is not found is no normal frame, however much what it shows looks like one: it lies at the threshold
    /// at least, by all three figures.
    fn count_as_defect(&self, verdict: &mut Verdict) {
        verdict.defect = true;
        verdict.score = verdict.score.max(self.threshold);
        verdict.severity = verdict.severity.max(1.0);
        verdict.sum = verdict.sum.max(self.calibration.sum_at(self.threshold));
    }
}
