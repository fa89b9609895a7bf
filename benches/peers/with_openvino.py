"""OpenVINO on the INT8 network, as QDQ ONNX: it compiles that to integer kernels itself."""

from collections import Counter

import openvino


def load(folder, network):
    options = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(folder / f"{network}.int8.onnx", "CPU", options)
    request = compiled.create_infer_request()

    def run(array):
        request.set_input_tensor(openvino.Tensor(array, shared_memory=True))
        request.infer()
        return request.get_output_tensor().data

    return run, lambda: {"version": openvino.__version__.split("-")[0], "kernel": kernels(compiled)}


def kernels(compiled):
    """What the convolutions really run on, the commonest first: jit_avx512_I8 is an integer kernel."""
    found = Counter()
    for op in compiled.get_runtime_model().get_ops():
        info = {key: str(value.value) for key, value in op.get_rt_info().items()}
        if info.get("layerType") in ("Convolution", "FullyConnected"):
            found[info["primitiveType"]] += 1
    return ", ".join(f"{count} x {name}" for name, count in found.most_common())
