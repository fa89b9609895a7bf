//! An ONNX file, parsed and type-checked by tract.

use super::graph::{Graph, Node, Op};
use super::stream::Stream;
use super::{ElementKind, EngineError, Plan, import, kernels};
use prost::Message;
use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::{Arc, Once};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{GraphProto, ModelProto, ValueInfoProto, tensor_shape_proto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::Cost;
use tract_onnx::tract_core::model::memory::eval_tmp_memory_usage;
use tract_onnx::tract_core::ops::konst::Const;

/// An input as the file states it.
#[derive(Debug, Clone)]
pub struct StatedInput {
    /// Its name.
    pub name: String,
    /// The element type.
    pub kind: ElementKind,
    /// The shape; `None` stands for a dimension that the model leaves open.
    pub shape: Vec<Option<usize>>,
}

/// An ONNX model as the file states it; [`Model::plan`] fixes its shapes. Clones share what was parsed, so that a model that is
/// planned for several shapes is parsed once.
#[derive(Clone)]
pub struct Model {
    proto: Arc<ModelProto>,
}

impl Model {
    /// Reads and parses an ONNX file.
    ///
    /// # Errors
    /// [`EngineError::File`] for a file that cannot be read, [`EngineError::Unreadable`] for one that cannot be parsed.
    pub fn load(path: &Path) -> Result<Model, EngineError> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Model::read(file, usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// Parses the bytes of an ONNX file.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn parse(bytes: &[u8]) -> Result<Model, EngineError> {
        Model::read(bytes, bytes.len())
    }

    fn read(reader: impl Read, len: usize) -> Result<Model, EngineError> {
        if len == 0 {
            return Err(EngineError::Unreadable("the file is empty".into()));
        }
        let mut stream = Stream::new(reader, len);
        let parsed = guarded_string(|| ModelProto::decode(&mut stream).map_err(|e| e.to_string()));
        if let Some(error) = stream.error {
            return Err(error.into());
        }
        let proto = parsed.map_err(EngineError::Unreadable)?;
        let Some(graph) = &proto.graph else { return Err(EngineError::Unreadable("no graph in it".into())) };
        if graph.output.is_empty() {
            return Err(EngineError::Unsupported("its graph has no outputs".into()));
        }
        let attributes =
            graph.node.iter().flat_map(|node| &node.attribute).filter_map(|attribute| attribute.t.as_ref());
        for tensor in graph.initializer.iter().chain(attributes) {
            let problem = |e| EngineError::Unreadable(format!("tensor \"{}\": {e}", tensor.name));
            import::island::check_size(tensor).map_err(problem)?;
        }
        Ok(Model { proto: Arc::new(proto) })
    }

    /// A model from parsed parts, as tests make them.
    #[cfg(test)]
    pub(super) fn from_proto(proto: ModelProto) -> Model {
        Model { proto: Arc::new(proto) }
    }

    fn graph(&self) -> &GraphProto {
        // Checked when parsed.
        self.proto.graph.as_ref().unwrap_or(&EMPTY)
    }

    /// The inputs, in the model's order.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for an input without a type or of a type that Lineside does not exchange.
    pub fn inputs(&self) -> Result<Vec<StatedInput>, EngineError> {
        let graph = self.graph();
        // Files up to IR version 3 list their constants among the inputs.
        let given = |input: &&ValueInfoProto| !graph.initializer.iter().any(|constant| constant.name == input.name);
        graph.input.iter().filter(given).map(stated).collect()
    }

    /// Fixes the shapes and makes the plan. `shapes` gives one shape an input; an empty slice takes the shapes from
    /// the model, where an open first dimension (the batch) counts as 1. The kernels are the best that this CPU has, or
    /// those that `LINESIDE_KERNEL` names.
    ///
    /// # Errors
    /// [`EngineError::OpenShape`] for dimensions that stay open, [`EngineError::Count`] for a wrong number of shapes,
    /// [`EngineError::Mismatch`] for a shape that contradicts the model, [`EngineError::Unsupported`] for the rest.
    pub fn plan(self, shapes: &[Vec<usize>]) -> Result<Plan, EngineError> {
        let kernels = kernels::chosen().map_err(EngineError::Unsupported)?;
        self.plan_on(shapes, kernels)
    }

    /// The fp32 network that the model was quantized from, as far as the model still holds it, for comparison. Inputs
    /// and outputs of bytes become floats.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for ops without a known float form, those of dynamic quantization among them.
    pub fn in_floats(&self) -> Result<Model, EngineError> {
        let proto = guarded_string(|| import::fp32::in_floats(&self.proto)).map_err(EngineError::Unsupported)?;
        Ok(Model { proto: Arc::new(proto) })
    }

    /// As [`Model::plan`], with the kernel set of that name; [`kernel_names`] lists them.
    ///
    /// # Errors
    /// As [`Model::plan`], and [`EngineError::Unsupported`] where this CPU has no such set.
    pub fn plan_with(self, shapes: &[Vec<usize>], kernel: &str) -> Result<Plan, EngineError> {
        let set = kernels::available().into_iter().find(|set| set.name() == kernel);
        let set = set.ok_or_else(|| EngineError::Unsupported(format!("this CPU has no kernels named {kernel}")))?;
        self.plan_on(shapes, set)
    }

    fn plan_on(self, shapes: &[Vec<usize>], kernels: &'static dyn kernels::Kernels) -> Result<Plan, EngineError> {
        let stated = self.inputs()?;
        if !shapes.is_empty() && shapes.len() != stated.len() {
            let asked = format!("{} were", shapes.len());
            return Err(EngineError::Count { what: "inputs", has: stated.len(), asked });
        }
        let mut inputs = Vec::with_capacity(stated.len());
        for (i, input) in stated.iter().enumerate() {
            let shape = match shapes.get(i) {
                Some(given) => input.agreeing(given)?,
                None => input.closed()?,
            };
            inputs.push((input.name.clone(), input.kind, shape));
        }
        let graph = if has_integer_form(self.graph()) {
            match guarded_import(|| import::import(&self.proto, &inputs)) {
                Ok(mut graph) => {
                    for (id, output) in graph.outputs.clone().into_iter().zip(&self.graph().output) {
                        graph.values[id].name.clone_from(&output.name);
                    }
                    graph
                }
                Err(refused) if refused.tract_may => {
                    // Sound, but beyond what is imported: tract runs all of it, or says why not.
                    log::warn!("the whole model runs in floats: {}", refused.message);
                    whole(&self.proto, &inputs).map_err(|_| EngineError::Unsupported(refused.message))?
                }
                Err(refused) => return Err(EngineError::Unsupported(refused.message)),
            }
        } else {
            whole(&self.proto, &inputs).map_err(EngineError::Unsupported)?
        };
        // The file's bytes are not kept beside the packed weights, unless another clone is still to be planned.
        drop(self.proto);
        guarded(|| Ok(Plan::new(graph, kernels))).map_err(EngineError::Unsupported)?
    }
}

static EMPTY: std::sync::LazyLock<GraphProto> = std::sync::LazyLock::new(GraphProto::default);

/// The names of the kernel sets that this CPU has, the best first; the last one is the scalar oracle.
pub fn kernel_names() -> Vec<&'static str> {
    kernels::available().iter().map(|set| set.name()).collect()
}

