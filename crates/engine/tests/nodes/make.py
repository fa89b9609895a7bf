"""Builds the small models of this folder, and the answers ONNX Runtime gives: python make.py [NAME ...]

Each is an operator, or a few, in the form in which quantizers and exporters write it. README.md says which packages this needs.
"""

import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

MODELS = {}


def model(make):
    MODELS[make.__name__] = make
    return make


class Net:
    """A graph under construction. Values are named by strings."""

    def __init__(self, name, opset=17):
        self.name, self.opset = name, opset
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.nodes, self.constants, self.inputs, self.outputs = [], [], {}, []

    def input(self, values):
        name = f"x{len(self.inputs)}"
        self.inputs[name] = np.asarray(values)
        return name

    def normal(self, *shape, scale=1.0):
        return self.rng.normal(0, scale, shape).astype(np.float32)

    def const(self, values, dtype=np.float32):
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def op(self, kind, *inputs, outputs=1, domain="", **attributes):
        names = [f"{kind.lower()}{len(self.nodes)}" + (f"_{i}" if outputs > 1 else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **attributes))
        return names if outputs > 1 else names[0]

    def ms(self, kind, *inputs, **more):
        return self.op(kind, *inputs, domain="com.microsoft", **more)

    def quant(self, scale, zero_point, dtype=np.uint8):
        return self.const(scale), self.const(zero_point, dtype)

    def qdq(self, x, quant):
        return self.op("DequantizeLinear", self.op("QuantizeLinear", x, *quant), *quant)

    def weights(self, shape, scale=0.01, zero_point=0, dtype=np.int8, spread=100):
        """Quantized constants through DequantizeLinear; `scale` may be a list along axis 0."""
        low = 128 - spread if dtype == np.uint8 else -spread
        stored = self.rng.integers(low, low + 2 * spread, shape).astype(dtype)
        zero = np.broadcast_to(np.asarray(zero_point, dtype), np.shape(scale))
        more = {"axis": 0} if np.ndim(scale) else {}
        return self.op("DequantizeLinear", self.const(stored, dtype), self.const(scale), self.const(zero, dtype), **more)

    def output(self, *names):
        self.outputs += names

    def save(self, folder):
        given = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
                 for name, v in self.inputs.items()]
        results = [onnx.ValueInfoProto(name=name) for name in self.outputs]
        graph = helper.make_graph(self.nodes, self.name, given, results, self.constants)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        proto = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        folder.mkdir(exist_ok=True)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(batch_second(proto).SerializeToString(), options, providers=["CPUExecutionProvider"])
        answers = session.run(None, self.inputs)
        del graph.output[:], proto.graph.output[:]
        for name, answer in zip(self.outputs, answers):
            kind = helper.np_dtype_to_tensor_dtype(answer.dtype)
            proto.graph.output.append(helper.make_tensor_value_info(name, kind, answer.shape))
        onnx.checker.check_model(proto)
        onnx.save(proto, folder / "model.onnx")
        for old in folder.glob("*.npy"):
            old.unlink()
        for i, values in enumerate(self.inputs.values()):
            np.save(folder / f"input_{i}.npy", values)
        for i, answer in enumerate(answers):
            np.save(folder / f"output_{i}.npy", answer)


def batch_second(proto):
    """ONNX Runtime has no recurrent layers whose batch comes first: transposed around one whose batch comes second."""
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    nodes = []
    for node in proto.graph.node:
        if not any(a.name == "layout" for a in node.attribute):
            nodes.append(node)
            continue
        kept = [a for a in node.attribute if a.name != "layout"]
        del node.attribute[:]
        node.attribute.extend(kept)
        for i in (0, 5, 6):
            if i < len(node.input) and node.input[i]:
                nodes.append(helper.make_node("Transpose", [node.input[i]], [f"{node.input[i]}_turned"], perm=[1, 0, 2]))
                node.input[i] = nodes[-1].output[0]
        nodes.append(node)
        for i, name in enumerate(node.output):
            nodes.append(helper.make_node("Transpose", [f"{name}_turned"], [name], perm=[2, 0, 1, 3] if i == 0 else [1, 0, 2]))
            node.output[i] = nodes[-1].input[0]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


