//! From the notebooks to the statistics of a bundle.
//!
//! Every candidate is taught four times, each time without one fold of the pictures and without some kinds of painted
//! defects, and tried on that fold and those kinds. What it says of pictures that it was taught with is worthless: it knows
//! them by heart; and how well it finds defects of a kind that it was taught with says little of those to come. Scales,
//! threshold and the choice itself come from what was held out; then the chosen ones are taught once more with all.
//!
//! With labelled defects all that happens twice, with their help and without, and what tells held-out ones better is kept.

use super::advice::Grouping;
use super::choose::{HeldOut, Scale, Tried, area, choose, sums, worse};
use super::false_alarms::confidence;
use super::lessons::{Lessons, is_helped};
use super::notebook::{Notebook, Sight};
use super::notes::{Labels, Notes, fold_of};
use super::taught::{Candidate, Gain, Statistics, Taught, half_distances, outliers, threshold};
use super::teacher::TeachError;
use crate::bundle::{Method, ScorerSection};
use crate::task::anomaly::calibration::Calibration;
use crate::task::anomaly::cells::Cells;
use crate::task::anomaly::scorer::{Scorer, Seen, rebuild};
use crate::task::anomaly::view::{Features, Layer};

/// The squares in which the backbone sees a frame.
pub const VIEWS: [usize; 2] = [320, 128];
/// The view of the frame as a whole.
pub const WHOLE: usize = 0;
/// The view of places.
pub const PLACES: usize = 1;

/// A method, the view that it looks at, and the share of cells that make a frame's distance.
pub type Way = (Method, usize, Option<f64>);

/// What is tried, what did well elsewhere first.
const CANDIDATES: [Way; 5] = [
    (Method::Contrast, PLACES, Some(0.05)),
    (Method::Gaussian, PLACES, Some(0.05)),
    (Method::Bank, PLACES, Some(0.05)),
    (Method::Subspace, WHOLE, None),
    (Method::Linear, WHOLE, None),
];
/// What makes the heatmap, and no part of the verdict: the larger view tells better where, and worse whether.
const SHOWN: Way = (Method::Contrast, WHOLE, Some(0.05));

/// What a teacher has noted.
pub struct Noted<'a> {
    /// Of normal pictures.
    pub normal: &'a Notebook,
    /// The layers of each view.
    pub layers: &'a [&'a [Layer]],
    /// How normal pictures are held out.
    pub grouping: &'a Grouping,
    /// Of labelled defects, and the fold in which each is held out.
    pub defects: Option<(&'a Notebook, Vec<usize>)>,
}

