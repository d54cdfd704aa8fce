"""Layers that arrange the elements of a sample differently."""

import math
from dataclasses import dataclass

import plugrad as pg
from plugrad.errors import InputError, ShapeError


@dataclass
class Flatten(pg.Layer):
    """All axes of a sample as one. Input (batch, ...) -> output (batch, product of the others)."""

    def forward(self, x):
        # Not -1: with an empty batch it would be ambiguous.
        return pg.reshape(x, (x.shape[0], math.prod(x.shape[1:])))

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(), (2, 3)


@dataclass
class Reshape(pg.Layer):
    """Each sample's elements in another shape. Input (batch, ...) -> output (batch, *shape).

    shape: lengths without the batch; one may be -1, for what is left. Raises InputError for other lengths below 0,
    ShapeError for samples with another number of elements.
    """

    shape: list

    def __post_init__(self):
        lengths = list(self.shape) if isinstance(self.shape, list | tuple) else [None]
        if any(not isinstance(n, int) or isinstance(n, bool) or n < -1 for n in lengths) or lengths.count(-1) > 1:
            raise InputError(f"Reshape: shape must be a list of lengths with at most one -1, got {self.shape!r}")

    def forward(self, x):
        size = math.prod(x.shape[1:])
        given = math.prod(n for n in self.shape if n != -1)
        open_ended = -1 in self.shape
        if (given == 0 or size % given) if open_ended else size != given:
            raise ShapeError(f"Reshape: samples of shape {x.shape[1:]} do not fit into {tuple(self.shape)}")
        lengths = [size // given if n == -1 else n for n in self.shape]
        return pg.reshape(x, (x.shape[0], *lengths))

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls([3, -1]), (2, 6)


@dataclass
class Permute(pg.Layer):
    """A sample's axes in another order. Input (batch, ...) -> output (batch, the others in the order of `axes`).

    axes: the sample's axes, counted from 0 without the batch, each once. Raises InputError for other lists, ShapeError
    for samples of another number of axes.
    """

    axes: list

    def __post_init__(self):
        given = list(self.axes) if isinstance(self.axes, list | tuple) else [None]
        if any(type(a) is not int for a in given) or sorted(given) != list(range(len(given))):
            raise InputError(f"Permute: axes must be the numbers 0, 1, ... in some order, got {self.axes!r}")

    def forward(self, x):
        if x.ndim != len(self.axes) + 1:
            raise ShapeError(f"Permute: samples of shape {x.shape[1:]} do not have the axes {list(self.axes)}")
        return pg.transpose(x, (0, *(a + 1 for a in self.axes)))

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls([1, 2, 0]), (2, 3, 4)


@dataclass
class Pad(pg.Layer):
    """Elements added on both sides of a sample's axes. Input (batch, n, ...) -> (batch, before + n + after, ...).

    widths: one [before, after] for each axis of a sample, channels included. mode: "constant" for `value`, "edge",
    "reflect", "symmetric" or "wrap", as in `plugrad.pad`. Raises InputError for widths below 0, ShapeError for samples
    of another number of axes.
    """

    widths: list
    mode: str = "constant"
    value: float = 0.0

    def __post_init__(self):
        pairs = self.widths if isinstance(self.widths, list | tuple) else [None]
        if any(
            not isinstance(p, list | tuple) or len(p) != 2 or any(type(n) is not int or n < 0 for n in p) for p in pairs
        ):
            raise InputError(f"Pad: widths must be a list of [before, after], both from 0, got {self.widths!r}")

    def forward(self, x):
        if x.ndim != len(self.widths) + 1:
            raise ShapeError(f"Pad: samples of shape {x.shape[1:]} do not fit widths for {len(self.widths)} axes")
        widths = ((0, 0), *(tuple(pair) for pair in self.widths))
        return pg.pad(x, widths, mode=self.mode, constant_value=self.value)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls([[1, 2], [0, 1]], mode="edge"), (3, 2)
