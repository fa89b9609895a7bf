"""Makes this bundle: `python make.py` in this folder, with onnx 1.19.1. Random filters that recognise nothing, with the outputs of a
backbone: planes of bytes at a sixteenth and at a 32nd of the frame. Small, so that a test can teach with it on an emulated CPU."""

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(0)
nodes, constants = [], []


def constant(name, values, dtype):
    constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
    return name


def convolution(name, source, channels, size, stride, pad, zero_point):
    """Bytes to bytes; negative sums become 0, and twice their standard deviation 255 or so."""
    count = channels[0] * size * size
    weight = np.clip(np.round(random.normal(0, 40, (channels[1], channels[0], size, size))), -127, 127)
    weight -= np.round(weight.mean((1, 2, 3), keepdims=True))
    scales = 2.0 / (40.0 * 60.0 * np.sqrt(count)) * np.full(channels[1], 64.0)
    one = constant(f"{name}_one", 1.0, np.float32)
    inputs = [source, one, constant(f"{name}_from", zero_point, np.uint8)]
    inputs += [constant(f"{name}_weight", weight, np.int8), constant(f"{name}_scale", scales, np.float32)]
    inputs += [constant(f"{name}_zero", np.zeros(channels[1]), np.int8), one, constant(f"{name}_to", 0, np.uint8)]
    inputs += [constant(f"{name}_bias", np.zeros(channels[1]), np.int32)]
    sizes = dict(kernel_shape=[size, size], strides=[stride, stride], pads=[pad] * 4)
    nodes.append(helper.make_node("QLinearConv", inputs, [name], name=name, **sizes))
    return name


stem = convolution("stem", "image", (3, 8), 4, 4, 0, 127)
fine = convolution("fine", stem, (8, 12), 4, 4, 0, 0)
mixed = convolution("mixed", fine, (12, 12), 1, 1, 0, 0)
coarse = convolution("coarse", mixed, (12, 16), 3, 2, 1, 0)
value = helper.make_tensor_value_info
image = value("image", TensorProto.UINT8, [1, 3, "height", "width"])
outputs = [value(name, TensorProto.UINT8, [1, channels, None, None]) for name, channels in [(fine, 12), (mixed, 12), (coarse, 16)]]
graph = helper.make_graph(nodes, "tiny", [image], outputs, constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, "model.onnx")
digest = hashlib.sha256(open("model.onnx", "rb").read()).hexdigest()
open("bundle.toml", "w").write(f'''format = 1
name = "backbone-tiny"
version = "0.1.0"
task = "backbone"
description = "Random filters, for tests of teaching"
licence = "MIT OR Apache-2.0"
model = "model.onnx"

[input]
channels = "rgb"

[files]
"model.onnx" = "{digest}"
''')
