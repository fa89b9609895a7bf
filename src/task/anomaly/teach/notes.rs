//! The notebooks in the form in which they are learned from: moments of cells by fold, pooled values in memory.

use super::advice::Grouping;
use super::learn::{PLACES, WHOLE};
use super::moments::Moments;
use super::notebook::{Form, Notebook};
use super::pooled::Standard;
use super::teacher::TeachError;
use crate::task::anomaly::cells::Cells;
use crate::task::anomaly::pooled::Statistic;
use crate::task::anomaly::view::{Features, Layer};
use nalgebra::DMatrix;
use std::collections::HashMap;

/// Cells of a picture from which a memory bank is chosen.
const BANK_EACH: usize = 8;
/// A cell is a defect's from this much cover on, of 255, or from half of what its most covered cell has.
const COVERED: u8 = 38;

/// What the teacher noted of normal pictures, and of them with painted defects.
pub struct Notes<'a> {
    /// The notebook, and how its pictures are held out.
    pub notebook: &'a Notebook,
    /// The fold of each picture.
    pub grouping: &'a Grouping,
    /// Folds.
    pub folds: usize,
    /// Moments of the cells of places.
    pub places: Told,
    /// The same of the larger view, of pictures that are noted in detail.
    pub detail: Told,
    /// By picture: some of its cells.
    pub cells: Vec<Vec<i16>>,
    /// Pooled values.
    pub pooled: Pooled,
    /// By sight: the kind of what was painted into it.
    pub kinds: Vec<Option<u8>>,
}

/// Moments of cells of normal pictures, and of cells that a defect covers.
pub struct Told {
    /// Normal cells, by fold.
    pub normal: Vec<Moments>,
    /// A defect's cells, by fold: all that may not teach when it is held out, by picture or by kind or by light.
    pub defect: Vec<Moments>,
    /// All of a defect's cells.
    pub all_defect: Moments,
}

impl Told {
    fn new(channels: usize, folds: usize) -> Told {
        let empty = || Moments::new(channels);
        let by_fold = || (0..folds).map(|_| empty()).collect();
        Told { normal: by_fold(), defect: by_fold(), all_defect: empty() }
    }

    fn add_defect<'c>(&mut self, cells: impl Iterator<Item = &'c [i16]>, fold: usize, also: Option<usize>) {
        for cell in cells {
            self.all_defect.push(cell);
            self.defect[fold].push(cell);
            if let Some(other) = also.filter(|other| *other != fold) {
                self.defect[other].push(cell);
            }
        }
    }

    fn settle(&mut self) {
        self.normal.iter_mut().chain(&mut self.defect).chain([&mut self.all_defect]).for_each(Moments::settle);
    }
}

/// What the teacher noted of labelled defects.
pub struct Labels<'a> {
    /// The notebook.
    pub notebook: &'a Notebook,
    /// The fold in which each is tried.
    pub folds: Vec<usize>,
    /// The fold of the normal picture that each is most alike. Where that is held out it may not teach either: it would
    /// be all that is known of that light, and the light be taken for the defect.
    pub alike: Vec<usize>,
    /// Cells of places under their masks.
    pub places: Told,
    /// The same of the larger view.
    pub detail: Told,
    /// Pooled values.
    pub pooled: Pooled,
    /// By sight: the normal picture that it shows the defect in; nothing for the labelled picture itself.
    pub hosts: Vec<Option<usize>>,
}

/// Pooled values `[pictures, sights, values]`.
#[derive(Default)]
pub struct Pooled {
    values: Vec<u16>,
    each: usize,
    sights: usize,
}

impl Pooled {
    fn with_room(pictures: usize, form: &Form) -> Pooled {
        Pooled {
            values: Vec::with_capacity(pictures * form.sights * form.pooled),
            each: form.pooled,
            sights: form.sights,
        }
    }

    /// Those of one sight, counted over all pictures.
    pub fn of(&self, sight: usize) -> &[u16] {
        &self.values[sight * self.each..][..self.each]
    }

    /// Those of the picture itself that a sight was made from.
    pub fn unchanged(&self, sight: usize) -> &[u16] {
        self.of(sight / self.sights * self.sights)
    }

    /// Those of a picture itself.
    pub fn of_picture(&self, picture: usize) -> &[u16] {
        self.of(picture * self.sights)
    }
}

/// The fold in which a kind of painted defect is held out.
pub fn fold_of(kind: u8, folds: usize) -> usize {
    usize::from(kind) % folds.max(1)
}

