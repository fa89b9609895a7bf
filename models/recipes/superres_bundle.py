"""From a trained network to its bundle: the model, golden vectors, figures and the card."""

import json
import os
import subprocess
from pathlib import Path
from string import Template

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F
from PIL import Image

from bundle import golden, write_bundle
from superres_camera import Camera
from superres_onnx import kernels_and_biases, to_onnx
from superres_pictures import CACHE, DATA, berkeley, first_kinds, more_kinds
from superres_score import score
from superres_train import SEED, enlarger

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent
PROJECT = HERE.parents[1]
# The commit that holds the bundles of the first round.
VERSION_0_2_0 = "f124b79"
SETS = ("Set5", "Set14")
HELD_BACK = "held back"

# What the papers report: PSNR in dB and, where given, SSIM, of their best weights.
PAPERS = {
    2: {"FSRCNN, paper": {"Set5": (37.00, 0.9558), "Set14": (32.63, 0.9088)}},
    3: {
        "ESPCN, paper": {"Set5": (33.13, None), "Set14": (29.49, None)},
        "FSRCNN, paper": {"Set5": (33.16, 0.9140), "Set14": (29.43, 0.8242)},
    },
    4: {
        "ESPCN, paper": {"Set5": (30.90, None), "Set14": (27.73, None)},
        "FSRCNN, paper": {"Set5": (30.71, 0.8657), "Set14": (27.59, 0.7535)},
    },
}


# Pictures and their licences, as the card lists them.
LEARNED_FROM = {
    first_kinds: """\
| pictures | licence |
|---|---|
| T91 (Yang et al. 2010), 91 | published for research; no licence stated |
| BSD200, of the Berkeley Segmentation Dataset (Martin et al. 2001), 180 of 200 | non-commercial research and education |
| Debian packages `lomiri-wallpapers-16.04`, `lomiri-wallpapers-20.04` and `ukui-wallpapers`, 31 wallpapers | CC-BY-4.0, CC-BY-SA-3.0, CC-BY-SA-4.0, CC0-1.0 |

Set5's `woman` is a piece of picture 302003 of BSD200, which this network learned from.""",
    more_kinds: """\
| pictures | licence |
|---|---|
| T91 (Yang et al. 2010), 91 | published for research; no licence stated |
| BSD200, of the Berkeley Segmentation Dataset (Martin et al. 2001), 179 of 200 | non-commercial research and education |
| Debian packages `lomiri-wallpapers-16.04`, `lomiri-wallpapers-20.04` and `ukui-wallpapers`, 31 wallpapers | CC-BY-4.0, CC-BY-SA-3.0, CC-BY-SA-4.0, CC0-1.0 |
| Debian packages `plasma-workspace-wallpapers` and `mate-backgrounds`, 24 photographs | GPL-2+ |
| scikit-image's `astronaut`, `brick`, `chelsea`, `coffee`, `grass`, `gravel` and `rocket` | CC0-1.0, public domain |

Picture 302003 of BSD200 is left out: Set5's `woman` is a piece of it.""",
}


def write(name, recipe, net, integers, seconds):
    folder = MODELS / name
    folder.mkdir(exist_ok=True)
    onnx.save(to_onnx(integers, name), folder / "model.onnx")
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    write_bundle(folder, manifest(folder, recipe, net, session, {}))
    lineside("parity", folder)

    sets = held_back(recipe) if by_camera(recipe) else literature(recipe.scale)
    figures = measured(folder, recipe, net, sets)
    (folder / "CARD.md").write_text(card(name, recipe, net, figures, seconds), encoding="utf-8")
    write_bundle(folder, manifest(folder, recipe, net, session, figures))
    print(table(figures))


def shipped_earlier(name):
    """(kernel, bias) of each convolution of a bundle's version 0.2.0, from the project's history."""
    show = ["git", "show", f"{VERSION_0_2_0}:models/{name}/model.onnx"]
    done = subprocess.run(show, stdout=subprocess.PIPE, cwd=PROJECT)
    if done.returncode:
        raise SystemExit(f"{' '.join(show)}: exit code {done.returncode}; the project's whole history is needed")
    return kernels_and_biases(done.stdout)


def by_camera(recipe):
    return isinstance(recipe.reduction.reduce, Camera)


# --- figures --------------------------------------------------------------------------------------------------------


def measured(folder, recipe, net, sets):
    """{way: {set: (PSNR, SSIM)}}."""
    figures = {"bicubic": {}, "fp32": {}, "INT8": {}}
    for name, (high, low) in sets.items():
        report = lineside("eval", folder, "--hr", high, "--lr", low)
        figures["bicubic"][name] = (report["bicubic_psnr_y"], report["bicubic_ssim"])
        figures["fp32"][name] = score(enlarger(net), high, low, recipe.scale)
        figures["INT8"][name] = (report["psnr_y"], report["ssim"])
    return {"bicubic": figures.pop("bicubic")} | others(recipe, sets) | figures


def others(recipe, sets):
    """What the network is held against."""
    if not by_camera(recipe):
        return PAPERS[recipe.scale]
    start = MODELS / recipe.start
    reports = {name: lineside("eval", start, "--hr", high, "--lr", low) for name, (high, low) in sets.items()}
    return {f"INT8 of {recipe.start}": {name: (report["psnr_y"], report["ssim"]) for name, report in reports.items()}}


