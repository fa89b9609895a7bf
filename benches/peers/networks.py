"""The measured networks: random weights of He scale from fixed seeds, as fp32 ONNX. Good for timing only.

Layouts follow the published ones, batch normalisation folded. Every padding is symmetric, as PyTorch exports it.
"""

import math

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, shape_inference


def espcn(net):
    """ESPCN x3 of one luma plane (Shi et al. 2016, with ReLU), the widths of super-resolution on small boards."""
    x = net.input(1, 240, 320)
    x = net.relu(net.conv(x, 64, 5))
    x = net.relu(net.conv(x, 32, 3))
    return net.depth_to_space(net.conv(x, 9, 3), 3)


def mobilenet_v2(net):
    """MobileNetV2, width 1.0 (Sandler et al. 2018)."""
    x = net.relu6(net.conv(net.input(3, 224, 224), 32, 3, stride=2))
    for expand, channels, repeats, stride in [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]:
        x = net.inverted_residuals(x, 3, expand, channels, repeats, stride)
    return net.classifier(net.relu6(net.conv(x, 1280, 1)), 1000)


def efficientnet_lite0(net):
    """EfficientNet-Lite0: B0 without squeeze-and-excite, with ReLU6 (Liu 2020, after Tan and Le 2019)."""
    x = net.relu6(net.conv(net.input(3, 224, 224), 32, 3, stride=2))
    for kernel, expand, channels, repeats, stride in [
        (3, 1, 16, 1, 1), (3, 6, 24, 2, 2), (5, 6, 40, 2, 2), (3, 6, 80, 3, 2), (5, 6, 112, 3, 1), (5, 6, 192, 4, 2),
        (3, 6, 320, 1, 1),
    ]:
        x = net.inverted_residuals(x, kernel, expand, channels, repeats, stride)
    return net.classifier(net.relu6(net.conv(x, 1280, 1)), 1000)


def resnet18_stem(net):
    """ResNet-18 up to its third stage (He et al. 2016): the backbone of patch-based anomaly detection."""
    x = net.max_pool(net.relu(net.conv(net.input(3, 224, 224), 64, 7, stride=2)), 3, 2)
    for channels, stride in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1)]:
        y = net.relu(net.conv(x, channels, 3, stride=stride))
        y = net.conv(y, channels, 3, gain=0.5)
        if stride > 1:
            x = net.conv(x, channels, 1, stride=stride, gain=0.5)
        x = net.relu(net.add(x, y))
    return x


def autoencoder(net):
    """Strided encoder, decoder of nearest x2 and 3x3 convolutions: reconstruction for anomaly detection."""
    x = net.input(3, 256, 256)
    for channels in (32, 64, 128):
        x = net.relu(net.conv(x, channels, 3, stride=2))
    for channels in (112, 32):
        x = net.relu(net.conv(net.double(x), channels, 3))
    return net.sigmoid(net.conv(net.double(x), 3, 3, gain=0.5))


NETWORKS = {n.__name__: n for n in (espcn, mobilenet_v2, efficientnet_lite0, resnet18_stem, autoencoder)}


def build(name):
    """The network as an ONNX model, and its multiply-accumulates: those of convolutions and matrix products."""
    net = Net(seed=sum(name.encode()))
    output = NETWORKS[name](net)
    return net.model(name, output), net.macs


class Net:
    """Adds nodes one after another; knows every value's shape [C, H, W]."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights, self.shapes, self.macs = [], [], {}, 0

    def input(self, *shape):
        self.shapes["input"] = shape
        return "input"

    def conv(self, x, channels, kernel, stride=1, groups=1, gain=2.0):
        inner = self.shapes[x][0] // groups
        sides = [math.ceil(side / stride) for side in self.shapes[x][1:]]
        weight = self.constant((channels, inner, kernel, kernel), gain / (inner * kernel * kernel))
        bias = self.constant((channels,), 0.01)
        self.macs += channels * inner * kernel * kernel * sides[0] * sides[1]
        return self.node(
            "Conv", [x, weight, bias], (channels, *sides), kernel_shape=[kernel] * 2, strides=[stride] * 2,
            pads=[kernel // 2] * 4, group=groups,
        )

    def inverted_residuals(self, x, kernel, expand, channels, repeats, stride):
        for repeat in range(repeats):
            inner, y = self.shapes[x][0], x
            if expand > 1:
                y = self.relu6(self.conv(y, inner * expand, 1))
            width = self.shapes[y][0]
            y = self.relu6(self.conv(y, width, kernel, stride=1 if repeat else stride, groups=width))
            y = self.conv(y, channels, 1, gain=1.0)
            x = self.add(x, y) if repeat else y
        return x

    def classifier(self, x, classes):
        width = self.shapes[x][0]
        x = self.node("GlobalAveragePool", [x], (width, 1, 1))
        x = self.node("Flatten", [x], (width,), axis=1)
        self.macs += width * classes
        weights = [self.constant((classes, width), 1.0 / width), self.constant((classes,), 0.01)]
        return self.node("Gemm", [x, *weights], (classes,), transB=1)

    def relu(self, x):
        return self.node("Relu", [x], self.shapes[x])

    def relu6(self, x):
        limits = [self.keep(np.float32(limit)) for limit in (0, 6)]
        return self.node("Clip", [x, *limits], self.shapes[x])

    def sigmoid(self, x):
        return self.node("Sigmoid", [x], self.shapes[x])

    def add(self, x, y):
        return self.node("Add", [x, y], self.shapes[x])

    def max_pool(self, x, kernel, stride):
        channels, *sides = self.shapes[x]
        shape = (channels, *[math.ceil(side / stride) for side in sides])
        return self.node(
            "MaxPool", [x], shape, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4
        )

    def double(self, x):
        channels, height, width = self.shapes[x]
        scales = self.keep(np.float32([1, 1, 2, 2]))
        return self.node(
            "Resize", [x, "", scales], (channels, 2 * height, 2 * width), mode="nearest",
            coordinate_transformation_mode="asymmetric", nearest_mode="floor",
        )

    def depth_to_space(self, x, block):
        channels, height, width = self.shapes[x]
        return self.node("DepthToSpace", [x], (channels // block**2, block * height, block * width), blocksize=block)

    def constant(self, shape, variance):
        return self.keep(self.random.normal(0, math.sqrt(variance), shape).astype(np.float32))

    def keep(self, values):
        name = f"constant{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind, inputs, shape, **attributes):
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        self.shapes[output] = shape
        return output

    def model(self, name, output):
        ends = [
            helper.make_tensor_value_info(end, TensorProto.FLOAT, [1, *self.shapes[end]]) for end in ("input", output)
        ]
        graph = helper.make_graph(self.nodes, name, ends[:1], ends[1:], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        checker.check_model(model, full_check=True)
        return shape_inference.infer_shapes(model)
