"""Makes the models of this folder: `python tests/data/own_models/make.py`. Each is small enough that what it gives can be worked out
by hand.

colour.onnx  floats [1, 3, 8, 8] -> `scores` [1, 3]: the mean of each channel, times 8; a classifier, and a network of vectors
glow.onnx    floats [1, 1, 32, 32] -> `anomaly_map` [1, 1, 32, 32]: the absolute value, and `pred_score` [1]: its greatest
echo.onnx    floats [1, 16, 16, 3] -> `picture`: the same, each value at most 0.5
bytes.onnx   bytes [1, 3, 16, 16] -> `picture`: the same
"""

import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def save(name, nodes, inputs, outputs, constants=()):
    constants = [numpy_helper.from_array(np.array(v), k) for k, v in constants]
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="", ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, os.path.join(HERE, name + ".onnx"))


node = helper.make_node
save(
    "colour",
    [
        node("GlobalAveragePool", ["x"], ["mean"]),
        node("Flatten", ["mean"], ["flat"]),
        node("Mul", ["flat", "eight"], ["scores"]),
    ],
    [value("x", [1, 3, 8, 8])],
    [value("scores", [1, 3])],
    [("eight", np.float32(8))],
)
save(
    "glow",
    [node("Abs", ["x"], ["anomaly_map"]), node("ReduceMax", ["anomaly_map"], ["pred_score"], axes=[1, 2, 3], keepdims=0)],
    [value("x", [1, 1, 32, 32])],
    [value("pred_score", [1]), value("anomaly_map", [1, 1, 32, 32])],
)
save(
    "echo",
    [node("Min", ["x", "half"], ["picture"])],
    [value("x", [1, 16, 16, 3])],
    [value("picture", [1, 16, 16, 3])],
    [("half", np.float32(0.5))],
)
save(
    "bytes",
    [node("Identity", ["x"], ["picture"])],
    [value("x", [1, 3, 16, 16], TensorProto.UINT8)],
    [value("picture", [1, 3, 16, 16], TensorProto.UINT8)],
)
