//! The planes of a raw frame, in one piece of memory or in several, each known to lie inside its bytes.

use super::PictureError;
use super::raw::{RawFrame, RawPlane};

/// The size of a plane of chroma that follows luma.
#[derive(Clone, Copy)]
pub(super) struct ChromaShape {
    /// Bytes of a row.
    pub row: usize,
    /// Bytes from one row to the next.
    pub stride: usize,
    /// How many rows there are.
    pub rows: usize,
}

/// The rows of a plane, known to lie inside the buffer.
pub(super) struct Rows<'a> {
    bytes: &'a [u8],
    length: usize,
    stride: usize,
}

impl<'a> Rows<'a> {
    /// `count` rows of `length` bytes, of a frame that has one plane.
    pub fn of(raw: &RawFrame<'a>, what: &'static str, length: usize, count: usize) -> Result<Rows<'a>, PictureError> {
        Rows::of_plane(RawPlane { stride: raw.stride, bytes: raw.bytes }, what, length, count)
    }

    fn of_plane(
        plane: RawPlane<'a>,
        what: &'static str,
        length: usize,
        count: usize,
    ) -> Result<Rows<'a>, PictureError> {
        let stride = plane.stride.unwrap_or(length);
        if stride < length {
            return Err(PictureError::ShortStride { stride, row: length });
        }
        // The last row may end before its stride does.
        let expected = stride.saturating_mul(count - 1).saturating_add(length);
        if plane.bytes.len() < expected {
            return Err(PictureError::BufferLength { what, expected, actual: plane.bytes.len() });
        }
        Ok(Rows { bytes: plane.bytes, length, stride })
    }

    /// Luma in rows of `row` bytes, and `N` planes of chroma, which follow luma or lie apart.
    pub fn of_planes<const N: usize>(
        raw: &RawFrame<'a>,
        what: &'static str,
        row: usize,
        chroma: ChromaShape,
    ) -> Result<(Rows<'a>, [Rows<'a>; N]), PictureError> {
        if raw.format.planes_apart() == N {
            let luma = Rows::of(raw, what, row, raw.height)?;
            let plane = |i: usize| raw.apart.get(i).copied().unwrap_or(RawPlane { stride: None, bytes: &[] });
            let mut planes = [const { Rows { bytes: &[], length: 0, stride: 0 } }; N];
            for (i, rows) in planes.iter_mut().enumerate() {
                *rows = Rows::of_plane(plane(i), what, chroma.row, chroma.rows)?;
            }
            return Ok((luma, planes));
        }
        let stride = raw.stride.unwrap_or(row);
        if stride < row {
            return Err(PictureError::ShortStride { stride, row });
        }
        let luma = stride.saturating_mul(raw.height);
        let plane = chroma.stride.saturating_mul(chroma.rows);
        // The last row may end before its stride does.
        let last = chroma.stride.saturating_mul(chroma.rows - 1).saturating_add(chroma.row);
        let expected = luma.saturating_add(plane.saturating_mul(N - 1)).saturating_add(last);
        if raw.bytes.len() < expected {
            return Err(PictureError::BufferLength { what, expected, actual: raw.bytes.len() });
        }
        let planes = std::array::from_fn(|i| Rows {
            bytes: &raw.bytes[luma + i * plane..],
            length: chroma.row,
            stride: chroma.stride,
        });
        Ok((Rows { bytes: raw.bytes, length: row, stride }, planes))
    }

    /// A row.
    pub fn row(&self, y: usize) -> &'a [u8] {
        &self.bytes[y * self.stride..][..self.length]
    }
}
