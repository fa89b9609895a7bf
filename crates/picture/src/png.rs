//! PNG: read as grey or RGB of 8 bits, and written.

use std::io::{BufRead, Cursor, Seek, Write};

use ::png::{BitDepth, ColorType, Decoder, DecodingError, Reader, Transformations};

use super::PictureError;
use super::picture::{Layout, Picture, check_size};
use super::rows::{Form, write_png_rows};

/// Decodes a PNG of at most `limit` pixels. Palettes and 1, 2 and 4 bits are expanded, 16 bits are rounded to 8, an
/// alpha channel is dropped where it is opaque everywhere; of an animation the first picture is taken.
pub(super) fn decode_png(png: &[u8], limit: usize, out: &mut Picture) -> Result<(), PictureError> {
    let (mut reader, ..) = open(Cursor::new(png), limit)?;
    let Whole { form, width, height, mut bytes } = decode_whole(&mut reader)?;
    if form.alpha {
        bytes = without_alpha(bytes, form.layout.channels())?;
    }
    *out = Picture::from_data(form.layout, width, height, bytes)?;
    Ok(())
}

/// Reads up to the pixels: the reader, width and height.
pub(super) fn open<R: BufRead + Seek>(png: R, limit: usize) -> Result<(Reader<R>, usize, usize), PictureError> {
    let mut decoder = Decoder::new(png);
    decoder.set_transformations(Transformations::EXPAND);
    decoder.ignore_checksums(false);
    decoder.set_ignore_text_chunk(true);
    let header = decoder.read_header_info().map_err(broken)?;
    let (width, height) = (header.width as usize, header.height as usize);
    check_size(width, height, limit)?;
    Ok((decoder.read_info().map_err(broken)?, width, height))
}

/// A decoded picture, alpha and all.
pub(super) struct Whole {
    pub form: Form,
    pub width: usize,
    pub height: usize,
    pub bytes: Vec<u8>,
}

/// Decodes all rows at once.
pub(super) fn decode_whole<R: BufRead + Seek>(reader: &mut Reader<R>) -> Result<Whole, PictureError> {
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let too_large = PictureError::TooLarge { width, height, limit: usize::MAX };
    let mut bytes = vec![0; reader.output_buffer_size().ok_or(too_large)?];
    let info = reader.next_frame(&mut bytes).map_err(broken)?;
    bytes.truncate(info.buffer_size());
    if info.bit_depth == BitDepth::Sixteen {
        bytes = bytes.chunks_exact(2).map(|pair| round_to_8_bits(u16::from_be_bytes([pair[0], pair[1]]))).collect();
    }
    Ok(Whole { form: form_of(info.color_type), width: info.width as usize, height: info.height as usize, bytes })
}

/// What the decoder's rows consist of, palettes expanded.
pub(super) fn form_of(colour: ColorType) -> Form {
    let (layout, alpha) = match colour {
        ColorType::Grayscale => (Layout::Grey, false),
        ColorType::GrayscaleAlpha => (Layout::Grey, true),
        ColorType::Rgba => (Layout::Rgb, true),
        ColorType::Rgb | ColorType::Indexed => (Layout::Rgb, false),
    };
    Form { layout, alpha }
}

pub(super) fn round_to_8_bits(value: u16) -> u8 {
    ((u32::from(value) * 255 + 32_767) / 65_535) as u8
}

fn without_alpha(raw: Vec<u8>, colours: usize) -> Result<Vec<u8>, PictureError> {
    if raw.chunks_exact(colours + 1).any(|pixel| pixel[colours] != 255) {
        return Err(PictureError::Unsupported("has transparency: flatten it first"));
    }
    Ok(raw.chunks_exact(colours + 1).flat_map(|pixel| &pixel[..colours]).copied().collect())
}

pub(super) fn broken(error: DecodingError) -> PictureError {
    PictureError::Broken { kind: "PNG", reason: error.to_string() }
}

