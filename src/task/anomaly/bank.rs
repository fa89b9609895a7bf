//! The memory bank: rows of features seen on normal parts. A cell's distance is that to its nearest row
//! (PatchCore, Roth et al. 2022, with squared Euclidean distance in exact integers).

/// Rows of `channels` bytes each.
pub struct Bank {
    channels: usize,
    rows: Vec<u8>,
}

const MAGIC: &[u8; 4] = b"LSBK";
const HEADER: usize = 16;

impl Bank {
    /// Reads `bank.bin`: `LSBK`, then version 1, number of rows and number of channels as little-endian u32, then the
    /// rows.
    ///
    /// # Errors
    /// One line that says what is wrong with the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Bank, String> {
        let word = |at: usize| {
            bytes
                .get(at..at + 4)
                .and_then(|word| word.try_into().ok())
                .map_or(0, |word| u32::from_le_bytes(word) as usize)
        };
        if bytes.len() < HEADER || &bytes[..4] != MAGIC {
            return Err("not a memory bank (it does not begin with LSBK)".into());
        }
        let (version, rows, channels) = (word(4), word(8), word(12));
        if version != 1 {
            return Err(format!("memory bank of version {version}: this program reads version 1"));
        }
        // Squared distances of more channels could pass i32; see `Bank::distance`.
        if rows == 0 || channels == 0 || channels > 16384 {
            return Err(format!("{rows} rows of {channels} channels: 1 row or more, 1 to 16384 channels are possible"));
        }
        if rows.checked_mul(channels) != Some(bytes.len() - HEADER) {
            return Err(format!(
                "{rows} rows of {channels} channels are announced, {} bytes follow",
                bytes.len() - HEADER
            ));
        }
        Ok(Bank { channels, rows: bytes[HEADER..].to_vec() })
    }

    /// Features a row holds.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        self.rows.len()
    }

    /// Squared Euclidean distance from `cell` to the nearest row. At most `255² · 16384 < 2³¹`, so it is exact.
    pub fn distance(&self, cell: &[u8]) -> u32 {
        self.rows.chunks_exact(self.channels).map(|row| squared_distance(cell, row)).min().unwrap_or(0)
    }
}

/// In 16-bit differences, whose squares compilers add up in pairs (`pmaddwd`, `smlal`).
fn squared_distance(a: &[u8], b: &[u8]) -> u32 {
    let square = |(&a, &b): (&u8, &u8)| {
        let difference = i16::from(a) - i16::from(b);
        i32::from(difference) * i32::from(difference)
    };
    let (blocks_a, rest_a) = a.as_chunks::<32>();
    let (blocks_b, rest_b) = b.as_chunks::<32>();
    let mut sums = [0i32; 32];
    for (a, b) in blocks_a.iter().zip(blocks_b) {
        for (sum, pair) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += square(pair);
        }
    }
    (sums.iter().sum::<i32>() + rest_a.iter().zip(rest_b).map(square).sum::<i32>()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(rows: u32, channels: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for word in [1, rows, channels] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(data);
        bytes
    }

    #[test]
    fn the_nearest_row_counts() {
        let bank = Bank::parse(&file(2, 3, &[0, 0, 0, 10, 20, 255])).unwrap();
        assert_eq!(bank.distance(&[0, 0, 0]), 0);
        assert_eq!(bank.distance(&[9, 22, 255]), 1 + 4);
        assert_eq!(bank.distance(&[0, 0, 100]), 100 * 100);
    }

    #[test]
    fn damaged_banks_are_refused() {
        let good = file(2, 3, &[0; 6]);
        for cut in 0..good.len() {
            assert!(Bank::parse(&good[..cut]).is_err(), "cut to {cut}");
        }
        assert!(Bank::parse(&file(u32::MAX, u32::MAX, &[])).is_err());
        assert!(Bank::parse(&file(0, 3, &[])).is_err());
    }
}
