"""AdaGrad."""

from dataclasses import dataclass
from typing import ClassVar

import plugrad as pg
from plugrad.kernels import optimizer as kernels
from plugrad_optimizers.checks import check_positive


@dataclass
class AdaGrad(pg.Optimizer):
    """squares += gradient**2; value -= rate * gradient / (sqrt(squares) + epsilon) (Duchi, Hazan & Singer 2011).

    epsilon: keeps the division finite; InputError unless positive.
    """

    learning_rate: float = 0.01
    epsilon: float = 1e-10
    memory: ClassVar = ("squares",)

    def __post_init__(self):
        super().__post_init__()
        check_positive("AdaGrad", "epsilon", self.epsilon)

    def update(self, values, gradients, memory, rate, step):
        kind = values.dtype.type
        kernels.adagrad(values, gradients, memory[0], kind(rate), kind(self.epsilon))
