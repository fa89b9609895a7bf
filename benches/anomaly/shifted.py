#!/usr/bin/env python3
"""Teaches as pictures are, and with --tolerance, and evaluates on pictures that are shifted, turned, scaled and re-lit: the table of
docs/anomaly.md.

    benches/anomaly/shifted.py --normal DIR --test DIR --defect DIR [--border edge|mirror|black] [--taught none|each|all]
                               [--only shift,turn] [--every N] [--teach OPTION ...]

Test pictures are moved by Pillow (bicubic), not by the arithmetic of teach. Each row is a change of all test pictures by the whole of the limit
that was stated: shifted right and down by 5 %, turned by 3 degrees, 5 % larger and smaller, light times 0.8 and 1.2. What comes in from
beyond the border is the outermost pixel (edge), the mirror image, or black.

Needs numpy, Pillow and the lineside binary (LINESIDE_BIN, or target/release/lineside).
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from protocol import run

LIMITS = {"shift": "5%", "turn": "3deg", "scale": "5%", "light": "20%"}
PAD = {"edge": "edge", "mirror": "symmetric", "black": "constant"}


def moved(picture, border, shift=(0.0, 0.0), turn=0.0, scale=1.0):
    """The picture shifted by a share of its sides, turned by degrees, scaled."""
    pixels = np.asarray(picture)
    height, width = pixels.shape[:2]
    margin = max(height, width) // 4
    around = [(margin, margin), (margin, margin)] + [(0, 0)] * (pixels.ndim - 2)
    padded = Image.fromarray(np.pad(pixels, around, mode=PAD[border]))
    angle = np.deg2rad(turn)
    sine, cosine = np.sin(angle) / scale, np.cos(angle) / scale
    x, y = padded.width / 2, padded.height / 2
    right, down = x + round(shift[0] * width), y + round(shift[1] * height)
    # From output to input.
    matrix = (cosine, -sine, x - cosine * right + sine * down, sine, cosine, y - sine * right - cosine * down)
    out = padded.transform(padded.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return out.crop((margin, margin, margin + width, margin + height))


def lit(picture, factor):
    return Image.fromarray(np.clip(np.asarray(picture).astype(float) * factor + 0.5, 0, 255).astype(np.uint8))


CHANGES = {
    "as it is": (None, lambda picture, _: picture),
    "shift +5 %": ("shift", lambda picture, border: moved(picture, border, shift=(0.05, 0.05))),
    "shift right 5 %": ("shift", lambda picture, border: moved(picture, border, shift=(0.05, 0.0))),
    "turn 3 deg": ("turn", lambda picture, border: moved(picture, border, turn=3.0)),
    "scale +5 %": ("scale", lambda picture, border: moved(picture, border, scale=1.05)),
    "scale -5 %": ("scale", lambda picture, border: moved(picture, border, scale=0.95)),
    "light x 0.8": ("light", lambda picture, _: lit(picture, 0.8)),
    "light x 1.2": ("light", lambda picture, _: lit(picture, 1.2)),
}


def changed_folder(source, out, change, border, every):
    files = sorted(path for path in Path(source).rglob("*") if path.suffix.lower() in (".png", ".jpg", ".bmp"))
    for path in files[every - 1 :: every]:
        to = out / path.relative_to(source).with_suffix(".png")
        to.parent.mkdir(parents=True, exist_ok=True)
        change(Image.open(path), border).save(to)
    return out


def folder_path(text):
    """Absolute: the binary runs in the project's folder."""
    return Path(text).resolve()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--normal", type=folder_path, required=True, help="good pictures to teach")
    parser.add_argument("--test", type=folder_path, required=True, help="good pictures to test")
    parser.add_argument("--defect", type=folder_path, required=True, help="defects to test")
    parser.add_argument("--border", choices=PAD, default="edge")
    parser.add_argument("--every", type=int, default=1, help="test on every Nth picture only")
    parser.add_argument("--taught", choices=["none", "each", "all"], nargs="+", default=["none", "each", "all"])
    parser.add_argument("--only", help="changes, by their limit, separated by commas")
    parser.add_argument("--teach", nargs=argparse.REMAINDER, default=[], help="further options of lineside teach")
    arguments = parser.parse_args()
    only = arguments.only.split(",") if arguments.only else list(LIMITS)

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        bundles = {}

        def bundle(limits):
            """The bundle that is taught with these limits, and its report."""
            name = "-".join(limits) or "plain"
            if name not in bundles:
                stated = ",".join(f"{limit}={LIMITS[limit]}" for limit in limits)
                options = (["--tolerance", stated] if stated else []) + arguments.teach
                lesson = run("teach", "--normal", arguments.normal, "--out", folder / name, *options)
                bundles[name] = folder / name
                low, high = lesson["false_alarms_interval"]
                print(
                    f"# {stated or 'no tolerance'}: {lesson['seconds']:.0f} s, {lesson.get('copies', 0)} copies each, "
                    f"painted {lesson['painted']['found']} of {lesson['painted']['count']}, "
                    f"false alarms {low / 10:.1f} to {high / 10:.1f} % promised",
                    flush=True,
                )
            return bundles[name]

        for name, (limit, change) in CHANGES.items():
            if limit is not None and limit not in only:
                continue
            slug = folder / name.replace(" ", "-").replace("%", "p")
            normal = changed_folder(arguments.test, slug / "normal", change, arguments.border, arguments.every)
            defect = changed_folder(arguments.defect, slug / "defect", change, arguments.border, arguments.every)
            for taught in arguments.taught:
                limits = {"none": [], "each": [limit] if limit else [], "all": list(LIMITS)}[taught]
                if taught == "each" and not limits:
                    continue
                figures = run("eval", bundle(limits), "--normal", normal, "--defect", defect)
                print(
                    f"{name:16} {'+'.join(limits) or 'no tolerance':24} AUROC {figures['auroc']:.3f}  "
                    f"false alarms {100 * figures['false_alarm_rate']:5.1f} %  "
                    f"found {100 * figures['found_at_threshold']:5.1f} %",
                    flush=True,
                )


if __name__ == "__main__":
    main()
