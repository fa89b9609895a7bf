//! The teacher: shows pictures to the backbone, notes what it saw, and learns from its notes what a verdict needs.

use super::advice::Grouping;
use super::folds;
use super::learn::{Noted, PLACES, VIEWS, WHOLE, learn};
use super::notebook::{self, Form, Label, Notebook, Sight};
use super::quality::{Gauge, Quality};
use super::synthetic::{Kind, Painter, Transplanter};
use super::taught::Taught;
use crate::bundle::{Bundle, Task};
use crate::task::anomaly::LEAST_SIDE;
use crate::task::anomaly::cells::Cells;
use crate::task::anomaly::look::Eye;
use crate::task::anomaly::pooled::{pool, pooled_len};
use crate::task::anomaly::view::{self, Layer, View};
use lineside_engine::EngineError;
use lineside_picture::{Filter, Picture, PictureError, Resizer};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes that the notebooks may hold.
const NOTES: usize = 64 << 20;
/// What is noted of a picture, in this form: goes up where it changes within a version of the program.
const NOTED: u32 = 2;
/// Painted copies of a picture, at most.
const COPIES: usize = 3;
/// Normal pictures that a labelled defect is set into, at most, and the share of the notes that these may fill.
const HOSTS: usize = 5;
const DEFECT_NOTES: usize = 3;
/// Pictures that are noted in detail: at least, and at most where the notes have room.
const DETAILED: (usize, usize) = (24, 64);

/// Why a board could not be taught.
#[derive(Debug, thiserror::Error)]
pub enum TeachError {
    /// The pictures or the backbone are not fit to learn from.
    #[error("{0}")]
    Refused(String),
    /// A picture cannot be used.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A picture is too small to be judged.
    #[error("{width}x{height} is too small to be judged: {LEAST_SIDE} pixels a side are the least")]
    TooSmall {
        /// Its width.
        width: usize,
        /// Its height.
        height: usize,
    },
    /// The backbone failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The notebook cannot be read or written.
    #[error("cannot keep notes: {0}")]
    Notes(#[from] io::Error),
}

/// Shows pictures to the backbone and learns from them.
pub struct Teacher {
    views: Vec<View>,
    /// Columns and rows of cells, of places and of the larger view.
    grids: [(usize, usize); 2],
    notes: PathBuf,
    normal: Notebook,
    defects: Notebook,
    painter: Painter,
    transplanter: Transplanter,
    gauge: Gauge,
    eye: Eye,
    donor: Picture,
    painted: Picture,
    mask: Picture,
}

impl Teacher {
    /// Loads the backbone and opens the notebooks in `notes`, for so many normal pictures and labelled defects.
    ///
    /// # Errors
    /// [`TeachError`] where the backbone or the notebooks cannot be used.
    pub fn new(
        backbone: &Bundle,
        (pictures, defects): (usize, usize),
        notes: &Path,
        threads: usize,
    ) -> Result<Teacher, TeachError> {
        if backbone.manifest().task != Task::Backbone {
            let problem = "is no backbone; backbone-lite0 is one";
            return Err(TeachError::Refused(format!("{} {problem}", backbone.folder().display())));
        }
        let refused = |problem: String| TeachError::Refused(format!("{}: {problem}", backbone.folder().display()));
        let mut views = Vec::new();
        for side in VIEWS {
            let model = backbone.model().map_err(|e| TeachError::Refused(e.to_string()))?;
            views.push(View::with_threads(model, side, threads).map_err(refused)?);
        }
        let detail = views[WHOLE].layers();
        let grid = |layers: &[Layer]| Cells::new(layers).map(|cells| cells.grid()).map_err(refused);
        let grids = [grid(views[PLACES].layers())?, grid(detail)?];
        let bytes = |layers: &[Layer]| layers.iter().map(|layer| layer.channels * layer.plane()).sum::<usize>();
        let cells = |(columns, rows): (usize, usize)| columns * rows;
        let form = Form {
            made_with: format!("{} {NOTED} {} {VIEWS:?}", env!("CARGO_PKG_VERSION"), backbone.fingerprint()),
            sights: 1,
            pooled: pooled_len(views[WHOLE].layers()),
            features: bytes(views[PLACES].layers()),
            cells: cells(grids[0]),
            detail: (bytes(detail), cells(grids[1])),
            detailed: 1,
            detailed_sights: 1,
        };
        let of_defects = if defects > 0 { NOTES / DEFECT_NOTES } else { 0 };
        // Of defects in normal pictures no detail is needed: the labelled picture itself shows it.
        let defects = form.clone().within(of_defects, defects, 1 + HOSTS, 1);
        let normal = form.within(NOTES - of_defects, pictures, 1 + COPIES, 1 + COPIES);
        Ok(Teacher {
            views,
            grids,
            normal: Notebook::open(&notes.join("normal"), normal)?,
            defects: Notebook::open(&notes.join("defects"), defects)?,
            notes: notes.to_path_buf(),
            painter: Painter::default(),
            transplanter: Transplanter::default(),
            gauge: Gauge::default(),
            eye: Eye::new(VIEWS[WHOLE]),
            donor: Picture::default(),
            painted: Picture::default(),
            mask: Picture::default(),
        })
    }

