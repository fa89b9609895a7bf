"""Renders the demo line: turned steel flanges on a conveyor belt, seen from above by a fixed camera.

A part is a height field lit by two bar lights. Its face is turned on a lathe, so the highlight is anisotropic
(Ward 1992): wide across the tool marks, narrow along them, which gives turned metal its bow-tie shine. Lengths are
pixels of the finished picture; everything is drawn at twice that and averaged down.
"""

from dataclasses import dataclass
from importlib import resources

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 320, 240
DEFECTS = ("scratch", "dent", "stain", "missing")

SUPERSAMPLING = 2
OUTER, HUB, BORE = 98.0, 53.0, 26.0
BOLT_CIRCLE, BOLT, BOLTS, DOWEL = 75.0, 8.4, 6, 4.2
STEEL = np.array([0.60, 0.61, 0.62], np.float32)
BELT = np.array([0.045, 0.085, 0.075], np.float32)
# Direction towards each light, its strength and its tint: a bar light over the upper left corner, a weaker one at the right.
LIGHTS = (
    (np.array([-0.45, -0.62, 0.85]), 1.0, np.array([1.00, 0.99, 0.96], np.float32)),
    (np.array([0.80, 0.25, 0.90]), 0.45, np.array([0.93, 0.97, 1.00], np.float32)),
)


@dataclass
class Part:
    """One part in the picture: what light meets at every sample."""

    turn: float  # the first bolt hole's angle
    inside: np.ndarray  # coverage by metal, 0..1
    height: np.ndarray
    tint: np.ndarray  # [H, W, 3], multiplies the steel's colour
    gloss: np.ndarray  # multiplies the highlight
    marks: np.ndarray  # how much of the tool marks is left, 0..1
    grain: tuple  # unit vector along the tool marks
    painted: np.ndarray  # where a defect was put


