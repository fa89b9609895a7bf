#!/usr/bin/env python3
"""Writes backbone-lite0 in floats, to measure what INT8 costs.

    ~/.cache/lineside/recipes-venv/bin/python benches/anomaly/float_backbone.py OUT
    benches/anomaly/magnetic_tile.py --no-p1 --teach --backbone OUT

The same layers with the weights as they were before quantization; nothing is rounded but the features themselves, to the
steps that the shipped bundle gives them in, for that is the form in which they are learned from. The environment is that of
`models/recipes/build`.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PROJECT = Path(__file__).resolve().parents[2]
sys.path.append(str(PROJECT / "models/recipes"))

from backbone import backbone, layer_channels, layer_stride  # noqa: E402
from bundle import write_bundle  # noqa: E402

SHIPPED = PROJECT / "models/backbone-lite0/model.onnx"


def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    shipped = onnx.load(SHIPPED)
    steps = {constant.name: numpy_helper.to_array(constant) for constant in shipped.graph.initializer}
    features = [output.name for output in shipped.graph.output]
    layers = backbone(last=15)
    nodes, constants = [], []

    def constant(name, values):
        constants.append(numpy_helper.from_array(values, name))
        return name

    def node(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    picture = [constant("image.scale", np.float32(1 / 128)), constant("image.zero_point", np.uint8(127))]
    real = {"image": node("DequantizeLinear", ["image", *picture], "image.real")}
    six = [constant("zero", np.float32(0)), constant("six", np.float32(6))]
    for layer in layers:
        name, inputs = layer.output, [real[name] for name in layer.inputs]
        if layer.weight is None:
            real[name] = node("Add", inputs, f"{name}.sum")
        else:
            before, after = layer.padding()
            inputs += [constant(f"{name}.{part}", getattr(layer, part).numpy()) for part in ("weight", "bias")]
            shape = {"kernel_shape": layer.weight.shape[2:], "strides": [layer.stride] * 2, "group": layer.groups}
            real[name] = node("Conv", inputs, f"{name}.conv", pads=[before, before, after, after], **shape)
        if layer.relu6:
            real[name] = node("Clip", [real[name], *six], f"{name}.clip")
        if name in features:
            step = [constant(f"{name}.{part}", steps[f"{name}.{part}"]) for part in ("scale", "zero_point")]
            node("QuantizeLinear", [real[name], *step], name)

    def tensor(name, count, stride):
        sides = ["height", "width"] if stride == 1 else [f"height/{stride}", f"width/{stride}"]
        return helper.make_tensor_value_info(name, TensorProto.UINT8, [1, count, *sides])

    outputs = [tensor(name, layer_channels(layers, name), layer_stride(layers, name)) for name in features]
    graph = helper.make_graph(nodes, "float", [tensor("image", 3, 1)], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, out / "model.onnx")
    manifest = {"format": 1, "name": out.name, "version": "0.1.0", "task": "backbone", "model": "model.onnx"}
    words = {"description": "backbone-lite0 in floats", "licence": "Apache-2.0 (weights)"}
    write_bundle(out, manifest | words | {"input": {"channels": "rgb"}})


if __name__ == "__main__":
    main()
