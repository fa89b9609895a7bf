"""Muon (Jordan et al. 2024): steps with momentum whose matrices are made orthogonal, so that no direction lags behind."""

import torch

ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(torch.optim.Optimizer):
    """For kernels, [outputs, ...] taken as matrices of `outputs` rows. A step is as large as one of Adam (Liu et al. 2025)."""

    def __init__(self, parameters, lr, momentum=0.95):
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["mean"] = torch.zeros_like(parameter)
                mean = state["mean"].mul_(group["momentum"]).add_(parameter.grad)
                step = parameter.grad.add(mean, alpha=group["momentum"]).flatten(1)
                size = 0.2 * max(step.shape) ** 0.5
                parameter.sub_(orthogonal(step).view_as(parameter), alpha=group["lr"] * size)


def orthogonal(matrix):
    """The matrix with all its singular values near 1, by Newton and Schulz's iteration."""
    if len(matrix) > len(matrix.T):
        return orthogonal(matrix.T).T
    a, b, c = COEFFICIENTS
    matrix = matrix / (matrix.norm() + 1e-12)
    for _ in range(ITERATIONS):
        gram = matrix @ matrix.T
        matrix = a * matrix + (b * gram + c * gram @ gram) @ matrix
    return matrix
