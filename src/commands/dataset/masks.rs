//! Masks: pictures that mark where other pictures have their defects.

use crate::commands::{MAX_PICTURE_BYTES, MAX_PIXELS};
use crate::files;
use anyhow::Context;
use lineside_picture::image::{self, DynamicImage, ImageDecoder, ImageReader, Limits};
use lineside_picture::{Layout, Picture, PictureError, decode_file};
use std::io::Cursor;
use std::path::{Path, PathBuf};

/// A mask of so few levels besides 0 is made of numbers (of defects, of kinds), not of shades.
const NUMBERS: usize = 4;

/// Reads the masks of a picture of `size` (width, height): marked is what one of them marks. `mask` becomes grey, `[H, W]`: 255 where
/// it is marked, 0 elsewhere.
///
/// # Errors
/// Where a mask cannot be read or has another size than the picture; the error names the file.
pub fn read(masks: &[PathBuf], size: (usize, usize), mask: &mut Picture) -> anyhow::Result<()> {
    let (width, height) = size;
    mask.reshape(Layout::Grey, width, height);
    mask.data_mut().fill(0);
    for path in masks {
        let levels = Levels::read(path).with_context(|| path.display().to_string())?;
        let (actual_width, actual_height) = levels.size;
        if size != levels.size {
            let error = PictureError::SizeMismatch { what: "mask", width, height, actual_width, actual_height };
            return Err(error).with_context(|| path.display().to_string());
        }
        let threshold = levels.threshold();
        for (mark, level) in mask.data_mut().iter_mut().zip(levels.values) {
            *mark |= if level > threshold { 255 } else { 0 };
        }
    }
    Ok(())
}

/// Whether a mask marks anything.
///
/// # Errors
/// Where it cannot be read; the error names the file.
pub fn marks_something(path: &Path) -> anyhow::Result<bool> {
    let levels = Levels::read(path).with_context(|| path.display().to_string())?;
    let threshold = levels.threshold();
    Ok(levels.values.iter().any(|level| *level > threshold))
}

/// Whether a file is a mask by what it holds: 0, and few other levels.
pub fn is_mask(path: &Path) -> bool {
    Levels::read(path).is_ok_and(|levels| {
        let mut seen = levels.values;
        seen.sort_unstable();
        seen.dedup();
        !levels.is_lossy && seen.first() == Some(&0) && seen.len() <= 1 + NUMBERS
    })
}

/// The levels of a mask: of each pixel the greatest of its channels, in 16 bits as the file has them, otherwise in 8.
struct Levels {
    size: (usize, usize),
    values: Vec<u16>,
    /// The greatest level that there can be.
    full: u16,
    /// Whether coding has changed levels.
    is_lossy: bool,
}

impl Levels {
    fn read(path: &Path) -> anyhow::Result<Levels> {
        let bytes = files::read(path, MAX_PICTURE_BYTES)?;
        if let Some(levels) = Levels::of_png(&bytes)? {
            return Ok(levels);
        }
        let mut picture = Picture::default();
        decode_file(&bytes, MAX_PIXELS, &mut picture)?;
        let greatest = |pixel: &[u8]| pixel.iter().copied().max().unwrap_or(0).into();
        Ok(Levels {
            size: (picture.width(), picture.height()),
            values: picture.data().chunks_exact(picture.channels()).map(greatest).collect(),
            full: 255,
            is_lossy: bytes.starts_with(b"\xFF\xD8"),
        })
    }

    /// Of a PNG: numbers of 16 bits would be rounded to 0 in 8, and what is transparent is not marked.
    fn of_png(bytes: &[u8]) -> anyhow::Result<Option<Levels>> {
        if image::guess_format(bytes).ok() != Some(image::ImageFormat::Png) {
            return Ok(None);
        }
        let mut reader = ImageReader::with_format(Cursor::new(bytes), image::ImageFormat::Png);
        let mut limits = Limits::default();
        limits.max_alloc = Some(8 * MAX_PIXELS as u64);
        reader.limits(limits);
        // As the picture that it belongs to: upright.
        let mut decoder = reader.into_decoder()?;
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        let size = (image.width() as usize, image.height() as usize);
        let is_deep = matches!(
            image,
            DynamicImage::ImageLuma16(_)
                | DynamicImage::ImageLumaA16(_)
                | DynamicImage::ImageRgb16(_)
                | DynamicImage::ImageRgba16(_)
        );
        let (values, full) = if is_deep {
            let level = |pixel: &[u16]| if pixel[3] == 0 { 0 } else { pixel[..3].iter().copied().max().unwrap_or(0) };
            (image.into_rgba16().as_raw().chunks_exact(4).map(level).collect(), u16::MAX)
        } else {
            let level =
                |pixel: &[u8]| if pixel[3] == 0 { 0 } else { pixel[..3].iter().copied().max().unwrap_or(0).into() };
            (image.into_rgba8().as_raw().chunks_exact(4).map(level).collect(), 255)
        };
        Ok(Some(Levels { size, values, full, is_lossy: false }))
    }

