//! The directory of a TIFF, checked before its decoder reads it: that takes memory for as many values as a tag announces.

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

/// The file with a palette made into one of plain samples, the places in the palette; `None` for other files. The crate `tiff`
/// decodes the samples of such a file only so.
pub(super) fn without_palette(file: &[u8]) -> Option<Vec<u8>> {
    const KIND: usize = 262;
    const PALETTE: usize = 3;
    const BLACK_IS_ZERO: u8 = 1;
    let directory = Directory::of(file)?;
    let entry = directory.places().find(|at| directory.number(*at, 2) == Some(KIND))?;
    let value = entry + if directory.is_big { 12 } else { 8 };
    if directory.number(value, 2)? != PALETTE {
        return None;
    }
    let low = if file.starts_with(b"MM") { value + 1 } else { value };
    let mut plain = file.to_vec();
    *plain.get_mut(low)? = BLACK_IS_ZERO;
    Some(plain)
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
}
