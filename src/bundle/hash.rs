//! SHA-256 in hexadecimal digits.

use crate::files;
use sha2::{Digest, Sha256};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// SHA-256 of bytes, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// SHA-256 of bytes that come in pieces.
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub(super) fn new() -> Hasher {
        Hasher(Sha256::new())
    }

    pub(super) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// In hexadecimal digits.
    pub(super) fn finish(self) -> String {
        hexadecimal(&self.0.finalize())
    }
}

/// SHA-256 of a file, hexadecimal; reads it in pieces.
///
/// # Errors
/// [`io::Error`] where it cannot be read.
pub(super) fn sha256_of_file(path: &Path) -> io::Result<String> {
    let mut hasher = Hasher::new();
    let mut reader = BufReader::with_capacity(1 << 16, files::open(path)?.0);
    loop {
        let part = reader.fill_buf()?;
        if part.is_empty() {
            break;
        }
        hasher.update(part);
        let count = part.len();
        reader.consume(count);
    }
    Ok(hasher.finish())
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
