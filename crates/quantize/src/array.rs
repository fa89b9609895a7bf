//! Constants of an ONNX file as Rust vectors, and back.

use crate::QuantizeError;
use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::DataType;

/// The shape of a constant.
pub fn shape(tensor: &TensorProto) -> Vec<usize> {
    tensor.dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(0)).collect()
}

/// Number of elements that the shape states.
pub fn count(tensor: &TensorProto) -> usize {
    shape(tensor).iter().product()
}

/// The elements of a constant of floats (f32, f64, f16), row-major.
///
/// # Errors
/// [`QuantizeError::Model`] for another type, or where the elements are not those of its shape.
pub fn floats(tensor: &TensorProto) -> Result<Vec<f32>, QuantizeError> {
    let values = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) if tensor.raw_data.is_empty() => tensor.float_data.clone(),
        Ok(DataType::Float) => words(&tensor.raw_data).map(f32::from_le_bytes).collect(),
        Ok(DataType::Double) if tensor.raw_data.is_empty() => tensor.double_data.iter().map(|&v| v as f32).collect(),
        Ok(DataType::Double) => words(&tensor.raw_data).map(|bytes| f64::from_le_bytes(bytes) as f32).collect(),
        _ => return Err(wrong(tensor, "holds no floats")),
    };
    whole(tensor, values)
}

/// The elements of a constant of integers (i64, i32), row-major.
///
/// # Errors
/// As [`floats`].
pub fn integers(tensor: &TensorProto) -> Result<Vec<i64>, QuantizeError> {
    let values = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Int64) if tensor.raw_data.is_empty() => tensor.int64_data.clone(),
        Ok(DataType::Int64) => words(&tensor.raw_data).map(i64::from_le_bytes).collect(),
        Ok(DataType::Int32) if tensor.raw_data.is_empty() => tensor.int32_data.iter().map(|&v| v.into()).collect(),
        Ok(DataType::Int32) => words(&tensor.raw_data).map(|bytes| i32::from_le_bytes(bytes).into()).collect(),
        _ => return Err(wrong(tensor, "holds no integers")),
    };
    whole(tensor, values)
}

/// Whether a constant has elements of type `f32`.
pub fn is_float(tensor: &TensorProto) -> bool {
    tensor.data_type == DataType::Float as i32
}

/// A constant of floats.
pub fn of_floats(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
    constant(name, shape, DataType::Float, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// A constant of i64.
pub fn of_integers(name: &str, shape: &[usize], values: &[i64]) -> TensorProto {
    constant(name, shape, DataType::Int64, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// A constant of i32.
pub fn of_i32(name: &str, shape: &[usize], values: &[i32]) -> TensorProto {
    constant(name, shape, DataType::Int32, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// A constant of i8.
pub fn of_i8(name: &str, shape: &[usize], values: &[i8]) -> TensorProto {
    constant(name, shape, DataType::Int8, values.iter().map(|&value| value as u8).collect())
}

/// A constant of u8.
pub fn of_u8(name: &str, shape: &[usize], values: &[u8]) -> TensorProto {
    constant(name, shape, DataType::Uint8, values.to_vec())
}

/// A constant of u16.
pub fn of_u16(name: &str, shape: &[usize], values: &[u16]) -> TensorProto {
    constant(name, shape, DataType::Uint16, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

fn constant(name: &str, shape: &[usize], kind: DataType, raw_data: Vec<u8>) -> TensorProto {
    let dims = shape.iter().map(|&dim| dim as i64).collect();
    TensorProto { name: name.into(), dims, data_type: kind as i32, raw_data, ..TensorProto::default() }
}

/// Little-endian words of N bytes.
fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

fn whole<T>(tensor: &TensorProto, values: Vec<T>) -> Result<Vec<T>, QuantizeError> {
    let (found, stated) = (values.len(), count(tensor));
    if found == stated {
        return Ok(values);
    }
    Err(wrong(tensor, &format!("has {found} elements where its shape needs {stated}")))
}

fn wrong(tensor: &TensorProto, what: &str) -> QuantizeError {
    QuantizeError::Model(format!("constant \"{}\" {what}", tensor.name))
}
