"""The gradient of a convolution with respect to its input; by itself, a transposed convolution."""

from plugrad.kernel import kernel, prange
from plugrad.kernels.conv_unit import SHARES, count_units, place_sums, unit_corner
from plugrad.kernels.dense import IDENTITY, RELU, activate
from plugrad.kernels.window_tile import window_block
from plugrad.kernels.winograd import winograd_block


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
                dx, p.window, p.lanewise, block.ctypes.data + (place + group * group_out) * size, p.z_pitch, p.out_c, 1,
                offsets, phases[phase, 1], phases[phase, 2],
                at_w + group * group_out * group_in * size, group_in, phases[phase, 4],
                0 if bias.size == 0 else bias.ctypes.data + first, 0, 0,
                at_dx + first, p.stride_h * p.in_w * p.in_c, p.stride_w * p.in_c, end_h - first_h, end_w - first_w,
                group_in, relu,
            )  # fmt: skip


@kernel
def fast_spread_unit(unit, p, block, u, dx, still, work):
    """As spread_unit, by the winograd kernels."""
    number, row, column = unit_corner(unit, p)
    last_row, last_column = min(row + p.block_h, p.out_h), min(column + p.block_w, p.out_w)
    first_h, end_h = axis_pixels(row, last_row, 0, 1, p.pad_h, p.out_h, p.in_h)
    first_w, end_w = axis_pixels(column, last_column, 0, 1, p.pad_w, p.out_w, p.in_w)
    if end_h <= first_h or end_w <= first_w:
        return
    # The margins are the two windows before a pixel's own that hold it: the first of them begins here.
    place = (first_h - row) * p.z_pitch + (first_w - column) * p.out_c
    winograd_block(
        p.window, block.ctypes.data + place * dx.itemsize, p.z_pitch, p.out_c, u.ctypes.data, p.in_c, 0,
        dx.reshape(-1), ((number * p.in_h + first_h - p.pad_h) * p.in_w + first_w - p.pad_w) * p.in_c,
        p.in_w * p.in_c, end_h - first_h, end_w - first_w, still, work, 0,
    )  # fmt: skip


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
