//! The directory of a TIFF, checked before its decoder reads it: that takes memory for as many values as a tag announces.

/// Whether the values of all tags of the first picture fit into the file. A directory that is cut short is left to the decoder.
///
/// TIFF 6.0, section 2: 12 bytes an entry: tag, type, number of values, and the values, or where they are.
pub(super) fn fits(file: &[u8]) -> bool {
    let is_big_endian = file.starts_with(b"MM");
    let number = |at: usize, length: usize| {
        let bytes = file.get(at..at.checked_add(length)?)?.iter();
        let push = |number: usize, byte: &u8| (number << 8) | usize::from(*byte);
        Some(if is_big_endian { bytes.fold(0, push) } else { bytes.rev().fold(0, push) })
    };
    let Some((directory, entries)) = number(4, 4).and_then(|at| Some((at, number(at, 2)?))) else { return true };
    let fits = |entry: usize| {
        let at = directory + 2 + 12 * entry;
        let (Some(kind), Some(count)) = (number(at + 2, 2), number(at + 4, 4)) else { return true };
        // Of the types 1 to 13.
        let size = [1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4].get(kind.wrapping_sub(1)).copied().unwrap_or(1_usize);
        count.checked_mul(size).is_some_and(|bytes| bytes <= file.len())
    };
    (0..entries).all(fits)
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
