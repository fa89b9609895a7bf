//! The cached features in the form that training needs: moments of cells by fold, pooled features in memory.

use super::dataset_check::FoldAssignment;
use super::feature_cache::{CacheLayout, FeatureCache};
use super::moments::Moments;
use super::place::{PlaceMoments, place_vectors};
use super::scheme::{IMAGE_LEVEL, PATCH_LEVEL, TeachError, fold_of};
use super::standardizer::Standardizer;
use crate::task::anomaly::cells::Cells;
use crate::task::anomaly::pooled::PooledStatistic;
use crate::task::anomaly::view::{FeatureMaps, Layer};
use nalgebra::DMatrix;
use std::collections::HashMap;

/// Cells per picture among which those of a memory bank are selected.
const BANK_CANDIDATES: usize = 8;
/// A cell belongs to a defect if its cover, of 255, is at least this, or at least half of the highest cover.
const COVERED: u8 = 38;

/// Features of normal pictures, and of the same pictures with synthetic defects.
pub struct CachedFeatures<'a> {
    /// Where they were read from.
    pub cache: &'a FeatureCache,
    /// The fold of each picture.
    pub assignment: &'a FoldAssignment,
    /// Number of folds.
    pub folds: usize,
    /// Moments of the cells of the patch-level view.
    pub patches: FoldMoments,
    /// The same of the larger view, over the pictures with cached detail.
    pub detail: FoldMoments,
    /// Moments of the vectors of each place on normal pictures, by fold.
    pub places: Vec<PlaceMoments>,
    /// By picture: some of its cells.
    pub cells: Vec<Vec<i16>>,
    /// Pooled features.
    pub pooled: PooledRows,
    /// By sample: the kind of its synthetic defect; `None` where there is none.
    pub kinds: Vec<Option<u8>>,
}

/// Moments of normal cells, and of cells that a defect covers.
pub struct FoldMoments {
    /// Normal cells, by fold.
    pub normal: Vec<Moments>,
    /// Defect cells, by fold: all that must be left out of training when the fold is held out, because of the picture, of the
    /// kind of defect, or of the light.
    pub defects: Vec<Moments>,
    /// All defect cells.
    pub all_defects: Moments,
}

impl FoldMoments {
    fn new(channels: usize, folds: usize) -> FoldMoments {
        let empty = || Moments::new(channels);
        let by_fold = || (0..folds).map(|_| empty()).collect();
        FoldMoments { normal: by_fold(), defects: by_fold(), all_defects: empty() }
    }

    /// Adds defect cells to a fold and to another one where that is different.
    fn add_defect<'c>(&mut self, cells: impl Iterator<Item = &'c [i16]>, fold: usize, other: Option<usize>) {
        for cell in cells {
            self.all_defects.push(cell);
            self.defects[fold].push(cell);
            if let Some(other) = other.filter(|other| *other != fold) {
                self.defects[other].push(cell);
            }
        }
    }

    fn flush(&mut self) {
        self.normal.iter_mut().chain(&mut self.defects).chain([&mut self.all_defects]).for_each(Moments::flush);
    }
}

/// Features of labelled defects.
pub struct LabelledFeatures<'a> {
    /// Where they were read from.
    pub cache: &'a FeatureCache,
    /// The fold in which each label is held out.
    pub folds: Vec<usize>,
    /// The fold of the normal picture most similar to each label. A label is left out of training while that fold is held out
    /// too: it would be the only example of that light, and the scorer would take the light for the defect.
    pub nearest_folds: Vec<usize>,
    /// Moments of the cells under the masks, in the patch-level view.
    pub patches: FoldMoments,
    /// The same of the larger view.
    pub detail: FoldMoments,
    /// Pooled features.
    pub pooled: PooledRows,
    /// By sample: the normal picture into which the defect is transplanted; `None` for the labelled picture itself, and where
    /// nothing of the defect is visible.
    pub hosts: Vec<Option<usize>>,
}

/// Pooled features `[pictures, samples, values]`.
#[derive(Default)]
pub struct PooledRows {
    values: Vec<u16>,
    row: usize,
    samples: usize,
}

