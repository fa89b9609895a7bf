//! Whole pictures of the formats that people and cameras have beside JPEG, through the crates `png`, `image` and `tiff`.
//!
//! JPEG is not among them: `image` would switch on the SIMD of its decoder, whose bytes differ from CPU to CPU
//! (see `jpeg/mod.rs`). For the same reason TIFF goes to the crate `tiff` without JPEG inside it.

use super::PictureError;
use super::depth::{DecodeOptions, StatedRange};
use super::guard::guarded;
use super::metadata::{Density, Metadata};
use super::orientation::from_exif;
use super::picture::{Layout, Picture, RowLayout, check_size};
use super::whole::{Samples, WholePicture};
use super::{png, text_mode, tiff, tiff_directory, webp_frames};
use image::codecs::{bmp::BmpDecoder, pnm::PnmDecoder, webp::WebPDecoder};
use image::{DynamicImage, ImageDecoder, ImageError};
use std::error::Error;
use std::io::Cursor;

/// A format that is decoded whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WholeFormat {
    Png,
    Bmp,
    Tiff,
    WebP,
    Pnm,
}

impl WholeFormat {
    /// The format of a file, by how it begins.
    pub fn of(start: &[u8]) -> Option<WholeFormat> {
        let is_webp = start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP");
        let is_pnm = matches!(start, [b'P', b'1'..=b'7', space, ..] if space.is_ascii_whitespace() || *space == b'#');
        match start {
            _ if start.starts_with(b"\x89PNG\r\n\x1A\n") => Some(WholeFormat::Png),
            _ if start.starts_with(b"BM") => Some(WholeFormat::Bmp),
            _ if tiff_directory::is_tiff(start) => Some(WholeFormat::Tiff),
            _ if is_webp => Some(WholeFormat::WebP),
            _ if is_pnm => Some(WholeFormat::Pnm),
            _ => None,
        }
    }

