"""Parameters, saved state, and the flat store that holds all parameters of a model in one vector."""

import math

import numpy as np

from plugrad.errors import PlugradError, ShapeError
from plugrad.groups import REST
from plugrad.kernels import embedding as row_kernels
from plugrad.kernels import optimizer as kernels
from plugrad.sparse import SparseGradient
from plugrad.tensor import Tensor

# Every parameter begins on a cache line.
ALIGNMENT_BYTES = 64


class Parameter(Tensor):
    """A leaf that training changes.

    value: the initial array. decay: False keeps it out of L1, L2 and weight decay, as biases and the scales of
    normalisations should be. sparse: True for a table (count, width) of which a step uses few rows: it lies outside the
    flat store, its `grad` is a SparseGradient, and a step changes the rows that were used and no others.
    """

    __slots__ = ("decay", "sparse")

    def __init__(self, value, decay=True, sparse=False):
        super().__init__(value, requires_grad=True)
        self.decay, self.sparse = decay, sparse
        if sparse and self.ndim != 2:
            raise ShapeError(f"a sparse parameter is a table (count, width), got {self.shape}")


class State:
    """An array that is saved with the model and is not trained: a running mean, for instance.

    A layer assigns to `value`, and does so in training mode only.
    """

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = np.asarray(value)


class Part:
    """A stretch of the flat vectors that is trained alike: the parameters of one group.

    values, gradients: views; the first `decayed` elements belong to parameters that decay. start: where it begins.
    """

    __slots__ = ("decayed", "gradients", "group", "start", "values")

    def __init__(self, group, start, decayed, values, gradients):
        self.group, self.start, self.decayed, self.values, self.gradients = group, start, decayed, values, gradients

    @property
    def stretch(self):
        """Where the part lies in any vector of the store."""
        return slice(self.start, self.start + self.values.size)

    def penalize(self, l1, l2):
        """Add the gradient of l1 * sum(|w|) + l2 / 2 * sum(w**2) over the parameters that decay."""
        kind = self.values.dtype.type
        kernels.penalize(self.values[: self.decayed], self.gradients[: self.decayed], kind(l1), kind(l2))

    def shrink(self, factor):
        """Multiply the parameters that decay by `factor`."""
        kernels.scale(self.values[: self.decayed], self.values.dtype.type(factor))


class Table:
    """A sparse parameter and its group."""

    __slots__ = ("group", "parameter")

    def __init__(self, group, parameter):
        self.group, self.parameter = group, parameter

    def penalize(self, l1, l2):
        """As a Part's, for the rows that have a gradient."""
        p, g = self.parameter, self.parameter.grad
        if p.decay and g is not None:
            kind = p.dtype.type
            row_kernels.penalize_rows(p.data, g.rows, g.values, kind(l1), kind(l2))


