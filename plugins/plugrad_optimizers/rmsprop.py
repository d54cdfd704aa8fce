"""RMSProp."""

from dataclasses import dataclass

import plugrad as pg
from plugrad.kernels import optimizer as kernels
from plugrad_optimizers.checks import check_positive, check_share


@dataclass
class RMSProp(pg.Optimizer):
    """squares = decay * squares + (1 - decay) * gradient**2; value -= rate * gradient / (sqrt(squares) + epsilon).

    Tieleman & Hinton 2012. decay: in [0, 1); epsilon: positive; momentum: in [0, 1); InputError otherwise.

    centred: divide by the root of the variance, squares - mean**2, with the running mean of the gradient (Graves 2013).
    momentum: above 0, what would be subtracted is gathered, velocity = momentum * velocity + ..., and value -= rate *
    velocity.
    """

    learning_rate: float = 0.001
    decay: float = 0.9
    epsilon: float = 1e-8
    momentum: float = 0.0
    centred: bool = False

    def __post_init__(self):
        super().__post_init__()
        check_share("RMSProp", "decay", self.decay)
        check_positive("RMSProp", "epsilon", self.epsilon)
        check_share("RMSProp", "momentum", self.momentum)

    @property
    def memory(self):
        """The vectors that this configuration keeps."""
        return ("squares", *(["mean"] if self.centred else []), *(["velocity"] if self.momentum else []))

    def update(self, values, gradients, memory, rate, step):
        kind = values.dtype.type
        scalars = map(kind, (rate, self.decay, 1 - self.decay, self.epsilon))
        if not (self.centred or self.momentum):
            kernels.rmsprop(values, gradients, memory[0], *scalars)
            return
        nothing = values[:0]
        mean = memory[1] if self.centred else nothing
        velocity = memory[-1] if self.momentum else nothing
        kernels.rmsprop_more(
            values, gradients, memory[0], mean, velocity, *scalars, kind(self.momentum), self.centred, self.momentum > 0
        )
