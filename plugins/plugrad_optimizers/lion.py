"""Lion."""

from dataclasses import dataclass
from typing import ClassVar

import plugrad as pg
from plugrad.kernels import optimizer as kernels
from plugrad_optimizers.checks import check_share


@dataclass
class Lion(pg.Optimizer):
    """Steps of one size in the direction's sign (Chen et al. 2023, "Symbolic discovery of optimization algorithms").

        value -= rate * sign(beta1 * mean + (1 - beta1) * gradient)
        mean = beta2 * mean + (1 - beta2) * gradient

    It wants a learning rate 3 to 10 times smaller than Adam's, and a weight decay as much larger. beta1, beta2: in
    [0, 1); InputError otherwise.
    """

    learning_rate: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99
    memory: ClassVar = ("mean",)

    def __post_init__(self):
        super().__post_init__()
        check_share("Lion", "beta1", self.beta1)
        check_share("Lion", "beta2", self.beta2)

    def update(self, values, gradients, memory, rate, step):
        kind = values.dtype.type
        shares = (self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2)
        kernels.lion(values, gradients, memory[0], kind(rate), *map(kind, shares))
