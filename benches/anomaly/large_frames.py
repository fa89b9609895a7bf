#!/usr/bin/env python3
"""Teaches and evaluates on rendered frames of 1280x960 with defects of 6 to 14 pixels: figures of docs/anomaly.md, "Detail".

    benches/anomaly/large_frames.py [--cache DIR] [--seed N] [--details coarse normal fine] [board] [metal]

`board` is a circuit board that lies still but for a pixel or two: what is missing or too much is bound to a place. `metal` is brushed
sheet that looks alike everywhere and is never the same. 60 good frames are taught; 60 good ones and 12 of each kind of defect are
evaluated. Needs numpy, scipy, pillow and the lineside binary (LINESIDE_BIN, or target/release/lineside).
"""

import argparse
import os
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from protocol import candidates, teach_and_evaluate

WIDTH, HEIGHT = 1280, 960
MARGIN = 40  # of the board around the frame: it moves a little
GOOD, UNSEEN, DEFECTS = 60, 60, 12
MASK, COPPER, TIN, CASE = (0.05, 0.22, 0.12), (0.70, 0.66, 0.50), (0.72, 0.72, 0.70), (0.06, 0.06, 0.07)


class Board:
    """Chips with pins of 6x14 pixels every 12, and arrays of pads of 10 pixels, over traces."""

    kinds = ("pin", "bridge", "pad", "ball", "scratch")

    def __init__(self, seed):
        self.seed = seed
        rng = np.random.default_rng([seed, 0])
        height, width = HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN
        grain = ndimage.gaussian_filter(rng.standard_normal((height, width)), 1.5)
        traces = np.zeros((height, width), bool)
        for _ in range(160):
            x, y = rng.integers(60, width - 60), rng.integers(60, height - 60)
            for _ in range(4):
                length, thick, sign = int(rng.integers(30, 220)), int(rng.integers(2, 5)), rng.choice((-1, 1))
                if rng.random() < 0.5:
                    to = int(np.clip(x + sign * length, 60, width - 60))
                    traces[y : y + thick, min(x, to) : max(x, to)] = True
                    x = to
                else:
                    to = int(np.clip(y + sign * length, 60, height - 60))
                    traces[min(y, to) : max(y, to), x : x + thick] = True
                    y = to
        self.picture = np.array(MASK) + 0.03 * grain[..., None]
        self.picture[traces] = 0.5 * self.picture[traces] + 0.6 * np.array((0.10, 0.38, 0.18))
        self.pins, self.pads = [], []
        for column in range(5):
            for line in range(4):
                x, y = 120 + 230 * column + int(rng.integers(-15, 15)), 120 + 210 * line + int(rng.integers(-15, 15))
                (self._chip if rng.integers(0, 3) < 2 else self._array)(rng, x, y)

    def _chip(self, rng, x, y):
        count, height = int(rng.integers(6, 11)), int(rng.integers(50, 80))
        self.picture[y : y + height, x : x + 12 * count + 8] = CASE
        self.picture[y + 8 : y + 14, x + 8 : x + 14] = (0.16, 0.16, 0.17)
        for row in (y - 14, y + height):
            for number in range(count):
                left = x + 7 + 12 * number
                self.picture[row : row + 14, left : left + 6] = TIN
                self.pins.append((left, row, number + 1 < count))

    def _array(self, _, x, y):
        for i in range(6):
            for j in range(5):
                centre = x + 20 * i, y + 20 * j
                disc(self.picture, centre, 5, COPPER)
                disc(self.picture, centre, 2.2, (0.04, 0.04, 0.04))
                self.pads.append(centre)

    def frame(self, number, kind=None):
        rng = np.random.default_rng([self.seed, 1, number])
        picture = self.picture.copy()
        if kind is not None:
            self._spoil(picture, kind, np.random.default_rng([self.seed, 2, number]))
        turn, shift = np.deg2rad(rng.normal(0, 0.12)), rng.normal(0, 1.2, 2)
        rotation = np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
        offset = np.array(picture.shape[:2]) / 2 - rotation @ (np.array((HEIGHT, WIDTH)) / 2 + shift)
        planes = (picture[..., c] for c in range(3))
        moved = [ndimage.affine_transform(p, rotation, offset, (HEIGHT, WIDTH), order=1, mode="nearest") for p in planes]
        return camera(rng, np.stack(moved, -1))

    def _spoil(self, picture, kind, rng):
        anywhere = int(rng.integers(100, WIDTH)), int(rng.integers(100, HEIGHT))
        if kind == "pin":  # missing, 6x14
            x, y, _ = self.pins[rng.integers(len(self.pins))]
            picture[y : y + 14, x : x + 6] = MASK
        elif kind == "bridge":  # solder between two pins, 6x8
            between = [pin for pin in self.pins if pin[2]]
            x, y, _ = between[rng.integers(len(between))]
            y += int(rng.integers(0, 6))
            picture[y : y + 8, x + 6 : x + 12] = (0.68, 0.68, 0.66)
        elif kind == "pad":  # missing, 10 pixels
            disc(picture, self.pads[rng.integers(len(self.pads))], 5, MASK)
        elif kind == "ball":  # of solder, 7 to 9 pixels
            disc(picture, anywhere, rng.uniform(3.5, 4.5), TIN)
        else:  # 2x12
            stroke(picture, anywhere, rng.uniform(0, np.pi), 12, 2, (0.45, 0.40, 0.25))


