//! A node with weights: its weights as a matrix, and what it takes as rows.

pub mod patches;
pub mod rounding;

use crate::array;
use crate::network::{Attributes, Network};
use tract_onnx::pb::{NodeProto, TensorProto};

/// Which node it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A convolution in one or two dimensions.
    Conv(Window),
    /// A transposed convolution in two dimensions: its window goes over its output.
    ConvTranspose(Window),
    /// `x Wᵀ` or `x W`.
    Gemm {
        /// Whether the weights are stored as output × input.
        transposed: bool,
    },
    /// `x W` of any number of dimensions.
    MatMul,
    /// A product of two tensors that both come from the network.
    Product,
}

/// How a convolution goes over its input, rows first; one dimension is rows of one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Its taps.
    pub kernel: [usize; 2],
    /// Its steps.
    pub stride: [usize; 2],
    /// The distance of its taps.
    pub dilation: [usize; 2],
    /// Padding before and behind, of rows and of columns; `None` where `auto_pad` decides (upper: the odd one behind).
    pub pads: Option<[[usize; 2]; 2]>,
    /// Padding that `auto_pad` adds goes first.
    pub lower: bool,
}

impl Window {
    /// Weights between one input and one output channel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }
}

/// A node with weights that runs in integers.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its place in the network.
    pub at: usize,
    /// Its name in reports.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The tensor that it takes.
    pub input: String,
    /// The name of its weights; of a product, its second operand.
    pub weight: String,
    /// The name of its bias.
    pub bias: Option<String>,
    /// The tensor that it makes.
    pub output: String,
    /// Groups of channels that are convolved by themselves.
    pub groups: usize,
    /// Output channels of all groups.
    pub outputs: usize,
    /// Weights of one output channel.
    pub depth: usize,
}

impl Layer {
    /// The layer of a node; an error says why it has no integer form.
    pub fn new(network: &Network, at: usize) -> Result<Layer, String> {
        let node = &network.nodes()[at];
        let weight_name = node.input.get(1).ok_or("it has no weights")?;
        let (kind, groups, outputs, depth) = match network.constant(weight_name) {
            Some(weight) => weighted(node, weight)?,
            None if node.op_type == "MatMul" => (Kind::Product, 1, 0, 0),
            None => return Err("its weights are computed by the network".into()),
        };
        let bias = node.input.get(2).filter(|name| !name.is_empty()).cloned();
        if let Some(bias) = &bias {
            let length = network.floats(bias).map(|values| values.len());
            if length != Some(outputs) {
                return Err("its bias is no constant with a number for each output".into());
            }
        }
        Ok(Layer {
            at,
            name: crate::network::name_of(node).into(),
            kind,
            input: node.input[0].clone(),
            weight: weight_name.clone(),
            bias,
            output: node.output[0].clone(),
            groups,
            outputs,
            depth,
        })
    }

    /// Whether what it makes must be bytes, so that it runs in integers everywhere.
    pub fn ends_in_bytes(&self) -> bool {
        matches!(self.kind, Kind::Conv(_) | Kind::ConvTranspose(_))
    }

    /// The axis of its weights along which outputs lie.
    pub fn axis(&self) -> i64 {
        match self.kind {
            Kind::Conv(_) | Kind::Gemm { transposed: true } => 0,
            _ => 1,
        }
    }

    /// Where in the stored weights element `k` of output `o` lies.
    fn place(&self, o: usize, k: usize) -> usize {
        match self.kind {
            Kind::Conv(_) | Kind::Gemm { transposed: true } => o * self.depth + k,
            Kind::Gemm { transposed: false } | Kind::MatMul => k * self.outputs + o,
            Kind::ConvTranspose(ref window) => {
                // Stored as input × output × taps; an output's weights are its inputs, each with all taps.
                let taps = window.taps();
                (k / taps * self.outputs + o) * taps + k % taps
            }
            Kind::Product => 0,
        }
    }

    /// The weights, output after output.
    ///
    /// # Errors
    /// [`crate::QuantizeError::Model`] where they are not what their shape says.
    pub fn weights(&self, network: &Network) -> Result<Vec<f32>, crate::QuantizeError> {
        let missing = || crate::QuantizeError::Model(format!("node \"{}\" has no constant weights", self.name));
        let stored = array::floats(network.constant(&self.weight).ok_or_else(missing)?)?;
        let places = (0..self.outputs).flat_map(|o| (0..self.depth).map(move |k| self.place(o, k)));
        Ok(places.map(|place| stored[place]).collect())
    }

