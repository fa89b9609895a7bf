//! The requests (ioctls) that capture makes of a V4L2 driver, each tied to the struct that it takes.
//!
//! System calls and request numbers are those of the crate `v4l`, structs those of `v4l2-sys-mit`, which are generated from
//! the kernel's header. Both are checked below, at compile time, against sizes and numbers written down by hand.

use std::ffi::c_int;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::from_mut;
pub use v4l::v4l_sys as sys;
use v4l::v4l2::{self, vidioc};

mod buffer;
pub use buffer::Buffer;

/// Capture into one piece of memory for each frame.
pub const CAPTURE: u32 = sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE;
/// Capture into one piece of memory for each plane of a frame.
pub const CAPTURE_PLANES: u32 = sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
/// Buffers that the driver allocates and this process maps.
pub const MMAP: u32 = sys::v4l2_memory_V4L2_MEMORY_MMAP;

/// The argument of a request: plain integers, and pointers that are never followed, but for those of [`Buffer`].
///
/// # Safety
/// Every bit pattern, all zeros too, must be a valid value.
pub unsafe trait Argument: Sized {
    /// All zeros: how every request begins.
    fn zeroed() -> Self {
        // SAFETY: the implementor guarantees that zeros are a value.
        unsafe { std::mem::zeroed() }
    }
}

macro_rules! arguments {
    ($($argument:ty, $bytes:literal;)*) => { $(
        // SAFETY: integers, arrays and unions of them, raw pointers, and structs of such.
        unsafe impl Argument for $argument {}
        const _: () = assert!(size_of::<$argument>() == $bytes);
    )* };
}

arguments! {
    sys::v4l2_capability, 104;
    sys::v4l2_fmtdesc, 64;
    sys::v4l2_pix_format, 48;
    sys::v4l2_format, 208;
    sys::v4l2_requestbuffers, 20;
    sys::v4l2_pix_format_mplane, 192;
    sys::v4l2_buffer, 88;
    sys::v4l2_plane, 64;
    sys::v4l2_streamparm, 204;
    sys::v4l2_captureparm, 40;
    sys::v4l2_control, 8;
    sys::v4l2_queryctrl, 68;
    sys::v4l2_frmsizeenum, 44;
    sys::v4l2_frmivalenum, 52;
    c_int, 4;
}

/// A request whose argument is a `T`, so that no other can be passed.
pub struct Request<T> {
    number: vidioc::_IOC_TYPE,
    argument: PhantomData<fn(&mut T)>,
}

impl<T: Argument> Request<T> {
    /// Calls the driver; repeats the call where a signal interrupted it.
    pub fn call(&self, device: BorrowedFd, argument: &mut T) -> io::Result<()> {
        loop {
            // SAFETY: the number holds the size of `T`, which is what the kernel reads and writes at `argument`, and any
            // bytes that it leaves there are a `T`.
            let result = unsafe { v4l2::ioctl(device.as_raw_fd(), self.number, from_mut(argument).cast()) };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

macro_rules! requests {
    ($($visible:vis $name:ident: $argument:ty = $vidioc:ident, $number:literal;)*) => { $(
        $visible const $name: Request<$argument> = Request { number: vidioc::$vidioc, argument: PhantomData };
        const _: () = assert!(vidioc::$vidioc as u32 == $number);
    )* };
}

requests! {
    pub QUERYCAP: sys::v4l2_capability = VIDIOC_QUERYCAP, 0x8068_5600;
    pub ENUM_FMT: sys::v4l2_fmtdesc = VIDIOC_ENUM_FMT, 0xC040_5602;
    pub S_FMT: sys::v4l2_format = VIDIOC_S_FMT, 0xC0D0_5605;
    pub REQBUFS: sys::v4l2_requestbuffers = VIDIOC_REQBUFS, 0xC014_5608;
    // The kernel follows a buffer's pointer to its planes: only `Buffer` makes these.
    QUERYBUF: sys::v4l2_buffer = VIDIOC_QUERYBUF, 0xC058_5609;
    QBUF: sys::v4l2_buffer = VIDIOC_QBUF, 0xC058_560F;
    DQBUF: sys::v4l2_buffer = VIDIOC_DQBUF, 0xC058_5611;
    pub STREAMON: c_int = VIDIOC_STREAMON, 0x4004_5612;
    pub STREAMOFF: c_int = VIDIOC_STREAMOFF, 0x4004_5613;
    pub S_PARM: sys::v4l2_streamparm = VIDIOC_S_PARM, 0xC0CC_5616;
    pub S_CTRL: sys::v4l2_control = VIDIOC_S_CTRL, 0xC008_561C;
    pub QUERYCTRL: sys::v4l2_queryctrl = VIDIOC_QUERYCTRL, 0xC044_5624;
    pub ENUM_FRAMESIZES: sys::v4l2_frmsizeenum = VIDIOC_ENUM_FRAMESIZES, 0xC02C_564A;
    pub ENUM_FRAMEINTERVALS: sys::v4l2_frmivalenum = VIDIOC_ENUM_FRAMEINTERVALS, 0xC034_564B;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_file_that_is_no_device_refuses_every_request_with_an_error() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let errno = |result: io::Result<()>| result.unwrap_err().raw_os_error();
        let not_a_device = Some(rustix::io::Errno::NOTTY.raw_os_error());
        assert_eq!(errno(QUERYCAP.call(file.as_fd(), &mut Argument::zeroed())), not_a_device);
        assert_eq!(errno(DQBUF.call(file.as_fd(), &mut Argument::zeroed())), not_a_device);
        assert_eq!(errno(STREAMOFF.call(file.as_fd(), &mut (CAPTURE as c_int))), not_a_device);
    }
}
