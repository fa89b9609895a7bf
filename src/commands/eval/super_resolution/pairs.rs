//! Pairs of a large picture and the small one that is to be enlarged.

use crate::commands::eval::arguments::EvalArguments;
use crate::commands::picture_reader::PictureReader;
use crate::source::picture_files;
use crate::task::super_resolution::simulate_camera;
use anyhow::Context;
use lineside_picture::{Filter, Picture, Rect, Resizer};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The pictures of an evaluation.
pub struct Pairs {
    large: Vec<PathBuf>,
    small: SmallPictures,
    scale: usize,
}

/// Where the small pictures come from.
enum SmallPictures {
    /// Files, of the benchmark set or of --lr.
    Files(PathBuf, Vec<PathBuf>),
    /// Reduced by antialiased fixed-point bicubic; as by MATLAB's `imresize`, up to rounding.
    Bicubic,
    /// Taken by a simulated camera.
    Camera { seed: u32 },
}

impl Pairs {
    /// Large pictures from `hr`, or from `hr/xS/HR` or `hr/HR` as in benchmark sets. Small ones as the arguments name them, else from the folder
    /// `LR` beside a folder `HR`, else by bicubic reduction.
    pub fn open(hr: &Path, scale: usize, arguments: &EvalArguments) -> anyhow::Result<Pairs> {
        let of_set = [hr.join(format!("x{scale}")).join("HR"), hr.join("HR")];
        let hr = of_set.into_iter().find(|folder| folder.is_dir()).unwrap_or_else(|| hr.to_path_buf());
        let large = picture_files(&hr).map_err(anyhow::Error::msg)?;
        let beside = hr.with_file_name("LR");
        let beside = (hr.ends_with("HR") && beside.is_dir()).then_some(beside);
        let small = match (&arguments.degrade, arguments.lr.clone().or(beside)) {
            (Some(_), _) => SmallPictures::Camera { seed: arguments.seed },
            (None, None) => SmallPictures::Bicubic,
            (None, Some(folder)) => {
                let small = picture_files(&folder).map_err(anyhow::Error::msg)?;
                anyhow::ensure!(
                    small.len() == large.len(),
                    "{} large pictures, but {} small ones in {}",
                    large.len(),
                    small.len(),
                    folder.display()
                );
                SmallPictures::Files(folder, in_order_of(&large, small))
            }
        };
        Ok(Pairs { large, small, scale })
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.large.len()
    }

    /// All files that are read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let small = match &self.small {
            SmallPictures::Files(_, files) => &files[..],
            SmallPictures::Bicubic | SmallPictures::Camera { .. } => &[],
        };
        self.large.iter().chain(small).map(PathBuf::as_path)
    }

    /// The file of a large picture.
    pub fn file(&self, index: usize) -> &Path {
        &self.large[index]
    }

    /// Where the small pictures come from, for the report.
    pub fn describe(&self) -> String {
        match &self.small {
            SmallPictures::Files(folder, _) => folder.display().to_string(),
            SmallPictures::Bicubic => "made by bicubic reduction".into(),
            SmallPictures::Camera { seed } => format!("made by a simulated camera, seed {seed}"),
        }
    }

    /// The large picture, cut to a multiple of the scale, and the small one.
    pub fn read(&self, index: usize) -> anyhow::Result<(Picture, Picture)> {
        let file = &self.large[index];
        let mut reader = PictureReader::new(None);
        let mut original = Picture::default();
        reader.read(file, &mut original)?;
        let original = cut_to_multiple(&original, self.scale).with_context(|| file.display().to_string())?;
        let (width, height) = (original.width() / self.scale, original.height() / self.scale);
        let mut small = Picture::default();
        match &self.small {
            SmallPictures::Files(_, files) => {
                reader.read(&files[index], &mut small)?;
                anyhow::ensure!(
                    (small.width(), small.height()) == (width, height),
                    "{}: {}x{}, but {} reduced by {} is {width}x{height}",
                    files[index].display(),
                    small.width(),
                    small.height(),
                    file.display(),
                    self.scale
                );
            }
            SmallPictures::Bicubic => {
                let size = (original.width(), original.height());
                Resizer::new(Filter::Bicubic, original.layout(), size, (width, height))?.run(&original, &mut small)?;
            }
            SmallPictures::Camera { seed } => small = simulate_camera(&original, self.scale, *seed, index as u32)?,
        }
        Ok((original, small))
    }
}

/// The small pictures in the order of the large ones: by their names, where each has its own large one; otherwise as they are, which is
/// reported where the names say something else.
fn in_order_of(large: &[PathBuf], small: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut by_name: HashMap<String, PathBuf> = small.iter().map(|file| (plain_name(file), file.clone())).collect();
    let found: Option<Vec<PathBuf>> = large.iter().map(|file| by_name.remove(&plain_name(file))).collect();
    match found {
        Some(found) if by_name.is_empty() => found,
        _ => {
            log::warn!(
                "the names of the small pictures are not those of the large ones: they are paired in order, {} with {}",
                small.first().map_or(String::new(), |file| file.display().to_string()),
                large.first().map_or(String::new(), |file| file.display().to_string())
            );
            small
        }
    }
}

/// A picture's name without what benchmark sets add for the scale and the size (`0801x4`, `img_001_SRF_4_LR`), and without zeros before a
/// number.
fn plain_name(file: &Path) -> String {
    let mut name = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    for end in ["_lr", "_hr", "-lr", "-hr", "lr", "hr"] {
        name = name.strip_suffix(end).map_or(name.clone(), String::from);
    }
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let scaled = ["_srf_", "_x", "-x", "x"].iter().find_map(|mark| bare.strip_suffix(mark));
    let plain = scaled.filter(|_| bare.len() < name.len()).unwrap_or(&name);
    plain.trim_start_matches('0').to_string()
}

/// Crops right and bottom so that both sides are multiples of `scale`, as in the literature.
fn cut_to_multiple(picture: &Picture, scale: usize) -> anyhow::Result<Picture> {
    let (width, height) = (picture.width() / scale * scale, picture.height() / scale * scale);
    anyhow::ensure!(width > 2 * scale && height > 2 * scale, "too small to be evaluated");
    let mut cut = Picture::default();
    picture.crop_into(Rect { x: 0, y: 0, width, height }, &mut cut);
    Ok(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_paired_by_their_names() {
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        for (large, small, expected) in [
            (
                ["1.png", "10.png", "2.png"],
                ["001x3.png", "002x3.png", "010x3.png"],
                ["001x3.png", "010x3.png", "002x3.png"],
            ),
            (
                ["img_001_SRF_4_HR.png", "img_002_SRF_4_HR.png", "z.png"],
                ["img_001_SRF_4_LR.png", "img_002_SRF_4_LR.png", "z.png"],
                ["img_001_SRF_4_LR.png", "img_002_SRF_4_LR.png", "z.png"],
            ),
            // Not by name: as they are.
            (["a.png", "b.png", "c.png"], ["1.png", "2.png", "3.png"], ["1.png", "2.png", "3.png"]),
        ] {
            assert_eq!(in_order_of(&paths(&large), paths(&small)), paths(&expected));
        }
    }
}
