"""The networks of super-resolution: convolutions with ReLU, and the pixel itself added before the shuffle.

What a network learns is the difference from nearest-neighbour enlargement (ABPN, Du et al. 2021). All that is here runs
on luma in units of `PIXEL`.
"""

import math

import torch
import torch.nn.functional as F

# One step of a byte. A power of two, so that bfloat16 holds every byte.
PIXEL = 1 / 256


class Network(torch.nn.Module):
    """float32 [N, 1, H, W] to [N, 1, scale·H, scale·W]; zeros beyond the border. `widths`: channels of hidden layers;
    `ends`: the side of the first and the last kernel, those between are 3×3."""

    def __init__(self, widths, scale, seed, ends=3):
        super().__init__()
        torch.manual_seed(seed)
        channels = [1, *widths, scale**2]
        sides = [ends, *[3] * (len(widths) - 1), ends]
        self.scale = scale
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv2d(given, made, side, padding=side // 2)
            for given, made, side in zip(channels, channels[1:], sides)
        )
        for conv in self.convs:
            torch.nn.init.normal_(conv.weight, std=math.sqrt(2 / conv.weight[0].numel()))
            torch.nn.init.zeros_(conv.bias)
        with torch.no_grad():
            self.convs[-1].weight *= 0.1  # at first nearly nearest-neighbour

    def forward(self, low, dtype=torch.float32):
        """`dtype` is what the convolutions compute in; the sum with the pixel is always in float32."""
        values = low.to(dtype)
        for conv in self.convs[:-1]:
            values = F.relu_(convolved(values, conv.weight, conv.bias))
        difference = convolved(values, self.convs[-1].weight, self.convs[-1].bias)
        return enlarged(difference.float(), low, self.scale)

    def body(self):
        """The layers that know nothing of the scale: all but the last."""
        return self.convs[:-1]

    @property
    def radius(self):
        """How far an output pixel looks, in low-resolution pixels."""
        return sum(conv.padding[0] for conv in self.convs)

    @property
    def macs(self):
        """Multiply-accumulates for each low-resolution pixel."""
        return sum(conv.weight.numel() for conv in self.convs)


def convolved(values, weight, bias):
    weight = weight.to(values.dtype).contiguous(memory_format=torch.channels_last)
    return F.conv2d(values, weight, bias.to(values.dtype), padding=weight.shape[-1] // 2)


def enlarged(difference, low, scale):
    """The end that every form of a network shares."""
    return F.pixel_shuffle(difference + low, scale).clamp(0, 255 * PIXEL)
