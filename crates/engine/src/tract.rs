//! Everything that runs through tract: single nodes that the engine lacks, and constants of the file.

mod ranks;

use crate::ElementKind;
use crate::graph::{ForeignInput, ForeignOp};
use crate::guard::guarded;
use std::sync::Arc;
use tract_core::internal::{Cost, SimplePlan, TypedFact};
use tract_core::model::memory::eval_tmp_memory_usage;
use tract_core::ops::einsum::EinSum;
use tract_core::ops::konst::Const;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use tract_onnx::prelude::*;

/// A tensor known at load.
pub type Constant = Arc<Tensor>;

/// An op that tract runs.
pub struct Island {
    model: Arc<TypedSimplePlan>,
    outputs: Vec<(ElementKind, Vec<usize>)>,
    macs: u64,
    weights_bytes: u64,
    arena_bytes: u64,
}

impl Island {
    /// Makes a typed model runnable.
    pub fn new(typed: TypedModel) -> Result<Island, String> {
        let mut outputs = Vec::new();
        for outlet in typed.output_outlets().map_err(|e| e.to_string())? {
            let fact = typed.outlet_fact(*outlet).map_err(|e| e.to_string())?;
            let shape = fact.shape.as_concrete().ok_or(
                "its output's shape depends on the values of its input, and plans have fixed shapes: end the model before it",
            )?;
            outputs.push((kind(fact.datum_type)?, shape.to_vec()));
        }
        let weights_bytes = constant_bytes(&typed);
        let (model, macs, arena_bytes) = in_tract(|| {
            let plan = SimplePlan::new(typed.into_optimized()?)?;
            let (macs, arena_bytes) = cost(&plan)?;
            Ok((plan, macs, arena_bytes))
        })?;
        Ok(Island { model, outputs, macs, weights_bytes, arena_bytes })
    }
}

impl ForeignOp for Island {
    fn outputs(&self) -> &[(ElementKind, Vec<usize>)] {
        &self.outputs
    }

    fn run(&self, inputs: &[ForeignInput], outputs: &mut [&mut [u8]]) -> Result<(), String> {
        let mut values = TVec::new();
        for input in inputs {
            let mut value = Tensor::zero_dt(datum_type(input.kind), input.shape).map_err(|e| e.to_string())?;
            value.try_as_plain_ram_mut().map_err(|e| e.to_string())?.as_bytes_mut().copy_from_slice(input.bytes);
            values.push(value.into_tvalue());
        }
        // An index out of range, a NaN among what is sorted: tract asserts on what it was given.
        let results = guarded(|| self.model.run(values)).ok_or("tract ended in a panic on these values")?;
        let results = results.map_err(|error| one_line(&error))?;
        for (bytes, value) in outputs.iter_mut().zip(&results) {
            let to = datum_type(kind(value.datum_type())?);
            let cast = value.cast_to_dt(to).map_err(|e| e.to_string())?;
            let view = cast.try_as_plain_ram().map_err(|e| e.to_string())?;
            let result = view.as_bytes().get(..bytes.len());
            bytes.copy_from_slice(result.ok_or("an op run by tract gave another size than it stated")?);
        }
        Ok(())
    }

    fn macs(&self) -> u64 {
        self.macs
    }

    fn weights_bytes(&self) -> u64 {
        self.weights_bytes
    }

    fn arena_bytes(&self) -> u64 {
        self.arena_bytes
    }
}

/// The kind of elements of a type of ONNX, by its number there: 4-bit integers are unpacked to bytes when they are read, and
/// what has half precision is computed in single.
pub fn kind_of_type(number: i32) -> Result<ElementKind, String> {
    Ok(match number {
        1 | BFLOAT16 => ElementKind::F32,
        2 | UINT4 => ElementKind::U8,
        3 | INT4 => ElementKind::I8,
        4 => ElementKind::U16,
        5 => ElementKind::I16,
        6 => ElementKind::I32,
        7 => ElementKind::I64,
        9 => ElementKind::Bool,
        10 => ElementKind::F16,
        11 => ElementKind::F64,
        12 => ElementKind::U32,
        13 => ElementKind::U64,
        other => return Err(format!("elements of type {}", type_name(other))),
    })
}

