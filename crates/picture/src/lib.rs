#![doc = include_str!("../README.md")]
//!
//! # How the modules lie
//!
//! ```text
//! camera bytes -- format --+                                   +-- resize (taps), bicubic --> the size a model wants
//!                 jpeg ----+--> picture: one type, reused -----+-- colour ------------------> luma, YCbCr planes
//! file bytes ---- file ----+                                   +-- affine ------------------> the same, moved and turned
//!                                                              +-- registration ----------> where a part lies in it
//!                                                              +-- similarity ------------> the part back in its place
//!                 codecs                                       +-- draw, heat --------------> pictures for people
//!                                                              +-- png ---------------------> files
//! large files --- rows (png) --> one row after the other
//! ```
//!
//! JPEG, and the other file formats, allocate on each call, in the decoders' libraries.

// Nothing that comes from outside may end the process; tests may.
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod affine;
mod bicubic;
mod codecs;
mod colour;
mod depth;
mod draw;
mod file;
#[cfg(test)]
mod file_tests;
mod format;
mod guard;
mod heat;
mod jpeg;
mod jpeg_loss;
mod metadata;
mod orientation;
mod picture;
mod planes;
mod png;
mod raw;
pub mod registration;
mod resize;
mod rows;
mod similarity;
mod taps;
mod text_mode;
mod tiff;
mod tiff_directory;
mod webp_frames;
mod whole;

pub mod testing;

pub use affine::{Border, Movement};
pub use bicubic::BicubicRows;
pub use colour::{Range, luma_into, luma_row, merge_row, merge_ycbcr, rgb_into, split_row, split_ycbcr};
pub use depth::{BitsInUse, DecodeOptions, SampleDepth};
pub use draw::{Colour, draw_box, label, side_by_side, stacked};
pub use file::{Decoded, EXTENSIONS, decode_file, decode_file_with, is_picture_name, max_file_bytes};
pub use format::decode_into;
pub use guard::is_guarded;
pub use heat::overlay_heatmap;
/// The crate whose pictures [`Picture`] converts to and from.
pub use image;
pub use jpeg_loss::simulate_jpeg;
pub use metadata::{Density, Metadata};
pub use picture::{Layout, Picture, Rect, RowLayout};
pub use png::{RowWriter, write_png, write_png_rows, write_png_rows_with};
pub use raw::{PixelFormat, RawFrame, RawPlane};
pub use resize::{Resizer, upscale_bicubic};
pub use rows::RowReader;
pub use similarity::{Pose, Similarity};
pub use taps::Filter;

/// What can be wrong with a picture or with the bytes it should come from.
///
/// Messages name no file: the caller puts the name in front.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// An intact file of a kind that is not read; the text has the remedy.
    #[error("{0}")]
    Unsupported(&'static str),
    /// An intact file of a coding that its decoder does not read.
    #[error("{kind} of a kind that is not read ({reason}): save it in another")]
    UnsupportedCoding {
        /// The format, such as "TIFF".
        kind: &'static str,
        /// The decoder's message.
        reason: String,
    },
    /// Samples are larger than the number of bits that the caller stated can hold.
    #[error(
        "has samples up to {largest}, more than {bits} bits hold: give the number of bits that the camera has, or none"
    )]
    TooManyBits {
        /// Bits as stated.
        bits: u8,
        /// The largest sample.
        largest: u16,
    },
    /// A file of none of the formats that are read.
    #[error("not a PNG, JPEG, BMP, TIFF, WebP or PNM file: {0}")]
    UnknownFile(String),
    /// A damaged file or frame.
    #[error("broken {kind}: {reason}")]
    Broken {
        /// The format, such as "JPEG".
        kind: &'static str,
        /// The decoder's message.
        reason: String,
    },
    /// A PNG could not be written.
    #[error("cannot write PNG: {0}")]
    Write(String),
}
