"""RMSProp."""

from dataclasses import dataclass
from typing import ClassVar

import plugrad as pg
from plugrad.kernels import optimizer as kernels
from plugrad_optimizers.checks import check_positive, check_share


@dataclass
class RMSProp(pg.Optimizer):
    """squares = decay * squares + (1 - decay) * gradient**2; value -= rate * gradient / (sqrt(squares) + epsilon).

    Tieleman & Hinton 2012. decay: in [0, 1); epsilon: positive; InputError otherwise.
    """

    learning_rate: float = 0.001
    decay: float = 0.9
    epsilon: float = 1e-8
    memory: ClassVar = ("squares",)

    def __post_init__(self):
        super().__post_init__()
        check_share("RMSProp", "decay", self.decay)
        check_positive("RMSProp", "epsilon", self.epsilon)

    def update(self, values, gradients, memory, rate, step):
        kind = values.dtype.type
        scalars = (rate, self.decay, 1 - self.decay, self.epsilon)
        kernels.rmsprop(values, gradients, memory[0], *map(kind, scalars))