/// Learns from the notebooks; see [`Teacher::learn`](super::Teacher::learn).
pub fn learn(noted: Noted<'_>, share: f64, mut progress: impl FnMut(f64)) -> Result<Taught, TeachError> {
    let Noted { normal, layers, grouping, defects } = noted;
    let notes = Notes::read(normal, layers, grouping, |done| progress(0.2 * done))?;
    if notes.places.all_defect.count() == 0.0 {
        return Err(TeachError::Refused("no defect can be painted that would be seen: the pictures are black".into()));
    }
    let labels = defects.map(|(notebook, folds)| Labels::read(notebook, layers, folds, &notes)).transpose()?;
    let mut lessons = Lessons::new(&notes, labels.as_ref());

    let ways: &[bool] = if labels.is_some() { &[false, true] } else { &[false] };
    let mut rehearsals: Vec<Rehearsal> = Vec::new();
    for &labelled in ways {
        let from = 0.2 + 0.65 * rehearsals.len() as f64 / ways.len() as f64;
        let told = |done: f64| progress(from + 0.65 * done / ways.len() as f64);
        let stage = Stage { layers, notes: &notes, labels: labels.as_ref(), labelled };
        rehearsals.push(stage.rehearse(&mut lessons, rehearsals.last(), told)?);
    }
    let areas: Vec<f64> = rehearsals.iter().map(Rehearsal::labelled_area).collect();
    // Labels are the real thing: they are followed unless they clearly mislead.
    let labelled = labels.as_ref().map_or(0, Labels::count);
    let helped = areas.len() == 2 && !worse(areas[1], areas[0], grouping.folds.len(), labelled);
    let Rehearsal { held_out, chosen } = rehearsals.swap_remove(usize::from(helped));
    let distances = Stage { layers, notes: &notes, labels: labels.as_ref(), labelled: helped }.heat(&mut lessons)?;

    let scales: Vec<Scale> = held_out.iter().map(|values| Scale::of(&values.normal)).collect();
    let values = |tried: Vec<Tried>| tried.into_iter().map(|tried| tried.value).collect::<Vec<f64>>();
    let normal = values(sums(&held_out, &chosen, |c| &c.normal));
    let labelled = values(sums(&held_out, &chosen, |c| &c.labelled));
    let calibration = Calibration::fit(&normal);
    let mut scorers = Vec::new();
    for &c in &chosen {
        let matrix = lessons.teach(CANDIDATES[c], helped)?;
        scorers.push(Statistics { section: section(CANDIDATES[c], scales[c], 1.0), matrix });
        progress(0.85 + 0.15 * scorers.len() as f64 / (chosen.len() + 1) as f64);
    }
    scorers.push(Statistics { section: section(SHOWN, UNSCALED, 0.0), matrix: lessons.teach(SHOWN, helped)? });
    let threshold = threshold(&calibration, &labelled, share);
    let gain = |labels: &Labels| Gain {
        without: areas[0],
        with: areas[1],
        helped,
        kinds: labels.notebook.pictures().iter().map(|p| p.label.as_ref().map_or("", |l| &l.kind).into()).collect(),
        sums: labelled.clone(),
    };
    Ok(Taught {
        scorers,
        shown: chosen.len(),
        half_distances: half_distances(&distances),
        outliers: outliers(&normal),
        candidates: CANDIDATES
            .iter()
            .enumerate()
            .map(|(c, (method, ..))| Candidate {
                method: *method,
                auroc: area(&held_out, &[c], |c| &c.painted).unwrap_or(0.0),
                chosen: chosen.contains(&c),
            })
            .collect(),
        auroc: area(&held_out, &chosen, |c| &c.painted).unwrap_or(0.0),
        confidence: confidence(&normal, &grouping.clusters, 1.0 - threshold),
        threshold,
        gain: labels.as_ref().map(gain),
        calibration,
        sums: normal,
    })
}

/// The scale of values that are in no sum.
const UNSCALED: Scale = Scale { median: 0.0, spread: 1.0 };

fn section((method, view, top): Way, scale: Scale, weight: f64) -> ScorerSection {
    let Scale { median, spread } = scale;
    ScorerSection { method, view, statistics: String::new(), top, median, spread, weight }
}

/// What came of trying all candidates on what they were not taught with.
struct Rehearsal {
    /// By candidate.
    held_out: Vec<HeldOut>,
    /// The candidates of the verdict.
    chosen: Vec<usize>,
}

impl Rehearsal {
    fn labelled_area(&self) -> f64 {
        area(&self.held_out, &self.chosen, |c| &c.labelled).unwrap_or(0.0)
    }
}

/// What is tried on what.
#[derive(Clone, Copy)]
struct Stage<'a> {
    layers: &'a [&'a [Layer]],
    notes: &'a Notes<'a>,
    labels: Option<&'a Labels<'a>>,
    /// Whether labelled defects help to teach.
    labelled: bool,
}

