//! Pictures that a command reads by name, and what range their samples use.

use super::{MAX_PICTURE_BYTES, MAX_PIXELS};
use crate::bundle::sha256;
use crate::files;
use anyhow::Context;
use lineside_picture::{BitsInUse, DecodeOptions, Decoded, Picture, PictureError, decode_file_with};
use std::path::{Path, PathBuf};

/// Reads pictures, with the bits that `--bits` states.
pub struct PictureReader {
    options: DecodeOptions,
    in_use: BitsInUse,
    /// Files of several pictures, and the first of them.
    several: (u64, Option<PathBuf>),
}

/// Reads and decodes one picture file, which is yet to be counted; the error names it.
pub fn read_picture(path: &Path, options: DecodeOptions, picture: &mut Picture) -> anyhow::Result<Decoded> {
    let name = || path.display().to_string();
    let bytes = files::read(path, MAX_PICTURE_BYTES).with_context(name)?;
    decode_file_with(&bytes, MAX_PIXELS, options, picture).with_context(name)
}

impl PictureReader {
    /// With `bits` used of each sample of 16, where the command line states it.
    pub fn new(bits: Option<u8>) -> PictureReader {
        PictureReader { options: DecodeOptions { bits }, in_use: BitsInUse::default(), several: (0, None) }
    }

    /// Reads and decodes one picture file; the error names it.
    pub fn read(&mut self, path: &Path, picture: &mut Picture) -> anyhow::Result<()> {
        let decoded = read_picture(path, self.options, picture)?;
        self.count(path, &decoded);
        Ok(())
    }

    /// How it decodes, for threads that read with [`read_picture`].
    pub fn options(&self) -> DecodeOptions {
        self.options
    }

    /// Decodes the bytes of the file at `path`.
    pub fn decode(&mut self, path: &Path, bytes: &[u8], picture: &mut Picture) -> Result<(), PictureError> {
        let decoded = decode_file_with(bytes, MAX_PIXELS, self.options, picture)?;
        self.count(path, &decoded);
        Ok(())
    }

    /// Counts what was found in the file at `path`.
    pub fn count(&mut self, path: &Path, decoded: &Decoded) {
        self.in_use.add(decoded.depth);
        if decoded.has_more_pictures {
            self.several.0 += 1;
            self.several.1.get_or_insert_with(|| path.to_path_buf());
        }
    }

    /// What a file's pixels are known by: the hash of its bytes and, where they are stated, of the bits.
    pub fn key(&self, bytes: &[u8]) -> String {
        let key = sha256(bytes);
        match self.options.bits {
            Some(bits) => sha256(format!("{key} of {bits} bits").as_bytes()),
            None => key,
        }
    }

    /// Writes to the log where no picture used the highest bits, and of which files only the first of several pictures was read.
    pub fn advise(&self) {
        if let (count, Some(first)) = &self.several {
            log::warn!(
                "{count} files of several pictures, such as {}: only the first of each is used",
                first.display()
            );
        }
        if let Some(advice) = self.in_use.advice("--bits N") {
            log::warn!("{advice}");
        }
    }
}
