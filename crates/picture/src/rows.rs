//! Picture files read and written row by row, so that a picture of any size passes through fixed memory.
//!
//! PNG is decoded as its rows are asked for. What cannot be had in order (JPEG, interlaced PNG) is decoded whole
//! first: `width * height * channels` bytes.

use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};

use ::png::{BitDepth, ColorType, Compression, Encoder, Reader};

use super::PictureError;
use super::file::{decode_file, is_jpeg, is_png};
use super::format::Range;
use super::jpeg::decode_stream;
use super::jpeg_stream::plain_stream;
use super::picture::{Layout, Picture, check_size};
use super::png::{broken, decode_whole, form_of, open, round_to_8_bits};

/// What a row consists of: interleaved bytes, with alpha behind the colour where there is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Form {
    /// Grey or RGB.
    pub layout: Layout,
    /// Whether a byte of opacity follows.
    pub alpha: bool,
}

impl Form {
    /// Bytes of one pixel: 1 to 4.
    pub fn channels(self) -> usize {
        self.layout.channels() + usize::from(self.alpha)
    }

    fn colour_type(self) -> ColorType {
        match (self.layout, self.alpha) {
            (Layout::Grey, false) => ColorType::Grayscale,
            (Layout::Grey, true) => ColorType::GrayscaleAlpha,
            (Layout::Rgb, false) => ColorType::Rgb,
            (Layout::Rgb, true) => ColorType::Rgba,
        }
    }
}

/// A picture that gives its rows from top to bottom.
pub struct RowReader {
    form: Form,
    width: usize,
    height: usize,
    deep: bool,
    rows: Rows,
}

enum Rows {
    Png { reader: Box<Reader<BufReader<File>>>, deep: Vec<u8>, left: usize },
    Held { bytes: Vec<u8>, next: usize },
}

impl RowReader {
    /// Opens a PNG or JPEG of at most `limit` pixels, or of at most `held` where it has to be decoded whole.
    ///
    /// # Errors
    /// As [`decode_file`], but transparency is kept; of a PNG damage shows as its rows are read.
    pub fn open(mut file: File, limit: usize, held: usize) -> Result<RowReader, PictureError> {
        let failed = |error: std::io::Error| PictureError::Broken { kind: "file", reason: error.to_string() };
        let mut start = Vec::new();
        (&file).take(8).read_to_end(&mut start).map_err(failed)?;
        file.rewind().map_err(failed)?;
        if !is_png(&start) {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(failed)?;
            let mut picture = Picture::default();
            if is_jpeg(&start) {
                let stream = plain_stream(&bytes)?;
                // Pixels and two copies of the file would be one copy too many.
                drop(bytes);
                decode_stream(stream, Range::Full, limit.min(held), &mut picture)?;
            } else {
                decode_file(&bytes, limit.min(held), &mut picture)?;
            }
            return Ok(RowReader::of(picture));
        }
        let (mut reader, width, height) = open(BufReader::new(file), limit)?;
        let (colour, depth) = reader.output_color_type();
        let (form, deep) = (form_of(colour), depth == BitDepth::Sixteen);
        if reader.info().interlaced || reader.info().is_animated() {
            check_size(width, height, held)?;
            let whole = decode_whole(&mut reader)?;
            let rows = Rows::Held { bytes: whole.bytes, next: 0 };
            return Ok(RowReader { form, width: whole.width, height: whole.height, deep, rows });
        }
        let scratch = if deep { vec![0; 2 * width * form.channels()] } else { Vec::new() };
        let rows = Rows::Png { reader: Box::new(reader), deep: scratch, left: height };
        Ok(RowReader { form, width, height, deep, rows })
    }

    /// The rows of a picture that is there already.
    pub fn of(picture: Picture) -> RowReader {
        let form = Form { layout: picture.layout(), alpha: false };
        let (width, height) = (picture.width(), picture.height());
        RowReader { form, width, height, deep: false, rows: Rows::Held { bytes: picture.into_data(), next: 0 } }
    }

    /// What a row consists of.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Whether the file has 16 bits a channel, of which 8 are given.
    pub fn is_deep(&self) -> bool {
        self.deep
    }

