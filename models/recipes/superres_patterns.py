"""Patterns and print, drawn from a seed: stripes, cloth, lattices and text, which photographs hold too little of.

A pattern finer than a small picture's pixels comes back from the reduction as other stripes, coarser and of another
direction. They are measured on; to learn from them costs more on photographs than it gains (docs/superres.md).
"""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE = 384
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:-+/%()      "))


def patterns(count, seed):
    """Pictures in RGB, grey, of SIZE × SIZE pixels."""
    rng = np.random.default_rng(seed)
    for n in range(count):
        luma = page(rng) if n % 4 == 3 else cloth(rng)
        yield Image.fromarray(luma.round().clip(0, 255).astype(np.uint8)).convert("RGB")


def cloth(rng):
    """Two or three weaves, each where a slow function of the place is above the others; light and folds over it all."""
    layers = [weave(rng) for _ in range(rng.integers(2, 4))]
    masks = np.stack([slow(rng, rng.uniform(60, 200)) for _ in layers])
    picture = np.choose(masks.argmax(0), layers)
    return picture + 30 * slow(rng, 120) + rng.normal(0, rng.uniform(0, 2), picture.shape)


def weave(rng):
    """Stripes, squares or dots of up to half a cycle a pixel, bent slowly."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float64)
    bend = rng.uniform(0, 6) * slow(rng, 80), rng.uniform(0, 6) * slow(rng, 80)
    angle, frequency = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(0.04), np.log(0.5)))
    along = np.cos(angle) * (x + bend[0]) + np.sin(angle) * (y + bend[1])
    across = -np.sin(angle) * (x + bend[0]) + np.cos(angle) * (y + bend[1])
    values = wave(rng, along * frequency)
    kind = rng.integers(4)
    if kind == 1:  # a lattice
        values = np.maximum(values, wave(rng, across * frequency * rng.uniform(0.5, 1)))
    elif kind == 2:  # a weave
        values = values * wave(rng, across * frequency * rng.uniform(0.5, 1))
    contrast = rng.uniform(10, 70)
    return rng.uniform(contrast, 255 - contrast) + contrast * values


def wave(rng, cycles):
    """Of the cycles: from a sine to hard stripes, -1 to 1."""
    sharp = np.exp(rng.uniform(0, 3))
    return np.tanh(sharp * (np.sin(2 * np.pi * (cycles + rng.uniform())) + rng.uniform(-0.4, 0.4))) / np.tanh(sharp)


def page(rng):
    """Lines of text of several sizes, at an angle one time in two, on paper that is not quite even."""
    wide = SIZE * 3 // 2
    picture = Image.new("L", (wide, wide), 0)
    draw, y = ImageDraw.Draw(picture), 0
    while y < wide:
        size = int(np.exp(rng.uniform(np.log(8), np.log(40))))
        font = ImageFont.load_default(size)
        draw.text((rng.integers(-20, 20), y), "".join(rng.choice(LETTERS, 2 * wide // size)), 255, font)
        y += int(size * rng.uniform(1.1, 1.8))
        if rng.random() < 0.2:
            draw.line((0, y, wide, y + rng.integers(-8, 9)), 255, int(rng.integers(1, 4)))
            y += 4
    if rng.random() < 0.5:
        picture = picture.rotate(rng.uniform(-30, 30), Image.BICUBIC)
    edge = (wide - SIZE) // 2
    ink = np.asarray(picture.crop((edge, edge, edge + SIZE, edge + SIZE)), np.float64) / 255
    paper, contrast = rng.uniform(40, 215), rng.uniform(30, 160) * rng.choice((-1, 1))
    return paper + 15 * slow(rng, 150) + contrast * ink + rng.normal(0, rng.uniform(0, 2), ink.shape)


def slow(rng, length):
    """Smooth noise that changes within so many pixels, -1 to 1 for the most part."""
    cells = max(2, round(SIZE / length) + 1)
    noise = Image.fromarray(rng.normal(0, 0.5, (cells, cells)).astype(np.float32))
    return np.asarray(noise.resize((SIZE, SIZE), Image.BICUBIC), np.float64)
