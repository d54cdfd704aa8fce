"""Gradient descent, with and without momentum."""

from dataclasses import dataclass
from typing import ClassVar

import plugrad as pg
from plugrad.kernels import optimizer as kernels
from plugrad_optimizers.checks import check_share


@dataclass
class SGD(pg.Optimizer):
    """value -= rate * gradient (Robbins & Monro 1951)."""

    learning_rate: float = 0.01

    def update(self, values, gradients, memory, rate, step):
        kernels.sgd(values, gradients, values.dtype.type(rate))


@dataclass
class Momentum(pg.Optimizer):
    """velocity = momentum * velocity + gradient; value -= rate * velocity (Polyak 1964).

    momentum: share of the velocity that is kept, in [0, 1); InputError otherwise.
    """

    learning_rate: float = 0.01
    momentum: float = 0.9
    memory: ClassVar = ("velocity",)
    ahead: ClassVar = False

    def __post_init__(self):
        super().__post_init__()
        check_share(type(self).__name__, "momentum", self.momentum)

    def update(self, values, gradients, memory, rate, step):
        kind = values.dtype.type
        kernels.momentum(values, gradients, memory[0], kind(rate), kind(self.momentum), self.ahead)


@dataclass
class Nesterov(Momentum):
    """velocity = momentum * velocity + gradient; value -= rate * (gradient + momentum * velocity).

    Nesterov's accelerated gradient (1983) in the form of Sutskever et al. (2013), written for the point looked ahead
    to. momentum: in [0, 1); InputError otherwise.
    """

    ahead: ClassVar = True