    /// The normal pictures seen so far.
    pub fn pictures(&self) -> &[notebook::Picture] {
        self.normal.pictures()
    }

    /// The labelled defects seen so far.
    pub fn defects(&self) -> &[notebook::Picture] {
        self.defects.pictures()
    }

    /// Shows one picture. `key` tells it from others and makes its synthetic defects the same in every run.
    ///
    /// # Errors
    /// [`TeachError::TooSmall`], [`TeachError::Picture`] for a picture that cannot be used; the rest as [`Teacher::new`].
    pub fn show(&mut self, name: String, key: String, picture: &Picture) -> Result<(), TeachError> {
        let quality = self.measure(picture)?;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed(&key));
        let mut sights = vec![sight(&mut self.views, picture, None, self.grids, 0)?];
        let look = self.look();
        // Each copy gets a kind of its own.
        let mut kinds: Vec<u8> = (0..Kind::ALL.len() as u8).collect();
        for copy in 1..self.normal.form().sights {
            let left = kinds.len() - (copy - 1);
            kinds.swap(copy - 1, copy - 1 + (random.next_u64() % left as u64) as usize);
            let kind = kinds[copy - 1];
            let (painted, mask) = (&mut self.painted, &mut self.mask);
            self.painter.paint(Kind::ALL[usize::from(kind)], picture, &self.donor, &mut random, painted, mask);
            sights.push(sight(&mut self.views, &self.painted, Some(mask), self.grids, kind)?);
        }
        self.donor.copy_from(picture);
        Ok(self.normal.add(notebook::Picture { name, key, quality, look, label: None }, &sights)?)
    }

    /// The normal pictures, by number, that the labelled defect with this key should be set into: other ones for each,
    /// and the same in every run.
    pub fn hosts(&self, key: &str) -> Vec<usize> {
        let mut left: Vec<usize> = (0..self.pictures().len()).collect();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(!seed(key));
        let count = (self.defects.form().sights - 1).min(left.len());
        (0..count).map(|_| left.swap_remove((random.next_u64() % left.len() as u64) as usize)).collect()
    }

