"""backbone-lite0: an INT8 backbone of which a board takes the features to learn what its line looks like.

    models/recipes/build backbone-lite0

EfficientNet-Lite0 up to block 15 (backbone.py), for pictures of any size. Its ranges come from photographs of
everything, none of any production line.
"""

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from PIL import Image

import demo_line
from backbone import backbone, fidelity, multiplications, quantize, write_onnx
from bundle import golden, write_bundle
from superres_pictures import LOMIRI, wallpapers

HERE = Path(__file__).parent
BUNDLE = HERE.parent / "backbone-lite0"

FEATURES = ("block7", "block10", "block14", "block15")
SIDES = (320, 128)  # of the pictures that the ranges are learnt from; teaching looks at frames in both
CROPS = 2  # of each photograph at each size

SHIPPED_BY_SCIKIT_IMAGE = "astronaut brick camera chelsea coffee coins grass gravel moon motorcycle_left rocket".split()
HELD_OUT = ("camera", "coffee", "gravel", "Bridge", "Dragonfly", "Kleiber", "life", "seeding")


def photographs():
    """Name and picture: those that scikit-image ships, and wallpapers."""
    for name in SHIPPED_BY_SCIKIT_IMAGE:
        yield name, demo_line.open_photograph(name).convert("RGB")
    for path in sorted(wallpapers(LOMIRI)):
        picture = Image.open(path).convert("RGB")
        picture.thumbnail((1024, 1024), Image.BOX)
        yield path.stem.split("_")[0], picture


def crops(picture, side, rng):
    """Squares of the photograph as u8 [1, 3, side, side], in turns in grey and in colour: many cameras are grey."""
    for turn in range(2 * CROPS):
        edge = int(min(picture.size) * rng.uniform(0.4, 1.0))
        left, top = rng.integers(0, picture.width - edge + 1), rng.integers(0, picture.height - edge + 1)
        crop = picture.resize((side, side), Image.BOX, (left, top, left + edge, top + edge))
        crop = crop if turn % 2 else crop.convert("L").convert("RGB")
        yield np.array(crop).transpose(2, 0, 1)[None]


def golden_inputs():
    """A photograph, wider than high, and noise, higher than wide."""
    photograph = demo_line.open_photograph("coffee").convert("RGB").resize((160, 96), Image.BOX)
    yield np.asarray(photograph).transpose(2, 0, 1)[None]
    yield np.random.default_rng(0).integers(0, 256, (1, 3, 128, 64), np.uint8)


def main():
    torch.set_num_threads(1)
    BUNDLE.mkdir(exist_ok=True)

    rng = np.random.default_rng(0)
    learnt, unseen = {side: [] for side in SIDES}, {side: [] for side in SIDES}
    for name, picture in photographs():
        for side in SIDES:
            (unseen if name in HELD_OUT else learnt)[side].extend(crops(picture, side, rng))
    layers = backbone(last=15)
    with torch.no_grad():
        quantized = quantize(layers, [np.concatenate(learnt[side]) for side in SIDES])
    path = BUNDLE / "model.onnx"
    write_onnx(layers, quantized, path, FEATURES)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])

    with torch.no_grad():
        fidelities = [fidelity(layers, quantized, FEATURES, session, unseen[side]) for side in SIDES]
    macs = {f"macs_{side}": multiplications(layers, side, side) for side in SIDES}
    shapes = {o.name: o.shape for o in session.get_outputs()}
    rows = [(name, " | ".join("{:.1f} dB | {:.4f}".format(*f[name]) for f in fidelities)) for name in FEATURES]
    card = (HERE / "backbone_lite0.card.md").read_text().format(
        **macs,
        bytes=path.stat().st_size,
        outputs="\n".join(
            f"| {name} | u8 [{', '.join(map(str, shapes[name]))}] | "
            f"(q - {quantized[name].zero_point}) × {quantized[name].scale:.4f} |"
            for name in FEATURES
        ),
        fidelity="\n".join(f"| {name} | {figures} |" for name, figures in rows),
        learnt=len(learnt[SIDES[0]]),
        unseen=len(unseen[SIDES[0]]),
        photographs=len(learnt[SIDES[0]]) // (2 * CROPS),
        held_out=len(HELD_OUT),
    )
    (BUNDLE / "CARD.md").write_text(card)
    (BUNDLE / "NOTICE").write_text((HERE / "backbone_lite0.notice.txt").read_text())
    print(card)

    measured = macs | {f"snr_db_{name}": round(float(db), 2) for name, (db, _) in fidelities[0].items()}
    manifest = {
        "format": 1,
        "name": "backbone-lite0",
        "version": "0.1.0",
        "task": "backbone",
        "description": "Features of pictures, from which bundles for a line's own parts are taught",
        "licence": "Apache-2.0 (weights)",
        "model": "model.onnx",
        "input": {"channels": "rgb"},
        "golden": [
            golden(BUNDLE, i, image, dict(zip(FEATURES, session.run(None, {"image": image}))), tolerance=0)
            for i, image in enumerate(golden_inputs())
        ],
        "measured": measured,
    }
    write_bundle(BUNDLE, manifest)


if __name__ == "__main__":
    main()
