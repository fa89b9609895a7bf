//! Pixels: from the bytes of a camera or a file to a [`Picture`], and from a picture to a PNG that people look at.
//!
//! ```text
//! camera bytes -- format.rs --+                      +-- resize.rs (taps.rs) --> the size a model wants
//!                  jpeg.rs ---+--> picture.rs -------+-- colour.rs -----------> luma, YCbCr planes
//! file bytes ---- file.rs ----+    one type, reused  +-- draw.rs, heat.rs ----> pictures for people
//!                  png.rs --------------------------------------------------> snapshots
//! ```
//!
//! All arithmetic is on integers, so the same input gives the same bytes on every CPU. Decoding of raw formats,
//! resizing and colour conversion write into buffers that the caller keeps: after the first call of a given size
//! they make no heap allocation. (JPEG and PNG decoders allocate on each call.)

// Nothing that comes from outside may end the process; tests may.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bicubic;
mod colour;
mod draw;
mod file;
mod format;
mod heat;
mod jpeg;
mod jpeg_loss;
mod jpeg_stream;
mod picture;
mod png;
mod resize;
mod rows;
mod taps;

pub mod testing;

pub use bicubic::BicubicRows;
pub use colour::{luma_into, luma_row, merge_row, merge_ycbcr, rgb_into, split_row, split_ycbcr};
pub use draw::{Colour, frame_box, label, side_by_side, stacked};
pub use file::decode_file;
pub use format::{PixelFormat, Range, RawFrame, decode_into};
pub use heat::heatmap_over;
pub use jpeg_loss::lose_as_jpeg;
pub use picture::{Layout, Picture, Rect};
pub use png::write_png;
pub use resize::Resizer;
pub use rows::{Form, RowReader, RowWriter, write_png_rows};
pub use taps::Filter;

/// What can be wrong with a picture or with the bytes it should come from.
///
/// Messages name no file: the caller puts the name in front.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Width or height is zero.
    #[error("picture is {width}x{height}: width and height must be at least 1")]
    Empty {
        /// Width, pixels.
        width: usize,
        /// Height, pixels.
        height: usize,
    },
    /// More pixels than the caller allows.
    #[error("picture is {width}x{height}, more than the limit of {limit} pixels: shrink it or raise the limit")]
    TooLarge {
        /// Width, pixels.
        width: usize,
        /// Height, pixels.
        height: usize,
        /// The limit, pixels.
        limit: usize,
    },
    /// A buffer does not hold what its format and size call for.
    #[error("{what} needs {expected} bytes, got {actual}: frame cut short, or wrong format or size given")]
    BufferLength {
        /// What the buffer should hold.
        what: &'static str,
        /// Bytes needed.
        expected: usize,
        /// Bytes found.
        actual: usize,
    },
    /// The rows of a raw frame would overlap.
    #[error("stride of {stride} bytes is shorter than a row of {row} bytes: ask the camera for its bytes per line")]
    ShortStride {
        /// The stride given, bytes.
        stride: usize,
        /// Bytes in one row.
        row: usize,
    },
    /// A picture has another size than was agreed.
    #[error("{what} is {actual_width}x{actual_height}, expected {width}x{height}")]
    SizeMismatch {
        /// Which picture.
        what: &'static str,
        /// Expected width, pixels.
        width: usize,
        /// Expected height, pixels.
        height: usize,
        /// Found width, pixels.
        actual_width: usize,
        /// Found height, pixels.
        actual_height: usize,
    },
    /// A picture has another layout than was agreed.
    #[error("{what} has {actual} channel(s), expected {expected}")]
    LayoutMismatch {
        /// Which picture.
        what: &'static str,
        /// Channels expected.
        expected: usize,
        /// Channels found.
        actual: usize,
    },
    /// An intact file of a kind that is not read; the text says what to do.
    #[error("{0}")]
    Unsupported(&'static str),
    /// Neither PNG nor JPEG.
    #[error("not a PNG or JPEG file: {0}")]
    UnknownFile(String),
    /// A damaged file or frame.
    #[error("broken {kind}: {reason}")]
    Broken {
        /// "JPEG" or "PNG".
        kind: &'static str,
        /// What the decoder says.
        reason: String,
    },
    /// A PNG could not be written.
    #[error("cannot write PNG: {0}")]
    Write(String),
}
