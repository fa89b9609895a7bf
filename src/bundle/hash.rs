//! SHA-256 in hexadecimal digits.

use crate::files;
use sha2::{Digest, Sha256};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// SHA-256 of bytes, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// SHA-256 of a file, hexadecimal; reads it in pieces.
///
/// # Errors
/// [`io::Error`] where it cannot be read.
pub(super) fn sha256_of_file(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut reader = BufReader::with_capacity(1 << 16, files::open(path)?.0);
    loop {
        let part = reader.fill_buf()?;
        if part.is_empty() {
            break;
        }
        hash.update(part);
        let count = part.len();
        reader.consume(count);
    }
    Ok(hexadecimal(&hash.finalize()))
}

/// Two hexadecimal digits per byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_agrees_with_the_published_vector() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
