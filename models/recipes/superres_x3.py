"""superres-x3: luma three times as wide and as high, in INT8.

    models/recipes/build superres-x3 [--steps N]

Three convolutions and a shuffle of nine channels into 3 × 3 pixels (ESPCN, Shi et al. 2016), trained in float,
calibrated, and written as QDQ ONNX.
"""

import argparse
import math
import time
from pathlib import Path
from string import Template

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F

from bundle import golden, write_bundle
from superres_pictures import CACHE, SCALE, batch, sources
from superres_quantize import calibrate, to_onnx
from superres_score import bicubic, score

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parent / "superres-x3"
SEED = 3
BATCH = 15
STEPS = 50_000
CALIBRATION = 300  # patches
LEARNING_RATE = 1e-3
SAVE_EVERY = 1_000

# Radius, in low-res pixels, of what one enlarged pixel depends on: 5 × 5, 3 × 3, 3 × 3.
RADIUS = 4
INNER = slice(RADIUS * SCALE, -RADIUS * SCALE)


def network():
    """ESPCN that begins as nearest-neighbour enlargement, so that what it learns is the detail."""
    torch.manual_seed(SEED)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 64, 5, padding=2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(64, 32, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(32, SCALE**2, 3, padding=1),
        torch.nn.PixelShuffle(SCALE),
    )
    first, second, third = net[0], net[2], net[4]
    with torch.no_grad():
        # Channel 0 carries the pixel itself: luma is never negative, so ReLU lets it through.
        for conv in (first, second):
            conv.weight[0] = 0
            conv.weight[0, 0, conv.kernel_size[0] // 2, conv.kernel_size[1] // 2] = 1
            conv.bias[0] = 0
        third.weight.zero_()
        third.weight[:, 0, 1, 1] = 1
        third.bias.zero_()
    return net.to(memory_format=torch.channels_last)


def train(net, pictures, steps, saved):
    """Adam with a cosine decay: absolute error for half of the steps, then squared. Resumes from `saved`."""
    optimizer = torch.optim.Adam(net.parameters())
    rng = np.random.default_rng(SEED)
    start, seconds = 0, 0.0
    if saved.exists():
        state = torch.load(saved)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        rng.bit_generator.state = state["rng"]
        start, seconds = state["step"], state["seconds"]
    began = time.time() - seconds
    for step in range(start, steps):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (0.5 + 0.5 * math.cos(math.pi * step / steps))
        low, high = (torch.from_numpy(side) for side in batch(pictures, BATCH, rng))
        # Pixels that see the zeros around a patch do not count: the runtime repeats a picture's edge instead.
        error = (net(low) - high)[..., INNER, INNER].abs()
        if step >= steps // 2:
            error = error**2
        loss = error.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == steps:
            seconds = time.time() - began
            state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "rng": rng.bit_generator.state}
            torch.save(state | {"step": step + 1, "seconds": seconds}, saved.with_suffix(".part"))
            saved.with_suffix(".part").rename(saved)
            psnr = score(float_enlarger(net), "Set5")
            print(f"step {step + 1}/{steps} {seconds:.0f} s, Set5 {psnr:.3f} dB", flush=True)
    return seconds


def float_enlarger(net):
    """A function from luma bytes to enlarged luma bytes that repeats the picture's edge, as the runtime does."""

    @torch.no_grad()
    def enlarge(luma):
        low = torch.from_numpy(with_halo(luma)[None, None].astype(np.float32) / 255)
        return without_halo((net(low)[0, 0] * 255).round().clamp(0, 255).byte().numpy())

    return enlarge


def with_halo(luma):
    return np.pad(luma, RADIUS, "edge")


def without_halo(enlarged):
    return enlarged[INNER, INNER]


