//! The trainer: runs the backbone on pictures, caches their features, and trains a model from them.

use super::cache_room::{CACHE_BYTES, grid_of, layout_of, most_pictures};
use super::cost::plan_views;
use super::dataset_check::FoldAssignment;
use super::detail::Views;
use super::feature_cache::{CacheLayout, DefectLabel, FeatureCache, FeatureSample, TrainingPicture};
use super::folds;
use super::quality::{PictureQuality, QualityMeter};
use super::scheme::{IMAGE_LEVEL, PATCH_LEVEL, PLANES, TeachError};
use super::synthetic::{DefectKind, DefectPainter, Transplanter};
use super::trained_model::TrainedModel;
use super::training::{TrainingInput, train};
use super::variation::{copies, limits, vary};
use crate::bundle::{Bundle, Tolerance};
use crate::task::anomaly::alignment::Aligner;
use crate::task::anomaly::image_stats::ImageStatsMeter;
use crate::task::anomaly::placement::Placement;
use crate::task::anomaly::planes::gather;
use crate::task::anomaly::pooled::pool;
use crate::task::anomaly::region::RegionOfInterest;
use crate::task::anomaly::view::{self, Layer, MIN_SIDE, View};
use lineside_picture::{Filter, Picture, PictureError, Rect, Resizer, Similarity};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The version of what is cached; to be raised when that changes within a version of the program.
const CACHE_VERSION: u32 = 3;
/// Copies with a synthetic defect per picture, at most.
const MAX_PAINTED: usize = 3;
/// Normal pictures into which a labelled defect is transplanted, at most.
const MAX_HOSTS: usize = 5;
/// Labelled defects get one part of the cache in this many.
const DEFECTS_PART: usize = 3;

/// Extracts features of pictures and trains a model from them.
pub struct Trainer {
    sizes: Views,
    views: Vec<View>,
    /// Columns and rows of cells, of the patch-level view and of the larger view.
    grids: [(usize, usize); 2],
    folder: PathBuf,
    normal: FeatureCache,
    defects: FeatureCache,
    /// The limits within which copies vary, where there are copies.
    tolerance: Option<Tolerance>,
    varied: Picture,
    painter: DefectPainter,
    transplanter: Transplanter,
    quality_meter: QualityMeter,
    image_stats_meter: ImageStatsMeter,
    donor: Picture,
    altered: Picture,
    mask: Picture,
    aligner: Option<Aligner>,
    region: Option<Arc<RegionOfInterest>>,
}

/// What is used of all pictures.
#[derive(Default, Clone)]
pub struct Framing {
    /// Brings the part into place first.
    pub aligner: Option<Aligner>,
    /// The part of the frame that is inspected, where it is not all of it.
    pub region: Option<Arc<RegionOfInterest>>,
}

impl Trainer {
    /// Loads the backbone and opens the caches in `folder`, sized for this number of normal pictures and labelled defects. With a
    /// tolerance, or where there are few, each normal picture is joined by varied copies, as far as the cache has room. Of all
    /// pictures only what `framing` says is used.
    ///
    /// # Errors
    /// [`TeachError`] where the backbone or the caches cannot be used.
    pub fn new(
        backbone: &Bundle,
        sizes: Views,
        (pictures, defects): (usize, usize),
        tolerance: Option<Tolerance>,
        framing: Framing,
        folder: &Path,
        threads: usize,
    ) -> Result<Trainer, TeachError> {
        let views = plan_views(backbone, &sizes, threads)?;
        let grids = [grid_of(views[PATCH_LEVEL].layers())?, grid_of(views[IMAGE_LEVEL].layers())?];
        let Framing { aligner, region } = framing;
        let drawn = region.as_ref().map_or(String::new(), |region| region.fingerprint());
        let aligned = aligner.as_ref().map_or(String::new(), Aligner::fingerprint);
        let tolerance = limits(tolerance, pictures);
        let varied = tolerance.map_or(String::new(), |tolerance| tolerance.to_string());
        let (version, backbone) = (env!("CARGO_PKG_VERSION"), backbone.fingerprint());
        let [large, small] = sizes;
        let made_with = format!("{version} {CACHE_VERSION} {backbone} {large} {small}{drawn}{aligned} {varied}");
        let layout = layout_of(&views, made_with)?;
        let defect_bytes = if defects > 0 { CACHE_BYTES / DEFECTS_PART } else { 0 };
        // Transplants need no detail: the labelled picture itself has it.
        let defects = CacheLayout { copies: 0, ..layout.clone() }.within(defect_bytes, defects, 1 + MAX_HOSTS, 1);
        let room = most_pictures(&layout) / pictures.max(1);
        let copies = tolerance.map_or(0, |_| copies(pictures).min(room.saturating_sub(1)));
        let pictures = pictures * (1 + copies);
        let normal = CacheLayout { copies, ..layout }.within(
            CACHE_BYTES - defect_bytes,
            pictures,
            1 + MAX_PAINTED,
            1 + MAX_PAINTED,
        );
        Ok(Trainer {
            sizes,
            views,
            grids,
            normal: FeatureCache::open(&folder.join("normal"), normal)?,
            defects: FeatureCache::open(&folder.join("defects"), defects)?,
            folder: folder.to_path_buf(),
            painter: DefectPainter::within(region.clone()),
            tolerance,
            varied: Picture::default(),
            transplanter: Transplanter::default(),
            quality_meter: QualityMeter::default(),
            image_stats_meter: ImageStatsMeter::new(sizes[IMAGE_LEVEL].width),
            donor: Picture::default(),
            altered: Picture::default(),
            mask: Picture::default(),
            aligner,
            region,
        })
    }

