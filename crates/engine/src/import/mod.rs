//! ONNX, as tract has parsed it, to the integer graph.
//!
//! Nodes are walked in the file's order. A float tensor is not computed when its node is read: it is kept as an
//! expression ([`expression::Lazy`]), because what follows decides its form. Where a `QuantizeLinear` follows, the whole
//! expression becomes one integer op; where something else needs its floats, it is computed as such. So every way of
//! writing a quantized op (QDQ around float ops, QLinear ops) ends in the same graph.
//!
//! | file | content |
//! |---|---|
//! | `onnx` | attributes and constants |
//! | `operator` | whose operator a node is, and in which version |
//! | `geometry` | windows, pads and shapes that several ops share |
//! | `channel_affine` | a scale and a shift for each channel |
//! | `expression` | float expressions |
//! | `lazy` | their integer form, or their floats |
//! | `pointwise` | functions of one quantized number, and their tables |
//! | `copies` | constants that several nodes read, once |
//! | `quantize_linear` | QuantizeLinear |
//! | `quantized` | DequantizeLinear, QLinear ops, dynamic quantization |
//! | `convolution` | Conv, ConvTranspose, Gemm, MatMul |
//! | `transposed` | sizes and pads of transposed convolutions |
//! | `batchnorm` | BatchNormalization |
//! | `elementwise` | unary functions, Add, Mul, normalisation, softmax |
//! | `numbers` | casts, comparisons, arithmetic of whole numbers |
//! | `fold` | nodes whose inputs are all known, computed at load |
//! | `attention` | attention as the products that it is made of |
//! | `branch` | a choice between graphs that is known at load |
//! | `float` | what is computed in floats |
//! | `movement` | reshape, transpose, concat, split, slice, depth to space |
//! | `pad` | pads of a value, of the edge, of what is mirrored or repeated |
//! | `fused` | products of com.microsoft: FusedMatMul, DynamicQuantizeMatMul, MatMulIntegerToFloat |
//! | `gather` | Gather, GatherND |
//! | `detection` | NonMaxSuppression, NonZero |
//! | `counted` | what needs a length that is only known in a run |
//! | `recurrent` | LSTM, GRU, RNN, DynamicQuantizeLSTM |
//! | `window` | pools, means, resizing |
//! | `fp32` | the float network that a quantized model came from, for comparison |
//! | `island_size` | how large the outputs of such nodes may become |
//! | `island` | what runs through tract, and constants that tract folds |

mod attention;
mod batchnorm;
#[cfg(test)]
mod bounds_tests;
mod branch;
mod channel_affine;
mod convolution;
mod copies;
mod counted;
#[cfg(test)]
mod counted_tests;
mod detection;
mod elementwise;
#[cfg(test)]
mod exactness_tests;
mod expression;
mod float;
mod fold;
pub mod fp32;
mod fused;
mod gather;
mod geometry;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod indices_tests;
mod island;
mod island_size;
mod lazy;
mod movement;
mod numbers;
mod onnx;
mod operator;
mod pad;
#[cfg(test)]
mod payloads;
mod pointwise;
mod quantize_linear;
mod quantized;
mod recurrent;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod resizing_tests;
#[cfg(test)]
mod tests;
mod transposed;
mod window;

#[cfg(test)]
pub(super) use tests::model as sound_model;

use super::ElementKind;
use super::graph::{Graph, Op, ValueId};
use super::tract::{
    Constant, constant, constant_of_bytes, has_four_bits, has_plain_bytes, kind, kind_of_bytes, kind_of_type,
};
use copies::Copies;
use counted::UNKNOWN_SHAPE;
use expression::{Expression, Lazy, Stored};
use onnx::raw_bytes;
pub use operator::check_operator;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto};

/// The most elements that one value may have; more is taken for a damaged file.
const MOST_ELEMENTS: usize = 1 << 27;

/// Initializers up to this many bytes are read when the import begins; larger ones, where the weights are, each time
/// that a node needs them, and are freed behind the last one: so no more than one layer's weights lie twice in memory.
const READ_AT_ONCE: usize = 1024;

