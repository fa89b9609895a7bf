"""Builds the quantized networks of this folder, and the answers ONNX Runtime gives: python make.py [NAME ...]

Every network is small and has random weights, so it recognises nothing; what it shares with the
real network it is named after are the operators and their attributes, quantized by the usual tool.
README.md says which packages this needs.
"""

import logging
import shutil
import sys
import zlib
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry
from onnxruntime.quantization.shape_inference import quant_pre_process

class Net:
    """A float network under construction. Values are named by strings; channels are tracked."""

    def __init__(self, name, opset):
        self.name, self.opset = name, opset
        # A seed of its own per network: changing one network leaves the bytes of the others alone.
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.nodes, self.constants = [], []

    def input(self, *shape):
        self.shape, self.channels = shape, {"input": shape[1]}
        return "input"

    def const(self, values, dtype=np.float32):
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def ints(self, *values):
        return self.const(values, np.int64)

    def op(self, kind, *inputs, channels=None, outputs=1, **attributes):
        number = len(self.nodes)
        names = [f"{kind.lower()}{number}" + (f"_{i}" if outputs > 1 else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"{kind}_{number}", **attributes))
        self.channels.update(dict.fromkeys(names, channels or self.channels.get(inputs[0])))
        return names if outputs > 1 else names[0]

    def weights(self, shape, fan_in, axis, gain=1.0):
        """He-scaled normals in which one output channel in eight is about 100 times smaller, as in
        trained networks: those channels are what per channel scales are for."""
        w = self.rng.normal(0, gain * np.sqrt(2 / fan_in), shape)
        small = self.rng.choice(shape[axis], shape[axis] // 8, replace=False)
        factor = np.ones(shape[axis])
        factor[small] = self.rng.uniform(0.006, 0.014, len(small))
        return self.const(w * factor.reshape([-1 if i == axis else 1 for i in range(len(shape))]))

    def bias(self, count):
        return self.const(self.rng.normal(0, 0.1, count) + 0.02)

    def conv(self, x, cout, k=3, stride=1, pads=None, group=1, dilation=1, gain=1.0, rank=2, **more):
        cin = self.channels[x]
        group = cin if group == "depthwise" else group
        kernel = [k] * rank if isinstance(k, int) else list(k)
        if "auto_pad" not in more:
            more["pads"] = pads or [dilation * (n - 1) // 2 for n in kernel] * 2
        w = self.weights([cout, cin // group] + kernel, cin // group * int(np.prod(kernel)), 0, gain)
        return self.op("Conv", x, w, self.bias(cout), channels=cout, kernel_shape=kernel, group=group,
                       strides=[stride] * len(kernel), dilations=[dilation] * len(kernel), **more)

    def conv_transpose(self, x, cout, k, pad):
        cin = self.channels[x]
        # With stride 2 each output pixel sees (k / 2)^2 taps of every input channel.
        w = self.weights([cin, cout, k, k], cin * (k / 2) ** 2, 1)
        return self.op("ConvTranspose", x, w, self.bias(cout), channels=cout, kernel_shape=[k, k],
                       strides=[2, 2], pads=[pad] * 4)

    def batch_norm(self, x):
        c, r = self.channels[x], self.rng
        parts = [r.uniform(0.7, 1.4, c), r.normal(0, 0.3, c), r.normal(0, 0.2, c), r.uniform(0.4, 1.6, c)]
        return self.op("BatchNormalization", x, *[self.const(p) for p in parts], epsilon=1e-3)

    def relu(self, x):
        return self.op("Relu", x)

    def relu6(self, x):
        return self.op("Clip", x, self.const(0.0), self.const(6.0))

    def dense(self, x, cin, cout, gain=1.0):
        return self.op("Gemm", x, self.weights([cout, cin], cin, 0, gain), self.bias(cout), channels=cout, transB=1)

    def matmul(self, x, cin, cout, gain=0.7):
        return self.op("Add", self.op("MatMul", x, self.weights([cin, cout], cin, 1, gain)), self.bias(cout))

    def pool(self, kind, x, k, stride, pads=(0, 0, 0, 0), **more):
        return self.op(kind, x, kernel_shape=[k, k], strides=[stride] * 2, pads=list(pads), **more)

    def classifier(self, x, classes):
        x = self.op("Flatten", self.op("GlobalAveragePool", x), axis=1)
        return self.dense(x, self.channels[x], classes)

    def model(self, output):
        value = helper.make_tensor_value_info
        ends = [value("input", TensorProto.FLOAT, self.shape)], [value(output, TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, self.name, *ends, self.constants)
        # The oldest file version which the opset allows, so that old readers can open the file.
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)],
                                  ir_version=10 if self.opset >= 21 else 8, producer_name="make.py")
        # Shape inference fills in the rank of the output, which the value info above leaves open.
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        onnx.checker.check_model(model)
        return model

def picture(rng, shape):
    """Smooth noise with a little grain, from -1 to 1: closer to a photograph (or to a spectrogram,
    or to a row of embeddings) than white noise, whose sums hardly ever leave the middle."""
    x = rng.normal(0, 1, shape)
    for _ in range(3):
        for axis in range(2, len(shape)):
            x = (x + np.roll(x, 1, axis) + np.roll(x, -1, axis)) / 3
    x = x + rng.normal(0, 0.05 * x.std(), shape)
    return (2 * (x - x.min()) / np.ptp(x) - 1).astype(np.float32)

# The networks. Each function appends to a Net and returns the name of the output.

def mobilenet_v1(n):
    x = n.relu6(n.batch_norm(n.conv(n.input(1, 3, 33, 47), 8, 3, 2)))
    for cout, stride in [(16, 1), (24, 2), (24, 1), (48, 2), (48, 1)]:
        x = n.relu6(n.batch_norm(n.conv(x, n.channels[x], 3, stride, group="depthwise")))
        x = n.relu6(n.batch_norm(n.conv(x, cout, 1)))
    return n.classifier(x, 20)

def inverted_residual(n, x, cout, k, stride, expand, pads=None):
    hidden = n.channels[x] * expand
    y = n.relu6(n.conv(x, hidden, 1)) if expand > 1 else x
    y = n.relu6(n.conv(y, hidden, k, stride, pads, group="depthwise"))
    y = n.conv(y, cout, 1)
    return n.op("Add", x, y) if stride == 1 and n.channels[x] == cout else y

def mobilenet_v2(n):
    x = n.relu6(n.conv(n.input(1, 3, 33, 47), 12, 3, 2))
    for cout, stride, expand in [(8, 1, 1), (12, 2, 4), (12, 1, 4), (16, 2, 4), (16, 1, 4), (16, 1, 4)]:
        x = inverted_residual(n, x, cout, 3, stride, expand)
    return n.classifier(n.relu6(n.conv(x, 64, 1)), 20)

def efficientnet_lite(n):
    # TensorFlow pads for "SAME" with stride 2: the odd pixel goes to the bottom and to the right.
    same = {(3, 2): [0, 0, 1, 1], (5, 2): [1, 1, 2, 2]}
    x = n.relu6(n.conv(n.input(1, 3, 40, 56), 8, 3, 2, same[3, 2]))
    for cout, k, stride in [(12, 5, 2), (12, 5, 1), (16, 3, 2), (16, 3, 1), (20, 5, 1)]:
        x = inverted_residual(n, x, cout, k, stride, 4, same.get((k, stride)))
    return n.classifier(n.relu6(n.conv(x, 64, 1)), 20)

def resnet(n):
    def block(x, cout, stride):
        y = n.conv(n.relu(n.conv(x, cout, 3, stride)), cout, 3)
        if stride != 1 or n.channels[x] != cout:
            x = n.conv(x, cout, 1, stride)
        return n.relu(n.op("Add", y, x))
    x = n.relu(n.conv(n.input(1, 3, 41, 59), 12, 7, 2))
    x = n.pool("MaxPool", x, 3, 2, [1, 1, 1, 1])
    for cout, stride in [(12, 1), (20, 2), (20, 1), (32, 2)]:
        x = block(x, cout, stride)
    return n.classifier(x, 20)

def espcn(n):
    x = n.relu(n.conv(n.input(1, 1, 21, 27), 32, 5))
    x = n.relu(n.conv(x, 24, 3))
    x = n.conv(x, 9, 3, gain=0.4)
    return n.op("DepthToSpace", x, blocksize=3, mode="CRD", channels=1)

def autoencoder_transpose(n):
    x = n.relu(n.conv(n.input(1, 3, 36, 28), 16, 3, 2, [1, 1, 1, 1]))
    x = n.relu(n.conv(x, 32, 3, 2))
    x = n.relu(n.conv(x, 32, 3))
    x = n.relu(n.conv_transpose(x, 16, 2, 0))
    return n.op("Sigmoid", n.conv_transpose(x, 3, 4, 1))

def upsample(n, x, mode, coordinates, sizes=None, **more):
    roi = "" if n.opset >= 13 else n.const([])  # Unused, yet it had to be there below opset 13.
    tail = [n.const([1, 1, 2, 2])] if sizes is None else ["", n.ints(*sizes)]
    return n.op("Resize", x, roi, *tail, mode=mode, coordinate_transformation_mode=coordinates, **more)

def autoencoder_resize(n):
    x = n.op("LeakyRelu", n.conv(n.input(1, 3, 36, 44), 16, 3, 2), alpha=0.1)
    x = n.relu(n.conv(x, 32, 3, 2))
    x = n.relu(n.conv(upsample(n, x, "nearest", "asymmetric", nearest_mode="floor"), 16, 3))
    x = n.relu(n.conv(upsample(n, x, "nearest", "half_pixel", nearest_mode="round_prefer_floor"), 12, 3))
    return n.op("Tanh", n.conv(x, 3, 3, gain=0.5))

def unet(n):
    def double(x, c):
        return n.relu(n.conv(n.relu(n.conv(x, c)), c))
    skips, x = [], double(n.input(1, 3, 36, 44), 8)
    for c in (16, 24):
        skips.append(x)
        x = double(n.pool("MaxPool", x, 2, 2), c)
    for c in (16, 8):
        x, skip = upsample(n, x, "linear", "half_pixel"), skips.pop()
        x = n.op("Concat", skip, x, axis=1, channels=n.channels[skip] + n.channels[x])
        x = double(x, c)
    return n.conv(x, 4, 1)

def text_detection(n):
    x = n.op("HardSwish", n.conv(n.input(1, 3, 33, 47), 16, 3, 2))
    x = n.conv(x, 16, 3, group=4)
    x = n.op("Mul", x, n.op("HardSigmoid", x, alpha=1 / 6, beta=0.5))
    low = n.op("LeakyRelu", n.conv(x, 32, 3, 2), alpha=0.01)
    low = n.op("HardSwish", n.conv(low, 32, 3, dilation=2, group=2))
    low = n.pool("AveragePool", low, 3, 1, [1, 1, 1, 1])
    # The pyramid: 9x12 goes back to 17x24, which is not a whole factor in height.
    top = upsample(n, n.conv(low, 16, 1), "nearest", "asymmetric", [1, 16, 17, 24], nearest_mode="floor")
    x = n.op("Add", n.conv(x, 16, 1), top)
    x = n.relu(n.conv(x, 16, 3))
    x = n.op("LeakyRelu", n.conv_transpose(x, 8, 2, 0), alpha=0.2)
    return n.op("Sigmoid", n.conv(x, 2, 3))

def keyword_spotting(n):
    # The export from TensorFlow leaves auto_pad in the file; so does this one.
    x = n.relu(n.conv(n.input(1, 1, 49, 10), 32, (10, 4), 2, auto_pad="SAME_UPPER"))
    for _ in range(4):
        x = n.relu(n.conv(x, 32, 3, group="depthwise", auto_pad="SAME_UPPER"))
        x = n.relu(n.conv(x, 32, 1))
    x = n.op("AveragePool", x, kernel_shape=[25, 5], strides=[25, 5])
    x = n.dense(n.op("Flatten", x, axis=1), 32, 12)
    return n.op("Softmax", x, axis=-1)

def mobilenet_v3(n):
    def silu(x):
        return n.op("Mul", x, n.op("Sigmoid", x))
    def block(x, cout, k, stride, act, excite):
        hidden = 3 * n.channels[x]
        y = act(n.conv(x, hidden, 1))
        y = act(n.conv(y, hidden, k, stride, group="depthwise"))
        if excite:
            s = n.relu(n.conv(n.op("GlobalAveragePool", y), 8, 1))
            y = n.op("Mul", y, n.op("HardSigmoid", n.conv(s, hidden, 1), alpha=1 / 6, beta=0.5))
        y = n.conv(y, cout, 1)
        return n.op("Add", x, y) if stride == 1 and n.channels[x] == cout else y
    x = silu(n.conv(n.input(1, 3, 33, 47), 8, 3, 2))
    for spec in [(12, 3, 2, n.relu, True), (12, 3, 1, n.relu, False), (16, 5, 2, silu, True), (16, 5, 1, silu, True)]:
        x = block(x, *spec)
    return n.classifier(silu(n.conv(x, 48, 1)), 20)

def qoperator_mix(n):
    x = n.op("LeakyRelu", n.conv(n.input(1, 3, 19, 25), 16, 3, 2), alpha=0.1)
    gate = n.op("Sigmoid", n.conv(x, 16, 1))
    y = n.op("Mul", n.conv(x, 16, 3, group="depthwise"), gate)
    z = n.pool("AveragePool", x, 3, 1, [1, 1, 1, 1])
    x = n.relu(n.conv(n.op("Concat", y, z, gate, axis=1, channels=48), 32, 3, 2))
    x = n.op("Transpose", n.op("Reshape", x, n.ints(1, 32, 35)), perm=[0, 2, 1])
    return n.op("Softmax", n.op("MatMul", x, n.weights([32, 10], 32, 1, 2.0)), axis=2)

def transformer(n):
    length, width, heads = 24, 32, 2
    def norm(x, fused):
        gamma, beta = n.const(n.rng.uniform(0.7, 1.3, width)), n.const(n.rng.normal(0, 0.2, width))
        if fused:
            return n.op("LayerNormalization", x, gamma, beta, axis=-1, epsilon=1e-5)
        # What exporters write below opset 17.
        d = n.op("Sub", x, n.op("ReduceMean", x, axes=[-1], keepdims=1))
        v = n.op("ReduceMean", n.op("Pow", d, n.const(2.0)), axes=[-1], keepdims=1)
        d = n.op("Div", d, n.op("Sqrt", n.op("Add", v, n.const(1e-5))))
        return n.op("Add", n.op("Mul", d, gamma), beta)
    def split_heads(x, perm):
        x = n.op("Reshape", x, n.ints(1, length, heads, width // heads))
        return n.op("Transpose", x, perm=perm)
    x = n.input(1, length, width)
    for layer in range(2):
        fused = layer == 0
        y = norm(x, fused)
        q, k, v = (n.matmul(y, width, width) for _ in range(3))
        q, k, v = split_heads(q, [0, 2, 1, 3]), split_heads(k, [0, 2, 3, 1]), split_heads(v, [0, 2, 1, 3])
        a = n.op("Div", n.op("MatMul", q, k), n.const(np.sqrt(width / heads)))
        y = n.op("MatMul", n.op("Softmax", a, axis=-1), v)
        y = n.op("Reshape", n.op("Transpose", y, perm=[0, 2, 1, 3]), n.ints(1, length, width))
        x = n.op("Add", x, n.matmul(y, width, width))
        y = n.matmul(norm(x, fused), width, 2 * width, 1.0)
        # Gelu as exporters write it below opset 20.
        g = n.op("Add", n.op("Erf", n.op("Div", y, n.const(np.sqrt(2)))), n.const(1.0))
        y = n.op("Mul", n.op("Mul", y, g), n.const(0.5))
        x = n.op("Add", x, n.matmul(y, 2 * width, width))
    return norm(x, True)

def conv_dynamic(n):
    x = n.relu(n.conv(n.input(1, 3, 33, 47), 16, 5, 2))
    return n.conv(x, 8, 3)

def conv1d_audio(n):
    x = n.relu(n.conv(n.input(1, 8, 101), 24, 5, 2, rank=1))
    for dilation in (1, 2, 4):
        y = n.relu(n.conv(x, 24, 3, dilation=dilation, rank=1))
        x = n.op("Add", x, n.conv(y, 24, 1, rank=1))
    x = n.op("ReduceMean", n.relu(x), n.ints(2), keepdims=0, channels=24)
    return n.dense(x, 24, 10)

def small_ops(n):
    x = n.conv(n.input(1, 3, 20, 26), 12, 3)
    a, b, c = n.op("Split", x, n.ints(3, 5, 4), outputs=3, axis=1)
    a = n.pool("MaxPool", a, 3, 2, ceil_mode=1)
    b = n.pool("AveragePool", b, 3, 2, [1, 1, 1, 1], count_include_pad=1)
    n.channels[c] = 4
    c = n.op("Pad", c, n.ints(0, 0, 1, 0, 0, 0, 1, 1), n.const(0.5), mode="constant")
    c = n.conv(c, 4, 3, 2, [0, 0, 0, 0])
    c = n.op("PRelu", c, n.const(n.rng.uniform(0.05, 0.4, (4, 1, 1))))
    x = n.op("Concat", a, b, c, axis=1, channels=12)
    x = n.op("Slice", x, n.ints(1, 2), n.ints(9, 13), n.ints(2, 3), n.ints(1, 2))
    x = n.op("Clip", n.conv(x, 16, 1), n.const(-1.0), n.const(2.0))
    x = n.op("Reshape", n.op("Transpose", x, perm=[0, 2, 3, 1]), n.ints(1, 48, 16))
    return n.matmul(x, 16, 6)

# name: (what builds it, opset, how it is quantized). Per channel QDQ needs opset 13.
#   more: kinds of operators to put between Q and DQ besides those the quantizer takes by itself
#   keep: leave Relu and Clip in the file; by default the quantizer drops those that the range implies
NETWORKS = {
    "mobilenet_v1": (mobilenet_v1, 13, dict(fold=True)),
    "mobilenet_v2": (mobilenet_v2, 17, dict()),
    "efficientnet_lite": (efficientnet_lite, 13, dict(u8_input=True, keep=True)),
    "resnet": (resnet, 12, dict(format=QuantFormat.QOperator)),
    "espcn": (espcn, 13, dict(more=["DepthToSpace"])),
    "autoencoder_transpose": (autoencoder_transpose, 13, dict()),
    "autoencoder_resize": (autoencoder_resize, 12, dict(activations=QuantType.QInt8, per_channel=False, more=["Tanh"])),
    "unet": (unet, 13, dict(keep=True)),
    "text_detection": (text_detection, 17, dict(more=["HardSwish", "HardSigmoid"])),
    "keyword_spotting": (keyword_spotting, 13, dict()),
    "mobilenet_v3": (mobilenet_v3, 21, dict()),
    "qoperator_mix": (qoperator_mix, 12, dict(format=QuantFormat.QOperator)),
    "transformer_dynamic": (transformer, 17, dict(dynamic=["MatMul"])),
    "transformer_static": (transformer, 17, dict()),
    "conv_dynamic": (conv_dynamic, 11, dict(dynamic=["Conv"])),
    "conv1d_audio": (conv1d_audio, 18, dict(more=["ReduceMean"])),
    "small_ops": (small_ops, 13, dict(more=["PRelu"], keep=True)),
}

def quantize(model, pictures, path, format=QuantFormat.QDQ, activations=QuantType.QUInt8, per_channel=True,
             more=(), keep=False, dynamic=None, fold=False, u8_input=False):
    if fold:
        # Folds BatchNormalization into the convolutions, as the manual of the quantizer advises.
        quant_pre_process(model, path, skip_symbolic_shape=True)
        model = onnx.load(path)
    if dynamic:
        # ONNX Runtime long lacked ConvInteger with i8 weights, so files have u8, with a zero point.
        weights = QuantType.QUInt8 if "Conv" in dynamic else QuantType.QInt8
        quantize_dynamic(model, path, dynamic, per_channel="MatMul" in dynamic, weight_type=weights)
        return
    registry = QLinearOpsRegistry if format == QuantFormat.QOperator else {**QLinearOpsRegistry, **QDQRegistry}
    reader = SimpleNamespace(get_next=lambda rest=iter(pictures): next(rest, None))
    quantize_static(model, path, reader, quant_format=format, per_channel=per_channel,
                    activation_type=activations, weight_type=QuantType.QInt8,
                    op_types_to_quantize=sorted(registry) + list(more),
                    extra_options={"QDQKeepRemovableActivations": keep})
    if u8_input:
        # As in files converted from TensorFlow Lite: the picture comes in as bytes.
        graph = (model := onnx.load(path)).graph
        first = next(n for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "input")
        for node in graph.node:
            node.input[:] = ["input" if i == first.output[0] else i for i in node.input]
        graph.node.remove(first)
        graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
        onnx.checker.check_model(model)
        onnx.save(model, path)

def run(model, feeds):
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, feeds)

def build(name):
    function, opset, how = NETWORKS[name]
    net = Net(name, opset)
    model = net.model(function(net))
    pictures = [{"input": picture(net.rng, net.shape)} for _ in range(8)]
    x = picture(net.rng, net.shape)
    reference = run(model.SerializeToString(), {"input": x})[0]

    folder = Path(__file__).resolve().parent / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "model.onnx"
    quantize(model, pictures, path, **how)
    if how.get("u8_input"):
        x = np.round((x + 1) * 127.5).astype(np.uint8)
    outputs = run(str(path), {"input": x})
    np.save(folder / "input_0.npy", x)
    for i, y in enumerate(outputs):
        np.save(folder / f"output_{i}.npy", y)

    # A row for README.md, and how far quantization moved the answer from the float network's.
    ops = sorted(Counter(n.op_type for n in onnx.load(path).graph.node).items())
    size = sum(f.stat().st_size for f in folder.iterdir())
    error = np.abs(outputs[0] - reference).max() / np.ptp(reference)
    print(f"| {name} | {opset} | {size / 1000:.0f} | {error:.3f} | " + ", ".join(f"{k} {v}" for k, v in ops) + " |")

if __name__ == "__main__":
    logging.disable(logging.WARNING)
    for name in sys.argv[1:] or NETWORKS:
        build(name)