/// What this CPU has of what kernel sets ask for, by name.
pub fn cpu_features() -> Vec<&'static str> {
    kernels::features()
}

/// Whether anything in the graph is quantized; a model without is left to tract as a whole.
fn has_integer_form(graph: &GraphProto) -> bool {
    let quantized = |name: &str| {
        name.starts_with("QLinear")
            || matches!(
                name,
                "QuantizeLinear"
                    | "DequantizeLinear"
                    | "DynamicQuantizeLinear"
                    | "QGemm"
                    | "MatMulInteger"
                    | "ConvInteger"
            )
    };
    graph.node.iter().any(|node| quantized(&node.op_type))
}

fn stated(input: &ValueInfoProto) -> Result<StatedInput, EngineError> {
    let name = input.name.clone();
    let no_type = || EngineError::Unsupported(format!("input \"{name}\" has no element type"));
    let Some(Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Err(no_type());
    };
    let element = DataType::try_from(tensor.elem_type).ok().and_then(|t| DatumType::try_from(t).ok());
    let kind = element_kind(element.ok_or_else(no_type)?)?;
    let shape = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
    let dim = |dim: &tensor_shape_proto::Dimension| match dim.value {
        Some(tensor_shape_proto::dimension::Value::DimValue(v)) => usize::try_from(v).ok().filter(|&v| v > 0),
        _ => None,
    };
    Ok(StatedInput { kind, shape: shape.iter().map(dim).collect(), name })
}

