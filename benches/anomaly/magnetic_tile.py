#!/usr/bin/env python3
"""Teaches on normal magnetic tiles and evaluates on unseen ones: the figures of docs/anomaly.md.

    benches/anomaly/magnetic_tile.py [--data DIR] [--seeds 5] [--labels N] [--no-p1] [--teach OPTION ...]

Two protocols. P1, the published one: a random 80 % of the normal pictures to learn from, the rest and all defects to test on.
It leaks: there are about six exposures of each tile. P2, by tile: 80 % of the tiles that have only normal pictures to learn
from, everything else to test on; mean of several seeds. With --labels, N masked defects of each kind help to teach: they come
from half of the tiles that have that kind, and no tile that any label may come from is tested on.

Needs numpy and the lineside binary (LINESIDE_BIN, or target/release/lineside). Pictures are linked, not copied.
"""

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np

from protocol import PROJECT, candidates, mean, row, show, teach_and_evaluate

KINDS = ("blowhole", "break", "crack", "fray", "uneven")


class Tiles:
    """The pictures, their tile and what is wrong with them."""

    def __init__(self, folder):
        rows = sorted(csv.DictReader(open(folder / "groups.csv")), key=lambda row: row["path"])
        self.paths = [folder / row["path"] for row in rows]
        self.kinds = np.array([row["class"] for row in rows])
        self.groups = np.array([int(row["group"]) for row in rows])
        self.normal = self.kinds == "normal"

    def p1(self, seed):
        order = np.random.default_rng(seed).permutation(np.where(self.normal)[0])
        taught = int(0.8 * len(order) + 0.5)
        return np.sort(order[:taught]), np.concatenate([np.sort(order[taught:]), np.where(~self.normal)[0]])

    def p2(self, seed):
        pure = np.array(sorted(set(self.groups[self.normal]) - set(self.groups[~self.normal])))
        order = np.random.default_rng(seed).permutation(pure)
        taught = np.isin(self.groups, order[: int(0.8 * len(order) + 0.5)]) & self.normal
        return np.where(taught)[0], np.where(~taught)[0]

    def labelled(self, count, seed):
        """Up to `count` defects of each kind, and the tiles that are kept from the test for their sake."""
        random = np.random.default_rng(100 + seed)
        order = random.permutation(np.unique(self.groups[~self.normal]))
        labels, kept = [], set()
        for kind in KINDS:
            tiles = [tile for tile in order if ((self.groups == tile) & (self.kinds == kind)).any()]
            half = tiles[: len(tiles) // 2]
            pool = [i for tile in half for i in np.where((self.groups == tile) & (self.kinds == kind))[0]]
            labels += list(random.permutation(pool)[:count])
            kept |= set(half)
        return labels, kept

    def link(self, folder, indices):
        for index in indices:
            path = self.paths[index]
            kind = folder if self.normal[index] else folder / self.kinds[index]
            kind.mkdir(parents=True, exist_ok=True)
            (kind / path.name).symlink_to(path)


def measure(tiles, taught, test, options, masks, labels=()):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        tiles.link(folder / "taught", taught)
        tiles.link(folder / "normal", [i for i in test if tiles.normal[i]])
        tiles.link(folder / "defect", [i for i in test if not tiles.normal[i]])
        if len(labels):
            tiles.link(folder / "labelled", labels)
            options = [*options, "--defects", folder / "labelled", "--masks", masks]
        return teach_and_evaluate(
            folder / "taught", folder / "normal", folder / "defect", folder / "tile", options, masks
        )


def remark(lesson):
    labelled = lesson["labelled"]
    told = f"; {labelled['count']} labels {labelled['auroc_without']:.3f} -> {labelled['auroc_with']:.3f}" if labelled else ""
    return candidates(lesson) + told


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared/data/magnetic-tile")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels", type=int, default=0, help="labelled defects a kind (default: none)")
    parser.add_argument("--no-p1", action="store_true")
    parser.add_argument("--teach", nargs=argparse.REMAINDER, default=[], help="further options of lineside teach")
    arguments = parser.parse_args()
    tiles = Tiles(arguments.data)
    masks = arguments.data / "mask"

    lines = []
    for seed in range(arguments.seeds):
        taught, test = tiles.p2(seed)
        labels, kept = tiles.labelled(arguments.labels, seed) if arguments.labels else ([], set())
        test = [i for i in test if tiles.groups[i] not in kept]
        figures = measure(tiles, taught, test, arguments.teach, masks, labels)
        lines.append(row(f"P2/{seed}", figures))
        show(lines[-1], remark(figures["lesson"]))
    show(mean("P2 mean", lines))
    if not arguments.no_p1 and not arguments.labels:
        show(row("P1", measure(tiles, *tiles.p1(0), arguments.teach, masks)))


if __name__ == "__main__":
    main()