impl PooledRows {
    fn with_capacity(pictures: usize, layout: &CacheLayout) -> PooledRows {
        PooledRows {
            values: Vec::with_capacity(pictures * layout.samples * layout.pooled),
            row: layout.pooled,
            samples: layout.samples,
        }
    }

    /// Those of a sample, counted over all pictures.
    pub fn of(&self, sample: usize) -> &[u16] {
        &self.values[sample * self.row..][..self.row]
    }

    /// Those of the unchanged picture of a sample.
    pub fn original_of(&self, sample: usize) -> &[u16] {
        self.of(sample / self.samples * self.samples)
    }

    /// Those of an unchanged picture.
    pub fn of_picture(&self, picture: usize) -> &[u16] {
        self.of(picture * self.samples)
    }
}

impl<'a> CachedFeatures<'a> {
    /// Reads the cache once. `layers` are those of each view; `progress` receives the share that is done.
    ///
    /// # Errors
    /// [`TeachError`] where it cannot be read.
    pub fn read(
        cache: &'a FeatureCache,
        layers: &[&[Layer]],
        assignment: &'a FoldAssignment,
        mut progress: impl FnMut(f64),
    ) -> Result<CachedFeatures<'a>, TeachError> {
        let layout = cache.layout();
        let pictures = assignment.folds.len();
        let folds = assignment.folds.iter().max().map_or(0, |last| last + 1);
        let (mut cells, mut fine) = (cell_buffer(layers[PATCH_LEVEL])?, cell_buffer(layers[IMAGE_LEVEL])?);
        let mut vectors = place_vectors(layers[IMAGE_LEVEL]);
        let mut cached = CachedFeatures {
            cache,
            assignment,
            folds,
            patches: FoldMoments::new(cells.channels(), folds),
            detail: FoldMoments::new(fine.channels(), folds),
            places: (0..folds).map(|_| PlaceMoments::new(&vectors)).collect(),
            cells: vec![Vec::new(); pictures],
            pooled: PooledRows::with_capacity(pictures, layout),
            kinds: Vec::with_capacity(pictures * layout.samples),
        };
        cache.read(|picture, number, sample| {
            cached.pooled.values.extend_from_slice(&sample.pooled);
            cached.kinds.push(sample.cover.iter().any(|cover| *cover > 0).then_some(sample.kind));
            let fold = assignment.folds[picture];
            cells.fill(FeatureMaps { layers: layers[PATCH_LEVEL], bytes: &sample.features });
            cells.join();
            if !sample.detail.is_empty() {
                fine.fill(FeatureMaps { layers: layers[IMAGE_LEVEL], bytes: &sample.detail });
                fine.join();
            }
            if number == 0 {
                vectors.fill(&sample.planes);
                cached.places[fold].push(&vectors);
                cells.iter().for_each(|cell| cached.patches.normal[fold].push(cell));
                if !sample.detail.is_empty() {
                    fine.iter().for_each(|cell| cached.detail.normal[fold].push(cell));
                }
                // Evenly spaced, with another offset in each picture.
                let step = (layout.cells / BANK_CANDIDATES).max(1);
                for cell in cells.iter().skip(picture % step).step_by(step) {
                    cached.cells[picture].extend_from_slice(cell);
                }
                progress((picture + 1) as f64 / pictures as f64);
            } else {
                let fold_of_kind = Some(fold_of(sample.kind, folds));
                cached.patches.add_defect(covered(&cells, &sample.cover), fold, fold_of_kind);
                if !sample.detail.is_empty() {
                    cached.detail.add_defect(covered(&fine, &sample.detail_cover), fold, fold_of_kind);
                }
            }
            Ok::<(), TeachError>(())
        })?;
        cached.patches.flush();
        cached.detail.flush();
        Ok(cached)
    }
}

