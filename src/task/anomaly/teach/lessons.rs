//! Lessons: every method taught with all pictures, or with all but a fold, with the help of labelled defects or without.

use super::coreset::coreset;
use super::directions::{contrast, gaussian};
use super::learn::{WHOLE, Way};
use super::logistic::logistic;
use super::moments::Moments;
use super::notes::{Labels, Notes, Told, fold_of};
use super::subspace::subspace;
use super::teacher::TeachError;
use crate::bundle::Method;
use crate::task::anomaly::scorer::Matrix;

/// Directions along which a place is measured, and in the larger view.
const DIRECTIONS: usize = 128;
const DETAIL_DIRECTIONS: usize = 32;
/// Cells of a memory bank.
const BANK: usize = 256;
/// As many labels as painted defects are trusted: with so many, labels have half of the weight that they can have.
const HALF_TRUST: f64 = 5.0;

/// Whether labelled defects help to teach a method.
pub fn is_helped(method: Method) -> bool {
    !matches!(method, Method::Gaussian | Method::Bank)
}

/// Rows of pooled values that count together: each its part of `weight`.
pub struct Part<T> {
    /// What all count together.
    pub weight: f64,
    /// The rows.
    pub rows: Vec<T>,
}

/// A sight with a defect, and where it is known the same picture without.
pub type Changed<'a> = (&'a [u16], Option<&'a [u16]>);

/// What there is to teach with.
pub struct Lessons<'a> {
    notes: &'a Notes<'a>,
    labels: Option<&'a Labels<'a>>,
    held_out: Option<usize>,
    places: Lesson,
    detail: Lesson,
}

/// Moments of the cells that are not held out.
struct Lesson {
    normal: Moments,
    painted: Moments,
    marked: Moments,
}

impl Lesson {
    fn new(told: &Told, marked: Option<&Told>) -> Lesson {
        let empty = || Moments::new(told.all_defect.channels());
        let mut normal = empty();
        told.normal.iter().for_each(|part| normal.add(part, 1.0));
        let marked = marked.map_or_else(empty, |told| told.all_defect.clone());
        Lesson { normal, painted: told.all_defect.clone(), marked }
    }

    /// Takes a fold in, or with `sign` -1 out.
    fn add(&mut self, told: &Told, marked: Option<&Told>, fold: usize, sign: f64) {
        self.normal.add(&told.normal[fold], sign);
        self.painted.add(&told.defect[fold], sign);
        if let Some(told) = marked {
            self.marked.add(&told.defect[fold], sign);
        }
    }
}