    /// The normal pictures in the cache, each followed by its varied copies.
    pub fn pictures(&self) -> &[TrainingPicture] {
        self.normal.pictures()
    }

    /// The normal pictures without their varied copies.
    pub fn originals(&self) -> usize {
        self.pictures().len() / (1 + self.copies())
    }

    /// The limits within which copies vary; `None` where there are none.
    pub fn tolerance(&self) -> Option<Tolerance> {
        self.tolerance
    }

    /// The number of varied copies of each normal picture.
    pub fn copies(&self) -> usize {
        self.normal.layout().copies
    }

    /// The labelled defects in the cache.
    pub fn defects(&self) -> &[TrainingPicture] {
        self.defects.pictures()
    }

    /// Adds a normal picture and its varied copies. `key` identifies it and seeds copies and synthetic defects, which are the same
    /// in every run.
    ///
    /// # Errors
    /// [`TeachError::TooSmall`], [`TeachError::OtherSize`], [`TeachError::Unfound`], [`TeachError::Picture`] for a picture that cannot be
    /// used; the rest as [`Trainer::new`].
    pub fn add_normal(&mut self, name: String, key: String, picture: &Picture) -> Result<(), TeachError> {
        let (inspected, quality, _) = self.measure_quality(picture)?;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed(&key));
        let original = TrainingPicture { name, key, quality, image_stats: (0, 0), copy: 0, label: None };
        self.add_with_painted(original.clone(), &inspected, &mut random)?;
        if let Some(tolerance) = self.tolerance {
            let mut varied = std::mem::take(&mut self.varied);
            for copy in 1..=self.copies() {
                // The whole frame moves, and the region stays where it is; where parts are brought into place, so is that of the copy.
                vary(&tolerance, picture, &mut random, &mut varied);
                let (mut copied, placement) = self.inspected(&varied)?;
                if placement == Some(Placement::Unfound) {
                    // It varies by more than parts may lie off: the part in its place does instead.
                    vary(&tolerance, &inspected, &mut random, copied.to_mut());
                }
                self.add_with_painted(TrainingPicture { copy, ..original.clone() }, &copied, &mut random)?;
            }
            self.varied = varied;
        }
        self.donor.copy_from(&inspected);
        Ok(())
    }

    /// Adds a normal picture, and the same with synthetic defects. What the image looks like is measured here.
    fn add_with_painted(
        &mut self,
        entry: TrainingPicture,
        picture: &Picture,
        random: &mut Xoshiro256PlusPlus,
    ) -> Result<(), TeachError> {
        let mut samples = vec![extract(&mut self.views, picture, None, self.grids, 0)?];
        let image_stats = self.measure_image_stats();
        // A different kind for each copy.
        let mut kinds: Vec<u8> = (0..DefectKind::ALL.len() as u8).collect();
        for copy in 1..self.normal.layout().samples {
            let left = kinds.len() - (copy - 1);
            kinds.swap(copy - 1, copy - 1 + (random.next_u64() % left as u64) as usize);
            let kind = kinds[copy - 1];
            let (altered, mask) = (&mut self.altered, &mut self.mask);
            self.painter.paint(DefectKind::ALL[usize::from(kind)], picture, &self.donor, random, altered, mask);
            samples.push(extract(&mut self.views, &self.altered, Some(mask), self.grids, kind)?);
        }
        Ok(self.normal.add(TrainingPicture { image_stats, ..entry }, &samples)?)
    }

    /// To be called with the last normal picture in the cache before another one is added: pieces of it are painted into that one, as
    /// if training had not been interrupted.
    ///
    /// # Errors
    /// As [`Trainer::add_normal`].
    pub fn resume_after(&mut self, picture: &Picture) -> Result<(), TeachError> {
        let (inspected, _) = self.inspected(picture)?;
        self.donor.copy_from(&inspected);
        Ok(())
    }

    /// The normal pictures, by number, into which the labelled defect with this key is to be transplanted: others for each
    /// defect, and the same in every run.
    pub fn hosts(&self, key: &str) -> Vec<usize> {
        let mut left: Vec<usize> = (0..self.pictures().len()).filter(|at| self.pictures()[*at].copy == 0).collect();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(!seed(key));
        let count = (self.defects.layout().samples - 1).min(left.len());
        (0..count).map(|_| left.swap_remove((random.next_u64() % left.len() as u64) as usize)).collect()
    }

    /// Adds a labelled defect, and transplants it into `hosts`, normal pictures with their keys. `mask` is grey, of the
    /// picture's size, and over 127 where the defect is; without a mask the frame as a whole counts as a defect.
    ///
    /// # Errors
    /// As [`Trainer::add_normal`]; [`TeachError::DefectOutside`] where the mask marks nothing in the region.
    pub fn add_defect(
        &mut self,
        defect: LabelledDefect<'_>,
        mask: Option<&Picture>,
        hosts: &[(String, Picture)],
    ) -> Result<(), TeachError> {
        let LabelledDefect { name, key, kind, picture } = defect;
        let (inspected, quality, placement) = self.measure_quality(picture)?;
        let (picture, marked) = (&*inspected, mask.map(|mask| self.inspected_mask(mask, placement)).transpose()?);
        let mask = marked.as_deref();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed(&key));
        let mut samples = vec![extract(&mut self.views, picture, mask, self.grids, 0)?];
        let image_stats = self.measure_image_stats();
        // Stands for a transplant of which nothing is visible.
        let invisible = FeatureSample { cover: vec![0; samples[0].cover.len()], ..samples[0].clone() };
        for (_, host) in hosts.iter().take(self.defects.layout().samples - 1) {
            let (host, _) = self.inspected(host)?;
            let (out, at) = (&mut self.altered, &mut self.mask);
            let mut visible =
                mask.is_some_and(|mask| self.transplanter.transplant(picture, mask, &host, &mut random, out, at));
            if let (true, Some(region)) = (visible, &self.region) {
                region.restrict(out, at);
                visible = at.data().contains(&255);
            }
            samples.push(if visible {
                extract(&mut self.views, out, Some(at), self.grids, 0)?
            } else {
                invisible.clone()
            });
        }
        samples.resize(self.defects.layout().samples, invisible);
        let label = Some(DefectLabel { kind, hosts: hosts.iter().map(|(key, _)| key.clone()).collect() });
        Ok(self.defects.add(TrainingPicture { name, key, quality, image_stats, copy: 0, label }, &samples)?)
    }

    /// Brightness and sharpness of the picture that was extracted last, measured as on a running line.
    fn measure_image_stats(&mut self) -> (u32, u32) {
        let stats = self.image_stats_meter.measure(self.views[IMAGE_LEVEL].fitted());
        (stats.brightness, stats.sharpness)
    }

    /// What is inspected of a picture, its quality, and where the part lies, if it is looked for; the size is the whole picture's.
    fn measure_quality<'a>(
        &mut self,
        picture: &'a Picture,
    ) -> Result<(Cow<'a, Picture>, PictureQuality, Option<Placement>), TeachError> {
        let (width, height) = (picture.width(), picture.height());
        if width < MIN_SIDE || height < MIN_SIDE {
            return Err(TeachError::TooSmall { width, height });
        }
        let (inspected, placement) = self.inspected(picture)?;
        if placement == Some(Placement::Unfound) {
            return Err(TeachError::Unfound);
        }
        let quality = self.quality_meter.measure(&inspected)?;
        Ok((inspected, PictureQuality { size: (width, height), ..quality }, placement))
    }

    /// What is inspected of a picture, and where the part lies, if it is looked for; one in which it is not found is used as it is.
    fn inspected<'a>(&mut self, picture: &'a Picture) -> Result<(Cow<'a, Picture>, Option<Placement>), TeachError> {
        let placement = self.aligner.as_mut().map(|aligner| aligner.find(picture)).transpose();
        let placement = placement.map_err(TeachError::OtherSize)?;
        let mut inspected = Picture::default();
        let applied = match (&self.region, &placement) {
            (None, None) => return Ok((Cow::Borrowed(picture), None)),
            (Some(region), None) => region.apply(picture, &mut inspected),
            (Some(region), Some(placement)) => region.apply_at(placement, picture, &mut inspected),
            (None, Some(placement)) => {
                placement.resample(picture, whole(picture), &mut inspected);
                Ok(())
            }
        };
        applied.map_err(|error| TeachError::OtherSize(error.to_string()))?;
        Ok((Cow::Owned(inspected), placement))
    }

    /// What is inspected of a labelled defect's mask. One that marks nothing at all stays so.
    fn inspected_mask<'a>(
        &self,
        mask: &'a Picture,
        placement: Option<Placement>,
    ) -> Result<Cow<'a, Picture>, TeachError> {
        let mut inspected = Picture::default();
        match (&self.region, placement) {
            (None, None) => return Ok(Cow::Borrowed(mask)),
            (None, Some(placement)) => placement.resample_mask(mask, whole(mask), &mut inspected),
            (Some(region), placement) => {
                let placement = placement.unwrap_or(Placement::At(Similarity::IDENTITY));
                let applied = region.apply_to_mask(&placement, mask, &mut inspected);
                applied.map_err(|error| TeachError::OtherSize(error.to_string()))?;
            }
        }
        let is_marked = |mask: &Picture| mask.data().iter().any(|byte| *byte > 127);
        if is_marked(mask) && !is_marked(&inspected) {
            return Err(TeachError::DefectOutside);
        }
        Ok(Cow::Owned(inspected))
    }

    /// Trains a model from the cached features. `share`: the share of normal frames, 0..1, that may raise a false alarm.
    /// `progress` receives the share of the work that is done.
    ///
    /// # Errors
    /// [`TeachError::Refused`] where nothing can be learned from these pictures; [`TeachError::Cache`].
    pub fn train(
        &self,
        assignment: &FoldAssignment,
        share: f64,
        progress: impl FnMut(f64),
    ) -> Result<TrainedModel, TeachError> {
        let layers: Vec<&[Layer]> = self.views.iter().map(View::layers).collect();
        let defects = self.defects.pictures();
        let thumbnails: Vec<Picture> = defects.iter().map(|defect| defect.quality.thumbnail.clone()).collect();
        let folds = folds::assign_in_turn(&folds::near_duplicates(&thumbnails), &assignment.folds);
        let defects = (!defects.is_empty()).then_some((&self.defects, folds));
        let input = TrainingInput { normal: &self.normal, views: self.sizes, layers: &layers, assignment, defects };
        train(input, share, progress)
    }

    /// Removes the caches from the disk.
    ///
    /// # Errors
    /// [`TeachError::Cache`] where they cannot be removed.
    pub fn discard_cache(self) -> Result<(), TeachError> {
        Ok(std::fs::remove_dir_all(self.folder)?)
    }
}