impl<'a> LabelledFeatures<'a> {
    /// Reads the cache once. `folds` are the folds in which labels are held out, `normal` the pictures among which hosts were
    /// chosen; `layers` as in [`CachedFeatures::read`].
    ///
    /// # Errors
    /// [`TeachError`] where it cannot be read.
    pub fn read(
        cache: &'a FeatureCache,
        layers: &[&[Layer]],
        folds: Vec<usize>,
        normal: &CachedFeatures<'_>,
    ) -> Result<LabelledFeatures<'a>, TeachError> {
        let (mut cells, mut fine) = (cell_buffer(layers[PATCH_LEVEL])?, cell_buffer(layers[IMAGE_LEVEL])?);
        let originals = normal.cache.pictures().iter().enumerate().filter(|(_, picture)| picture.copy == 0);
        let keys = originals.map(|(number, picture)| (&picture.key, number));
        let numbers: HashMap<&String, usize> = keys.collect();
        let mut labels = LabelledFeatures {
            cache,
            patches: FoldMoments::new(cells.channels(), normal.folds),
            detail: FoldMoments::new(fine.channels(), normal.folds),
            pooled: PooledRows::with_capacity(folds.len(), cache.layout()),
            hosts: Vec::new(),
            nearest_folds: Vec::new(),
            folds,
        };
        let nearest = NearestPicture::new(normal);
        cache.read(|picture, number, sample| {
            labels.pooled.values.extend_from_slice(&sample.pooled);
            if number == 0 {
                let nearest_fold = normal.assignment.folds[nearest.find(&sample.pooled)];
                let fold = labels.folds[picture];
                labels.nearest_folds.push(nearest_fold);
                labels.hosts.push(None);
                cells.fill(FeatureMaps { layers: layers[PATCH_LEVEL], bytes: &sample.features });
                cells.join();
                labels.patches.add_defect(covered(&cells, &sample.cover), fold, Some(nearest_fold));
                if !sample.detail.is_empty() {
                    fine.fill(FeatureMaps { layers: layers[IMAGE_LEVEL], bytes: &sample.detail });
                    fine.join();
                    labels.detail.add_defect(covered(&fine, &sample.detail_cover), fold, Some(nearest_fold));
                }
            } else {
                let label = cache.pictures()[picture].label.as_ref();
                let host = label.and_then(|label| label.hosts.get(number - 1)).and_then(|key| numbers.get(key));
                let visible = sample.cover.iter().any(|cover| *cover > 0);
                labels.hosts.push(host.copied().filter(|_| visible));
            }
            Ok::<(), TeachError>(())
        })?;
        labels.patches.flush();
        labels.detail.flush();
        Ok(labels)
    }

    /// Number of labels.
    pub fn count(&self) -> usize {
        self.folds.len()
    }
}

/// Finds the most similar normal picture, by the means of all features in standard deviations.
struct NearestPicture {
    standardizer: Standardizer,
    /// One row per normal picture.
    means: DMatrix<f32>,
}

impl NearestPicture {
    fn new(normal: &CachedFeatures<'_>) -> NearestPicture {
        let pictures = normal.assignment.folds.len();
        let rows: Vec<&[u16]> = (0..pictures).map(|picture| normal.pooled.of_picture(picture)).collect();
        let standardizer = Standardizer::fit(&rows, |statistic| statistic == PooledStatistic::Mean);
        NearestPicture { means: standardizer.apply(&rows), standardizer }
    }

    /// The number of the picture.
    fn find(&self, pooled: &[u16]) -> usize {
        let own = self.standardizer.apply(&[pooled]);
        let distances = self.means.row_iter().map(|row| (row - own.row(0)).norm_squared());
        distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(nearest, _)| nearest)
    }
}

fn cell_buffer(layers: &[Layer]) -> Result<Cells, TeachError> {
    Cells::new(layers).map_err(TeachError::Refused)
}

/// The cells that belong to a defect; none where nothing is covered.
fn covered<'a>(cells: &'a Cells, cover: &'a [u8]) -> impl Iterator<Item = &'a [i16]> {
    let highest = cover.iter().copied().max().unwrap_or(0);
    let min = COVERED.min(highest.div_ceil(2)).max(1);
    cells.iter().zip(cover).filter(move |(_, cover)| **cover >= min).map(|(cell, _)| cell)
}