    /// Above which level a pixel is marked: half of the greatest where there are shades, as edges and lossy coding make them; 0 where
    /// levels are numbers.
    fn threshold(&self) -> u16 {
        let half = self.full / 2;
        if self.is_lossy {
            return half;
        }
        let mut seen: Vec<u16> = Vec::new();
        let mut greatest = 0;
        for level in self.values.iter().copied().filter(|level| *level > 0) {
            greatest = greatest.max(level);
            if seen.len() <= NUMBERS && !seen.contains(&level) {
                seen.push(level);
            }
        }
        if seen.len() <= NUMBERS || greatest <= half { 0 } else { half }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lineside_picture::image::{GrayImage, ImageBuffer, Luma, Rgb, RgbImage, Rgba, RgbaImage};

    fn marks(image: DynamicImage, name: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        image.save(&path).unwrap();
        let mut mask = Picture::default();
        read(std::slice::from_ref(&path), (image.width() as usize, image.height() as usize), &mut mask).unwrap();
        assert_eq!(marks_something(&path).unwrap(), mask.data().contains(&255));
        mask.data().iter().map(|mark| mark / 255).collect()
    }

    fn grey(levels: &[u8]) -> DynamicImage {
        GrayImage::from_fn(levels.len() as u32, 1, |x, _| Luma([levels[x as usize]])).into()
    }

    #[test]
    fn numbers_count_above_0_and_shades_above_the_middle() {
        assert_eq!(marks(grey(&[0, 1, 1, 0]), "a.png"), [0, 1, 1, 0]);
        assert_eq!(marks(grey(&[0, 1, 2, 7]), "a.png"), [0, 1, 1, 1]);
        assert_eq!(marks(grey(&[0, 255, 85, 170]), "a.bmp"), [0, 1, 1, 1]);
        assert_eq!(marks(grey(&[0, 20, 30, 40, 50, 60, 9, 0]), "a.png"), [0, 1, 1, 1, 1, 1, 1, 0]);
        assert_eq!(marks(grey(&[0, 3, 60, 127, 128, 200, 250, 255]), "a.png"), [0, 0, 0, 0, 1, 1, 1, 1]);
        assert_eq!(marks(grey(&[0; 4]), "a.png"), [0; 4]);
    }

    #[test]
    fn numbers_of_16_bits_and_colours_of_a_palette_are_marks() {
        let deep = ImageBuffer::from_fn(4, 1, |x, _| Luma([[0_u16, 1, 2, 300][x as usize]]));
        assert_eq!(marks(DynamicImage::ImageLuma16(deep), "a.png"), [0, 1, 1, 1]);
        let colours = [[0, 0, 0], [0, 128, 0], [0, 0, 192], [0, 0, 0]];
        assert_eq!(marks(RgbImage::from_fn(4, 1, |x, _| Rgb(colours[x as usize])).into(), "a.png"), [0, 1, 1, 0]);
        let clear = [[255, 255, 255, 0], [255, 255, 255, 255]];
        assert_eq!(marks(RgbaImage::from_fn(2, 1, |x, _| Rgba(clear[x as usize])).into(), "a.png"), [0, 1]);
    }

    #[test]
    fn a_mask_is_turned_as_it_states() {
        use lineside_picture::image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
        // A quarter turn clockwise.
        let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let mut png = Vec::new();
        let mut encoder = PngEncoder::new(&mut png);
        encoder.set_exif_metadata(exif).unwrap();
        encoder.write_image(&[255, 0, 0], 3, 1, ExtendedColorType::L8).unwrap();
        std::fs::write(&path, png).unwrap();
        let mut mask = Picture::default();
        read(std::slice::from_ref(&path), (1, 3), &mut mask).unwrap();
        assert_eq!(mask.data(), [255, 0, 0]);
        assert!(read(&[path], (3, 1), &mut mask).is_err());
    }

    #[test]
    fn several_masks_are_one_and_errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, none] = ["a.png", "b.png", "none.png"].map(|name| folder.path().join(name));
        grey(&[255, 0, 0]).save(&a).unwrap();
        grey(&[0, 0, 1]).save(&b).unwrap();
        let mut mask = Picture::default();
        read(&[a.clone(), b], (3, 1), &mut mask).unwrap();
        assert_eq!(mask.data(), [255, 0, 255]);
        let other = format!("{:#}", read(&[a], (3, 2), &mut mask).unwrap_err());
        assert!(other.contains("a.png: mask is 3x1, expected 3x2"), "{other}");
        let missing = format!("{:#}", read(&[none], (3, 1), &mut mask).unwrap_err());
        assert!(missing.contains("none.png: No such file"), "{missing}");
    }
}
