//! TIFF through the crate `tiff`: strips or tiles, interleaved or plane by plane, 1 to 8 or 16 bits, grey, RGB or
//! with a palette.

use super::PictureError;
use super::depth::{DecodeOptions, Scale, StatedRange, white_of};
use super::metadata::{Density, Metadata};
use super::picture::{Layout, RowLayout, check_size};
use super::tiff_directory::{self, Readable};
use super::whole::{Samples, WholePicture};
use ::tiff::decoder::ifd::Value;
use ::tiff::decoder::{BufferLayoutPreference, ChunkType, Decoder, Limits};
use ::tiff::tags::{SampleFormat, Tag};
use ::tiff::{ColorType, TiffError};
use image::metadata::Orientation;
use std::io::Cursor;

type FileDecoder<'a> = Decoder<Cursor<&'a [u8]>>;

/// Decodes the first picture of a file.
pub(super) fn whole(file: &[u8], limit: usize, options: DecodeOptions) -> Result<WholePicture, PictureError> {
    if !tiff_directory::fits(file) {
        return Err(broken("a tag has more values than the file has bytes"));
    }
    // Strips may announce more than pixels can take: four channels of 16 bits.
    let most = limit.saturating_mul(8).saturating_add(1 << 20);
    let mut limits = Limits::default();
    limits.decoding_buffer_size = limits.decoding_buffer_size.min(most);
    limits.intermediate_buffer_size = limits.intermediate_buffer_size.min(most);
    if tiff_directory::has_old_lzw(file) {
        return Err(PictureError::Unsupported("TIFF with old-style LZW, from before 1988: save it anew"));
    }
    if tiff_directory::fills_from_the_lowest_bit(file) {
        return Err(PictureError::Unsupported(
            "TIFF with bits from the lowest of each byte (FillOrder 2): save it anew",
        ));
    }
    let Readable { file, has_palette, is_inverted } = tiff_directory::readable(file);
    let mut decoder = Decoder::new(Cursor::new(&*file)).map_err(failed)?.with_limits(limits);
    let (width, height) = decoder.dimensions().map_err(failed)?;
    let (width, height) = (width as usize, height as usize);
    check_size(width, height, limit)?;
    let (row, bits, palette) = kind(&mut decoder, has_palette)?;
    let buffer = decoder.image_buffer_layout().map_err(failed)?;
    match buffer.sample_format {
        SampleFormat::Uint => {}
        SampleFormat::IEEEFP => {
            return Err(PictureError::Unsupported("TIFF with samples in floats: save it with 8 or 16 bits"));
        }
        _ => return Err(PictureError::Unsupported("TIFF with signed samples: save it with 8 or 16 bits, unsigned")),
    }
    if buffer.planes > 1 && decoder.get_chunk_type() == ChunkType::Tile {
        return Err(PictureError::Unsupported(
            "TIFF in tiles, with a plane for each colour: save it in strips or interleaved",
        ));
    }
    if buffer.complete_len > most {
        return Err(PictureError::TooLarge { width, height, limit });
    }
    let mut bytes = vec![0; buffer.complete_len];
    decoder.read_image_bytes(&mut bytes).map_err(failed)?;
    let metadata = metadata(&mut decoder);
    let is_premultiplied = row.alpha
        && decoder
            .find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)
            .ok()
            .flatten()
            .is_some_and(|kinds| kinds.contains(&1));
    let size = (width, height);
    let channels = if palette.is_some() { 1 } else { row.channels() };
    if bits == 8 && buffer.planes <= 1 && palette.is_none() {
        let expected = width * height * channels;
        if bytes.len() != expected {
            return Err(PictureError::BufferLength { what: "TIFF", expected, actual: bytes.len() });
        }
        if is_premultiplied {
            divide_by_alpha(&mut bytes, channels, u8::MAX);
        }
        return WholePicture::new(row, size, Samples::Eight(bytes), options, metadata);
    }
    let mut samples = unpack(&bytes, &buffer, size, channels, bits)?;
    if is_premultiplied && palette.is_none() {
        divide_by_alpha(&mut samples, channels, white_of(bits));
    }
    drop(bytes);
    let samples = match palette {
        Some(palette) => {
            let colour = |sample: u16| palette.get(usize::from(sample)).copied();
            let colours: Option<Vec<[u8; 3]>> = samples.into_iter().map(colour).collect();
            Samples::Eight(colours.ok_or_else(|| broken("a pixel has no colour in its palette"))?.into_flattened())
        }
        None if bits <= 8 => {
            let scale = Scale::new(white_of(bits));
            Samples::Eight(samples.into_iter().map(|sample| scale.of(sample)).collect())
        }
        None => {
            let stated = decoder.find_tag_unsigned_vec::<u16>(Tag::MaxSampleValue).ok().flatten();
            let largest = stated.and_then(|values| values.into_iter().max()).filter(|white| *white > 0);
            Samples::Sixteen(
                samples,
                largest.filter(|white| *white < u16::MAX).map_or(StatedRange::None, StatedRange::Significant),
            )
        }
    };
    let mut picture = WholePicture::new(row, size, samples, options, metadata)?;
    if is_inverted {
        // The range is known now.
        let colours = row.layout.channels();
        for pixel in picture.bytes.chunks_exact_mut(row.channels()) {
            pixel[..colours].iter_mut().for_each(|sample| *sample = u8::MAX - *sample);
        }
    }
    Ok(picture)
}

