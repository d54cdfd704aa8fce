"""What the recurrent ops share: checks, the arrays that a walk over sequences needs, and how results are packed."""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, PlugradError, ShapeError
from plugrad.kernels import recurrent as kernels
from plugrad.kernels.product import PARALLEL_WORK
from plugrad.kernels.recurrent_backward import recurrent_backward
from plugrad.kernels.transpose import transpose
from plugrad.mode import mode
from plugrad.ops.arrays import plain

# Rows of the batch that walk together. More share each load of the weights; fewer are more blocks for the threads.
MOST_ROWS, LEAST_ROWS = 32, 16
# The depth of one weight gradient's product: the stretch of steps whose gradients stay in the cache until it is taken.
DEPTH = 128
# Each share of the blocks adds up weight gradients of its own: this many shares, or fewer where they would take more
# than so much memory.
MOST_SHARES, SHARES_BYTES = 16, 32 << 20
# Below this many rows even a pass that keeps nothing has its input's products taken ahead, which takes memory.
FEW_ROWS = 8

RETURNS = ("sequence", "last", "state")


class Walk:
    """One recurrent layer over a batch of sequences: checked inputs, the forward pass, and the way back."""

    def __init__(self, name, cell, x, weight, recurrent_weight, bias, candidate_bias, states, lengths, reverse):
        self.name, self.cell, self.reverse = name, cell, bool(reverse)
        self.x, self.weight, self.recurrent_weight = x, weight, recurrent_weight
        self.bias, self.candidate_bias, self.states = bias, candidate_bias, states
        self.batch, self.length, self.features = x.shape
        self.units, self.columns = recurrent_weight.shape
        self.pieces = self.columns // self.units
        self.planes = 4 if self.pieces > 1 else 1
        self.lengths = lengths
        self.dtype = weight.dtype
        blocks = max(-(-self.batch // MOST_ROWS), 2 if self.batch > LEAST_ROWS else 1)
        rows = -(-self.batch // blocks)
        self.rows = max(-(-rows // FEW_ROWS) * FEW_ROWS, 1)
        work = self.batch * self.length * self.columns * (self.features + self.units)
        self.shared = self.batch > self.rows and work >= PARALLEL_WORK

    def empty(self, *shape):
        """An array of the walk's type from the arena."""
        return arena.empty(shape, self.dtype)

    def nothing(self, axes):
        """What stands for an array that is not there."""
        return np.empty((0,) * axes, self.dtype)

    def forward(self, returns):
        """The value that `returns` asks for; what the way back needs is kept while recording."""
        keep = mode.recording or self.batch < FEW_ROWS
        slots = self.length + 1 if keep else 1
        numbers = self.batch * self.units
        self.kept = self.empty(slots * numbers)
        self.cells = self.empty(slots * numbers) if self.cell == kernels.LSTM else self.nothing(1)
        self.gates = self.empty(max(slots - 1, 1) * self.planes * numbers)
        count = 2 if self.cell == kernels.LSTM else 1
        whole = numbers * self.length
        if returns == "last":
            out, ends = self.nothing(3), self.empty(count, self.batch, self.units)
            value = ends[0]
        else:
            value = self.empty(whole + count * numbers)
            out = value[:whole].reshape(self.batch, self.length, self.units)
            ends = value[whole:].reshape(count, self.batch, self.units)
            value = out if returns == "sequence" else value
        hidden, memory = (*self.states, None)[:2]
        run = kernels.recurrent_forward.parallel if self.shared else kernels.recurrent_forward.serial
        run(
            self.cell, self.rows, self.x, self.weight, self.recurrent_weight,
            self.nothing(1) if self.bias is None else self.bias,
            self.nothing(1) if self.candidate_bias is None else self.candidate_bias,
            self.nothing(2) if hidden is None else hidden,
            self.nothing(2) if memory is None else memory,
            self.lengths, self.reverse, self.kept, self.cells, self.gates,
            self.empty(self.batch * self.features), self.empty(self.planes * numbers), out, ends,
        )  # fmt: skip
        return value

    def gradients(self, returns, g):
        """The gradients of the sequence and of each last state, out of that of the value; None where there is none."""
        g = plain(g, self.dtype)
        if returns == "sequence":
            return g, *[None] * len(self.states)
        if returns == "last":
            return None, g, *[None] * (len(self.states) - 1)
        numbers = self.batch * self.units
        whole = numbers * self.length
        sequence = g[:whole].reshape(self.batch, self.length, self.units)
        return sequence, *g[whole:].reshape(len(self.states), self.batch, self.units)

    def backward(self, returns, g, to_x, to_weight, to_recurrent, to_states, biases):
        """Write the gradients that are asked for; biases: whether those of the sums are, which are then returned.

        Returns (planes, units), the sums of each gate's gradient over all rows and steps, or None.
        """
        sequence, *ends = self.gradients(returns, g)
        dh, dc = self._state_gradients(ends, to_states)
        shares = max(-(-self.batch // self.rows), 1)
        size = (self.features + self.units) * self.columns * self.dtype.itemsize
        shares = max(min(shares, MOST_SHARES, SHARES_BYTES // max(size, 1)), min(shares, 2))
        depth = max(DEPTH // self.rows, 1) * self.rows
        no_part = np.empty((shares, 0, 0), self.dtype)
        parts = [
            no_part if not wanted else self.empty(shares, *shape)
            for wanted, shape in (
                (to_weight is not None, (self.features, self.columns)),
                (to_recurrent is not None, (self.units, self.columns)),
                (biases, (self.planes, self.units)),
            )
        ]
        sums = self.empty(self.planes, self.units) if biases else None
        run = recurrent_backward.parallel if self.shared else recurrent_backward.serial
        run(
            self.cell, self.rows, self.x,
            self.nothing(2) if to_x is None else self._turned(self.weight),
            self._turned(self.recurrent_weight),
            self.lengths, self.reverse, self.kept, self.cells, self.gates,
            self.nothing(3) if sequence is None else sequence, dh, dc,
            self.empty(shares, depth * self.planes * self.units),
            self.empty(shares, depth * self.features),
            *parts,
            self.nothing(3) if to_x is None else to_x,
            *(self.nothing(2) if target is None else target for target in (to_weight, to_recurrent, sums)),
        )  # fmt: skip
        return sums

    def _state_gradients(self, ends, targets):
        """The arrays in which the gradients of the states are carried back, beginning with those of the last ones."""
        carried = []
        for end, target in zip(ends, targets, strict=True):
            array = self.empty(self.batch, self.units) if target is None else target
            if end is None:
                array.fill(0)
            else:
                np.copyto(array, end)
            carried.append(array)
        return carried[0], carried[1] if self.cell == kernels.LSTM else self.nothing(2)

    def _turned(self, weight):
        turned = self.empty(weight.shape[1], weight.shape[0])
        transpose(weight, turned)
        return turned


def prepare(name, cell, pieces, x, weight, recurrent_weight, biases, states, lengths, reverse):
    """The Walk for arrays that are checked here; biases and states: {name: array or None}.

    Returns it without its biases, and the biases as a list.
    """
    dtype = weight.dtype
    if dtype not in (np.float32, np.float64):
        raise PlugradError(f"{name}: expected a weight of float32 or float64, got {dtype}")
    if x.ndim != 3 or x.dtype.kind not in "fiub":
        raise ShapeError(f"{name}: expected numbers of shape (batch, length, features), got {x.dtype} {x.shape}")
    if weight.ndim != 2 or weight.shape[0] != x.shape[2] or weight.shape[1] % pieces or not weight.shape[1]:
        expected = f"({x.shape[2]}, {pieces} * units)" if pieces > 1 else f"({x.shape[2]}, units)"
        raise ShapeError(f"{name}: expected a weight {expected} for an input {x.shape}, got {weight.shape}")
    columns = weight.shape[1]
    units = columns // pieces
    expected = {"recurrent_weight": (units, columns), **dict.fromkeys(biases, (columns,))}
    expected |= dict.fromkeys(states, (x.shape[0], units))
    given = {"recurrent_weight": recurrent_weight, **biases, **states}
    for what, array in given.items():
        if array is None:
            continue
        if array.shape != expected[what]:
            raise ShapeError(
                f"{name}: expected {what} {expected[what]} for an input {x.shape} and a weight {weight.shape}, "
                f"got {array.shape}"
            )
        given[what] = plain(array, dtype)
    walk = Walk(
        name, cell, plain(x, dtype), plain(weight), given["recurrent_weight"], None, None,
        [given[what] for what in states], check_lengths(name, lengths, x.shape), reverse,
    )  # fmt: skip
    return walk, [given[what] for what in biases]


def check_lengths(name, lengths, shape):
    """lengths as an array of int64, each from 0 to the sequences' length; all of the full length if None."""
    batch, length = shape[:2]
    if lengths is None:
        full = arena.empty((batch,), np.dtype(np.int64))
        full.fill(length)
        return full
    lengths = np.asarray(lengths)
    if lengths.shape != (batch,) or (lengths.dtype.kind not in "iu" and batch):
        raise ShapeError(f"{name}: expected lengths ({batch},) of whole numbers, got {lengths.dtype} {lengths.shape}")
    wrong = (lengths < 0) | (lengths > length)
    if wrong.any():
        raise InputError(f"{name}: length {lengths[wrong][0]} is outside 0..{length}, the length of the sequences")
    return plain(lengths, np.int64)


def check_returns(name, returns):
    """InputError unless `returns` is one of RETURNS."""
    if returns not in RETURNS:
        raise InputError(f"{name}: returns must be one of {', '.join(RETURNS)}, got {returns!r}")
