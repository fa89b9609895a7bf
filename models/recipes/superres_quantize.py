"""INT8 for super-resolution: activations u8 per tensor, weights i8 per channel, biases i32.

`Integers` computes what the integers will, in floats with a gradient, so that training goes on with their rounding in
sight (Jacob et al. 2018); the steps of activations are learned (Esser et al. 2020). Zero points are 0, for after ReLU
nothing is negative, but 128 of the difference that is added to the pixel. Its step is that of a byte: so the sum
rounds nothing, and the pixel goes through unharmed.
"""

import torch

from superres_network import PIXEL, convolved, enlarged

# The largest difference from the pixel either way, in bytes.
LEAST, MOST = -128, 127


class Integers(torch.nn.Module):
    """As `Network`, its weights and hidden activations rounded. Begins as `net` calibrated on `low`."""

    def __init__(self, net, low):
        super().__init__()
        self.scale, self.radius = net.scale, net.radius
        self.weights = torch.nn.ParameterList([conv.weight.detach().clone() for conv in net.convs])
        self.biases = torch.nn.ParameterList([conv.bias.detach().clone() for conv in net.convs])
        self.steps = torch.nn.ParameterList(calibrate(net, low))  # natural logarithms

    def forward(self, low):
        values = low
        for weight, bias, step in zip(self.weights, self.biases, self.steps):
            values = Rounded.apply(convolved(values, rounded_weight(weight), bias), step.exp())
        difference = convolved(values, rounded_weight(self.weights[-1]), self.biases[-1])
        return enlarged(difference.clamp(LEAST * PIXEL, MOST * PIXEL), low, self.scale)


@torch.no_grad()
def calibrate(net, low):
    """Logarithms of the hidden activations' steps of least squared error."""
    steps, values = [], low
    for conv in net.body():
        values = convolved(values, conv.weight, conv.bias).relu_()
        steps.append(least_error(values).log())
    return steps


def least_error(values):
    """Below the largest value: clipping a few peaks costs less than rounding everything coarsely."""
    candidates = values.max() / 255 * torch.linspace(0.3, 1.0, 36)
    errors = [float(((Rounded.apply(values, step) - values) ** 2).mean()) for step in candidates]
    return candidates[errors.index(min(errors))]


class Rounded(torch.autograd.Function):
    """To u8 levels, ReLU included. Values within range pass their gradient; the step's is that of Esser et al."""

    @staticmethod
    def forward(ctx, values, step):
        levels = values / step
        rounded = levels.round().clamp_(0, 255)
        ctx.save_for_backward(levels, rounded)
        return rounded * step

    @staticmethod
    def backward(ctx, gradient):
        levels, rounded = ctx.saved_tensors
        within = (levels > 0) & (levels < 255)
        through = gradient * within
        return through, torch.sum(gradient * rounded) - torch.sum(through * levels)


def weight_step(weight):
    return weight.detach().abs().amax((1, 2, 3), keepdim=True) / 127


def weight_levels(weight):
    return (weight.detach() / weight_step(weight)).round()


def rounded_weight(weight):
    """The gradient passes as if nothing were rounded."""
    return weight + (weight_levels(weight) * weight_step(weight) - weight).detach()
