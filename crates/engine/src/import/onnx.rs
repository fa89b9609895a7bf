//! What ONNX nodes state: attributes and constants, as parsed by tract.

use std::sync::Arc;
use tract_onnx::pb::{AttributeProto, NodeProto};
use tract_onnx::prelude::Tensor;

/// Attributes by name, each with the default of its operator.
pub trait Attributes {
    fn attribute(&self, name: &str) -> Option<&AttributeProto>;

    fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }
    fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |a| a.f)
    }
    fn text(&self, name: &str, default: &str) -> String {
        self.attribute(name).map_or(default.into(), |a| String::from_utf8_lossy(&a.s).into_owned())
    }
    fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }
    /// A list of sizes; `None` where it is absent, an error where one is negative or absurd.
    fn sizes(&self, name: &str) -> Result<Option<Vec<usize>>, String> {
        let Some(ints) = self.ints(name) else { return Ok(None) };
        let size = |&i: &i64| u16::try_from(i).map(usize::from).map_err(|_| format!("{name} holds {i}"));
        ints.iter().map(size).collect::<Result<_, _>>().map(Some)
    }
}

impl Attributes for NodeProto {
    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|a| a.name == name)
    }
}

/// The elements as `f32`, row-major.
pub fn floats(constant: &Tensor) -> Result<Vec<f32>, String> {
    elements::<f32>(constant)
}

/// The elements as `i64`, row-major.
pub fn integers(constant: &Tensor) -> Result<Vec<i64>, String> {
    elements::<i64>(constant)
}

/// The elements as `i32`, row-major.
pub fn integers_32(constant: &Tensor) -> Result<Vec<i32>, String> {
    elements::<i32>(constant)
}

fn elements<T: tract_onnx::prelude::Datum + Copy>(constant: &Tensor) -> Result<Vec<T>, String> {
    if constant.datum_type() == T::datum_type() {
        return Ok(as_slice::<T>(constant)?.to_vec());
    }
    let cast = constant.cast_to::<T>().map_err(|e| e.to_string())?;
    let view = cast.to_plain_array_view::<T>().map_err(|e| e.to_string())?;
    Ok(view.iter().copied().collect())
}

/// The elements in place, row-major.
pub fn as_slice<T: tract_onnx::prelude::Datum>(constant: &Tensor) -> Result<&[T], String> {
    let view = constant.to_plain_array_view::<T>().map_err(|e| e.to_string())?;
    view.to_slice().ok_or_else(|| "its elements do not lie in a row".into())
}

/// The elements as they lie in memory.
pub fn raw_bytes(constant: &Tensor) -> Result<Arc<[u8]>, String> {
    let plain = constant.try_as_plain_ram().map_err(|e| e.to_string())?;
    Ok(plain.as_bytes().into())
}
