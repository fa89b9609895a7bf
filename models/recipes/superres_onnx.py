"""A rounded network as QDQ ONNX of standard operators: u8 [1, 1, H, W] to u8 [1, 1, scale·H, scale·W], any H and W."""

import numpy as np
import onnx
from onnx import TensorProto, checker, helper, numpy_helper

from superres_network import PIXEL
from superres_quantize import LEAST, weight_levels, weight_step


def to_onnx(integers, name):
    scale = integers.scale
    graph = Graph()
    pixel = graph.rounding("pixel", PIXEL, np.uint8(0))
    luma = activation = graph.dequantized("luma", pixel)
    given = PIXEL
    for n, (weight, bias, log) in enumerate(zip(integers.weights, integers.biases, integers.steps), 1):
        step = float(log.exp())
        conv = graph.node("Relu", [graph.trained(f"conv{n}", activation, given, weight, bias)], f"relu{n}")
        activation, given = graph.rounded(conv, step), step
    last = graph.trained(f"conv{n + 1}", activation, given, integers.weights[-1], integers.biases[-1])
    difference = graph.rounded(last, PIXEL, zero=-LEAST)
    # The pixel once for each of the enlarged ones.
    copies = scale**2
    anchor = graph.convolved("anchor", luma, PIXEL, np.ones((copies, 1, 1, 1)), np.ones(copies), np.zeros(copies))
    total = graph.rounded(graph.node("Add", [difference, graph.rounded(anchor, PIXEL)], "sum"), PIXEL)
    shuffled = graph.node("DepthToSpace", [total], "shuffled", blocksize=scale, mode="CRD")
    graph.quantized(shuffled, pixel, to="enlarged")

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            name,
            [helper.make_tensor_value_info("luma", TensorProto.UINT8, [1, 1, "height", "width"])],
            [helper.make_tensor_value_info("enlarged", TensorProto.UINT8, [1, 1, f"{scale}*height", f"{scale}*width"])],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name="lineside",
    )
    checker.check_model(model, full_check=True)
    return model


def kernels_and_biases(model):
    """Of a network that `to_onnx` wrote, in bytes: (float32 kernel, bias) of each convolution but the anchor."""
    held = {constant.name: numpy_helper.to_array(constant) for constant in onnx.load_from_string(model).graph.initializer}

    def floats(name):
        levels, steps = held[f"{name}_quantized"], held[f"{name}_scale"]
        return levels.astype(np.float32) * steps.reshape(-1, *[1] * (levels.ndim - 1))

    n = 1
    while f"conv{n}_weight_quantized" in held:
        yield floats(f"conv{n}_weight"), floats(f"conv{n}_bias")
        n += 1


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

    def rounding(self, name, steps, zeros):
        return self.constant(f"{name}_scale", np.float32(steps)), self.constant(f"{name}_zero", zeros)

    def rounded(self, tensor, step, zero=0):
        rounding = self.rounding(tensor, step, np.uint8(zero))
        return self.dequantized(self.quantized(tensor, rounding, to=f"{tensor}_quantized"), rounding)

    def trained(self, name, activation, given, weight, bias):
        """A convolution of the network; `given` is the activation's step."""
        steps = weight_step(weight).numpy().reshape(-1)
        return self.convolved(name, activation, given, weight_levels(weight).numpy(), steps, bias.detach().numpy())

    def convolved(self, name, activation, given, levels, steps, bias):
        bias_steps = np.float32(given) * np.float32(steps)
        bias_levels = np.rint(bias.astype(np.float64) / bias_steps).astype(np.int32)
        inputs = [
            activation,
            self.per_channel(f"{name}_weight", levels.astype(np.int8), steps),
            self.per_channel(f"{name}_bias", bias_levels, bias_steps),
        ]
        kernel = list(levels.shape[2:])
        return self.node("Conv", inputs, name, kernel_shape=kernel, pads=[kernel[0] // 2] * 4)

    def per_channel(self, name, levels, steps):
        rounding = self.rounding(name, steps, np.zeros(len(steps), levels.dtype))
        return self.dequantized(self.constant(f"{name}_quantized", np.ascontiguousarray(levels)), rounding, axis=0)