/// Colours as they are, of pixels whose colours are multiplied by their opacity, the last sample (TIFF 6.0, section 18).
fn divide_by_alpha<T: Copy + Into<u32> + TryFrom<u32>>(samples: &mut [T], channels: usize, white: T) {
    for pixel in samples.chunks_exact_mut(channels) {
        let Some((alpha, colours)) = pixel.split_last_mut() else { continue };
        let (alpha, white): (u32, u32) = ((*alpha).into(), white.into());
        for colour in colours {
            let plain = ((*colour).into() * white + alpha / 2).checked_div(alpha).unwrap_or(0).min(white);
            *colour = T::try_from(plain).unwrap_or(*colour);
        }
    }
}

const PACKED: PictureError = PictureError::Unsupported("TIFF with packed samples of 9 to 15 bits: save it with 16");

type Palette = Vec<[u8; 3]>;

/// What a pixel consists of once it is decoded, bits of a sample, and the palette where samples are places in one.
fn kind(decoder: &mut FileDecoder, has_palette: bool) -> Result<(RowLayout, u8, Option<Palette>), PictureError> {
    let (layout, alpha, bits) = match decoder.colortype().map_err(failed)? {
        ColorType::Gray(bits @ 1..=8) if has_palette => {
            let row = RowLayout { layout: Layout::Rgb, alpha: false };
            return Ok((row, bits, Some(palette(decoder, bits)?)));
        }
        ColorType::Gray(bits) if !has_palette => (Layout::Grey, false, bits),
        ColorType::GrayA(bits) if !has_palette => (Layout::Grey, true, bits),
        ColorType::Multiband { bit_depth, num_samples: 2 } if !has_palette => (Layout::Grey, true, bit_depth),
        ColorType::RGB(bits) => (Layout::Rgb, false, bits),
        ColorType::RGBA(bits) => (Layout::Rgb, true, bits),
        _ => return Err(PictureError::Unsupported("TIFF in CMYK, YCbCr, Lab or more: save it as grey or RGB")),
    };
    match bits {
        1..=8 | 16 => Ok((RowLayout { layout, alpha }, bits, None)),
        9..16 => Err(PACKED),
        _ => {
            Err(PictureError::Unsupported("TIFF with floats, or with more than 16 bits a sample: save it with 8 or 16"))
        }
    }
}

/// The colours of a file whose samples have `bits` each.
fn palette(decoder: &mut FileDecoder, bits: u8) -> Result<Palette, PictureError> {
    let map = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(failed)?;
    let [red, green, blue] = [0, 1, 2].map(|i: usize| map.get(i << bits..(i + 1) << bits));
    let (Some(red), Some(green), Some(blue)) = (red, green, blue) else {
        return Err(broken("its palette is too short"));
    };
    // Some writers put 8 bits where 16 belong, as libtiff allows for.
    let shift = if map.iter().all(|value| *value < 256) { 0 } else { 8 };
    let byte = |value: u16| (value >> shift) as u8;
    Ok(red.iter().zip(green).zip(blue).map(|((r, g), b)| [byte(*r), byte(*g), byte(*b)]).collect())
}