const UINT32: i32 = 12;
const UINT64: i32 = 13;
const BFLOAT16: i32 = 16;
const UINT4: i32 = 21;
const INT4: i32 = 22;

/// A type as ONNX names it.
pub fn type_name(number: i32) -> String {
    const NAMES: [&str; 25] = [
        "UNDEFINED",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
        "BFLOAT16",
        "FLOAT8E4M3FN",
        "FLOAT8E4M3FNUZ",
        "FLOAT8E5M2",
        "FLOAT8E5M2FNUZ",
        "UINT4",
        "INT4",
        "FLOAT4E2M1",
        "FLOAT8E8M0",
    ];
    usize::try_from(number).ok().and_then(|i| NAMES.get(i)).map_or(number.to_string(), |name| (*name).to_owned())
}

/// Bits of an element, where its type can be read.
fn bits(proto: &TensorProto) -> Option<usize> {
    Some(match proto.data_type {
        UINT4 | INT4 => 4,
        2 | 3 | 9 => 8,
        4 | 5 | 10 | BFLOAT16 => 16,
        1 | 6 | 12 => 32,
        7 | 11 | 13 => 64,
        _ => return None,
    })
}

/// The type of ONNX that strings have: they are only named, never read.
const STRING: i32 = 8;

/// Whether a tensor's elements are of a type that can be read.
pub fn check_type(proto: &TensorProto) -> Result<(), String> {
    if proto.data_type == STRING || bits(proto).is_some() {
        return Ok(());
    }
    Err(format!("its elements are of type {}, which is not supported", type_name(proto.data_type)))
}

/// Whether a tensor holds as many bytes as it announces: a small file must not make the loader ask for gigabytes.
pub fn check_size(proto: &TensorProto) -> Result<(), String> {
    let mut dims = proto.dims.iter().map(|&dim| usize::try_from(dim).ok());
    let count = dims.try_fold(1usize, |count, dim| count.checked_mul(dim?)).ok_or("its shape overflows")?;
    if proto.data_type == STRING {
        return Ok(());
    }
    let bits = bits(proto).ok_or_else(|| format!("elements of type {}", type_name(proto.data_type)))?;
    let listed = proto.float_data.len()
        + proto.int32_data.len()
        + proto.int64_data.len()
        + proto.double_data.len()
        + proto.uint64_data.len();
    // Two elements of four bits are one number of a list.
    let size = bits.div_ceil(8);
    let held = if proto.raw_data.is_empty() { listed.checked_mul(size) } else { Some(proto.raw_data.len()) };
    match (count.checked_mul(bits).map(|bits| bits.div_ceil(8)), held) {
        (Some(announced), Some(held)) if announced == held => Ok(()),
        (announced, held) => Err(format!(
            "it announces {} bytes and holds {}",
            announced.map_or("too many".into(), |bytes| bytes.to_string()),
            held.unwrap_or(0)
        )),
    }
}

/// A tensor of the file: 4-bit integers as bytes, half precision as `f32`.
pub fn constant(proto: &TensorProto) -> Result<Tensor, String> {
    check_type(proto)?;
    check_size(proto)?;
    match proto.data_type {
        UINT4 | INT4 => return four_bits(proto, &proto.raw_data),
        BFLOAT16 => return brain_floats(proto, &proto.raw_data),
        // tract looks for them in other lists than ONNX puts them in.
        UINT32 | UINT64 if proto.raw_data.is_empty() => return constant_of_bytes(proto, &listed_unsigned(proto)?),
        _ => {}
    }
    let provider = tract_onnx::data_resolver::MmapDataResolver;
    let tensor = in_tract(|| {
        let tensor = tract_onnx::tensor::load_tensor(&provider, proto, None)?;
        Ok(tensor)
    })?;
    plain(tensor)
}

