//! Buffers of the driver, mapped into this process.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;

/// A driver's buffer, mapped into this process.
pub struct Mapping {
    address: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory belongs to the mapping, and nothing in it is bound to a thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the buffer that the driver calls by `offset`.
    pub fn of(device: &OwnedFd, offset: u32, length: u32) -> io::Result<Mapping> {
        let length = length as usize;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that is there.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                device.as_raw_fd(),
                libc::off_t::from(offset),
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(address.cast()).map(|address| Mapping { address, length }).ok_or(io::ErrorKind::OutOfMemory.into())
    }
}

impl Mapping {
    /// Its first bytes, `length` of them or all.
    ///
    /// # Safety
    /// The buffer is this program's, not the driver's, as long as the bytes are borrowed.
    pub unsafe fn bytes(&self, length: usize) -> &[u8] {
        // SAFETY: mapped for at least that long, and by the caller's word nobody writes to it.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), length.min(self.length)) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `of` with this length, and borrowed by nobody: `bytes` borrows the mapping.
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.length) };
    }
}
