//! Pictures of known defects, and their masks.

use super::Arguments;
use crate::bundle::sha256;
use crate::commands::progress::Progress;
use crate::commands::{MAX_PIXELS, masks};
use crate::source::picture_files;
use crate::task::anomaly::teach::{Labelled, TeachError, Teacher};
use anyhow::Context;
use lineside_picture::{Picture, decode_file};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// The pictures, by the SHA-256 of their files; of equal ones the first.
pub struct Defects<'a> {
    folder: &'a Path,
    masks: Option<&'a Path>,
    files: Vec<(String, PathBuf)>,
}

impl<'a> Defects<'a> {
    /// Those that the arguments name; none without.
    ///
    /// # Errors
    /// Where a folder cannot be read or holds no picture.
    pub fn of(arguments: &'a Arguments) -> anyhow::Result<Defects<'a>> {
        let folder = arguments.defects.as_deref().unwrap_or(Path::new(""));
        let masks = arguments.masks.as_deref();
        let mut files: Vec<(String, PathBuf)> = Vec::new();
        if arguments.defects.is_some() {
            let mut seen = BTreeMap::new();
            for file in picture_files(folder).map_err(anyhow::Error::msg)? {
                let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
                let key = sha256(&bytes);
                if let Some(first) = seen.insert(key.clone(), file.clone()) {
                    log::warn!("{}: the same file as {}; left out", file.display(), first.display());
                } else {
                    files.push((key, file));
                }
            }
        }
        Ok(Defects { folder, masks, files })
    }

    /// Pictures.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is one with this key.
    pub fn has(&self, key: &str) -> bool {
        self.files.iter().any(|(other, _)| other == key)
    }

    /// Shows the teacher every picture that it has no note of. `normal` are the good parts by key, which defects are set
    /// into.
    ///
    /// # Errors
    /// Where a picture is called good and defective, where a mask is missing or does not fit, and where notes cannot be
    /// kept; what cannot be used else is named and left out.
    pub fn show(&self, teacher: &mut Teacher, normal: &HashMap<String, PathBuf>) -> anyhow::Result<()> {
        if let Some((file, other)) = self.files.iter().find_map(|(key, file)| Some((file, normal.get(key)?))) {
            let (file, other) = (file.display(), other.display());
            anyhow::bail!("{file}: the same picture is among the good parts, {other}; take one of the two away");
        }
        let noted: Vec<String> = teacher.defects().iter().map(|defect| defect.key.clone()).collect();
        let progress = Progress::new("defects", self.files.len() as u64);
        let (mut picture, mut mask) = (Picture::default(), Picture::default());
        for (i, (key, file)) in self.files.iter().enumerate().filter(|(_, (key, _))| !noted.contains(key)) {
            progress.at(i as u64);
            let name = file.display().to_string();
            if let Err(error) = read(file, &mut picture) {
                log::warn!("{name}: {error:#}; left out");
                continue;
            }
            if let Some(masks) = self.masks {
                masks::read(self.folder, masks, file, (picture.width(), picture.height()), &mut mask)?;
                if !mask.data().contains(&255) {
                    log::warn!("{name}: its mask marks nothing over 127; taken as a whole");
                }
            }
            let mut hosts = Vec::new();
            for host in teacher.hosts(key) {
                let key = teacher.pictures()[host].key.clone();
                let file = normal.get(&key).context("a picture was taken away while it was looked at")?;
                let mut picture = Picture::default();
                read(file, &mut picture).with_context(|| file.display().to_string())?;
                hosts.push((key, picture));
            }
            let kind = kind(self.folder, file);
            let labelled = Labelled { name: name.clone(), key: key.clone(), kind, picture: &picture };
            match teacher.show_defect(labelled, self.masks.map(|_| &mask), &hosts) {
                Err(TeachError::TooSmall { .. }) => log::warn!("{name}: too small to be judged; left out"),
                other => other.with_context(|| name)?,
            }
        }
        progress.finish();
        Ok(())
    }
}

fn read(file: &Path, picture: &mut Picture) -> anyhow::Result<()> {
    Ok(decode_file(&std::fs::read(file)?, MAX_PIXELS, picture)?)
}

/// The sub-folder of `folder` that a picture lies in; "defect" where it lies in none.
fn kind(folder: &Path, file: &Path) -> String {
    let mut parts = file.strip_prefix(folder).unwrap_or(file).components();
    match (parts.next(), parts.next()) {
        (Some(kind), Some(_)) => kind.as_os_str().to_string_lossy().into_owned(),
        _ => "defect".into(),
    }
}