    /// Shows one labelled defect, and it transplanted into `hosts`, normal pictures with their keys. `mask` is grey, of the
    /// picture's size, and over 127 where the defect is; without it the frame as a whole counts as a defect.
    ///
    /// # Errors
    /// As [`Teacher::show`].
    pub fn show_defect(
        &mut self,
        defect: Labelled<'_>,
        mask: Option<&Picture>,
        hosts: &[(String, Picture)],
    ) -> Result<(), TeachError> {
        let Labelled { name, key, kind, picture } = defect;
        let quality = self.measure(picture)?;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed(&key));
        let mut sights = vec![sight(&mut self.views, picture, mask, self.grids, 0)?];
        let look = self.look();
        // What shows nothing is noted as nothing.
        let unseen = Sight { cover: vec![0; sights[0].cover.len()], ..sights[0].clone() };
        for (_, host) in hosts.iter().take(self.defects.form().sights - 1) {
            let (out, at) = (&mut self.painted, &mut self.mask);
            let set = mask.is_some_and(|mask| self.transplanter.transplant(picture, mask, host, &mut random, out, at));
            let seen = if set { sight(&mut self.views, out, Some(at), self.grids, 0)? } else { unseen.clone() };
            sights.push(seen);
        }
        sights.resize(self.defects.form().sights, unseen);
        let label = Some(Label { kind, hosts: hosts.iter().map(|(key, _)| key.clone()).collect() });
        Ok(self.defects.add(notebook::Picture { name, key, quality, look, label }, &sights)?)
    }

    /// What the picture seen last looks like, by the measure that a line in service has.
    fn look(&mut self) -> (u32, u32) {
        let look = self.eye.look(self.views[WHOLE].fitted());
        (look.brightness, look.sharpness)
    }

    fn measure(&mut self, picture: &Picture) -> Result<Quality, TeachError> {
        let (width, height) = (picture.width(), picture.height());
        if width < LEAST_SIDE || height < LEAST_SIDE {
            return Err(TeachError::TooSmall { width, height });
        }
        Ok(self.gauge.measure(picture)?)
    }

    /// Learns from what was shown. `share` of the normal frames may raise an alarm; `progress` is told the share that is
    /// done.
    ///
    /// # Errors
    /// [`TeachError::Refused`] where nothing can be learned from these pictures; [`TeachError::Notes`].
    pub fn learn(&self, grouping: &Grouping, share: f64, progress: impl FnMut(f64)) -> Result<Taught, TeachError> {
        let layers: Vec<&[Layer]> = self.views.iter().map(View::layers).collect();
        let defects = self.defects.pictures();
        let thumbnails: Vec<Picture> = defects.iter().map(|defect| defect.quality.thumbnail.clone()).collect();
        let folds = folds::spread(&folds::groups(&thumbnails), &grouping.folds);
        let defects = (!defects.is_empty()).then_some((&self.defects, folds));
        learn(Noted { normal: &self.normal, layers: &layers, grouping, defects }, share, progress)
    }

    /// Takes the notes off the disk.
    ///
    /// # Errors
    /// [`TeachError::Notes`] where they cannot be removed.
    pub fn discard_notes(self) -> Result<(), TeachError> {
        Ok(std::fs::remove_dir_all(self.notes)?)
    }
}

impl Form {
    /// With as many sights of each of so many pictures, up to a number, as fill no more than so many bytes; the first few
    /// of them in detail.
    fn within(mut self, bytes: usize, pictures: usize, most: usize, detailed: usize) -> Form {
        let (sights, detail) = (self.sight_bytes() * pictures, self.detail_bytes());
        let details = |sights: usize| detailed.min(sights) * detail;
        let needed = |count: usize| count * sights + details(count) * DETAILED.0.min(pictures);
        self.sights = (2..=most).rev().find(|&count| needed(count) <= bytes).unwrap_or(2);
        let left = bytes.saturating_sub(self.sights * sights);
        let count = (left / details(self.sights).max(1)).clamp(DETAILED.0, DETAILED.1);
        self.detailed = pictures.div_ceil(count).max(1);
        self.detailed_sights = detailed.min(self.sights);
        self
    }
}

/// A picture of a defect that people found.
pub struct Labelled<'a> {
    /// The file's path.
    pub name: String,
    /// SHA-256 of the file, hexadecimal.
    pub key: String,
    /// What people call such defects.
    pub kind: String,
    /// The picture.
    pub picture: &'a Picture,
}

/// What the backbone sees in a picture, and what of it a mask marks.
fn sight(
    views: &mut [View],
    picture: &Picture,
    mask: Option<&Picture>,
    grids: [(usize, usize); 2],
    kind: u8,
) -> Result<Sight, TeachError> {
    view::prepare(views, picture)?;
    views.iter_mut().try_for_each(View::run)?;
    let mut pooled = Vec::new();
    pool(views[WHOLE].features(), &mut pooled);
    let detail = views[WHOLE].features().bytes.to_vec();
    let (cover, detail_cover) = (cover(mask, grids[0])?, cover(mask, grids[1])?);
    let features = views[PLACES].features().bytes.to_vec();
    Ok(Sight { pooled, features, cover, kind, detail, detail_cover })
}

/// How much of each cell of a grid a mask covers, 0..255.
fn cover(mask: Option<&Picture>, grid: (usize, usize)) -> Result<Vec<u8>, PictureError> {
    let Some(mask) = mask else { return Ok(vec![0; grid.0 * grid.1]) };
    let mut cover = Picture::default();
    Resizer::new(Filter::Area, mask.layout(), (mask.width(), mask.height()), grid)?.run(mask, &mut cover)?;
    Ok(cover.data().to_vec())
}

/// FNV-1a of the key.
fn seed(key: &str) -> u64 {
    key.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}
