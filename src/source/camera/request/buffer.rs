//! A driver's buffer in the requests that name one, with its planes where each has memory of its own.

use super::super::device::MAX_PLANES;
use super::{Argument, CAPTURE_PLANES, DQBUF, MMAP, QBUF, QUERYBUF, Request, sys};
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// As many planes as the kernel writes at most (`VIDEO_MAX_PLANES`).
const ROOM: usize = sys::VIDEO_MAX_PLANES as usize;

/// A buffer as the driver describes it.
pub struct Buffer {
    buffer: sys::v4l2_buffer,
    planes: [sys::v4l2_plane; ROOM],
}

/// The memory of a plane of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaneMemory {
    /// By which the driver identifies it.
    pub offset: u32,
    /// Bytes.
    pub length: u32,
    /// Where the bytes of the frame lie in it.
    pub filled: Range<usize>,
}

impl Buffer {
    /// What the driver says of one of its buffers; `kind` is that of the capture.
    pub fn query(device: BorrowedFd, kind: u32, index: u32) -> io::Result<Buffer> {
        Buffer::call(device, &QUERYBUF, kind, index)
    }

    /// Gives a buffer to the driver, which fills it.
    pub fn queue(device: BorrowedFd, kind: u32, index: u32) -> io::Result<()> {
        Buffer::call(device, &QBUF, kind, index).map(drop)
    }

    /// Takes the buffer that was filled first.
    pub fn dequeue(device: BorrowedFd, kind: u32) -> io::Result<Buffer> {
        Buffer::call(device, &DQBUF, kind, 0)
    }

    fn call(device: BorrowedFd, request: &Request<sys::v4l2_buffer>, kind: u32, index: u32) -> io::Result<Buffer> {
        let buffer = sys::v4l2_buffer { index, type_: kind, memory: MMAP, ..Argument::zeroed() };
        let mut argument = Buffer { buffer, planes: [Argument::zeroed(); ROOM] };
        if kind == CAPTURE_PLANES {
            // The kernel writes to as many planes as `length` says. They live longer than the call.
            argument.buffer.m.planes = argument.planes.as_mut_ptr();
            argument.buffer.length = ROOM as u32;
        }
        request.call(device, &mut argument.buffer)?;
        Ok(argument)
    }

    /// Which buffer it is.
    pub fn index(&self) -> u32 {
        self.buffer.index
    }

    /// `V4L2_BUF_FLAG_*`.
    pub fn flags(&self) -> u32 {
        self.buffer.flags
    }

    /// When it was filled, by the clock that the flags name.
    pub fn timestamp(&self) -> &sys::timeval {
        &self.buffer.timestamp
    }

    /// Its memory, plane by plane.
    pub fn memory(&self) -> impl Iterator<Item = PlaneMemory> {
        (0..MAX_PLANES).map_while(|plane| self.plane(plane))
    }

    fn plane(&self, plane: usize) -> Option<PlaneMemory> {
        if self.buffer.type_ == CAPTURE_PLANES {
            let planes = self.planes.get(..self.buffer.length as usize).unwrap_or(&self.planes);
            let found = planes.get(plane)?;
            // SAFETY: the variant of the union that belongs to this kind of memory; all its bytes are initialized.
            let offset = unsafe { found.m.mem_offset };
            // What the driver puts before the picture counts among the bytes in use.
            let filled = found.data_offset as usize..found.bytesused as usize;
            return Some(PlaneMemory { offset, length: found.length, filled });
        }
        // SAFETY: as above.
        let offset = unsafe { self.buffer.m.offset };
        (plane == 0).then_some(PlaneMemory {
            offset,
            length: self.buffer.length,
            filled: 0..self.buffer.bytesused as usize,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::CAPTURE;
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn memory_is_read_from_where_the_kind_of_capture_has_it() {
        let mut of = Buffer { buffer: Argument::zeroed(), planes: [Argument::zeroed(); ROOM] };
        of.buffer.type_ = CAPTURE;
        of.buffer.length = 100;
        of.buffer.bytesused = 90;
        of.buffer.m.offset = 4096;
        assert_eq!(of.memory().collect::<Vec<_>>(), [PlaneMemory { offset: 4096, length: 100, filled: 0..90 }]);
        of.buffer.type_ = CAPTURE_PLANES;
        of.buffer.length = 2;
        for (plane, offset) in of.planes.iter_mut().zip([8192, 16384, 0]) {
            (plane.length, plane.bytesused, plane.data_offset) = (64, 60, 4);
            plane.m.mem_offset = offset;
        }
        let expected = [8192, 16384].map(|offset| PlaneMemory { offset, length: 64, filled: 4..60 });
        assert_eq!(of.memory().collect::<Vec<_>>(), expected);
        // A driver that claims more planes than there are.
        of.buffer.length = 99;
        assert_eq!(of.memory().count(), MAX_PLANES);
    }

    #[test]
    fn a_file_that_is_no_device_is_an_error() {
        let file = std::fs::File::open("/dev/null").unwrap();
        for kind in [CAPTURE, CAPTURE_PLANES] {
            assert!(Buffer::query(file.as_fd(), kind, 0).is_err());
            assert!(Buffer::queue(file.as_fd(), kind, 0).is_err());
            assert!(Buffer::dequeue(file.as_fd(), kind).is_err());
        }
    }
}
