"""INT8 for superres-x3: activations u8 per tensor, weights i8 per channel, biases i32, as QDQ ONNX of standard ops.

Every zero point is 0: after ReLU nothing is negative, and weights are symmetric. Input and output are bytes at 1/255.
"""

import copy

import numpy as np
import torch
import torch.nn.functional as F
from onnx import TensorProto, checker, helper, numpy_helper

PIXEL = 1 / 255


@torch.no_grad()
def calibrate(net, low):
    """On the patches `low`: a copy of the network, its biases corrected for INT8, and its hidden activations' scales.

    Rounding shifts each channel a little on average; the bias takes that back (Nagel et al. 2019).
    """
    net = copy.deepcopy(net)
    exact, seen, scales = low, low, []
    for conv in convolutions(net):
        wanted = conv(exact)
        conv.bias -= (convolved(conv, seen) - wanted).mean((0, 2, 3))
        exact = F.relu(wanted)
        scales.append(least_error(exact))
        seen = rounded(convolved(conv, seen), scales[-1])
    return net, scales[:-1]


def least_error(values):
    """Below the largest value: clipping a few peaks costs less than rounding everything coarsely."""
    candidates = [float(values.max()) * share / 255 for share in np.linspace(0.3, 1.0, 71)]
    return min(candidates, key=lambda scale: float(((rounded(values, scale) - values) ** 2).mean()))


def convolved(conv, values):
    return F.conv2d(values, weight_levels(conv) * weight_scale(conv), conv.bias, padding=conv.padding)


def rounded(values, scale):
    return (values / scale).round().clamp(0, 255) * scale


def weight_scale(conv):
    return conv.weight.detach().abs().amax((1, 2, 3), keepdim=True) / 127


def weight_levels(conv):
    """Weights in -127..127, rounded so that each kernel's sum is kept: even areas then keep their brightness.

    Where the nearest levels add up wrongly, those weights that lie nearest to the other side are rounded there.
    """
    kernels = (conv.weight.detach() / weight_scale(conv)).flatten(2)
    levels = kernels.round()
    left = kernels - levels
    missing = left.sum(2, keepdim=True).round()
    levels += (rank(-left) < missing).float() - (rank(left) < -missing).float()
    return levels.clamp(-127, 127).view_as(conv.weight)


def rank(values):
    """Each value's place in its row, the smallest first."""
    return values.argsort(2).argsort(2)


def convolutions(net):
    return [layer for layer in net if isinstance(layer, torch.nn.Conv2d)]


def to_onnx(net, scales, name):
    """u8 [1, 1, H, W] to u8 [1, 1, 3H, 3W], any H and W."""
    graph = Graph()
    pixel = graph.rounding("pixel", PIXEL, np.uint8(0))
    activation, scale = graph.dequantized("luma", pixel), PIXEL
    convs = convolutions(net)
    for n, (conv, next_scale) in enumerate(zip(convs, scales), 1):
        relu = graph.node("Relu", [graph.convolved(f"conv{n}", conv, activation, scale)], f"relu{n}")
        activation, scale = graph.rounded(relu, next_scale), next_scale
    channels = graph.rounded(graph.convolved(f"conv{len(convs)}", convs[-1], activation, scale), PIXEL)
    shuffled = graph.node("DepthToSpace", [channels], "shuffled", blocksize=3, mode="CRD")
    graph.quantized(shuffled, pixel, to="enlarged")

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            name,
            [helper.make_tensor_value_info("luma", TensorProto.UINT8, [1, 1, "height", "width"])],
            [helper.make_tensor_value_info("enlarged", TensorProto.UINT8, [1, 1, "3*height", "3*width"])],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name="lineside",
    )
    checker.check_model(model, full_check=True)
    return model


class Graph:
    """Nodes and initializers as they are added; each method returns the name of the tensor that it made."""

    def __init__(self):
        self.nodes, self.initializers = [], []

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{output}_{op}", **attributes))
        return output

    def constant(self, name, array):
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def quantized(self, tensor, rounding, to):
        return self.node("QuantizeLinear", [tensor, *rounding], to)

    def dequantized(self, tensor, rounding, **attributes):
        return self.node("DequantizeLinear", [tensor, *rounding], f"{tensor}_dequantized", **attributes)

    def rounding(self, name, scales, zeros):
        return self.constant(f"{name}_scale", np.float32(scales)), self.constant(f"{name}_zero", zeros)

    def rounded(self, tensor, scale):
        rounding = self.rounding(tensor, scale, np.uint8(0))
        return self.dequantized(self.quantized(tensor, rounding, to=f"{tensor}_quantized"), rounding)

    def convolved(self, name, conv, activation, scale):
        weight, scales = weight_levels(conv).numpy().astype(np.int8), weight_scale(conv).numpy().reshape(-1)
        bias_scales = np.float32(scale) * scales
        bias = np.rint(conv.bias.detach().numpy().astype(np.float64) / bias_scales).astype(np.int32)
        inputs = [
            activation,
            self.per_channel(f"{name}_weight", weight, scales),
            self.per_channel(f"{name}_bias", bias, bias_scales),
        ]
        kernel, pad = list(conv.kernel_size), conv.padding[0]
        return self.node("Conv", inputs, name, kernel_shape=kernel, pads=[pad] * 4)

    def per_channel(self, name, values, scales):
        rounding = self.rounding(name, scales, np.zeros(len(scales), values.dtype))
        return self.dequantized(self.constant(f"{name}_quantized", np.ascontiguousarray(values)), rounding, axis=0)