/// The bytes of a large initializer.
pub type Payload = Arc<Vec<u8>>;

/// Takes the bytes of a large initializer out of it; what is not stored as plain numbers stays.
pub fn take_payload(tensor: &mut TensorProto) -> Option<Payload> {
    let large = tensor.raw_data.len() > READ_AT_ONCE && has_plain_bytes(tensor);
    large.then(|| Arc::new(std::mem::take(&mut tensor.raw_data)))
}

/// A tensor of the file, as far as it is known while walking.
#[derive(Clone)]
pub enum Binding {
    /// Known at load.
    Constant(Constant),
    /// In the graph.
    Value(ValueId),
    /// A float expression.
    Lazy(Rc<Lazy>),
}

/// Why a model was not imported.
#[derive(Debug)]
pub struct ImportError {
    pub message: String,
}

impl From<String> for ImportError {
    fn from(message: String) -> ImportError {
        ImportError { message }
    }
}

impl From<&str> for ImportError {
    fn from(message: &str) -> ImportError {
        message.to_owned().into()
    }
}

impl ImportError {
    fn within(mut self, place: &str) -> ImportError {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

pub type Imported<T> = Result<T, ImportError>;

/// How a node was taken.
pub enum Handled {
    /// In the engine's own ops.
    Yes,
    /// Not at all: tract has to run it.
    No,
}

pub struct Importer<'a> {
    pub graph: Graph,
    held: HashMap<&'a str, Binding>,
    /// Table outputs by what they are a function of: `value -> (source, table)`.
    tables: HashMap<ValueId, (ValueId, Arc<[u8; 256]>)>,
    /// Reshaped values by what they were before.
    reshaped: HashMap<ValueId, ValueId>,
    proto: &'a ModelProto,
    initializers: &'a [TensorProto],
    /// Initializers that are read when a node needs them: their places and bytes.
    large: HashMap<&'a str, (usize, Payload)>,
    /// Constants that have four bits in the file: once read they are bytes, whose range is another one.
    four_bits: HashSet<&'a str>,
    opset: i64,
    /// The most bytes that constants may become, together.
    limit: u64,
    /// Bytes of the constants that were computed while walking, and of copies of those of the file.
    computed_bytes: u64,
    copies: Copies,
}

/// An input of a model: its name, kind and shape.
type Input = (String, ElementKind, Vec<usize>);

/// Imports a model for inputs of the given kinds and shapes, in the order of the model's inputs, into at most `limit` bytes.
/// `payloads`: what [`take_payload`] took out of its initializers.
///
/// # Errors
/// What is wrong with the model, with the node that it concerns.
pub fn import(proto: &ModelProto, payloads: Vec<Option<Payload>>, inputs: &[Input], limit: u64) -> Imported<Graph> {
    let onnx = proto.graph.as_ref().ok_or("no graph in it")?;
    let mut importer = Importer::new(proto, payloads, inputs, limit)?;
    let known = importer.held.keys().chain(importer.large.keys()).copied().collect();
    let nodes = in_order(&onnx.node, known)?;
    let last_reads = last_reads(&nodes, onnx);
    importer.large.retain(|name, _| last_reads.contains_key(name));
    for (place, node) in nodes.iter().enumerate() {
        importer.checked_node(node).map_err(|refused| refused.within(&describe(node)))?;
        for name in names_read(node).into_iter().filter(|name| last_reads.get(name) == Some(&place)) {
            importer.held.remove(name);
            importer.large.remove(name);
        }
    }
    let made = importer.graph.nodes.len();
    for output in &onnx.output {
        let id = importer.output(output).map_err(|refused| refused.within(&format!("output \"{}\"", output.name)))?;
        importer.graph.outputs.push(id);
    }
    for index in made..importer.graph.nodes.len() {
        let name = &importer.graph.nodes[index].name.clone();
        importer.checked(index).map_err(|wrong| ImportError::from(wrong).within(&format!("output \"{name}\"")))?;
    }
    importer.graph.fuse_floats();
    importer.graph.drop_unused();
    Ok(importer.graph)
}

/// Nodes sorted so that each follows what it reads; the file's order where that is so already, as ONNX demands.
fn in_order<'a>(nodes: &'a [NodeProto], mut known: HashSet<&'a str>) -> Result<Vec<&'a NodeProto>, String> {
    let mut waiting: Vec<&NodeProto> = nodes.iter().collect();
    let mut order = Vec::with_capacity(nodes.len());
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut duplicate = None;
        waiting.retain(|node| {
            if duplicate.is_some() {
                return false;
            }
            let ready = node.input.iter().all(|input| input.is_empty() || known.contains(input.as_str()));
            if ready {
                for name in node.output.iter().map(String::as_str).filter(|name| !name.is_empty()) {
                    if !known.insert(name) {
                        duplicate = Some((*node, name));
                    }
                }
                order.push(*node);
            }
            !ready
        });
        if let Some((node, name)) = duplicate {
            return Err(format!("{}: \"{name}\" is the name of another tensor, too", describe(node)));
        }
        if waiting.len() == before {
            let node = waiting[0];
            let missing = node.input.iter().find(|input| !input.is_empty() && !known.contains(input.as_str()));
            let missing = missing.map_or("", String::as_str);
            return Err(format!("{}: its input \"{missing}\" comes from nowhere, or from itself", describe(node)));
        }
    }
    Ok(order)
}