    /// Fills `row`, `[width, channels]`, with the next row.
    ///
    /// # Errors
    /// [`PictureError::Broken`] for a damaged file, and where there are no more rows.
    pub fn next(&mut self, row: &mut [u8]) -> Result<(), PictureError> {
        let expected = self.width * self.form.channels();
        if row.len() != expected {
            return Err(PictureError::BufferLength { what: "row", expected, actual: row.len() });
        }
        let over = || PictureError::Broken { kind: "picture", reason: "it has no more rows".into() };
        match &mut self.rows {
            Rows::Held { bytes, next } => {
                let from = bytes.get(*next..*next + expected).ok_or_else(over)?;
                row.copy_from_slice(from);
                *next += expected;
            }
            Rows::Png { reader, deep, left } => {
                *left = left.checked_sub(1).ok_or_else(over)?;
                if deep.is_empty() {
                    reader.read_row(row).map_err(broken)?.ok_or_else(over)?;
                } else {
                    reader.read_row(deep).map_err(broken)?.ok_or_else(over)?;
                    for (byte, pair) in row.iter_mut().zip(deep.chunks_exact(2)) {
                        *byte = round_to_8_bits(u16::from_be_bytes([pair[0], pair[1]]));
                    }
                }
                if *left == 0 {
                    // Checks what stands behind the last row.
                    reader.finish().map_err(broken)?;
                }
            }
        }
        Ok(())
    }
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
    form: Form,
    (width, height): (usize, usize),
    fill: impl FnOnce(&mut RowWriter) -> Result<(), E>,
) -> Result<(), E> {
    check_size(width, height, usize::MAX)?;
    // PNG's own limit on a side: 2³¹ - 1.
    let side = |length: usize| u32::try_from(length).ok().filter(|length| *length <= i32::MAX as u32);
    let (Some(across), Some(down)) = (side(width), side(height)) else {
        return Err(PictureError::TooLarge { width, height, limit: i32::MAX as usize }.into());
    };
    let mut encoder = Encoder::new(writer, across, down);
    encoder.set_color(form.colour_type());
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    let mut writer = encoder.write_header().map_err(failed)?;
    let mut stream = writer.stream_writer_with_size(CHUNK).map_err(failed)?;
    fill(&mut RowWriter(&mut stream))?;
    stream.finish().map_err(failed)?;
    Ok(writer.finish().map_err(failed)?)
}

fn failed(error: impl std::fmt::Display) -> PictureError {
    PictureError::Write(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::synthetic;
    use crate::write_png;

    fn file_with(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    fn read(bytes: &[u8]) -> Result<(Form, usize, usize, Vec<u8>), PictureError> {
        let mut reader = RowReader::open(file_with(bytes), 1 << 20, 1 << 20)?;
        let length = reader.width() * reader.form().channels();
        let mut data = vec![0; length * reader.height()];
        for row in data.chunks_exact_mut(length) {
            reader.next(row)?;
        }
        assert!(reader.next(&mut vec![0; length]).is_err(), "no row behind the last");
        Ok((reader.form(), reader.width(), reader.height(), data))
    }

    #[test]
    fn rows_of_every_form_come_back() {
        for (layout, alpha) in [(Layout::Grey, false), (Layout::Grey, true), (Layout::Rgb, false), (Layout::Rgb, true)]
        {
            let form = Form { layout, alpha };
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
    fn sixteen_bits_are_rounded_and_told() {
        let mut png = Vec::new();
        let mut encoder = Encoder::new(&mut png, 2, 1);
        encoder.set_color(ColorType::GrayscaleAlpha);
        encoder.set_depth(BitDepth::Sixteen);
        encoder.write_header().unwrap().write_image_data(&[0, 128, 0, 129, 0xFF, 0x7E, 0xFF, 0x7F]).unwrap();
        let mut reader = RowReader::open(file_with(&png), 2, 0).unwrap();
        assert!(reader.is_deep());
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

    #[test]
    fn a_picture_that_lacks_rows_is_not_finished() {
        let form = Form { layout: Layout::Grey, alpha: false };
        let write = |size| write_png_rows(Vec::new(), form, size, |writer| writer.write(&[1; 4]));
        assert!(write((4, 1)).is_ok() && write((4, 2)).is_err() && write((4, 3)).is_err());
        assert!(matches!(write((1 << 31, 1)), Err(PictureError::TooLarge { .. })));
    }
}
