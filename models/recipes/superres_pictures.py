"""Training pairs for superres-x3: luma bytes of pictures and what is left of them at a third of the size."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SCALE = 3
PATCH = 36  # low-res pixels along an edge
STRIDE = 8
# Patches that bicubic already restores to within this (squared LSB) teach nothing: skies, walls.
DULL = 8.0

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lineside/recipes"
DATA = Path(os.environ["LINESIDE_DATA"])
WALLPAPERS = ("lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04")


@dataclass
class Source:
    """Pictures of one kind: pairs of (low, high), and the patches worth learning from: (index of the pair, y, x)."""

    pairs: list
    patches: np.ndarray

    def draw(self, count, rng):
        for n, y, x in self.patches[rng.integers(len(self.patches), size=count)]:
            low, high = self.pairs[n]
            turn, flip = rng.integers(4), rng.integers(2)
            yield tuple(turned(cut(side, y, x, times), turn, flip) for side, times in ((low, 1), (high, SCALE)))


def sources():
    """T91 and BSD200 as they are and smaller; wallpapers much smaller, for photographs at full size are soft."""
    superres = DATA / "superres-train"
    return [
        source(pictures(superres / "T91"), (1.0, 0.8, 0.6)),
        source(pictures(superres / "BSD200"), (1.0, 0.8, 0.6)),
        source(wallpapers(), (0.5, 0.25)),
    ]


def batch(sources, count, rng):
    """A third of the batch from each source, as float32 [count, 1, H, W] in 0..1: (low, high)."""
    drawn = [sides for s in sources for sides in s.draw(count // len(sources), rng)]
    return tuple(np.stack(side)[:, None].astype(np.float32) / 255 for side in zip(*drawn))


def source(paths, factors):
    pairs, patches = [], []
    for path in paths:
        luma = Image.open(path).convert("L")
        for factor in factors:
            low, high = pair(luma, factor)
            patches += [(len(pairs), y, x) for y, x in worthwhile(lost(low, high))]
            pairs.append((np.asarray(low), np.asarray(high)))
    return Source(pairs, np.array(patches))


def worthwhile(loss):
    """Corners (y, x) of the patches that are not dull."""
    height, width = loss.shape
    for y in range(0, height - PATCH + 1, STRIDE):
        for x in range(0, width - PATCH + 1, STRIDE):
            if loss[y : y + PATCH, x : x + PATCH].mean() > DULL:
                yield y, x


def pair(luma, factor):
    """The picture at `factor` of its size, cut to a multiple of the scale, and that at a third."""
    width, height = (int(edge * factor) // SCALE for edge in luma.size)
    high = luma.resize((int(luma.width * factor), int(luma.height * factor)), Image.BICUBIC)
    high = high.crop((0, 0, width * SCALE, height * SCALE))
    return high.resize((width, height), Image.BICUBIC), high


def lost(low, high):
    """Squared error of bicubic enlargement, averaged under each low-res pixel."""
    error = np.asarray(low.resize(high.size, Image.BICUBIC), np.float32) - np.asarray(high, np.float32)
    return (error**2).reshape(low.height, SCALE, low.width, SCALE).mean((1, 3))


def cut(picture, y, x, times):
    return picture[y * times : (y + PATCH) * times, x * times : (x + PATCH) * times]


def turned(patch, turn, flip):
    patch = np.rot90(patch, turn)
    return patch[:, ::-1] if flip else patch


def pictures(folder):
    found = sorted(p for p in folder.rglob("*") if p.suffix in (".png", ".jpg", ".bmp"))
    if not found:
        raise SystemExit(f"{folder}: no pictures; set LINESIDE_DATA")
    return found


def wallpapers():
    """Photographs from Debian packages, unpacked into the cache; nothing is installed."""
    folder = CACHE / "wallpapers"
    for package in WALLPAPERS:
        if not (folder / package).exists():
            folder.mkdir(parents=True, exist_ok=True)
            subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
            (deb,) = folder.glob(f"{package}_*.deb")
            subprocess.run(["dpkg", "-x", deb, folder / package], check=True)
    return [p for package in WALLPAPERS for p in pictures(folder / package)]
