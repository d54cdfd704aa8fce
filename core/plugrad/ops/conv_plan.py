"""How a convolution is cut up: the Geometry that its kernels walk by, and the lists of places in their inputs."""

import functools
import itertools
from typing import NamedTuple

import numpy as np

from plugrad.kernels.conv_unit import SHARES, Geometry
from plugrad.kernels.window_tile import window_address
from plugrad.kernels.winograd import PLACES, winograd_size

# Elements of a unit's input and gradient together, so that they stay in the second level of the cache.
UNIT_ELEMENTS = 96 << 10
# Outputs of a unit in a row, and the least number of its rows: below it what is copied around them weighs too much.
UNIT_COLUMNS = 256
UNIT_ROWS = 4
# Elements of all partial gradients of the weight together; a large weight is added up by fewer shares.
PARTS_ELEMENTS = 4 << 20
LEAST_SHARES = 4
# Below these, the transforms of winograd's algorithm cost as much as they save: channels in times channels out, the
# fewer of the two, and outputs along an axis.
WINOGRAD_PRODUCTS, WINOGRAD_CHANNELS, WINOGRAD_OUTPUTS = 256, 8, 8


class Axis(NamedTuple):
    """A convolution along one axis: `size` inputs, `pad` zeros before them, `out` windows of `kernel` elements."""

    size: int
    kernel: int
    stride: int
    dilation: int
    pad: int
    out: int

    @property
    def reach(self):
        """From the first to the last element of a window."""
        return self.dilation * (self.kernel - 1)

    @property
    def margin(self):
        """How many windows before the one that begins at an element may hold it."""
        return self.reach // self.stride

    @property
    def padded(self):
        """Whether a window reaches outside of the input."""
        return self.pad > 0 or (self.out - 1) * self.stride + self.reach >= self.size

    @property
    def simple(self):
        """Whether it is an axis of a 3x3 kernel with a step of 1, and long enough to be cut into tiles."""
        return (self.kernel, self.stride, self.dilation) == (3, 1, 1) and self.out >= WINOGRAD_OUTPUTS

    def inputs(self, block):
        """Elements under `block` windows."""
        return (block - 1) * self.stride + self.reach + 1

    def windows(self, block):
        """Windows that hold the elements which belong to a block of windows, at most."""
        start = (self.out - 1) // block * block
        last = max(self.out, (self.pad + self.size - 1) // self.stride + 1)
        return self.margin + max(block, last - start)

    def taps(self, phase):
        """(element of the window, how many windows back) for the elements that a phase of the stride meets.

        The farthest window comes first: in this order they lie in memory.
        """
        met = [k for k in range(self.kernel) if k * self.dilation % self.stride == phase]
        return [(k, (k * self.dilation - phase) // self.stride) for k in reversed(met)]


class Plan(NamedTuple):
    """What the kernels of `plugrad.kernels.conv` are given beside the arrays."""

    geometry: Geometry
    taps: np.ndarray
    weight_taps: np.ndarray
    lines: np.ndarray
    still: np.ndarray
    phases: np.ndarray
    reach: np.ndarray
    order: np.ndarray
    x_size: int
    z_size: int
    work_size: int
    fast_size: int
    part_size: int
    shares: int
    weight_shares: int
    work: int


@functools.lru_cache(maxsize=512)
def plan(dtype, batch, height, width, in_c, out_c, groups):
    """The Plan for arrays of a type, two Axis, and numbers of channels that groups divides."""
    lanewise = 1 < groups == in_c == out_c
    whole_rows = groups == 1 and not lanewise and width.dilation == 1
    block_h, block_w = _block(batch, height, width, in_c, out_c)
    winograd = (
        groups == 1
        and height.simple
        and width.simple
        and in_c * out_c >= WINOGRAD_PRODUCTS
        and min(in_c, out_c) >= WINOGRAD_CHANNELS
    )
    if winograd:  # whole tiles, and room for those that reach over the end
        block_h, block_w = block_h + block_h % 2, block_w + block_w % 2
    padded = winograd or height.padded or width.padded
    x_pitch = (width.inputs(block_w) if padded else width.size) * in_c
    z_rows, z_pitch = height.windows(block_h) + winograd, (width.windows(block_w) + winograd) * out_c
    group_in = in_c // groups

    rows = [k * height.dilation * x_pitch for k in range(height.kernel)]
    columns = [k * width.dilation * in_c for k in range(width.kernel)]
    taps = rows if whole_rows else [row + column for row in rows for column in columns]
    depth = width.kernel * in_c if whole_rows else 1 if lanewise else group_in
    geometry = Geometry(
        window=window_address(dtype), batch=batch,
        in_h=height.size, in_w=width.size, in_c=in_c, out_h=height.out, out_w=width.out, out_c=out_c,
        groups=1 if lanewise else groups, lanewise=int(lanewise), stride_h=height.stride, stride_w=width.stride,
        pad_h=height.pad, pad_w=width.pad, padded=int(padded),
        winograd=int(winograd), block_h=block_h, block_w=block_w,
        margin_h=height.margin, margin_w=width.margin, x_rows=height.inputs(block_h), x_pitch=x_pitch,
        z_rows=z_rows, z_pitch=z_pitch, depth=depth,
        weight_rows=width.kernel if lanewise else depth, weight_step=width.dilation * in_c if lanewise else 1,
    )  # fmt: skip
    units = batch * -(-height.out // block_h) * -(-width.out // block_w)
    weight_size = height.kernel * width.kernel * group_in * out_c
    shares = max(1, min(SHARES, units))
    fast_size = PLACES * in_c * out_c if winograd else 0
    part_size = fast_size + weight_size + out_c
    return Plan(
        geometry,
        _list(taps),
        _list(rows if lanewise else taps),
        np.arange(block_h, dtype=np.int64) * (height.stride * x_pitch),
        np.zeros(block_h, np.int64),
        *_phases(height, width, z_pitch, group_in, out_c, groups, lanewise),
        x_size=geometry.x_rows * x_pitch if padded else 0,
        z_size=z_rows * z_pitch,
        work_size=winograd_size(in_c, out_c) if winograd else 0,
        fast_size=fast_size,
        part_size=part_size,
        shares=shares,
        weight_shares=min(shares, max(LEAST_SHARES, PARTS_ELEMENTS // part_size)),
        work=batch * height.out * width.out * weight_size,
    )


def _list(numbers, shape=(-1,)):
    return np.array(numbers, np.int64).reshape(shape)


def _block(batch, height, width, in_c, out_c):
    """(rows, columns) of the outputs of one unit, blocks being nearly equal."""
    columns = _even(width.out, UNIT_COLUMNS)
    elements = height.stride * width.inputs(columns) * in_c + (columns + width.margin) * out_c
    # A small batch is cut finer, so that every thread has some of it.
    share = -(-batch * height.out * -(-width.out // columns) // SHARES)
    return _even(height.out, max(UNIT_ROWS, min(UNIT_ELEMENTS // elements, share))), columns


def _even(size, most):
    pieces = -(-size // most)
    return -(-size // pieces)


def _phases(height, width, z_pitch, group_in, out_c, groups, lanewise):
    """(phases, reach, order) as `conv_backward` expects them."""
    phases, reach, order = [], [], []
    for phase_h in range(height.stride):
        for phase_w in range(width.stride):
            down, across = height.taps(phase_h), width.taps(phase_w)
            back = [windows for _, windows in across]
            # Where windows lie beside each other, a row of them is one product.
            whole_rows = groups == 1 and not lanewise and all(a - b == 1 for a, b in itertools.pairwise(back))
            run = across[:1] if whole_rows else across
            taps = len(back) if whole_rows else 1
            depth = taps * out_c if whole_rows else 1 if lanewise else out_c // groups
            phases.append((len(reach), len(down) * len(run), depth, len(order), taps * out_c * group_in))
            reach += [-h * z_pitch - w * out_c for _, h in down for _, w in run]
            order += [k * width.kernel + j for k, _ in down for j, _ in across]
    return _list(phases, (-1, 5)), _list(reach), _list(order)
