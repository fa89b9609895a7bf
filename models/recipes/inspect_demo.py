"""inspect-demo: an INT8 backbone, a memory bank of normal flanges, and the frames of a demo line.

    models/recipes/build inspect-demo

Features of a frozen EfficientNet-Lite0 (backbone.py) are compared, cell by cell, with those of normal frames
(PatchCore, Roth et al. 2022), all in integers.
"""

import io
import json
import shutil
import struct
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image

import demo_line
from backbone import HEIGHT, WIDTH, backbone, fidelity, multiplications, quantize, write_onnx
from bundle import golden, write_bundle

HERE = Path(__file__).parent
BUNDLE = HERE.parent / "inspect-demo"

# QDQ runs in floats for now: 4 LSB were measured on x86-64 and aarch64. The integer engine will need none.
BANK_ROWS = 512
MARGIN = 1.3  # half_distance over the largest distance of a held-out normal frame

# Every frame is its seed; no two sets share one.
SHIPPED, CALIBRATION, TAUGHT, HELD_OUT, STUDY_NORMAL, STUDY_DEFECT = (1, 1000, 2000, 3000, 4000, 5000)
DEFECT_AT = {
    5: "scratch", 9: "stain", 12: "missing", 16: "dent", 20: "scratch", 24: "missing", 27: "stain", 31: "dent",
}  # fmt: skip


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
    card = (HERE / "inspect_demo.card.md").read_text().format(
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
    (BUNDLE / "NOTICE").write_text((HERE / "inspect_demo.notice.txt").read_text())
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
            golden(BUNDLE, i, image, extract.session.run(None, {"image": image})[0], tolerance=0)
            for i, image in enumerate((unseen[0], noise))
        ],
        "measured": measured,
    }
    write_bundle(BUNDLE, manifest)


if __name__ == "__main__":
    main()