    /// As messages call it.
    pub fn name(self) -> &'static str {
        match self {
            WholeFormat::Png => "PNG",
            WholeFormat::Bmp => "BMP",
            WholeFormat::Tiff => "TIFF",
            WholeFormat::WebP => "WebP",
            WholeFormat::Pnm => "PNM",
        }
    }

    /// Decodes a file of at most `limit` pixels and turns it upright; the size is checked before memory is taken for pixels.
    /// 16 bits are rounded to 8. Of an animation or a multi-page file the first picture is taken.
    pub fn decode(self, file: &[u8], limit: usize, options: DecodeOptions) -> Result<WholePicture, PictureError> {
        // These decoders read files from anywhere.
        let decoded = guarded(|| match self {
            WholeFormat::Png => png::whole(file, limit, options),
            WholeFormat::Bmp => {
                let mut picture = self.through_image(BmpDecoder::new(Cursor::new(file)), limit, options)?;
                picture.metadata.density = bmp_density(file);
                Ok(picture)
            }
            WholeFormat::WebP if webp_frames::largest_frame(file) > limit => {
                Err(self.broken("a frame is larger than the picture may be"))
            }
            WholeFormat::WebP => {
                let mut picture = self.through_image(WebPDecoder::new(Cursor::new(file)), limit, options)?;
                picture.metadata.has_more_pictures = webp_frames::count(file) > 1;
                Ok(picture)
            }
            WholeFormat::Pnm => self.pnm(file, limit, options),
            WholeFormat::Tiff => tiff::whole(file, limit, options),
        });
        let decoded = decoded.unwrap_or_else(|| Err(self.broken("its data contradicts its header")));
        // A BMP has no checksum: what a transfer changed decodes to noise, and the file is longer than its header states.
        let stated = file.get(2..6).and_then(|size| size.first_chunk()).map_or(0, |size| u32::from_le_bytes(*size));
        let is_longer = self == WholeFormat::Bmp && file.len() as u64 > stated.into();
        if (decoded.is_err() || is_longer)
            && let Some(reason) = text_mode::changed(file)
        {
            return Err(self.broken(reason));
        }
        Ok(decoded?.upright())
    }

    fn through_image<D: ImageDecoder>(
        self,
        decoder: Result<D, ImageError>,
        limit: usize,
        options: DecodeOptions,
    ) -> Result<WholePicture, PictureError> {
        let failed = |error| self.failed(error);
        let mut decoder = decoder.map_err(failed)?;
        let (width, height) = decoder.dimensions();
        check_size(width as usize, height as usize, limit)?;
        // A profile or a block that cannot be read costs the picture nothing.
        let metadata = Metadata {
            orientation: decoder.exif_metadata().ok().flatten().map_or_else(no_transforms, |exif| from_exif(&exif)),
            icc_profile: decoder.icc_profile().ok().flatten(),
            density: None,
            has_more_pictures: false,
        };
        let (row, samples) = samples_of(DynamicImage::from_decoder(decoder).map_err(failed)?).ok_or(FLOATS)?;
        WholePicture::new(row, (width as usize, height as usize), samples, options, metadata)
    }

    /// `image` brings samples to the whole range of 8 or 16 bits, by which of them the header states to be white.
    fn pnm(self, file: &[u8], limit: usize, options: DecodeOptions) -> Result<WholePicture, PictureError> {
        let failed = |error| self.failed(error);
        let mut read = Cursor::new(file);
        let decoder = PnmDecoder::new(&mut read).map_err(failed)?;
        let white = decoder.header().maximal_sample();
        if white > 255 && decoder.header().as_arbitrary().is_some_and(|header| header.tupltype.is_none()) {
            return Err(PictureError::Unsupported("PAM of 16 bits without a TUPLTYPE: give its header one"));
        }
        let (width, height) = decoder.dimensions();
        check_size(width as usize, height as usize, limit)?;
        let (row, mut samples) = samples_of(DynamicImage::from_decoder(decoder).map_err(failed)?).ok_or(FLOATS)?;
        if let Samples::Sixteen(_, stated) = &mut samples
            && white < 65_535
        {
            *stated = StatedRange::Whole;
        }
        // Several pictures may follow each other in a file.
        let rest = file.get(read.position() as usize..).unwrap_or_default();
        let is_binary = matches!(file, [_, b'4'..=b'7', ..]);
        if let Some(reason) = text_mode::changed(file).filter(|_| is_binary && !rest.is_empty()) {
            return Err(self.broken(reason));
        }
        let rest = rest.trim_ascii_start();
        let has_more_pictures = WholeFormat::of(rest) == Some(WholeFormat::Pnm);
        let metadata = Metadata { has_more_pictures, ..Metadata::default() };
        WholePicture::new(row, (width as usize, height as usize), samples, options, metadata)
    }

    fn failed(self, error: ImageError) -> PictureError {
        match error {
            ImageError::Unsupported(error) => {
                PictureError::UnsupportedCoding { kind: self.name(), reason: error.to_string() }
            }
            // The decoder's own words, without the crate's "format error decoding …" in front.
            error => match error.source() {
                Some(reason) => self.broken(reason),
                None => self.broken(error),
            },
        }
    }

    fn broken(self, reason: impl ToString) -> PictureError {
        PictureError::Broken { kind: self.name(), reason: reason.to_string() }
    }
}

const FLOATS: PictureError = PictureError::Unsupported("has samples in floats: save it with 8 or 16 bits");

fn no_transforms() -> image::metadata::Orientation {
    image::metadata::Orientation::NoTransforms
}

/// Pixels for each metre: BITMAPINFOHEADER, bytes 24 to 31.
fn bmp_density(file: &[u8]) -> Option<Density> {
    let number = |at: usize| Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?));
    let (x, y) = (number(38)?, number(42)?);
    if number(14)? < 40 {
        return None;
    }
    Density::per_centimetre(f64::from(x) / 100.0, f64::from(y) / 100.0)
}

