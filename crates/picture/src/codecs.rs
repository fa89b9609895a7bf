//! Whole pictures of the formats that people and cameras have beside JPEG, through the crates `png`, `image` and `tiff`.
//!
//! JPEG is not among them: `image` would switch on the SIMD of its decoder, whose bytes differ from CPU to CPU
//! (see `jpeg/mod.rs`). For the same reason TIFF goes to the crate `tiff` without JPEG inside it.

use super::PictureError;
use super::guard::guarded;
use super::picture::{Layout, Picture, RowLayout, check_size};
use super::png;
use super::{tiff_directory, webp_frames};
use ::png::BitDepth;
use image::codecs::{bmp::BmpDecoder, pnm::PnmDecoder, webp::WebPDecoder};
use image::{DynamicImage, ImageDecoder, ImageError};
use std::error::Error;
use std::io::Cursor;
use tiff::ColorType;
use tiff::decoder::{Decoder as TiffDecoder, DecodingResult, Limits};
use tiff::tags::Tag;

/// A format that is decoded whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WholeFormat {
    Png,
    Bmp,
    Tiff,
    WebP,
    Pnm,
}

/// A decoded picture, with opacity where the file has it.
pub(super) struct WholePicture {
    pub row: RowLayout,
    pub width: usize,
    pub height: usize,
    /// `[height, width, channels]`.
    pub bytes: Vec<u8>,
    /// Whether the file has more than 8 bits a channel, which were rounded.
    pub deep: bool,
}

