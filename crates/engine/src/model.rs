//! An ONNX file, parsed and type-checked by tract.

use super::functions::ModelFile;
use super::guard::guarded_result;
use super::kernels::{self, Kernels};
use super::outline::Outline;
use super::stream::Stream;
use super::{ElementKind, EngineError, Plan, external, import, tract};
use import::Payload;
use prost::Message;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{GraphProto, ModelProto, ValueInfoProto, tensor_shape_proto};

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
    /// Without the bytes of large initializers.
    proto: Arc<ModelProto>,
    /// These, by the initializer's place: a plan frees each as soon as the last node has read it.
    payloads: Vec<Option<Payload>>,
    /// The kernel set that was asked for; the best one without.
    kernels: Option<&'static dyn Kernels>,
    /// The most bytes that a plan of it may take, and what the user calls that limit.
    limit: (u64, &'static str),
}

/// The largest model that is read, in bytes: what protobuf can hold.
const MOST_FILE_BYTES: u64 = 2 << 30;

/// The most bytes that a plan may take where nobody sets a limit.
const MOST_PLAN_BYTES: u64 = 8 << 30;

impl Model {
    /// Reads and parses an ONNX file: a regular file, as to open a pipe would wait. Weights may lie in other files in its folder
    /// or below.
    ///
    /// # Errors
    /// [`EngineError::File`] for a file that cannot be read, [`EngineError::Unreadable`] for one that cannot be parsed,
    /// [`EngineError::Beside`] where weights lie in another file that cannot be had, [`EngineError::Unsupported`] for tensors
    /// of a type that is not supported.
    pub fn load(path: &Path) -> Result<Model, EngineError> {
        let regular = |metadata: &Metadata| {
            let other = || io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
            metadata.is_file().then_some(metadata.len()).ok_or_else(other)
        };
        regular(&std::fs::metadata(path)?)?;
        let file = File::open(path)?;
        let length = regular(&file.metadata()?)?;
        let mut proto = decoded(file, length)?;
        external::read(&mut proto, path.parent().unwrap_or(Path::new("")), MOST_FILE_BYTES)?;
        Model::checked(proto)
    }

    /// Parses the bytes of an ONNX file.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn parse(bytes: &[u8]) -> Result<Model, EngineError> {
        Model::read(bytes, bytes.len() as u64)
    }

    /// Parses an ONNX file of `length` bytes while it is read: a caller opens the file, and knows how large it may be.
    ///
    /// # Errors
    /// As [`Model::load`]; [`EngineError::Unreadable`] for one of more than 2 GiB, which is the most that the format holds,
    /// [`EngineError::Beside`] for one whose weights lie in another file.
    pub fn read(reader: impl Read, length: u64) -> Result<Model, EngineError> {
        let mut proto = decoded(reader, length)?;
        match external::first(&mut proto) {
            Some(error) => Err(error),
            None => Model::checked(proto),
        }
    }

    /// A parsed model whose tensors are whole.
    fn checked(proto: ModelProto) -> Result<Model, EngineError> {
        let Some(graph) = &proto.graph else { return Err(EngineError::Unreadable("no graph in it".into())) };
        if graph.output.is_empty() {
            return Err(EngineError::Unsupported("its graph has no outputs".into()));
        }
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().map_or("", |values| values.name.as_str());
            let problem = format!("initializer \"{name}\" is sparse, which is not supported: store all of its numbers");
            return Err(EngineError::Unsupported(problem));
        }
        let attributes =
            graph.node.iter().flat_map(|node| &node.attribute).filter_map(|attribute| attribute.t.as_ref());
        for tensor in graph.initializer.iter().chain(attributes) {
            let within = |problem: String| format!("tensor \"{}\": {problem}", tensor.name);
            tract::check_type(tensor).map_err(|problem| EngineError::Unsupported(within(problem)))?;
            tract::check_size(tensor).map_err(|problem| EngineError::Unreadable(within(problem)))?;
        }
        Ok(Model::from_proto(proto))
    }

    /// A model from parsed parts.
    pub(super) fn from_proto(mut proto: ModelProto) -> Model {
        let initializers = proto.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
        let payloads = initializers.map(import::take_payload).collect();
        Model { proto: Arc::new(proto), payloads, kernels: None, limit: (MOST_PLAN_BYTES, "the limit") }
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

    /// What the file says of itself: its notes, and which op makes which tensor.
    pub fn outline(&self) -> Outline {
        Outline::of(&self.proto, self.graph())
    }

    /// Fixes the shapes and makes the plan. `shapes` gives one shape an input; an empty slice takes the shapes from
    /// the model, where an open first dimension (the batch) counts as 1. The kernels are the best that this CPU has,
    /// or those of [`Model::with_kernels`].
    ///
    /// # Errors
    /// [`EngineError::OpenShape`] for dimensions that stay open, [`EngineError::Count`] for a wrong number of shapes,
    /// [`EngineError::Mismatch`] for a shape that contradicts the model, [`EngineError::Unsupported`] for the rest.
    pub fn plan(self, shapes: &[Vec<usize>]) -> Result<Plan, EngineError> {
        let kernels = self.kernels.unwrap_or_else(|| kernels::available()[0]);
        self.plan_on(shapes, kernels)
    }

    /// The fp32 network that the model was quantized from, as far as the model still holds it, for comparison. Inputs
    /// and outputs of bytes become floats.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for ops without a known float form, those of dynamic quantization among them.
    pub fn in_floats(&self) -> Result<Model, EngineError> {
        let mut whole = (*self.proto).clone();
        let initializers = whole.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
        for (tensor, payload) in initializers.zip(&self.payloads) {
            if let Some(bytes) = payload {
                tensor.raw_data = bytes.to_vec();
            }
        }
        let proto = guarded_result(|| import::fp32::in_floats(whole)).map_err(EngineError::Unsupported)?;
        let Model { kernels, limit, .. } = *self;
        Ok(Model { kernels, limit, ..Model::from_proto(proto) })
    }

    /// The same model, planned for the kernel set of that name from now on; [`kernel_names`](crate::kernel_names) lists them.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] where this CPU has no such set.
    pub fn with_kernels(self, kernel: &str) -> Result<Model, EngineError> {
        Ok(Model { kernels: Some(kernels::named(kernel)?), ..self })
    }

    /// The same model for a place with so many bytes of memory: a plan that would take more, weights and arena together, is refused
    /// before its arena is allocated. `name`: what the user calls that limit.
    pub fn within(self, bytes: u64, name: &'static str) -> Model {
        Model { limit: (bytes, name), ..self }
    }

    /// As [`Model::plan`], with the kernel set of that name; [`kernel_names`](crate::kernel_names) lists them.
    ///
    /// # Errors
    /// As [`Model::plan`], and [`EngineError::Unsupported`] where this CPU has no such set.
    pub fn plan_with(self, shapes: &[Vec<usize>], kernel: &str) -> Result<Plan, EngineError> {
        let set = kernels::named(kernel)?;
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
            import::checked(&shape)
                .map_err(|wrong| EngineError::Unsupported(format!("input \"{}\": {wrong}", input.name)))?;
            inputs.push((input.name.clone(), input.kind, shape));
        }
        let Model { proto, payloads, limit, .. } = self;
        let mut graph = guarded_result(|| import::import(&proto, payloads, &inputs, limit.0))
            .map_err(|refused| EngineError::Unsupported(refused.message))?;
        for (id, output) in graph.outputs.clone().into_iter().zip(&proto.graph.as_ref().unwrap_or(&EMPTY).output) {
            graph.values[id].name.clone_from(&output.name);
        }
        // What was parsed is not kept beside the packed weights, unless another clone is still to be planned.
        drop(proto);
        let plan =
            guarded_result(|| Ok::<_, String>(Plan::new(graph, kernels))).map_err(EngineError::Unsupported)??;
        let memory = plan.memory();
        let needed = memory.weights_bytes.saturating_add(memory.arena_bytes);
        let (limit, name) = limit;
        if needed > limit {
            let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
            let (limit, needed, arena) = (mib(limit), mib(needed), mib(memory.arena_bytes));
            let problem =
                format!("{name} is {limit}, but it takes {needed} of memory, {arena} of them between its ops");
            return Err(EngineError::Unsupported(problem));
        }
        Ok(plan)
    }
}

