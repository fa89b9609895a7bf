"""Paints defects on photographs of materials, as seen on lines, and not as `lineside teach` makes its own.

A painter takes a generator, the picture as float [H, W, 3] in 0..1 and a strength, 1 conspicuous to 0.25 barely visible,
and returns the picture with the defect and where it is, bool [H, W].
"""

import numpy as np
import protocol  # noqa: F401, it says where demo_line is
from demo_line import open_photograph
from PIL import Image, ImageDraw
from skimage.filters import gaussian
from skimage.transform import warp

STRAYS = ("coffee", "coins", "astronaut", "motorcycle_left", "chelsea")


def groove(rng, picture, strength):
    """A cut along a bent line: dark inside, one lip catches the light."""
    height, width = picture.shape[:2]
    reach = rng.uniform(30, 50) + 45 * strength
    x, y = place(rng, picture.shape, 50)
    heading, bend = rng.uniform(0, np.pi), rng.normal(0, 0.6)
    t = np.linspace(-1, 1, 40)
    turned = heading + bend * t
    step = reach / len(t)
    line = np.stack([x + np.cumsum(np.cos(turned)) * step, y + np.cumsum(np.sin(turned)) * step], 1)
    line -= line[len(t) // 2] - (x, y)
    breadth = rng.uniform(1.5, 2.2) + 1.2 * strength
    cut = stroke((height, width), line, breadth)
    lip = stroke((height, width), line + (-1.3 * breadth / 2, -1.3 * breadth / 2), breadth * 0.7) * (1 - cut)
    picture = picture * (1 - (0.3 + 0.45 * strength) * cut)[..., None]
    return picture + ((0.05 + 0.2 * strength) * lip)[..., None], cut + lip > 0.3


def foreign(rng, picture, strength):
    """Something that does not belong: a ragged piece of another photograph lies on the material and shades it."""
    x, y = place(rng, picture.shape, 30)
    size = rng.uniform(9, 13) + 9 * strength
    piece = blob(rng, picture.shape, x, y, size, ragged=0.25)
    cover = np.clip(piece * 3, 0, 1)[..., None]
    stray = np.asarray(open_photograph(rng.choice(STRAYS)).convert("RGB"), np.float64) / 255
    height, width = picture.shape[:2]
    down, right = (rng.integers(0, max(1, have - need)) for have, need in zip(stray.shape, (height, width)))
    stray = np.roll(stray, (-down, -right), (0, 1))
    stray = np.pad(stray, ((0, height), (0, width), (0, 0)), mode="wrap")[:height, :width]
    near = cover[..., 0] > 0.5
    # The less conspicuous, the nearer its brightness comes to what lies around.
    towards = (1 - strength) * 0.6 * (picture[near].mean(0) - stray[near].mean(0))
    shade = gaussian(np.roll(cover[..., 0], (3, 3), (0, 1)), 2)[..., None]
    picture = picture * (1 - 0.45 * strength * shade)
    return picture * (1 - cover) + (stray + towards) * cover, near


def stain(rng, picture, strength):
    """Oil or a burn: a blot with soft, darker edges through which the material is still seen."""
    x, y = place(rng, picture.shape, 30)
    blot = np.clip(blob(rng, picture.shape, x, y, rng.uniform(14, 30), ragged=0.35) * 4, 0, 1)
    rim = np.clip(gaussian(blot, 1.5) * (1 - gaussian(blot, 3)) * 3, 0, 1)
    colour = np.array([(0.45, 0.30, 0.12), (0.30, 0.28, 0.26), (0.65, 0.45, 0.25)][rng.integers(3)])
    depth = (0.15 + 0.75 * strength) * gaussian(blot, 1.2) * (0.85 + 0.15 * rim)
    return picture * (1 - depth[..., None] * (1 - colour)), blot > 0.4


def hole(rng, picture, strength):
    """A puncture: black to grey inside, frayed, its rim pulled up."""
    x, y = place(rng, picture.shape, 20)
    size = rng.uniform(4, 5.5) + 5 * strength
    gap = np.clip(blob(rng, picture.shape, x, y, size, ragged=0.2) * size, 0, 1)
    gap = gaussian(gap, 0.6)
    rim = np.clip(gaussian(gap, 1.5) - gap, 0, 1)
    inside = picture.mean() * (0.6 - 0.5 * strength)
    picture = picture + (gap * 0.95)[..., None] * (inside - picture)
    return picture + (0.5 * strength * rim)[..., None], gap > 0.4


def stripe(rng, picture, strength):
    """A misprint: a straight band from edge to edge, or a part of it, lighter or darker than it should be."""
    height, width = picture.shape[:2]
    x, y = place(rng, picture.shape, 40)
    lean = rng.choice((0, np.pi / 2)) + rng.normal(0, 0.03)
    v, u = np.mgrid[:height, :width]
    across = (v - y) * np.cos(lean) - (u - x) * np.sin(lean)
    along = (u - x) * np.cos(lean) + (v - y) * np.sin(lean)
    breadth, length = rng.uniform(2, 7), rng.uniform(50, 300)
    band = np.clip(breadth - np.abs(across) + 0.5, 0, 1) * np.clip(length - np.abs(along) + 0.5, 0, 1)
    change = (0.06 + 0.3 * strength) * rng.choice((-1, 1)) * (1 + 0.25 * rng.standard_normal(3))
    return picture + band[..., None] * change * (0.5 + picture), band > 0.5


def defocus(rng, picture, strength):
    """A smear of clear glue, or a place out of focus: the texture fades."""
    x, y = place(rng, picture.shape, 35)
    soft = np.clip(blob(rng, picture.shape, x, y, rng.uniform(16, 24) + 14 * strength, ragged=0.25) * 3, 0, 1)
    blurred = gaussian(picture, 0.9 + 3 * strength, channel_axis=-1)
    return picture + soft[..., None] * (blurred - picture), soft > 0.5


def dent(rng, picture, strength):
    """Pressed in: pixels drawn towards the middle, one side shaded, the other lit."""
    height, width = picture.shape[:2]
    x, y = place(rng, picture.shape, 40)
    size = rng.uniform(18, 30) + 10 * strength
    v, u = np.mgrid[:height, :width].astype(np.float64)
    du, dv = u - x, v - y
    r = np.hypot(du, dv) / size
    fall = np.clip(1 - r**2, 0, 1) ** 2
    pull = (0.4 + 1.1 * strength) * rng.choice((1, -0.6)) * fall
    moved = np.stack([v + dv * pull, u + du * pull])
    bent = np.stack([warp(picture[..., c], moved, order=1, mode="edge") for c in range(3)], -1)
    light = (du * 0.7 + dv * 0.7) / size * fall
    return bent * (1 + 0.7 * strength * light[..., None]), r < 0.8


PAINTERS = {
    painter.__name__: painter for painter in (groove, foreign, stain, hole, stripe, defocus, dent)
}


def place(rng, shape, margin):
    return rng.uniform(margin, shape[1] - margin), rng.uniform(margin, shape[0] - margin)


def blob(rng, shape, x, y, size, ragged):
    """1 in the middle of a squashed disc with an uneven edge, 0 at the edge, negative outside."""
    v, u = np.mgrid[: shape[0], : shape[1]]
    lean, squash = rng.uniform(0, np.pi), rng.uniform(0.55, 1)
    along = (u - x) * np.cos(lean) + (v - y) * np.sin(lean)
    across = ((v - y) * np.cos(lean) - (u - x) * np.sin(lean)) / squash
    uneven = gaussian(rng.standard_normal(shape[:2]), max(1.5, size / 4))
    return 1 - np.hypot(along, across) / size - ragged * uneven / uneven.std() * 0.6


def stroke(shape, line, breadth):
    """Coverage, 0..1, by a line of `breadth` pixels."""
    finer = 4
    canvas = Image.new("L", (shape[1] * finer, shape[0] * finer))
    points = [(finer * px, finer * py) for px, py in line]
    ImageDraw.Draw(canvas).line(points, fill=255, width=max(1, round(breadth * finer)), joint="curve")
    return np.asarray(canvas.reduce(finer), np.float64) / 255
