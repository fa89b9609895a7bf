//! PNG: whole, a reader that has read up to the pixels, and a writer.

use ::png::{
    BitDepth, ColorType, Compression, Decoder, DecodingError, Encoder, Info, PixelDimensions, Reader, Transformations,
    Unit,
};
use std::borrow::Cow;
use std::io::{BufRead, Cursor, Read, Seek, SeekFrom, Write};

use super::PictureError;
use super::depth::{DecodeOptions, StatedRange, white_of};
use super::metadata::{Density, Metadata};
use super::orientation::from_exif;
use super::picture::{Layout, Picture, RowLayout, check_size};
use super::whole::{Samples, WholePicture};

/// Reads up to the pixels: the reader, width and height. Refuses a size without pixels or of more than `limit` by the header
/// alone.
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

/// Decodes a file, with the checks of [`RowReader`](super::RowReader), so that both accept the same files.
pub(super) fn whole(file: &[u8], limit: usize, options: DecodeOptions) -> Result<WholePicture, PictureError> {
    let (mut reader, width, height) = open(Cursor::new(file), limit)?;
    let (colour, depth) = reader.output_color_type();
    let (row, deep) = (row_layout_of(colour), depth == BitDepth::Sixteen);
    let samples = width * height * row.channels();
    let mut bytes = vec![0; if deep { 2 * samples } else { samples }];
    let frame = reader.next_frame(&mut bytes).map_err(broken)?;
    if (frame.width as usize, frame.height as usize) != (width, height) {
        let reason = "its first frame has another size than its header states".into();
        return Err(PictureError::Broken { kind: "PNG", reason });
    }
    reader.finish().map_err(broken)?;
    let metadata = metadata(reader.info());
    let samples = if deep {
        let samples = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
        Samples::Sixteen(samples, stated_range(reader.info()))
    } else {
        Samples::Eight(bytes)
    };
    WholePicture::new(row, (width, height), samples, options, metadata)
}

/// What its chunks state, as far as they are read.
pub(super) fn metadata(info: &Info) -> Metadata {
    let density = |dimensions: PixelDimensions| Density {
        x: dimensions.xppu,
        y: dimensions.yppu,
        per_metre: dimensions.unit == Unit::Meter,
    };
    Metadata {
        orientation: from_exif(info.exif_metadata.as_deref().unwrap_or_default()),
        icc_profile: info.icc_profile.as_deref().map(<[u8]>::to_vec),
        density: info.pixel_dims.map(density),
        has_more_pictures: info.is_animated(),
    }
}

/// The significant bits of samples of 16 (chunk sBIT: one for each channel).
pub(super) fn stated_range(info: &Info) -> StatedRange {
    let colours = row_layout_of(info.color_type).layout.channels();
    let bits = info.sbit.as_deref().and_then(|sbit| sbit.iter().take(colours).max().copied());
    match bits {
        Some(bits @ 1..16) => StatedRange::Significant(white_of(bits)),
        _ => StatedRange::None,
    }
}

/// The EXIF block of a file (chunk eXIf), wherever among its chunks it stands; nothing where the file is damaged before it.
pub(super) fn find_exif(file: &mut (impl Read + Seek)) -> Option<Vec<u8>> {
    const MAX_BYTES: u32 = 1 << 20;
    file.seek(SeekFrom::Start(8)).ok()?;
    loop {
        let mut header = [0; 8];
        file.read_exact(&mut header).ok()?;
        let [a, b, c, d, kind @ ..] = header;
        let length = u32::from_be_bytes([a, b, c, d]);
        match &kind {
            b"eXIf" if length <= MAX_BYTES => {
                let mut exif = vec![0; length as usize];
                file.read_exact(&mut exif).ok()?;
                return Some(exif);
            }
            b"IEND" => return None,
            _ => file.seek_relative(i64::from(length) + 4).ok()?,
        }
    }
}

/// What the decoder's rows consist of, palettes expanded.
pub(super) fn row_layout_of(colour: ColorType) -> RowLayout {
    let (layout, alpha) = match colour {
        ColorType::Grayscale => (Layout::Grey, false),
        ColorType::GrayscaleAlpha => (Layout::Grey, true),
        ColorType::Rgba => (Layout::Rgb, true),
        ColorType::Rgb | ColorType::Indexed => (Layout::Rgb, false),
    };
    RowLayout { layout, alpha }
}

