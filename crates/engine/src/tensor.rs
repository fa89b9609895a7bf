//! Element types, shapes and typed buffers: all that crosses the engine's border.

use super::EngineError;
use half::f16;
use std::fmt;

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it
#[non_exhaustive]
pub enum ElementKind {
    Bool,
    U8,
    I8,
    U16,
    I16,
    I32,
    U32,
    I64,
    U64,
    F16,
    F32,
    F64,
}

impl ElementKind {
    /// Whether its elements are floats, of any precision.
    pub fn is_float(self) -> bool {
        matches!(self, ElementKind::F16 | ElementKind::F32 | ElementKind::F64)
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            ElementKind::Bool | ElementKind::U8 | ElementKind::I8 => 1,
            ElementKind::U16 | ElementKind::I16 | ElementKind::F16 => 2,
            ElementKind::I32 | ElementKind::U32 | ElementKind::F32 => 4,
            ElementKind::I64 | ElementKind::U64 | ElementKind::F64 => 8,
        }
    }
}

impl fmt::Display for ElementKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ElementKind::Bool => "bool",
            ElementKind::U8 => "u8",
            ElementKind::I8 => "i8",
            ElementKind::U16 => "u16",
            ElementKind::I16 => "i16",
            ElementKind::I32 => "i32",
            ElementKind::U32 => "u32",
            ElementKind::I64 => "i64",
            ElementKind::U64 => "u64",
            ElementKind::F16 => "f16",
            ElementKind::F32 => "f32",
            ElementKind::F64 => "f64",
        })
    }
}

/// Name, element type and shape of a model's input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The name in the model.
    pub name: String,
    /// The element type.
    pub kind: ElementKind,
    /// The shape, outermost dimension first.
    pub shape: Vec<usize>,
    /// The axis whose length is only known in a run, as that of what NonMaxSuppression chooses: in `shape` it has the bound, and the
    /// tensor of a run is as long as or shorter than that, or empty.
    pub counted_axis: Option<usize>,
}

impl TensorInfo {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all elements.
    pub fn bytes(&self) -> usize {
        self.len() * self.kind.size()
    }
}

