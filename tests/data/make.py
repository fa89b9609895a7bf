"""Makes the models of this folder: `python make.py` with onnx 1.19.1. Small enough to be checked by head."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rows = helper.make_tensor_value_info("a", TensorProto.FLOAT, ["N", 3]), helper.make_tensor_value_info("b", TensorProto.FLOAT, ["N", 3])
outs = helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["N", 3]), helper.make_tensor_value_info("scaled", TensorProto.FLOAT, ["N", 2])
weight = numpy_helper.from_array(np.array([[1, 0], [2, 0], [0, 10]], np.float32), "weight")
nodes = [
    # Two nodes of one name, which ONNX allows.
    helper.make_node("Add", ["a", "b"], ["sum"], name="same"),
    helper.make_node("MatMul", ["sum", "weight"], ["scaled"], name="same"),
]
graph = helper.make_graph(nodes, "two", rows, outs, [weight])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), "two_in_two_out.onnx")
