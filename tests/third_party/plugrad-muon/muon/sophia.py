"""Sophia with the empirical Fisher information for a curvature: steps divided by it, and clipped."""

from dataclasses import dataclass
from typing import ClassVar

import plugrad as pg
from plugrad import prange


@pg.kernel
def sophia_step(values, gradients, mean, curvature, beta1, beta2, rho, rate, measured):
    """One update, in place; measured: whether the curvature is estimated anew at this step."""
    zero, one = values.dtype.type(0), values.dtype.type(1)
    tiny = values.dtype.type(1e-12)
    for i in prange(values.size):
        g = gradients[i]
        mean[i] = beta1 * mean[i] + (one - beta1) * g
        if measured:
            curvature[i] = beta2 * curvature[i] + (one - beta2) * g * g
        size = abs(mean[i]) / max(rho * curvature[i], tiny)
        step = rate * min(size, one)
        values[i] -= step if mean[i] > zero else (-step if mean[i] < zero else zero)


@dataclass
class Sophia(pg.Optimizer):
    """Liu, Li, Hall, Liang & Ma 2023, "Sophia". every: steps between two estimates of the diagonal curvature.

    The estimate is the square of the batch's gradient, with the batch's own labels: the empirical Fisher information,
    which stands in for the Gauss–Newton–Bartlett estimate of the paper, for that needs labels drawn from the model.
    """

    learning_rate: float = 1e-3
    beta1: float = 0.96
    beta2: float = 0.99
    rho: float = 0.04
    every: int = 10
    memory: ClassVar = ("mean", "curvature")

    def update(self, values, gradients, memory, rate, step):
        kind = values.dtype.type
        numbers = map(kind, (self.beta1, self.beta2, self.rho, rate))
        sophia_step(values, gradients, *memory, *numbers, step % self.every == 1 or self.every == 1)

    @classmethod
    def example(cls):
        """A rate that suits small problems."""
        return cls(learning_rate=0.01)
