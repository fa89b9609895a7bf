#!/usr/bin/env python3
"""Teaches on made-up products of four kinds and evaluates on defects painted on them: figures of docs/anomaly.md.

    benches/anomaly/textures.py [--cache DIR] [--counts 30 60 150] [--same-batch] [--sheet FILE] [--teach OPTION ...]

Brick, gravel and grass are photographs that scikit-image ships, as a camera would take pieces of a material; what is
taught comes from three fifths of the photograph, what is tested from the rest: as if a new batch came in. With
--same-batch the test's pictures are other pieces of the three fifths instead. Their defects are of texture_defects.py.
The flanges are those of models/recipes/demo_line.py. Defects fade from conspicuous (00) to barely visible (24).

Needs numpy, pillow, scikit-image and the lineside binary (LINESIDE_BIN, or target/release/lineside).
"""

import argparse
import os
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.transform import AffineTransform, warp

from protocol import candidates, row, show, teach_and_evaluate
from texture_defects import PAINTERS
import demo_line  # noqa: I001, protocol says where it is

WIDTH, HEIGHT = 320, 256
TAUGHT, NORMAL, DEFECTS = 150, 100, 25
FADED = 0.25  # strength of the last defect of a kind; the first has 1
ZOOM = 1.5  # pixels of the picture for one of the photograph
# Darkest and brightest colour of the material; None: a grey camera.
MATERIALS = {"brick": None, "gravel": None, "grass": ((0.05, 0.10, 0.02), (0.85, 0.95, 0.55))}
KINDS = {
    "brick": ("groove", "foreign", "stain", "hole", "dent"),
    "gravel": ("groove", "foreign", "stain", "defocus", "stripe"),
    "grass": ("groove", "foreign", "stain", "hole", "defocus"),
    "flange": demo_line.DEFECTS,
}
# Where the numbers of pictures begin: no two pictures share one.
FIRST = {"taught": 0, "normal": 10_000, "defect": 20_000}


def make(product, folder, same_batch):
    """Writes taught/, normal/, defect/KIND/ and mask/KIND/."""
    for part, count in (("taught", TAUGHT), ("normal", NORMAL)):
        for n in range(count):
            picture, _ = frame(product, FIRST[part] + n, same_batch)
            save(folder / part / f"{n:03}.jpg", picture)
    for k, kind in enumerate(KINDS[product]):
        for n in range(DEFECTS):
            strength = FADED ** (n / (DEFECTS - 1))
            picture, mask = frame(product, FIRST["defect"] + 1000 * k + n, same_batch, kind, strength)
            save(folder / "defect" / kind / f"{n:02}.jpg", picture)
            save(folder / "mask" / kind / f"{n:02}.png", 255 * mask.astype(np.uint8))


def frame(product, number, same_batch, kind=None, strength=1.0):
    if product == "flange":
        return flange(number, kind, strength)
    seed = list(KINDS).index(product), number
    rng = np.random.default_rng([*seed, 0])
    picture = piece(rng, product, learn=same_batch or number < FIRST["normal"])
    mask = None
    if kind is not None:
        picture, mask = PAINTERS[kind](np.random.default_rng([*seed, 1]), picture, strength)
    picture = camera(rng, picture)
    if MATERIALS[product] is None:
        picture = np.asarray(Image.fromarray(picture).convert("L"))
    return picture, mask


def flange(number, kind, strength):
    """A flange; its defect fades because the frame is mixed with the one that has none."""
    picture, _ = demo_line.render(number)
    if kind is None:
        return picture, None
    spoiled, mask = demo_line.render(number, kind)
    mixed = picture + strength * (spoiled.astype(np.float64) - picture)
    return np.round(mixed).astype(np.uint8), mask


