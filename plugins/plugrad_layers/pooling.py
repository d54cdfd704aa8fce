"""Pooling: of windows of images and sequences, and of all positions of a sample."""

from dataclasses import dataclass

import plugrad as pg
from plugrad.errors import InputError


def _check(layer, axes):
    """Refuse fields that are neither a whole number nor, for images, two of them."""
    for name, least in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
        value = getattr(layer, name, least)
        if value is None and name == "stride":
            continue
        values = list(value) if isinstance(value, list | tuple) and axes == 2 else [value] * axes
        if len(values) != axes or any(not isinstance(v, int) or isinstance(v, bool) or v < least for v in values):
            kind = "a whole number" if axes == 1 else "a whole number, or one for rows and one for columns,"
            raise InputError(f"{type(layer).__name__}: {name} must be {kind} from {least}, got {value!r}")
    for name in ("ceil_mode", "count_include_pad"):
        if not isinstance(getattr(layer, name, False), bool):
            raise InputError(f"{type(layer).__name__}: {name} must be True or False, got {getattr(layer, name)!r}")


@dataclass
class MaxPool1D(pg.Layer):
    """The largest element of every window of a sequence, by channels.

    Input (batch, length, channels) -> output (batch, windows, channels).

    kernel_size: taps of a window. stride: positions from one window to the next, None for kernel_size. padding:
    positions added at both ends that no maximum comes from, at most half the kernel. dilation: positions from tap to
    tap. ceil_mode: True lets the last window reach beyond the end. Raises InputError for other fields, ShapeError
    where no window fits.
    """

    kernel_size: int
    stride: int | None = None
    padding: int = 0
    dilation: int = 1
    ceil_mode: bool = False

    def __post_init__(self):
        _check(self, 1)

    def forward(self, x):
        return pg.max_pool1d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(3, stride=2, padding=1), (6, 2)


@dataclass
class MaxPool2D(pg.Layer):
    """The largest element of every window of an image, by channels.

    Input (batch, rows, columns, channels) -> output (batch, windows down, windows across, channels). Fields as those of
    MaxPool1D, each one number or one for rows and one for columns.
    """

    kernel_size: int | list
    stride: int | list | None = None
    padding: int | list = 0
    dilation: int | list = 1
    ceil_mode: bool = False

    def __post_init__(self):
        _check(self, 2)

    def forward(self, x):
        return pg.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls([2, 3], stride=2, padding=[0, 1]), (4, 5, 2)


@dataclass
class AvgPool1D(pg.Layer):
    """The mean of every window of a sequence, by channels.

    Input (batch, length, channels) -> output (batch, windows, channels). Fields as those of MaxPool1D; padding adds
    zeros, which count_include_pad = False leaves out of the number that a sum is divided by.
    """

    kernel_size: int
    stride: int | None = None
    padding: int = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    def __post_init__(self):
        _check(self, 1)

    def forward(self, x):
        return pg.avg_pool1d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(3, stride=2, padding=1), (6, 2)


@dataclass
class AvgPool2D(pg.Layer):
    """The mean of every window of an image, by channels.

    Input (batch, rows, columns, channels) -> output (batch, windows down, windows across, channels). Fields as those of
    AvgPool1D, each one number or one for rows and one for columns.
    """

    kernel_size: int | list
    stride: int | list | None = None
    padding: int | list = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    def __post_init__(self):
        _check(self, 2)

    def forward(self, x):
        return pg.avg_pool2d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls([2, 3], stride=2, padding=[0, 1], count_include_pad=False), (4, 5, 2)


@dataclass
class GlobalAvgPool(pg.Layer):
    """The mean over all positions of a sample (Lin, Chen & Yan 2014).

    Input (batch, ..., channels) -> output (batch, channels). mask (batch, ...): 0 for positions that are left out, as
    the padding behind a short sequence; a sample without any other gives 0.
    """

    def forward(self, x, mask=None):
        return pg.global_avg_pool(x, mask)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(), (3, 4, 2)


@dataclass
class GlobalMaxPool(pg.Layer):
    """The largest element over all positions of a sample, by channels.

    Input (batch, ..., channels) -> output (batch, channels). mask: as for GlobalAvgPool.
    """

    def forward(self, x, mask=None):
        return pg.global_max_pool(x, mask)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(), (3, 4, 2)
