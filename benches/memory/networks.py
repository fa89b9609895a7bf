"""Four networks that look at one frame after the other, in INT8: python networks.py FOLDER [NAME…]

Layouts and sizes follow the published ones, batch normalisation folded; weights are random, of He scale, from fixed seeds: good for
memory and time, not for results. `quantize_static` of ONNX Runtime (MinMax, one scale a channel) makes them INT8. Needs the packages of
../peers/requirements.txt. Then, for example,

    cargo build --release --workspace --example memory
    target/release/examples/memory FOLDER/*.onnx
"""

import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static


class Net:
    """Adds nodes one after another; knows the channels of every picture."""

    def __init__(self, name):
        self.name, self.random = name, np.random.default_rng(sum(name.encode()))
        self.nodes, self.constants, self.channels = [], [], {}

    def input(self, *shape):
        self.shape, self.channels["input"] = shape, shape[1]
        return "input"

    def constant(self, values, kind=np.float32):
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def normal(self, shape, deviation):
        return self.constant(self.random.normal(0, deviation, shape))

    def op(self, kind, *inputs, channels=None, **attributes):
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        self.channels[name] = channels or self.channels.get(inputs[0])
        return name

    def conv(self, x, outputs, kernel, stride=1, gain=1.0, group=1):
        inputs = self.channels[x] // group
        w = self.normal([outputs, inputs, kernel, kernel], gain * (2 / (inputs * kernel**2)) ** 0.5)
        attributes = {"strides": [stride] * 2, "pads": [(kernel - 1) // 2] * 4, "group": group}
        return self.op("Conv", x, w, self.normal([outputs], 0.1), channels=outputs, **attributes)

    def grow(self, x, outputs, factor):
        """A transposed convolution without overlap."""
        inputs = self.channels[x]
        w = self.normal([inputs, outputs, factor, factor], (2 / inputs) ** 0.5)
        return self.op("ConvTranspose", x, w, self.normal([outputs], 0.1), channels=outputs, strides=[factor] * 2)

    def relu(self, x):
        return self.op("Relu", x)

    def prelu(self, x):
        return self.op("PRelu", x, self.constant(self.random.uniform(0.1, 0.3, [self.channels[x], 1, 1])))

    def resize(self, x, factor, mode):
        scales = self.constant([1, 1, factor, factor])
        how = {"nearest": "asymmetric", "linear": "half_pixel"}[mode]
        extra = {"nearest_mode": "floor"} if mode == "nearest" else {}
        return self.op("Resize", x, "", scales, mode=mode, coordinate_transformation_mode=how, **extra)

    def reshape(self, x, shape, **channels):
        return self.op("Reshape", x, self.constant(shape, np.int64), **channels)

    def dense(self, x, inputs, outputs, gain=1.0):
        product = self.op("MatMul", x, self.normal([inputs, outputs], gain / inputs**0.5))
        return self.op("Add", product, self.normal([outputs], 0.05))

    def norm(self, x, width):
        return self.op("LayerNormalization", x, self.constant(np.ones(width)), self.normal([width], 0.05), epsilon=1e-6)

    def gelu(self, x):
        error = self.op("Erf", self.op("Div", x, self.constant(2**0.5)))
        return self.op("Mul", self.op("Mul", x, self.op("Add", error, self.constant(1.0))), self.constant(0.5))

    def transformer(self, x, tokens, width, heads):
        """A block that normalises first: attention, then two dense layers of four times the width."""
        y = self.norm(x, width)
        part = lambda: self.reshape(self.dense(y, width, width), [1, tokens, heads, width // heads])
        q, k, v = (self.op("Transpose", part(), perm=perm) for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
        scores = self.op("Mul", self.op("MatMul", q, k), self.constant((width // heads) ** -0.5))
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), v)
        joined = self.reshape(self.op("Transpose", mixed, perm=[0, 2, 1, 3]), [1, tokens, width])
        x = self.op("Add", x, self.dense(joined, width, width, 0.5))
        y = self.gelu(self.dense(self.norm(x, width), width, 4 * width))
        return self.op("Add", x, self.dense(y, 4 * width, width, 0.5))

    def model(self, output):
        value = helper.make_tensor_value_info
        ends = [value("input", TensorProto.FLOAT, self.shape)], [value(output, TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, self.name, *ends, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def face(net):
    """ResNet-50 of face recognition (Deng et al. 2019): PReLU, 112×112 pixels to a vector of 512."""
    x = net.prelu(net.conv(net.input(1, 3, 112, 112), 64, 3))
    for channels, blocks in ((64, 3), (128, 4), (256, 14), (512, 3)):
        for block in range(blocks):
            stride = 2 if block == 0 else 1
            y = net.prelu(net.conv(x, channels, 3))
            y = net.conv(y, channels, 3, stride, 0.4)
            if block == 0:
                x = net.conv(x, channels, 1, stride, 0.7)
            x = net.op("Add", x, y)
    x = net.op("Flatten", x, axis=1)
    return net.op("Gemm", x, net.normal([512, 512 * 49], 0.005), net.normal([512], 0.1), transB=1)


def depth(net):
    """Depth of one picture: ViT-S/14 with a DPT head (Ranftl et al. 2021; Yang et al. 2024), 252×252 pixels."""
    side, width = 18, 384
    x = net.input(1, 3, 252, 252)
    w = net.normal([width, 3, 14, 14], (2 / 588) ** 0.5)
    x = net.op("Conv", x, w, net.normal([width], 0.1), channels=width, strides=[14, 14])
    x = net.op("Transpose", net.reshape(x, [1, width, side**2]), perm=[0, 2, 1])
    x = net.op("Concat", net.normal([1, 1, width], 0.5), x, axis=1)
    x = net.op("Add", x, net.normal([1, side**2 + 1, width], 0.2))
    taken = []
    for block in range(12):
        x = net.transformer(x, side**2 + 1, width, 6)
        if block % 3 == 2:
            ends = [net.constant([number], np.int64) for number in (1, side**2 + 1, 1)]
            y = net.op("Transpose", net.op("Slice", net.norm(x, width), *ends), perm=[0, 2, 1])
            taken.append(net.reshape(y, [1, width, side, side], channels=width))
    parts = [net.conv(y, channels, 1) for y, channels in zip(taken, (48, 96, 192, 384))]
    parts = [net.grow(parts[0], 48, 4), net.grow(parts[1], 96, 2), parts[2], net.conv(parts[3], 384, 3, 2)]
    parts = [net.conv(part, 64, 3) for part in parts]

    def refined(x):
        return net.op("Add", x, net.conv(net.relu(net.conv(net.relu(x), 64, 3)), 64, 3, gain=0.5))

    y = refined(parts[3])
    for part in (*reversed(parts[:3]), None):
        y = net.conv(net.resize(y, 2, "linear"), 64, 1)
        if part is not None:
            y = refined(net.op("Add", y, refined(part)))
    y = net.conv(y, 32, 3)
    y = net.resize(y, 252 / 144, "linear")
    return net.relu(net.conv(net.relu(net.conv(y, 32, 3)), 1, 1))


def text_detection(net):
    """DBNet on ResNet-18 (Liao et al. 2020), 640×480 pixels."""
    x = net.op("MaxPool", net.relu(net.conv(net.input(1, 3, 480, 640), 64, 7, 2)), kernel_shape=[3, 3], strides=[2, 2],
               pads=[1] * 4)
    stages = []
    for channels in (64, 128, 256, 512):
        for block in range(2):
            stride = 2 if block == 0 and channels > 64 else 1
            y = net.conv(net.relu(net.conv(x, channels, 3, stride)), channels, 3, gain=0.5)
            if stride == 2:
                x = net.conv(x, channels, 1, 2)
            x = net.relu(net.op("Add", x, y))
        stages.append(x)
    levels = [net.conv(stage, 256, 1) for stage in stages]
    for i in (2, 1, 0):
        levels[i] = net.op("Add", levels[i], net.resize(levels[i + 1], 2, "nearest"))
    levels = [net.conv(level, 64, 3) for level in levels]
    levels = [level if i == 0 else net.resize(level, 2**i, "nearest") for i, level in enumerate(levels)]
    x = net.relu(net.conv(net.op("Concat", *levels[::-1], axis=1, channels=256), 64, 3))
    return net.op("Sigmoid", net.grow(net.relu(net.grow(x, 64, 2)), 1, 2))


def text_recognition(net):
    """A recogniser of text lines: convolutions, then transformer blocks over columns (Du et al. 2022), 32×320 pixels."""
    x = net.input(1, 3, 32, 320)
    for channels, stride in ((64, 2), (128, 2), (256, 1)):
        x = net.relu(net.conv(x, channels, 3, stride))
    x = net.op("AveragePool", x, kernel_shape=[8, 1], strides=[8, 1])
    x = net.op("Transpose", net.reshape(net.conv(x, 384, 1), [1, 384, 80]), perm=[0, 2, 1])
    x = net.op("Add", x, net.normal([1, 80, 384], 0.2))
    for _ in range(4):
        x = net.transformer(x, 80, 384, 6)
    return net.op("Softmax", net.dense(net.norm(x, 384), 384, 6625), axis=-1)


NETWORKS = {network.__name__: network for network in (face, depth, text_detection, text_recognition)}


class Pictures(CalibrationDataReader):
    def __init__(self, shape):
        random = np.random.default_rng(1)
        self.left = [{"input": random.uniform(-1, 1, shape).astype(np.float32)} for _ in range(2)]

    def get_next(self):
        return self.left.pop() if self.left else None


def main():
    logging.getLogger().setLevel(logging.ERROR)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or NETWORKS:
        net = Net(name)
        model = net.model(NETWORKS[name](net))
        with tempfile.TemporaryDirectory() as temporary:
            floats = Path(temporary) / "model.onnx"
            onnx.save(model, floats)
            quantize_static(
                floats, folder / f"{name}.onnx", Pictures(net.shape), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, extra_options={"WeightSymmetric": True},
            )
            sizes = floats.stat().st_size, (folder / f"{name}.onnx").stat().st_size
        print(f"{name}: {sizes[0] / 2**20:.1f} MiB, in INT8 {sizes[1] / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
