//! The directory of a TIFF, checked before its decoder reads it: that takes memory for as many values as a tag announces.

use std::borrow::Cow;

/// Whether a file that begins with these bytes is a TIFF, with offsets of 32 bits or (BigTIFF) 64.
pub(super) fn is_tiff(start: &[u8]) -> bool {
    [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| start.starts_with(*magic))
}

/// The entries of the first directory. TIFF 6.0, section 2: 12 bytes an entry: tag, type, number of values, and the values, or
/// where they are; BigTIFF has 20.
struct Directory<'a> {
    file: &'a [u8],
    is_big: bool,
    first: usize,
    entries: usize,
}

impl Directory<'_> {
    /// `None` where the file ends before it.
    fn of(file: &[u8]) -> Option<Directory<'_>> {
        let is_big = matches!(file, [_, _, b'+', ..] | [_, _, 0, b'+', ..]);
        let start = Directory { file, is_big, first: 0, entries: 0 };
        let (at, place, count) = if is_big { (8, 8, 8) } else { (4, 4, 2) };
        let directory = start.number(at, place)?;
        Some(Directory { first: directory.checked_add(count)?, entries: start.number(directory, count)?, ..start })
    }

    fn number(&self, at: usize, length: usize) -> Option<usize> {
        let bytes = self.file.get(at..at.checked_add(length)?)?.iter();
        let push = |number: usize, byte: &u8| (number << 8) | usize::from(*byte);
        Some(if self.file.starts_with(b"MM") { bytes.fold(0, push) } else { bytes.rev().fold(0, push) })
    }

    /// Where a tag's entry stands.
    fn entry(&self, tag: usize) -> Option<usize> {
        self.places().find(|at| self.number(*at, 2) == Some(tag))
    }

    /// Where a tag's value stands, if it is a single one of 16 bits.
    fn value(&self, tag: usize) -> Option<usize> {
        Some(self.entry(tag)? + if self.is_big { 12 } else { 8 })
    }

    /// Where each entry stands, up to the end of the file.
    fn places(&self) -> impl Iterator<Item = usize> {
        let length = if self.is_big { 20 } else { 12 };
        let last = self.file.len().saturating_sub(length);
        (0..self.entries)
            .map_while(move |entry| self.first.checked_add(length.checked_mul(entry)?).filter(|at| *at <= last))
    }
}

/// Whether the values of all tags of the first picture fit into the file. A directory that is cut short is left to the decoder.
pub(super) fn fits(file: &[u8]) -> bool {
    let Some(directory) = Directory::of(file) else { return true };
    let count_bytes = if directory.is_big { 8 } else { 4 };
    directory.places().all(|at| {
        let (Some(kind), Some(count)) = (directory.number(at + 2, 2), directory.number(at + 4, count_bytes)) else {
            return true;
        };
        // Of the types 1 to 18.
        let sizes = [1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 1, 1, 8, 8, 8];
        let size = sizes.get(kind.wrapping_sub(1)).copied().unwrap_or(1_usize);
        count.checked_mul(size).is_some_and(|bytes| bytes <= file.len())
    })
}

/// A file as the crate `tiff` reads it.
pub(super) struct Readable<'a> {
    /// Its bytes, some of them changed.
    pub file: Cow<'a, [u8]>,
    /// Whether its samples are places in a palette; they are read as plain ones.
    pub has_palette: bool,
    /// Whether 0 is white in its samples of 16 bits; they are read as if it were black. Where fewer bits are used than 16, what is
    /// white is known only when all samples are.
    pub is_inverted: bool,
}

/// Tags, TIFF 6.0.
const BITS: usize = 258;
const COMPRESSION: usize = 259;
const KIND: usize = 262;
const FILL_ORDER: usize = 266;
const STRIP_OFFSETS: usize = 273;
const ORIENTATION: usize = 274;
const STRIP_BYTES: usize = 279;
const PREDICTOR: usize = 317;
const TILE_WIDTH: usize = 322;
const TILE_OFFSETS: usize = 324;
const TILE_BYTES: usize = 325;

/// Compressions before which a predictor may work.
const LZW: usize = 5;
const DEFLATE: usize = 8;
const OLD_DEFLATE: usize = 32946;
const LZMA: usize = 34925;
const ZSTD: usize = 50000;

/// How a picture lies by a directory, 1 to 8, as of an EXIF block. By the standard a number of 16 bits; some writers take 8 or 32.
pub(super) fn orientation(exif: &[u8]) -> Option<u8> {
    let directory = Directory::of(exif).filter(|_| is_tiff(exif))?;
    let entry = directory.entry(ORIENTATION)?;
    let length = match directory.number(entry + 2, 2)? {
        1 => 1,
        3 => 2,
        4 => 4,
        _ => return None,
    };
    directory.number(directory.value(ORIENTATION)?, length)?.try_into().ok()
}