    /// Rounded weights, output after output, in the order of the file.
    pub fn stored(&self, rounded: &[i8]) -> Vec<i8> {
        let mut stored = vec![0; rounded.len()];
        for o in 0..self.outputs {
            for k in 0..self.depth {
                stored[self.place(o, k)] = rounded[o * self.depth + k];
            }
        }
        stored
    }
}

fn weighted(node: &NodeProto, weight: &TensorProto) -> Result<(Kind, usize, usize, usize), String> {
    if !array::is_float(weight) {
        return Err("its weights are no floats".into());
    }
    let shape = array::shape(weight);
    if shape.contains(&0) {
        return Err("its weights are empty".into());
    }
    let per_output: usize = shape.iter().skip(1).product();
    match node.op_type.as_str() {
        "Conv" => {
            let groups =
                usize::try_from(node.int("group", 1)).ok().filter(|&groups| groups > 0).ok_or("its group is 0")?;
            if !matches!(shape.len(), 3 | 4) || !shape[0].is_multiple_of(groups) {
                return Err(format!("its weights have the shape {shape:?}"));
            }
            Ok((Kind::Conv(window(node, &shape[2..])?), groups, shape[0], per_output))
        }
        "ConvTranspose" if node.int("group", 1) == 1 && shape.len() == 4 => {
            let mut window = window(node, &shape[2..])?;
            // The padding follows from the shape that is wanted.
            if node.ints("output_shape").is_some_and(|shape| !shape.is_empty()) {
                window.pads = None;
            }
            let depth = shape[0] * window.taps();
            Ok((Kind::ConvTranspose(window), 1, shape[1], depth))
        }
        "ConvTranspose" => Err("a transposed convolution in groups, or not in two dimensions".into()),
        "Gemm" => {
            let plain = node.float("alpha", 1.0) == 1.0 && node.float("beta", 1.0) == 1.0 && node.int("transA", 0) == 0;
            let transposed = node.int("transB", 0) != 0;
            match (plain, shape.as_slice()) {
                (true, [n, k]) if transposed => Ok((Kind::Gemm { transposed }, 1, *n, *k)),
                (true, [k, n]) => Ok((Kind::Gemm { transposed }, 1, *n, *k)),
                _ => Err("a product with factors or a transposed first operand".into()),
            }
        }
        _ => match shape.as_slice() {
            [k, n] => Ok((Kind::MatMul, 1, *n, *k)),
            _ => Err(format!("its weights have the shape {shape:?}")),
        },
    }
}

fn window(node: &NodeProto, kernel: &[usize]) -> Result<Window, String> {
    // One dimension lies along the columns.
    let pair = |values: Vec<usize>, default: usize| match values.as_slice() {
        [columns] => [default, *columns],
        [rows, columns, ..] => [*rows, *columns],
        [] => [default, default],
    };
    let sizes = |name: &str, default: usize| -> Result<[usize; 2], String> {
        let stated = node.ints(name).unwrap_or_default();
        let sizes: Option<Vec<usize>> =
            stated.iter().take(kernel.len()).map(|&v| usize::try_from(v).ok().filter(|&v| v < 1 << 16)).collect();
        sizes.map(|sizes| pair(sizes, default)).ok_or_else(|| format!("its {name} are {stated:?}"))
    };
    let auto = node.text("auto_pad").unwrap_or_default();
    let pads = match auto.as_str() {
        "SAME_UPPER" | "SAME_LOWER" => None,
        "VALID" => Some([[0; 2]; 2]),
        _ => Some(pads(node, kernel.len())?),
    };
    Ok(Window {
        kernel: pair(kernel.to_vec(), 1),
        stride: sizes("strides", 1)?.map(|stride| stride.max(1)),
        dilation: sizes("dilations", 1)?.map(|dilation| dilation.max(1)),
        pads,
        lower: auto == "SAME_LOWER",
    })
}

/// Stated as all before, then all behind.
fn pads(node: &NodeProto, dimensions: usize) -> Result<[[usize; 2]; 2], String> {
    let stated = node.ints("pads").unwrap_or_default();
    let sizes: Option<Vec<usize>> = stated.iter().map(|&v| usize::try_from(v).ok().filter(|&v| v < 1 << 16)).collect();
    match (sizes.as_deref(), dimensions) {
        (Some([]), _) => Ok([[0; 2]; 2]),
        (Some(&[before, behind]), 1) => Ok([[0, 0], [before, behind]]),
        (Some(&[top, left, bottom, right]), 2) => Ok([[top, bottom], [left, right]]),
        _ => Err(format!("its pads are {stated:?}")),
    }
}
