//! From the notebook to the statistics of a bundle.
//!
//! Every candidate is taught four times, each time without one fold of the pictures and without some kinds of synthetic
//! defects, and tried on that fold and those kinds. What it says of pictures that it was taught with is worthless: it knows
//! them by heart; and how well it finds defects of a kind that it was taught with says little of those to come. Scales,
//! threshold and the choice itself come from what was held out; then the chosen ones are taught once more with all.

use super::advice::Grouping;
use super::choose::{Choice, HeldOut, Scale, choose};
use super::coreset::coreset;
use super::directions::{contrast, gaussian};
use super::false_alarms::confidence;
use super::logistic::logistic;
use super::moments::Moments;
use super::notebook::Notebook;
use super::subspace::subspace;
use super::taught::{Candidate, Statistics, Taught, half_distances, outliers};
use super::teacher::TeachError;
use crate::bundle::{Method, ScorerSection};
use crate::task::anomaly::calibration::Calibration;
use crate::task::anomaly::cells::Cells;
use crate::task::anomaly::scorer::{Matrix, Scorer, Seen, rebuild};
use crate::task::anomaly::view::{Features, Layer};

/// The squares in which the backbone sees a frame.
pub const VIEWS: [usize; 2] = [320, 128];
/// The view of the frame as a whole.
pub const WHOLE: usize = 0;
/// The view of places.
pub const PLACES: usize = 1;

/// What is tried, what did well elsewhere first: the method, the view, the share of cells that make a frame's distance.
const CANDIDATES: [(Method, usize, Option<f64>); 6] = [
    (Method::Contrast, PLACES, Some(0.05)),
    (Method::Gaussian, PLACES, Some(0.05)),
    (Method::Bank, PLACES, Some(0.05)),
    (Method::Subspace, WHOLE, None),
    (Method::Linear, WHOLE, None),
    (Method::Detail, PLACES, Some(0.05)),
];
/// The candidate that makes the heatmap, and no part of the verdict: layers on half the grid see too far around.
const SHOWN: usize = CANDIDATES.len() - 1;

/// Directions along which a place is measured.
const DIRECTIONS: usize = 128;
const DETAIL_DIRECTIONS: usize = 32;
/// Cells of a memory bank, and of a picture those from which they are chosen.
const BANK: usize = 256;
const BANK_EACH: usize = 8;
/// A cell is a defect's from this much cover on, of 255, or from half of what its most covered cell has.
const COVERED: u8 = 38;
/// What candidates are taught with: everything, or everything but one fold.
struct Lesson<'a> {
    normal: &'a Moments,
    defect: &'a Moments,
    /// Channels of a cell, the first ones, that come of layers on the full grid.
    fine: usize,
    /// Cells `[n, channels]` of normal pictures.
    cells: Vec<&'a [i16]>,
    pooled_normal: Vec<&'a [u16]>,
    /// Painted, and the same unpainted.
    pooled_defect: Vec<(&'a [u16], &'a [u16])>,
}

impl Lesson<'_> {
    fn teach(&self, method: Method) -> Result<Matrix, TeachError> {
        match method {
            Method::Contrast => contrast(self.normal, self.defect, DIRECTIONS, usize::MAX).map_err(TeachError::Refused),
            Method::Detail => {
                contrast(self.normal, self.defect, DETAIL_DIRECTIONS, self.fine).map_err(TeachError::Refused)
            }
            Method::Gaussian => gaussian(self.normal, DIRECTIONS).map_err(TeachError::Refused),
            Method::Bank => Ok(coreset(&self.cells, BANK)),
            Method::Subspace => subspace(&self.pooled_normal, &self.pooled_defect).map_err(TeachError::Refused),
            Method::Linear => {
                let painted: Vec<&[u16]> = self.pooled_defect.iter().map(|pair| pair.0).collect();
                Ok(logistic(&self.pooled_normal, &painted))
            }
        }
    }
}

/// The notes, in the form in which they are learned from.
struct Notes {
    /// By fold.
    normal: Vec<Moments>,
    /// By fold: of its pictures or of its kinds.
    defect: Vec<Moments>,
    all_defects: Moments,
    /// By picture: some of its cells.
    cells: Vec<Vec<i16>>,
    /// `[pictures, sights, values]`
    pooled: Vec<u16>,
    /// By sight: the kind of what was painted into it.
    painted: Vec<Option<u8>>,
}