def texture(height, width):
    """Luma bytes like those of a photograph: a gradient, blurred noise, a hard edge and a fine grid."""
    rng = np.random.default_rng(SEED)
    y, x = np.mgrid[:height, :width]
    noise = torch.from_numpy(rng.normal(0, 60, (1, 1, height + 4, width + 4)))
    soft = F.avg_pool2d(noise, 5, stride=1)[0, 0].numpy()
    edge = np.where(x * 3 + y * 2 > width * 2, 70, 0)
    grid = np.where(y > height * 2 // 3, 25 * ((x // 2 + y) % 2), 0)
    return (60 + 2 * y + soft + edge + grid).round().clip(0, 255).astype(np.uint8)


def extremes(height, width):
    """Noise of 0 and 255 only, which drives accumulators and clamps far."""
    return np.random.default_rng(SEED).choice(np.array([0, 255], np.uint8), (height, width))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--steps", type=int, default=STEPS, help="training steps in float (default: %(default)s)")
    steps = arguments.parse_args().steps
    torch.set_num_threads(1)  # the sums then come out alike on every run
    saved = CACHE / "superres-x3" / f"{steps}.pt"
    saved.parent.mkdir(parents=True, exist_ok=True)

    net, pictures = network(), sources()
    seconds = train(net, pictures, steps, saved)
    calibration = torch.from_numpy(batch(pictures, CALIBRATION, np.random.default_rng(SEED))[0])
    BUNDLE.mkdir(exist_ok=True)
    onnx.save(to_onnx(*calibrate(net, calibration), BUNDLE.name), BUNDLE / "model.onnx")
    session = onnxruntime.InferenceSession(BUNDLE / "model.onnx", providers=["CPUExecutionProvider"])

    enlargers = {"bicubic": bicubic, "fp32": float_enlarger(net), "int8": int8_enlarger(session)}
    sets = ("Set5", "Set14")
    figures = {f"{name}_{way}": score(enlarge, name) for name in sets for way, enlarge in enlargers.items()}
    (BUNDLE / "CARD.md").write_text(card(figures, steps, seconds), encoding="utf-8")
    write_bundle(BUNDLE, manifest(session, figures))
    print("".join(f"{name} {value:.3f} dB\n" for name, value in figures.items()), end="")


def card(figures, steps, seconds):
    blanks = {name: f"{value:.2f}" for name, value in figures.items()}
    blanks |= {"steps": f"{steps:,}", "minutes": round(seconds / 60), "seed": SEED, "calibration": CALIBRATION}
    return Template((HERE / "superres_x3.card.md").read_text(encoding="utf-8")).substitute(blanks)


def int8_enlarger(session):
    """As `float_enlarger`, by ONNX Runtime."""

    def enlarge(luma):
        return without_halo(run(session, with_halo(luma)[None, None])[0, 0])

    return enlarge


def run(session, luma):
    return session.run(None, {"luma": luma})[0]


def manifest(session, figures):
    vectors = [pixels[None, None] for pixels in (texture(24, 32), extremes(17, 23))]
    return {
        "format": 1,
        "name": BUNDLE.name,
        "version": "0.1.0",
        "task": "super-resolution",
        "description": "Enlarges pictures three times: luma by an ESPCN network in INT8",
        "licence": "MIT OR Apache-2.0",
        "model": "model.onnx",
        "input": {"channels": "luma"},
        "super_resolution": {"scale": SCALE, "receptive_field": RADIUS},
        # Runtimes round the product of scales in float in different orders: at a tie they may part by one step.
        "golden": [golden(BUNDLE, n, low, run(session, low), tolerance=0) for n, low in enumerate(vectors)],
        "measured": {
            "set5_psnr_y": round(figures["Set5_int8"], 3),
            "set5_psnr_y_fp32": round(figures["Set5_fp32"], 3),
            "set5_psnr_y_bicubic": round(figures["Set5_bicubic"], 3),
            "set14_psnr_y": round(figures["Set14_int8"], 3),
            "set14_psnr_y_fp32": round(figures["Set14_fp32"], 3),
            "set14_psnr_y_bicubic": round(figures["Set14_bicubic"], 3),
        },
    }


if __name__ == "__main__":
    main()
