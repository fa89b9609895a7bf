"""Training pairs for super-resolution: luma bytes of pictures and what is left of them at a fraction of the size."""

import os
import subprocess
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from superres_patterns import patterns

PATCH = 40  # low-resolution pixels along an edge
STRIDE = 8
# Every so manieth picture of BSD200 is held back from training, to choose by.
HELD_BACK = 10

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lineside/recipes"
DATA = Path(os.environ["LINESIDE_DATA"])
LOMIRI = ("lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04")
UKUI = ("ukui-wallpapers",)
# Debian packages and what of them is photographs.
PHOTOGRAPHS = dict.fromkeys(LOMIRI + UKUI, "*") | {
    "plasma-workspace-wallpapers": "2560x1600.jpg",
    "mate-backgrounds": "nature/*.jpg",
}
# Of scikit-image, all CC0 or of NASA.
SCENES = ("astronaut", "brick", "chelsea", "coffee", "grass", "gravel", "rocket")
# Set5's `woman` is a piece of this picture of BSD200.
MEASURED_ON = "302003.png"
PATTERNS, PATTERN_SEED = 12, 12  # to measure on


@dataclass(frozen=True)
class Reduction:
    """How small pictures come from large ones."""

    reduce: callable  # of (high, scale), PIL images in RGB or luma
    takes: int = 1  # of each picture, where no two come out alike
    # Patches that bicubic already restores to within this (squared LSB) teach nothing: skies, walls.
    dull: float = 8.0


@dataclass
class Source:
    """Pictures of one kind: pairs of (low, high), the patches worth learning from: (index of the pair, y, x), and how
    many of these a batch takes."""

    pairs: list
    patches: np.ndarray
    scale: int
    share: int

    def draw(self, rng):
        for n, y, x in self.patches[rng.integers(len(self.patches), size=self.share)]:
            turn, flip = rng.integers(4), rng.integers(2)
            low, high = self.pairs[n]
            yield tuple(turned(cut(side, y, x, times), turn, flip) for side, times in ((low, 1), (high, self.scale)))


class Pictures:
    """What a network for one scale learns from, and what it is judged by meanwhile; gathered when first asked for."""

    def __init__(self, scale, reduction, kinds):
        self.scale, self.reduction, self.kinds = scale, reduction, kinds

    @cached_property
    def sources(self):
        return [source(images, factors, share, self.scale, self.reduction) for images, factors, share in self.kinds()]

    @cached_property
    def held_back(self):
        return [pair(image, 1.0, self.scale, self.reduction.reduce) for image in opened(berkeley()[1])]

    @cached_property
    def held_back_patterns(self):
        images = patterns(PATTERNS, PATTERN_SEED)
        return [pair(image, 1.0, self.scale, self.reduction.reduce) for image in images]

    def batch(self, rng):
        """Bytes [N, 1, H, W]: (low, high)."""
        drawn = [sides for source in self.sources for sides in source.draw(rng)]
        return tuple(np.stack(side)[:, None] for side in zip(*drawn))


def first_kinds():
    """(pictures, factors of their size, share of a batch): T91 and BSD200 as they are and smaller; wallpapers much smaller,
    for photographs at full size are soft."""
    return [
        (opened(pictures(DATA / "superres-train/T91")), (1.0, 0.8, 0.6), 5),
        (opened(berkeley()[0]), (1.0, 0.8, 0.6), 7),
        (opened(wallpapers(LOMIRI + UKUI)), (0.5, 0.25), 4),
    ]


def more_kinds():
    """Likewise, with more photographs, and without what is measured on."""
    scenes = [Image.fromarray(getattr(skimage.data, name)()).convert("RGB") for name in SCENES]
    known = [path for path in berkeley()[0] if path.name != MEASURED_ON]
    return [
        (opened(pictures(DATA / "superres-train/T91")), (1.0, 0.8, 0.6), 5),
        (chain(opened(known), scenes), (1.0, 0.8, 0.6), 7),
        (opened(p for p in wallpapers(PHOTOGRAPHS) if p.match(PHOTOGRAPHS[package(p)])), (0.5, 0.25), 4),
    ]


def berkeley():
    """Paths of BSD200: (to learn from, held back)."""
    paths = pictures(DATA / "superres-train/BSD200")
    return [path for n, path in enumerate(paths) if n % HELD_BACK], paths[::HELD_BACK]


def source(images, factors, share, scale, reduction):
    pairs, patches = [], []
    for image in images:
        for factor in factors * reduction.takes:
            low, high = pair(image, factor, scale, reduction.reduce)
            patches += [(len(pairs), y, x) for y, x in worthwhile(lost(high, scale), reduction.dull)]
            pairs.append((low, high))
    return Source(pairs, np.array(patches), scale, share)


def worthwhile(loss, dull):
    """Corners (y, x) of the patches that are not dull."""
    height, width = loss.shape
    sums = np.pad(loss.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    for y in range(0, height - PATCH + 1, STRIDE):
        for x in range(0, width - PATCH + 1, STRIDE):
            total = sums[y + PATCH, x + PATCH] - sums[y, x + PATCH] - sums[y + PATCH, x] + sums[y, x]
            if total > dull * PATCH**2:
                yield y, x


def pair(image, factor, scale, reduce):
    """Luma of the picture at `factor` of its size, cut to a multiple of the scale, and of that reduced."""
    image = image.resize((int(image.width * factor), int(image.height * factor)), Image.BICUBIC)
    high = image.crop((0, 0, image.width // scale * scale, image.height // scale * scale))
    return np.asarray(reduce(high, scale).convert("L")), np.asarray(high.convert("L"))


def bicubic(high, scale):
    """Luma by an antialiased bicubic filter, as the literature does it."""
    return high.convert("L").resize((high.width // scale, high.height // scale), Image.BICUBIC)


def lost(high, scale):
    """Squared error of bicubic reduction and enlargement, averaged under each low-resolution pixel."""
    height, width = (edge // scale for edge in high.shape)
    image = Image.fromarray(high)
    there_and_back = image.resize((width, height), Image.BICUBIC).resize(image.size, Image.BICUBIC)
    error = np.asarray(there_and_back, np.float32) - high
    return (error**2).reshape(height, scale, width, scale).mean((1, 3))


def cut(picture, y, x, times):
    return picture[y * times : (y + PATCH) * times, x * times : (x + PATCH) * times]


def turned(patch, turn, flip):
    patch = np.rot90(patch, turn)
    return patch[:, ::-1] if flip else patch


def opened(paths):
    for path in paths:
        yield Image.open(path).convert("RGB")


def pictures(folder):
    found = sorted(p for p in folder.rglob("*") if p.suffix in (".png", ".jpg", ".bmp") and p.is_file())
    if not found:
        raise SystemExit(f"{folder}: no pictures; set LINESIDE_DATA")
    return found


def wallpapers(packages):
    """Photographs from Debian packages, unpacked into the cache; nothing is installed."""
    folder = CACHE / "wallpapers"
    for package in packages:
        if not (folder / package).exists():
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
            (deb,) = folder.glob(f"{package}_*.deb")
            subprocess.run(["dpkg", "-x", deb, folder / package], check=True)
    return [p for package in packages for p in pictures(folder / package)]


def package(path):
    """Of a wallpaper."""
    return path.relative_to(CACHE / "wallpapers").parts[0]