/// A picture of a known defect.
pub struct LabelledDefect<'a> {
    /// The file's path.
    pub name: String,
    /// SHA-256 of the file, hexadecimal.
    pub key: String,
    /// The kind of defect: the name of its folder.
    pub kind: String,
    /// The picture.
    pub picture: &'a Picture,
}

/// Runs the backbone on a picture, in every view. `mask` marks its defect.
fn extract(
    views: &mut [View],
    picture: &Picture,
    mask: Option<&Picture>,
    grids: [(usize, usize); 2],
    kind: u8,
) -> Result<FeatureSample, TeachError> {
    view::prepare(views, picture)?;
    views.iter_mut().try_for_each(View::run)?;
    let mut pooled = Vec::new();
    pool(views[IMAGE_LEVEL].features(), &mut pooled);
    let mut planes = Vec::new();
    gather(views[IMAGE_LEVEL].features(), PLANES, &mut planes);
    let detail = views[IMAGE_LEVEL].features().bytes.to_vec();
    let (cover, detail_cover) = (cover(mask, grids[0])?, cover(mask, grids[1])?);
    let features = views[PATCH_LEVEL].features().bytes.to_vec();
    Ok(FeatureSample { pooled, features, planes, cover, kind, detail, detail_cover })
}

/// How much of each cell of a grid the mask covers, 0..255.
fn cover(mask: Option<&Picture>, grid: (usize, usize)) -> Result<Vec<u8>, PictureError> {
    let Some(mask) = mask else { return Ok(vec![0; grid.0 * grid.1]) };
    let mut cover = Picture::default();
    Resizer::new(Filter::Area, mask.layout(), (mask.width(), mask.height()), grid)?.run(mask, &mut cover)?;
    Ok(cover.data().to_vec())
}

fn whole(picture: &Picture) -> Rect {
    Rect { x: 0, y: 0, width: picture.width(), height: picture.height() }
}

/// FNV-1a of the key.
fn seed(key: &str) -> u64 {
    key.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}

#[cfg(test)]
#[path = "trainer_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "reproducibility_tests.rs"]
mod reproducibility_tests;