pub(super) fn broken(error: DecodingError) -> PictureError {
    PictureError::Broken { kind: "PNG", reason: error.to_string() }
}

/// Writes a picture as PNG, 8 bits grey or RGB, compressed fast rather than small.
///
/// # Errors
/// [`PictureError::Empty`] for a picture without pixels, [`PictureError::Write`] when the writer fails.
pub fn write_png(writer: impl Write, picture: &Picture) -> Result<(), PictureError> {
    let row = RowLayout { layout: picture.layout(), alpha: false };
    write_png_rows(writer, row, (picture.width(), picture.height()), |rows| rows.write(picture.data()))
}

/// Bytes of compressed pixels in one chunk of a PNG.
const CHUNK: usize = 1 << 16;

/// Takes the rows of a PNG that is being written.
pub struct RowWriter<'a>(&'a mut dyn Write);

impl RowWriter<'_> {
    /// Adds rows, `[rows, width, channels]`.
    ///
    /// # Errors
    /// [`PictureError::Write`] when the writer fails.
    pub fn write(&mut self, rows: &[u8]) -> Result<(), PictureError> {
        self.0.write_all(rows).map_err(failed)
    }
}

/// Writes a PNG of 8 bits a channel, compressed fast rather than small, whose rows `fill` gives from top to bottom.
///
/// # Errors
/// [`PictureError::Empty`] or [`PictureError::TooLarge`] for a size that PNG does not have, [`PictureError::Write`] when
/// the writer fails or rows are missing, and what `fill` fails with.
pub fn write_png_rows<E: From<PictureError>>(
    writer: impl Write,
    row: RowLayout,
    size: (usize, usize),
    fill: impl FnOnce(&mut RowWriter) -> Result<(), E>,
) -> Result<(), E> {
    write_png_rows_with(writer, row, size, &Metadata::default(), fill)
}

/// The same with metadata: the profile, where that fits the colours, and the density. Pixels are written as they come, whatever
/// the orientation.
///
/// # Errors
/// As [`write_png_rows`].
pub fn write_png_rows_with<E: From<PictureError>>(
    writer: impl Write,
    row: RowLayout,
    (width, height): (usize, usize),
    metadata: &Metadata,
    fill: impl FnOnce(&mut RowWriter) -> Result<(), E>,
) -> Result<(), E> {
    check_size(width, height, usize::MAX)?;
    // PNG's own limit on a side: 2³¹ - 1.
    let side = |length: usize| u32::try_from(length).ok().filter(|length| *length <= i32::MAX as u32);
    let (Some(across), Some(down)) = (side(width), side(height)) else {
        return Err(PictureError::TooLarge { width, height, limit: i32::MAX as usize }.into());
    };
    let mut info = Info::with_size(across, down);
    (info.color_type, info.bit_depth) = (colour_type(row), BitDepth::Eight);
    info.icc_profile = metadata.profile_for(row.layout).map(Cow::Borrowed);
    info.pixel_dims = metadata.density.map(|density| PixelDimensions {
        xppu: density.x,
        yppu: density.y,
        unit: if density.per_metre { Unit::Meter } else { Unit::Unspecified },
    });
    let mut encoder = Encoder::with_info(writer, info).map_err(failed)?;
    encoder.set_compression(Compression::Fast);
    let mut writer = encoder.write_header().map_err(failed)?;
    let mut stream = writer.stream_writer_with_size(CHUNK).map_err(failed)?;
    fill(&mut RowWriter(&mut stream))?;
    stream.finish().map_err(failed)?;
    Ok(writer.finish().map_err(failed)?)
}

fn colour_type(row: RowLayout) -> ColorType {
    match (row.layout, row.alpha) {
        (Layout::Grey, false) => ColorType::Grayscale,
        (Layout::Grey, true) => ColorType::GrayscaleAlpha,
        (Layout::Rgb, false) => ColorType::Rgb,
        (Layout::Rgb, true) => ColorType::Rgba,
    }
}

fn failed(error: impl std::fmt::Display) -> PictureError {
    PictureError::Write(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::synthetic;

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
        crate::decode_file(png, LIMIT, &mut out).map(|()| out)
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
