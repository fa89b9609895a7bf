"""PSNR and SSIM of luma by the literature's protocol, through what the runtime does with a colour picture."""

import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity


def score(enlarge, high, low, scale):
    """Mean (PSNR in dB, SSIM) over the pictures of two folders. `enlarge` takes luma bytes [H, W], returns larger ones."""
    figures = []
    for path, large in zip(sorted(low.glob("*.png")), sorted(high.glob("*.png")), strict=True):
        y, cb, cr = split(np.asarray(Image.open(path).convert("RGB")))
        enlarged = studio_luma(joined(enlarge(y), bicubic(cb, scale), bicubic(cr, scale)))
        wanted = studio_luma(np.asarray(Image.open(large).convert("RGB")))
        wanted = wanted[: enlarged.shape[0], : enlarged.shape[1]]
        figures.append((luma_psnr(enlarged, wanted, scale), luma_ssim(enlarged, wanted, scale)))
    return tuple(float(mean) for mean in np.mean(figures, axis=0))


def bicubic(plane, scale):
    height, width = plane.shape
    return np.asarray(Image.fromarray(plane).resize((width * scale, height * scale), Image.BICUBIC))


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


def luma_psnr(a, b, scale):
    """Of luma planes; a border as wide as the scale is left out; the peak is 255."""
    error = (a.astype(np.float64) - b)[scale:-scale, scale:-scale]
    return 10 * np.log10(255**2 / np.mean(error**2))


def luma_ssim(a, b, scale):
    """Wang et al. 2004: a Gaussian window of 11 × 11 with σ = 1.5, the border left out likewise."""
    a, b = (plane[scale:-scale, scale:-scale].astype(np.float64) for plane in (a, b))
    return structural_similarity(a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)


def studio_luma(rgb):
    """MATLAB's rgb2ycbcr of bytes, which rounds to bytes too."""
    return np.rint(16 + rgb.astype(np.float64) @ (65.481, 128.553, 24.966) / 255)
