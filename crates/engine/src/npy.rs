//! Tensors from and to NumPy's `.npy` files (format 1.0 to 3.0; little-endian, C or Fortran order).

use super::tensor::Buffer;
use super::{Element, EngineError, Tensor};
use npyz::{DType, Deserialize, NpyFile, NpyHeader, Order, WriterBuilder};
use std::io::{Read, Write};

/// The longest header that is read, in bytes.
const MOST_HEADER_BYTES: usize = 8192;
/// The most opening brackets in a header, and how many of them may be open at a time. An array of numbers has two, one in the other.
const MOST_BRACKETS: usize = 32;
const MOST_OPEN: usize = 6;

/// The types of elements that are read.
const ELEMENTS: &str = "|b1, |u1, |i1, <u2, <i2, <u4, <i4, <u8, <i8, <f2, <f4 and <f8";

/// Reads an array.
///
/// # Errors
/// [`EngineError::Array`] for what is no `.npy` file, is cut short, or holds elements of a type that models do not exchange
/// (see [`ElementKind`](super::ElementKind)).
pub fn read(bytes: &[u8]) -> Result<Tensor, EngineError> {
    // The length of the header is taken from the allocator before the header is read.
    let announced = match bytes.get(6..12) {
        Some(&[1, _, low, high, ..]) => usize::from(u16::from_le_bytes([low, high])) + 10,
        Some(&[_, _, a, b, c, d]) => (u32::from_le_bytes([a, b, c, d]) as usize).saturating_add(12),
        _ => 0,
    };
    if announced > bytes.len() {
        return Err(EngineError::Array(format!("its header needs more than the {} bytes in it", bytes.len())));
    }
    // The parser reads what is behind a bracket several times, and that in it again: its time grows exponentially with the depth.
    let header = bytes.get(..announced).unwrap_or_default();
    let (mut brackets, mut open, mut deepest) = (0, 0_usize, 0);
    for byte in header {
        match byte {
            b'(' | b'[' | b'{' => (brackets, open) = (brackets + 1, open + 1),
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    if announced > MOST_HEADER_BYTES || brackets > MOST_BRACKETS || deepest > MOST_OPEN {
        return Err(EngineError::Array(format!("its header of {announced} bytes is none of an array of numbers")));
    }
    let mut reader = bytes;
    let header = NpyHeader::from_reader(&mut reader).map_err(array)?;
    let shape: Vec<usize> =
        header.shape().iter().map(|&dim| usize::try_from(dim)).collect::<Result<_, _>>().map_err(array)?;
    // The header may announce anything: what it needs must be there before it is allocated.
    let element = match header.dtype() {
        DType::Plain(plain) => plain.to_string(),
        other => other.descr(),
    };
    let size = match element.as_str() {
        "|b1" | "|u1" | "|i1" => 1,
        "<u2" | "<i2" | "<f2" => 2,
        "<i4" | "<u4" | "<f4" => 4,
        "<i8" | "<u8" | "<f8" => 8,
        other => {
            return Err(EngineError::Array(format!("elements are {other}; {ELEMENTS} can be used")));
        }
    };
    let needed = shape.iter().try_fold(size, |bytes: usize, &dim| bytes.checked_mul(dim));
    if needed.is_none_or(|needed| needed > reader.len()) {
        let found = reader.len();
        return Err(EngineError::Array(format!(
            "shape {shape:?} of {element} needs more than the {found} bytes in it"
        )));
    }
    match element.as_str() {
        "|b1" => values::<bool>(header, reader, shape),
        "|u1" => values::<u8>(header, reader, shape),
        "<u2" => values::<u16>(header, reader, shape),
        "<i2" => values::<i16>(header, reader, shape),
        "<f2" => values::<half::f16>(header, reader, shape),
        "|i1" => values::<i8>(header, reader, shape),
        "<i4" => values::<i32>(header, reader, shape),
        "<u4" => values::<u32>(header, reader, shape),
        "<u8" => values::<u64>(header, reader, shape),
        "<f8" => values::<f64>(header, reader, shape),
        "<i8" => values::<i64>(header, reader, shape),
        _ => values::<f32>(header, reader, shape),
    }
}

/// Writes an array as format 1.0, C order.
///
/// # Errors
/// The writer's own error.
pub fn write(writer: impl Write, tensor: &Tensor) -> std::io::Result<()> {
    fn all<T: npyz::AutoSerialize + Copy>(writer: impl Write, shape: &[u64], values: &[T]) -> std::io::Result<()> {
        let mut npy = npyz::WriteOptions::new().default_dtype().shape(shape).writer(writer).begin_nd()?;
        npy.extend(values.iter().copied())?;
        npy.finish()
    }
    let shape: Vec<u64> = tensor.shape().iter().map(|&dim| dim as u64).collect();
    match tensor.buffer() {
        Buffer::Bool(values) => all(writer, &shape, values),
        Buffer::U8(values) => all(writer, &shape, values),
        Buffer::U32(values) => all(writer, &shape, values),
        Buffer::U64(values) => all(writer, &shape, values),
        Buffer::F64(values) => all(writer, &shape, values),
        Buffer::U16(values) => all(writer, &shape, values),
        Buffer::I16(values) => all(writer, &shape, values),
        Buffer::F16(values) => all(writer, &shape, values),
        Buffer::I8(values) => all(writer, &shape, values),
        Buffer::I32(values) => all(writer, &shape, values),
        Buffer::I64(values) => all(writer, &shape, values),
        Buffer::F32(values) => all(writer, &shape, values),
    }
}

fn values<T: Element + Deserialize + Default>(
    header: NpyHeader,
    reader: impl Read,
    shape: Vec<usize>,
) -> Result<Tensor, EngineError> {
    let order = header.order();
    let values: Vec<T> = NpyFile::with_header(header, reader).into_vec().map_err(array)?;
    let values = match order {
        Order::C => values,
        Order::Fortran => row_major(&shape, &values),
    };
    Tensor::new(shape, values)
}

/// Reorders elements whose first index runs fastest.
fn row_major<T: Copy + Default>(shape: &[usize], values: &[T]) -> Vec<T> {
    let mut ordered = vec![T::default(); values.len()];
    let mut index = vec![0usize; shape.len()];
    for &value in values {
        let place = shape.iter().zip(&index).fold(0, |place, (&dim, &i)| place * dim + i);
        ordered[place] = value;
        for (i, &dim) in index.iter_mut().zip(shape) {
            *i += 1;
            if *i < dim {
                break;
            }
            *i = 0;
        }
    }
    ordered
}

/// The first line of an error: for a header that cannot be parsed the crate draws the place below it.
fn array(error: impl std::fmt::Display) -> EngineError {
    let text = error.to_string();
    EngineError::Array(text.split(['\n', '\r']).next().unwrap_or_default().trim_end().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(tensor: &Tensor) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, tensor).unwrap();
        bytes
    }

    /// Found by fuzzing: 744 MB were taken for the first, and the second had a picture below its first line.
    #[test]
    fn a_header_that_is_too_long_or_malformed_is_one_line() {
        let message = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        for version in [b"\x01\0\xFF\xFF".as_slice(), b"\x02\0\x74\0\x65\x2c", b"\x03\0\xFF\xFF\xFF\xFF"] {
            let bytes = [b"\x93NUMPY", version, b"{}"].concat();
            assert!(message(&bytes).contains("its header needs more"), "{}", message(&bytes));
        }
        let header = b"{'descr': \x01\0u1', 'fortran_order': False, 'shape': (1,), }\n";
        let bytes = [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header, b"1"].concat();
        assert!(!message(&bytes).contains('\n') && message(&bytes).contains("Python"), "{}", message(&bytes));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let tensors = [
            Tensor::new(vec![2, 3], vec![0u8, 1, 2, 253, 254, 255]).unwrap(),
            Tensor::new(vec![2], vec![-128i8, 127]).unwrap(),
            Tensor::new(vec![1, 1, 2], vec![i32::MIN, i32::MAX]).unwrap(),
            Tensor::new(vec![], vec![-7i64]).unwrap(),
            Tensor::new(vec![0, 4], Vec::<f32>::new()).unwrap(),
            Tensor::new(vec![3], vec![0.5f32, -1e30, f32::INFINITY]).unwrap(),
        ];
        for tensor in tensors {
            assert_eq!(read(&written(&tensor)).unwrap(), tensor);
        }
    }

    #[test]
    fn fortran_order_is_put_right() {
        // numpy.asfortranarray(numpy.arange(6, dtype="u1").reshape(2, 3))
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }";
        bytes.extend(format!("{header:<117}\n").bytes());
        bytes.extend([0u8, 3, 1, 4, 2, 5]);
        assert_eq!(read(&bytes).unwrap(), Tensor::new(vec![2, 3], vec![0u8, 1, 2, 3, 4, 5]).unwrap());
    }

    #[test]
    fn bad_arrays_are_refused_before_memory_is_taken() {
        let good = written(&Tensor::new(vec![4], vec![1i32, 2, 3, 4]).unwrap());
        for cut in 0..good.len() {
            assert!(read(&good[..cut]).is_err(), "cut to {cut} bytes");
        }
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        let header = "{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }";
        bytes.extend(format!("{header:<117}\n").bytes());
        bytes.extend([0; 16]);
        assert!(read(&bytes).unwrap_err().to_string().contains("elements are <c8"));
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999,), }";
        bytes.extend(format!("{header:<117}\n").bytes());
        assert!(read(&bytes).unwrap_err().to_string().contains("needs more than the 0 bytes"));
    }

    #[test]
    fn headers_that_no_array_has_are_refused_before_they_are_parsed() {
        let refused = |bytes: &[u8]| read(bytes).unwrap_err().to_string().contains("is none of an array of numbers");
        // By fuzzing: 27 took more than a minute.
        for deep in [60_000, 4000, 40, 27, 6] {
            let header = format!("{{'shape': {}", "(".repeat(deep));
            let length = (header.len() as u16).to_le_bytes();
            assert!(refused(&[&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes()].concat()), "{deep}");
        }
        // Version 3.0 with the length in four bytes is read.
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }\n";
        let length = (header.len() as u32).to_le_bytes();
        let whole = [&b"\x93NUMPY\x03\x00"[..], &length, header.as_bytes(), &[7, 9]].concat();
        assert_eq!(read(&whole).unwrap(), Tensor::new(vec![2], vec![7u8, 9]).unwrap());
        // A shape whose product overflows.
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        let header = "{'descr': '<i8', 'fortran_order': False, 'shape': (4611686018427387904, 8), }";
        bytes.extend(format!("{header:<117}\n").bytes());
        assert!(read(&bytes).unwrap_err().to_string().contains("needs more than the 0 bytes"));
    }
}
