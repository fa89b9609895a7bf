//! The part of Linux's `linux/videodev2.h` that capture takes: its structs, its requests, and the numbers in them.
//!
//! Written down here and checked against the kernel's header (sizes and request numbers, below, at compile time), because
//! the crates that generate it need libclang on every machine that builds. The layouts are those of 64-bit Linux.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `VIDEO_CAPTURE` of `v4l2_buf_type`: one plane.
pub const CAPTURE: u32 = 1;
/// `MMAP` of `v4l2_memory`.
pub const MMAP: u32 = 1;

/// Capabilities.
pub const CAP_CAPTURE: u32 = 0x0000_0001;
pub const CAP_CAPTURE_MPLANE: u32 = 0x0000_1000;
pub const CAP_STREAMING: u32 = 0x0400_0000;
pub const CAP_DEVICE_CAPS: u32 = 0x8000_0000;
/// Of `v4l2_captureparm`: the rate can be set.
pub const CAP_TIME_PER_FRAME: u32 = 0x1000;

/// Of a buffer: its content is damaged; which clock its time is from.
pub const FLAG_ERROR: u32 = 0x40;
pub const FLAG_TIMESTAMP_MASK: u32 = 0xE000;
pub const FLAG_TIMESTAMP_MONOTONIC: u32 = 0x2000;

/// Of a control: it is there but cannot be set.
pub const CONTROL_DISABLED: u32 = 0x1;
pub const CONTROL_READ_ONLY: u32 = 0x4;

/// How sizes and intervals are told.
pub const DISCRETE: u32 = 1;

/// `v4l2_colorspace`, `v4l2_quantization`.
pub const COLORSPACE_JPEG: u32 = 7;
pub const QUANTIZATION_FULL: u32 = 1;
pub const QUANTIZATION_LIMITED: u32 = 2;

/// The four letters of a pixel format.
pub const fn fourcc(letters: &[u8; 4]) -> u32 {
    u32::from_le_bytes(*letters)
}

/// A struct of the kernel's interface: plain integers, for which any bytes are a value.
///
/// # Safety
/// Every bit pattern, all zeros too, must be a valid value.
pub unsafe trait Plain: Sized {
    /// All zeros: how every request begins.
    fn zeroed() -> Self {
        // SAFETY: the implementor vouches that zeros are a value.
        unsafe { std::mem::zeroed() }
    }
}

macro_rules! plain {
    ($($name:ident $bytes:literal { $($field:ident : $kind:ty),* $(,)? })*) => { $(
        #[repr(C)]
        #[allow(dead_code)] // not every field of the kernel's is asked for
        pub struct $name { $(pub $field: $kind),* }
        // SAFETY: integers, arrays of them, and other structs of this list.
        unsafe impl Plain for $name {}
        const _: () = assert!(size_of::<$name>() == $bytes);
    )* };
}

