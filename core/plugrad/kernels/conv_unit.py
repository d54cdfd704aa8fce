"""How the kernels of convolutions cut images into units, and copy what belongs to one.

A unit is a block of one image's outputs, small enough that all that belongs to it stays in the second level of the
cache. Its input is copied with zeros around it (where there is padding at all), and all products are made from there.
Going back, the gradient times the activation's slope is copied in the same way, once, and serves the weight, the bias
and the input while it is in the cache.

Images come as matrices, one row of pixels a row: (batch * height, width * channels).
"""

from typing import NamedTuple

from plugrad.kernel import kernel
from plugrad.kernels.dense import IDENTITY, differentiate

# The units are cut into this many equal shares, whatever the number of threads; each has its own scratch memory.
SHARES = 16


class Geometry(NamedTuple):
    """The numbers of a convolution. Steps and pitches count elements; `z` is the gradient with respect to the sums.

    h and w: along the height and along the width.
    """

    window: int  # window_address of the elements' type
    batch: int
    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int
    groups: int  # 1 where lanewise is 1
    lanewise: int  # 1: depthwise, every channel for itself
    stride_h: int
    stride_w: int
    pad_h: int  # zeros before the first row, and column
    pad_w: int
    padded: int  # 1: the input is copied, since windows reach outside of it or the winograd kernels want it so
    winograd: int  # 1: a 3x3 kernel that is worth the kernels of that name
    block_h: int  # outputs of one unit
    block_w: int
    margin_h: int  # how many outputs before its own a pixel of the input reaches
    margin_w: int
    x_rows: int  # the scratch copy of a unit's input; x_pitch is the image's own where it is not copied
    x_pitch: int
    z_rows: int  # the scratch copy of a unit's z
    z_pitch: int
    depth: int  # of the products that make the output: channels, or those of a whole row of the kernel
    weight_rows: int  # of the products that make the weight's gradient, and how far apart they are in the input
    weight_step: int


@kernel
def count_units(p):
    """Into how many blocks the images are cut."""
    down = (p.out_h + p.block_h - 1) // p.block_h
    across = (p.out_w + p.block_w - 1) // p.block_w
    return p.batch * down * across


@kernel
def unit_corner(unit, p):
    """(image, first row, first column) of a unit's outputs."""
    down = (p.out_h + p.block_h - 1) // p.block_h
    across = (p.out_w + p.block_w - 1) // p.block_w
    return unit // (down * across), unit // across % down * p.block_h, unit % across * p.block_w


@kernel
def copy_block(block, rows, pitch, image, y, number, height, width, channels, first_row, first_column, activation):
    """block (rows, pitch) = image `number` from (first_row, first_column) on, with zeros outside of it.

    Times the slope of the activation whose results are y; y is `image` itself where that is the identity.
    """
    columns = pitch // channels
    left = min(max(-first_column, 0), columns)
    right = max(min(width - first_column, columns), left)
    start, size = (first_column + left) * channels, (right - left) * channels
    for r in range(rows):
        line = block[r * pitch : (r + 1) * pitch]
        row = first_row + r
        if row < 0 or row >= height or size == 0:
            line[:] = 0
            continue
        line[: left * channels] = 0
        line[right * channels :] = 0
        inner = line[left * channels : right * channels]
        source = image[number * height + row, start : start + size]
        if activation == IDENTITY:
            for i in range(size):  # not inner[:] = source: Numba would compile the text of an error for it, for seconds
                inner[i] = source[i]
        else:
            result = y[number * height + row, start : start + size]
            differentiate(result.reshape(1, size), source.reshape(1, size), inner.reshape(1, size), 0, 1, activation)


@kernel
def place_input(unit, p, x, block):
    """Address of the input under the first window of a unit, after it was copied into `block` if that is needed."""
    number, row, column = unit_corner(unit, p)
    first_row, first_column = row * p.stride_h - p.pad_h, column * p.stride_w - p.pad_w
    if p.padded:
        copy_block(block, p.x_rows, p.x_pitch, x, x, number, p.in_h, p.in_w, p.in_c, first_row, first_column, IDENTITY)
        return block.ctypes.data
    return x.ctypes.data + ((number * p.in_h + first_row) * p.x_pitch + first_column * p.in_c) * x.itemsize


@kernel
def place_sums(unit, p, y, g, block, activation, margins):
    """Copy a unit's z = g times the slope of the activation into `block`; returns the part of it that is filled.

    margins: 0 leaves out the rows before the unit's own, which only the gradient of the input needs.
    """
    number, row, column = unit_corner(unit, p)
    skipped = 0 if margins else p.margin_h
    filled = block[skipped * p.z_pitch : p.z_rows * p.z_pitch]
    copy_block(
        filled, p.z_rows - skipped, p.z_pitch, g, y, number, p.out_h, p.out_w, p.out_c,
        row - p.margin_h + skipped, column - p.margin_w, activation,
    )  # fmt: skip
    return filled