/// The samples of a picture of the crate `image`; `None` where they are floats.
fn samples_of(image: DynamicImage) -> Option<(RowLayout, Samples)> {
    let sixteen = |samples| Samples::Sixteen(samples, StatedRange::None);
    let (layout, alpha, samples) = match image {
        DynamicImage::ImageLuma8(image) => (Layout::Grey, false, Samples::Eight(image.into_raw())),
        DynamicImage::ImageLumaA8(image) => (Layout::Grey, true, Samples::Eight(image.into_raw())),
        DynamicImage::ImageRgb8(image) => (Layout::Rgb, false, Samples::Eight(image.into_raw())),
        DynamicImage::ImageRgba8(image) => (Layout::Rgb, true, Samples::Eight(image.into_raw())),
        DynamicImage::ImageLuma16(image) => (Layout::Grey, false, sixteen(image.into_raw())),
        DynamicImage::ImageLumaA16(image) => (Layout::Grey, true, sixteen(image.into_raw())),
        DynamicImage::ImageRgb16(image) => (Layout::Rgb, false, sixteen(image.into_raw())),
        DynamicImage::ImageRgba16(image) => (Layout::Rgb, true, sixteen(image.into_raw())),
        _ => return None,
    };
    Some((RowLayout { layout, alpha }, samples))
}

/// A picture of the crate `image`, with the same pixels.
impl From<Picture> for DynamicImage {
    fn from(picture: Picture) -> DynamicImage {
        let (width, height, layout) = (picture.width() as u32, picture.height() as u32, picture.layout());
        let bytes = picture.into_data();
        // The length fits by the type's own rule, so neither is ever absent.
        match layout {
            Layout::Grey => image::GrayImage::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8),
            Layout::Rgb => image::RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8),
        }
        .unwrap_or_default()
    }
}

/// A picture of the crate `image`: 16 bits are rounded to 8, an opaque alpha channel is dropped.
impl TryFrom<DynamicImage> for Picture {
    type Error = PictureError;

    fn try_from(image: DynamicImage) -> Result<Picture, PictureError> {
        let size = (image.width() as usize, image.height() as usize);
        let (row, samples) = samples_of(image).ok_or(FLOATS)?;
        WholePicture::new(row, size, samples, DecodeOptions::default(), Metadata::default())?.opaque()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode_file;
    use crate::testing::synthetic;
    use ::tiff::encoder::{TiffEncoder, colortype};
    use image::{ExtendedColorType, ImageEncoder, ImageFormat};

    fn decode(file: &[u8]) -> Result<Picture, PictureError> {
        let mut out = Picture::default();
        decode_file(file, 1 << 20, &mut out).map(|()| out)
    }

    fn encode(format: ImageFormat, image: &DynamicImage) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        image.write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    #[test]
    fn what_image_writes_without_loss_is_read_back() {
        for layout in [Layout::Grey, Layout::Rgb] {
            let picture = synthetic(layout, 37, 23);
            for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Pnm] {
                let read = decode(&encode(format, &picture.clone().into())).unwrap();
                let mut expected = Picture::default();
                match (format, layout) {
                    // WebP has no grey.
                    (ImageFormat::WebP, Layout::Grey) => crate::rgb_into(&picture, &mut expected),
                    _ => expected.copy_from(&picture),
                }
                // A grey BMP has a palette and comes as colours.
                if read.layout() != expected.layout() {
                    crate::rgb_into(&picture, &mut expected);
                }
                assert_eq!(read, expected, "{format:?} {layout:?}");
            }
        }
    }

