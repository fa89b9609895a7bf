"""PSNR-Y on Set5 and Set14 ×3 by the literature's protocol, through what the runtime does with a colour picture."""

import numpy as np
from PIL import Image

from superres_pictures import DATA, SCALE


def score(enlarge, name):
    """Mean PSNR-Y in dB over the set `name`. `enlarge` takes luma bytes [H, W] and returns them [3H, 3W]."""
    folder = DATA / "superres-eval" / name / f"x{SCALE}"
    figures = []
    for path in sorted((folder / "LR").glob("*.png")):
        y, cb, cr = split(np.asarray(Image.open(path).convert("RGB")))
        enlarged = joined(enlarge(y), bicubic(cb), bicubic(cr))
        high = np.asarray(Image.open(folder / "HR" / path.name.replace("_LR", "_HR")).convert("RGB"))
        figures.append(psnr_y(enlarged, high[: enlarged.shape[0], : enlarged.shape[1]]))
    return float(np.mean(figures))


def bicubic(plane):
    height, width = plane.shape
    return np.asarray(Image.fromarray(plane).resize((width * SCALE, height * SCALE), Image.BICUBIC))


def split(rgb):
    """Full-range BT.601 planes of RGB bytes: (Y, Cb, Cr), bytes too."""
    r, g, b = np.moveaxis(rgb.astype(np.float64), 2, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return tuple(to_bytes(plane) for plane in (y, 128 + (b - y) / 1.772, 128 + (r - y) / 1.402))


def joined(y, cb, cr):
    y, cb, cr = (plane.astype(np.float64) for plane in (y, cb, cr))
    r, b = y + 1.402 * (cr - 128), y + 1.772 * (cb - 128)
    return to_bytes(np.stack((r, (y - 0.299 * r - 0.114 * b) / 0.587, b), axis=2))


def to_bytes(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def psnr_y(a, b):
    """On studio-range BT.601 luma of RGB bytes; a border as wide as the scale is left out; the peak is 255."""
    error = (studio_luma(a) - studio_luma(b))[SCALE:-SCALE, SCALE:-SCALE]
    return 10 * np.log10(255**2 / np.mean(error**2))


def studio_luma(rgb):
    """MATLAB's rgb2ycbcr of bytes, which rounds to bytes too."""
    return np.rint(16 + rgb.astype(np.float64) @ (65.481, 128.553, 24.966) / 255)