impl<'a> Notes<'a> {
    /// Reads the notebook once; `progress` is told the share that is done. `layers` are those of each view.
    ///
    /// # Errors
    /// [`TeachError`] where it cannot be read.
    pub fn read(
        notebook: &'a Notebook,
        layers: &[&[Layer]],
        grouping: &'a Grouping,
        mut progress: impl FnMut(f64),
    ) -> Result<Notes<'a>, TeachError> {
        let form = notebook.form();
        let pictures = grouping.folds.len();
        let folds = grouping.folds.iter().max().map_or(0, |last| last + 1);
        let (mut cells, mut fine) = (room(layers[PLACES])?, room(layers[WHOLE])?);
        let mut notes = Notes {
            notebook,
            grouping,
            folds,
            places: Told::new(cells.channels(), folds),
            detail: Told::new(fine.channels(), folds),
            cells: vec![Vec::new(); pictures],
            pooled: Pooled::with_room(pictures, form),
            kinds: Vec::with_capacity(pictures * form.sights),
        };
        notebook.read(|picture, number, sight| {
            notes.pooled.values.extend_from_slice(&sight.pooled);
            notes.kinds.push(sight.cover.iter().any(|cover| *cover > 0).then_some(sight.kind));
            let fold = grouping.folds[picture];
            cells.fill(Features { layers: layers[PLACES], bytes: &sight.features });
            cells.join();
            if !sight.detail.is_empty() {
                fine.fill(Features { layers: layers[WHOLE], bytes: &sight.detail });
                fine.join();
            }
            if number == 0 {
                cells.iter().for_each(|cell| notes.places.normal[fold].push(cell));
                if !sight.detail.is_empty() {
                    fine.iter().for_each(|cell| notes.detail.normal[fold].push(cell));
                }
                // Evenly spread, from another place in each picture.
                let step = (form.cells / BANK_EACH).max(1);
                for cell in cells.iter().skip(picture % step).step_by(step) {
                    notes.cells[picture].extend_from_slice(cell);
                }
                progress((picture + 1) as f64 / pictures as f64);
            } else {
                let kinds_fold = Some(fold_of(sight.kind, folds));
                notes.places.add_defect(covered(&cells, &sight.cover), fold, kinds_fold);
                if !sight.detail.is_empty() {
                    notes.detail.add_defect(covered(&fine, &sight.detail_cover), fold, kinds_fold);
                }
            }
            Ok::<(), TeachError>(())
        })?;
        notes.places.settle();
        notes.detail.settle();
        Ok(notes)
    }
}

impl<'a> Labels<'a> {
    /// Reads the notebook once. `normal` are the pictures that hosts were chosen from, `folds` tells where each label is
    /// tried; layers as in [`Notes::read`].
    ///
    /// # Errors
    /// [`TeachError`] where it cannot be read.
    pub fn read(
        notebook: &'a Notebook,
        layers: &[&[Layer]],
        folds: Vec<usize>,
        normal: &Notes<'_>,
    ) -> Result<Labels<'a>, TeachError> {
        let (mut cells, mut fine) = (room(layers[PLACES])?, room(layers[WHOLE])?);
        let keys = normal.notebook.pictures().iter().enumerate().map(|(number, picture)| (&picture.key, number));
        let numbers: HashMap<&String, usize> = keys.collect();
        let mut labels = Labels {
            notebook,
            places: Told::new(cells.channels(), normal.folds),
            detail: Told::new(fine.channels(), normal.folds),
            pooled: Pooled::with_room(folds.len(), notebook.form()),
            hosts: Vec::new(),
            alike: Vec::new(),
            folds,
        };
        let nearest = Nearest::of(normal);
        notebook.read(|picture, number, sight| {
            labels.pooled.values.extend_from_slice(&sight.pooled);
            if number == 0 {
                let (fold, alike) = (labels.folds[picture], normal.grouping.folds[nearest.to(&sight.pooled)]);
                labels.alike.push(alike);
                labels.hosts.push(None);
                cells.fill(Features { layers: layers[PLACES], bytes: &sight.features });
                cells.join();
                labels.places.add_defect(covered(&cells, &sight.cover), fold, Some(alike));
                if !sight.detail.is_empty() {
                    fine.fill(Features { layers: layers[WHOLE], bytes: &sight.detail });
                    fine.join();
                    labels.detail.add_defect(covered(&fine, &sight.detail_cover), fold, Some(alike));
                }
            } else {
                let label = notebook.pictures()[picture].label.as_ref();
                let host = label.and_then(|label| label.hosts.get(number - 1)).and_then(|key| numbers.get(key));
                let seen = sight.cover.iter().any(|cover| *cover > 0);
                labels.hosts.push(host.copied().filter(|_| seen));
            }
            Ok::<(), TeachError>(())
        })?;
        labels.places.settle();
        labels.detail.settle();
        Ok(labels)
    }

    /// Labels.
    pub fn count(&self) -> usize {
        self.folds.len()
    }
}

/// Finds the normal picture that another is most alike, by the means of all features, in spreads.
struct Nearest {
    standard: Standard,
    /// A row a normal picture.
    means: DMatrix<f32>,
}

impl Nearest {
    fn of(notes: &Notes<'_>) -> Nearest {
        let sights = notes.notebook.form().sights;
        let rows: Vec<&[u16]> =
            (0..notes.grouping.folds.len()).map(|picture| notes.pooled.of(picture * sights)).collect();
        let standard = Standard::of(&rows, |statistic| statistic == Statistic::Mean);
        Nearest { means: standard.apply(&rows), standard }
    }

    fn to(&self, pooled: &[u16]) -> usize {
        let own = self.standard.apply(&[pooled]);
        let distances = self.means.row_iter().map(|row| (row - own.row(0)).norm_squared());
        distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(nearest, _)| nearest)
    }
}

fn room(layers: &[Layer]) -> Result<Cells, TeachError> {
    Cells::new(layers).map_err(TeachError::Refused)
}

/// The cells that belong to a defect; none where nothing is covered.
fn covered<'a>(cells: &'a Cells, cover: &'a [u8]) -> impl Iterator<Item = &'a [i16]> {
    let most = cover.iter().copied().max().unwrap_or(0);
    let least = COVERED.min(most.div_ceil(2)).max(1);
    cells.iter().zip(cover).filter(move |(_, cover)| **cover >= least).map(|(cell, _)| cell)
}