impl<'a> Lessons<'a> {
    /// Of all that was noted.
    pub fn new(notes: &'a Notes<'a>, labels: Option<&'a Labels<'a>>) -> Lessons<'a> {
        let places = Lesson::new(&notes.places, labels.map(|labels| &labels.places));
        let detail = Lesson::new(&notes.detail, labels.map(|labels| &labels.detail));
        Lessons { notes, labels, held_out: None, places, detail }
    }

    /// From now on a fold is held out of all that is taught, or nothing.
    pub fn hold_out(&mut self, fold: Option<usize>) {
        for (fold, sign) in [(self.held_out, 1.0), (fold, -1.0)] {
            let Some(fold) = fold else { continue };
            self.places.add(&self.notes.places, self.labels.map(|labels| &labels.places), fold, sign);
            self.detail.add(&self.notes.detail, self.labels.map(|labels| &labels.detail), fold, sign);
        }
        self.held_out = fold;
    }

    /// The statistics of a method; `labelled` says whether labelled defects may help.
    ///
    /// # Errors
    /// [`TeachError::Refused`] where nothing can be learned from these pictures.
    pub fn teach(&self, (method, view, _): Way, labelled: bool) -> Result<Matrix, TeachError> {
        let labels = self.labels.filter(|_| labelled);
        match method {
            Method::Contrast if view == WHOLE => self.contrast(&self.detail, labels, DETAIL_DIRECTIONS),
            Method::Contrast => self.contrast(&self.places, labels, DIRECTIONS),
            Method::Gaussian => gaussian(&self.places.normal, DIRECTIONS).map_err(TeachError::Refused),
            Method::Bank => {
                let channels = self.places.normal.channels();
                let cells: Vec<&[i16]> =
                    self.pictures().flat_map(|picture| self.notes.cells[picture].chunks_exact(channels)).collect();
                Ok(coreset(&cells, BANK))
            }
            Method::Subspace => {
                let trust = labels.map_or(0.0, |labels| self.trust(labels));
                let mut parts = vec![Part { weight: 1.0 - 0.75 * trust, rows: self.painted() }];
                if let Some(labels) = labels {
                    let mut labelled: Part<Changed> = Part { weight: 0.25 * trust, rows: Vec::new() };
                    let mut transplants: Part<Changed> = Part { weight: 0.5 * trust, rows: Vec::new() };
                    labelled.rows.extend(self.labelled(labels).map(|row| (row, None)));
                    transplants.rows.extend(self.transplants(labels));
                    parts.extend([labelled, transplants]);
                }
                subspace(&self.normal_rows(), &parts).map_err(TeachError::Refused)
            }
            Method::Linear => {
                let trust = labels.map_or(0.0, |labels| self.trust(labels));
                let painted = self.painted().into_iter().map(|(row, _)| row).collect();
                let mut parts = vec![Part { weight: 1.0 - 0.8 * trust, rows: painted }];
                if let Some(labels) = labels {
                    parts.push(Part { weight: 0.4 * trust, rows: self.labelled(labels).collect() });
                    parts.push(Part {
                        weight: 0.4 * trust,
                        rows: self.transplants(labels).map(|(row, _)| row).collect(),
                    });
                }
                // Real defects may be followed more closely than painted ones.
                Ok(logistic(&self.normal_rows(), &parts, (0.15 - 0.1 * trust) as f32))
            }
        }
    }

    fn contrast(&self, lesson: &Lesson, labels: Option<&Labels>, count: usize) -> Result<Matrix, TeachError> {
        let Lesson { normal, painted, marked } = lesson;
        let real = labels.filter(|_| marked.count() > 0.5).map_or(0.0, |labels| 0.5 * self.trust(labels));
        contrast(normal, &[(1.0 - real, painted), (real, marked)], count).map_err(TeachError::Refused)
    }

    /// How much of the weight that labels can have they get, 0..1: few labels are soon known by heart.
    fn trust(&self, labels: &Labels) -> f64 {
        let count = self.labelled(labels).count() as f64;
        count / (count + HALF_TRUST)
    }

    fn taught(&self, fold: usize) -> bool {
        self.held_out != Some(fold)
    }

    fn label_taught(&self, labels: &Labels, label: usize) -> bool {
        self.taught(labels.folds[label]) && self.taught(labels.alike[label])
    }

    fn pictures(&self) -> impl Iterator<Item = usize> {
        (0..self.notes.grouping.folds.len()).filter(|picture| self.taught(self.notes.grouping.folds[*picture]))
    }

    fn normal_rows(&self) -> Vec<&'a [u16]> {
        self.pictures().map(|picture| self.notes.pooled.of_picture(picture)).collect()
    }

    /// Painted pictures and the same unpainted.
    fn painted(&self) -> Vec<Changed<'a>> {
        let (notes, sights) = (self.notes, self.notes.notebook.form().sights);
        let kept = |sight: &usize| notes.kinds[*sight].is_some_and(|kind| self.taught(fold_of(kind, notes.folds)));
        let painted = self.pictures().flat_map(|picture| picture * sights + 1..(picture + 1) * sights).filter(kept);
        painted.map(|sight| (notes.pooled.of(sight), Some(notes.pooled.unchanged(sight)))).collect()
    }

    fn labelled(&self, labels: &'a Labels) -> impl Iterator<Item = &'a [u16]> {
        let kept = (0..labels.count()).filter(|&label| self.label_taught(labels, label));
        kept.map(|label| labels.pooled.of_picture(label))
    }

    /// Labelled defects in normal pictures, and these without.
    fn transplants(&self, labels: &'a Labels) -> impl Iterator<Item = Changed<'a>> {
        let sights = labels.notebook.form().sights;
        labels.hosts.iter().enumerate().filter_map(move |(sight, host)| {
            let host = (*host)?;
            let kept = self.label_taught(labels, sight / sights) && self.taught(self.notes.grouping.folds[host]);
            kept.then(|| (labels.pooled.of(sight), Some(self.notes.pooled.of_picture(host))))
        })
    }
}
