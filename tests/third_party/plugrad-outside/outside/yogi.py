"""Yogi: Adam whose second moment changes by steps of the gradient's size alone."""

import math
from dataclasses import dataclass
from typing import ClassVar

import plugrad as pg
from plugrad import prange


@pg.kernel
def yogi_step(values, gradients, mean, square, beta1, fresh1, fresh2, rate, correction, epsilon):
    """One update of all vectors, in place."""
    zero = values.dtype.type(0)
    for i in prange(values.size):
        g = gradients[i]
        m = beta1 * mean[i] + fresh1 * g
        s, gg = square[i], g * g
        s -= fresh2 * gg if s > gg else (-fresh2 * gg if s < gg else zero)
        mean[i], square[i] = m, s
        values[i] -= rate * m / (math.sqrt(s * correction) + epsilon)


@dataclass
class Yogi(pg.Optimizer):
    """Zaheer, Reddi, Sachan, Kale & Kumar 2018, "Adaptive methods for nonconvex optimization"."""

    learning_rate: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-3
    memory: ClassVar = ("mean", "square")

    def update(self, values, gradients, memory, rate, step):
        kind = values.dtype.type
        numbers = (
            self.beta1, 1 - self.beta1, 1 - self.beta2, rate / (1 - self.beta1**step),
            1 / (1 - self.beta2**step), self.epsilon,
        )  # fmt: skip
        yogi_step(values, gradients, *memory, *map(kind, numbers))
