"""Adam and AdamW."""

import math
from dataclasses import dataclass
from typing import ClassVar

import plugrad as pg
from plugrad.kernels import optimizer as kernels
from plugrad_optimizers.checks import check_positive, check_share


@dataclass
class Adam(pg.Optimizer):
    """Steps of the running mean of the gradient over the root of that of its square (Kingma & Ba 2015, algorithm 1).

        mean = beta1 * mean + (1 - beta1) * gradient
        variance = beta2 * variance + (1 - beta2) * gradient**2
        value -= rate * mean / (1 - beta1**t) / (sqrt(variance / (1 - beta2**t)) + epsilon)

    beta1, beta2: in [0, 1); epsilon: positive; InputError otherwise.
    """

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    memory: ClassVar = ("mean", "variance")

    def __post_init__(self):
        super().__post_init__()
        name = type(self).__name__
        check_share(name, "beta1", self.beta1)
        check_share(name, "beta2", self.beta2)
        check_positive(name, "epsilon", self.epsilon)

    def update(self, values, gradients, memory, rate, step):
        kind = values.dtype.type
        kernels.adam(
            values, gradients, *memory, kind(rate / (1 - self.beta1**step)),
            kind(self.beta1), kind(1 - self.beta1), kind(self.beta2), kind(1 - self.beta2), kind(self.epsilon),
            kind(1 / math.sqrt(1 - self.beta2**step)),
        )  # fmt: skip


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019): before a step value *= 1 - rate * weight_decay."""

    weight_decay: float = 0.01
