//! An ONNX network that is changed node by node.

mod names;
mod removal;

pub use names::Names;
pub use removal::remove;

use crate::{QuantizeError, array};
use prost::Message;
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, tensor_shape_proto, type_proto,
};

/// A parsed network. Its nodes are in an order in which each follows those whose outputs it takes, as ONNX demands.
#[derive(Clone)]
pub struct Network {
    /// The message without its graph's constants.
    model: ModelProto,
    /// The constants, by name.
    constants: HashMap<String, TensorProto>,
    /// Names given to new tensors so far, so that they are unique.
    made: usize,
}

/// Who makes a tensor and who takes it, by places in the list of nodes.
#[derive(Default)]
pub struct Edges {
    /// The node that makes a tensor.
    pub producer: HashMap<String, usize>,
    /// The nodes that take a tensor, one entry for each use.
    pub consumers: HashMap<String, Vec<usize>>,
    /// The graph's outputs.
    pub outputs: HashSet<String>,
}

impl Edges {
    /// The nodes that take `tensor`.
    pub fn takers(&self, tensor: &str) -> &[usize] {
        self.consumers.get(tensor).map_or(&[], Vec::as_slice)
    }

    /// The only node that takes `tensor`, where it is no output of the graph.
    pub fn only_taker(&self, tensor: &str) -> Option<usize> {
        match self.takers(tensor) {
            [one] if !self.outputs.contains(tensor) => Some(*one),
            _ => None,
        }
    }
}

impl Network {
    /// Parses an ONNX file.
    ///
    /// # Errors
    /// [`QuantizeError::Engine`] where it is none or not a whole one, [`QuantizeError::Model`] where its constants lie in other files.
    pub fn parse(bytes: &[u8]) -> Result<Network, QuantizeError> {
        // The engine's reader knows what a hostile file may hold.
        lineside_engine::Model::parse(bytes)?;
        let model = ModelProto::decode(bytes).map_err(|error| QuantizeError::Model(error.to_string()))?;
        let mut network = Network { model, constants: HashMap::new(), made: 0 };
        check_operators(network.graph())?;
        network.nodes().iter().try_for_each(check_arity)?;
        let constants = std::mem::take(&mut network.graph_mut().initializer);
        if let Some(outside) = constants.iter().find(|constant| !constant.external_data.is_empty()) {
            return Err(QuantizeError::Model(format!(
                "constant \"{}\" lies in another file (external data): save the model as one file",
                outside.name
            )));
        }
        network.constants = constants.into_iter().map(|constant| (constant.name.clone(), constant)).collect();
        // Files up to IR version 3 list their constants among the inputs.
        let Network { model, constants, .. } = &mut network;
        if let Some(graph) = &mut model.graph {
            graph.input.retain(|input| !constants.contains_key(&input.name));
            // What exporters note about shapes between is often true of one size only, and readers believe it.
            graph.value_info.clear();
        }
        network.model.ir_version = network.model.ir_version.max(4);
        network.name_nodes();
        Ok(network)
    }

    /// Nodes without a name get that of what they make, so that they are found again when that is renamed.
    fn name_nodes(&mut self) {
        let mut known: HashSet<String> = self.nodes().iter().map(|node| node.name.clone()).collect();
        for node in &mut self.graph_mut().node {
            if let Some(output) = first_output(node).filter(|_| node.name.is_empty()).cloned()
                && known.insert(output.clone())
            {
                node.name = output;
            }
        }
    }