static EMPTY: std::sync::LazyLock<GraphProto> = std::sync::LazyLock::new(GraphProto::default);

/// An ONNX file of `length` bytes, parsed.
fn decoded(reader: impl Read, length: u64) -> Result<ModelProto, EngineError> {
    if length == 0 {
        return Err(EngineError::Unreadable("the file is empty".into()));
    }
    let len = usize::try_from(length).ok().filter(|_| length <= MOST_FILE_BYTES).ok_or_else(|| {
        EngineError::Unreadable(format!("it has {length} bytes, more than the {MOST_FILE_BYTES} of an ONNX file"))
    })?;
    let mut stream = Stream::new(reader, len);
    let parsed = guarded_result(|| ModelFile::decode(&mut stream).map_err(|e| e.to_string()));
    if let Some(error) = stream.error {
        return Err(error.into());
    }
    let ModelFile { model, functions } = parsed.map_err(EngineError::Unreadable)?;
    // Whether a function goes before the operator of its name is left to whoever runs a model.
    match functions.iter().find(|function| import::check_operator(&function.domain, &function.name).is_ok()) {
        Some(function) => Err(EngineError::Unsupported(format!(
            "its function {} has the domain of operators that are known here: inline it first \
             (onnx.inliner.inline_local_functions)",
            function.name
        ))),
        None => Ok(model),
    }
}

fn stated(input: &ValueInfoProto) -> Result<StatedInput, EngineError> {
    let name = input.name.clone();
    let no_type = || EngineError::Unsupported(format!("input \"{name}\" has no element type"));
    let Some(Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Err(no_type());
    };
    if tensor.elem_type == 0 {
        return Err(no_type());
    }
    let kind = tract::kind_of_type(tensor.elem_type).map_err(|unknown| {
        EngineError::Unsupported(format!(
            "input \"{name}\": {unknown} at its border; bool, u8, i8, u16, i16, i32, i64, f16 and f32 are"
        ))
    })?;
    let shape = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
    let dim = |dim: &tensor_shape_proto::Dimension| match dim.value {
        Some(tensor_shape_proto::dimension::Value::DimValue(v)) => usize::try_from(v).ok().filter(|&v| v > 0),
        _ => None,
    };
    Ok(StatedInput { kind, shape: shape.iter().map(dim).collect(), name })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe.onnx");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        for path in [path.as_path(), folder.path(), Path::new("/dev/zero")] {
            let error = Model::load(path).err().unwrap().to_string();
            assert_eq!(error, "cannot be read: it is no regular file", "{}", path.display());
        }
        let path = folder.path().join("large.onnx");
        File::create(&path).unwrap().set_len(MOST_FILE_BYTES + 1).unwrap();
        let error = Model::load(&path).err().unwrap().to_string();
        assert!(error.contains("2147483649 bytes, more than"), "{error}");
    }
}
