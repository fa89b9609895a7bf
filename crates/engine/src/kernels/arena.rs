//! The one block of memory in which sessions compute, and views into it.

use half::f16;

/// Whether activations are stored as `i8` on this architecture; otherwise as `u8`.
pub const SIGNED: bool = cfg!(target_arch = "aarch64");

/// Bytes behind every buffer of the arena, so that a kernel may read a whole vector where a value ends.
pub const SLACK: usize = 128;

#[derive(Clone)]
#[repr(C, align(64))]
struct CacheLine([u8; 64]);

/// Bytes aligned to 64, zero at first.
pub struct AlignedBytes {
    /// A `Vec`, not a `Box`: moving a box asserts that nothing else points into it, and [`Arena`] does.
    lines: Vec<CacheLine>,
    len: usize,
}

impl AlignedBytes {
    pub fn zeroed(len: usize) -> AlignedBytes {
        AlignedBytes { lines: vec![CacheLine([0; 64]); len.div_ceil(64)], len }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn as_ptr(&self) -> *const u8 {
        self.lines.as_ptr().cast()
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the lines are `len` initialised bytes or more, without gaps.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.len) }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }

    /// The bytes, for steps to compute in.
    pub fn arena(&mut self) -> Arena {
        Arena { base: self.lines.as_mut_ptr().cast(), len: self.len }
    }
}

/// A type of which every bit pattern is a value: what steps may take bytes of the arena for.
pub trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for i8 {}
impl Plain for u16 {}
impl Plain for i16 {}
impl Plain for i32 {}
impl Plain for u32 {}
impl Plain for i64 {}
impl Plain for u64 {}
impl Plain for f64 {}
impl Plain for f16 {}
impl Plain for f32 {}

/// The arena as steps see it: any part may be read and written, by several threads at once.
///
/// What keeps that sound are its only users. `CheckedStep` runs a step only after it has checked that the step stays within
/// the arena, that it overwrites nothing that it reads and that its threads write different bytes; between two steps all
/// threads meet at a barrier. The session copies inputs and outputs while no thread is in a run, and one run at a time has the
/// arena: [`WorkspaceState`](crate::workspace::WorkspaceState) is behind a lock.
#[derive(Clone, Copy)]
pub struct Arena {
    base: *mut u8,
    len: usize,
}

// SAFETY: threads use the arena only to run checked steps, as above.
unsafe impl Send for Arena {}

impl Arena {
    /// A pointer to byte `at`.
    pub fn at(self, at: usize) -> *mut u8 {
        debug_assert!(at <= self.len);
        self.base.wrapping_add(at)
    }

    /// `count` elements to read, in the course of a checked step; nothing may write them while they are borrowed.
    pub fn read<'a, T: Plain>(self, at: usize, count: usize) -> &'a [T] {
        // SAFETY: in bounds and aligned (checked); every bit pattern is an element; a checked step writes nothing that it
        // reads, and nobody else writes to the arena during it.
        unsafe { std::slice::from_raw_parts(self.elements::<T>(at, count), count) }
    }

    /// `count` elements to write, in the course of a checked step; nothing else may access them while they are borrowed.
    pub fn write<'a, T: Plain>(self, at: usize, count: usize) -> &'a mut [T] {
        // SAFETY: as in `read`; no other thread writes this part of the step's output.
        unsafe { std::slice::from_raw_parts_mut(self.elements::<T>(at, count), count) }
    }

    /// A pointer that is aligned and valid for so many elements.
    fn elements<T: Plain>(self, at: usize, count: usize) -> *mut T {
        let end = count.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(at));
        assert!(at.is_multiple_of(align_of::<T>()) && end.is_some_and(|end| end <= self.len), "within the arena");
        self.base.wrapping_add(at).cast()
    }
}

/// A picture or a list in the arena: `[images, rows, columns, channels]` with strides in bytes; a stride of 0 repeats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    pub at: usize,
    pub dims: [usize; 4],
    pub strides: [usize; 4],
}

impl View {
    /// Elements of `size` bytes one after another.
    pub fn dense(at: usize, dims: [usize; 4], size: usize) -> View {
        let [_, h, w, c] = dims;
        View { at, dims, strides: [h * w * c * size, w * c * size, c * size, size] }
    }

    /// Offset of the first channel of a pixel.
    pub fn pixel(&self, n: usize, y: usize, x: usize) -> usize {
        self.at + n * self.strides[0] + y * self.strides[1] + x * self.strides[2]
    }

    /// One past the last byte that belongs to it.
    pub fn end(&self) -> usize {
        self.at + (0..4).map(|i| (self.dims[i] - 1) * self.strides[i]).sum::<usize>() + self.strides[3].max(1)
    }
}
