"""Convolutions of images (batch, height, width, channels) on the window tile, without a copy of their patches."""

from plugrad.kernel import kernel, prange
from plugrad.kernels.conv_spread import fast_spread_unit, spread_unit
from plugrad.kernels.conv_unit import SHARES, count_units, place_input, place_sums, unit_corner
from plugrad.kernels.dense import RELU, activate
from plugrad.kernels.transpose import transpose_rows
from plugrad.kernels.window_tile import window_block
from plugrad.kernels.winograd import (
    PLACES,
    bounded,
    transform_weight,
    transform_weight_back,
    winograd_block,
    winograd_gradient,
)


@kernel(inline=False)
def forward_share(share, shares, units, x, w, bias, y, p, taps, still, u, scratch, activation, fast):
    """One share of conv_forward's units."""
    x_size = p.x_rows * p.x_pitch * p.padded
    block, work = scratch[:x_size], scratch[x_size:]
    for unit in range(share * units // shares, (share + 1) * units // shares):
        at_x = place_input(unit, p, x, block)
        if fast and bounded(block):
            fast_unit(unit, p, at_x, u, bias, y, still, work, activation)
        else:
            plain_unit(unit, p, at_x, w, bias, y, taps, activation)
        if activation > RELU:
            number, row, column = unit_corner(unit, p)
            first, last_column = number * p.out_h + row, min(column + p.block_w, p.out_w)
            last = first + min(p.block_h, p.out_h - row)
            activate(y, first, last, column * p.out_c, last_column * p.out_c, activation)


@kernel
def conv_forward(x, w, bias, y, p, taps, still, u, scratch, activation):
    """y (batch*out_h, out_w*out_c) = act(conv(x (batch*in_h, in_w*in_c), w) + bias), for the Geometry p.

    w (taps, channels of a group, out_c); bias (out_c,), or (0,) for none; taps: places of the products' parts in a
    unit's input; still: zeros; u (16, in_c, out_c), scratch (shares, ...): scratch memory.
    """
    units = count_units(p)
    shares = scratch.shape[0]
    fast = p.winograd == 1 and bounded(w.reshape(-1))
    if fast:
        count = p.in_c * p.out_c
        for share in prange(SHARES):
            transform_weight(w, u, share * count // SHARES, (share + 1) * count // SHARES)
    for share in prange(shares):
        forward_share(share, shares, units, x, w, bias, y, p, taps, still, u, scratch[share], activation, fast)


@kernel
def plain_unit(unit, p, at_x, w, bias, y, taps, activation):
    """The outputs of a unit, before an activation other than relu."""
    size = y.itemsize
    number, row, column = unit_corner(unit, p)
    group_in, group_out = p.in_c // p.groups, p.out_c // p.groups
    at_y = y.ctypes.data + ((number * p.out_h + row) * p.out_w + column) * p.out_c * size
    for group in range(p.groups):
        first = group * group_out * size
        window_block(
            y, p.window, p.lanewise, at_x + group * group_in * size, p.stride_h * p.x_pitch, p.stride_w * p.in_c, 1,
            taps.ctypes.data, taps.size, p.depth, w.ctypes.data + first, p.out_c, p.depth * p.out_c,
            0 if bias.size == 0 else bias.ctypes.data + first, 0, 0,
            at_y + first, p.out_w * p.out_c, p.out_c,
            min(p.block_h, p.out_h - row), min(p.block_w, p.out_w - column), group_out, 1 if activation == RELU else 0,
        )  # fmt: skip


@kernel
def fast_unit(unit, p, at_x, u, bias, y, still, work, activation):
    """As plain_unit, by the winograd kernels."""
    number, row, column = unit_corner(unit, p)
    winograd_block(
        p.window, at_x, p.x_pitch, p.in_c, u.ctypes.data, p.out_c, 0 if bias.size == 0 else bias.ctypes.data,
        y.reshape(-1), ((number * p.out_h + row) * p.out_w + column) * p.out_c, p.out_w * p.out_c,
        min(p.block_h, p.out_h - row), min(p.block_w, p.out_w - column), still, work, 1 if activation == RELU else 0,
    )  # fmt: skip


@kernel
def turn_weight(w, order, turned, u, fast):
    """turned = the matrices of w (taps, k, n) transposed, in the given order; u = their winograd transform if fast."""
    taps, size = order.size, w.size // order.size
    for share in prange(SHARES):
        for i in range(share * taps // SHARES, (share + 1) * taps // SHARES):
            transpose_rows(w[order[i]], turned[i], 0, w.shape[1])
    if fast:
        for share in prange(SHARES):
            transform_weight(turned, u, share * size // SHARES, (share + 1) * size // SHARES)


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
                block, p.window, p.lanewise,
                at_x + (taps[tap] + group * group_in) * size, 0, p.weight_step, p.stride_w * p.in_c,
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
        block, p.window, 0, one.ctypes.data, 0, 0, 0, still.ctypes.data, rows, columns, at_z, p.out_c, p.z_pitch,
        0 if fresh else total.ctypes.data, 0, 0, total.ctypes.data, 0, p.out_c, 1, 1, p.out_c, 0,
    )  # fmt: skip


@kernel
def fast_weight_unit(unit, p, at_x, block, total, fresh, still, work):
    """As weight_unit, for the transformed weight (16, in_c, out_c)."""
    _, row, column = unit_corner(unit, p)
    at_z = block.ctypes.data + (p.margin_h * p.z_pitch + p.margin_w * p.out_c) * block.itemsize
    winograd_gradient(
        p.window, at_x, p.x_pitch, p.in_c, at_z, p.z_pitch, p.out_c,
        min(p.block_h, p.out_h - row), min(p.block_w, p.out_w - column), total, fresh, still, work,
    )  # fmt: skip


@kernel
def add_parts(parts, used, start, out, fresh):
    """Add to out, or write it if fresh is 1, what stands in parts from `start` on, row by row of those in use."""
    if fresh:
        out[:] = 0
    for i in range(used.size):
        if used[i]:
            part = parts[i, start : start + out.size]
            for j in range(out.size):
                out[j] += part[j]


@kernel(inline=False)
def finish_weight(share, p, parts, used, dw):
    """One share of the weight's gradient, out of the parts that stand in its transform and those that do not."""
    size = dw.size // 9 if p.winograd else dw.size
    first, last = share * size // SHARES, (share + 1) * size // SHARES
    if not p.winograd:
        add_parts(parts, used[1], first, dw[first:last], 1)
        return
    total = parts[used.shape[1], : PLACES * size]
    for k in range(PLACES):
        add_parts(parts, used[0], k * size + first, total[k * size + first : k * size + last], 1)
    transform_weight_back(total, dw, first, last)
    for k in range(9):
        add_parts(parts, used[1], (PLACES + k) * size + first, dw[k * size + first : k * size + last], 0)


@kernel(inline=False)
def backward_share(
    share, shares, units, x, w, y, g, activation, p, weight_taps, lines, still, phases, reach, turned, u,
    scratch, parts, used, one, dx, dw, db, fast,
):  # fmt: skip
    """One share of conv_backward's units: the input's gradient, and its part of the weight's and the bias's."""
    z_size, x_size = p.z_rows * p.z_pitch, p.x_rows * p.x_pitch * p.padded
    fast_size = PLACES * p.in_c * p.out_c * p.winograd
    used[:, share] = 0
    z, block = scratch[:z_size], scratch[z_size : z_size + x_size]
    work = scratch[z_size + x_size :]
    fast_total, total = parts[:fast_size], parts[fast_size:]
    for unit in range(share * units // shares, (share + 1) * units // shares):
        filled = place_sums(unit, p, y, g, z, activation, 1 if dx.size else 0)
        fast_z = p.winograd == 1 and bounded(filled)
        if dw.size:
            at_x = place_input(unit, p, x, block)
            if fast_z and bounded(block):
                fast_weight_unit(unit, p, at_x, z, fast_total, used[0, share] == 0, still, work)
                used[0, share] = 1
            else:
                weight_unit(unit, p, at_x, z, total, used[1, share] == 0, weight_taps, lines)
                used[1, share] = 1
        if db.size:
            bias_unit(unit, p, z, total[w.size :], used[2, share] == 0, still, one)
            used[2, share] = 1
        if dx.size and fast and fast_z:
            fast_spread_unit(unit, p, z, u, dx, still, work)
        elif dx.size:
            spread_unit(unit, p, z, turned, one[:0], dx, phases, reach, 0)


@kernel
def conv_backward(
    x, w, y, g, activation, p, taps, weight_taps, lines, still, phases, reach, order, turned, u, scratch, parts, used,
    one, dx, dw, db,
):  # fmt: skip
    """All gradients of conv_forward from g, the loss's gradient with respect to y.

    w (taps, channels of a group, out_c). turned (taps, out_c, channels of a group), u (16, out_c, in_c), scratch:
    scratch memory. parts: a row for each share, in which it adds up what its units give to the gradients of the weight
    and the bias, and one more; used (3, shares): whether a share has a transformed weight, a plain one and a bias
    there. one: the number 1. dx, dw, db: written; an empty array stands for a gradient that nobody asks for.
    """
    units = count_units(p)
    shares = scratch.shape[0]
    fast_size = PLACES * p.in_c * p.out_c * p.winograd
    fast = p.winograd == 1 and bounded(w.reshape(-1))
    if dx.size:
        turn_weight(w, order, turned, u, fast)
    for share in prange(shares):
        backward_share(
            share, shares, units, x, w, y, g, activation, p, weight_taps, lines, still, phases, reach, turned, u,
            scratch[share], parts[share], used, one, dx, dw, db, fast,
        )  # fmt: skip
    for share in prange(SHARES):
        if dw.size:
            finish_weight(share, p, parts, used, dw)
        first, last = share * db.size // SHARES, (share + 1) * db.size // SHARES
        add_parts(parts, used[2], fast_size + w.size + first, db[first:last], 1)
