"""Elements put to other places by axis: plans for the kernels that copy boxes, and their gradients.

Along each axis a plan has runs (target, source, length, step): the elements of the target from `target` on are those
of the source from `source` on, `step` apart, 0 for the same one again. An array is moved box by box, a box for each
choice of one run along every axis.
"""

import functools
import itertools
import math

import numpy as np

from plugrad import arena
from plugrad.kernel import PARALLEL_ELEMENTS
from plugrad.kernels import move as kernels
from plugrad.ops.arrays import FLOATS, plain

# A box whose last axis is shorter than this has its longest axis last: each row of a box costs some nanoseconds.
SHORT = 16


def whole(length):
    """The runs of an axis that stays as it is."""
    return ((0, 0, length, 1),)


def again(times):
    """The runs of an axis of length 1 that repeats its element."""
    return ((0, 0, times, 0),)


def runs_of(places):
    """The runs of an axis with the elements at `places`, a list, of the source."""
    runs, start, n = [], 0, len(places)
    while start < n:
        step = places[start + 1] - places[start] if start + 1 < n else 1
        end = start + 1
        while end < n and places[end] - places[end - 1] == step:
            end += 1
        runs.append((start, places[start], end - start, step))
        start = end
    return tuple(runs)


class Plan:
    """Boxes and tasks of an array whose axes have these lengths and runs."""

    def __init__(self, lengths, axes, target_lengths):
        to_steps, from_steps = _steps(target_lengths), _steps(lengths)
        found = []
        for runs in itertools.product(*axes):
            to = sum(run[0] * step for run, step in zip(runs, to_steps, strict=True))
            frm = sum(run[1] * step for run, step in zip(runs, from_steps, strict=True))
            sides = zip(runs, to_steps, from_steps, strict=True)
            found.append((to, frm, _merged([(n, a, step * b) for (_, _, n, step), a, b in sides])))
        rank = max((len(sides) for _, _, sides in found), default=2)
        rows = []
        for to, frm, sides in found:
            padded = [(1, 0, 0)] * (rank - len(sides)) + sides
            rows.append((to, frm, *(side[part] for part in range(3) for side in padded)))
        self.boxes = np.array(rows, np.int64).reshape(len(rows), 2 + 3 * rank)
        tasks = [task for n, (_, _, sides) in enumerate(found) for task in _tasks(n, sides)]
        self.tasks = np.array(tasks, np.int64).reshape(-1, 3)
        self.size, self.source_size = math.prod(target_lengths), math.prod(lengths)

    def copy(self, x, shape):
        """An array of `shape` with the elements of x, of float32 or float64, put where the plan says."""
        out = arena.empty(shape, x.dtype)
        run = kernels.copy_boxes.parallel if self.size >= PARALLEL_ELEMENTS else kernels.copy_boxes.serial
        run(self.boxes, self.tasks, plain(x).reshape(-1), out.reshape(-1))
        return out

    def add(self, g, shape):
        """The gradient with respect to x, of `shape`, from that with respect to `copy`'s result."""
        kind = g.dtype if g.dtype in FLOATS else np.dtype(np.float32)
        out = arena.empty(shape, kind)
        out.fill(0)
        kernels.add_boxes.serial(self.boxes, plain(g, kind).reshape(-1), out.reshape(-1))
        return out.astype(g.dtype, copy=False)


plan = functools.lru_cache(256)(Plan)
"""The Plan for lengths, runs and the target's lengths, kept: a training loop asks for the same again."""


def _steps(lengths):
    return [math.prod(lengths[axis + 1 :]) for axis in range(len(lengths))]


def _merged(sides):
    """(length, step to, step from) for each axis of a box, merged where two are one on both sides; two at least."""
    merged = []
    for n, to, frm in sides:
        if n == 1:
            continue
        if merged and merged[-1][1] == n * to and merged[-1][2] == n * frm:
            merged[-1] = (merged[-1][0] * n, to, frm)
        else:
            merged.append((n, to, frm))
    if merged and merged[-1][0] < SHORT:
        merged.append(merged.pop(max(range(len(merged)), key=lambda axis: merged[axis][0])))
    return [(1, 0, 0)] * (2 - len(merged)) + merged


def _tasks(number, sides):
    """(box, first row, end) for the pieces of a box that one thread takes at a time."""
    rows = math.prod(side[0] for side in sides[:-1])
    each = max(1, kernels.TASK // max(1, sides[-1][0]))
    return [(number, first, min(rows, first + each)) for first in range(0, rows, each)]