/// Learns from the notebook; see [`Teacher::learn`](super::Teacher::learn).
pub fn learn(
    notebook: &Notebook,
    layers: &[&[Layer]],
    grouping: &Grouping,
    share: f64,
    mut progress: impl FnMut(f64),
) -> Result<Taught, TeachError> {
    let folds = grouping.folds.iter().max().map_or(0, |last| last + 1);
    let notes = collect(notebook, layers, grouping, folds, &mut progress)?;
    let channels = layers[PLACES].iter().map(|layer| layer.channels).sum::<usize>();
    let grid = layers[PLACES].first().map_or(0, |layer| layer.columns);
    let fine = layers[PLACES].iter().take_while(|layer| layer.columns == grid).map(|layer| layer.channels).sum();
    let form = notebook.form();

    let mut normal = Moments::new(channels);
    notes.normal.iter().for_each(|part| normal.add(part, 1.0));
    let mut defect = notes.all_defects.clone();
    if defect.count() == 0.0 {
        return Err(TeachError::Refused("no defect can be painted that would be seen: the pictures are black".into()));
    }
    let teach = |method: Method, without: Option<usize>, normal: &Moments, defect: &Moments| {
        let taught = |picture: &usize| without.is_none_or(|fold| grouping.folds[*picture] != fold);
        let pictures: Vec<usize> = (0..grouping.folds.len()).filter(taught).collect();
        let row = |sight: usize| &notes.pooled[sight * form.pooled..][..form.pooled];
        let kept = |sight: &usize| {
            notes.painted[*sight].is_some_and(|kind| without.is_none_or(|fold| fold_of(kind, folds) != fold))
        };
        let painted = pictures.iter().flat_map(|picture| picture * form.sights + 1..(picture + 1) * form.sights);
        let pair = |sight: usize| (row(sight), row(sight / form.sights * form.sights));
        Lesson {
            normal,
            defect,
            fine,
            cells: pictures.iter().flat_map(|&picture| notes.cells[picture].chunks_exact(channels)).collect(),
            pooled_normal: pictures.iter().map(|picture| row(picture * form.sights)).collect(),
            pooled_defect: painted.filter(kept).map(pair).collect(),
        }
        .teach(method)
    };

    // By fold, then by candidate.
    let mut tried: Vec<Vec<Box<dyn Scorer>>> = Vec::new();
    for fold in 0..folds {
        normal.add(&notes.normal[fold], -1.0);
        defect.add(&notes.defect[fold], -1.0);
        let mut scorers = Vec::new();
        for (i, (method, view, top)) in CANDIDATES.into_iter().enumerate() {
            let matrix = teach(method, Some(fold), &normal, &defect)?;
            let section = section(method, view, top, Scale { median: 0.0, spread: 1.0 }, 1.0);
            scorers.push(rebuild(&section, layers[view], &matrix).map_err(TeachError::Refused)?);
            progress(0.2 + 0.5 * (fold * CANDIDATES.len() + i + 1) as f64 / (folds * CANDIDATES.len()) as f64);
        }
        tried.push(scorers);
        normal.add(&notes.normal[fold], 1.0);
        defect.add(&notes.defect[fold], 1.0);
    }
    let (held_out, distances) = try_out(notebook, layers, grouping, &notes, &mut tried)?;
    drop(tried);
    progress(0.85);

    // Those that look at places see the same; the others each have a family of their own.
    let families = CANDIDATES.iter().enumerate().map(|(c, (_, view, _))| if *view == PLACES { 0 } else { 1 + c });
    let families: Vec<usize> = families.collect();
    let Choice { chosen, auroc } = choose(&held_out[..SHOWN], &families);
    let scales: Vec<Scale> = held_out.iter().map(|values| Scale::of(&values.normal)).collect();
    let sum = |i: usize| chosen.iter().map(|&c| scales[c].apply(held_out[c].normal[i])).sum::<f64>();
    let sums: Vec<f64> = (0..grouping.folds.len()).map(sum).collect();
    let calibration = Calibration::fit(&sums);
    let mut parts = chosen.clone();
    parts.push(SHOWN);
    let mut scorers = Vec::new();
    for &c in &parts {
        let (method, view, top) = CANDIDATES[c];
        let weight = if chosen.contains(&c) { 1.0 } else { 0.0 };
        let matrix = teach(method, None, &normal, &defect)?;
        scorers.push(Statistics { section: section(method, view, top, scales[c], weight), matrix });
        progress(0.85 + 0.15 * scorers.len() as f64 / parts.len() as f64);
    }
    let half_distances = half_distances(&distances);
    Ok(Taught {
        scorers,
        shown: chosen.len(),
        half_distances,
        outliers: outliers(&sums),
        candidates: CANDIDATES[..SHOWN]
            .iter()
            .enumerate()
            .map(|(c, (method, ..))| Candidate {
                method: *method,
                auroc: choose(&held_out[c..=c], &[0]).auroc,
                chosen: chosen.contains(&c),
            })
            .collect(),
        auroc,
        confidence: confidence(&sums, &grouping.clusters, share),
        calibration,
        sums,
    })
}

