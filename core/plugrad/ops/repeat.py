"""Padding, and repeating elements."""

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.op import op
from plugrad.ops.arrays import as_array
from plugrad.ops.axes import one_axis
from plugrad.ops.index import add_taken
from plugrad.ops.shape import shaped

MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


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

    def to_x(g):
        for axis, (width, length) in enumerate(zip(widths, x.shape, strict=True)):
            if any(width):
                g = add_taken(np.pad(np.arange(length), width, mode), g, _with(g.shape, axis, length), axis)
        return g

    return shaped("pad", np.pad, x, widths, mode) if x.ndim else x, (to_x,)


def _with(shape, axis, length):
    return (*shape[:axis], length, *shape[axis + 1 :])


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
    whole = x.reshape(-1) if axis is None else x
    axis = one_axis("repeat", 0 if axis is None else axis, whole.ndim)
    counts = np.asarray(repeats)
    if counts.dtype.kind not in "iu" or counts.ndim > 1 or (counts.size and counts.min() < 0):
        raise InputError(f"repeat: repeats must be whole numbers from 0, got {repeats!r}")
    length = whole.shape[axis]
    value = shaped("repeat", np.repeat, whole, counts, axis)

    def to_x(g):
        if counts.size == 1:
            parts = g.reshape(*whole.shape[: axis + 1], int(counts.reshape(())), *whole.shape[axis + 1 :])
            return parts.sum(axis=axis + 1).reshape(x.shape)
        return add_taken(np.repeat(np.arange(length), counts), g, whole.shape, axis).reshape(x.shape)

    return value, (to_x,)
