"""The contract of optimizers: one update of one vector."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from plugrad.errors import InputError, PlugradError


@dataclass
class Optimizer:
    """Base of all optimizers. A subclass is a dataclass whose fields are its configuration.

    learning_rate: the step size that a schedule may scale.
    weight_decay: decoupled decay (Loshchilov & Hutter 2019): before a step every parameter that decays is multiplied by
        1 - rate * weight_decay.

    A subclass names in `memory` the vectors that it keeps between steps (zeros at first, saved in checkpoints) and
    defines `update`.
    """

    learning_rate: float = 0.01
    weight_decay: float = 0.0
    memory: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self):
        if not (np.isfinite(self.learning_rate) and self.learning_rate >= 0):
            raise InputError(f"{type(self).__name__}: learning_rate must be a number >= 0, got {self.learning_rate}")
        if not (np.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise InputError(f"{type(self).__name__}: weight_decay must be a number >= 0, got {self.weight_decay}")

    def update(self, values, gradients, memory, rate, step):
        """Change `values` in place.

        values, gradients: vectors of the same length and float type. memory: the vectors named in the class's
        `memory`, in that order, changed in place. rate: this step's learning rate. step: 1 for the first.
        """
        raise PlugradError(f"{type(self).__name__} does not define update")


class OptimizerRun:
    """An optimizer at work on one flat store: its memory and how many steps it has made."""

    def __init__(self, optimizer, store):
        self.optimizer, self.store = optimizer, store
        self.steps = 0
        self.memory = tuple(np.zeros_like(store.values) for _ in optimizer.memory)

    def step(self, rate=None):
        """One update from the gradients in the store; rate: instead of the optimizer's learning rate."""
        rate = self.optimizer.learning_rate if rate is None else rate
        self.steps += 1
        self.store.complete_gradients()
        if self.optimizer.weight_decay:
            self.store.shrink(1 - rate * self.optimizer.weight_decay)
        self.optimizer.update(self.store.values, self.store.gradients, self.memory, rate, self.steps)