    /// The bytes of an ONNX file: constants in the order in which nodes take them, so that the same network gives the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut model = self.model.clone();
        if let Some(graph) = &mut model.graph {
            let mut written = HashSet::new();
            let named = graph.node.iter().flat_map(needed_names).chain(graph.output.iter().map(|o| o.name.as_str()));
            let taken =
                named.filter(|&name| written.insert(name.to_string())).filter_map(|name| self.constants.get(name));
            let taken: Vec<TensorProto> = taken.cloned().collect();
            graph.initializer = taken;
        }
        model.encode_to_vec()
    }

    /// Forgets what the file states of its outputs' shapes: exporters note what is true of one size only, and readers believe it.
    pub fn forget_output_shapes(&mut self) {
        use tract_onnx::pb::type_proto::Value;
        for output in &mut self.graph_mut().output {
            if let Some(Value::TensorType(tensor)) = output.r#type.as_mut().and_then(|kind| kind.value.as_mut()) {
                tensor.shape = None;
            }
        }
    }

    /// The graph.
    pub fn graph(&self) -> &GraphProto {
        static EMPTY: std::sync::LazyLock<GraphProto> = std::sync::LazyLock::new(GraphProto::default);
        self.model.graph.as_ref().unwrap_or(&EMPTY)
    }

    /// The graph, to change.
    pub fn graph_mut(&mut self) -> &mut GraphProto {
        self.model.graph.get_or_insert_default()
    }

    /// The message, to change what is not in the graph.
    pub fn model_mut(&mut self) -> &mut ModelProto {
        &mut self.model
    }

    /// The message without its graph: versions and operator sets.
    pub fn shell(&self) -> ModelProto {
        let ModelProto { ir_version, opset_import, .. } = &self.model;
        ModelProto { ir_version: *ir_version, opset_import: opset_import.clone(), ..ModelProto::default() }
    }

    /// The nodes in order.
    pub fn nodes(&self) -> &[NodeProto] {
        &self.graph().node
    }

    /// The version of the standard operators.
    pub fn opset(&self) -> i64 {
        let standard = |set: &&OperatorSetIdProto| set.domain.is_empty() || set.domain == "ai.onnx";
        self.model.opset_import.iter().find(standard).map_or(1, |set| set.version)
    }

    /// States that operators of another set are used, in `version` or what the file has.
    pub fn import(&mut self, domain: &str, version: i64) {
        if !self.model.opset_import.iter().any(|set| set.domain == domain) {
            self.model.opset_import.push(OperatorSetIdProto { domain: domain.into(), version });
        }
    }

    /// A constant by name.
    pub fn constant(&self, name: &str) -> Option<&TensorProto> {
        self.constants.get(name)
    }

    /// Whether a name is a constant, or an input that a node leaves out.
    pub fn is_fixed(&self, name: &str) -> bool {
        name.is_empty() || self.constants.contains_key(name)
    }

    /// Adds a constant, or replaces the one of its name.
    pub fn set_constant(&mut self, tensor: TensorProto) {
        self.constants.insert(tensor.name.clone(), tensor);
    }

    /// The floats of a constant; `None` where the name is none or it holds none.
    pub fn floats(&self, name: &str) -> Option<Vec<f32>> {
        array::floats(self.constants.get(name)?).ok()
    }

    /// The only float of a constant of one element.
    pub fn scalar(&self, name: &str) -> Option<f32> {
        self.floats(name).and_then(|values| match values.as_slice() {
            [one] => Some(*one),
            _ => None,
        })
    }

    /// Who makes what, and who takes it. What a subgraph (a branch, a loop) takes from outside counts as taken by its node and as an
    /// output, so that it stays as it is.
    pub fn edges(&self) -> Edges {
        let mut edges = Edges::default();
        for (at, node) in self.nodes().iter().enumerate() {
            for name in needed_names(node) {
                edges.consumers.entry(name.into()).or_default().push(at);
            }
            edges.outputs.extend(captured_names(node).into_iter().map(String::from));
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                edges.producer.insert(name.clone(), at);
            }
        }
        edges.outputs.extend(self.graph().output.iter().map(|output| output.name.clone()));
        edges
    }

    /// A name that no tensor and no node has yet, in subgraphs neither: `base`, or `base` and a number.
    pub fn fresh(&mut self, base: &str) -> String {
        loop {
            let name = if self.made == 0 { base.to_string() } else { format!("{base}_{}", self.made) };
            if !self.constants.contains_key(&name) && !has_name(self.graph(), &name) {
                return name;
            }
            self.made += 1;
        }
    }

    /// Lets every node (and no graph output) take `to` where it took `from`.
    pub fn rewire(&mut self, from: &str, to: &str) {
        for node in &mut self.graph_mut().node {
            for name in node.input.iter_mut().filter(|name| *name == from) {
                *name = to.into();
            }
        }
    }
}

/// Refuses nodes, those of subgraphs among them, whose operator is of a domain that the engine does not know: here nodes are found by
/// their operator's name, which stands for another operator there.
fn check_operators(graph: &GraphProto) -> Result<(), QuantizeError> {
    let mut graphs = vec![graph];
    while let Some(graph) = graphs.pop() {
        for node in &graph.node {
            lineside_engine::check_operator(&node.domain, &node.op_type)
                .map_err(|problem| QuantizeError::Model(format!("node \"{}\": {problem}", name_of(node))))?;
            graphs.extend(node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs)));
        }
    }
    Ok(())
}

