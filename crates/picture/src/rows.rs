//! Picture files read row by row, so that a picture of any size passes through fixed memory.
//!
//! PNG is decoded as its rows are asked for. What cannot be had in order (interlaced or turned PNG, every other format) is
//! decoded whole first: `width * height * channels` bytes.

use super::PictureError;
use super::codecs::WholeFormat;
use super::colour::Range;
use super::depth::{DecodeOptions, SampleDepth, StatedRange, to_8_bits};
use super::file::{is_jpeg, max_file_bytes, unknown};
use super::jpeg::{decode_stream, plain_stream};
use super::metadata::Metadata;
use super::orientation::from_exif;
use super::picture::{Picture, RowLayout};
use super::png::{broken, find_exif, metadata, open, row_layout_of, stated_range};
use super::whole::WholePicture;
use ::png::{BitDepth, Reader};
use image::metadata::Orientation;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Reads a picture's rows from top to bottom.
pub struct RowReader {
    row: RowLayout,
    width: usize,
    height: usize,
    depth: SampleDepth,
    metadata: Metadata,
    rows: Rows,
}

enum Rows {
    Png { reader: Box<Reader<BufReader<File>>>, deep: Vec<u8>, options: DecodeOptions, left: usize },
    Whole { bytes: Vec<u8>, next: usize },
}

impl RowReader {
    /// Opens a file of at most `limit` pixels, or of at most `whole_limit` where it has to be decoded whole.
    ///
    /// # Errors
    /// As [`decode_file`](super::decode_file), but transparency is kept; damage of a PNG is found as its rows are read.
    pub fn open(file: File, limit: usize, whole_limit: usize) -> Result<RowReader, PictureError> {
        RowReader::open_with(file, limit, whole_limit, DecodeOptions::default())
    }

    /// The same with what the caller knows of the file.
    ///
    /// # Errors
    /// As [`RowReader::open`], and [`PictureError::TooManyBits`], of a PNG as its rows are read.
    pub fn open_with(
        mut file: File,
        limit: usize,
        whole_limit: usize,
        options: DecodeOptions,
    ) -> Result<RowReader, PictureError> {
        let failed = |error: std::io::Error| PictureError::Broken { kind: "file", reason: error.to_string() };
        let mut start = Vec::new();
        (&file).take(16).read_to_end(&mut start).map_err(failed)?;
        file.rewind().map_err(failed)?;
        let whole_limit = limit.min(whole_limit);
        let read_all = |file: &File| {
            let (mut bytes, most) = (Vec::new(), max_file_bytes(whole_limit));
            // By what was read, not by a stated length: a file may grow.
            if file.metadata().map_err(failed)?.len() > most
                || file.take(most + 1).read_to_end(&mut bytes).map_err(failed)? as u64 > most
            {
                let reason = format!("it has more than {most} bytes, more than so many pixels can take");
                return Err(PictureError::Broken { kind: "file", reason });
            }
            Ok(bytes)
        };
        match WholeFormat::of(&start) {
            Some(WholeFormat::Png) => {
                let (reader, width, height) = open(BufReader::new(&file), limit)?;
                let (colour, depth) = reader.output_color_type();
                let (row, deep) = (row_layout_of(colour), depth == BitDepth::Sixteen);
                let (info, mut metadata) = (reader.info(), metadata(reader.info()));
                // Which bits are meant is seen by all samples.
                let by_all = deep && options.bits.is_none() && stated_range(info) != StatedRange::None;
                let in_disorder = info.interlaced || info.is_animated() || by_all;
                drop(reader);
                if metadata.orientation == Orientation::NoTransforms {
                    metadata.orientation = from_exif(&find_exif(&mut BufReader::new(&file)).unwrap_or_default());
                }
                file.rewind().map_err(failed)?;
                if in_disorder || metadata.orientation != Orientation::NoTransforms {
                    return Ok(WholeFormat::Png.decode(&read_all(&file)?, whole_limit, options)?.into());
                }
                let (reader, ..) = open(BufReader::new(file), limit)?;
                let scratch = if deep { vec![0; 2 * width * row.channels()] } else { Vec::new() };
                let rows = Rows::Png { reader: Box::new(reader), deep: scratch, options, left: height };
                let depth = if deep {
                    SampleDepth { bits: 16, used_bits: 0, is_stated: options.bits.is_some() }
                } else {
                    SampleDepth::EIGHT
                };
                Ok(RowReader { row, width, height, depth, metadata, rows })
            }
            Some(format) => Ok(format.decode(&read_all(&file)?, whole_limit, options)?.into()),
            None if is_jpeg(&start) => {
                let bytes = read_all(&file)?;
                let stream = plain_stream(&bytes)?;
                // Pixels and two copies of the file would be one copy too many.
                drop(bytes);
                let mut picture = Picture::default();
                let metadata = stream.metadata.clone();
                decode_stream(stream, Range::Full, whole_limit, &mut picture)?;
                let picture = picture.upright(metadata.orientation);
                Ok(RowReader { metadata: metadata.of_upright(), ..RowReader::from_picture(picture) })
            }
            None => Err(unknown(&start)),
        }
    }

