#!/usr/bin/env python3
"""Writes products.onnx, a float network of matrix products (a projection, attention, an embedding of the result), and for it and small.onnx
the folder a16w8/NAME: the network in A16W8 as `quantize` writes it, an input, and what ONNX Runtime answers. Each 16-bit tensor is an output,
so that steps can be compared.

    cargo build --release --example quantize
    python3 crates/quantize/tests/data/a16w8.py target/release/examples/quantize

Needs numpy, onnx and onnxruntime.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
random = np.random.default_rng(21)


def products():
    constants, nodes = [], []

    def product(x, name, inputs, outputs):
        weight = random.normal(0, inputs**-0.5, (inputs, outputs)) * np.exp(random.normal(0, 0.5, outputs))
        for part, values in (("weight", weight), ("bias", random.normal(0, 0.1, outputs))):
            constants.append(numpy_helper.from_array(values.astype(np.float32), f"{name}.{part}"))
        nodes.append(helper.make_node("MatMul", [x, f"{name}.weight"], [f"{name}.product"], name=name))
        nodes.append(helper.make_node("Add", [f"{name}.product", f"{name}.bias"], [f"{name}.sum"], name=f"{name}.add"))
        return f"{name}.sum"

    def node(op, inputs, name, **attributes):
        nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    hidden = node("Gelu", [product("tokens", "embed", 16, 24)], "hidden", approximate="none")
    query, key, value = (product(hidden, part, 24, 24) for part in ("query", "key", "value"))
    scores = node("MatMul", [query, node("Transpose", [key], "turned", perm=[0, 2, 1])], "scores")
    mixed = node("MatMul", [node("Softmax", [scores], "share", axis=-1), value], "mixed")
    product(mixed, "last", 24, 8)
    shape = lambda *dims: list(dims)
    graph = helper.make_graph(
        nodes, "products",
        [helper.make_tensor_value_info("tokens", TensorProto.FLOAT, shape(1, 12, 16))],
        [helper.make_tensor_value_info("last.sum", TensorProto.FLOAT, shape(1, 12, 8))], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, HERE / "products.onnx")


def written(binary, name, shape, operators):
    folder = HERE / "a16w8" / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    # Smooth and rough pictures: a wave each, and noise.
    waves = np.sin(np.linspace(0, 20, np.prod(shape)).reshape(shape) * random.uniform(0.2, 3, (40, *[1] * len(shape))))
    samples = (0.7 * waves + random.normal(0, 0.2, (40, *shape))).astype(np.float32)
    with tempfile.TemporaryDirectory() as work:
        np.save(f"{work}/x.npy", samples)
        words = [f"a16w8={operator}" for operator in operators]
        subprocess.run([binary, HERE / f"{name}.onnx", path, f"{work}/x.npy", "auto", *words], check=True)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    wide = {i.name for i in model.graph.initializer if i.data_type == TensorProto.UINT16}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[2] in wide:
            model.graph.output.append(helper.make_tensor_value_info(node.output[0], TensorProto.UINT16, None))
    onnx.save(model, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x = samples[:1]
    np.save(folder / "input.npy", x)
    for index, y in enumerate(session.run(None, {session.get_inputs()[0].name: x})):
        np.save(folder / f"output_{index}.npy", y)
    print(name, len(model.graph.output), "outputs,", sum(file.stat().st_size for file in folder.iterdir()) // 1024, "KiB")


if __name__ == "__main__":
    products()
    written(sys.argv[1], "small", (3, 32, 32), ["Conv", "Gemm"])
    written(sys.argv[1], "products", (12, 16), ["MatMul"])