class ParameterStore:
    """All parameters of a model as views into one vector, and their gradients as views into another.

    parameters: Parameters; one that a model uses twice (tied weights) is held once. groups: {id of a parameter: Group}
    for those that are not trained like the rest.

    values, gradients: vectors of one float type. Each group is one stretch, a Part, in which those that decay come
    first. Frozen parameters come last, in `values` alone. Sparse parameters lie outside, in `tables`.
    """

    def __init__(self, parameters, groups=None):
        unique = list({id(p): p for p in parameters}.values())
        kinds = {p.dtype for p in unique} or {np.dtype(np.float32)}
        if len(kinds) > 1:
            raise PlugradError(f"the parameters of a model must have one type, found {sorted(map(str, kinds))}")
        dtype = kinds.pop()
        self.grouped = bool(groups)
        groups = groups or {}
        order = {id(group): number for number, group in enumerate([REST, *groups.values()])}
        group_of = {id(p): groups.get(id(p), REST) for p in unique}
        flat = sorted(
            (p for p in unique if not p.sparse),
            key=lambda p: (group_of[id(p)].frozen, order[id(group_of[id(p)])], not p.decay),
        )
        self.tables = [Table(group_of[id(p)], p) for p in unique if p.sparse and not group_of[id(p)].frozen]
        self.parameters = flat + [p for p in unique if p.sparse]
        self._lay_out(flat, group_of, dtype)
        for p in unique:
            p.grad = None
            p.requires_grad = not group_of[id(p)].frozen
            if p.sparse:
                p.gradient_memory = None
                p.data = _copied(p.data)
        self._trained = [p for p in flat if p.gradient_memory is not None]
        self._sums = np.empty(0)

    def _lay_out(self, flat, group_of, dtype):
        """Make the vectors, the views into them, and the parts."""
        step = ALIGNMENT_BYTES // dtype.itemsize
        starts, size, trained, decayed, spans = [], 0, 0, {}, {}
        for p in flat:
            group = group_of[id(p)]
            starts.append(size)
            first = spans.get(id(group), (group, size, size))[1]
            size += -(-p.size // step) * step  # the gaps hold zeros, which every optimizer leaves at zero
            if not group.frozen:
                trained = size
                spans[id(group)] = (group, first, size)
                if p.decay:
                    decayed[id(group)] = size - first
        self.values, self.gradients = aligned(size, dtype), aligned(trained, dtype)
        for p, start in zip(flat, starts, strict=True):
            view = self.values[start : start + p.size].reshape(p.shape)
            view[...] = p.data
            p.data = view
            frozen = group_of[id(p)].frozen
            p.gradient_memory = None if frozen else self.gradients[start : start + p.size].reshape(p.shape)
        self.parts = [
            Part(group, first, decayed.get(key, 0), self.values[first:last], self.gradients[first:last])
            for key, (group, first, last) in spans.items()
        ]

    def in_part(self, part):
        """(place of the first element in the vector of gradients, Parameter) for the dense parameters of a part."""
        for p in self._trained:
            first = (p.gradient_memory.ctypes.data - self.gradients.ctypes.data) // p.dtype.itemsize
            if part.stretch.start <= first < part.stretch.stop:
                yield first, p

    def zero_grad(self):
        """Forget all gradients; the next backward overwrites their memory."""
        for p in self.parameters:
            p.grad = None

    def complete_gradients(self):
        """Put zeros where the last backward did not reach, so that the vector of gradients holds this step's alone.

        A sparse parameter without a gradient keeps none; one that another op than a look-up used gets all its rows.
        """
        for p in self._trained:
            if p.grad is None:
                p.gradient_memory.fill(0)
                p.grad = p.gradient_memory
        for table in self.tables:
            gradient = table.parameter.grad
            if gradient is not None and type(gradient) is not SparseGradient:
                table.parameter.grad = SparseGradient.whole(gradient)

    def _gradient_vectors(self):
        """The vector of gradients, and what the sparse ones hold."""
        yield self.gradients
        for table in self.tables:
            if table.parameter.grad is not None:
                yield table.parameter.grad.values.reshape(-1)

    def gradient_norm(self):
        """The Euclidean norm of all gradients together, as a float."""
        total = 0.0
        for vector in self._gradient_vectors():
            pieces = (vector.size + kernels.PIECE - 1) // kernels.PIECE
            if pieces > len(self._sums):
                self._sums = np.empty(pieces + pieces // 4)
            kernels.squared_pieces(vector, self._sums[:pieces])
            total += float(self._sums[:pieces].sum())
        return math.sqrt(total)

    def clip_norm(self, limit):
        """Scale all gradients so that their norm is at most `limit` (Pascanu et al. 2013); the norm before."""
        norm = self.gradient_norm()
        if norm > limit:
            for vector in self._gradient_vectors():
                kernels.scale(vector, vector.dtype.type(limit / norm))
        return norm

    def clip_value(self, limit):
        """Bring every element of every gradient into -limit .. limit."""
        for vector in self._gradient_vectors():
            kernels.clip(vector, vector.dtype.type(limit))

    def penalize(self, l1, l2):
        """Add the gradient of l1 * sum(|w|) + l2 / 2 * sum(w**2) over the parameters that decay.

        A group's own l1 and l2 take the place of these. Of sparse parameters only rows with a gradient are penalised.
        """
        for part in (*self.parts, *self.tables):
            first = l1 if part.group.l1 is None else part.group.l1
            second = l2 if part.group.l2 is None else part.group.l2
            if first or second:
                part.penalize(first, second)

    def shrink(self, factor):
        """Multiply the parameters that decay, sparse ones apart, by `factor`."""
        for part in self.parts:
            part.shrink(factor)

    def load(self, values):
        """Overwrite all values with a vector made earlier by this model's store."""
        if values.shape != self.values.shape:
            raise ShapeError(f"expected a vector of {self.values.size} values, got {values.shape}")
        self.values[:] = values


def aligned(size, dtype):
    """A vector of zeros that begins on a cache line."""
    spare = ALIGNMENT_BYTES // dtype.itemsize
    block = np.zeros(size + spare, dtype)
    start = (-block.ctypes.data % ALIGNMENT_BYTES) // dtype.itemsize
    return block[start : start + size]


def _copied(table):
    copy = aligned(table.size, table.dtype).reshape(table.shape)
    copy[...] = table
    return copy
