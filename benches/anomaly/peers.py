#!/usr/bin/env python3
"""Two well-known methods on our backbone's features, with the same pictures: the peers' rows in docs/anomaly.md.

    benches/anomaly/peers.py [--data DIR] [SET ...]

Sets as in sets.py, and `tiles` (magnetic tiles, P2, three seeds). Both methods see the frame at 320 x 320, as `teach` does, and a frame's score
is that of its most distant place:

- PaDiM-like (Defard et al. 2021): 100 of the 704 channels at random, for each place a Gaussian with 0.01 on the diagonal.
- PatchCore-like (Roth et al. 2022): all channels averaged over 3 x 3 places, a coreset of 1 % of the places by greedy k-centre on 128
  random projections, distance to the nearest.

Both take features as the network gives them in INT8. Needs numpy, Pillow and onnxruntime, not the lineside binary.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from magnetic_tile import Tiles
from protocol import PROJECT
from sets import SETS, folders

SIDE = 320


class Backbone:
    """Features of pictures; each picture is run once."""

    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        self.session = onnxruntime.InferenceSession(PROJECT / "models/backbone-lite0/model.onnx", options)
        self.known = {}

    def of(self, path):
        """[channels, rows, columns] of all layers, those on half the grid repeated."""
        path = Path(path).resolve()
        if path not in self.known:
            picture = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.BILINEAR)
            image = np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1)[None])
            layers = [layer[0] for layer in self.session.run(None, {"image": image})]
            rows = layers[0].shape[1]
            self.known[path] = np.concatenate(
                [layer.repeat(rows // layer.shape[1], 1).repeat(rows // layer.shape[2], 2) for layer in layers]
            )
        return self.known[path]

    def all(self, paths, channels=slice(None)):
        """[pictures, places, channels]"""
        features = np.stack([self.of(path)[channels] for path in paths]).astype(np.float32)
        return features.reshape(*features.shape[:2], -1).transpose(0, 2, 1)


def padim(backbone, taught, *tests):
    channels = np.random.default_rng(0).permutation(len(backbone.of(taught[0])))[:100]
    normal = backbone.all(taught, channels)
    mean = normal.mean(0)
    away = (normal - mean).transpose(1, 0, 2)
    covariance = away.transpose(0, 2, 1) @ away / (len(normal) - 1) + 0.01 * np.eye(100, dtype=np.float32)
    inverse = np.linalg.inv(np.linalg.cholesky(covariance))

    def score(paths):
        away = (backbone.all(paths, channels) - mean).transpose(1, 2, 0)
        return np.square(inverse @ away).sum(1).max(0)

    return [score(paths) for paths in tests]


def averaged(features):
    """Means over 3 x 3 places; [pictures, places, channels]."""
    side = int(features.shape[1] ** 0.5)
    square = np.pad(features.reshape(len(features), side, side, -1), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    parts = [square[:, y : y + side, x : x + side] for y in range(3) for x in range(3)]
    return (sum(parts) / 9).reshape(features.shape)


def patchcore(backbone, taught, *tests):
    places = averaged(backbone.all(taught))
    places = places.reshape(-1, places.shape[-1])
    random = np.random.default_rng(0)
    reduced = places @ random.standard_normal((places.shape[1], 128), dtype=np.float32)
    distance = np.full(len(reduced), np.inf, np.float32)
    bank = [int(random.integers(len(reduced)))]
    for _ in range(max(1, len(reduced) // 100) - 1):
        distance = np.minimum(distance, np.square(reduced - reduced[bank[-1]]).sum(1))
        bank.append(int(distance.argmax()))
    bank = places[bank]
    squares = np.square(bank).sum(1)

    def score(paths):
        scores = []
        for path in paths:
            own = averaged(backbone.all([path]))[0]
            nearest = (np.square(own).sum(1)[:, None] + squares - 2 * own @ bank.T).min(1)
            scores.append(nearest.max())
        return np.array(scores)

    return [score(paths) for paths in tests]


def auroc(normal, defect):
    """The share of pairs in the right order; ties count half."""
    above = (defect[:, None] > normal).sum() + 0.5 * (defect[:, None] == normal).sum()
    return above / (len(normal) * len(defect))


def pictures(folder):
    return sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".png", ".jpg"))


def splits(name, data, work):
    """Pictures to teach, unseen good ones and defects; several seeds for the tiles."""
    if name != "tiles":
        yield tuple(pictures(folder) for folder in folders(name, data, work))
        return
    tiles = Tiles(data / "magnetic-tile")
    for seed in range(3):
        taught, test = tiles.p2(seed)
        paths = lambda indices: [tiles.paths[i] for i in indices]
        yield paths(taught), paths(i for i in test if tiles.normal[i]), paths(i for i in test if not tiles.normal[i])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=(*SETS, "tiles"), metavar="SET")
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared/data")
    arguments = parser.parse_args()
    for name in arguments.sets:
        backbone, figures = Backbone(), {"PaDiM-like": [], "PatchCore-like": []}
        with tempfile.TemporaryDirectory() as work:
            for split in splits(name, arguments.data, Path(work)):
                for method, run in (("PaDiM-like", padim), ("PatchCore-like", patchcore)):
                    figures[method].append(auroc(*run(backbone, *split)))
        print(f"{name:8}", *(f"{method} {np.mean(areas):.3f}" for method, areas in figures.items()), flush=True)


if __name__ == "__main__":
    main()
