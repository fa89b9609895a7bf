//! The teacher: shows pictures to the backbone, notes what it saw, and learns from its notes what a verdict needs.

use super::advice::Grouping;
use super::learn::{PLACES, VIEWS, WHOLE, learn};
use super::notebook::{self, Form, Notebook, Sight};
use super::quality::Gauge;
use super::synthetic::{Kind, Painter};
use super::taught::Taught;
use crate::bundle::{Bundle, Task};
use crate::engine::EngineError;
use crate::picture::{Filter, Picture, PictureError, Resizer};
use crate::task::anomaly::LEAST_SIDE;
use crate::task::anomaly::cells::Cells;
use crate::task::anomaly::pooled::{pool, pooled_len};
use crate::task::anomaly::view::{self, Layer, View};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::io;
use std::path::Path;

/// Bytes that the notebook may hold.
const NOTEBOOK: usize = 64 << 20;
/// Painted copies of a picture, at most.
const COPIES: usize = 3;

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
    grid: (usize, usize),
    notebook: Notebook,
    painter: Painter,
    gauge: Gauge,
    donor: Picture,
    painted: Picture,
    mask: Picture,
}

impl Teacher {
    /// Loads the backbone and opens the notebook in `notes`, for `pictures` pictures.
    ///
    /// # Errors
    /// [`TeachError`] where the backbone or the notebook cannot be used.
    pub fn new(backbone: &Bundle, pictures: usize, notes: &Path, threads: usize) -> Result<Teacher, TeachError> {
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
        let grid = Cells::new(views[PLACES].layers()).map_err(refused)?.grid();
        let features = views[PLACES].layers().iter().map(|layer| layer.channels * layer.plane()).sum();
        let mut form = Form {
            made_with: format!("{} {} {VIEWS:?}", env!("CARGO_PKG_VERSION"), backbone.fingerprint()),
            sights: 1,
            pooled: pooled_len(views[WHOLE].layers()),
            features,
            cells: grid.0 * grid.1,
        };
        form.sights = (NOTEBOOK / (form.sight_bytes() * pictures.max(1))).clamp(2, 1 + COPIES);
        Ok(Teacher {
            views,
            grid,
            notebook: Notebook::open(notes, form)?,
            painter: Painter::default(),
            gauge: Gauge::default(),
            donor: Picture::default(),
            painted: Picture::default(),
            mask: Picture::default(),
        })
    }

    /// The pictures seen so far.
    pub fn pictures(&self) -> &[notebook::Picture] {
        self.notebook.pictures()
    }

    /// Shows one picture. `key` tells it from others and makes its synthetic defects the same in every run.
    ///
    /// # Errors
    /// [`TeachError::TooSmall`], [`TeachError::Picture`] for a picture that cannot be used; the rest as [`Teacher::new`].
    pub fn show(&mut self, name: String, key: String, picture: &Picture) -> Result<(), TeachError> {
        let (width, height) = (picture.width(), picture.height());
        if width < LEAST_SIDE || height < LEAST_SIDE {
            return Err(TeachError::TooSmall { width, height });
        }
        let quality = self.gauge.measure(picture)?;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed(&key));
        let nothing = vec![0; self.grid.0 * self.grid.1];
        let mut sights = vec![sight(&mut self.views, picture, nothing, 0)?];
        // Each copy gets a kind of its own.
        let mut kinds: Vec<u8> = (0..Kind::ALL.len() as u8).collect();
        for copy in 1..self.notebook.form().sights {
            let left = kinds.len() - (copy - 1);
            kinds.swap(copy - 1, copy - 1 + (random.next_u64() % left as u64) as usize);
            let kind = kinds[copy - 1];
            let (painted, mask) = (&mut self.painted, &mut self.mask);
            self.painter.paint(Kind::ALL[usize::from(kind)], picture, &self.donor, &mut random, painted, mask);
            let mut cover = Picture::default();
            let size = (mask.width(), mask.height());
            Resizer::new(Filter::Area, mask.layout(), size, self.grid)?.run(mask, &mut cover)?;
            sights.push(sight(&mut self.views, &self.painted, cover.data().to_vec(), kind)?);
        }
        self.donor.copy_from(picture);
        Ok(self.notebook.add(notebook::Picture { name, key, quality }, &sights)?)
    }

    /// Learns from what was shown. `share` of the normal frames may raise an alarm; `progress` is told the share that is
    /// done.
    ///
    /// # Errors
    /// [`TeachError::Refused`] where nothing can be learned from these pictures; [`TeachError::Notes`].
    pub fn learn(&self, grouping: &Grouping, share: f64, progress: impl FnMut(f64)) -> Result<Taught, TeachError> {
        let layers: Vec<&[Layer]> = self.views.iter().map(View::layers).collect();
        learn(&self.notebook, &layers, grouping, share, progress)
    }

    /// Takes the notes off the disk.
    ///
    /// # Errors
    /// [`TeachError::Notes`] where they cannot be removed.
    pub fn discard_notes(self) -> Result<(), TeachError> {
        Ok(self.notebook.discard()?)
    }
}

/// What the backbone sees in a picture.
fn sight(views: &mut [View], picture: &Picture, cover: Vec<u8>, kind: u8) -> Result<Sight, TeachError> {
    view::prepare(views, picture)?;
    views.iter_mut().try_for_each(View::run)?;
    let mut pooled = Vec::new();
    pool(views[WHOLE].features(), &mut pooled);
    Ok(Sight { pooled, features: views[PLACES].features().bytes.to_vec(), cover, kind })
}

/// FNV-1a of the key.
fn seed(key: &str) -> u64 {
    key.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}
