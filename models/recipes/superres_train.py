"""Training in float and in integers, by one loop that can be stopped and taken up again."""

import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from muon import Muon
from superres_network import PIXEL
from superres_score import luma_psnr

SEED = 3
SAVE_EVERY = 1_000
REPORT_EVERY = 2_000
WARM_UP = 0.03  # of the steps
# The mean of the weights over about so many steps is what is kept: it is better than the last step's.
MEAN_OVER = 1_000
# Pixels along a patch's edge that see zeros do not count: the runtime repeats a picture's edge instead.
MARGIN = 3


@dataclass
class Job:
    """What the loop does: `loss(low, high, share)` of the module, `share` of the steps being done, at these rates."""

    module: torch.nn.Module
    loss: callable
    optimizers: list
    steps: int
    saved: Path


def train_float(net, pictures, steps, rate, saved):
    """Absolute error for half of the steps, then squared error, which is what PSNR counts. Returns seconds."""
    # Twice as fast, and as good, where the CPU has it.
    dtype = torch.bfloat16 if "avx512_bf16" in Path("/proc/cpuinfo").read_text() else torch.float32

    def loss(low, high, share):
        error = inner(net(low, dtype) - high, net.scale)
        return (error.abs() if share < 0.5 else error**2).mean()

    kernels = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    biases = [parameter for parameter in net.parameters() if parameter.ndim == 1]
    return run(Job(net, loss, [Muon(kernels, rate), torch.optim.Adam(biases, rate)], steps, saved), pictures)


def train_integers(net, pictures, steps, rate, saved):
    """Squared error of the network as it computes in integers. Returns seconds."""

    def loss(low, high, _):
        return (inner(net(low) - high, net.scale) ** 2).mean()

    return run(Job(net, loss, [torch.optim.Adam(net.parameters(), rate)], steps, saved), pictures)


def inner(error, scale):
    """Without the margin, in bytes."""
    margin = slice(MARGIN * scale, -MARGIN * scale)
    return error[..., margin, margin] / PIXEL


def run(job, pictures):
    """Cosine decay after a short rise. Leaves the mean weights in the module; returns the seconds that it took in all."""
    mean = copy.deepcopy(job.module)
    rates = [group["lr"] for optimizer in job.optimizers for group in optimizer.param_groups]
    rng = np.random.default_rng(SEED)
    start, seconds = 0, 0.0
    if job.saved.exists():
        state = torch.load(job.saved)
        job.module.load_state_dict(state["module"])
        mean.load_state_dict(state["mean"])
        for optimizer, values in zip(job.optimizers, state["optimizers"]):
            optimizer.load_state_dict(values)
        rng.bit_generator.state = state["rng"]
        start, seconds = state["step"], state["seconds"]
    began = time.time() - seconds
    for step in range(start, job.steps):
        share = step / job.steps
        factor = min(1, share / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * share))
        groups = (group for optimizer in job.optimizers for group in optimizer.param_groups)
        for group, rate in zip(groups, rates):
            group["lr"] = rate * factor
        low, high = (torch.from_numpy(side).float() * PIXEL for side in pictures.batch(rng))
        for parameter in job.module.parameters():
            parameter.grad = None
        job.loss(low, high, share).backward()
        for optimizer in job.optimizers:
            optimizer.step()
        follow(mean, job.module, step)
        seconds = time.time() - began
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == job.steps:
            save(job, mean, rng, step + 1, seconds)
        if (step + 1) % REPORT_EVERY == 0 or step + 1 == job.steps:
            photographs, drawn = validate(mean, pictures.held_back), validate(mean, pictures.held_back_patterns)
            print(
                f"{job.saved.stem}: step {step + 1}/{job.steps}, {seconds:.0f} s, held back {photographs:.3f} dB, "
                f"patterns {drawn:.3f} dB",
                flush=True,
            )
    job.module.load_state_dict(mean.state_dict())
    return seconds


@torch.no_grad()
def follow(mean, module, step):
    keep = min(1 - 1 / MEAN_OVER, (step + 1) / (step + 10))
    means = list(mean.parameters())
    torch._foreach_mul_(means, keep)
    torch._foreach_add_(means, [parameter.detach() for parameter in module.parameters()], alpha=1 - keep)


def save(job, mean, rng, step, seconds):
    state = {
        "module": job.module.state_dict(),
        "mean": mean.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in job.optimizers],
        "rng": rng.bit_generator.state,
        "step": step,
        "seconds": seconds,
    }
    part = job.saved.with_suffix(".part")
    torch.save(state, part)
    part.rename(job.saved)


def validate(net, held_back):
    """Mean PSNR in dB of luma over pairs that are held back from training; choices are made by these."""
    enlarge = enlarger(net)
    return float(np.mean([luma_psnr(enlarge(low), high, net.scale) for low, high in held_back]))


def enlarger(net):
    """A function from luma bytes to enlarged luma bytes that repeats the picture's edge, as the runtime does."""
    cut = slice(net.radius * net.scale, -net.radius * net.scale)

    @torch.no_grad()
    def enlarge(luma):
        low = torch.from_numpy(np.pad(luma, net.radius, "edge")[None, None]).float() * PIXEL
        return (net(low)[0, 0, cut, cut] / PIXEL).round().byte().numpy()

    return enlarge
