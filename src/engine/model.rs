//! An ONNX file, parsed and type-checked by tract.

use super::{ElementKind, EngineError, Plan};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::Once;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::DimLike;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::infer::Factoid;

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

/// An ONNX model as the file states it; [`Model::plan`] fixes its shapes.
pub struct Model {
    graph: InferenceModel,
    outputs: Vec<String>,
}

impl Model {
    /// Reads and parses an ONNX file.
    ///
    /// # Errors
    /// [`EngineError::File`] for a file that cannot be read, [`EngineError::Unreadable`] for one that cannot be parsed,
    /// [`EngineError::Unsupported`] for a graph that refers to what is not there.
    pub fn load(path: &Path) -> Result<Model, EngineError> {
        Model::parse(&std::fs::read(path)?)
    }

    /// Parses the bytes of an ONNX file.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn parse(bytes: &[u8]) -> Result<Model, EngineError> {
        if bytes.is_empty() {
            return Err(EngineError::Unreadable("the file is empty".into()));
        }
        let onnx = tract_onnx::onnx();
        let mut proto = guarded(|| onnx.proto_model_for_read(&mut &*bytes)).map_err(EngineError::Unreadable)?;
        let Some(graph) = &mut proto.graph else {
            return Err(EngineError::Unreadable("no graph in it".into()));
        };
        // ONNX lets nodes share a name, tract does not. Outputs are unique, and the colon keeps what tract derives from
        // a name apart from every name in the file.
        for node in &mut graph.node {
            node.name = format!("{}:{}", node.output.first().map_or("", String::as_str), node.op_type);
        }
        let outputs = graph.output.iter().map(|output| output.name.clone()).collect();
        let graph = guarded(|| onnx.model_for_proto_model(&proto)).map_err(EngineError::Unsupported)?;
        Ok(Model { graph, outputs })
    }

    /// The inputs, in the model's order.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for an input without a type or of a type that Lineside does not exchange.
    pub fn inputs(&self) -> Result<Vec<StatedInput>, EngineError> {
        let outlets = self.graph.input_outlets().map_err(unsupported)?;
        outlets
            .iter()
            .map(|outlet| {
                let name = self.graph.node(outlet.node).name.clone();
                let fact = self.graph.outlet_fact(*outlet).map_err(unsupported)?;
                let datum_type = fact
                    .datum_type
                    .concretize()
                    .ok_or_else(|| EngineError::Unsupported(format!("input \"{name}\" has no element type")))?;
                let shape = fact.shape.dims().map(|dim| dim.concretize()?.to_usize().ok()).collect();
                Ok(StatedInput { kind: element_kind(datum_type)?, name, shape })
            })
            .collect()
    }

    /// Fixes the shapes and makes the plan. `shapes` gives one shape an input; an empty slice takes the shapes from
    /// the model, where an open first dimension (the batch) counts as 1.
    ///
    /// # Errors
    /// [`EngineError::OpenShape`] for dimensions that stay open, [`EngineError::Count`] for a wrong number of shapes,
    /// [`EngineError::Mismatch`] for a shape that contradicts the model, [`EngineError::Unsupported`] for the rest.
    pub fn plan(self, shapes: &[Vec<usize>]) -> Result<Plan, EngineError> {
        let stated = self.inputs()?;
        if !shapes.is_empty() && shapes.len() != stated.len() {
            let asked = format!("{} were", shapes.len());
            return Err(EngineError::Count { what: "inputs", has: stated.len(), asked });
        }
        let mut graph = self.graph;
        for (i, input) in stated.iter().enumerate() {
            let shape = match shapes.get(i) {
                Some(given) => input.agreeing(given)?,
                None => input.closed()?,
            };
            let fact = InferenceFact::dt_shape(datum_type(input.kind), &shape);
            graph.set_input_fact(i, fact).map_err(unsupported)?;
        }
        // Output facts that the file states may still hold symbols; they are inferred anew from the inputs.
        for output in graph.output_outlets().map_err(unsupported)?.to_vec() {
            graph.set_outlet_fact(output, InferenceFact::any()).map_err(unsupported)?;
        }
        let typed = guarded(|| graph.into_typed()?.into_decluttered()).map_err(EngineError::Unsupported)?;
        // Counted before the optimiser hides constants inside packed forms; packing keeps their size.
        let weights = constant_bytes(&typed);
        let optimized = guarded(|| typed.into_optimized()).map_err(EngineError::Unsupported)?;
        Plan::new(optimized, weights, &self.outputs)
    }
}

fn constant_bytes(model: &TypedModel) -> u64 {
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
pub(super) fn element_kind(datum_type: DatumType) -> Result<ElementKind, EngineError> {
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

fn datum_type(kind: ElementKind) -> DatumType {
    match kind {
        ElementKind::U8 => DatumType::U8,
        ElementKind::I8 => DatumType::I8,
        ElementKind::I32 => DatumType::I32,
        ElementKind::I64 => DatumType::I64,
        ElementKind::F32 => DatumType::F32,
    }
}

fn unsupported(error: TractError) -> EngineError {
    EngineError::Unsupported(one_line(&error))
}

/// tract's chain of causes in one line.
pub(super) fn one_line(error: &TractError) -> String {
    let text = format!("{error:#}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// tract asserts on some malformed graphs; a bad file must end in an error all the same, without a panic's message.
fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    static SILENCER: Once = Once::new();
    SILENCER.call_once(|| {
        let loud = take_hook();
        set_hook(Box::new(move |info| {
            if !GUARDED.with(Cell::get) {
                loud(info);
            }
        }));
    });
    GUARDED.with(|guarded| guarded.set(true));
    let result = catch_unwind(AssertUnwindSafe(work));
    GUARDED.with(|guarded| guarded.set(false));
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(one_line(&error)),
        Err(_) => Err("the graph is malformed".into()),
    }
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}
