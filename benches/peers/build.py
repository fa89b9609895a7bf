"""Writes each network into a folder: as fp32 and INT8 ONNX, as TFLite and for ncnn, with an input and a description.

A network that stands there already is kept, unless what builds it has changed since.
"""

import argparse
import hashlib
import json
import logging
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import ncnn_files
import tflite
from networks import NETWORKS, build

BUILT_BY = ("build.py", "networks.py", "tflite.py", "ncnn_files.py", "requirements.txt")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("names", nargs="*", default=list(NETWORKS))
    arguments = arguments.parse_args()
    logging.getLogger().setLevel(logging.ERROR)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    recipe = digest()
    for name in arguments.names:
        description = arguments.folder / f"{name}.json"
        if not description.exists() or json.loads(description.read_text()).get("recipe") != recipe:
            write(arguments.folder, name, recipe)


def digest():
    here = Path(__file__).resolve().parent
    return hashlib.sha256(b"".join((here / name).read_bytes() for name in BUILT_BY)).hexdigest()


def write(folder, name, recipe):
    """The description is written last: it says that the network is complete."""
    for old in folder.glob(f"{name}.*"):
        old.unlink()
    model, macs = build(name)
    fp32, int8 = folder / f"{name}.fp32.onnx", folder / f"{name}.int8.onnx"
    onnx.save(model, fp32)
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    quantize_static(
        fp32, int8, Pictures(shape), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, extra_options={"WeightSymmetric": True},
    )
    quantized = onnx.load(int8)
    (folder / f"{name}.tflite").write_bytes(tflite.convert(quantized))
    param, data = ncnn_files.convert(model, quantized)
    (folder / f"{name}.ncnn.param").write_text(param)
    (folder / f"{name}.ncnn.bin").write_bytes(data)
    np.save(folder / f"{name}.input.npy", picture(shape, 99))
    description = {"name": name, "macs": macs, "input": shape, "recipe": recipe}
    (folder / f"{name}.json").write_text(json.dumps(description) + "\n")


class Pictures(CalibrationDataReader):
    """Four random pictures to calibrate on."""

    def __init__(self, shape):
        self.left = iter([{"input": picture(shape, seed)} for seed in range(4)])

    def get_next(self):
        return next(self.left, None)


def picture(shape, seed):
    """Noise between 0 and 1 over a slow gradient."""
    noise = np.random.default_rng(seed).random(shape, np.float32)
    return (0.5 * noise + 0.5 * np.linspace(0, 1, shape[-1], dtype=np.float32)).astype(np.float32)


if __name__ == "__main__":
    main()