impl fmt::Display for TensorInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(counted) = self.counted_axis else { return write!(f, "{} {:?}", self.kind, self.shape) };
        let dim = |(axis, dim): (usize, &usize)| {
            if axis == counted { format!("at most {dim}") } else { dim.to_string() }
        };
        let dims: Vec<String> = self.shape.iter().enumerate().map(dim).collect();
        write!(f, "{} [{}]", self.kind, dims.join(", "))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Buffer {
    Bool(Vec<bool>),
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    U32(Vec<u32>),
    I64(Vec<i64>),
    U64(Vec<u64>),
    F16(Vec<f16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// A shape and its elements, row-major, in one of the types that models exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    buffer: Buffer,
}

/// A Rust type that can be a tensor's element.
pub trait Element: Copy + sealed::Sealed {
    /// The matching [`ElementKind`].
    const KIND: ElementKind;
}

mod sealed {
    use super::Buffer;

    pub trait Sealed: Sized {
        fn wrap(values: Vec<Self>) -> Buffer;
        fn slice(buffer: &Buffer) -> Option<&[Self]>;
        fn slice_mut(buffer: &mut Buffer) -> Option<&mut [Self]>;
    }
}

macro_rules! element {
    ($type:ty, $variant:ident) => {
        impl Element for $type {
            const KIND: ElementKind = ElementKind::$variant;
        }
        impl sealed::Sealed for $type {
            fn wrap(values: Vec<Self>) -> Buffer {
                Buffer::$variant(values)
            }
            fn slice(buffer: &Buffer) -> Option<&[Self]> {
                match buffer {
                    Buffer::$variant(values) => Some(values),
                    _ => None,
                }
            }
            fn slice_mut(buffer: &mut Buffer) -> Option<&mut [Self]> {
                match buffer {
                    Buffer::$variant(values) => Some(values),
                    _ => None,
                }
            }
        }
    };
}
element!(bool, Bool);
element!(u8, U8);
element!(i8, I8);
element!(u16, U16);
element!(i16, I16);
element!(i32, I32);
element!(u32, U32);
element!(i64, I64);
element!(u64, U64);
element!(f64, F64);
element!(f16, F16);
element!(f32, F32);

impl Tensor {
    /// A tensor of the given shape from its elements in row-major order.
    ///
    /// # Errors
    /// [`EngineError::Array`] where the shape needs another number of elements.
    pub fn new<T: Element>(shape: Vec<usize>, values: Vec<T>) -> Result<Tensor, EngineError> {
        let needed = shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
        if needed != Some(values.len()) {
            return Err(EngineError::Array(format!("{} elements do not fill the shape {shape:?}", values.len())));
        }
        Ok(Tensor { shape, buffer: T::wrap(values) })
    }

    /// All zero, as `info` describes.
    pub fn zeroed(info: &TensorInfo) -> Tensor {
        let n = info.len();
        let buffer = match info.kind {
            ElementKind::Bool => Buffer::Bool(vec![false; n]),
            ElementKind::U8 => Buffer::U8(vec![0; n]),
            ElementKind::I8 => Buffer::I8(vec![0; n]),
            ElementKind::U16 => Buffer::U16(vec![0; n]),
            ElementKind::I16 => Buffer::I16(vec![0; n]),
            ElementKind::I32 => Buffer::I32(vec![0; n]),
            ElementKind::U32 => Buffer::U32(vec![0; n]),
            ElementKind::I64 => Buffer::I64(vec![0; n]),
            ElementKind::U64 => Buffer::U64(vec![0; n]),
            ElementKind::F64 => Buffer::F64(vec![0.0; n]),
            ElementKind::F16 => Buffer::F16(vec![f16::ZERO; n]),
            ElementKind::F32 => Buffer::F32(vec![0.0; n]),
        };
        Tensor { shape: info.shape.clone(), buffer }
    }

    /// The shape, outermost dimension first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The element type.
    pub fn kind(&self) -> ElementKind {
        match self.buffer {
            Buffer::Bool(_) => ElementKind::Bool,
            Buffer::U8(_) => ElementKind::U8,
            Buffer::I8(_) => ElementKind::I8,
            Buffer::U16(_) => ElementKind::U16,
            Buffer::I16(_) => ElementKind::I16,
            Buffer::I32(_) => ElementKind::I32,
            Buffer::U32(_) => ElementKind::U32,
            Buffer::I64(_) => ElementKind::I64,
            Buffer::U64(_) => ElementKind::U64,
            Buffer::F64(_) => ElementKind::F64,
            Buffer::F16(_) => ElementKind::F16,
            Buffer::F32(_) => ElementKind::F32,
        }
    }

    /// The elements, where they are of type `T`.
    pub fn values<T: Element>(&self) -> Option<&[T]> {
        T::slice(&self.buffer)
    }

    /// The elements to write to, where they are of type `T`.
    pub fn values_mut<T: Element>(&mut self) -> Option<&mut [T]> {
        T::slice_mut(&mut self.buffer)
    }

    /// Another length of one axis; whoever sets it fills the buffer to match.
    pub(super) fn set_length(&mut self, axis: usize, length: usize) {
        self.shape[axis] = length;
    }

    pub(super) fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    pub(super) fn buffer_mut(&mut self) -> &mut Buffer {
        &mut self.buffer
    }

    /// The largest absolute difference to another tensor, or `None` where types or shapes differ.
    /// Integers are compared exactly; for `f32` the difference is a float, and NaN against NaN is 0.
    pub fn largest_difference(&self, other: &Tensor) -> Option<f64> {
        fn largest<T: Copy>(a: &[T], b: &[T], difference: impl Fn(T, T) -> f64) -> f64 {
            a.iter().zip(b).map(|(&a, &b)| difference(a, b)).fold(0.0, f64::max)
        }
        fn of_floats(a: f64, b: f64) -> f64 {
            if a == b || (a.is_nan() && b.is_nan()) {
                0.0
            } else if a.is_nan() || b.is_nan() {
                f64::INFINITY
            } else {
                (a - b).abs()
            }
        }
        if self.shape != other.shape {
            return None;
        }
        Some(match (&self.buffer, &other.buffer) {
            (Buffer::Bool(a), Buffer::Bool(b)) => largest(a, b, |a, b| f64::from(u8::from(a != b))),
            (Buffer::U8(a), Buffer::U8(b)) => largest(a, b, |a, b| f64::from(a.abs_diff(b))),
            (Buffer::I8(a), Buffer::I8(b)) => largest(a, b, |a, b| f64::from(a.abs_diff(b))),
            (Buffer::U16(a), Buffer::U16(b)) => largest(a, b, |a, b| f64::from(a.abs_diff(b))),
            (Buffer::I16(a), Buffer::I16(b)) => largest(a, b, |a, b| f64::from(a.abs_diff(b))),
            (Buffer::I32(a), Buffer::I32(b)) => largest(a, b, |a, b| f64::from(a.abs_diff(b))),
            (Buffer::U32(a), Buffer::U32(b)) => largest(a, b, |a, b| f64::from(a.abs_diff(b))),
            (Buffer::I64(a), Buffer::I64(b)) => largest(a, b, |a, b| a.abs_diff(b) as f64),
            (Buffer::U64(a), Buffer::U64(b)) => largest(a, b, |a, b| a.abs_diff(b) as f64),
            (Buffer::F64(a), Buffer::F64(b)) => largest(a, b, of_floats),
            (Buffer::F16(a), Buffer::F16(b)) => largest(a, b, |a, b| of_floats(a.to_f64(), b.to_f64())),
            (Buffer::F32(a), Buffer::F32(b)) => largest(a, b, |a, b| of_floats(a.into(), b.into())),
            _ => return None,
        })
    }
}

impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.kind(), self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_must_be_filled_exactly() {
        assert!(Tensor::new(vec![2, 3], vec![0u8; 6]).is_ok());
        assert!(Tensor::new(vec![2, 3], vec![0u8; 5]).is_err());
        assert!(Tensor::new(vec![usize::MAX, 2], vec![0u8; 2]).is_err());
    }

    #[test]
    fn differences_are_exact_and_typed() {
        let a = Tensor::new(vec![2], vec![0u8, 255]).unwrap();
        let b = Tensor::new(vec![2], vec![3u8, 250]).unwrap();
        assert_eq!(a.largest_difference(&b), Some(5.0));
        assert_eq!(a.largest_difference(&a), Some(0.0));
        let other_kind = Tensor::new(vec![2], vec![0i8, 1]).unwrap();
        assert_eq!(a.largest_difference(&other_kind), None);
        let nan = Tensor::new(vec![1], vec![f32::NAN]).unwrap();
        let one = Tensor::new(vec![1], vec![1f32]).unwrap();
        assert_eq!(nan.largest_difference(&nan), Some(0.0));
        assert_eq!(nan.largest_difference(&one), Some(f64::INFINITY));
    }
}
