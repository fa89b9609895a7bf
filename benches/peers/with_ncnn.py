"""ncnn on the INT8 network, written in its own format."""

from importlib.metadata import version

import ncnn
import numpy as np


def load(folder, network):
    net = ncnn.Net()
    net.opt.num_threads = 1
    if net.load_param(str(folder / f"{network}.ncnn.param")) or net.load_model(str(folder / f"{network}.ncnn.bin")):
        raise RuntimeError("ncnn does not load the network")
    target = net.output_names()[0]

    def run(array):
        extractor = net.create_extractor()
        extractor.input("input", ncnn.Mat(array[0]))
        failed, result = extractor.extract(target)
        if failed:
            raise RuntimeError(f"ncnn stops with {failed}")
        return np.array(result)

    return run, lambda: {"version": version("ncnn")}


def finish(array):
    return array[None]