/// Refuses a node without an input or an output that its operator must have.
fn check_arity(node: &NodeProto) -> Result<(), QuantizeError> {
    let needs_both = matches!(
        node.op_type.as_str(),
        "Conv"
            | "ConvTranspose"
            | "Gemm"
            | "MatMul"
            | "BatchNormalization"
            | "Add"
            | "Mul"
            | "Sub"
            | "Div"
            | "Relu"
            | "Clip"
            | "LeakyRelu"
            | "Sigmoid"
            | "HardSigmoid"
            | "HardSwish"
            | "PRelu"
            | "Concat"
            | "Resize"
            | "MaxPool"
            | "AveragePool"
            | "GlobalAveragePool"
            | "GlobalMaxPool"
            | "Reshape"
            | "Flatten"
            | "Squeeze"
            | "Unsqueeze"
            | "Transpose"
            | "Slice"
            | "Split"
            | "DepthToSpace"
            | "SpaceToDepth"
            | "Gather"
            | "Expand"
            | "Identity"
            | "Dropout"
    );
    let lacks = |names: &[String]| needs_both && names.first().is_none_or(String::is_empty);
    let problem = match (lacks(&node.input), lacks(&node.output), first_output(node)) {
        (true, ..) => "no first input",
        (_, true, _) => "no first output",
        // Others may leave their first out, as an LSTM whose last state alone is taken.
        (.., None) => "no output",
        _ => return Ok(()),
    };
    Err(QuantizeError::Model(format!("node \"{}\" ({}) has {problem}", name_of(node), node.op_type)))
}

/// The inputs that a node has, those that it leaves out excepted.
pub fn node_inputs(node: &NodeProto) -> impl Iterator<Item = &str> {
    node.input.iter().map(String::as_str).filter(|name| !name.is_empty())
}

/// All that a node needs: its inputs, and what its subgraphs take from around them. Whoever drops tensors or constants has to ask this.
pub fn needed_names(node: &NodeProto) -> Vec<&str> {
    node_inputs(node).chain(captured_names(node)).collect()
}

/// What the subgraphs of a node (branches, the body of a loop) take from around them.
fn captured_names(node: &NodeProto) -> Vec<&str> {
    let mut captured = Vec::new();
    for graph in subgraphs(node) {
        let mut own: HashSet<&str> = graph.input.iter().map(|input| input.name.as_str()).collect();
        own.extend(graph.initializer.iter().map(|constant| constant.name.as_str()));
        own.extend(graph.node.iter().flat_map(|node| &node.output).map(String::as_str));
        let taken = graph.node.iter().flat_map(needed_names);
        let given = graph.output.iter().map(|output| output.name.as_str());
        captured.extend(taken.chain(given).filter(|name| !own.contains(name)));
    }
    captured
}

/// The graphs among a node's attributes.
fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// Whether something in a graph or its subgraphs has a name.
fn has_name(graph: &GraphProto, name: &str) -> bool {
    graph.input.iter().any(|input| input.name == name)
        || graph.initializer.iter().any(|constant| constant.name == name)
        || graph.node.iter().any(|node| {
            node.name == name
                || node.output.iter().any(|output| output == name)
                || subgraphs(node).any(|graph| has_name(graph, name))
        })
}

/// The first output that a node does not leave out.
fn first_output(node: &NodeProto) -> Option<&String> {
    node.output.iter().find(|name| !name.is_empty())
}

/// The name under which a node is reported.
pub fn name_of(node: &NodeProto) -> &str {
    if node.name.is_empty() { first_output(node).map_or("", String::as_str) } else { &node.name }
}

/// A node of the standard operators.
pub fn node(op: &str, name: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<AttributeProto>) -> NodeProto {
    let names = |list: &[&str]| list.iter().map(|&name| name.into()).collect();
    NodeProto {
        op_type: op.into(),
        name: name.into(),
        input: names(inputs),
        output: names(outputs),
        attribute: attributes,
        ..NodeProto::default()
    }
}

/// Attributes of nodes, each with the default of its operator.
pub trait Attributes {
    /// The attribute of a name.
    fn attribute(&self, name: &str) -> Option<&AttributeProto>;

    /// An integer.
    fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i)
    }

    /// A float.
    fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |attribute| attribute.f)
    }

    /// A list of integers.
    fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    /// A text.
    fn text(&self, name: &str) -> Option<String> {
        self.attribute(name).map(|attribute| String::from_utf8_lossy(&attribute.s).into_owned())
    }
}

impl Attributes for NodeProto {
    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|attribute| attribute.name == name)
    }
}

/// An attribute that holds an integer.
pub fn int_attribute(name: &str, value: i64) -> AttributeProto {
    use tract_onnx::pb::attribute_proto::AttributeType;
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i: value, ..AttributeProto::default() }
}

/// An input of floats whose dimensions, so many, are all open.
pub fn open_input(name: &str, rank: usize) -> ValueInfoProto {
    let shape = Some(TensorShapeProto { dim: vec![tensor_shape_proto::Dimension::default(); rank] });
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(r#type), ..ValueInfoProto::default() }
}

/// Number of dimensions that an input or output states.
pub fn rank(value: &tract_onnx::pb::ValueInfoProto) -> Option<usize> {
    use tract_onnx::pb::type_proto::Value;
    let Value::TensorType(tensor) = value.r#type.as_ref()?.value.as_ref()?;
    tensor.shape.as_ref().map(|shape| shape.dim.len())
}
