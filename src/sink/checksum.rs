//! The checksum of a line of the broker's queue: a tab and eight hexadecimal digits (CRC-32) after the JSON object.
//!
//! Lines that 0.1.0 wrote have none; they are read as they are.

/// A tab and eight digits.
const LENGTH: usize = 9;

/// The line with its checksum.
pub fn with_checksum(line: &str) -> String {
    format!("{line}\t{:08x}", crc32fast::hash(line.as_bytes()))
}

/// The line (without its end) without its checksum; `None` where the checksum is another one. A line may have none.
pub fn without_checksum(line: &[u8]) -> Option<&[u8]> {
    let at = line.len().saturating_sub(LENGTH);
    let Some(digits) = line[at..].strip_prefix(b"\t") else { return Some(line) };
    let sum = std::str::from_utf8(digits).ok().and_then(|digits| u32::from_str_radix(digits, 16).ok());
    (sum == Some(crc32fast::hash(&line[..at]))).then_some(&line[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_bit_is_noticed_or_leaves_no_record() {
        let line = with_checksum("{\"record\":\"event\",\"score\":0.25}");
        assert_eq!(without_checksum(line.as_bytes()), Some(&line.as_bytes()[..line.len() - 9]));
        for bit in 0..line.len() * 8 {
            let mut damaged = line.clone().into_bytes();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let read = without_checksum(&damaged);
            // Without its tab the line is not JSON any more.
            let is_object = |line| serde_json::from_slice::<serde_json::Value>(line).is_ok();
            // The case of a digit changes nothing.
            let same = damaged.to_ascii_lowercase() == line.as_bytes();
            assert!(same || !read.is_some_and(is_object), "{bit}: {:?}", String::from_utf8_lossy(&damaged));
        }
    }

    #[test]
    fn a_line_of_an_older_version_has_none() {
        assert_eq!(without_checksum(b"{\"record\":\"event\"}"), Some(&b"{\"record\":\"event\"}"[..]));
        assert_eq!(without_checksum(b""), Some(&b""[..]));
    }
}
