"""Padding, rolling and repeating elements."""

import functools
import operator

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.op import op
from plugrad.ops.arrays import FLOATS, as_array
from plugrad.ops.axes import one_axis
from plugrad.ops.index import add_taken, taken
from plugrad.ops.move import again, plan, runs_of, whole
from plugrad.ops.shape import shaped

MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


def _moved(name, x, found, shape, function, *arguments):
    """A value and its gradient by a plan; of what is no float32 or float64, the value by NumPy's function."""
    value = found.copy(x, shape) if x.dtype in FLOATS else shaped(name, function, x, *arguments)
    return value, (lambda g: found.add(g, x.shape),)


def _pad_example(shape, width, **options):
    return lambda rng: (rng.normal(size=shape), width, options)


@op(
    example=_pad_example((3, 4), ((1, 2), (0, 3)), constant_value=1.5),
    examples=(
        _pad_example((3, 4), 2),
        _pad_example((3,), (1, 2)),
        *(_pad_example((3, 4), ((2, 1), (0, 7)), mode=mode) for mode in MODES[1:]),
    ),
)
def pad(x, pad_width, mode="constant", constant_value=0):
    """x with elements added before and after it along each axis, as NumPy's pad.

    pad_width: a number for all sides, (before, after) for all axes, or one such pair for each axis.
    mode: "constant" for constant_value, "edge" for the outermost element, "reflect" and "symmetric" for a mirror on
    or behind it, "wrap" for the other end. Raises InputError for negative widths and other modes.
    """
    x = as_array(x)
    if mode not in MODES:
        raise InputError(f"pad: mode must be one of {', '.join(MODES)}, got {mode!r}")
    given = np.asarray(pad_width)
    if given.dtype.kind not in "iu" or (given.size and given.min() < 0):
        raise InputError(f"pad: widths must be whole numbers from 0, got {pad_width!r}")
    try:
        widths = np.broadcast_to(given, (x.ndim, 2)).tolist()
    except ValueError:
        raise ShapeError(f"pad: widths {pad_width!r} do not fit an array of shape {x.shape}") from None
    inside = tuple(slice(before, before + n) for (before, _), n in zip(widths, x.shape, strict=True))
    if mode == "constant":
        shape = tuple(before + n + after for (before, after), n in zip(widths, x.shape, strict=True))
        value = arena.empty(shape, x.dtype)
        value.fill(constant_value)
        value[inside] = x
        return value, (lambda g: g[inside],)

    runs = tuple(_pad_runs(n, *width, mode) for n, width in zip(x.shape, widths, strict=True))
    shape = tuple(n + sum(width) for n, width in zip(x.shape, widths, strict=True))
    return _moved("pad", x, plan(x.shape, runs, shape), shape, np.pad, widths, mode)


@functools.lru_cache(256)
def _pad_runs(length, before, after, mode):
    places = shaped("pad", np.pad, np.arange(length), (before, after), mode)
    return runs_of(places.tolist())


@op(
    example=lambda rng: (rng.normal(size=(3, 4)), 2),
    examples=(
        lambda rng: (rng.normal(size=(3, 4)), 3, {"axis": -1}),
        lambda rng: (rng.normal(size=(3, 4)), np.array([2, 0, 1, 3]), {"axis": 1}),
    ),
)
def repeat(x, repeats, axis=None):
    """Each element (of the flattened x for None), or each slice along an axis, several times in a row.

    repeats: one number for all, or one for each; as NumPy's repeat.
    """
    x = as_array(x)
    source = x.reshape(-1) if axis is None else x
    axis = one_axis("repeat", 0 if axis is None else axis, source.ndim)
    counts = np.asarray(repeats)
    if counts.dtype.kind not in "iu" or counts.ndim > 1 or (counts.size and counts.min() < 0):
        raise InputError(f"repeat: repeats must be whole numbers from 0, got {repeats!r}")
    length = source.shape[axis]
    if counts.size not in (1, length):
        raise ShapeError(f"repeat: {counts.size} repeats do not fit axis {axis} of shape {source.shape}")
    if counts.size == 1:
        times = int(counts.reshape(()))
        sides = source.shape[:axis], source.shape[axis + 1 :]
        runs = (*map(whole, source.shape[: axis + 1]), again(times), *map(whole, sides[1]))
        found = plan((*source.shape[: axis + 1], 1, *sides[1]), runs, (*source.shape[: axis + 1], times, *sides[1]))
        value, (to_source,) = _moved(
            "repeat", source, found, (*sides[0], length * times, *sides[1]), np.repeat, times, axis
        )
        return value, (lambda g: to_source(g).reshape(x.shape),)
    places = np.repeat(np.arange(length), counts)
    return taken(source, places, axis), (lambda g: add_taken(places, g, source.shape, axis).reshape(x.shape),)


@op(
    example=lambda rng: (rng.normal(size=(2, 3)), (2, 1, 3)),
    examples=(lambda rng: (rng.normal(size=(2, 3)), 2), lambda rng: (rng.normal(size=(2, 3)), (0, 2))),
)
def tile(x, reps):
    """x put side by side with itself `reps` times along each axis, as NumPy's tile."""
    x = as_array(x)
    counts = tuple(reps) if isinstance(reps, tuple | list) else (reps,)
    if any(not isinstance(n, int | np.integer) or n < 0 for n in counts):
        raise InputError(f"tile: reps must be whole numbers from 0, got {reps!r}")
    ndim = max(x.ndim, len(counts))
    counts = (1,) * (ndim - len(counts)) + counts
    lengths = (1,) * (ndim - x.ndim) + x.shape
    pairs = tuple(zip(counts, lengths, strict=True))
    runs = tuple(run for times, n in pairs for run in (again(times), whole(n)))
    found = plan(tuple(m for n in lengths for m in (1, n)), runs, tuple(m for pair in pairs for m in pair))
    return _moved("tile", x, found, tuple(times * n for times, n in pairs), np.tile, reps)


@op(
    example=lambda rng: (rng.normal(size=(3, 4)), 5),
    examples=(
        lambda rng: (rng.normal(size=(3, 4)), -1, 0),
        lambda rng: (rng.normal(size=(3, 4)), (1, 2), {"axis": (0, -1)}),
    ),
)
def roll(x, shift, axis=None):
    """The elements moved on by `shift` places along axes; what goes out at the end comes in at the beginning."""
    x = as_array(x)
    source = x.reshape(-1) if axis is None else x
    shifts = [0] * source.ndim
    try:
        pairs = list(np.broadcast(shift, 0 if axis is None else axis))
        for by, along in pairs:  # an axis may be named several times
            shifts[one_axis("roll", along, source.ndim)] += operator.index(by)
    except (TypeError, ValueError) as error:
        raise ShapeError(f"roll: {error}; got shift {shift!r} and axis {axis!r} for shape {x.shape}") from None
    runs = tuple(_roll_runs(n, by) for n, by in zip(source.shape, shifts, strict=True))
    value, _ = _moved("roll", x, plan(source.shape, runs, source.shape), x.shape, np.roll, shift, axis)

    def to_x(g):  # every element has one place: a copy the other way, nothing to add
        if g.dtype not in FLOATS:
            return np.roll(g, tuple(np.negative(shift)) if np.ndim(shift) else -shift, axis)
        runs = tuple(_roll_runs(n, -by) for n, by in zip(source.shape, shifts, strict=True))
        return plan(source.shape, runs, source.shape).copy(g, x.shape)

    return value, (to_x,)


def _roll_runs(length, shift):
    first = shift % length if length else 0
    return ((0, length - first, first, 1), (first, 0, length - first, 1)) if first else whole(length)