/// A graph of one island: the whole model through tract.
fn whole(proto: &ModelProto, inputs: &[(String, ElementKind, Vec<usize>)]) -> Result<Graph, String> {
    let mut proto = proto.clone();
    let onnx = proto.graph.as_mut().ok_or("no graph in it")?;
    // ONNX lets nodes share a name, tract does not. Outputs are unique, and the colon keeps what tract derives from
    // a name apart from every name in the file.
    for node in &mut onnx.node {
        node.name = format!("{}:{}", node.output.first().map_or("", String::as_str), node.op_type);
    }
    let names: Vec<String> = onnx.output.iter().map(|output| output.name.clone()).collect();
    let typed = guarded(|| {
        let mut graph = tract_onnx::onnx().model_for_proto_model(&proto)?;
        for (i, (_, kind, shape)) in inputs.iter().enumerate() {
            graph.set_input_fact(i, InferenceFact::dt_shape(import::onnx::datum_type(*kind), shape))?;
        }
        // Output facts that the file states may still hold symbols; they are inferred anew from the inputs.
        for output in graph.output_outlets()?.to_vec() {
            graph.set_outlet_fact(output, InferenceFact::any())?;
        }
        graph.into_typed()?.into_decluttered()
    })?;
    let island = import::island::island(typed)?;
    let mut graph = Graph::default();
    for (name, kind, shape) in inputs {
        let id = graph.value(name, *kind, shape);
        graph.inputs.push(id);
    }
    for (name, (kind, shape)) in names.iter().zip(&island.outputs) {
        let id = graph.value(name, *kind, shape);
        graph.outputs.push(id);
    }
    let (inputs, outputs) = (graph.inputs.clone(), graph.outputs.clone());
    graph.nodes.push(Node { name: "model".into(), op: Op::Island(Box::new(island)), inputs, outputs });
    Ok(graph)
}

/// Multiply-accumulates of a plan of tract's, and the most that its values take at any one time.
pub(super) fn cost(plan: &TypedSimplePlan) -> TractResult<(u64, u64)> {
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
pub(super) fn constant_bytes(model: &TypedModel) -> u64 {
    let constants = model.nodes().iter().filter_map(|node| node.op_as::<Const>());
    constants.map(|constant| (constant.val().len() * constant.val().datum_type().size_of()) as u64).sum()
}

impl StatedInput {
    /// The shape as stated, an open first dimension as 1.
    fn closed(&self) -> Result<Vec<usize>, EngineError> {
        let shape = self.shape.iter().enumerate().map(|(axis, dim)| dim.or((axis == 0).then_some(1)));
        let open = || EngineError::OpenShape { input: self.name.clone(), shape: self.shape_in_words() };
        shape.collect::<Option<_>>().ok_or_else(open)
    }

    /// The shape as given, where it fills only what is open.
    fn agreeing(&self, given: &[usize]) -> Result<Vec<usize>, EngineError> {
        let fits = |(dim, given): (&Option<usize>, &usize)| dim.is_none_or(|dim| dim == *given);
        if self.shape.len() == given.len() && self.shape.iter().zip(given).all(fits) {
            return Ok(given.to_vec());
        }
        Err(EngineError::Mismatch {
            name: format!("input \"{}\"", self.name),
            expected: format!("{} {}", self.kind, self.shape_in_words()),
            found: format!("{given:?}"),
        })
    }

    fn shape_in_words(&self) -> String {
        let dims: Vec<String> = self.shape.iter().map(|dim| dim.map_or("?".into(), |dim| dim.to_string())).collect();
        format!("[{}]", dims.join(", "))
    }
}

/// The type at the border for a type inside tract; a quantized type counts as the integer it is stored in.
fn element_kind(datum_type: DatumType) -> Result<ElementKind, EngineError> {
    match datum_type.unquantized() {
        DatumType::U8 => Ok(ElementKind::U8),
        DatumType::I8 => Ok(ElementKind::I8),
        DatumType::I32 => Ok(ElementKind::I32),
        DatumType::I64 => Ok(ElementKind::I64),
        DatumType::F32 => Ok(ElementKind::F32),
        other => {
            Err(EngineError::Unsupported(format!("element type {other:?} at its border; u8, i8, i32, i64 and f32 are")))
        }
    }
}

/// tract's chain of causes in one line.
pub(super) fn one_line(error: &TractError) -> String {
    let text = format!("{error:#}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// tract asserts on some malformed graphs; a bad file must end in an error all the same, without a panic's message.
pub(super) fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match caught(work) {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(one_line(&error)),
        None => Err("the graph is malformed".into()),
    }
}

/// As [`guarded`], for our own code.
fn guarded_string<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    caught(work).unwrap_or_else(|| Err("the graph is malformed".into()))
}

/// As [`guarded`], for an import.
fn guarded_import<T>(work: impl FnOnce() -> import::Imported<T>) -> import::Imported<T> {
    caught(work).unwrap_or_else(|| Err("the graph is malformed".into()))
}

/// The result of `work`, or `None` where it panicked.
fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    static SILENCER: Once = Once::new();
    SILENCER.call_once(|| {
        let loud = take_hook();
        set_hook(Box::new(move |info| {
            if !GUARDED.with(Cell::get) {
                loud(info);
            }
        }));
    });
    let before = GUARDED.with(|guarded| guarded.replace(true));
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.with(|guarded| guarded.set(before));
    result.ok()
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}
