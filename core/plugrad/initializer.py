"""The contract of initialisers: the first values of a parameter."""

import math
from dataclasses import dataclass

from plugrad.errors import PlugradError


@dataclass
class Initializer:
    """Base of all initialisers. A subclass is a dataclass whose fields are its configuration."""

    def __call__(self, shape, rng):
        """An array of `shape`, drawn from the numpy Generator `rng`."""
        raise PlugradError(f"{type(self).__name__} does not define __call__(self, shape, rng)")


def fans(shape):
    """(inputs, outputs) of one unit for a weight of `shape`: (in, out), or (..., in, out) with a kernel in front."""
    if len(shape) < 2:
        return max(shape, default=1), max(shape, default=1)
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window
