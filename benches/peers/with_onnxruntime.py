"""ONNX Runtime on the INT8 network. It takes its input and returns its output in NCHW floats, as all do here."""

import onnxruntime


def load(folder, network, precision="int8"):
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = folder / f"{network}.{precision}.onnx"
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda array: session.run(None, {"input": array})[0], lambda: {"version": onnxruntime.__version__}