/// The kind of a tensor whose elements are computed with as they are stored: neither unpacked nor converted when they are read.
pub fn kind_of_bytes(proto: &TensorProto) -> Option<ElementKind> {
    let converted = matches!(proto.data_type, 10 | 11 | BFLOAT16 | UINT4 | INT4);
    kind_of_type(proto.data_type).ok().filter(|_| !converted && has_plain_bytes(proto))
}

/// Whether a tensor holds integers of four bits, which are bytes once they are read.
pub fn has_four_bits(proto: &TensorProto) -> bool {
    matches!(proto.data_type, UINT4 | INT4)
}

/// Whether every pattern of bits is an element of the tensor's type.
pub fn has_plain_bytes(proto: &TensorProto) -> bool {
    matches!(proto.data_type, 1..=7 | 10..=13 | BFLOAT16 | UINT4 | INT4)
}

/// As [`constant`], of a tensor whose bytes are elsewhere.
pub fn constant_of_bytes(proto: &TensorProto, bytes: &[u8]) -> Result<Tensor, String> {
    let datum_type = match proto.data_type {
        UINT4 | INT4 => return four_bits(proto, bytes),
        BFLOAT16 => return brain_floats(proto, bytes),
        10 => DatumType::F16,
        11 => DatumType::F64,
        other => datum_type(kind_of_type(other)?),
    };
    let mut tensor = Tensor::zero_dt(datum_type, &dims(proto)).map_err(|error| one_line(&error))?;
    let mut plain_bytes = tensor.try_as_plain_ram_mut().map_err(|error| one_line(&error))?;
    let to = plain_bytes.as_bytes_mut();
    if to.len() != bytes.len() {
        return Err(format!("it announces {} bytes and holds {}", to.len(), bytes.len()));
    }
    to.copy_from_slice(bytes);
    plain(tensor)
}

/// A constant in a type that the engine computes in: `f32` for half and double precision, `i64` for what tract keeps as a dimension.
pub fn plain(tensor: Tensor) -> Result<Tensor, String> {
    let to = match tensor.datum_type() {
        DatumType::F16 | DatumType::F64 => DatumType::F32,
        DatumType::TDim => DatumType::I64,
        _ => return Ok(tensor),
    };
    let cast = tensor.cast_to_dt(to).map_err(|error| one_line(&error))?;
    Ok(cast.into_owned())
}

fn dims(proto: &TensorProto) -> Vec<usize> {
    // Not negative: `check_size`.
    proto.dims.iter().map(|&dim| dim as usize).collect()
}

/// Whole numbers of 32 or 64 bits, as the list of them has them.
fn listed_unsigned(proto: &TensorProto) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(8 * proto.uint64_data.len());
    for &number in &proto.uint64_data {
        if proto.data_type == UINT64 {
            bytes.extend(number.to_ne_bytes());
        } else {
            let number = u32::try_from(number).map_err(|_| format!("{number} is no number of 32 bits"))?;
            bytes.extend(number.to_ne_bytes());
        }
    }
    Ok(bytes)
}

/// 4-bit integers, one a byte; the first of two is in the low half.
fn four_bits(proto: &TensorProto, raw: &[u8]) -> Result<Tensor, String> {
    let listed: Vec<u8> = proto.int32_data.iter().map(|&pair| pair as u8).collect();
    let pairs = if raw.is_empty() { &listed } else { raw };
    let shape = dims(proto);
    let count = shape.iter().product();
    let halves = pairs.iter().flat_map(|pair| [pair & 15, pair >> 4]).take(count);
    let tensor = if proto.data_type == INT4 {
        let signed: Vec<i8> = halves.map(|half| (half << 4) as i8 >> 4).collect();
        Tensor::from_shape(&shape, &signed)
    } else {
        Tensor::from_shape(&shape, &halves.collect::<Vec<u8>>())
    };
    tensor.map_err(|error| one_line(&error))
}

/// `bfloat16` as `f32`, of which it is the upper half.
fn brain_floats(proto: &TensorProto, raw: &[u8]) -> Result<Tensor, String> {
    let upper: Vec<u16> = if raw.is_empty() {
        proto.int32_data.iter().map(|&bits| bits as u16).collect()
    } else {
        raw.chunks_exact(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]])).collect()
    };
    let floats: Vec<f32> = upper.into_iter().map(|bits| f32::from_bits(u32::from(bits) << 16)).collect();
    Tensor::from_shape(&dims(proto), &floats).map_err(|error| one_line(&error))
}