/// The file with what the crate `tiff` does not read made into what it does: a palette into plain samples, the places in it; tiles
/// that are listed as strips, as libtiff wrote them before TIFF 6.0, into tiles.
pub(super) fn readable(file: &[u8]) -> Readable<'_> {
    const PALETTE: usize = 3;
    const BLACK_IS_ZERO: u8 = 1;
    const WHITE_IS_ZERO: usize = 0;
    let mut readable = Readable { file: Cow::Borrowed(file), has_palette: false, is_inverted: false };
    let Some(directory) = Directory::of(file) else { return readable };
    let mut set = |at: usize, number: usize| {
        let bytes = (number as u16).to_le_bytes();
        let bytes = if file.starts_with(b"MM") { [bytes[1], bytes[0]] } else { bytes };
        if let Some(place) = readable.file.to_mut().get_mut(at..at + 2) {
            place.copy_from_slice(&bytes);
        }
    };
    if let Some(value) = directory.value(KIND).filter(|value| directory.number(*value, 2) == Some(PALETTE)) {
        set(value, BLACK_IS_ZERO.into());
        readable.has_palette = true;
    }
    let number = |tag: usize| directory.value(tag).and_then(|value| directory.number(value, 2));
    if let Some(value) =
        directory.value(KIND).filter(|_| number(KIND) == Some(WHITE_IS_ZERO) && number(BITS) == Some(16))
    {
        set(value, BLACK_IS_ZERO.into());
        readable.is_inverted = true;
    }
    // A predictor is for what is compressed by LZW or deflate, and ignored elsewhere, as by libtiff.
    let has_predictor = matches!(number(COMPRESSION), Some(LZW | DEFLATE | OLD_DEFLATE | LZMA | ZSTD));
    if let Some(predictor) = directory.value(PREDICTOR).filter(|_| !has_predictor) {
        set(predictor, 1);
    }
    if directory.entry(TILE_WIDTH).is_some() && directory.entry(TILE_OFFSETS).is_none() {
        for (listed, meant) in [(STRIP_OFFSETS, TILE_OFFSETS), (STRIP_BYTES, TILE_BYTES)] {
            if let Some(entry) = directory.entry(listed) {
                set(entry, meant);
            }
        }
    }
    readable
}

/// Whether bits are filled from the lowest of each byte (FillOrder 2), which the crate `tiff` does not know.
pub(super) fn fills_from_the_lowest_bit(file: &[u8]) -> bool {
    let order = || {
        let directory = Directory::of(file)?;
        directory.number(directory.value(FILL_ORDER)?, 2)
    };
    order() == Some(2)
}