/// Samples of all channels, interleaved, of rows that begin at whole bytes.
fn unpack(
    bytes: &[u8],
    buffer: &BufferLayoutPreference,
    (width, height): (usize, usize),
    channels: usize,
    bits: u8,
) -> Result<Vec<u16>, PictureError> {
    let short = || broken("it has fewer samples than its size calls for");
    let planes = buffer.planes.max(1);
    let (together, apart) = if planes > 1 { (1, channels) } else { (channels, 1) };
    if planes > 1 && planes < channels {
        return Err(short());
    }
    let bits = usize::from(bits);
    let row_bytes = (width * together * bits).div_ceil(8);
    let stride = buffer.row_stride.map_or(row_bytes, |stride| stride.get().max(row_bytes));
    let plane_bytes = buffer.plane_stride.map_or(stride * height, |stride| stride.get());
    let mut samples = vec![0; width * height * channels];
    for plane in 0..apart {
        for y in 0..height {
            let from = plane * plane_bytes + y * stride;
            let row = bytes.get(from..from + row_bytes).ok_or_else(short)?;
            let to = &mut samples[y * width * channels..][..width * channels];
            for (i, to) in to.iter_mut().skip(plane).step_by(apart).enumerate() {
                *to = match bits {
                    8 => row[i].into(),
                    16 => u16::from_ne_bytes([row[2 * i], row[2 * i + 1]]),
                    _ => sample(row, i, bits),
                };
            }
        }
    }
    Ok(samples)
}

/// Sample `i` of a row whose samples have `bits` each, up to 8, the first in the highest ones.
fn sample(row: &[u8], i: usize, bits: usize) -> u16 {
    let byte = |at: usize| u16::from(row.get(at).copied().unwrap_or(0));
    let first = i * bits / 8;
    let window = byte(first) << 8 | byte(first + 1);
    window >> (16 - bits - i * bits % 8) & ((1 << bits) - 1)
}

/// What stands in the tags; one that makes no sense is passed over.
fn metadata(decoder: &mut FileDecoder) -> Metadata {
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten().and_then(Orientation::from_exif);
    let number = |value: Value| match value {
        Value::Rational(above, below) => Some(f64::from(above) / f64::from(below)),
        other => other.into_f64().ok(),
    };
    let mut resolution = |tag| decoder.find_tag(tag).ok().flatten().and_then(number);
    let (x, y) = (resolution(Tag::XResolution), resolution(Tag::YResolution));
    let unit = decoder.find_tag_unsigned::<u16>(Tag::ResolutionUnit).ok().flatten();
    let density = match (x.zip(y), unit) {
        (Some((x, y)), Some(3)) => Density::per_centimetre(x, y),
        (Some((x, y)), Some(2) | None) => Density::per_inch(x, y),
        _ => None,
    };
    Metadata {
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        icc_profile: decoder.get_tag_u8_vec(Tag::IccProfile).ok(),
        density,
        has_more_pictures: decoder.more_images(),
    }
}

fn failed(error: TiffError) -> PictureError {
    match error {
        TiffError::UnsupportedError(error) => {
            PictureError::UnsupportedCoding { kind: "TIFF", reason: error.to_string() }
        }
        error => broken(error),
    }
}

fn broken(reason: impl ToString) -> PictureError {
    PictureError::Broken { kind: "TIFF", reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_divided_by_their_opacity() {
        let mut samples = [39_u8, 47, 60, 100, 9, 9, 9, 0, 7, 8, 9, 255, 200, 0, 0, 100];
        divide_by_alpha(&mut samples, 4, 255);
        assert_eq!(samples, [99, 120, 153, 100, 0, 0, 0, 0, 7, 8, 9, 255, 255, 0, 0, 100]);
        let mut deep = [u16::MAX / 4, u16::MAX / 2];
        divide_by_alpha(&mut deep, 2, u16::MAX);
        assert_eq!(deep, [32766, 32767]);
    }

    #[test]
    fn packed_samples_of_every_width() {
        let row = [0b1010_0110, 0b0001_1011, 0b1100_0011];
        let all = |bits: usize| (0..24 / bits).map(|i| sample(&row, i, bits)).collect::<Vec<_>>();
        assert_eq!(all(1)[..8], [1, 0, 1, 0, 0, 1, 1, 0]);
        assert_eq!(all(2)[..6], [2, 2, 1, 2, 0, 1]);
        assert_eq!(all(4), [0xA, 0x6, 0x1, 0xB, 0xC, 0x3]);
        assert_eq!(all(6), [0b10_1001, 0b10_0001, 0b10_1111, 0b00_0011]);
    }
}