impl Stage<'_> {
    /// By fold: scorers that are taught without it, one for each way.
    fn without_each(
        &self,
        lessons: &mut Lessons<'_>,
        ways: &[Way],
        mut progress: impl FnMut(f64),
    ) -> Result<Vec<Vec<Box<dyn Scorer>>>, TeachError> {
        let mut taught = Vec::new();
        for fold in 0..self.notes.folds {
            lessons.hold_out(Some(fold));
            let mut scorers = Vec::new();
            for &way in ways {
                let matrix = lessons.teach(way, self.labelled)?;
                let scorer = rebuild(&section(way, UNSCALED, 1.0), self.layers[way.1], &matrix);
                scorers.push(scorer.map_err(TeachError::Refused)?);
                let done = fold * ways.len() + scorers.len();
                progress(done as f64 / (self.notes.folds * ways.len()) as f64);
            }
            taught.push(scorers);
        }
        lessons.hold_out(None);
        Ok(taught)
    }

    /// Room for what was noted of a sight.
    fn seen(&self) -> Result<Seen, TeachError> {
        let cells = self.layers.iter().map(|layers| Cells::new(layers).map_err(TeachError::Refused));
        Ok(Seen { pooled: vec![Vec::new(); self.layers.len()], cells: cells.collect::<Result<_, _>>()? })
    }

    /// Teaches every candidate without each fold and tries it on that fold. What labels do not help is taken from an
    /// earlier rehearsal.
    fn rehearse(
        &self,
        lessons: &mut Lessons<'_>,
        earlier: Option<&Rehearsal>,
        mut progress: impl FnMut(f64),
    ) -> Result<Rehearsal, TeachError> {
        let new: Vec<usize> =
            (0..CANDIDATES.len()).filter(|&c| earlier.is_none() || is_helped(CANDIDATES[c].0)).collect();
        let ways: Vec<Way> = new.iter().map(|&c| CANDIDATES[c]).collect();
        let mut taught = self.without_each(lessons, &ways, |done| progress(0.8 * done))?;
        let empty = || HeldOut { normal: Vec::new(), painted: Vec::new(), labelled: Vec::new() };
        let mut tried: Vec<HeldOut> = ways.iter().map(|_| empty()).collect();
        let (notes, mut seen) = (self.notes, self.seen()?);
        let sights = notes.notebook.form().sights;
        notes.notebook.read(|picture, number, sight| {
            let fold = notes.grouping.folds[picture];
            let painted = notes.kinds[picture * sights + number];
            if number > 0 && painted.is_none_or(|kind| fold_of(kind, notes.folds) != fold) {
                return Ok(());
            }
            seen.take(self.layers, sight);
            for (scorer, tried) in taught[fold].iter_mut().zip(&mut tried) {
                let value = Tried { fold, value: scorer.score(&seen) };
                if number == 0 { tried.normal.push(value) } else { tried.painted.push(value) }
            }
            Ok::<(), TeachError>(())
        })?;
        if let Some(labels) = self.labels {
            labels.notebook.read(|label, number, sight| {
                let fold = labels.folds[label];
                if number == 0 {
                    seen.take(self.layers, sight);
                    for (scorer, tried) in taught[fold].iter_mut().zip(&mut tried) {
                        tried.labelled.push(Tried { fold, value: scorer.score(&seen) });
                    }
                }
                Ok::<(), TeachError>(())
            })?;
        }
        progress(1.0);
        let mut held_out: Vec<HeldOut> = earlier.map_or_else(Vec::new, |earlier| earlier.held_out.clone());
        held_out.resize_with(CANDIDATES.len(), empty);
        for (c, tried) in new.into_iter().zip(tried) {
            held_out[c] = tried;
        }
        // Those that look at places see the same; the others each have a family of their own.
        let families = CANDIDATES.iter().enumerate().map(|(c, (_, view, _))| if *view == PLACES { 0 } else { 1 + c });
        let chosen = choose(&held_out, &families.collect::<Vec<usize>>());
        Ok(Rehearsal { held_out, chosen })
    }

    /// By normal picture that is noted in detail: the distances of its cells, by what is shown and was taught without it.
    fn heat(&self, lessons: &mut Lessons<'_>) -> Result<Vec<Vec<u32>>, TeachError> {
        let mut taught = self.without_each(lessons, &[SHOWN], |_| ())?;
        let (mut distances, mut seen) = (Vec::new(), self.seen()?);
        self.notes.notebook.read(|picture, number, sight| {
            if number == 0 && !sight.detail.is_empty() {
                seen.take(self.layers, sight);
                for scorer in &mut taught[self.notes.grouping.folds[picture]] {
                    scorer.score(&seen);
                    distances.extend(scorer.distances().map(<[u32]>::to_vec));
                }
            }
            Ok::<(), TeachError>(())
        })?;
        Ok(distances)
    }
}

impl Seen {
    /// What was noted of a sight.
    fn take(&mut self, layers: &[&[Layer]], sight: &Sight) {
        self.cells[PLACES].fill(Features { layers: layers[PLACES], bytes: &sight.features });
        self.cells[PLACES].join();
        if !sight.detail.is_empty() {
            self.cells[WHOLE].fill(Features { layers: layers[WHOLE], bytes: &sight.detail });
        }
        self.pooled[WHOLE].clone_from(&sight.pooled);
    }
}