class Metal:
    """Brushed sheet."""

    kinds = ("pit", "speck", "dent", "scratch")

    def __init__(self, seed):
        self.seed = seed

    def frame(self, number, kind=None):
        rng = np.random.default_rng([self.seed, 3, number])
        lines = rng.standard_normal((HEIGHT, WIDTH)).astype(np.float32)
        lines = ndimage.gaussian_filter1d(ndimage.gaussian_filter1d(lines, 40, axis=1, mode="wrap"), 0.8, axis=0)
        clouds = ndimage.gaussian_filter(rng.standard_normal((HEIGHT // 8, WIDTH // 8)).astype(np.float32), 4)
        clouds = ndimage.zoom(clouds, 8, order=1)
        picture = 0.5 + 0.05 * lines / lines.std() + 0.02 * clouds / clouds.std()
        if kind is not None:
            self._spoil(picture, kind, np.random.default_rng([self.seed, 4, number]))
        return camera(rng, picture[..., None])

    def _spoil(self, picture, kind, rng):
        x, y = int(rng.integers(30, WIDTH - 30)), int(rng.integers(30, HEIGHT - 30))
        v, u = np.mgrid[-12:13, -12:13]
        part = picture[y - 12 : y + 13, x - 12 : x + 13]
        if kind == "pit":  # 6 to 10 pixels
            part[u**2 + v**2 <= rng.uniform(3, 5) ** 2] *= rng.uniform(0.45, 0.65)
        elif kind == "speck":  # 6 to 10 pixels
            part[u**2 + (1.5 * v) ** 2 <= rng.uniform(3, 5) ** 2] += rng.uniform(0.18, 0.3)
        elif kind == "dent":  # 8 to 12 pixels
            radius = rng.uniform(4, 6)
            square = (u**2 + v**2) / radius**2
            part += np.where(square < 2.5, 0.35 * (u + v) / radius * np.exp(-1.5 * square), 0)
        else:  # across the grain, 2x12
            stroke(picture, (x, y), 1.4, 12, 2, None)


def disc(picture, centre, radius, colour):
    v, u = np.mgrid[-7:8, -7:8]
    x, y = centre
    picture[y - 7 : y + 8, x - 7 : x + 8][u**2 + v**2 <= radius**2] = colour


def stroke(picture, centre, angle, length, thick, colour):
    """A line; without a colour it is lighter than what it crosses."""
    inside = np.zeros(picture.shape[:2], bool)
    for at in np.linspace(-length / 2, length / 2, 4 * length):
        x, y = int(centre[0] + at * np.cos(angle)), int(centre[1] + at * np.sin(angle))
        inside[y : y + thick, x : x + thick] = True
    picture[inside] = picture[inside] + 0.15 if colour is None else colour


def camera(rng, picture):
    """Light that falls off to one side, exposure and white balance that drift, the lens, the sensor's noise."""
    v, u = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    lean_u, lean_v = rng.normal(0, 0.04, 2)
    picture = picture * (rng.uniform(0.92, 1.08) * (1 + lean_u * u + lean_v * v))[..., None]
    if picture.shape[-1] == 3:
        picture = picture * (1 + rng.normal(0, 0.01, 3))
    picture = ndimage.gaussian_filter(picture, (0.6, 0.6, 0))
    picture = picture + rng.standard_normal(picture.shape) * np.sqrt(2e-5 + 3e-4 * np.clip(picture, 0, 1))
    return np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8).squeeze()


def make(product, folder):
    def save(path, picture):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path, quality=92)

    for part, first, count in (("good", 0, GOOD), ("unseen", 10_000, UNSEEN)):
        for n in range(count):
            save(folder / part / f"{n:03}.jpg", product.frame(first + n))
    for k, kind in enumerate(product.kinds):
        for n in range(DEFECTS):
            save(folder / "defect" / kind / f"{n:02}.jpg", product.frame(20_000 + 100 * k + n, kind))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    caches = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser.add_argument("sets", nargs="*", default=["board", "metal"])
    parser.add_argument("--cache", type=Path, default=caches / "lineside/anomaly-large-frames")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--details", nargs="+", default=["coarse", "normal", "fine"])
    arguments = parser.parse_args()
    for name in arguments.sets:
        folder = arguments.cache / f"{name}-{arguments.seed}"
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            make({"board": Board, "metal": Metal}[name](arguments.seed), partial)
            partial.rename(folder)
        for detail in arguments.details:
            out = arguments.cache / f"bundle-{name}-{arguments.seed}-{detail}"
            parts = folder / "good", folder / "unseen", folder / "defect"
            figures = teach_and_evaluate(*parts, out, ["--detail", detail])
            kinds = "  ".join(f"{kind['kind']} {kind['auroc']:.3f} {kind['found']}/{kind['n']}" for kind in figures["kinds"])
            print(
                f"{name} {arguments.seed} {detail:6} AUROC {figures['auroc']:.3f}  found "
                f"{100 * figures['found_at_threshold']:.0f} %, false alarms {100 * figures['false_alarm_rate']:.1f} %  {kinds}\n"
                f"        {candidates(figures['lesson'])}",
                flush=True,
            )


if __name__ == "__main__":
    main()