def batch_norm(net, x, channels, gamma=None, dtype=None):
    gamma = net.rng.uniform(0.5, 1.5, channels) if gamma is None else gamma
    if dtype is None:
        scale, bias = net.const(gamma), net.const(net.normal(channels, scale=0.3))
    else:
        scale, bias = net.weights([channels], 0.01, 20, dtype), net.weights([channels], 0.004, 0)
    mean, variance = net.const(net.normal(channels, scale=0.2)), net.const(net.rng.uniform(0.3, 2, channels))
    return net.op("BatchNormalization", x, scale, bias, mean, variance)


@model
def batchnorm_between_quantized(net):
    """A table by channel: after a convolution (channels last) and of a row-major tensor; scales of either sign, and of 0."""
    q = net.quant(0.05, 120)
    x = net.qdq(net.input(net.normal(1, 3, 9, 7)), q)
    y = net.qdq(net.op("Conv", x, net.weights([6, 3, 3, 3]), pads=[1, 1, 1, 1]), q)
    y = batch_norm(net, y, 6, [1.2, -0.7, 0, 0.4, 2, 1e-3])
    net.output(net.qdq(net.op("Relu", y), net.quant(0.03, 5)))
    rows = batch_norm(net, net.qdq(net.input(net.normal(2, 5, 11)), q), 5)
    net.output(net.op("QuantizeLinear", rows, *net.quant(0.04, -3, np.int8)))


@model
def batchnorm_dequantized_parameters(net):
    """Scale and bias through DequantizeLinear, as quantize_static writes them."""
    q = net.quant(0.05, 128)
    x = net.qdq(net.input(net.normal(1, 3, 8, 8)), q)
    y = net.qdq(net.op("Conv", x, net.weights([4, 3, 3, 3]), pads=[1, 1, 1, 1]), q)
    y = net.qdq(batch_norm(net, y, 4, dtype=np.uint8), net.quant(0.06, 100))
    net.output(y, batch_norm(net, y, 4, dtype=np.uint8))


@model
def batchnorm_after_convolution(net):
    """Right after the convolution, with nothing quantized between: folded into it; scales of either sign."""
    q = net.quant(0.05, 128)
    x = net.qdq(net.input(net.normal(1, 8, 10, 9)), q)
    scales = net.rng.uniform(0.002, 0.006, 6)
    y = net.op("Conv", x, net.weights([6, 8, 3, 3], scales), net.const(net.normal(6)), pads=[1, 1, 1, 1])
    y = net.qdq(net.op("Relu", batch_norm(net, y, 6, [1.2, -0.7, 0.9, -1.4, 2, 0.1])), net.quant(0.04, 3))
    y = net.op("ConvTranspose", y, net.weights([6, 4, 2, 2], 0.004), strides=[2, 2])
    net.output(net.op("QuantizeLinear", batch_norm(net, y, 4), *net.quant(0.05, 10, np.int8)))


@model
def batchnorm_of_floats(net):
    """Floats before and after: ranks 2, 3 and 4."""
    for shape in [(3, 4), (2, 4, 5), (1, 4, 3, 6)]:
        x = net.input(net.normal(*shape))
        net.output(batch_norm(net, x, 4), net.op("QuantizeLinear", x, *net.quant(0.05, 128)))


@model
def batchnorm_with_computed_parameters(net):
    x, scale, bias, mean = (net.input(net.normal(*shape)) for shape in [(2, 3, 4, 5), (3,), (3,), (3,)])
    variance = net.input(net.rng.uniform(0.3, 2, 3).astype(np.float32))
    net.output(net.op("BatchNormalization", x, scale, bias, mean, variance, epsilon=0.01))


@model
def batchnorm_after_convolution_of_rank_3(net):
    q = net.quant(0.04, 128)
    x = net.qdq(net.input(net.normal(1, 4, 20)), q)
    y = net.op("Conv", x, net.weights([5, 4, 3], 0.005), net.const(net.normal(5)), pads=[1, 1])
    net.output(net.qdq(batch_norm(net, y, 5), net.quant(0.04, 90)))


def quantized(net, *shape, dtype=np.uint8):
    low = -128 if dtype == np.int8 else 0
    return net.rng.integers(low, low + 256, shape).astype(dtype)


