"""The squashing functions of recurrent cells, and what their kernels share."""

import math

from plugrad.kernel import kernel
from plugrad.kernels.exponential import exp

# Numbers that a cell's loops take at a time: few enough that all of a cell's planes stay in the first-level cache from
# one loop to the next, enough that a loop outweighs the test, before it, that its arrays do not overlap.
PIECE = 256


@kernel
def sigmoid(x, one):
    """1 / (1 + exp(-x)); one: the number 1 of x's type, since a literal would make the result float64."""
    return one / (one + exp(-x))


@kernel
def tanh(x, one):
    """The hyperbolic tangent, from one exp of a number that is never positive, which cannot overflow."""
    e = exp(-abs(x + x))
    return math.copysign((one - e) / (one + e), x)


@kernel
def apply_sigmoid(z, y, one):
    """y = sigmoid(z); the two may be the same."""
    for j in range(y.size):
        y[j] = sigmoid(z[j], one)


@kernel
def apply_tanh(z, y, one):
    """y = tanh(z); the two may be the same."""
    for j in range(y.size):
        y[j] = tanh(z[j], one)
