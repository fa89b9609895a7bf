//! Pictures of known defects, and their masks.

use crate::commands::MAX_PICTURE_BYTES;
use crate::commands::dataset::{KnownDefect, masks};
use crate::commands::picture_reader::PictureReader;
use crate::commands::progress::ProgressReporter;
use crate::files;
use crate::task::anomaly::teach::{LabelledDefect, TeachError, Trainer};
use anyhow::Context;
use lineside_picture::Picture;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// The pictures of known defects, by the SHA-256 of their files; of copies only the first.
pub struct Defects {
    has_masks: bool,
    files: Vec<(String, KnownDefect)>,
}

impl Defects {
    /// These pictures; with masks for all, where `has_masks`.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub fn new(defects: Vec<KnownDefect>, has_masks: bool, reader: &PictureReader) -> anyhow::Result<Defects> {
        let mut files: Vec<(String, KnownDefect)> = Vec::new();
        let mut known = BTreeMap::new();
        for defect in defects {
            let file = &defect.file;
            let bytes = files::read(file, MAX_PICTURE_BYTES).with_context(|| file.display().to_string())?;
            let key = reader.key(&bytes);
            if let Some(first) = known.insert(key.clone(), file.clone()) {
                log::warn!("{}: a copy of {}; left out", file.display(), first.display());
            } else {
                files.push((key, defect));
            }
        }
        Ok(Defects { has_masks, files })
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether a picture has this key.
    pub fn contains(&self, key: &str) -> bool {
        self.files.iter().any(|(other, _)| other == key)
    }

    /// Adds every picture that is not in the cache yet. `normal` holds the files of good parts by key; defects are transplanted
    /// into these.
    ///
    /// # Errors
    /// Where a picture is both a good part and a defect, where a mask is missing or does not fit, and where the cache cannot be
    /// written. Other pictures that cannot be used are left out with a warning.
    pub fn add_to(
        &self,
        trainer: &mut Trainer,
        reader: &mut PictureReader,
        normal: &HashMap<String, PathBuf>,
    ) -> anyhow::Result<()> {
        if let Some((defect, other)) = self.files.iter().find_map(|(key, defect)| Some((defect, normal.get(key)?))) {
            let (file, other) = (defect.file.display(), other.display());
            anyhow::bail!("{file}: the same picture is among the good parts, {other}; remove one of the two");
        }
        let cached: Vec<String> = trainer.defects().iter().map(|defect| defect.key.clone()).collect();
        let progress = ProgressReporter::new("defects", self.files.len() as u64);
        let (mut picture, mut mask) = (Picture::default(), Picture::default());
        for (i, (key, defect)) in self.files.iter().enumerate().filter(|(_, (key, _))| !cached.contains(key)) {
            progress.at(i as u64);
            let file = &defect.file;
            let name = file.display().to_string();
            if let Err(error) = reader.read(file, &mut picture) {
                log::warn!("{error:#}; left out");
                continue;
            }
            if self.has_masks {
                defect.require_mask()?;
                masks::read(&defect.masks, (picture.width(), picture.height()), &mut mask)?;
                if !mask.data().contains(&255) {
                    log::warn!("{name}: its mask marks nothing; the whole frame counts as defect");
                }
            }
            let mut hosts = Vec::new();
            for host in trainer.hosts(key) {
                let key = trainer.pictures()[host].key.clone();
                let file = normal.get(&key).context("a picture was removed while it was in use")?;
                let mut picture = Picture::default();
                reader.read(file, &mut picture)?;
                hosts.push((key, picture));
            }
            let kind = defect.kind.clone().unwrap_or_else(|| "defect".into());
            let labelled = LabelledDefect { name: name.clone(), key: key.clone(), kind, picture: &picture };
            match trainer.add_defect(labelled, self.has_masks.then_some(&mask), &hosts) {
                Err(TeachError::TooSmall { .. }) => log::warn!("{name}: too small to be inspected; left out"),
                Err(error @ (TeachError::OtherSize(_) | TeachError::Unfound | TeachError::DefectOutside)) => {
                    log::warn!("{name}: {error}; left out")
                }
                other => other.with_context(|| name)?,
            }
        }
        progress.finish();
        Ok(())
    }
}
