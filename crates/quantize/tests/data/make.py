#!/usr/bin/env python3
"""Writes small.onnx: a float network with what quantizers meet (BatchNormalization, depthwise, a residual sum, a hard swish in four
nodes, a squeeze-and-excite factor, a shape computed on the way), weights at random.

    python3 crates/quantize/tests/data/make.py
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(20)
nodes, constants = [], []


def constant(name, values):
    constants.append(numpy_helper.from_array(np.asarray(values), name))
    return name


def node(op, inputs, output, **attributes):
    nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
    return output


def conv(x, name, outputs, inputs, kernel, groups=1, bias=True, **attributes):
    fan = inputs // groups * kernel * kernel
    weight = random.normal(0, (2 / fan) ** 0.5, (outputs, inputs // groups, kernel, kernel))
    # Channels of very different size, as trained networks have them.
    weight = (weight * np.exp(random.normal(0, 0.7, (outputs, 1, 1, 1)))).astype(np.float32)
    parts = [x, constant(f"{name}.weight", weight)]
    if bias:
        parts.append(constant(f"{name}.bias", random.normal(0, 0.2, outputs).astype(np.float32)))
    pads = [kernel // 2] * 4
    return node("Conv", parts, name, group=groups, kernel_shape=[kernel] * 2, pads=pads, **attributes)


x = conv("image", "stem", 16, 3, 3, bias=False, strides=[2, 2])
norm = [constant(f"norm.{part}", values.astype(np.float32)) for part, values in [
    ("scale", random.uniform(0.5, 2, 16)), ("shift", random.normal(0, 0.3, 16)),
    ("mean", random.normal(0, 0.2, 16)), ("variance", random.uniform(0.3, 2, 16))]]
x = node("BatchNormalization", [x, *norm], "norm", epsilon=1e-3)
x = node("Relu", [x], "stem.relu")
skip = x
x = conv(x, "depthwise", 16, 16, 3, groups=16)
x = node("Clip", [x, constant("zero", np.float32(0)), constant("six", np.float32(6))], "depthwise.clip")
x = conv(x, "project", 16, 16, 1)
x = node("Add", [x, skip], "sum")
x = conv(x, "expand", 24, 16, 1)
three = constant("three", np.float32(3))
y = node("Add", [x, three], "expand.plus")
y = node("Clip", [y, "zero", "six"], "expand.clip")
y = node("Mul", [x, y], "expand.times")
x = node("Div", [y, "six"], "expand.swish")
s = node("GlobalAveragePool", [x], "squeeze")
s = conv(s, "excite", 24, 24, 1)
s = node("HardSigmoid", [s], "gate", alpha=0.2, beta=0.5)
x = node("Mul", [x, s], "gated")
x = node("MaxPool", [x], "pool", kernel_shape=[2, 2], strides=[2, 2])
x = node("GlobalAveragePool", [x], "mean")
shape = node("Shape", [x], "mean.shape")
batch = node("Slice", [shape, constant("from", np.array([0])), constant("to", np.array([1])), constant("axis", np.array([0]))], "batch")
shape = node("Concat", [batch, constant("rest", np.array([-1]))], "flat.shape", axis=0)
x = node("Reshape", [x, shape], "flat")
weight = random.normal(0, 0.5, (10, 24)).astype(np.float32)
x = node("Gemm", [x, constant("fc.weight", weight), constant("fc.bias", random.normal(0, 0.5, 10).astype(np.float32))], "logits", transB=1)

image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])
logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 10])
graph = helper.make_graph(nodes, "small", [image], [logits], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)
onnx.checker.check_model(model)
onnx.save(model, Path(__file__).with_name("small.onnx"))
