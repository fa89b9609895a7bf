"""LiteRT with XNNPACK on the INT8 network, written as TFLite. The layouts are turned outside of the time."""

from importlib.metadata import version

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def load(folder, network):
    interpreter = Interpreter(str(folder / f"{network}.tflite"), num_threads=1)
    interpreter.allocate_tensors()
    source, target = (ends[0]["index"] for ends in (interpreter.get_input_details(), interpreter.get_output_details()))

    def run(array):
        interpreter.set_tensor(source, array)
        interpreter.invoke()
        return interpreter.get_tensor(target)

    return run, lambda: {"version": version("ai-edge-litert")}


def prepare(array):
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1))


def finish(array):
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array