/// Runs a model of constants.
pub fn run_constants(typed: TypedModel) -> Result<Vec<Tensor>, String> {
    let results = in_tract(|| SimplePlan::new(typed.into_optimized()?)?.run(tvec!()))?;
    results.into_iter().map(|value| plain(value.into_tensor())).collect()
}

/// An input with its type.
fn declared(name: &str, datum_type: DatumType, shape: &[usize]) -> Result<ValueInfoProto, String> {
    let elem_type = match datum_type {
        DatumType::F32 => DataType::Float,
        DatumType::U8 => DataType::Uint8,
        DatumType::I8 => DataType::Int8,
        DatumType::U16 => DataType::Uint16,
        DatumType::I16 => DataType::Int16,
        DatumType::I32 => DataType::Int32,
        DatumType::I64 => DataType::Int64,
        DatumType::U32 => DataType::Uint32,
        DatumType::U64 => DataType::Uint64,
        DatumType::Bool => DataType::Bool,
        DatumType::F16 => DataType::Float16,
        DatumType::F64 => DataType::Double,
        other => return Err(format!("\"{name}\" has the type {other:?}")),
    };
    let dim = |&dim: &usize| Dimension { value: Some(dimension::Value::DimValue(dim as i64)), ..Default::default() };
    let shape = Some(TensorShapeProto { dim: shape.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type: elem_type as i32, shape };
    let r#type = Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() });
    Ok(ValueInfoProto { name: name.to_owned(), r#type, ..Default::default() })
}

/// A typed model of one node.
pub fn single_node(
    node: &NodeProto,
    model: &ModelProto,
    constants: &[(String, Constant)],
    inputs: &[(String, ElementKind, Vec<usize>)],
) -> Result<TypedModel, String> {
    let mut alone = node.clone();
    alone.name = "node".into();
    let mut given = Vec::new();
    for (name, kind, shape) in inputs {
        given.push(declared(name, datum_type(*kind), shape)?);
    }
    for (name, constant) in constants {
        given.push(declared(name, constant.datum_type(), constant.shape())?);
    }
    let untyped = |name: &String| ValueInfoProto { name: name.clone(), ..Default::default() };
    let graph = GraphProto {
        node: vec![alone],
        input: given,
        output: node.output.iter().filter(|name| !name.is_empty()).map(untyped).collect(),
        ..Default::default()
    };
    let proto = ModelProto {
        graph: Some(graph),
        opset_import: model.opset_import.clone(),
        ir_version: model.ir_version,
        ..Default::default()
    };
    in_tract(|| {
        let mut graph = tract_onnx::onnx().model_for_proto_model(&proto)?;
        ranks::check_ranks(&mut graph);
        for (i, (_, kind, shape)) in inputs.iter().enumerate() {
            graph.set_input_fact(i, InferenceFact::dt_shape(datum_type(*kind), shape))?;
        }
        for (i, (_, constant)) in constants.iter().enumerate() {
            graph.set_input_fact(inputs.len() + i, InferenceFact::from(TypedFact::try_from(Arc::clone(constant))?))?;
        }
        // Inputs that are known become constants, so that shapes that depend on them can be inferred.
        for (i, (_, constant)) in constants.iter().enumerate() {
            let outlet = graph.input_outlets()?[inputs.len() + i];
            graph.node_mut(outlet.node).op = Box::new(tract_core::ops::konst::Const::new(Arc::clone(constant))?);
        }
        let kept: Vec<OutletId> = graph.input_outlets()?[..inputs.len()].to_vec();
        graph.set_input_outlets(&kept)?;
        for output in graph.output_outlets()?.to_vec() {
            graph.set_outlet_fact(output, InferenceFact::any())?;
        }
        let typed = graph.into_typed()?;
        check_products(&typed)?;
        typed.into_decluttered()
    })
}

/// Multiply-accumulates of a plan of tract's, and the most that its values take at any one time.
fn cost(plan: &TypedSimplePlan) -> TractResult<(u64, u64)> {
    let order = plan.order_without_consts();
    let model = plan.model();
    let mut macs = 0;
    for &id in order {
        let node = model.node(id);
        let (inputs, _) = model.node_facts(id)?;
        for (cost, count) in node.op.cost(&inputs)? {
            if let Cost::FMA(_) = cost {
                macs += count.to_i64()?.unsigned_abs();
            }
        }
    }
    let mut most = 0;
    for (_, bytes) in eval_tmp_memory_usage(model, order, |node: &TypedNode| !node.op_is::<Const>())? {
        most = most.max(bytes.to_i64()?.unsigned_abs());
    }
    Ok((macs, most))
}

/// Bytes of a model's constants.
fn constant_bytes(model: &TypedModel) -> u64 {
    let constants = model.nodes().iter().filter_map(|node| node.op_as::<Const>());
    constants.map(|constant| (constant.val().len() * constant.val().datum_type().size_of()) as u64).sum()
}

/// The kind of the elements: half and double precision are kept as `f32`, a dimension of tract's as `i64`; every other type is refused.
pub fn kind(datum_type: DatumType) -> Result<ElementKind, String> {
    Ok(match datum_type.unquantized() {
        DatumType::Bool => ElementKind::Bool,
        DatumType::U8 => ElementKind::U8,
        DatumType::I8 => ElementKind::I8,
        DatumType::U16 => ElementKind::U16,
        DatumType::I16 => ElementKind::I16,
        DatumType::I32 => ElementKind::I32,
        DatumType::U32 => ElementKind::U32,
        DatumType::U64 => ElementKind::U64,
        DatumType::I64 | DatumType::TDim => ElementKind::I64,
        DatumType::F16 | DatumType::F32 | DatumType::F64 => ElementKind::F32,
        other => return Err(format!("a value of type {other:?}")),
    })
}

/// tract's type for a kind.
pub fn datum_type(kind: ElementKind) -> DatumType {
    match kind {
        ElementKind::Bool => DatumType::Bool,
        ElementKind::U8 => DatumType::U8,
        ElementKind::I8 => DatumType::I8,
        ElementKind::U16 => DatumType::U16,
        ElementKind::I16 => DatumType::I16,
        ElementKind::U32 => DatumType::U32,
        ElementKind::U64 => DatumType::U64,
        ElementKind::F16 => DatumType::F16,
        ElementKind::F64 => DatumType::F64,
        ElementKind::I32 => DatumType::I32,
        ElementKind::I64 => DatumType::I64,
        ElementKind::F32 => DatumType::F32,
    }
}

/// Refuses products whose sides differ in a dimension that is summed: tract compares them for MatMul and Gemm, but not for what it
/// makes of MatMulNBits and Einsum, and its kernels then read behind the shorter side.
fn check_products(model: &TypedModel) -> TractResult<()> {
    for node in &model.nodes {
        let Some(product) = node.op_as::<EinSum>() else { continue };
        let facts = model.node_input_facts(node.id)?;
        for axis in product.axes.iter_all_axes().filter(|axis| axis.outputs.iter().all(|output| output.is_empty())) {
            let sides = facts.iter().zip(&axis.inputs).flat_map(|(fact, at)| at.iter().map(|&at| fact.shape.get(at)));
            let sides: Vec<Option<&TDim>> = sides.collect();
            if sides.windows(2).any(|pair| pair[0] != pair[1]) {
                let sides: Vec<String> = sides.into_iter().flatten().map(ToString::to_string).collect();
                return Err(TractError::msg(format!("a product sums over dimensions of {}", sides.join(" and "))));
            }
        }
    }
    Ok(())
}

/// tract's chain of causes in one line.
fn one_line(error: &TractError) -> String {
    let text = format!("{error:#}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs code of tract's; a panic in it is an error.
fn in_tract<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match guarded(work) {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(one_line(&error)),
        None => Err("the graph is malformed".into()),
    }
}