/// Writes a picture as PNG, 8 bits grey or RGB, compressed fast rather than small.
///
/// # Errors
/// [`PictureError::Empty`] for a picture without pixels, [`PictureError::Write`] when the writer fails.
pub fn write_png(writer: impl Write, picture: &Picture) -> Result<(), PictureError> {
    let form = Form { layout: picture.layout(), alpha: false };
    write_png_rows(writer, form, (picture.width(), picture.height()), |rows| rows.write(picture.data()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::synthetic;
    use ::png::Encoder;

    const LIMIT: usize = 1 << 20;

    fn encode(width: u32, height: u32, colour: ColorType, depth: BitDepth, palette: &[u8], raw: &[u8]) -> Vec<u8> {
        let mut png = Vec::new();
        let mut encoder = Encoder::new(&mut png, width, height);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if !palette.is_empty() {
            encoder.set_palette(palette.to_vec());
        }
        encoder.write_header().unwrap().write_image_data(raw).unwrap();
        png
    }

    fn decode(png: &[u8]) -> Result<Picture, PictureError> {
        let mut out = Picture::default();
        decode_png(png, LIMIT, &mut out).map(|()| out)
    }

    #[test]
    fn written_pictures_come_back() {
        for layout in [Layout::Grey, Layout::Rgb] {
            let picture = synthetic(layout, 37, 23);
            let mut png = Vec::new();
            write_png(&mut png, &picture).unwrap();
            assert_eq!(decode(&png).unwrap(), picture);
        }
        assert!(matches!(write_png(Vec::new(), &Picture::default()), Err(PictureError::Empty { .. })));
    }

    #[test]
    fn a_full_disk_is_an_error() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("no space left"))
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let message = write_png(Full, &synthetic(Layout::Grey, 4, 4)).unwrap_err().to_string();
        assert!(message.contains("no space left"), "{message}");
    }

    #[test]
    fn every_kind_of_png_is_expanded() {
        let grey = |raw: &[u8], depth| decode(&encode(4, 1, ColorType::Grayscale, depth, &[], raw)).unwrap();
        assert_eq!(grey(&[0b1010_0000], BitDepth::One).data(), [255, 0, 255, 0]);
        assert_eq!(grey(&[0b0001_1011], BitDepth::Two).data(), [0, 85, 170, 255]);
        assert_eq!(grey(&[0x01, 0x8F], BitDepth::Four).data(), [0, 17, 136, 255]);
        let rounded = grey(&[0, 128, 0, 129, 0xFF, 0x7E, 0xFF, 0x7F], BitDepth::Sixteen);
        assert_eq!(rounded.data(), [0, 1, 254, 255], "128 is below half of 257, 65407 above");
        let indexed = encode(2, 1, ColorType::Indexed, BitDepth::Eight, &[1, 2, 3, 4, 5, 6], &[1, 0]);
        assert_eq!(decode(&indexed).unwrap().data(), [4, 5, 6, 1, 2, 3]);
    }

    #[test]
    fn alpha_is_dropped_only_where_it_is_opaque() {
        let opaque = encode(2, 1, ColorType::Rgba, BitDepth::Eight, &[], &[1, 2, 3, 255, 4, 5, 6, 255]);
        assert_eq!(decode(&opaque).unwrap().data(), [1, 2, 3, 4, 5, 6]);
        let opaque = encode(2, 1, ColorType::GrayscaleAlpha, BitDepth::Eight, &[], &[7, 255, 8, 255]);
        assert_eq!(decode(&opaque).unwrap().data(), [7, 8]);
        let clear = encode(1, 1, ColorType::Rgba, BitDepth::Eight, &[], &[1, 2, 3, 254]);
        assert_eq!(decode(&clear).unwrap_err().to_string(), "has transparency: flatten it first");
    }

    #[test]
    fn damage_is_an_error() {
        let mut png = Vec::new();
        write_png(&mut png, &synthetic(Layout::Rgb, 40, 40)).unwrap();
        for length in 0..png.len() - 16 {
            assert!(decode(&png[..length]).is_err(), "{length} of {} bytes", png.len());
        }
        let middle = png.len() / 2;
        png[middle] ^= 1;
        assert!(decode(&png).is_err());
    }
}
