//! Buffers of the driver, mapped into this process.

use rustix::mm::{MapFlags, ProtFlags};
use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::{NonNull, null_mut};
use v4l::v4l2;

const READ_AND_WRITE: c_int = ProtFlags::READ.union(ProtFlags::WRITE).bits() as c_int;
const SHARED: c_int = MapFlags::SHARED.bits() as c_int;

/// A driver's buffer, mapped into this process. Unmapped when dropped.
pub struct Mapping {
    address: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory belongs to the mapping, and nothing in it is bound to a thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the buffer that the driver identifies by `offset`.
    pub fn new(device: &OwnedFd, offset: u32, length: u32) -> io::Result<Mapping> {
        let length = length as usize;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that is in use.
        let address =
            unsafe { v4l2::mmap(null_mut(), length, READ_AND_WRITE, SHARED, device.as_raw_fd(), i64::from(offset)) }?;
        NonNull::new(address.cast()).map(|address| Mapping { address, length }).ok_or(io::ErrorKind::OutOfMemory.into())
    }

    /// The first `length` bytes, or all where it has fewer.
    ///
    /// # Safety
    /// The buffer must belong to this program, not to the driver, for as long as the bytes are borrowed.
    pub unsafe fn bytes(&self, length: usize) -> &[u8] {
        // SAFETY: mapped for at least that long, and the caller guarantees that nobody writes to it.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), length.min(self.length)) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // An error would mean that nothing was mapped there.
        // SAFETY: mapped by `new` with this length, and borrowed by nobody: `bytes` borrows the mapping.
        let _ = unsafe { v4l2::munmap(self.address.as_ptr().cast(), self.length) };
    }
}
