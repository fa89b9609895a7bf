"""The bundles of super-resolution: networks trained in float, then in integers, and written as QDQ ONNX.

    models/recipes/build superres-x3

INT8 is measured by the lineside binary: LINESIDE_BIN, or target/release/lineside.
"""

import argparse
from dataclasses import dataclass

import numpy as np
import torch

from superres_bundle import program, shipped_earlier, write
from superres_camera import Camera
from superres_network import PIXEL, Network
from superres_pictures import CACHE, Pictures, Reduction, bicubic, first_kinds, more_kinds
from superres_quantize import Integers
from superres_train import SEED, train_float, train_integers

TINY, FAST, FINE = (16,) * 4, (16, 24, 24, 24, 24), (32,) * 7
FLOAT_RATE, INTEGER_RATE = 3e-3, 5e-4
CALIBRATION = 12  # batches
BICUBIC = Reduction(bicubic)
# Flat areas teach too: there, noise is to go.
CAMERA = Reduction(Camera(), takes=2, dull=0.0)

# Of the second round: more pictures.
SECOND = {"kinds": more_kinds, "version": "0.3.0"}


@dataclass
class Recipe:
    """How a bundle is made."""

    scale: int
    widths: tuple  # channels of the hidden layers
    steps: int  # in float
    integer_steps: int
    start: str | None = None  # the bundle whose network, but for its last layer, it begins with, trained first
    earlier: str | None = None  # or the bundle whose version 0.2.0, in integers, it begins with, whole
    ends: int = 3  # the side of the first and the last kernel
    reduction: Reduction = BICUBIC
    kinds: callable = first_kinds  # of pictures
    rate: float = FLOAT_RATE
    version: str = "0.2.0"


RECIPES = {
    "superres-x3": Recipe(3, FAST, 24_000, 3_000),
    "superres-x3-fine": Recipe(3, FINE, 40_000, 1_500),
    "superres-camera": Recipe(3, FAST, 5_000, 1_500, start="superres-x3", reduction=CAMERA),
    "superres-camera-fine": Recipe(3, FINE, 4_000, 1_000, start="superres-x3-fine", reduction=CAMERA),
    "superres-x2-tiny": Recipe(2, TINY, 26_000, 2_000, ends=5, **SECOND),
    "superres-x2": Recipe(2, FAST, 16_000, 2_000, earlier="superres-x2", rate=2e-3, **SECOND),
    "superres-x2-fine": Recipe(2, FINE, 6_000, 1_500, earlier="superres-x2-fine", rate=1e-3, **SECOND),
    "superres-x4": Recipe(4, FAST, 5_000, 1_500, start="superres-x3"),
    "superres-x4-fine": Recipe(4, FINE, 4_000, 1_000, start="superres-x3-fine"),
}


def float_network(name):
    """(network, its pictures, seconds): trained, or taken up where it was left; so is what it begins with."""
    recipe = RECIPES[name]
    net = Network(recipe.widths, recipe.scale, SEED, recipe.ends).to(memory_format=torch.channels_last)
    if recipe.start:
        net.body().load_state_dict(float_network(recipe.start)[0].body().state_dict())
    if recipe.earlier:
        begin_with(net, shipped_earlier(recipe.earlier))
    pictures = Pictures(recipe.scale, recipe.reduction, recipe.kinds)
    return net, pictures, train_float(net, pictures, recipe.steps, recipe.rate, checkpoint(name, "float", recipe.steps))


@torch.no_grad()
def begin_with(net, layers):
    """`layers`: (kernel, bias) of each convolution."""
    for conv, (kernel, bias) in zip(net.convs, layers):
        conv.weight.copy_(torch.from_numpy(kernel))
        conv.bias.copy_(torch.from_numpy(bias))


def integer_network(name, net, pictures):
    """(network in integers, seconds)."""
    rng = np.random.default_rng(SEED)
    low = np.concatenate([pictures.batch(rng)[0] for _ in range(CALIBRATION)])
    integers = Integers(net, torch.from_numpy(low).float() * PIXEL)
    steps = RECIPES[name].integer_steps
    saved = checkpoint(name, "integers", steps)
    return integers, train_integers(integers, pictures, steps, INTEGER_RATE, saved)


def checkpoint(name, stage, steps):
    folder = CACHE / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{stage}-{steps}.pt"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("name", choices=RECIPES)
    name = arguments.parse_args().name
    program()
    torch.set_num_threads(1)  # the sums then come out alike on every run

    net, pictures, float_seconds = float_network(name)
    integers, integer_seconds = integer_network(name, net, pictures)
    write(name, RECIPES[name], net, integers, (float_seconds, integer_seconds))


if __name__ == "__main__":
    main()
