"""ONNX Runtime on the fp32 network: what INT8 gains."""

import with_onnxruntime


def load(folder, network):
    return with_onnxruntime.load(folder, network, "fp32")
