"""Lookahead."""

from dataclasses import dataclass, field

import plugrad as pg
from plugrad.errors import InputError
from plugrad.kernels import optimizer as kernels
from plugrad_optimizers.checks import check_count


@dataclass
class Lookahead(pg.Optimizer):
    """Another optimizer, and slow weights that follow it (Zhang et al. 2019, "k steps forward, 1 step back").

    After every `steps` of its steps: slow += alpha * (value - slow); value = slow. The slow weights begin as the
    initial ones and are kept in checkpoints. Of sparse parameters all rows take part in this.

    inner: an optimizer, its registered name, or a mapping of "name" and fields; learning rate and weight decay are its
    own. steps: a whole number from 1. alpha: in (0, 1]. InputError otherwise.
    """

    learning_rate: float = field(init=False)
    weight_decay: float = field(init=False)
    inner: pg.Optimizer | str | dict
    steps: int = 5
    alpha: float = 0.5

    def __post_init__(self):
        self.inner = pg.registry().create("optimizers", self.inner)
        if not isinstance(self.inner, pg.Optimizer):
            raise InputError(f"Lookahead: inner must be an optimizer or its name, got {type(self.inner).__name__}")
        check_count("Lookahead", "steps", self.steps, 1)
        if not 0 < self.alpha <= 1:
            raise InputError(f"Lookahead: alpha must be in (0, 1], got {self.alpha!r}")
        self.learning_rate, self.weight_decay = self.inner.learning_rate, self.inner.weight_decay
        super().__post_init__()

    @property
    def memory(self):
        """The slow weights, and what the inner optimizer keeps."""
        return ("slow", *(f"inner.{name}" for name in self.inner.memory))

    @property
    def by_parameter(self):
        """As the inner optimizer."""
        return self.inner.by_parameter

    def start(self, values, memory):
        memory[0][...] = values
        self.inner.start(values, memory[1:])

    def update(self, values, gradients, memory, rate, step):
        self.inner.update(values, gradients, memory[1:], rate, step)

    def finish(self, values, memory, step):
        self.inner.finish(values, memory[1:], step)
        if step % self.steps == 0:
            flat = values.reshape(-1), memory[0].reshape(-1)  # views: the kernel walks vectors
            kernels.look_ahead(*flat, values.dtype.type(self.alpha))

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this optimizer with."""
        return cls("Momentum", steps=3)
