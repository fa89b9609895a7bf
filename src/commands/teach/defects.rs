//! Pictures of known defects, and their masks.

use crate::bundle::sha256;
use crate::commands::progress::ProgressReporter;
use crate::commands::{MAX_PICTURE_BYTES, MAX_PIXELS, masks};
use crate::files;
use crate::source::picture_files;
use crate::task::anomaly::teach::{LabelledDefect, TeachError, Trainer};
use anyhow::Context;
use lineside_picture::{Picture, decode_file};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// The pictures of known defects, by the SHA-256 of their files; of copies only the first.
pub struct Defects<'a> {
    folder: &'a Path,
    masks: Option<&'a Path>,
    files: Vec<(String, PathBuf)>,
}

impl<'a> Defects<'a> {
    /// The pictures in `folder`, with the masks in `masks`; none without a folder.
    ///
    /// # Errors
    /// Where a folder cannot be read or holds no picture.
    pub fn list(folder: Option<&'a Path>, masks: Option<&'a Path>) -> anyhow::Result<Defects<'a>> {
        let mut files: Vec<(String, PathBuf)> = Vec::new();
        if let Some(folder) = folder {
            let mut known = BTreeMap::new();
            for file in picture_files(folder).map_err(anyhow::Error::msg)? {
                let bytes = files::read(&file, MAX_PICTURE_BYTES).with_context(|| file.display().to_string())?;
                let key = sha256(&bytes);
                if let Some(first) = known.insert(key.clone(), file.clone()) {
                    log::warn!("{}: a copy of {}; left out", file.display(), first.display());
                } else {
                    files.push((key, file));
                }
            }
        }
        Ok(Defects { folder: folder.unwrap_or(Path::new("")), masks, files })
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
    pub fn add_to(&self, trainer: &mut Trainer, normal: &HashMap<String, PathBuf>) -> anyhow::Result<()> {
        if let Some((file, other)) = self.files.iter().find_map(|(key, file)| Some((file, normal.get(key)?))) {
            let (file, other) = (file.display(), other.display());
            anyhow::bail!("{file}: the same picture is among the good parts, {other}; remove one of the two");
        }
        let cached: Vec<String> = trainer.defects().iter().map(|defect| defect.key.clone()).collect();
        let progress = ProgressReporter::new("defects", self.files.len() as u64);
        let (mut picture, mut mask) = (Picture::default(), Picture::default());
        for (i, (key, file)) in self.files.iter().enumerate().filter(|(_, (key, _))| !cached.contains(key)) {
            progress.at(i as u64);
            let name = file.display().to_string();
            if let Err(error) = read(file, &mut picture) {
                log::warn!("{name}: {error:#}; left out");
                continue;
            }
            if let Some(masks) = self.masks {
                masks::read(self.folder, masks, file, (picture.width(), picture.height()), &mut mask)?;
                if !mask.data().contains(&255) {
                    log::warn!("{name}: its mask marks nothing over 127; the whole frame counts as defect");
                }
            }
            let mut hosts = Vec::new();
            for host in trainer.hosts(key) {
                let key = trainer.pictures()[host].key.clone();
                let file = normal.get(&key).context("a picture was removed while it was in use")?;
                let mut picture = Picture::default();
                read(file, &mut picture).with_context(|| file.display().to_string())?;
                hosts.push((key, picture));
            }
            let kind = kind(self.folder, file);
            let labelled = LabelledDefect { name: name.clone(), key: key.clone(), kind, picture: &picture };
            match trainer.add_defect(labelled, self.masks.map(|_| &mask), &hosts) {
                Err(TeachError::TooSmall { .. }) => log::warn!("{name}: too small to be inspected; left out"),
                other => other.with_context(|| name)?,
            }
        }
        progress.finish();
        Ok(())
    }
}

fn read(file: &Path, picture: &mut Picture) -> anyhow::Result<()> {
    Ok(decode_file(&files::read(file, MAX_PICTURE_BYTES)?, MAX_PIXELS, picture)?)
}

/// The sub-folder of `folder` in which a picture lies; "defect" where it lies in none.
fn kind(folder: &Path, file: &Path) -> String {
    let mut parts = file.strip_prefix(folder).unwrap_or(file).components();
    match (parts.next(), parts.next()) {
        (Some(kind), Some(_)) => kind.as_os_str().to_string_lossy().into_owned(),
        _ => "defect".into(),
    }
}
