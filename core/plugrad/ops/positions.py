"""Where an element stands in a sequence, told to a model: sinusoids that are added, rotations that attention sees."""

import functools

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels.rotary import rotate
from plugrad.op import op
from plugrad.ops.arrays import plain


def _angles(positions, width, base):
    """(positions, width / 2) position times a frequency that falls from 1 to nearly 1 / base."""
    return np.multiply.outer(np.asarray(positions, np.float64), base ** (-np.arange(0, width, 2) / width))


def sinusoidal_positions(length, width, base=10000.0):
    """(length, width) the table of sines and cosines of Vaswani et al. 2017, section 3.5, as float64.

    Column 2i is sin(position / base**(2i / width)), column 2i + 1 the cosine of the same. Raises InputError for sizes
    below 0 and a base that is not positive.
    """
    if length < 0 or width < 0 or not base > 0:
        raise InputError(f"sinusoidal_positions: expected sizes from 0 and a base > 0, got {length}, {width}, {base}")
    table = np.empty((length, width))
    angles = _angles(np.arange(length), width, base)
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles)[:, : width // 2]
    return table


@functools.lru_cache(maxsize=64)
def rotary_tables(length, width, base, dtype):
    """(cosines, sines), each (length, width / 2), of the angles of positions 0 to length - 1."""
    return _tables(np.arange(length), width, base, dtype)


def _tables(positions, width, base, dtype):
    angles = _angles(positions, width, base)
    return np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)


def check_rotary(name, width, base):
    """Refuse a width that does not fall into pairs, and a base that has no powers."""
    if width % 2:
        raise ShapeError(f"{name}: rotary positions turn pairs of features, the width {width} is odd")
    if not base > 0:
        raise InputError(f"{name}: the base of rotary positions must be > 0, got {base}")


@op(
    example=lambda rng: (rng.normal(size=(2, 3, 4)),),
    examples=(
        lambda rng: (rng.normal(size=(2, 3, 6)), np.array([4, 0, 2]), {"base": 100.0}),
        lambda rng: (rng.normal(size=(2, 5, 3, 4)), np.array([[[4, 0, 2]], [[1, 1, 7]]])),
    ),
)
def rotary(x, positions=None, base=10000.0):
    """Queries or keys turned by their positions, so that their products depend on distances (Su et al. 2021).

    x (..., length, width), width even. Features i and i + width/2 are a pair (the halves are not interleaved), turned
    by position / base**(2i / width). positions: numbers that broadcast to (..., length), 0 to length - 1 if None.
    Raises ShapeError for an odd width and for positions that do not fit, InputError for other types.
    """
    if x.ndim < 2:
        raise ShapeError(f"rotary: expected x (..., length, width), got {x.shape}")
    if x.dtype.char not in "fd":
        raise InputError(f"rotary: expected float32 or float64, got {x.dtype}")
    length, width = x.shape[-2:]
    check_rotary("rotary", width, base)
    if positions is None:
        cosine, sine = rotary_tables(length, width, base, x.dtype)
    else:
        cosine, sine = _tables(_fitting(positions, x.shape[:-1]), width, base, x.dtype)

    def turned(array, sign):
        out = arena.empty(x.shape, x.dtype)
        if x.size:
            rotate(
                plain(array, x.dtype).reshape(-1, width), cosine, sine, 1, x.dtype.type(sign), out.reshape(-1, width)
            )
        return out

    return turned(x, 1), (lambda g: turned(g, -1),)


def _fitting(positions, shape):
    """The positions of all rows, or those of one sequence where they are the same for all."""
    positions = np.asarray(positions)
    try:
        repeated = np.broadcast_to(positions, shape)
    except ValueError:
        raise ShapeError(f"rotary: positions {positions.shape} do not broadcast to {shape}") from None
    return np.broadcast_to(positions, shape[-1:]) if positions.ndim < 2 else repeated.reshape(-1)