@model
def qlinear_ops_of_constants(net):
    """What an anchor grid becomes in QOperator form: operands that are all constants."""
    (s, z), (t, y) = net.quant(0.05, 128), net.quant(0.07, 111)
    a, b = net.const(quantized(net, 3, 4), np.uint8), net.const(quantized(net, 1, 4), np.uint8)
    one = net.const(quantized(net, 1), np.uint8)
    total = net.ms("QLinearAdd", a, s, z, b, s, z, t, y)
    product = net.ms("QLinearMul", a, s, z, one, t, y, t, y)
    sigmoid = net.ms("QLinearSigmoid", a, t, y, *net.quant(1 / 256, 0))
    leaky = net.ms("QLinearLeakyRelu", a, s, z, s, z, alpha=0.1)
    joined = net.ms("QLinearConcat", s, z, total, t, y, a, s, z, leaky, s, z, axis=0)
    x = net.op("QuantizeLinear", net.input(net.normal(3, 4)), s, z)
    net.output(net.ms("QLinearAdd", x, s, z, total, t, y, s, z), net.ms("QLinearMul", x, s, z, product, t, y, s, z))
    net.output(sigmoid, joined)


@model
def qlinear_products_of_constants(net):
    (s, z), (t, y) = net.quant(0.05, 128), net.quant(0.3, 120)
    picture = net.const(quantized(net, 1, 3, 5, 5), np.uint8)
    w = net.const(net.rng.integers(-90, 90, (4, 3, 3, 3)), np.int8)
    conv = net.op("QLinearConv", picture, s, z, w, *net.quant(0.01, 0, np.int8), t, y, pads=[1, 1, 1, 1])
    a, b = net.const(quantized(net, 3, 6), np.uint8), net.const(quantized(net, 6, 4), np.uint8)
    product = net.op("QLinearMatMul", a, s, z, b, s, z, t, y)
    pool = net.ms("QLinearGlobalAveragePool", conv, t, y, s, z)
    x = net.op("QuantizeLinear", net.input(net.normal(3, 4)), t, y)
    net.output(net.ms("QLinearAdd", x, t, y, product, t, y, t, y), pool)