/// The place of the last node that reads each name; behind all nodes for outputs of the model.
fn last_reads<'a>(nodes: &[&'a NodeProto], graph: &'a GraphProto) -> HashMap<&'a str, usize> {
    let reads =
        nodes.iter().enumerate().flat_map(|(place, node)| names_read(node).into_iter().map(move |name| (name, place)));
    reads.chain(graph.output.iter().map(|output| (output.name.as_str(), nodes.len()))).collect()
}

/// What a node reads: its inputs, and what the graphs among its attributes read and give.
fn names_read(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).collect();
    let mut graphs: Vec<&GraphProto> = node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)).collect();
    while let Some(graph) = graphs.pop() {
        names.extend(graph.output.iter().map(|output| output.name.as_str()));
        names.extend(graph.node.iter().flat_map(|node| &node.input).map(String::as_str));
        let attributes = graph.node.iter().flat_map(|node| &node.attribute);
        graphs.extend(attributes.flat_map(|a| a.g.iter().chain(&a.graphs)));
    }
    names
}

fn describe(node: &NodeProto) -> String {
    format!("node {} of output \"{}\"", node.op_type, node.output.first().map_or("", String::as_str))
}

impl<'a> Importer<'a> {
    /// An importer that knows the initializers and the inputs.
    fn new(
        proto: &'a ModelProto,
        payloads: Vec<Option<Payload>>,
        inputs: &[Input],
        limit: u64,
    ) -> Imported<Importer<'a>> {
        let onnx = proto.graph.as_ref().ok_or("no graph in it")?;
        for (_, _, shape) in inputs {
            checked(shape)?;
        }
        let opset = operator::opset(proto)?;
        let mut importer = Importer {
            graph: Graph::default(),
            held: HashMap::new(),
            tables: HashMap::new(),
            reshaped: HashMap::new(),
            proto,
            initializers: &onnx.initializer,
            large: HashMap::new(),
            four_bits: HashSet::new(),
            opset,
            limit,
            computed_bytes: 0,
            copies: Copies::default(),
        };
        let mut payloads = payloads.into_iter();
        for (place, tensor) in onnx.initializer.iter().enumerate() {
            importer.note_bits(&tensor.name, tensor);
            if let Some(payload) = payloads.next().flatten() {
                importer.large.insert(&tensor.name, (place, payload));
            } else {
                let read = constant(tensor).map_err(|e| format!("initializer \"{}\": {e}", tensor.name))?;
                importer.held.insert(&tensor.name, Binding::Constant(Arc::new(read)));
            }
        }
        for (name, kind, shape) in inputs {
            let id = importer.new_value(name, *kind, shape)?;
            importer.graph.inputs.push(id);
            if *kind == ElementKind::F64 {
                log::warn!("input \"{name}\" has 64-bit floats: what is computed of it has 32 bits");
            }
            // Half and double precision are ways to store numbers: what computes on them computes in single.
            let taken = match kind {
                ElementKind::F16 | ElementKind::F64 => importer.push(name, Op::Cast, &[id], ElementKind::F32, shape)?,
                _ => id,
            };
            let name = onnx.input.iter().find(|input| input.name == *name).map_or("", |input| &input.name);
            importer.held.insert(name, Binding::Value(taken));
        }
        Ok(importer)
    }

    /// Keeps in mind whether the constant of that name has four bits in the file.
    pub fn note_bits(&mut self, name: &'a str, tensor: &TensorProto) {
        if has_four_bits(tensor) {
            self.four_bits.insert(name);
        } else {
            self.four_bits.remove(name);
        }
    }

    /// Refuses more bytes of computed constants than there is memory.
    fn check_computed(&self) -> Imported<()> {
        if self.computed_bytes > self.limit {
            let (found, limit) = (self.computed_bytes, self.limit);
            return Err(format!("constants computed up to here take {found} bytes; {limit} are allowed").into());
        }
        Ok(())
    }

    /// Imports a node, and checks what it was made.
    fn checked_node(&mut self, node: &'a NodeProto) -> Imported<()> {
        let made = self.graph.nodes.len();
        self.node(node)?;
        (made..self.graph.nodes.len()).try_for_each(|index| self.checked(index)).map_err(ImportError::from)
    }

    /// Checks a node of the graph, and works out what of its outputs is counted.
    fn checked(&mut self, index: usize) -> Result<(), String> {
        self.graph.check(&self.graph.nodes[index])?;
        self.graph.count(index)
    }

    fn node(&mut self, node: &'a NodeProto) -> Imported<()> {
        check_operator(&node.domain, &node.op_type)?;
        let taken = match node.op_type.as_str() {
            "Constant" => self.constant_node(node),
            "Identity" => self.alias(node),
            "Dropout" => self.dropout(node),
            "QuantizeLinear" => self.quantize_linear(node),
            "DequantizeLinear" => self.dequantize_linear(node),
            "Shape" => self.shape_of(node),
            "Size" => self.size_of(node),
            "If" => self.branch(node),
            _ if self.all_constant(node) => self.fold(node),
            _ => match self.computed(node)? {
                Handled::Yes => Ok(Handled::Yes),
                Handled::No => self.float(node),
            },
        }?;
        match taken {
            Handled::Yes => Ok(()),
            Handled::No => {
                self.check_size_in_tract(node)?;
                self.island(node)
            }
        }
    }

    fn computed(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        match node.op_type.as_str() {
            "Conv" | "ConvTranspose" => self.convolution(node),
            "Gemm" => self.gemm(node),
            "MatMul" => self.matmul(node),
            "Add" | "Mul" | "Sub" | "Div" | "Pow" | "Min" | "Max" => match self.binary(node)? {
                Handled::Yes => Ok(Handled::Yes),
                Handled::No => self.number(node),
            },
            "Mod" | "BitwiseAnd" | "BitwiseOr" | "BitwiseXor" | "BitwiseNot" | "BitShift" | "Equal" | "Less"
            | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And" | "Or" | "Xor" | "Not" | "IsNaN" | "IsInf"
            | "Sign" | "Where" => self.number(node),
            "Attention" => self.attention(node),
            "ArgMax" | "ArgMin" => self.arg_reduce(node),
            "Expand" | "Tile" => self.repeat(node),
            "OneHot" => self.one_hot(node),
            "TopK" => self.top_k(node),
            "GatherElements" => self.gather_elements(node),
            "Softmax" => self.softmax(node),
            "LayerNormalization" => self.layer_normalization(node),
            "BatchNormalization" => self.batch_normalization(node),
            "FusedMatMul" | "TransposeMatMul" => self.fused_matmul(node),
            "DynamicQuantizeMatMul" => self.dynamic_quantize_matmul(node),
            "MatMulIntegerToFloat" => self.matmul_integer_to_float(node),
            "Gather" => self.gather(node),
            "GatherND" => self.gather_nd(node),
            "NonMaxSuppression" => self.non_max_suppression(node),
            "NonZero" => self.non_zero(node),
            "LSTM" | "GRU" | "RNN" | "DynamicQuantizeLSTM" => self.recurrent(node),
            "PRelu" => self.prelu(node),
            "Cast" | "CastLike" => self.cast(node),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" | "Concat" | "Split" | "Slice" | "Pad"
            | "DepthToSpace" | "SpaceToDepth" => self.movement(node),
            "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool" | "Resize" | "Upsample" => {
                self.window(node)
            }
            name if name.starts_with("Reduce") => match self.window(node)? {
                Handled::Yes => Ok(Handled::Yes),
                Handled::No => self.reduce_whole(node),
            },
            "DynamicQuantizeLinear" | "MatMulInteger" | "ConvInteger" => self.dynamic(node),
            "Abs" | "Neg" => match self.unary(node)? {
                Handled::Yes => Ok(Handled::Yes),
                Handled::No => self.number(node),
            },
            name if name.starts_with("QLinear") || name == "QGemm" => self.qlinear(node),
            _ => self.unary(node),
        }
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Imported<Binding> {
        match (self.held.get(name), self.large.get(name)) {
            (Some(held), _) => Ok(held.clone()),
            (None, Some((place, payload))) => Ok(Binding::Constant(self.read(*place, payload)?)),
            (None, None) => Err(format!("\"{name}\" comes from nowhere").into()),
        }
    }

    /// A large initializer of the file.
    fn read(&self, place: usize, payload: &Payload) -> Imported<Constant> {
        let tensor = self.initializer(place);
        let constant = constant_of_bytes(tensor, payload);
        Ok(Arc::new(constant.map_err(|e| format!("initializer \"{}\": {e}", tensor.name))?))
    }

    fn initializer(&self, place: usize) -> &'a TensorProto {
        &self.initializers[place]
    }

    /// The kind of weights' elements.
    pub fn kind_of_stored(&self, stored: &Stored) -> Imported<ElementKind> {
        Ok(match stored {
            Stored::Read(constant) => kind(constant.datum_type())?,
            Stored::Initializer(place, _) => match kind_of_type(self.initializer(*place).data_type)? {
                ElementKind::F16 | ElementKind::F64 => ElementKind::F32,
                stored => stored,
            },
        })
    }

    /// The elements of weights.
    pub fn elements(&self, stored: &Stored) -> Imported<Constant> {
        match stored {
            Stored::Read(constant) => Ok(Arc::clone(constant)),
            Stored::Initializer(place, payload) => self.read(*place, payload),
        }
    }

    /// The bytes of a large initializer and the kind of its elements, where these lie in the file as in memory.
    pub fn stored_bytes(&self, stored: &Stored) -> Option<(Payload, ElementKind)> {
        let Stored::Initializer(place, payload) = stored else { return None };
        let kind = kind_of_bytes(self.initializer(*place))?;
        Some((Arc::clone(payload), kind))
    }

    /// Input `index` of a node, where it has one.
    pub fn input(&self, node: &NodeProto, index: usize) -> Imported<Option<Binding>> {
        match node.input.get(index) {
            Some(name) if !name.is_empty() => self.get(name).map(Some),
            _ => Ok(None),
        }
    }

    /// Input `index` of a node, which it must have.
    pub fn needed(&self, node: &NodeProto, index: usize) -> Imported<Binding> {
        self.input(node, index)?.ok_or_else(|| format!("input {index} is missing").into())
    }

    /// Input `index` and its shape, where it is known at load; large initializers are not read yet.
    pub fn stored(&self, node: &NodeProto, index: usize) -> Imported<Option<(Stored, Vec<usize>)>> {
        let name = node.input.get(index).map_or("", String::as_str);
        if let (None, Some((place, payload))) = (self.held.get(name), self.large.get(name)) {
            // Not negative: checked when the file was parsed.
            let shape = self.initializer(*place).dims.iter().map(|&dim| dim as usize).collect();
            return Ok(Some((Stored::Initializer(*place, Arc::clone(payload)), shape)));
        }
        let constant = self.known(node, index)?;
        Ok(constant.map(|constant| {
            let shape = constant.shape().to_vec();
            (Stored::Read(constant), shape)
        }))
    }

    /// Input `index`, where it is known at load.
    pub fn known(&self, node: &NodeProto, index: usize) -> Imported<Option<Constant>> {
        Ok(match self.input(node, index)? {
            Some(Binding::Constant(constant)) => Some(constant),
            _ => None,
        })
    }

    /// Input `index`, which must be known at load.
    pub fn parameter(&self, node: &NodeProto, index: usize, what: &str) -> Imported<Constant> {
        self.known(node, index)?.ok_or_else(|| format!("its {what} must be a constant").into())
    }

    /// Names output `index` of a node.
    pub fn give(&mut self, node: &'a NodeProto, index: usize, held: Binding) {
        if let Some(name) = node.output.get(index).filter(|name| !name.is_empty()) {
            self.held.insert(name, held);
        }
    }

    /// Names the only output of a node.
    pub fn done(&mut self, node: &'a NodeProto, held: Binding) -> Imported<Handled> {
        let held = self.bounded(held)?;
        self.give(node, 0, held);
        Ok(Handled::Yes)
    }

    /// What is held; an expression that has become too large, as its floats.
    pub fn bounded(&mut self, held: Binding) -> Imported<Binding> {
        match &held {
            Binding::Lazy(lazy) if lazy.is_large() => Ok(Binding::Value(self.floats_of(lazy)?)),
            _ => Ok(held),
        }
    }

    /// A float expression as the only output of a node.
    pub fn expression(&mut self, node: &'a NodeProto, expression: Expression, shape: Vec<usize>) -> Imported<Handled> {
        let lazy = Lazy::new(&name_of(node), expression, shape);
        self.done(node, Binding::Lazy(lazy))
    }

    /// Adds a value after checking that its size is sane.
    pub fn new_value(&mut self, name: &str, kind: ElementKind, shape: &[usize]) -> Imported<ValueId> {
        checked(shape)?;
        Ok(self.graph.value(name, kind, shape))
    }

    /// Adds an op with one output after checking that its size is sane.
    pub fn push(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[ValueId],
        kind: ElementKind,
        shape: &[usize],
    ) -> Imported<ValueId> {
        checked(shape)?;
        let y = self.graph.push(name, op, inputs, kind, shape);
        // What the rest of an ONNX node is made of may depend on it.
        if inputs.iter().any(|&id| self.graph.values[id].counted.is_some()) {
            self.checked(self.graph.nodes.len() - 1)?;
        }
        Ok(y)
    }

    /// The value of an output of the model, in half or double precision where the model states that.
    fn output(&mut self, output: &ValueInfoProto) -> Imported<ValueId> {
        let held = self.get(&output.name)?;
        let id = self.compute(&held)?;
        let stated = match output.r#type.as_ref().and_then(|stated| stated.value.as_ref()) {
            Some(type_proto::Value::TensorType(tensor)) => kind_of_type(tensor.elem_type).ok(),
            _ => None,
        };
        let Some(to) = stated.filter(|to| matches!(to, ElementKind::F16 | ElementKind::F64)) else { return Ok(id) };
        if self.graph.values[id].kind != ElementKind::F32 {
            return Ok(id);
        }
        let shape = self.graph.values[id].shape.clone();
        self.push(&output.name, Op::Cast, &[id], to, &shape)
    }

    /// Counts bytes of a constant that is computed at load.
    pub fn add_computed(&mut self, constant: &tract_onnx::prelude::Tensor) -> Imported<()> {
        self.add_computed_bytes((constant.len() * constant.datum_type().size_of()) as u64)
    }

    /// As [`Importer::add_computed`], before they are computed.
    pub fn add_computed_bytes(&mut self, bytes: u64) -> Imported<()> {
        self.computed_bytes = self.computed_bytes.saturating_add(bytes);
        self.check_computed()
    }

    /// The graph's value for what is held; expressions are computed as floats, constants become operands.
    pub fn compute(&mut self, held: &Binding) -> Imported<ValueId> {
        match held {
            Binding::Value(id) => Ok(*id),
            Binding::Lazy(lazy) => self.floats_of(lazy),
            Binding::Constant(constant) => {
                let bytes = raw_bytes(constant)?;
                self.constant_value("constant", bytes, kind(constant.datum_type())?, constant.shape())
            }
        }
    }

    /// Shape of what is held.
    pub fn shape(&self, held: &Binding) -> Vec<usize> {
        match held {
            Binding::Constant(constant) => constant.shape().to_vec(),
            Binding::Value(id) => self.graph.values[*id].shape.clone(),
            Binding::Lazy(lazy) => lazy.shape.clone(),
        }
    }

    fn all_constant(&self, node: &NodeProto) -> bool {
        let constant = |name: &String| match self.held.get(name.as_str()) {
            Some(held) => matches!(held, Binding::Constant(_)),
            None => name.is_empty() || self.large.contains_key(name.as_str()),
        };
        !node.input.is_empty() && node.input.iter().all(constant)
    }

    fn alias(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let held = self.needed(node, 0)?;
        if let ([from, ..], [to, ..]) = (&node.input[..], &node.output[..])
            && self.four_bits.contains(from.as_str())
        {
            self.four_bits.insert(to);
        }
        self.done(node, held)
    }

    /// Nothing is dropped outside of training, and the mask says so.
    fn dropout(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        if let Some(training) = self.input(node, 2)? {
            let Binding::Constant(training) = training else {
                return Err("whether it trains must be a constant".into());
            };
            if raw_bytes(&training)?.first().is_some_and(|&byte| byte != 0) {
                return Err(
                    "it is in training, where what is dropped is left to chance: export the model for inference".into(),
                );
            }
        }
        let held = self.needed(node, 0)?;
        if node.output.get(1).is_some_and(|name| !name.is_empty()) {
            self.refuse_counted(&held, "its mask would need it")?;
            let shape = self.shape(&held);
            checked(&shape)?;
            let kept = tract_onnx::prelude::Tensor::from_shape(&shape, &vec![true; shape.iter().product()]);
            let kept = kept.map_err(|error| error.to_string())?;
            self.add_computed(&kept)?;
            self.give(node, 1, Binding::Constant(Arc::new(kept)));
        }
        self.done(node, held)
    }

    fn size_of(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        let held = self.needed(node, 0)?;
        self.refuse_counted(&held, UNKNOWN_SHAPE)?;
        let size = self.shape(&held).iter().product::<usize>() as i64;
        self.done(node, Binding::Constant(Arc::new(tract_onnx::prelude::tensor0(size))))
    }

    fn shape_of(&mut self, node: &'a NodeProto) -> Imported<Handled> {
        use onnx::Attributes;
        let held = self.needed(node, 0)?;
        self.refuse_counted(&held, UNKNOWN_SHAPE)?;
        let shape: Vec<i64> = self.shape(&held).iter().map(|&dim| dim as i64).collect();
        let rank = shape.len() as i64;
        let place = |i: i64| if i < 0 { (i + rank).clamp(0, rank) } else { i.min(rank) } as usize;
        let (start, end) = (place(node.int("start", 0)), place(node.int("end", rank)));
        let shape = shape.get(start..end).unwrap_or_default();
        self.done(
            node,
            Binding::Constant(Arc::new(tract_onnx::prelude::Tensor::from(tract_onnx::prelude::tract_ndarray::arr1(
                shape,
            )))),
        )
    }
}

/// The name under which an ONNX node is reported.
pub fn name_of(node: &NodeProto) -> String {
    if node.name.is_empty() { node.output.first().cloned().unwrap_or_default() } else { node.name.clone() }
}

/// An error where a shape has no sane number of elements.
pub(super) fn checked(shape: &[usize]) -> Result<(), String> {
    let count = shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
    match count {
        Some(0) => Err(format!("a tensor of shape {shape:?} is empty")),
        Some(count) if count <= MOST_ELEMENTS => Ok(()),
        _ => Err(format!("a tensor of shape {shape:?} is too large")),
    }
}

/// An axis counted from the end where negative.
pub fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let place = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(place).ok().filter(|&place| place < rank).ok_or_else(|| format!("axis {axis} of {rank} dimensions"))
}
