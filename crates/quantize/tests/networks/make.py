#!/usr/bin/env python3
"""Float networks of different kinds, and what ONNX Runtime computes from the files that Lineside makes of them. README.md says how to use it.

    make.py floats [NAME …]   builds NAME.onnx here
    make.py check FOLDER      checks the quantized files in FOLDER: onnx.checker, ONNX Runtime, OpenVINO; prints the table
    make.py goldens FOLDER    the same, and stores SHA256SUMS and ONNX Runtime's outputs here
"""

import hashlib
import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
# Outputs that are stored: of so many of the inputs.
STORED = 3
# OpenVINO 2026.4 takes the scales of QLinearConv's weights for those of their second dimension, where there are several.
NOT_BY_OPENVINO = ["mobilenet_qoperator"]


class Net:
    """A float network under construction. Values are named by strings; channels are tracked."""

    def __init__(self, name):
        self.name, self.nodes, self.constants, self.outputs, self.opset = name, [], [], [], 17
        # A seed of its own for each network: changing one leaves the bytes of the others alone.
        self.random = np.random.default_rng(zlib.crc32(name.encode()))

    def input(self, *shape, kind=TensorProto.FLOAT):
        self.value = helper.make_tensor_value_info("input", kind, shape)
        self.channels = {"input": shape[1] if len(shape) > 1 else None}
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
        """He-scaled normals whose output channels differ in size, as trained networks have them."""
        spread = np.exp(self.random.normal(0, 0.5, shape[axis]))
        w = self.random.normal(0, gain * np.sqrt(2 / fan_in), shape)
        return self.const(w * spread.reshape([-1 if i == axis else 1 for i in range(len(shape))]))

    def bias(self, count):
        return self.const(self.random.normal(0, 0.1, count))

    def conv(self, x, cout, k=3, stride=1, group=1, dilation=1, rank=2, bias=True, gain=1.0, **more):
        cin = self.channels[x]
        group = cin if group == "depthwise" else group
        if "auto_pad" not in more:
            more.setdefault("pads", [dilation * (k - 1) // 2] * 2 * rank)
        shape = [cout, cin // group] + [k] * rank
        inputs = [x, self.weights(shape, cin // group * k**rank, 0, gain)] + ([self.bias(cout)] if bias else [])
        return self.op("Conv", *inputs, channels=cout, kernel_shape=[k] * rank, group=group,
                       strides=[stride] * rank, dilations=[dilation] * rank, **more)

    def conv_transpose(self, x, cout, k=2, stride=2, pad=0):
        cin = self.channels[x]
        w = self.weights([cin, cout, k, k], cin * (k / stride) ** 2, 1)
        return self.op("ConvTranspose", x, w, self.bias(cout), channels=cout, kernel_shape=[k, k],
                       strides=[stride] * 2, pads=[pad] * 4)

    def batch_norm(self, x):
        c, r = self.channels[x], self.random
        parts = [r.uniform(0.7, 1.4, c), r.normal(0, 0.3, c), r.normal(0, 0.2, c), r.uniform(0.4, 1.6, c)]
        return self.op("BatchNormalization", x, *[self.const(p) for p in parts], epsilon=1e-3)

    def relu(self, x):
        return self.op("Relu", x)

    def relu6(self, x):
        return self.op("Clip", x, self.const(0.0), self.const(6.0))

    def silu(self, x):
        return self.op("Mul", x, self.op("Sigmoid", x))

    def gemm(self, x, cin, cout):
        return self.op("Gemm", x, self.weights([cout, cin], cin, 0), self.bias(cout), channels=cout, transB=1)

    def product(self, x, cin, cout):
        return self.op("Add", self.op("MatMul", x, self.weights([cin, cout], cin, 1, 0.7)), self.bias(cout))

    def classifier(self, x, classes):
        return self.gemm(self.op("Flatten", self.op("GlobalAveragePool", x), axis=1), self.channels[x], classes)

    def layer_norm(self, x, width):
        scale = self.const(self.random.uniform(0.7, 1.4, width))
        return self.op("LayerNormalization", x, scale, self.bias(width), axis=-1)

    def model(self, outputs):
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, self.name, [self.value], values, self.constants)
        ir_version = 10 if self.opset >= 21 else 8
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=ir_version)
        # Shape inference fills in the rank of the outputs, which the value infos above leave open.
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        del model.graph.value_info[:]
        onnx.checker.check_model(model, full_check=True)
        return model


# The networks. Each function appends to a Net and returns the names of its outputs.


def plain(n):
    n.opset = 12
    x = n.relu(n.batch_norm(n.conv(n.input(1, 3, 20, 20), 8, 5, 2, bias=False)))
    x = n.op("MaxPool", n.relu(n.conv(x, 16)), kernel_shape=[2, 2], strides=[2, 2])
    return [n.gemm(n.op("Flatten", n.relu(n.conv(x, 8)), axis=1), 8 * 25, 6)]


def mobilenet(n):
    n.opset = 13
    x = n.relu6(n.batch_norm(n.conv(n.input(1, 3, 24, 24), 8, 3, 2, bias=False)))
    for cout, stride in [(8, 1), (12, 2), (12, 1)]:
        cin = n.channels[x]
        y = n.relu6(n.conv(x, 3 * cin, 1))
        y = n.relu6(n.conv(y, 3 * cin, 3, stride, group="depthwise"))
        y = n.conv(y, cout, 1)
        x = n.op("Add", x, y) if stride == 1 and cin == cout else y
    return [n.classifier(x, 8)]


def squeeze_excite(n):
    x = n.op("HardSwish", n.conv(n.input(1, 3, 24, 24), 8, 3, 2))
    for act in [n.silu, lambda x: n.op("HardSwish", x)]:
        y = act(n.conv(x, 16, 1))
        y = act(n.conv(y, 16, 3, group="depthwise"))
        s = n.relu(n.conv(n.op("GlobalAveragePool", y), 4, 1))
        y = n.op("Mul", y, n.op("HardSigmoid", n.conv(s, 16, 1), alpha=1 / 6, beta=0.5))
        x = n.op("Add", x, n.conv(y, 8, 1))
    return [n.classifier(n.silu(n.conv(x, 16, 1)), 8)]


def densenet(n):
    x = n.relu(n.conv(n.input(1, 3, 21, 21), 8, 3, 2))
    for _ in range(2):
        for _ in range(2):
            x = n.op("Concat", x, n.relu(n.conv(n.relu(n.conv(x, 8, 1)), 4)), axis=1, channels=n.channels[x] + 4)
        x = n.op("AveragePool", n.relu(n.conv(x, 12, 1)), kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    x = n.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    x = n.op("AveragePool", n.relu(n.conv(x, 12, 1)), kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1)
    return [n.classifier(n.relu(n.conv(x, 12, 1)), 8)]


def unet(n):
    a = n.relu(n.conv(n.input(1, 1, 16, 16), 6))
    b = n.relu(n.conv(n.op("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2]), 8))
    c = n.relu(n.conv(n.op("MaxPool", b, kernel_shape=[2, 2], strides=[2, 2]), 12))
    scales = n.const([1, 1, 2, 2])
    up = n.op("Resize", c, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")
    x = n.relu(n.conv(n.op("Concat", up, b, axis=1, channels=20), 8))
    x = n.op("Concat", n.relu(n.conv_transpose(x, 6)), a, axis=1, channels=12)
    x = n.relu(n.conv(x, 6))
    x = n.op("Resize", x, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    return [n.op("Sigmoid", n.conv(n.relu(n.conv(x, 4, 1)), 1, 1))]


def espcn(n):
    x = n.relu(n.conv(n.input(1, 1, 12, 12), 12, 5))
    x = n.relu(n.conv(n.relu(n.conv(x, 12)), 12))
    return [n.op("DepthToSpace", n.conv(x, 9), blocksize=3, mode="CRD")]


def detector(n):
    leaky = lambda x: n.op("LeakyRelu", x, alpha=0.1)
    x = leaky(n.conv(leaky(n.conv(n.input(1, 3, 32, 32), 8, 3, 2)), 12, 3, 2))
    far = leaky(n.conv(x, 16, 3, 2))
    up = n.op("Resize", far, "", n.const([1, 1, 2, 2]), mode="nearest", coordinate_transformation_mode="asymmetric",
              nearest_mode="floor")
    near = leaky(n.conv(n.op("Concat", x, up, axis=1, channels=28), 12, 1))
    boxes, scores = [], []
    for level in (near, far):
        for head, count in ((boxes, 4), (scores, 3)):
            y = n.op("Transpose", n.conv(level, count, 1), perm=[0, 2, 3, 1])
            head.append(n.op("Reshape", y, n.ints(1, -1, count)))
    return [n.op("Concat", *boxes, axis=1), n.op("Sigmoid", n.op("Concat", *scores, axis=1))]


def mlp(n):
    n.opset = 15
    x = n.relu(n.gemm(n.input(1, 40), 40, 32))
    x = n.op("Tanh", n.product(x, 32, 24))
    x = n.op("Add", n.relu(n.product(x, 24, 24)), x)
    return [n.op("Softmax", n.gemm(x, 24, 10), axis=-1)]


def transformer(n):
    x, width, heads, length = n.product(n.input(1, 10, 12), 12, 16), 16, 2, 10
    x = n.op("Add", x, n.const(n.random.normal(0, 0.3, (1, length, width))))
    split = n.ints(1, length, heads, width // heads)
    y = n.layer_norm(x, width)
    q, k, v = (n.op("Reshape", n.product(y, width, width), split) for _ in range(3))
    q, v = (n.op("Transpose", part, perm=[0, 2, 1, 3]) for part in (q, v))
    scores = n.op("MatMul", q, n.op("Transpose", k, perm=[0, 2, 3, 1]))
    share = n.op("Softmax", n.op("Mul", scores, n.const((width // heads) ** -0.5)), axis=-1)
    y = n.op("Transpose", n.op("MatMul", share, v), perm=[0, 2, 1, 3])
    x = n.op("Add", x, n.product(n.op("Reshape", y, n.ints(1, length, width)), width, width))
    y = n.product(n.layer_norm(x, width), width, 32)
    y = n.op("Mul", n.op("Mul", y, n.const(0.5)), n.op("Add", n.op("Erf", n.op("Div", y, n.const(2**0.5))), n.const(1.0)))
    x = n.op("Add", x, n.product(y, 32, width))
    x = n.op("ReduceMean", n.layer_norm(x, width), axes=[1], keepdims=0)
    return [n.gemm(x, width, 6)]


def keyword(n):
    x = n.relu(n.conv(n.input(1, 10, 49), 16, 5, 2, rank=1))
    for dilation in (1, 2):
        y = n.relu(n.conv(x, 16, 3, group="depthwise", dilation=dilation, rank=1))
        x = n.op("Add", x, n.relu(n.conv(y, 16, 1, rank=1)))
    x = n.op("GlobalAveragePool", x)
    return [n.op("Softmax", n.gemm(n.op("Flatten", x, axis=1), 16, 12), axis=-1)]


def recurrent(n):
    """Sound again, by convolutions and then by an LSTM and a GRU, which stay in floats."""
    x = n.relu(n.conv(n.input(1, 8, 24), 12, 3, 2, rank=1))
    # [batch, channels, time] to [time, batch, channels].
    x = n.op("Transpose", x, perm=[2, 0, 1])
    for kind, gates, cin, hidden in (("LSTM", 4, 12, 8), ("GRU", 3, 8, 8)):
        w, r = (n.const(n.random.normal(0, size**-0.5, (1, gates * hidden, size))) for size in (cin, hidden))
        b = n.const(n.random.normal(0, 0.1, (1, 2 * gates * hidden)))
        more = {"linear_before_reset": 1} if kind == "GRU" else {}
        y = n.op(kind, x, w, r, b, hidden_size=hidden, outputs=2, **more)[0]
        x = n.op("Squeeze", y, n.ints(1))
    return [n.product(x, 8, 6)]


def grouped(n):
    slope = lambda c: n.const(n.random.uniform(0.05, 0.4, (c, 1, 1)))
    x = n.op("PRelu", n.conv(n.input(1, 4, 18, 22), 8, 4, 2, auto_pad="SAME_UPPER"), slope(8))
    y = n.op("PRelu", n.conv(x, 16, 3, group=4), slope(16))
    y = n.op("LeakyRelu", n.conv(y, 16, 3, group=2, dilation=2), alpha=0.2)
    a, b = n.op("Split", y, n.ints(8, 8), axis=1, outputs=2, channels=8)
    x = n.op("Add", n.op("Add", a, x), n.conv(b, 8, 1))
    return [n.op("Tanh", n.conv(n.op("Elu", x), 4, 3, dilation=3))]


def residual(n):
    x = n.relu(n.conv(n.input(1, 3, 20, 20), 8, 3, 2))
    for cout, stride in ((8, 1), (12, 2)):
        y = n.batch_norm(n.conv(n.relu(n.conv(x, cout, 3, stride)), cout, bias=False))
        skip = x if stride == 1 else n.conv(x, cout, 1, stride)
        x = n.relu(n.op("Add", y, skip))
    return [n.classifier(x, 8)]


def autoencoder(n):
    x = n.conv(n.input(1, 1, 16, 16), 8, 3, 2)
    x = n.op("Softplus", n.conv(n.op("Elu", x), 6, 3, 2))
    x = n.op("Gelu", n.conv_transpose(x, 8, 4, 2, 1), approximate="tanh")
    n.opset = 21
    return [n.conv(n.op("Mish", n.conv_transpose(x, 6, 3, 2, 1)), 1, 2)]


def text(n):
    """Numbers of words, looked up in a table; the last of them is what is asked."""
    words, width = n.input(12, kind=TensorProto.INT64), 24
    table = n.const(n.random.normal(0, 1, (100, width)) * np.exp(n.random.normal(0, 0.5, (100, 1))))
    x = n.op("Gather", table, words)
    y = n.product(n.layer_norm(x, width), width, width)
    x = n.op("Add", x, n.op("Tanh", y))
    return [n.gemm(x, width, 10)]


NETWORKS = [plain, mobilenet, squeeze_excite, densenet, unet, espcn, detector, mlp, transformer, keyword, recurrent, grouped,
            residual, autoencoder, text]


def floats(names):
    for build in NETWORKS:
        if not names or build.__name__ in names:
            net = Net(build.__name__)
            outputs = build(net)
            model = net.model(outputs)
            onnx.save(model, HERE / f"{net.name}.onnx")
            print(f"{net.name}: {(HERE / f'{net.name}.onnx').stat().st_size} bytes")


def by_onnxruntime(path, inputs, floats=False):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One thread and no warnings that initializers are not used.
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [np.stack(one) for one in zip(*(session.run(None, {"input": x}) for x in inputs))]


def by_openvino(path, inputs):
    import openvino

    core = openvino.Core()
    # Everything that is no integer in f32: it takes bf16 where the CPU has that.
    model = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    outputs = [model({0: x}) for x in inputs]
    return [np.stack([one[index] for one in outputs]) for index in range(len(model.outputs))]


def decibels(found, expected):
    noise = np.sum((found.astype(np.float64) - expected) ** 2)
    return np.inf if noise == 0 else 10 * np.log10(np.sum(expected.astype(np.float64) ** 2) / noise)


def difference(found, expected):
    """Largest, as a part of the largest value, and the share of the values that differ."""
    assert found.shape == expected.shape, (found.shape, expected.shape)
    apart = np.abs(found.astype(np.float64) - expected)
    return apart.max() / np.abs(expected).max(), np.mean(apart != 0)


def check(folder, store):
    """Of all networks in a folder, as the test wrote them. An error of a runtime ends it."""
    print("| network | operators | largest difference | differing | signal to noise | OpenVINO |")
    print("|---|---|---|---|---|---|")
    sums = []
    for case in sorted(folder.iterdir()):
        path = case / "quantized.onnx"
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        inputs = np.load(case / "inputs.npy")
        floats, outputs = (by_onnxruntime(case / name, inputs) for name in ("floats.onnx", "quantized.onnx"))
        others = None if case.name in NOT_BY_OPENVINO else by_openvino(path, inputs)
        left_out = ("QuantizeLinear", "DequantizeLinear", "Reshape", "Flatten", "Transpose", "Squeeze")
        kinds = sorted({node.op_type for node in model.graph.node} - set(left_out))
        for index, output in enumerate(outputs):
            part, share = difference(np.load(case / f"engine.{index}.npy"), output)
            np.save(case / f"onnxruntime.{index}.npy", output)
            equal = "0" if part == 0 else f"{part:.0e}"
            row = [f"`{case.name}`" + (f", output {index}" if index else ""), "" if index else ", ".join(kinds), equal,
                   f"{100 * share:.0f} %", f"{decibels(output, floats[index]):.1f} dB"]
            if others:
                noise = decibels(others[index], output)
                row.append("equal" if np.isinf(noise) else f"{noise:.0f} dB")
                # Layers that it computes in floats, and bytes that are another one for it; not another network.
                assert noise > 25 or not has_vnni(), f"{case.name}: OpenVINO's outputs are {noise:.1f} dB from ONNX Runtime's"
            else:
                row.append("not read")
            print("| " + " | ".join(row) + " |")
            if store:
                np.save(HERE / "answers" / f"{case.name}.{index}.npy", output[:STORED])
        sums.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {case.name}.onnx\n")
    if store:
        (HERE / "SHA256SUMS").write_text("".join(sums))


def has_vnni():
    return "vnni" in Path("/proc/cpuinfo").read_text()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["floats", *names]:
            floats(names)
        case ["check" | "goldens" as what, folder]:
            check(Path(folder), what == "goldens")
        case _:
            sys.exit(__doc__)
