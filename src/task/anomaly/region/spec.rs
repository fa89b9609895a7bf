//! A region as it is drawn: shapes, and a mask of what is ignored.

use super::shape::RegionShape;
use crate::files;
use lineside_picture::{Layout, Picture, PictureError, decode_file, luma_into, max_file_bytes, write_png};
use std::path::Path;

/// The most pixels of a mask.
const MAX_PIXELS: usize = 64_000_000;

/// What is wrong with a region.
#[derive(Debug, thiserror::Error)]
pub enum RegionError {
    /// It does not fit the frames, or leaves too little of them.
    #[error("{0}")]
    Misfit(String),
    /// The file of its mask cannot be used.
    #[error("{file}: {problem}")]
    Mask {
        /// The file.
        file: String,
        /// Why not.
        problem: String,
    },
}

/// A region as it is drawn. Inspected is what lies in one of the shapes, or all where there is none, but for what is ignored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RegionSpec {
    /// The shapes.
    pub shapes: Vec<RegionShape>,
    /// Grey, of the frame's size: 255 where pixels are ignored, 0 elsewhere.
    pub ignored: Option<Picture>,
}

impl RegionSpec {
    /// These shapes, and the mask in the file `ignore`: what is white in it (over 127) is ignored.
    ///
    /// # Errors
    /// [`RegionError::Mask`] where the file is no picture, or nothing in it is white.
    pub fn read(shapes: Vec<RegionShape>, ignore: Option<&Path>) -> Result<RegionSpec, RegionError> {
        let read = |path: &Path| {
            let blamed = |problem: String| RegionError::Mask { file: path.display().to_string(), problem };
            let bytes = files::read(path, max_file_bytes(MAX_PIXELS)).map_err(|e| blamed(e.to_string()))?;
            let mask = mask_of(&bytes, MAX_PIXELS).map_err(|e| blamed(e.to_string()))?;
            match mask.data().contains(&255) {
                true => Ok(mask),
                false => Err(blamed("nothing in it is white, so nothing is ignored: paint white what is to be".into())),
            }
        };
        Ok(RegionSpec { shapes, ignored: ignore.map(read).transpose()? })
    }

    /// The mask as a PNG, where there is one.
    ///
    /// # Errors
    /// [`PictureError`] where it has a size that PNG does not have.
    pub fn ignored_png(&self) -> Result<Option<Vec<u8>>, PictureError> {
        let png = |mask: &Picture| {
            let mut png = Vec::new();
            write_png(&mut png, mask).map(|()| png)
        };
        self.ignored.as_ref().map(png).transpose()
    }
}

/// Decodes a mask of at most `limit` pixels: 255 where it is white (over 127), 0 elsewhere.
///
/// # Errors
/// [`PictureError`] where it is no picture.
pub(super) fn mask_of(file: &[u8], limit: usize) -> Result<Picture, PictureError> {
    let (mut picture, mut mask) = (Picture::default(), Picture::default());
    decode_file(file, limit, &mut picture)?;
    luma_into(&picture, &mut mask);
    debug_assert_eq!(mask.layout(), Layout::Grey);
    mask.data_mut().iter_mut().for_each(|byte| *byte = if *byte > 127 { 255 } else { 0 });
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_is_ignored_and_a_mask_is_written_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.png");
        for layout in [Layout::Grey, Layout::Rgb] {
            let mut picture = Picture::new(layout, 4, 1);
            for (pixel, level) in picture.data_mut().chunks_exact_mut(layout.channels()).zip([0, 127, 128, 255]) {
                pixel.fill(level);
            }
            write_png(std::fs::File::create(&path).unwrap(), &picture).unwrap();
            let spec = RegionSpec::read(Vec::new(), Some(&path)).unwrap();
            assert_eq!(spec.ignored.as_ref().unwrap().data(), [0, 0, 255, 255]);
            assert_eq!(mask_of(&spec.ignored_png().unwrap().unwrap(), 4).unwrap(), spec.ignored.unwrap());
        }
        assert_eq!(RegionSpec::read(Vec::new(), None).unwrap().ignored_png().unwrap(), None);
    }

    #[test]
    fn a_mask_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refusal =
            |name: &str| RegionSpec::read(Vec::new(), Some(&folder.path().join(name))).unwrap_err().to_string();
        std::fs::write(folder.path().join("letter.png"), "dear").unwrap();
        write_png(std::fs::File::create(folder.path().join("black.png")).unwrap(), &Picture::new(Layout::Grey, 9, 9))
            .unwrap();
        assert!(refusal("none.png").contains("none.png: No such file"));
        assert!(refusal("letter.png").contains("letter.png: not a PNG"));
        assert!(refusal("black.png").contains("black.png: nothing in it is white"));
    }
}