def render(seed: int, defect: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """One frame, u8 [240, 320, 3], and where its defect is, bool [240, 320]. A seed always gives the same frame."""
    rng = np.random.default_rng([seed, 0])
    y, x = sample_grid()
    x0 = WIDTH / 2 + rng.uniform(-6, 6)
    y0 = HEIGHT / 2 + rng.uniform(-3, 3)
    # The feeder lays parts down turned by at most 15 degrees.
    part = turned_flange(rng, x - x0, y - y0, rng.uniform(-0.26, 0.26))
    if defect is not None:
        # An own generator: the part and its surroundings stay what they are without the defect.
        PAINTERS[defect](part, np.random.default_rng([seed, 1]), x - x0, y - y0)
    light = belt(rng, x, y) * shadow(part)[..., None]
    light += (shade(rng, part) - light) * part.inside[..., None]
    rails(light, y)
    return sensor(rng, light), shrink(part.painted.astype(np.float32)) > 0.3


def sample_grid():
    step = 1 / SUPERSAMPLING
    y, x = np.mgrid[0 : HEIGHT * SUPERSAMPLING, 0 : WIDTH * SUPERSAMPLING].astype(np.float32)
    return (y + 0.5) * step, (x + 0.5) * step


# --- the part -------------------------------------------------------------------------------------------------------


def turned_flange(rng, dx, dy, turn) -> Part:
    radius = np.hypot(dx, dy) + 1e-3
    angle = np.arctan2(dy, dx) - turn
    edge = np.minimum(OUTER - radius, radius - BORE)
    for k in range(BOLTS):
        edge = np.minimum(edge, hole(dx, dy, turn + 2 * np.pi * k / BOLTS, BOLT))
    edge = np.minimum(edge, hole(dx, dy, turn + np.pi / BOLTS, DOWEL))

    height = chamfer(edge, 2.6) + chamfer(HUB - radius, 3.0)
    height -= 1.1 * np.exp(-(((radius - 88.5) / 1.4) ** 2))  # the groove for the sealing ring
    height += tool_marks(rng, radius, angle)

    tint = 1 + 0.03 * cloud(rng, 40)[..., None] + 0.015 * cloud(rng, 6)[..., None]
    tint = tint * np.ones(3, np.float32)
    gloss = 1 + 0.06 * cloud(rng, 25)
    return Part(
        turn=turn,
        inside=np.clip(edge * SUPERSAMPLING + 0.5, 0, 1),
        height=height,
        tint=tint.astype(np.float32),
        gloss=gloss,
        marks=np.ones(dx.shape, np.float32),
        grain=(-dy / radius, dx / radius),
        painted=np.zeros(dx.shape, bool),
    )


def hole(dx, dy, angle, radius):
    """Distance to the hole's edge, positive in the metal."""
    return np.hypot(dx - BOLT_CIRCLE * np.cos(angle), dy - BOLT_CIRCLE * np.sin(angle)) - radius


def chamfer(distance, width):
    """A 45 degree slope that rises over `width` and rounds into the flat."""
    t = np.clip(distance / width, 0, 1)
    return width * (t - 0.25 * t**4)


def tool_marks(rng, radius, angle):
    """The lathe's fine rings, slightly uneven around the part: mostly the machine's own, some the part's."""
    rings = LATHE + 0.3 * ring_noise(rng)
    wobble = 0.35 * np.sin(angle * 2 + rng.uniform(0, 6)) + 0.2 * np.sin(angle * 5 + rng.uniform(0, 6))
    at = np.clip((radius + wobble) * 10, 0, 1198)
    low = at.astype(np.int32)
    return 0.012 * (rings[low] * (1 - (at - low)) + rings[low + 1] * (at - low))


def ring_noise(rng):
    """A height every tenth of a pixel of radius: the feed's marks on a coarser waviness."""
    coarse = np.interp(np.arange(1200), np.arange(0, 1200, 8), rng.standard_normal(150))
    return (rng.standard_normal(1200) + 2 * coarse).astype(np.float32)


LATHE = ring_noise(np.random.default_rng(11))


# --- defects --------------------------------------------------------------------------------------------------------


def spot_on_face(part, rng):
    """A place on the flat ring, between two bolt holes; not in the gap that has the dowel hole."""
    angle = part.turn + 2 * np.pi * (rng.integers(1, BOLTS) + 0.5 + rng.uniform(-0.12, 0.12)) / BOLTS
    radius = rng.uniform(HUB + 13, OUTER - 21)
    return radius * np.cos(angle), radius * np.sin(angle)


def paint_scratch(part, rng, dx, dy):
    """A slightly bent score across the tool marks: a furrow with burrs on both sides, bare metal inside."""
    cx, cy = spot_on_face(part, rng)
    lean = np.arctan2(cy, cx) + rng.uniform(-0.7, 0.7)
    along = (dx - cx) * np.cos(lean) + (dy - cy) * np.sin(lean)
    across = (dy - cy) * np.cos(lean) - (dx - cx) * np.sin(lean)
    half = rng.uniform(30, 42)
    across = across - rng.uniform(-4, 4) * (along / half) ** 2
    taper = np.clip((half - np.abs(along)) / 7, 0, 1)
    width = (1.5 + 0.25 * cloud(rng, 5)) * taper + 1e-3
    furrow = np.exp(-((across / width) ** 2)) * taper
    burr = np.exp(-(((np.abs(across) - 2.7) / 0.9) ** 2)) * taper
    part.height += 0.9 * burr - 2.6 * furrow
    part.tint += (0.9 * furrow - 0.12 * burr)[..., None]
    part.gloss *= 1 - 0.6 * furrow
    part.painted |= ((furrow > 0.2) | (burr > 0.3)) & (part.inside > 0.5)


def paint_dent(part, rng, dx, dy):
    """A blow: a bowl with a low raised rim, the tool marks inside it burnished away."""
    cx, cy = spot_on_face(part, rng)
    size = rng.uniform(18, 22)
    squash, lean = rng.uniform(0.75, 1.0), rng.uniform(0, np.pi)
    u = (dx - cx) * np.cos(lean) + (dy - cy) * np.sin(lean)
    v = ((dy - cy) * np.cos(lean) - (dx - cx) * np.sin(lean)) / squash
    r = np.hypot(u, v) / size * (1 + 0.03 * cloud(rng, 14))
    part.height += 1.4 * np.exp(-(((r - 0.95) / 0.14) ** 2)) - 9.0 * np.exp(-((r / 0.68) ** 3))
    bruised = np.exp(-((r / 0.85) ** 8))
    part.marks *= 1 - bruised
    part.tint *= (1 - 0.35 * bruised)[..., None]
    part.painted |= (r < 1.1) & (part.inside > 0.5)


def paint_stain(part, rng, dx, dy):
    """Rust from standing coolant: a ragged blot, darker at its rim, that dulls the metal."""
    cx, cy = spot_on_face(part, rng)
    size = rng.uniform(16, 21)
    r = np.hypot(dx - cx, dy - cy) / size + 0.22 * cloud(rng, 9) + 0.10 * cloud(rng, 3)
    blot = np.clip((1 - r) / 0.22, 0, 1)
    rim = np.exp(-(((r - 0.85) / 0.13) ** 2))
    strength = blot * (0.72 + 0.12 * cloud(rng, 4)) + 0.2 * rim * blot
    strength = np.clip(strength, 0, 1)[..., None]
    rust = np.array([0.42, 0.19, 0.07], np.float32)
    part.tint *= 1 - strength + strength * rust
    part.gloss *= 1 - 0.85 * blot
    part.painted |= (blot > 0.3) & (part.inside > 0.5)


def paint_missing(part, rng, dx, dy):
    """A chunk broken off the rim: the belt shows through, and the fracture slopes, coarse and dull."""
    angle = rng.uniform(0, 2 * np.pi)
    cx, cy = (OUTER + 2) * np.cos(angle), (OUTER + 2) * np.sin(angle)
    u = (dx - cx) * np.cos(angle) + (dy - cy) * np.sin(angle)
    v = (dy - cy) * np.cos(angle) - (dx - cx) * np.sin(angle)
    depth, breadth = rng.uniform(15, 19), rng.uniform(19, 27)
    jagged = 2.2 * cloud(rng, 7) + 1.0 * cloud(rng, 2.5)
    gap = (np.sqrt((u / depth) ** 2 + (v / breadth) ** 2) - 1) * depth + jagged
    whole = part.inside > 0.5
    part.inside *= np.clip(gap * SUPERSAMPLING + 0.5, 0, 1)
    fracture = np.clip(1 - gap / 4.5, 0, 1)
    part.height -= 7 * fracture**1.5 + 0.9 * fracture * cloud(rng, 1.6)
    part.tint *= (1 - 0.45 * (fracture > 0.02) * (0.7 + 0.5 * np.abs(cloud(rng, 2))))[..., None]
    part.gloss *= 1 - 0.7 * (fracture > 0.02)
    part.painted |= whole & (gap < 4.5)


PAINTERS = dict(zip(DEFECTS, (paint_scratch, paint_dent, paint_stain, paint_missing)))


# --- light ----------------------------------------------------------------------------------------------------------


def shade(rng, part):
    gy, gx = np.gradient(part.height, 1 / SUPERSAMPLING)
    length = np.sqrt(1 + gx**2 + gy**2)
    nx, ny, nz = -gx / length, -gy / length, 1 / length
    tx, ty = part.grain
    colour = np.zeros(part.tint.shape, np.float32)
    for towards, strength, tint in LIGHTS:
        towards = towards + rng.normal(0, 0.012, 3)
        lx, ly, lz = towards / np.linalg.norm(towards)
        diffuse = np.clip(nx * lx + ny * ly + nz * lz, 0, None)
        hx, hy, hz = np.array([lx, ly, lz + 1]) / np.linalg.norm([lx, ly, lz + 1])
        facing = np.clip(nx * hx + ny * hy + nz * hz, 0.05, None)
        along = (tx * hx + ty * hy) / (0.40 - 0.25 * part.marks)
        across = (-ty * hx + tx * hy) - (-ty * nx + tx * ny) * hz / nz
        highlight = np.exp(-(along**2 + (across / 0.42) ** 2) / facing**2) * part.gloss
        colour += (strength * (0.20 * diffuse + 0.95 * highlight))[..., None] * tint
    # The hall above, mirrored: brighter towards the windows at the top of the picture.
    colour += (0.10 - 0.16 * ny)[..., None]
    return colour * part.tint * STEEL


def shadow(part):
    """What the part leaves of the light on the belt: a soft cast shadow and the darkness where it touches."""
    shift = [round(SUPERSAMPLING * s) for s in (9, 7)]
    cast = np.roll(part.inside, shift, (0, 1))
    return (1 - 0.55 * blur(cast, 5)) * (1 - 0.45 * blur(part.inside, 3)) * (1 - 0.2 * blur(part.inside, 14))


def belt(rng, x, y):
    """Worn green PVC: its grain is a CC0 photograph of gravel, its weave and the scuffs along its run are drawn."""
    grain = np.asarray(open_photograph("gravel"), np.float32)
    grain = (grain - grain.mean()) / grain.std()
    ox, oy = rng.integers(0, 512, 2)
    rows = (np.arange(x.shape[0]) + oy) % 512
    columns = (np.arange(x.shape[1]) + ox) % 512
    rough = grain[np.ix_(rows, columns)]
    run = rng.uniform(0, 100)
    weave = np.sin((x + run) * 2.1) * np.sin(y * 2.1)
    scuffs = SCUFFS[np.clip(y * 2, 0, len(SCUFFS) - 1).astype(int)] * (1 + 0.2 * cloud(rng, 60))
    level = 1 + 0.04 * rough + 0.08 * weave + 0.30 * scuffs + 0.03 * cloud(rng, 30)
    fall_off = 1.08 - 0.25 * np.hypot(x / WIDTH - 0.42, y / HEIGHT - 0.40)
    return (np.clip(level, 0.2, None) * fall_off)[..., None] * BELT


def rails(light, y):
    """The two aluminium guides of the belt, at the picture's upper and lower edge."""
    for distance, sheen in ((y, 0.30), (HEIGHT - y, 0.20)):
        cover = np.clip((9 - distance) * SUPERSAMPLING, 0, 1)[..., None]
        profile = sheen * (0.55 + 0.45 * np.cos((distance - 4) * 0.55))[..., None] * np.array([0.95, 0.98, 1.0])
        light += (profile - light) * cover
        under = np.clip((14 - distance) / 5, 0, 1)[..., None] * (1 - cover)
        light *= 1 - 0.5 * under


def sensor(rng, light):
    """Lens blur, exposure and white balance that drift a little, photon noise, and the sRGB curve."""
    exposure = 1.12 * rng.uniform(0.95, 1.05)
    balance = 1 + rng.normal(0, 0.008, 3)
    light = np.stack([shrink(blur(light[..., c], 0.35)) for c in range(3)], -1) * exposure * balance
    light = light / (1 + np.clip(light - 0.75, 0, None))  # highlights roll off before they clip
    light = light + rng.standard_normal(light.shape) * np.sqrt(0.8e-5 + 1.5e-4 * np.clip(light, 0, 1))
    light = np.clip(light, 0, 1)
    srgb = np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(srgb * 255).astype(np.uint8)


# --- noise and filters ----------------------------------------------------------------------------------------------


def cloud(rng, scale):
    """Smooth noise of unit variance at the samples, with features of about `scale` pixels."""
    rows, columns = int(HEIGHT / scale) + 4, int(WIDTH / scale) + 4
    coarse = Image.fromarray(rng.standard_normal((rows, columns)).astype(np.float32))
    fine = np.asarray(coarse.resize((WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING), Image.BICUBIC))
    return fine / fine.std()


def blur(values, sigma):
    """Three box filters in a row: a Gaussian to the eye. `sigma` in pixels of the picture."""
    reach = max(1, round(sigma * SUPERSAMPLING))
    for axis in (0, 1):
        for _ in range(3):
            pad = [(0, 0), (0, 0)]
            pad[axis] = (reach + 1, reach)
            total = np.cumsum(np.pad(values, pad, mode="edge"), axis, dtype=np.float64)
            high, low = [slice(None)] * 2, [slice(None)] * 2
            high[axis], low[axis] = slice(2 * reach + 1, None), slice(None, -2 * reach - 1)
            values = ((total[tuple(high)] - total[tuple(low)]) / (2 * reach + 1)).astype(np.float32)
    return values


def shrink(values):
    """Samples averaged to pixels."""
    s = SUPERSAMPLING
    return values.reshape(HEIGHT, s, WIDTH, s).mean((1, 3))


def open_photograph(name):
    """A picture that scikit-image ships."""
    [path] = resources.files("skimage.data").glob(f"{name}.*")
    return Image.open(path)


# Where parts have rubbed the belt for months: the same lines in every frame, as the camera does not move.
SCUFFS = np.clip(
    np.convolve(np.random.default_rng(7).standard_normal(HEIGHT * 2), np.ones(5) / 5, "same"), 0, None
).astype(np.float32)
