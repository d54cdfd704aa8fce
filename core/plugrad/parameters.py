"""Parameters, saved state, and the flat store that holds all parameters of a model in one vector."""

import numpy as np

from plugrad.errors import PlugradError, ShapeError
from plugrad.kernels import optimizer as kernels
from plugrad.tensor import Tensor

# Every parameter begins on a cache line.
ALIGNMENT_BYTES = 64


class Parameter(Tensor):
    """A leaf that training changes.

    value: the initial array. decay: False keeps it out of L1, L2 and weight decay, as biases and the scales of
    normalisations should be.
    """

    __slots__ = ("decay",)

    def __init__(self, value, decay=True):
        super().__init__(value, requires_grad=True)
        self.decay = decay


class State:
    """An array that is saved with the model and is not trained: a running mean, for instance.

    A layer assigns to `value`, and does so in training mode only.
    """

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = np.asarray(value)


class ParameterStore:
    """All parameters of a model as views into one vector, and their gradients as views into another.

    values, gradients: vectors of one float type; those that decay come first, up to `decayed`.
    parameters: each once, also where a model uses it twice (tied weights).
    """

    def __init__(self, parameters):
        unique = list({id(p): p for p in parameters}.values())
        self.parameters = sorted(unique, key=lambda p: not p.decay)
        kinds = {p.dtype for p in unique} or {np.dtype(np.float32)}
        if len(kinds) > 1:
            raise PlugradError(f"the parameters of a model must have one type, found {sorted(map(str, kinds))}")
        dtype = kinds.pop()
        step = ALIGNMENT_BYTES // dtype.itemsize
        starts, size = [], 0
        self.decayed = 0
        for p in self.parameters:
            starts.append(size)
            size += -(-p.size // step) * step  # the gaps hold zeros, which every optimizer leaves at zero
            if p.decay:
                self.decayed = size
        self.values, self.gradients = _aligned(size, dtype), _aligned(size, dtype)
        for p, start in zip(self.parameters, starts, strict=True):
            view = self.values[start : start + p.size].reshape(p.shape)
            view[...] = p.data
            p.data = view
            p.gradient_memory = self.gradients[start : start + p.size].reshape(p.shape)
            p.grad = None

    def zero_grad(self):
        """Forget all gradients; the next backward overwrites their memory."""
        for p in self.parameters:
            p.grad = None

    def complete_gradients(self):
        """Put zeros where the last backward did not reach, so that the vector of gradients holds this step's alone."""
        for p in self.parameters:
            if p.grad is None:
                p.gradient_memory.fill(0)
                p.grad = p.gradient_memory

    def gradient_norm(self):
        """The Euclidean norm of all gradients together, as a float."""
        sums = np.empty((self.gradients.size + kernels.PIECE - 1) // kernels.PIECE)
        kernels.squared_pieces(self.gradients, sums)
        return float(np.sqrt(sums.sum()))

    def clip_norm(self, limit):
        """Scale all gradients so that their norm is at most `limit` (Pascanu et al. 2013); the norm before."""
        norm = self.gradient_norm()
        if norm > limit:
            kernels.scale(self.gradients, self.gradients.dtype.type(limit / norm))
        return norm

    def penalize(self, l1, l2):
        """Add the gradient of l1 * sum(|w|) + l2 / 2 * sum(w**2) over the parameters that decay."""
        kind = self.values.dtype.type
        kernels.penalize(self.values[: self.decayed], self.gradients[: self.decayed], kind(l1), kind(l2))

    def shrink(self, factor):
        """Multiply the parameters that decay by `factor`: decoupled weight decay (Loshchilov & Hutter 2019)."""
        kernels.scale(self.values[: self.decayed], self.values.dtype.type(factor))

    def load(self, values):
        """Overwrite all values with a vector made earlier by this model's store."""
        if values.shape != self.values.shape:
            raise ShapeError(f"expected a vector of {self.values.size} values, got {values.shape}")
        self.values[:] = values


def _aligned(size, dtype):
    """A vector of zeros that begins on a cache line."""
    spare = ALIGNMENT_BYTES // dtype.itemsize
    block = np.zeros(size + spare, dtype)
    start = (-block.ctypes.data % ALIGNMENT_BYTES) // dtype.itemsize
    return block[start : start + size]