@model
def depthwise_weights_with_zero_points(net):
    """u8 weights whose zero point is not 128, as TensorFlow 1 and Coral have them; with 0, a weight of 255 needs three summands."""
    q = net.quant(0.05, 120)
    for zero, kernel, stride, channels in [(0, 3, 1, 19), (255, 3, 2, 40), (97, 5, 1, 8), (140, 3, 1, 33), (128, 3, 1, 6)]:
        x = net.qdq(net.input(net.normal(1, channels, 9, 8)), q)
        stored = quantized(net, channels, 1, kernel, kernel)
        stored.flat[:3] = [255, 0, 128]
        w = net.op("DequantizeLinear", net.const(stored, np.uint8), *net.quant(0.01, zero))
        y = net.op("Conv", x, w, group=channels, strides=[stride] * 2, pads=[kernel // 2] * 4)
        net.output(net.op("QuantizeLinear", y, *net.quant(0.3, 128)))


@model
def weights_255_above_their_zero_point(net):
    """All weights positive: the quantizer's zero point is 0, the greatest weight 255."""
    q = net.quant(0.05, 120)
    x = net.qdq(net.input(net.normal(1, 5, 6, 6)), q)
    stored = quantized(net, 7, 5, 3, 3)
    stored.flat[:4] = [255, 0, 128, 127]
    w = net.op("DequantizeLinear", net.const(stored, np.uint8), *net.quant(0.004, 0))
    net.output(net.op("QuantizeLinear", net.op("Conv", x, w, net.const(net.normal(7))), *net.quant(0.2, 100)))
    rows = net.qdq(net.input(net.normal(3, 8)), q)
    stored = quantized(net, 8, 5)
    stored.flat[:2] = [255, 0]
    w = net.op("DequantizeLinear", net.const(stored, np.uint8), *net.quant(0.004, 0))
    net.output(net.op("QuantizeLinear", net.op("MatMul", rows, w), *net.quant(0.05, 100)))


def dynamic_convolution(net, x, weights, zero, **attributes):
    xq, scale, point = net.op("DynamicQuantizeLinear", x, outputs=3)
    acc = net.op("ConvInteger", xq, net.const(weights, weights.dtype), point, net.const(zero, weights.dtype), **attributes)
    factor = net.op("Mul", scale, net.const(0.01))
    return net.op("Mul", net.op("Cast", acc, to=TensorProto.FLOAT), factor)


@model
def convinteger_in_groups(net):
    """Dynamically quantized: depthwise and in groups, with weights of either kind; rank 3."""
    x = net.input(net.normal(1, 12, 9, 8))
    i8 = lambda *shape: net.rng.integers(-128, 128, shape).astype(np.int8)
    net.output(dynamic_convolution(net, x, i8(12, 1, 3, 3), 0, group=12, pads=[1] * 4))
    net.output(dynamic_convolution(net, x, quantized(net, 12, 1, 3, 3), 100, group=12, strides=[2, 2]))
    net.output(dynamic_convolution(net, x, i8(9, 4, 3, 3), 0, group=3, pads=[1, 0, 2, 1]))
    net.output(dynamic_convolution(net, x, quantized(net, 24, 6, 1, 1), 0, group=2))
    row = net.input(net.normal(1, 6, 14))
    net.output(dynamic_convolution(net, row, i8(6, 1, 5), 0, group=6, pads=[2, 2]))


@model
def gather_rows_of_a_quantized_table(net):
    """Embeddings: one scale for all, one for each row, one for each column; indices of both types, from either end."""
    ids = net.input(np.array([[0, 6, 3, -1], [2, -7, 5, 1]], np.int64))
    few = net.input(np.array([4, -2], np.int32))
    table = lambda dtype: net.const(quantized(net, 7, 5, dtype=dtype), dtype)
    one = net.op("Gather", net.op("DequantizeLinear", table(np.uint8), *net.quant(0.05, 128)), ids)
    net.output(net.qdq(one, net.quant(0.05, 128)), net.op("Relu", one))
    scales = lambda count: net.const(net.rng.uniform(0.01, 0.05, count))
    zero = lambda count: net.const(net.rng.integers(-5, 5, count), np.int8)
    rows = net.op("DequantizeLinear", table(np.int8), scales(7), zero(7), axis=0)
    net.output(net.op("Gather", rows, ids), net.op("Gather", rows, few))
    columns = net.op("DequantizeLinear", table(np.int8), scales(5), zero(5), axis=1)
    net.output(net.op("Gather", columns, ids))


@model
def gather_of_computed_tensors(net):
    """Of quantized pictures, of floats and of whole numbers; along any axis; by a single index, which drops the axis."""
    q = net.quant(0.05, 100)
    x = net.qdq(net.input(net.normal(1, 4, 6, 5)), q)
    y = net.qdq(net.op("Conv", x, net.weights([4, 4, 3, 3]), pads=[1] * 4), q)
    order = net.input(np.array([3, 0, -1], np.int64))
    net.output(net.qdq(net.op("Gather", y, order, axis=1), q), net.op("Gather", y, net.const(2, np.int64), axis=-1))
    ids = net.input(np.array([5, 2, 9, 4], np.int64))
    floats = net.input(net.normal(3, 4))
    net.output(net.op("Gather", ids, order), net.op("Gather", floats, order, axis=1))
    net.output(net.op("Gather", net.const(net.normal(3, 6, 2)), order, axis=1))


def recurrent(net, kind, shape, hidden, directions=1, layout=0, bias=True, lengths=None, initial=False, peepholes=False, **more):
    """A recurrent layer over an input of this shape; all its outputs are outputs of the model."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind] * hidden
    inputs, batch = shape[2], shape[layout == 0 and 1 or 0]
    scale = 0.7 / np.sqrt(hidden)
    state = (directions, batch, hidden) if layout == 0 else (batch, directions, hidden)
    if directions == 2:
        more["direction"] = "bidirectional"
    operands = [net.input(net.normal(*shape)), net.const(net.normal(directions, gates, inputs, scale=0.4)),
                net.const(net.normal(directions, gates, hidden, scale=scale)),
                net.const(net.normal(directions, 2 * gates, scale=0.3)) if bias else "",
                "" if lengths is None else net.const(lengths, np.int32),
                net.input(net.normal(*state, scale=0.5)) if initial else ""]
    if kind == "LSTM":
        operands += [net.input(net.normal(*state, scale=0.5)) if initial else "",
                     net.const(net.normal(directions, 3 * hidden, scale=0.3)) if peepholes else ""]
    if layout:
        more["layout"] = 1
    more = {"hidden_size": hidden, **more}
    outputs = net.op(kind, *operands, outputs=3 if kind == "LSTM" else 2, **more)
    net.output(*outputs)


@model
def lstm(net):
    recurrent(net, "LSTM", (5, 1, 6), 7)
    recurrent(net, "LSTM", (4, 3, 5), 40, directions=2, initial=True)
    recurrent(net, "LSTM", (3, 2, 4), 8, bias=False, peepholes=True, initial=True, direction="reverse")


@model
def gru(net):
    recurrent(net, "GRU", (5, 2, 6), 7, linear_before_reset=1)
    recurrent(net, "GRU", (4, 3, 5), 40, directions=2, initial=True)
    recurrent(net, "GRU", (3, 1, 4), 33, directions=2, linear_before_reset=1, bias=False)
    recurrent(net, "GRU", (3, 2, 4), 8, direction="reverse")


@model
def rnn(net):
    recurrent(net, "RNN", (5, 2, 6), 7)
    recurrent(net, "RNN", (4, 1, 5), 40, directions=2, initial=True, activations=["Relu", "Tanh"])
    recurrent(net, "RNN", (4, 1, 5), 3, clip=0.4, activations=["Sigmoid"])


@model
def recurrent_layers_with_sequence_lengths(net):
    recurrent(net, "LSTM", (5, 3, 4), 6, directions=2, lengths=[5, 2, 3])
    recurrent(net, "GRU", (5, 2, 4), 6, direction="reverse", lengths=[1, 5], initial=True)
    recurrent(net, "LSTM", (5, 2, 4), 6, lengths=[5, 5])


@model
def recurrent_layers_whose_batch_comes_first(net):
    recurrent(net, "LSTM", (3, 5, 6), 7, directions=2, layout=1, initial=True)
    recurrent(net, "GRU", (2, 4, 3), 5, layout=1)
    recurrent(net, "RNN", (2, 4, 3), 5, layout=1, initial=True)


@model
def lstm_with_computed_weights(net):
    """Weights that are inputs of the model."""
    operands = [net.input(net.normal(*shape, scale=0.4)) for shape in [(4, 2, 3), (1, 20, 3), (1, 20, 5), (1, 40)]]
    net.output(*net.op("LSTM", *operands, outputs=3, hidden_size=5))


@model
def gru_between_quantized(net):
    q = net.quant(0.05, 128)
    x = net.qdq(net.input(net.normal(12, 1, 10)), q)
    operands = [net.const(net.normal(*shape, scale=0.3)) for shape in [(2, 72, 10), (2, 72, 24), (2, 144)]]
    y, last = net.op("GRU", x, *operands, outputs=2, hidden_size=24, linear_before_reset=1, direction="bidirectional")
    net.output(net.qdq(y, net.quant(0.008, 128)), net.op("QuantizeLinear", last, *net.quant(0.008, 0, np.int8)))


@model
def dynamic_quantize_lstm(net):
    """Every LSTM after quantize_dynamic: one scale, one for each column, two directions, either kind of weights."""
    def layer(shape, hidden, directions, dtype, columns, zero, initial=False):
        bytes_of = lambda *dims: net.const(quantized(net, *dims, dtype=dtype), dtype)
        scale = lambda: net.const(net.rng.uniform(0.001, 0.003, (directions, 4 * hidden) if columns else directions))
        point = lambda: net.const(np.full((directions, 4 * hidden) if columns else directions, zero), dtype)
        state = lambda: net.input(net.normal(directions, shape[1], hidden, scale=0.5)) if initial else ""
        y = net.ms("DynamicQuantizeLSTM", net.input(net.normal(*shape)), bytes_of(directions, shape[2], 4 * hidden),
                   bytes_of(directions, hidden, 4 * hidden), net.const(net.normal(directions, 8 * hidden, scale=0.2)),
                   "", state(), state(), "", scale(), point(), scale(), point(), outputs=3, hidden_size=hidden,
                   direction="bidirectional" if directions == 2 else "forward")
        net.output(*y)
    layer((6, 1, 8), 16, 1, np.int8, False, 0)
    layer((5, 2, 7), 40, 2, np.uint8, False, 118)
    layer((4, 3, 5), 9, 2, np.int8, True, 0, initial=True)
    layer((4, 1, 5), 8, 1, np.uint8, False, 0)


@model
def fused_matmul(net):
    """Scaled and transposed products of floats, of constants and of quantized tensors."""
    x, y = net.input(net.normal(2, 4, 6)), net.input(net.normal(2, 5, 6))
    net.output(net.ms("FusedMatMul", x, y, alpha=0.25, transB=1), net.ms("FusedMatMul", x, y, transA=0, transB=1))
    net.output(net.ms("FusedMatMul", x, net.const(net.normal(4, 3)), transA=1, alpha=1.5))
    net.output(net.ms("FusedMatMul", x, net.const(net.normal(3, 6)), transB=1))
    q = net.quant(0.03, 120)
    a, b = net.qdq(net.input(net.normal(1, 3, 7, 10)), q), net.qdq(net.input(net.normal(1, 3, 9, 10)), q)
    net.output(net.qdq(net.ms("FusedMatMul", a, b, alpha=0.3, transB=1), net.quant(0.02, 128)))


@model
def dynamic_quantize_matmul(net):
    """Scales and zero points for all columns or for each, weights of either kind, a bias."""
    x = net.input(net.normal(2, 3, 20))
    def weights(dtype, columns, zero):
        size = 9 if columns else ()
        return [net.const(quantized(net, 20, 9, dtype=dtype), dtype), net.const(net.rng.uniform(0.002, 0.01, size)),
                net.const(np.full(size, zero), dtype)]
    net.output(net.ms("DynamicQuantizeMatMul", x, *weights(np.int8, False, 0)))
    net.output(net.ms("DynamicQuantizeMatMul", x, *weights(np.uint8, False, 131), net.const(net.normal(9))))
    net.output(net.ms("DynamicQuantizeMatMul", x, *weights(np.int8, True, 0), net.const(net.normal(9))))
    net.output(net.ms("DynamicQuantizeMatMul", x, *weights(np.uint8, False, 0)[:2]))


@model
def matmul_integer_to_float(net):
    x, scale, zero = net.op("DynamicQuantizeLinear", net.input(net.normal(3, 20)), outputs=3)
    b = net.const(quantized(net, 20, 9, dtype=np.int8), np.int8)
    bias = net.const(net.normal(9))
    net.output(net.ms("MatMulIntegerToFloat", x, b, scale, net.const(net.rng.uniform(0.002, 0.01, 9)), zero, "", bias))
    both = net.op("QuantizeLinear", net.input(net.normal(2, 5, 8)), *net.quant(0.03, 100))
    by = net.op("QuantizeLinear", net.input(net.normal(2, 8, 6)), *net.quant(0.02, 140))
    zeros = [net.const(100, np.uint8), net.const(140, np.uint8)]
    net.output(net.ms("MatMulIntegerToFloat", both, by, net.const(0.03), net.const(0.02), *zeros))


@model
def attention_between_quantized(net):
    """Products of two computed tensors: scores by values, as heads of several sizes have them."""
    for heads, m, k, n in [(2, 9, 16, 33), (1, 5, 7, 70), (3, 4, 64, 3)]:
        q, p = net.quant(0.03, int(net.rng.integers(0, 255))), net.quant(1 / 256, 0)
        a, b = net.qdq(net.input(net.normal(1, heads, m, k, scale=0.3)), p), net.qdq(net.input(net.normal(1, heads, k, n)), q)
        net.output(net.op("QuantizeLinear", net.op("MatMul", a, b), *net.quant(0.02, 100)))
    x = net.op("DynamicQuantizeLinear", net.input(net.normal(4, 20)), outputs=3)
    y = net.op("DynamicQuantizeLinear", net.input(net.normal(20, 40)), outputs=3)
    net.output(net.op("MatMulInteger", x[0], y[0], x[2], y[2]))


@model
def sums_and_products_over_planes(net):
    """Operands that repeat over rows, columns or planes."""
    (s, z), (t, y) = net.quant(0.05, 128), net.quant(0.07, 111)
    big = net.op("QuantizeLinear", net.input(net.normal(2, 5, 9, 70)), s, z)
    for shape in [(2, 5, 1, 1), (1, 5, 1, 1), (9, 70), (1, 1, 9, 1), (70,), (2, 1, 9, 70)]:
        small = net.op("QuantizeLinear", net.input(net.normal(*shape)), s, z)
        net.output(net.ms("QLinearAdd", big, s, z, small, s, z, t, y), net.ms("QLinearMul", small, s, z, big, s, z, t, y))


@model
def quantized_constants(net):
    """QuantizeLinear of constants: the type stated or by the zero point, halves, one scale or one for each channel, all four types."""
    net.opset = 21
    x = net.const(net.rng.integers(-700, 700, (2, 3, 40)) * 0.5 * np.float32(0.3))
    scale = net.const(0.3)
    for dtype in (0, TensorProto.UINT8, TensorProto.INT8, TensorProto.UINT16, TensorProto.INT16):
        net.output(net.op("QuantizeLinear", x, scale, **({"output_dtype": dtype} if dtype else {})))
    net.output(net.op("QuantizeLinear", x, scale, net.const(-7, np.int8)), net.op("QuantizeLinear", x, scale, net.const(130, np.uint8)))
    each = net.const([0.3, 0.011, 0.7]), net.const([0, -100, 9], np.int8)
    net.output(net.op("QuantizeLinear", x, *each, axis=1))
    y = net.qdq(net.input(net.normal(2, 5, 40)), net.quant(0.05, 120))
    weights = net.op("QuantizeLinear", net.const(net.normal(4, 5, 3)), net.const(0.02), output_dtype=TensorProto.INT8)
    y = net.op("Conv", y, net.op("DequantizeLinear", weights, net.const(0.02), net.const(0, np.int8)))
    net.output(net.op("QuantizeLinear", y, *net.quant(0.1, 128)))


@model
def products_whose_sum_has_more_dimensions(net):
    """What is added to a product gives it more dimensions."""
    x = net.qdq(net.input(net.normal(3, 6)), net.quant(0.05, 128))
    for shape in [(1, 1, 4), (2, 1, 4), (1, 1, 1, 4)]:
        product = net.op("MatMul", x, net.weights([6, 4], 0.01))
        net.output(net.op("Add", product, net.const(net.normal(*shape))))
        product = net.op("MatMul", x, net.weights([6, 4], 0.01))
        y = net.op("Add", net.op("DequantizeLinear", net.const(quantized(net, *shape), np.uint8), *net.quant(0.02, 100)), product)
        net.output(y)


@model
def transposed_convolutions_of_stated_size(net):
    """`output_shape`, `output_padding`, `auto_pad` and both together, of pictures and of one dimension, quantized and in floats."""
    q = net.quant(0.05, 128)
    wholes = [net.input(net.normal(1, 4, 5, 6)), net.input(net.normal(1, 4, 7))]
    forms = [{"output_padding": 1}, {"output_shape": 2, "output_padding": 1}, {"output_shape": 1}, {"auto_pad": "SAME_UPPER"},
             {"auto_pad": "SAME_LOWER", "output_padding": 1}, {"output_shape": 2, "auto_pad": "SAME_UPPER", "output_padding": 1}]
    for x in wholes:
        size = net.inputs[x].shape[2:]
        between = net.qdq(x, q)
        for form in forms:
            more = {"strides": [2] * len(size), **form}
            if "output_padding" in more:
                more["output_padding"] = [1] * len(size)
            if "output_shape" in more:
                more["output_shape"] = [2 * n + form["output_shape"] - 1 for n in size]
            w = net.normal(4, 3, *[4] * len(size), scale=0.3)
            net.output(net.op("ConvTranspose", x, net.const(w), **more))
            y = net.op("ConvTranspose", between, net.weights([4, 3, *[4] * len(size)], 0.004), **more)
            net.output(net.op("QuantizeLinear", y, *net.quant(0.04, 120)))


def main():
    names = sys.argv[1:] or list(MODELS)
    for name in names:
        net = Net(name)
        MODELS[name](net)
        net.save(Path(__file__).parent / name)
        print(name)


if __name__ == "__main__":
    main()
