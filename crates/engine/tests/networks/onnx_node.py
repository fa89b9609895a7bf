"""Copies the node tests of ONNX that are about 8-bit quantization into onnx-node/: python onnx_node.py

The models stay as they are; inputs and outputs become .npy files, which need no protobuf reader.
"""

import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

TARGET = Path(__file__).resolve().parent / "onnx-node"
SOURCE = Path(onnx.__file__).parent / "backend/test/data/node"
KINDS = ("qlinearconv", "qlinearmatmul", "matmulinteger", "convinteger", "quantizelinear", "dequantizelinear",
         "dynamicquantizelinear")
WANTED = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32}
NOTICE = f"""The folders beside this file come from ONNX {onnx.__version__}, folder onnx/backend/test/data/node.
Copyright (c) ONNX Project Contributors. Licensed under the Apache License, Version 2.0
(https://www.apache.org/licenses/LICENSE-2.0). https://github.com/onnx/onnx

model.onnx is unchanged. input_N.npy and output_N.npy hold the tensors of test_data_set_0/*.pb,
converted by ../onnx_node.py.
"""


def unwanted(model):
    """The element types of a model that this project has no use for."""
    values = list(model.graph.input) + list(model.graph.output)
    types = {v.type.tensor_type.elem_type for v in values} | {t.data_type for t in model.graph.initializer}
    return sorted(TensorProto.DataType.Name(t).lower() for t in types - WANTED)


def copy(test):
    folder = TARGET / test.name
    folder.mkdir()
    shutil.copyfile(test / "model.onnx", folder / "model.onnx")
    for file in sorted((test / "test_data_set_0").glob("*.pb")):
        tensor = onnx.load_tensor(file)
        np.save(folder / f"{file.stem}.npy", numpy_helper.to_array(tensor))


shutil.rmtree(TARGET, ignore_errors=True)
TARGET.mkdir()
skipped = []
for test in sorted(SOURCE.iterdir()):
    if not test.name.startswith(tuple("test_" + kind for kind in KINDS)):
        continue
    types = unwanted(onnx.load(test / "model.onnx"))
    if types:
        skipped.append(f"{test.name}: element type {', '.join(types)}\n")
    else:
        copy(test)
(TARGET / "SKIPPED.txt").write_text("".join(skipped))
(TARGET / "NOTICE").write_text(NOTICE)
