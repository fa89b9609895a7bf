//! A picture as its file has it: with opacity, metadata, and the range of its samples.

use super::PictureError;
use super::depth::{DecodeOptions, SampleDepth, StatedRange, to_8_bits};
use super::metadata::Metadata;
use super::orientation::upright;
use super::picture::{Picture, RowLayout};

/// A decoded picture, with opacity where the file has it.
pub(super) struct WholePicture {
    pub row: RowLayout,
    pub width: usize,
    pub height: usize,
    /// `[height, width, channels]`.
    pub bytes: Vec<u8>,
    pub depth: SampleDepth,
    pub metadata: Metadata,
}

/// Samples as a file has them, before they are brought to 8 bits.
pub(super) enum Samples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>, StatedRange),
}

impl WholePicture {
    /// A picture of `size` pixels as its file has it.
    pub fn new(
        row: RowLayout,
        (width, height): (usize, usize),
        samples: Samples,
        options: DecodeOptions,
        metadata: Metadata,
    ) -> Result<WholePicture, PictureError> {
        let (bytes, depth) = match samples {
            Samples::Eight(bytes) => (bytes, SampleDepth::EIGHT),
            Samples::Sixteen(samples, stated) => to_8_bits(&samples, row, stated, options)?,
        };
        Ok(WholePicture { row, width, height, bytes, depth, metadata })
    }

    /// The picture turned as its metadata states.
    pub fn upright(self) -> WholePicture {
        let (orientation, channels) = (self.metadata.orientation, self.row.channels());
        let (bytes, (width, height)) = upright(orientation, self.bytes, (self.width, self.height), channels);
        WholePicture { bytes, width, height, metadata: self.metadata.of_upright(), ..self }
    }

    /// The picture without its alpha channel.
    ///
    /// # Errors
    /// [`PictureError::Unsupported`] where a pixel is not opaque.
    pub fn opaque(mut self) -> Result<Picture, PictureError> {
        if self.row.alpha {
            let colours = self.row.layout.channels();
            let pixels = self.bytes.chunks_exact(colours + 1);
            if pixels.clone().any(|pixel| pixel[colours] != 255) {
                return Err(PictureError::Unsupported("has transparency: flatten it first"));
            }
            self.bytes = pixels.flat_map(|pixel| &pixel[..colours]).copied().collect();
        }
        Picture::from_data(self.row.layout, self.width, self.height, self.bytes)
    }
}