def piece(rng, product, learn):
    """A piece of the material, float [HEIGHT, WIDTH, 3]: cut out anywhere, turned a little, perhaps mirrored."""
    # On its side, because bricks get narrower towards the top: both parts have them of all sizes.
    whole = np.asarray(demo_line.open_photograph(product).convert("L"), np.float64).T / 255
    border = int(0.6 * len(whole))
    part = whole[:border] if learn else whole[border:]
    zoom = ZOOM * rng.uniform(0.95, 1.05)
    turn = rng.uniform(-0.04, 0.04)
    half_x = (WIDTH * np.cos(turn) + HEIGHT * abs(np.sin(turn))) / zoom / 2 + 1
    half_y = (HEIGHT * np.cos(turn) + WIDTH * abs(np.sin(turn))) / zoom / 2 + 1
    x = rng.uniform(half_x, part.shape[1] - half_x)
    y = rng.uniform(half_y, part.shape[0] - half_y)
    flip_x, flip_y = rng.choice((-1, 1), 2)
    to_middle = AffineTransform(translation=(-WIDTH / 2, -HEIGHT / 2))
    to_photograph = (
        AffineTransform(scale=(flip_x / zoom, flip_y / zoom)) + AffineTransform(rotation=turn, translation=(x, y))
    )
    grey = warp(part, to_middle + to_photograph, output_shape=(HEIGHT, WIDTH), order=3, mode="reflect")
    dark, bright = np.array(MATERIALS[product] or ((0, 0, 0), (1, 1, 1)))
    return dark + grey[..., None] * (bright - dark)


def camera(rng, picture):
    """Light that falls off to one side, exposure and white balance that drift, the sensor's noise."""
    v, u = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    lean_u, lean_v = rng.normal(0, 0.04, 2)
    light = rng.uniform(0.92, 1.08) * (1 + lean_u * u + lean_v * v)
    picture = picture * light[..., None] * (1 + rng.normal(0, 0.01, 3))
    picture = picture + rng.standard_normal(picture.shape) * np.sqrt(2e-5 + 3e-4 * np.clip(picture, 0, 1))
    return np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def save(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=90)


def made(product, cache, same_batch):
    """The product's folder, made if it is not there."""
    folder = cache / product
    if not folder.exists():
        partial = cache / f"{product}.partial"
        make(product, partial, same_batch)
        partial.rename(folder)
    return folder


def first(folder, count, links):
    """A folder of links to `count` of the taught pictures."""
    links.mkdir(parents=True, exist_ok=True)
    for path in sorted((folder / "taught").iterdir())[:count]:
        link = links / path.name
        if not link.exists():
            link.symlink_to(path.resolve())
    return links


def sheet(folders, path):
    """A good picture and six defects of every kind, from conspicuous to faint, with the outline of their masks."""
    cells = []
    for folder in folders:
        for kind in KINDS[folder.name]:
            cells.append([(folder / "normal" / f"{len(cells):03}.jpg", None)])
            for n in (0, 5, 10, 15, 20, 24):
                cells[-1].append((folder / "defect" / kind / f"{n:02}.jpg", folder / "mask" / kind / f"{n:02}.png"))
    canvas = Image.new("RGB", (len(cells[0]) * WIDTH, len(cells) * HEIGHT))
    for down, line in enumerate(cells):
        for right, (picture, mask) in enumerate(line):
            pixels = np.array(Image.open(picture).convert("RGB"))
            if mask is not None:
                inside = np.asarray(Image.open(mask)) > 127
                grown = np.zeros_like(inside)
                for axis in (0, 1):
                    for step in (-4, 4):
                        grown |= np.roll(inside, step, axis)
                edge = grown & ~inside
                pixels[edge] = pixels[edge] // 2 + np.array((0, 127, 0), np.uint8)
            canvas.paste(Image.fromarray(pixels), (right * WIDTH, down * HEIGHT))
    canvas.save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    caches = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser.add_argument("--cache", type=Path, default=caches / "lineside/anomaly-textures")
    parser.add_argument("--products", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--counts", nargs="*", type=int, default=[30, 60, TAUGHT], help="pictures to learn from")
    parser.add_argument("--same-batch", action="store_true")
    parser.add_argument("--sheet", type=Path, help="writes a contact sheet (PNG)")
    parser.add_argument("--teach", nargs=argparse.REMAINDER, default=[], help="further options of lineside teach")
    arguments = parser.parse_args()

    cache = arguments.cache / ("same-batch" if arguments.same_batch else "new-batch")
    folders = [made(product, cache, arguments.same_batch) for product in arguments.products]
    if arguments.sheet:
        sheet(folders, arguments.sheet)
    for folder in folders:
        for count in arguments.counts:
            work = cache / "work" / f"{folder.name}-{count}"
            figures = teach_and_evaluate(
                first(folder, count, work / "taught"),
                folder / "normal",
                folder / "defect",
                work / "bundle",
                arguments.teach,
                folder / "mask",
            )
            show(row(f"{folder.name}/{count}", figures), candidates(figures["lesson"]))


if __name__ == "__main__":
    main()
