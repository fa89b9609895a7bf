//! An ONNX file: import, plan, one run.

use super::Target;
use lineside_engine::{ElementKind, EngineError, Model, Session, Tensor, f16, kernel_names, npy};
use std::sync::Arc;

/// This target.
pub const TARGET: Target = Target {
    name: "model",
    run: target,
    max_len: 4096,
    max_memory: 256 << 20,
    iterations: 500,
    words: &[
        b"QuantizeLinear",
        b"DequantizeLinear",
        b"QLinearConv",
        b"QLinearMatMul",
        b"QLinearAdd",
        b"ConvInteger",
        b"MatMulInteger",
        b"DynamicQuantizeLinear",
        b"Conv",
        b"Relu",
        b"Clip",
        b"Add",
        b"Mul",
        b"Concat",
        b"Split",
        b"Slice",
        b"Pad",
        b"Resize",
        b"Transpose",
        b"Reshape",
        b"MaxPool",
        b"AveragePool",
        b"GlobalAveragePool",
        b"DepthToSpace",
        b"Softmax",
        b"Gemm",
        b"Gather",
        b"ConvTranspose",
        b"BatchNormalization",
        b"LayerNormalization",
        b"MatMul",
        b"Attention",
        b"LSTM",
        b"GRU",
        b"Where",
        b"Equal",
        b"Cast",
        b"Expand",
        b"Tile",
        b"ArgMax",
        b"ReduceSum",
        b"ReduceMax",
        b"If",
        b"Dropout",
        b"TopK",
        b"Einsum",
        b"GatherND",
        b"ScatterND",
        b"DynamicQuantizeLSTM",
        b"DynamicQuantizeMatMul",
        b"FusedMatMul",
        b"QLinearConcat",
        b"direction",
        b"reflect",
        b"hidden_size",
        b"to",
        b"Shape",
        b"Constant",
        b"strides",
        b"pads",
        b"dilations",
        b"group",
        b"axis",
        b"kernel_shape",
        b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
        b"\x80\x80\x80\x80\x10",
    ],
};

/// The most elements of an input.
const MOST_ELEMENTS: usize = 1 << 14;
/// The most multiply-accumulates of a run.
const MOST_MACS: u64 = 1 << 24;
/// The most memory of a session, in bytes.
const MOST_MEMORY: u64 = 32 << 20;

/// Imports a model, plans it and runs it once: with every kernel set, and with two threads.
pub fn target(data: &[u8]) {
    // Names of the model stand in it as they are; the program escapes them when it prints them.
    let refused = |error: EngineError| assert!(!error.to_string().is_empty());
    let model = match Model::parse(data) {
        Ok(model) => model,
        Err(error) => return refused(error),
    };
    let stated = match model.inputs() {
        Ok(stated) => stated,
        Err(error) => return refused(error),
    };
    let open = |(axis, dim): (usize, &Option<usize>)| dim.unwrap_or(if axis == 0 { 1 } else { 4 });
    let shapes: Vec<Vec<usize>> =
        stated.iter().map(|input| input.shape.iter().enumerate().map(open).collect()).collect();
    let elements = |shape: &Vec<usize>| shape.iter().try_fold(1_usize, |product, &dim| product.checked_mul(dim));
    if shapes.len() > 8 || shapes.iter().any(|shape| elements(shape).is_none_or(|elements| elements > MOST_ELEMENTS)) {
        return;
    }
    let _ = model.in_floats().map_err(refused);
    let mut expected: Option<Vec<Vec<u8>>> = None;
    for kernel in kernel_names() {
        let plan = match model.clone().plan_with(&shapes, kernel) {
            Ok(plan) => Arc::new(plan),
            Err(error) => {
                assert!(expected.is_none(), "{kernel} refuses what another kernel set plans: {error}");
                return refused(error);
            }
        };
        let memory = plan.memory();
        if plan.macs() > MOST_MACS || memory.arena_bytes + memory.weights_bytes > MOST_MEMORY {
            return;
        }
        for threads in [1, 2] {
            let mut session = Session::with_threads(Arc::clone(&plan), threads).expect("a thread more");
            for (i, info) in plan.inputs().iter().enumerate() {
                session.set_input(i, pattern(info.kind, &info.shape)).expect("an input of the plan's own shape");
            }
            if let Err(error) = session.run() {
                return refused(error);
            }
            let outputs = session.outputs().iter().map(bytes_of).collect();
            match &expected {
                None => expected = Some(outputs),
                Some(expected) => assert!(*expected == outputs, "{kernel} with {threads} threads gives other bytes"),
            }
        }
    }
}

/// An input of all bytes.
fn pattern(kind: ElementKind, shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let shape = shape.to_vec();
    let bytes = (0..count).map(|i| (i * 37 + i / 7) as u8);
    let tensor = match kind {
        ElementKind::Bool => Tensor::new(shape, bytes.map(|byte| byte % 3 == 0).collect::<Vec<bool>>()),
        ElementKind::U8 => Tensor::new(shape, bytes.collect::<Vec<u8>>()),
        ElementKind::U16 => Tensor::new(shape, bytes.map(|byte| u16::from(byte) * 257).collect::<Vec<u16>>()),
        ElementKind::I16 => Tensor::new(shape, bytes.map(|byte| i16::from(byte) * 200).collect::<Vec<i16>>()),
        ElementKind::U32 => Tensor::new(shape, bytes.map(|byte| u32::from(byte) << 20).collect::<Vec<u32>>()),
        ElementKind::U64 => Tensor::new(shape, bytes.map(|byte| u64::from(byte) << 56).collect::<Vec<u64>>()),
        ElementKind::F64 => Tensor::new(shape, bytes.map(|byte| f64::from(byte) / 50.0 - 2.5).collect::<Vec<f64>>()),
        ElementKind::F16 => {
            Tensor::new(shape, bytes.map(|byte| f16::from_f32(f32::from(byte) / 50.0 - 2.5)).collect::<Vec<f16>>())
        }
        ElementKind::I8 => Tensor::new(shape, bytes.map(|byte| byte as i8).collect::<Vec<i8>>()),
        ElementKind::I32 => Tensor::new(shape, bytes.map(|byte| i32::from(byte) - 100).collect::<Vec<i32>>()),
        ElementKind::I64 => Tensor::new(shape, bytes.map(|byte| i64::from(byte) % 5).collect::<Vec<i64>>()),
        ElementKind::F32 => Tensor::new(shape, bytes.map(|byte| f32::from(byte) / 50.0 - 2.5).collect::<Vec<f32>>()),
        other => panic!("no pattern for {other}"),
    };
    tensor.expect("as many values as the shape has")
}

/// By bytes, because not a number is not equal to itself. Which NaN it is may differ between kernel sets (docs/numerics.md).
fn bytes_of(tensor: &Tensor) -> Vec<u8> {
    if let Some(floats) = tensor.values::<f32>() {
        let one_nan = |value: &f32| if value.is_nan() { f32::NAN } else { *value };
        return floats.iter().flat_map(|value| one_nan(value).to_ne_bytes()).collect();
    }
    let mut bytes = Vec::new();
    npy::write(&mut bytes, tensor).expect("a vector takes everything");
    bytes
}