/// Whether the first strip or tile is compressed by LZW as it was before TIFF 5.0: bits in the other order. Known, as libtiff does, by
/// the code to begin with, 256.
pub(super) fn has_old_lzw(file: &[u8]) -> bool {
    let old = || {
        let directory = Directory::of(file)?;
        let compression = directory.number(directory.value(COMPRESSION)?, 2)?;
        let entry = directory.entry(TILE_OFFSETS).or_else(|| directory.entry(STRIP_OFFSETS))?;
        let (wide, width) = if directory.is_big { (8, 8) } else { (4, 4) };
        // Offsets of 16 bits are as good as never written.
        let value = entry + 4 + wide;
        let is_here = directory.number(entry + 4, wide)? == 1;
        let offset = if is_here {
            directory.number(value, width)?
        } else {
            directory.number(directory.number(value, width)?, width)?
        };
        Some(compression == LZW && matches!(file.get(offset..)?, [0, next, ..] if next & 1 == 1))
    };
    old().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of one tag, the kind of picture (262), with so many values of 16 bits.
    fn tiff(values: u32, big: bool) -> Vec<u8> {
        let short = |number: u16| if big { number.to_be_bytes() } else { number.to_le_bytes() };
        let long = |number: u32| if big { number.to_be_bytes() } else { number.to_le_bytes() };
        let start: &[u8] = if big { b"MM\0*" } else { b"II*\0" };
        [start, &long(8), &short(1), &short(262), &short(3), &long(values), &short(1), &[0; 6]].concat()
    }

    #[test]
    fn a_tag_with_more_values_than_the_file_has_bytes_is_refused() {
        for big in [false, true] {
            assert!(fits(&tiff(1, big)) && fits(&tiff(13, big)));
            assert!(!fits(&tiff(14, big)) && !fits(&tiff(2_771_273, big)) && !fits(&tiff(u32::MAX, big)));
        }
        // The decoder says what is wrong with these.
        assert!(fits(b"II*\0") && fits(&tiff(1, false)[..20]) && fits(b"II*\0\xFF\xFF\xFF\xFF"));
    }

    /// A directory of these tags, each with one value of 32 bits, or of 16 where that suffices, and then 256 bytes.
    fn tiff_of(tags: &[(u16, u32)], pixels: &[u8]) -> Vec<u8> {
        let mut file = b"MM\0*\0\0\0\x08".to_vec();
        file.extend((tags.len() as u16).to_be_bytes());
        let pixels_at = 8 + 2 + 12 * tags.len() as u32 + 4;
        for (tag, value) in tags {
            let value = if *value == u32::MAX { pixels_at } else { *value };
            file.extend(tag.to_be_bytes());
            if *tag == 273 || *tag == 324 || *tag == 279 || *tag == 325 {
                file.extend([0, 4, 0, 0, 0, 1]);
                file.extend(value.to_be_bytes());
            } else {
                file.extend([0, 3, 0, 0, 0, 1]);
                file.extend((value << 16).to_be_bytes());
            }
        }
        file.extend([0; 4]);
        file.extend(pixels);
        file
    }

    const PIXELS: u32 = u32::MAX;

    #[test]
    fn tiles_that_are_listed_as_strips_are_tiles() {
        let pixels: Vec<u8> = (0..=255).collect();
        let common = [(256, 16), (257, 16), (258, 8), (259, 1), (262, 1)];
        let old = tiff_of(&[&common[..], &[(273, PIXELS), (279, 256), (322, 16), (323, 16)]].concat(), &pixels);
        let new = tiff_of(&[&common[..], &[(322, 16), (323, 16), (324, PIXELS), (325, 256)]].concat(), &pixels);
        let decode = |file: &[u8]| {
            let mut picture = crate::Picture::default();
            crate::decode_file(file, 1 << 20, &mut picture).unwrap();
            picture
        };
        assert_eq!(decode(&old), decode(&new));
        assert_eq!(decode(&old).data(), pixels);
        assert!(matches!(readable(&new).file, Cow::Borrowed(_)));
    }

    #[test]
    fn the_order_of_bits_is_refused_and_a_predictor_of_plain_samples_ignored() {
        let pixels: Vec<u8> = (0..16).map(|i| i * 16).collect();
        let tags = |more: (u16, u32)| {
            let mut tags =
                vec![(256, 16), (257, 1), (258, 8), (259, 1), (262, 1), (273, PIXELS), (278, 1), (279, 16), more];
            tags.sort_unstable();
            let mut picture = crate::Picture::default();
            crate::decode_file(&tiff_of(&tags, &pixels), 1 << 20, &mut picture).map(|_| picture)
        };
        assert_eq!(tags((317, 2)).unwrap().data(), pixels);
        assert_eq!(tags((266, 1)).unwrap().data(), pixels);
        assert!(tags((266, 2)).unwrap_err().to_string().contains("FillOrder 2"));
        // PackBits: one run of 16 bytes.
        let packed = [&[15], &pixels[..]].concat();
        let tags =
            [(256, 16), (257, 1), (258, 8), (259, 32773), (262, 1), (273, PIXELS), (278, 1), (279, 17), (317, 2)];
        let mut picture = crate::Picture::default();
        crate::decode_file(&tiff_of(&tags, &packed), 1 << 20, &mut picture).unwrap();
        assert_eq!(picture.data(), pixels);
    }

    #[test]
    fn where_0_is_white_the_range_is_known_before_samples_are_inverted() {
        let samples: Vec<u8> = [0_u16, 1024, 2048, 4095].iter().flat_map(|sample| sample.to_be_bytes()).collect();
        let decode = |kind: u32, most: Option<u32>, bits: Option<u8>| {
            let mut tags =
                vec![(256, 4), (257, 1), (258, 16), (259, 1), (262, kind), (273, PIXELS), (278, 1), (279, 8)];
            tags.extend(most.map(|most| (281, most)));
            let (options, mut picture) = (crate::DecodeOptions { bits }, crate::Picture::default());
            let decoded = crate::decode_file_with(&tiff_of(&tags, &samples), 1 << 20, options, &mut picture).unwrap();
            (picture.data().to_vec(), decoded.depth.leaves_high_bits_unused())
        };
        for (most, bits) in [(Some(4095), None), (None, Some(12)), (Some(4095), Some(12))] {
            assert_eq!(decode(1, most, bits), (vec![0, 64, 128, 255], false));
            assert_eq!(decode(0, most, bits), (vec![255, 191, 127, 0], false));
        }
        assert_eq!(decode(0, None, None), (vec![255, 251, 247, 239], true));
    }

    #[test]
    fn old_lzw_is_refused_by_name() {
        let tags = [(256, 4), (257, 1), (258, 8), (259, 5), (262, 1), (273, PIXELS), (278, 1), (279, 8)];
        let outcome = |pixels: &[u8]| {
            let file = tiff_of(&tags, pixels);
            format!("{:?}", crate::decode_file(&file, 1 << 20, &mut crate::Picture::default()))
        };
        assert!(outcome(&[0, 1, 2, 3, 4, 5, 6, 7]).contains("old-style LZW"));
        assert!(!outcome(&[0x80, 1, 2, 3, 4, 5, 6, 7]).contains("old-style LZW"));
    }
}