    /// The rows of a decoded picture.
    pub fn from_picture(picture: Picture) -> RowReader {
        let row = RowLayout { layout: picture.layout(), alpha: false };
        let (width, height) = (picture.width(), picture.height());
        let rows = Rows::Whole { bytes: picture.into_data(), next: 0 };
        RowReader { row, width, height, depth: SampleDepth::EIGHT, metadata: Metadata::default(), rows }
    }

    /// What a row consists of.
    pub fn row_layout(&self) -> RowLayout {
        self.row
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The range of the file's samples, as far as rows were read.
    pub fn depth(&self) -> SampleDepth {
        self.depth
    }

    /// What the file states beside its pixels, which are upright.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Fills `row`, `[width, channels]`, with the next row.
    ///
    /// # Errors
    /// [`PictureError::Broken`] for a damaged file, and where there are no more rows.
    pub fn next(&mut self, row: &mut [u8]) -> Result<(), PictureError> {
        let expected = self.width * self.row.channels();
        if row.len() != expected {
            return Err(PictureError::BufferLength { what: "row", expected, actual: row.len() });
        }
        let over = || PictureError::Broken { kind: "picture", reason: "it has no more rows".into() };
        match &mut self.rows {
            Rows::Whole { bytes, next } => {
                let from = bytes.get(*next..*next + expected).ok_or_else(over)?;
                row.copy_from_slice(from);
                *next += expected;
            }
            Rows::Png { reader, deep, options, left } => {
                *left = left.checked_sub(1).ok_or_else(over)?;
                // The decoder panics for some damaged palettes: that costs the picture.
                let is_last = *left == 0;
                let read = catch_unwind(AssertUnwindSafe(|| {
                    let read = reader.read_row(if deep.is_empty() { &mut *row } else { deep })?;
                    if is_last {
                        // Checks what stands behind the last row.
                        reader.finish()?;
                    }
                    Ok(read)
                }));
                let contradiction = |_| Err(contradicts_header());
                let read = read.map_or_else(contradiction, |read| read.map_err(broken));
                if read.is_err() {
                    *left = 0;
                }
                read?.ok_or_else(over)?;
                if !deep.is_empty() {
                    let samples: Vec<u16> =
                        deep.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
                    let (bytes, depth) = to_8_bits(&samples, self.row, StatedRange::None, *options)?;
                    row.copy_from_slice(&bytes);
                    self.depth.used_bits = self.depth.used_bits.max(depth.used_bits);
                }
            }
        }
        Ok(())
    }
}

fn contradicts_header() -> PictureError {
    PictureError::Broken { kind: "PNG", reason: "its data contradicts its header".into() }
}

impl From<WholePicture> for RowReader {
    fn from(WholePicture { row, width, height, bytes, depth, metadata }: WholePicture) -> RowReader {
        RowReader { row, width, height, depth, metadata, rows: Rows::Whole { bytes, next: 0 } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Layout;
    use crate::testing::synthetic;
    use crate::{RowWriter, decode_file, write_png, write_png_rows};
    use ::png::{ColorType, Encoder};
    use std::io::Write;

    fn file_with(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    fn read(bytes: &[u8]) -> Result<(RowLayout, usize, usize, Vec<u8>), PictureError> {
        let mut reader = RowReader::open(file_with(bytes), 1 << 20, 1 << 20)?;
        let length = reader.width() * reader.row_layout().channels();
        let mut data = vec![0; length * reader.height()];
        for row in data.chunks_exact_mut(length) {
            reader.next(row)?;
        }
        assert!(reader.next(&mut vec![0; length]).is_err(), "no row behind the last");
        Ok((reader.row_layout(), reader.width(), reader.height(), data))
    }

    #[test]
    fn rows_of_every_form_come_back() {
        for (layout, alpha) in [(Layout::Grey, false), (Layout::Grey, true), (Layout::Rgb, false), (Layout::Rgb, true)]
        {
            let form = RowLayout { layout, alpha };
            let data: Vec<u8> = (0..37 * 23 * form.channels()).map(|i| (i * i % 251) as u8).collect();
            let mut png = Vec::new();
            let rows = data.chunks(37 * form.channels() * 2);
            let fill = |writer: &mut RowWriter| rows.into_iter().try_for_each(|rows| writer.write(rows));
            write_png_rows(&mut png, form, (37, 23), fill).unwrap();
            assert_eq!(read(&png).unwrap(), (form, 37, 23, data));
        }
    }

    #[test]
    fn rows_are_those_of_the_whole_picture() {
        let mut whole = Picture::default();
        for jpeg in [&include_bytes!("testdata/420.jpg")[..], include_bytes!("testdata/grey.jpg")] {
            decode_file(jpeg, 1 << 20, &mut whole).unwrap();
            assert_eq!(read(jpeg).unwrap().3, whole.data());
        }
        let mut png = Vec::new();
        write_png(&mut png, &synthetic(Layout::Rgb, 300, 40)).unwrap();
        assert_eq!(read(&png).unwrap().3, synthetic(Layout::Rgb, 300, 40).data());
        assert!(matches!(RowReader::open(file_with(&png), 11_999, 11_999), Err(PictureError::TooLarge { .. })));
    }

    #[test]
    fn sixteen_bits_are_rounded_and_reported() {
        let mut png = Vec::new();
        let mut encoder = Encoder::new(&mut png, 2, 1);
        encoder.set_color(ColorType::GrayscaleAlpha);
        encoder.set_depth(BitDepth::Sixteen);
        encoder.write_header().unwrap().write_image_data(&[0, 128, 0, 129, 0xFF, 0x7E, 0xFF, 0x7F]).unwrap();
        let mut reader = RowReader::open(file_with(&png), 2, 0).unwrap();
        assert_eq!(reader.depth().bits, 16);
        let mut row = [0; 4];
        reader.next(&mut row).unwrap();
        assert_eq!(row, [0, 1, 254, 255]);
    }

    #[test]
    fn damage_is_an_error() {
        let mut png = Vec::new();
        write_png(&mut png, &synthetic(Layout::Rgb, 40, 40)).unwrap();
        for length in (0..png.len() - 16).step_by(7) {
            assert!(read(&png[..length]).is_err(), "{length} of {} bytes", png.len());
        }
        let middle = png.len() / 2;
        png[middle] ^= 1;
        assert!(read(&png).is_err());
    }

    /// Found by fuzzing: with 4 bytes, or 257 entries, the decoder panics.
    #[test]
    fn a_palette_of_a_wrong_length_is_an_error() {
        let with_palette = |bytes: usize| {
            let mut png = Vec::new();
            let mut encoder = Encoder::new(&mut png, 7, 2);
            encoder.set_color(ColorType::Indexed);
            encoder.set_palette(vec![7; bytes]);
            encoder.write_header().unwrap().write_image_data(&[0; 14]).unwrap();
            png
        };
        assert_eq!(read(&with_palette(6)).unwrap().3, [7; 42]);
        for bytes in [4, 5, 3 * 257, 3 * 400] {
            let mut whole = Picture::default();
            assert!(decode_file(&with_palette(bytes), 1 << 16, &mut whole).is_err(), "{bytes}");
            assert!(read(&with_palette(bytes)).is_err(), "{bytes}");
        }
    }

    #[test]
    fn a_picture_that_lacks_rows_is_not_finished() {
        let form = RowLayout { layout: Layout::Grey, alpha: false };
        let write = |size| write_png_rows(Vec::new(), form, size, |writer| writer.write(&[1; 4]));
        assert!(write((4, 1)).is_ok() && write((4, 2)).is_err() && write((4, 3)).is_err());
        assert!(matches!(write((1 << 31, 1)), Err(PictureError::TooLarge { .. })));
    }
}