    #[test]
    fn tiff_is_read_in_grey_and_colour_of_8_and_16_bits() {
        let (grey, rgb) = (synthetic(Layout::Grey, 13, 7), synthetic(Layout::Rgb, 13, 7));
        let mut file = Cursor::new(Vec::new());
        TiffEncoder::new(&mut file).unwrap().write_image::<colortype::Gray8>(13, 7, grey.data()).unwrap();
        assert_eq!(decode(file.get_ref()).unwrap(), grey);
        let mut file = Cursor::new(Vec::new());
        TiffEncoder::new(&mut file).unwrap().write_image::<colortype::RGB8>(13, 7, rgb.data()).unwrap();
        assert_eq!(decode(file.get_ref()).unwrap(), rgb);
        let deep: Vec<u16> = grey.data().iter().map(|&byte| u16::from(byte) * 257).collect();
        let mut file = Cursor::new(Vec::new());
        TiffEncoder::new(&mut file).unwrap().write_image::<colortype::Gray16>(13, 7, &deep).unwrap();
        assert_eq!(decode(file.get_ref()).unwrap(), grey);
        for length in 0..file.get_ref().len() {
            // A cut file is an error or, where only its tags' end is missing, whole.
            if let Ok(read) = decode(&file.get_ref()[..length]) {
                assert_eq!(read, grey);
            }
        }
    }

    #[test]
    fn a_png_is_refused_whole_where_its_rows_are() {
        let mut png = Vec::new();
        crate::write_png(&mut png, &synthetic(Layout::Rgb, 20, 10)).unwrap();
        assert!(decode(&png).is_ok());
        // Found by fuzzing: all pixels are there, and what follows them is damaged or missing.
        let end = png.len() - 12;
        assert!(decode(&png[..end]).is_err(), "no end");
        assert!(
            decode(&[&png[..end], b"\0\0\0\x04IDAT\0\0\0\0\0\0\0\0", &png[end..]].concat()).is_err(),
            "a wrong sum"
        );
    }

    #[test]
    fn transparency_is_refused_and_an_opaque_alpha_channel_dropped() {
        let png = |alpha: u8| {
            let mut file = Vec::new();
            image::codecs::png::PngEncoder::new(&mut file)
                .write_image(&[1, 2, 3, 255, 4, 5, 6, alpha], 2, 1, ExtendedColorType::Rgba8)
                .unwrap();
            file
        };
        assert_eq!(decode(&png(255)).unwrap().data(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(decode(&png(254)).unwrap_err().to_string(), "has transparency: flatten it first");
    }

    #[test]
    fn the_size_is_checked_before_pixels_are_decoded() {
        let bmp = encode(ImageFormat::Bmp, &synthetic(Layout::Rgb, 40, 30).into());
        let message = decode_file(&bmp, 1199, &mut Picture::default()).unwrap_err().to_string();
        assert_eq!(message, "picture is 40x30, more than the limit of 1199 pixels: shrink it or raise the limit");
        let pnm = b"P5 65535 65535 255\n";
        assert!(matches!(decode(pnm), Err(PictureError::TooLarge { .. })));
    }

    #[test]
    fn pictures_convert_to_those_of_image_and_back() {
        for layout in [Layout::Grey, Layout::Rgb] {
            let picture = synthetic(layout, 9, 5);
            let image = DynamicImage::from(picture.clone());
            assert_eq!((image.width(), image.height()), (9, 5));
            assert_eq!(Picture::try_from(image).unwrap(), picture);
        }
        assert!(Picture::try_from(DynamicImage::new_rgb32f(2, 2)).is_err());
        assert!(Picture::try_from(DynamicImage::new_rgba8(2, 2)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn damaged_files_never_panic(
            which in 0..5_usize,
            damage in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<u8>()), 1..6),
        ) {
            let picture = synthetic(Layout::Rgb, 20, 10);
            let mut file = match which {
                0 => encode(ImageFormat::Png, &picture.into()),
                1 => encode(ImageFormat::Bmp, &picture.into()),
                2 => encode(ImageFormat::WebP, &picture.into()),
                3 => encode(ImageFormat::Pnm, &picture.into()),
                _ => {
                    let mut file = Cursor::new(Vec::new());
                    TiffEncoder::new(&mut file).unwrap().write_image::<colortype::RGB8>(20, 10, picture.data()).unwrap();
                    file.into_inner()
                }
            };
            for (at, byte) in damage {
                let at = at.index(file.len());
                file[at] = byte;
            }
            let _ = decode(&file);
        }
    }
}