plain! {
    Capability 104 {
        driver: [u8; 16], card: [u8; 32], bus_info: [u8; 32], version: u32, capabilities: u32, device_caps: u32,
        reserved: [u32; 3],
    }
    FormatDescription 64 {
        index: u32, kind: u32, flags: u32, description: [u8; 32], pixel_format: u32, mbus_code: u32, reserved: [u32; 3],
    }
    PixelFormat 48 {
        width: u32, height: u32, pixel_format: u32, field: u32, bytes_per_line: u32, size_image: u32, colorspace: u32,
        private: u32, flags: u32, encoding: u32, quantization: u32, transfer: u32,
    }
    // The kernel's union holds pointers too, so it begins at the eighth byte.
    Format 208 { kind: u32, padding: u32, pixels: PixelFormat, rest: [u8; 152] }
    RequestBuffers 20 { count: u32, kind: u32, memory: u32, capabilities: u32, flags: u8, reserved: [u8; 3] }
    Buffer 88 {
        index: u32, kind: u32, bytes_used: u32, flags: u32, field: u32, padding: u32, seconds: i64, microseconds: i64,
        timecode: [u32; 4], sequence: u32, memory: u32, offset: u32, rest_of_place: u32, length: u32, reserved: [u32; 2],
        end: u32,
    }
    Fraction 8 { numerator: u32, denominator: u32 }
    StreamParameters 204 {
        kind: u32, capability: u32, mode: u32, time_per_frame: Fraction, extended_mode: u32, read_buffers: u32,
        rest: [u32; 44],
    }
    Control 8 { id: u32, value: i32 }
    QueryControl 68 {
        id: u32, kind: u32, name: [u8; 32], minimum: i32, maximum: i32, step: i32, default_value: i32, flags: u32,
        reserved: [u32; 2],
    }
    // Discrete: width, height. Otherwise: least width, most, step; least height, most, step.
    FrameSize 44 { index: u32, pixel_format: u32, kind: u32, size: [u32; 6], reserved: [u32; 2] }
    // Discrete: numerator, denominator. Otherwise three such: shortest, longest, step.
    FrameInterval 52 {
        index: u32, pixel_format: u32, width: u32, height: u32, kind: u32, interval: [u32; 6], reserved: [u32; 2],
    }
    StreamKind 4 { kind: u32 }
}

/// A request to the driver whose argument is a `T`, so that no other can be given.
pub struct Request<T> {
    number: u32,
    argument: PhantomData<fn(&mut T)>,
}

/// Directions in a request's number (`asm-generic/ioctl.h`).
const WRITE: u32 = 1;
const READ: u32 = 2;

impl<T: Plain> Request<T> {
    const fn new(direction: u32, number: u8) -> Self {
        let number = direction << 30 | (size_of::<T>() as u32) << 16 | (b'V' as u32) << 8 | number as u32;
        Request { number, argument: PhantomData }
    }

    /// Asks the driver. A signal in between does not count.
    pub fn call(&self, device: BorrowedFd, argument: &mut T) -> io::Result<()> {
        loop {
            // SAFETY: the number holds the size of `T`, which is what the kernel reads and writes at `argument`, and any
            // bytes that it leaves there are a `T`.
            let result = unsafe { libc::ioctl(device.as_raw_fd(), self.number as _, std::ptr::from_mut(argument)) };
            if result >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

macro_rules! requests {
    ($($name:ident: $argument:ident, $direction:expr, $number:literal = $whole:literal;)*) => { $(
        pub const $name: Request<$argument> = Request::new($direction, $number);
        const _: () = assert!($name.number == $whole);
    )* };
}

requests! {
    QUERYCAP: Capability, READ, 0 = 0x8068_5600;
    ENUM_FMT: FormatDescription, READ | WRITE, 2 = 0xC040_5602;
    S_FMT: Format, READ | WRITE, 5 = 0xC0D0_5605;
    REQBUFS: RequestBuffers, READ | WRITE, 8 = 0xC014_5608;
    QUERYBUF: Buffer, READ | WRITE, 9 = 0xC058_5609;
    QBUF: Buffer, READ | WRITE, 15 = 0xC058_560F;
    DQBUF: Buffer, READ | WRITE, 17 = 0xC058_5611;
    STREAMON: StreamKind, WRITE, 18 = 0x4004_5612;
    STREAMOFF: StreamKind, WRITE, 19 = 0x4004_5613;
    S_PARM: StreamParameters, READ | WRITE, 22 = 0xC0CC_5616;
    S_CTRL: Control, READ | WRITE, 28 = 0xC008_561C;
    QUERYCTRL: QueryControl, READ | WRITE, 36 = 0xC044_5624;
    ENUM_FRAMESIZES: FrameSize, READ | WRITE, 74 = 0xC02C_564A;
    ENUM_FRAMEINTERVALS: FrameInterval, READ | WRITE, 75 = 0xC034_564B;
}