fn section(method: Method, view: usize, top: Option<f64>, scale: Scale, weight: f64) -> ScorerSection {
    let Scale { median, spread } = scale;
    ScorerSection { method, view, statistics: String::new(), top, median, spread, weight }
}

/// The fold in which a kind of defect is held out.
fn fold_of(kind: u8, folds: usize) -> usize {
    usize::from(kind) % folds.max(1)
}

/// Reads the notebook once.
fn collect(
    notebook: &Notebook,
    layers: &[&[Layer]],
    grouping: &Grouping,
    folds: usize,
    progress: &mut impl FnMut(f64),
) -> Result<Notes, TeachError> {
    let form = notebook.form();
    let pictures = grouping.folds.len();
    let mut cells = Cells::new(layers[PLACES]).map_err(TeachError::Refused)?;
    let mut notes = Notes {
        normal: vec![Moments::new(cells.channels()); folds],
        defect: vec![Moments::new(cells.channels()); folds],
        cells: vec![Vec::new(); pictures],
        pooled: Vec::with_capacity(pictures * form.sights * form.pooled),
        painted: Vec::with_capacity(pictures * form.sights),
        all_defects: Moments::new(cells.channels()),
    };
    notebook.read(|picture, number, sight| {
        notes.pooled.extend_from_slice(&sight.pooled);
        let most = sight.cover.iter().copied().max().unwrap_or(0);
        notes.painted.push((most > 0).then_some(sight.kind));
        cells.fill(Features { layers: layers[PLACES], bytes: &sight.features });
        let fold = grouping.folds[picture];
        if number == 0 {
            cells.iter().for_each(|cell| notes.normal[fold].push(cell));
            // Evenly spread, from another place in each picture.
            let step = (form.cells / BANK_EACH).max(1);
            for cell in cells.iter().skip(picture % step).step_by(step) {
                notes.cells[picture].extend_from_slice(cell);
            }
            progress(0.2 * (picture + 1) as f64 / pictures as f64);
        } else {
            let kinds_fold = fold_of(sight.kind, folds);
            let least = COVERED.min(most.div_ceil(2)).max(1);
            for (cell, _) in cells.iter().zip(&sight.cover).filter(|(_, cover)| **cover >= least) {
                notes.all_defects.push(cell);
                notes.defect[fold].push(cell);
                if kinds_fold != fold {
                    notes.defect[kinds_fold].push(cell);
                }
            }
        }
        Ok::<(), TeachError>(())
    })?;
    notes.normal.iter_mut().chain(&mut notes.defect).chain([&mut notes.all_defects]).for_each(Moments::settle);
    Ok(notes)
}

/// What every candidate says of every sight that it was not taught with, and, by normal picture, the distances of the cells
/// that the heatmap is made of.
fn try_out(
    notebook: &Notebook,
    layers: &[&[Layer]],
    grouping: &Grouping,
    notes: &Notes,
    tried: &mut [Vec<Box<dyn Scorer>>],
) -> Result<(Vec<HeldOut>, Vec<Vec<u32>>), TeachError> {
    let form = notebook.form();
    let empty = || HeldOut { normal: Vec::new(), defect: Vec::new() };
    let mut held_out: Vec<HeldOut> = CANDIDATES.iter().map(|_| empty()).collect();
    let mut distances = Vec::new();
    let cells = layers.iter().map(|layers| Cells::new(layers).map_err(TeachError::Refused));
    let mut seen = Seen { pooled: vec![Vec::new(); layers.len()], cells: cells.collect::<Result<_, _>>()? };
    notebook.read(|picture, number, sight| {
        let fold = grouping.folds[picture];
        let painted = notes.painted[picture * form.sights + number];
        if number > 0 && painted.is_none_or(|kind| fold_of(kind, tried.len()) != fold) {
            return Ok(());
        }
        seen.cells[PLACES].fill(Features { layers: layers[PLACES], bytes: &sight.features });
        seen.pooled[WHOLE].clone_from(&sight.pooled);
        let scorers = &mut tried[fold];
        for (scorer, held_out) in scorers.iter_mut().zip(&mut held_out) {
            let value = scorer.score(&seen);
            if number == 0 { held_out.normal.push(value) } else { held_out.defect.push(value) }
        }
        if number == 0 {
            distances.extend(scorers[SHOWN].distances().map(<[u32]>::to_vec));
        }
        Ok::<(), TeachError>(())
    })?;
    Ok((held_out, distances))
}
