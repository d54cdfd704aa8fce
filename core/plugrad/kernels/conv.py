"""Convolutions of images (batch, height, width, channels) on the window tile, without a copy of their patches.

The work is cut into units: a block of one image's outputs, small enough that what belongs to it stays in the second
level of the cache. For each unit its input is copied with zeros around it (where there is padding at all), and all
products are made from there. Going back, the gradient times the activation's slope is copied in the same way, once, and
serves the weight, the bias and the input while it is in the cache.

Images come as matrices, one row of pixels a row: (batch * height, width * channels).
"""

from typing import NamedTuple

from plugrad.kernel import kernel, prange
from plugrad.kernels.dense import IDENTITY, RELU, activate, differentiate, sum_rows
from plugrad.kernels.transpose import transpose_rows
from plugrad.kernels.window_tile import window_block

# The units are cut into this many equal shares, whatever the number of threads; each has its own scratch memory.
SHARES = 16


class Geometry(NamedTuple):
    """The numbers of a convolution. Steps and pitches count elements; `z` is the gradient with respect to the sums.

    h and w: along the height and along the width.
    """

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
    padded: int  # 1: windows reach outside of the image, so that it is copied
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
            inner[:] = source
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
def conv_forward(x, w, bias, y, p, taps, scratch, activation):
    """y (batch*out_h, out_w*out_c) = act(conv(x (batch*in_h, in_w*in_c), w) + bias), for the Geometry p.

    w: contiguous, as (taps, channels of a group, out_c); bias (out_c,), or (0,) for none; taps: places of the products'
    parts in a unit's input; scratch (shares, enough for x_rows * x_pitch).
    """
    size = x.itemsize
    group_in, group_out = p.in_c // p.groups, p.out_c // p.groups
    units = count_units(p)
    shares = scratch.shape[0]
    relu = 1 if activation == RELU else 0
    for share in prange(shares):
        for unit in range(share * units // shares, (share + 1) * units // shares):
            at_x = place_input(unit, p, x, scratch[share])
            number, row, column = unit_corner(unit, p)
            rows, columns = min(p.block_h, p.out_h - row), min(p.block_w, p.out_w - column)
            at_y = y.ctypes.data + ((number * p.out_h + row) * p.out_w + column) * p.out_c * size
            for group in range(p.groups):
                first = group * group_out * size
                window_block(
                    x, p.lanewise, at_x + group * group_in * size, p.stride_h * p.x_pitch, p.stride_w * p.in_c, 1,
                    taps.ctypes.data, taps.size, p.depth, w.ctypes.data + first, p.out_c, p.depth * p.out_c,
                    0 if bias.size == 0 else bias.ctypes.data + first, 0, 0,
                    at_y + first, p.out_w * p.out_c, p.out_c, rows, columns, group_out, relu,
                )  # fmt: skip
            if activation > RELU:
                first = number * p.out_h + row
                activate(y, first, first + rows, column * p.out_c, (column + columns) * p.out_c, activation)


@kernel
def turn_weight(w, order, turned, first, last):
    """turned[first:last] = the matrices of w (taps, k, n) transposed, those that `order` names."""
    for i in range(first, last):
        transpose_rows(w[order[i]], turned[i], 0, w.shape[1])


@kernel
def place_sums(unit, p, y, g, block, activation, margins):
    """Copy a unit's z = g times the slope of the activation into `block`, with the outputs around if margins is 1."""
    number, row, column = unit_corner(unit, p)
    skipped = 0 if margins else p.margin_h
    rows = p.z_rows if margins else min(p.block_h, p.out_h - row)
    part = block[skipped * p.z_pitch :]
    first_row, first_column = row - p.margin_h + skipped, column - p.margin_w
    copy_block(part, rows, p.z_pitch, g, y, number, p.out_h, p.out_w, p.out_c, first_row, first_column, activation)


@kernel
def axis_pixels(first, last, phase, stride, pad, outputs, length):
    """(first, last) window of the pixels of one axis that a unit owns, in one phase of the stride.

    A pixel's place in the padded input is phase + stride * window. A unit owns the pixels from its first window's
    beginning up to the next unit's, the last unit all that remain.
    """
    end = pad + length
    begin = max(first * stride, pad)
    if last < outputs:
        end = min(end, last * stride)
    return (begin - phase + stride - 1) // stride, (end - phase + stride - 1) // stride


@kernel
def spread_unit(unit, p, block, turned, bias, dx, phases, reach, relu):
    """Write the pixels of dx that a unit owns: each the sum of the z whose windows it lies in, times their weights.

    With a stride there are stride_h * stride_w phases, sets of pixels that meet the same part of the kernel; each is a
    convolution of z. phases: (first place in reach, count, depth, first tap in turned, step between taps) of each.
    """
    size = dx.itemsize
    number, row, column = unit_corner(unit, p)
    last_row, last_column = min(row + p.block_h, p.out_h), min(column + p.block_w, p.out_w)
    group_in, group_out = p.in_c // p.groups, p.out_c // p.groups
    tap_size = turned.size // turned.shape[0]
    for phase in range(phases.shape[0]):
        phase_h, phase_w = phase // p.stride_w, phase % p.stride_w
        first_h, end_h = axis_pixels(row, last_row, phase_h, p.stride_h, p.pad_h, p.out_h, p.in_h)
        first_w, end_w = axis_pixels(column, last_column, phase_w, p.stride_w, p.pad_w, p.out_w, p.in_w)
        if end_h <= first_h or end_w <= first_w:
            continue
        place = (first_h - row + p.margin_h) * p.z_pitch + (first_w - column + p.margin_w) * p.out_c
        pixel_h, pixel_w = phase_h + p.stride_h * first_h - p.pad_h, phase_w + p.stride_w * first_w - p.pad_w
        at_dx = dx.ctypes.data + ((number * p.in_h + pixel_h) * p.in_w + pixel_w) * p.in_c * size
        offsets = reach.ctypes.data + phases[phase, 0] * 8
        at_w = turned.ctypes.data + phases[phase, 3] * tap_size * size
        for group in range(p.groups):
            first = group * group_in * size
            window_block(
                dx, p.lanewise, block.ctypes.data + (place + group * group_out) * size, p.z_pitch, p.out_c, 1,
                offsets, phases[phase, 1], phases[phase, 2],
                at_w + group * group_out * group_in * size, group_in, phases[phase, 4],
                0 if bias.size == 0 else bias.ctypes.data + first, 0, 0,
                at_dx + first, p.stride_h * p.in_w * p.in_c, p.stride_w * p.in_c, end_h - first_h, end_w - first_w,
                group_in, relu,
            )  # fmt: skip


@kernel
def weight_unit(unit, p, at_x, block, total, fresh, taps, lines):
    """Add what a unit contributes to the weight's gradient to `total`, or write it there if fresh is 1."""
    size = block.itemsize
    _, row, column = unit_corner(unit, p)
    rows, columns = min(p.block_h, p.out_h - row), min(p.block_w, p.out_w - column)
    group_in, group_out = p.in_c // p.groups, p.out_c // p.groups
    at_z = block.ctypes.data + (p.margin_h * p.z_pitch + p.margin_w * p.out_c) * size
    for tap in range(taps.size):
        for group in range(p.groups):
            first = group * group_out * size
            at_total = total.ctypes.data + tap * p.weight_rows * p.out_c * size + first
            window_block(
                block, p.lanewise, at_x + (taps[tap] + group * group_in) * size, 0, p.weight_step, p.stride_w * p.in_c,
                lines.ctypes.data, rows, columns, at_z + first, p.out_c, p.z_pitch,
                0 if fresh else at_total, 0, p.out_c, at_total, 0, p.out_c, 1, p.weight_rows, group_out, 0,
            )  # fmt: skip


@kernel
def bias_unit(unit, p, block, total, fresh, still, one):
    """As weight_unit, for the bias: the product of z with a row of ones, all read from one place."""
    size = block.itemsize
    _, row, column = unit_corner(unit, p)
    rows, columns = min(p.block_h, p.out_h - row), min(p.block_w, p.out_w - column)
    at_z = block.ctypes.data + (p.margin_h * p.z_pitch + p.margin_w * p.out_c) * size
    window_block(
        block, 0, one.ctypes.data, 0, 0, 0, still.ctypes.data, rows, columns, at_z, p.out_c, p.z_pitch,
        0 if fresh else total.ctypes.data, 0, 0, total.ctypes.data, 0, p.out_c, 1, 1, p.out_c, 0,
    )  # fmt: skip


@kernel
def add_parts(parts, first, last, out):
    """out = the sum of the rows of parts[:, first:last], from the first row to the last."""
    out[:] = parts[0, first:last]
    for i in range(1, parts.shape[0]):
        part = parts[i, first:last]
        for j in range(out.size):
            out[j] += part[j]


@kernel
def conv_backward(
    x, w, y, g, activation, p, taps, weight_taps, lines, still, phases, reach, order, turned, scratch, parts, one,
    dx, dw, db,
):  # fmt: skip
    """All gradients of conv_forward from g, the loss's gradient with respect to y.

    w (taps, channels of a group, out_c). turned, scratch, parts (shares, size of w + out_c): scratch memory; a share
    adds up its units' gradients of the weight and the bias in its row of parts. one: the number 1.
    dx, dw, db: written; an empty array stands for a gradient that nobody asks for.
    """
    units = count_units(p)
    shares = scratch.shape[0]
    if dx.size:
        for share in prange(SHARES):
            count = order.size
            turn_weight(w, order, turned, share * count // SHARES, (share + 1) * count // SHARES)
    for share in prange(shares):
        z, inputs = scratch[share, : p.z_rows * p.z_pitch], scratch[share, p.z_rows * p.z_pitch :]
        first = share * units // shares
        for unit in range(first, (share + 1) * units // shares):
            fresh = 1 if unit == first else 0
            place_sums(unit, p, y, g, z, activation, 1 if dx.size else 0)
            if dw.size:
                at_x = place_input(unit, p, x, inputs)
                weight_unit(unit, p, at_x, z, parts[share, : dw.size], fresh, weight_taps, lines)
            if db.size:
                bias_unit(unit, p, z, parts[share, w.size :], fresh, still, one)
            if dx.size:
                spread_unit(unit, p, z, turned, one[:0], dx, phases, reach, 0)
    for share in prange(SHARES):
        for out, start in ((dw, 0), (db, w.size)):
            first, last = share * out.size // SHARES, (share + 1) * out.size // SHARES
            if last > first:
                add_parts(parts, start + first, start + last, out[first:last])


@kernel
def conv_spread(z, turned, bias, y, activation, p, phases, reach, scratch):
    """A transposed convolution: y (batch*in_h, in_w*in_c) = act(the gradient conv_backward would give + bias) for z.

    z (batch*out_h, out_w*out_c), as an output of the convolution that is transposed; turned: its weights, in order.
    """
    units = count_units(p)
    shares = scratch.shape[0]
    for share in prange(shares):
        for unit in range(share * units // shares, (share + 1) * units // shares):
            place_sums(unit, p, z, z, scratch[share], IDENTITY, 1)
            spread_unit(unit, p, scratch[share], turned, bias, y, phases, reach, 1 if activation == RELU else 0)
    if activation > RELU:
        rows = y.shape[0]
        for share in prange(SHARES):
            activate(y, share * rows // SHARES, (share + 1) * rows // SHARES, 0, y.shape[1], activation)


@kernel
def apply_slope(y, g, z, activation):
    """z = g times the slope of the activation whose results are y; matrices of one shape."""
    rows = y.shape[0]
    for share in prange(SHARES):
        differentiate(y, g, z, share * rows // SHARES, (share + 1) * rows // SHARES, activation)


@kernel
def sum_channels(z, parts, out):
    """out = the sums of the columns of z (pixels, channels); parts (SHARES, channels): scratch memory."""
    pixels = z.shape[0]
    for share in prange(SHARES):
        part = z[share * pixels // SHARES : (share + 1) * pixels // SHARES]
        sum_rows(part, parts[share], 0, out.size)
    add_parts(parts, 0, out.size, out)


@kernel
def repeat_channels(x, out):
    """out (pixels, channels * n) = every channel of x (pixels, channels) n times."""
    times = out.shape[1] // x.shape[1]
    for share in prange(SHARES):
        for i in range(share * x.shape[0] // SHARES, (share + 1) * x.shape[0] // SHARES):
            for j in range(x.shape[1]):
                for k in range(times):
                    out[i, j * times + k] = x[i, j]


@kernel
def fold_channels(wide, out):
    """out (pixels, channels) = the sums of the n columns that repeat_channels makes of each channel."""
    times = wide.shape[1] // out.shape[1]
    for share in prange(SHARES):
        for i in range(share * out.shape[0] // SHARES, (share + 1) * out.shape[0] // SHARES):
            for j in range(out.shape[1]):
                total = wide[i, j * times]
                for k in range(1, times):
                    total += wide[i, j * times + k]
                out[i, j] = total