impl WholeFormat {
    /// The format of a file, by how it begins.
    pub fn of(start: &[u8]) -> Option<WholeFormat> {
        let is_webp = start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP");
        let is_pnm = matches!(start, [b'P', b'1'..=b'7', space, ..] if space.is_ascii_whitespace() || *space == b'#');
        match start {
            _ if start.starts_with(b"\x89PNG\r\n\x1A\n") => Some(WholeFormat::Png),
            _ if start.starts_with(b"BM") => Some(WholeFormat::Bmp),
            _ if start.starts_with(b"II*\0") || start.starts_with(b"MM\0*") => Some(WholeFormat::Tiff),
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

    /// Decodes a file of at most `limit` pixels; the size is checked before memory is taken for pixels. 16 bits are
    /// rounded to 8. Of an animation or a multi-page file the first picture is taken.
    pub fn decode(self, file: &[u8], limit: usize) -> Result<WholePicture, PictureError> {
        // These decoders read files from anywhere.
        let decoded = guarded(|| match self {
            WholeFormat::Png => self.png(file, limit),
            WholeFormat::Bmp => self.through_image(BmpDecoder::new(Cursor::new(file)), limit),
            WholeFormat::WebP if webp_frames::largest_frame(file) > limit => {
                Err(self.broken("a frame is larger than the picture may be"))
            }
            WholeFormat::WebP => self.through_image(WebPDecoder::new(Cursor::new(file)), limit),
            WholeFormat::Pnm => self.through_image(PnmDecoder::new(Cursor::new(file)), limit),
            WholeFormat::Tiff => self.tiff(file, limit),
        });
        decoded.unwrap_or_else(|| Err(self.broken("its data contradicts its header")))
    }

    fn through_image<D: ImageDecoder>(
        self,
        decoder: Result<D, ImageError>,
        limit: usize,
    ) -> Result<WholePicture, PictureError> {
        let failed = |error: ImageError| match error {
            ImageError::Unsupported(error) => self.broken(error),
            // The decoder's own words, without the crate's "format error decoding …" in front.
            error => match error.source() {
                Some(reason) => self.broken(reason),
                None => self.broken(error),
            },
        };
        let decoder = decoder.map_err(failed)?;
        let (width, height) = decoder.dimensions();
        check_size(width as usize, height as usize, limit)?;
        WholePicture::of(DynamicImage::from_decoder(decoder).map_err(failed)?)
            .ok_or(PictureError::Unsupported("has samples in floats: save it with 8 or 16 bits"))
    }

    /// With the checks of [`RowReader`](super::RowReader), so that both accept the same files.
    fn png(self, file: &[u8], limit: usize) -> Result<WholePicture, PictureError> {
        let (mut reader, width, height) = png::open(Cursor::new(file), limit)?;
        let (colour, depth) = reader.output_color_type();
        let (row, deep) = (png::row_layout_of(colour), depth == BitDepth::Sixteen);
        let samples = width * height * row.channels();
        let mut bytes = vec![0; if deep { 2 * samples } else { samples }];
        let frame = reader.next_frame(&mut bytes).map_err(png::broken)?;
        if (frame.width as usize, frame.height as usize) != (width, height) {
            return Err(self.broken("its first frame has another size than its header states"));
        }
        reader.finish().map_err(png::broken)?;
        if deep {
            for i in 0..samples {
                bytes[i] = round_to_8_bits(u16::from_be_bytes([bytes[2 * i], bytes[2 * i + 1]]));
            }
            bytes.truncate(samples);
        }
        Ok(WholePicture { row, width, height, bytes, deep })
    }

    fn tiff(self, file: &[u8], limit: usize) -> Result<WholePicture, PictureError> {
        let failed = |error: tiff::TiffError| self.broken(error);
        if !tiff_directory::fits(file) {
            return Err(self.broken("a tag has more values than the file has bytes"));
        }
        // Strips may announce more than pixels can take: four channels of 16 bits.
        let most = limit.saturating_mul(8).saturating_add(1 << 20);
        let mut limits = Limits::default();
        limits.decoding_buffer_size = limits.decoding_buffer_size.min(most);
        limits.intermediate_buffer_size = limits.intermediate_buffer_size.min(most);
        let mut decoder = TiffDecoder::new(Cursor::new(file)).map_err(failed)?.with_limits(limits);
        let (width, height) = decoder.dimensions().map_err(failed)?;
        let (width, height) = (width as usize, height as usize);
        check_size(width, height, limit)?;
        const PLANES: u32 = 2;
        if decoder.find_tag_unsigned::<u32>(Tag::PlanarConfiguration).map_err(failed)? == Some(PLANES) {
            return Err(PictureError::Unsupported("TIFF with a plane for each colour: save it interleaved"));
        }
        let (layout, alpha, bits) = match decoder.colortype().map_err(failed)? {
            ColorType::Gray(bits) => (Layout::Grey, false, bits),
            ColorType::GrayA(bits) => (Layout::Grey, true, bits),
            ColorType::RGB(bits) => (Layout::Rgb, false, bits),
            ColorType::RGBA(bits) => (Layout::Rgb, true, bits),
            ColorType::Palette(_) => {
                return Err(PictureError::Unsupported("TIFF with a palette: save it as grey or RGB"));
            }
            _ => return Err(PictureError::Unsupported("TIFF in CMYK, YCbCr, Lab or more: save it as grey or RGB")),
        };
        let row = RowLayout { layout, alpha };
        let bytes = match (decoder.read_image().map_err(failed)?, bits) {
            (DecodingResult::U8(bytes), 8) => bytes,
            (DecodingResult::U8(packed), 1 | 2 | 4) if !alpha && layout == Layout::Grey => {
                unpack(&packed, width, usize::from(bits))
            }
            (DecodingResult::U16(samples), 16) => samples.into_iter().map(round_to_8_bits).collect(),
            _ => return Err(PictureError::Unsupported("TIFF with samples of other than 1, 2, 4, 8 or 16 bits")),
        };
        let expected = width * height * row.channels();
        if bytes.len() != expected {
            return Err(PictureError::BufferLength { what: "TIFF", expected, actual: bytes.len() });
        }
        Ok(WholePicture { row, width, height, bytes, deep: bits == 16 })
    }

    fn broken(self, reason: impl ToString) -> PictureError {
        PictureError::Broken { kind: self.name(), reason: reason.to_string() }
    }
}

impl WholePicture {
    /// Bytes of a picture of the crate `image`; `None` where its samples are floats.
    fn of(image: DynamicImage) -> Option<WholePicture> {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let rounded = |samples: Vec<u16>| -> Vec<u8> { samples.into_iter().map(round_to_8_bits).collect() };
        let (layout, alpha, deep, bytes) = match image {
            DynamicImage::ImageLuma8(image) => (Layout::Grey, false, false, image.into_raw()),
            DynamicImage::ImageLumaA8(image) => (Layout::Grey, true, false, image.into_raw()),
            DynamicImage::ImageRgb8(image) => (Layout::Rgb, false, false, image.into_raw()),
            DynamicImage::ImageRgba8(image) => (Layout::Rgb, true, false, image.into_raw()),
            DynamicImage::ImageLuma16(image) => (Layout::Grey, false, true, rounded(image.into_raw())),
            DynamicImage::ImageLumaA16(image) => (Layout::Grey, true, true, rounded(image.into_raw())),
            DynamicImage::ImageRgb16(image) => (Layout::Rgb, false, true, rounded(image.into_raw())),
            DynamicImage::ImageRgba16(image) => (Layout::Rgb, true, true, rounded(image.into_raw())),
            _ => return None,
        };
        Some(WholePicture { row: RowLayout { layout, alpha }, width, height, bytes, deep })
    }

    /// The picture without its alpha channel.
    ///
    /// # Errors
    /// [`PictureError::Unsupported`] where a pixel is not opaque.
    pub fn opaque(mut self) -> Result<Picture, PictureError> {
        if self.row.alpha {
            let colours = self.row.layout.channels();
            let pixels = self.bytes.chunks_exact(colours + 1);
            if pixels.clone().any(|pixel| pixel[colours] != 255) {
                return Err(PictureError::Unsupported("has transparency: flatten it first"));
            }
            self.bytes = pixels.flat_map(|pixel| &pixel[..colours]).copied().collect();
        }
        Picture::from_data(self.row.layout, self.width, self.height, self.bytes)
    }
}

/// The nearest of 256 levels.
pub(super) fn round_to_8_bits(value: u16) -> u8 {
    ((u32::from(value) * 255 + 32_767) / 65_535) as u8
}

/// Grey samples of 1, 2 or 4 bits, rows padded to whole bytes, to the full range of a byte.
fn unpack(packed: &[u8], width: usize, bits: usize) -> Vec<u8> {
    let (per_byte, scale) = (8 / bits, 255 / ((1 << bits) - 1));
    let mask = (1_u8 << bits) - 1;
    packed
        .chunks(width.div_ceil(per_byte))
        .flat_map(|row| {
            (0..width).map_while(move |x| {
                let shift = 8 - bits - bits * (x % per_byte);
                row.get(x / per_byte).map(|byte| ((byte >> shift) & mask) * scale as u8)
            })
        })
        .collect()
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
        WholePicture::of(image)
            .ok_or(PictureError::Unsupported("has samples in floats: convert it to 8 or 16 bits"))?
            .opaque()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode_file;
    use crate::testing::synthetic;
    use image::{ExtendedColorType, ImageEncoder, ImageFormat};
    use tiff::encoder::{TiffEncoder, colortype};

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
    fn packed_samples_fill_the_range_of_a_byte() {
        assert_eq!(unpack(&[0b1010_0000, 0b0100_0000], 3, 1), [255, 0, 255, 0, 255, 0]);
        assert_eq!(unpack(&[0b0001_1011], 4, 2), [0, 85, 170, 255]);
        assert_eq!(unpack(&[0x01, 0x8F], 4, 4), [0, 17, 136, 255]);
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