def program():
    """The lineside binary. A recipe asks for it first, so as not to train for hours and then miss it."""
    binary = Path(os.environ.get("LINESIDE_BIN", PROJECT / "target/release/lineside"))
    if not binary.is_file():
        raise SystemExit(f"{binary}: no such program; build lineside, or name it in LINESIDE_BIN, and run this again")
    return str(binary)


def lineside(*arguments):
    command = [program(), *map(str, arguments), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, cwd=PROJECT)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}")
    return json.loads(done.stdout)


def literature(scale):
    """Folders of the sets' pictures: (large, small)."""
    folders = {name: DATA / "superres-eval" / name / f"x{scale}" for name in SETS}
    return {name: (folder / "HR", folder / "LR") for name, folder in folders.items()}


def held_back(recipe):
    """The pictures that are held back from training, seen by a camera; likewise."""
    folder = CACHE / "held-back" / f"x{recipe.scale}"
    camera = Camera(SEED)
    for side in ("HR", "LR"):
        (folder / side).mkdir(parents=True, exist_ok=True)
    for path in berkeley()[1]:
        high = Image.open(path).convert("RGB")
        high = high.crop((0, 0, high.width // recipe.scale * recipe.scale, high.height // recipe.scale * recipe.scale))
        high.save(folder / "HR" / path.name)
        camera(high, recipe.scale).save(folder / "LR" / path.name)
    return {HELD_BACK: (folder / "HR", folder / "LR")}


# --- the bundle -----------------------------------------------------------------------------------------------------


def manifest(folder, recipe, net, session, figures):
    vectors = [pixels[None, None] for pixels in (texture(24, 32), extremes(17, 23))]
    taken = "as a camera saw them" if by_camera(recipe) else "reduced by a bicubic filter"
    return {
        "format": 1,
        "name": folder.name,
        "version": recipe.version,
        "task": "super-resolution",
        "description": f"Enlarges pictures {recipe.scale} times, {taken}: luma by {len(net.convs)} convolutions in INT8",
        "licence": "MIT OR Apache-2.0",
        "model": "model.onnx",
        "input": {"channels": "luma"},
        "super_resolution": {"scale": recipe.scale, "receptive_field": net.radius},
        "golden": [
            golden(folder, n, low, session.run(None, {"luma": low})[0], tolerance=0) for n, low in enumerate(vectors)
        ],
        "measured": {
            f"{name.lower().replace(' ', '_')}_{figure}{suffix}": round(value, 3 if figure == "psnr_y" else 4)
            for way, suffix in (("INT8", ""), ("fp32", "_fp32"), ("bicubic", "_bicubic"))
            for name, values in figures.get(way, {}).items()
            for figure, value in zip(("psnr_y", "ssim"), values)
        },
    }


def texture(height, width):
    """Luma bytes like those of a photograph: a gradient, blurred noise, a hard edge and a fine grid."""
    rng = np.random.default_rng(SEED)
    y, x = np.mgrid[:height, :width]
    noise = torch.from_numpy(rng.normal(0, 60, (1, 1, height + 4, width + 4)))
    soft = F.avg_pool2d(noise, 5, stride=1)[0, 0].numpy()
    edge = np.where(x * 3 + y * 2 > width * 2, 70, 0)
    grid = np.where(y > height * 2 // 3, 25 * ((x // 2 + y) % 2), 0)
    return (60 + 2 * y + soft + edge + grid).round().clip(0, 255).astype(np.uint8)


def extremes(height, width):
    """Noise of 0 and 255 only, which drives accumulators and clamps far."""
    return np.random.default_rng(SEED).choice(np.array([0, 255], np.uint8), (height, width))


# --- the card -------------------------------------------------------------------------------------------------------


def card(name, recipe, net, figures, seconds):
    channels = [net.convs[0].in_channels, *(conv.out_channels for conv in net.convs)]
    blanks = {
        "name": name,
        "scale": recipe.scale,
        "channels": " → ".join(map(str, channels)),
        "layers": len(net.convs),
        "macs": f"{net.macs:,}",
        "copies": recipe.scale**2,
        "sees": 2 * net.radius + 1,
        "table": table(figures),
        "steps": f"{recipe.steps:,}",
        "integer_steps": f"{recipe.integer_steps:,}",
        "minutes": round(seconds[0] / 60),
        "integer_minutes": round(seconds[1] / 60),
        "seed": SEED,
        "start": beginning(recipe),
        "ends": f", the first and the last of {recipe.ends}×{recipe.ends}," if recipe.ends != 3 else "",
        "pictures": LEARNED_FROM[recipe.kinds] + (f" {recipe.earlier} 0.2.0 learned from it." if recipe.earlier else ""),
    }
    template = HERE / ("superres_camera.card.md" if by_camera(recipe) else "superres.card.md")
    return Template(template.read_text(encoding="utf-8")).substitute(blanks)


def beginning(recipe):
    if recipe.earlier:
        return f", beginning with the integers of {recipe.earlier} 0.2.0"
    return f", beginning with the network of {recipe.start} but for the last layer" if recipe.start else ""


def table(figures):
    sets = list(next(iter(figures.values())))
    head = "| | " + " | ".join(f"{name}, dB | SSIM" for name in sets) + " |\n|---|" + "---|---|" * len(sets) + "\n"
    rows = (f"| {way} | " + " | ".join(map(cells, values.values())) + " |" for way, values in figures.items())
    return head + "\n".join(rows)


def cells(figure):
    psnr, ssim = figure
    return f"{psnr:.2f} | " + ("–" if ssim is None else f"{ssim:.4f}")
