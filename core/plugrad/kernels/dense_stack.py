"""Several dense layers, one behind the other, as one kernel forward and one backward.

A block of rows goes through all layers while it is in the first-level cache, and no thread waits for another between
two layers. For a small model the calls themselves, some 5 µs of Python a layer, are as much as the arithmetic: one call
for the whole stack saves them.

A plan tells a kernel about the layers, one row of whole numbers for each: addresses, since a compiled function cannot
take a list of arrays whose length it does not know. Whoever calls has checked every shape and keeps the arrays alive.
"""

import numpy as np

from plugrad.kernel import kernel, prange
from plugrad.kernels.address import matrix_at
from plugrad.kernels.dense import IDENTITY, RELU, SHARES, activate, differentiate, sum_rows
from plugrad.kernels.product import TASK_COLUMNS, TASK_ROWS, multiply_block
from plugrad.kernels.transpose import TASK_ROWS as TURN_ROWS
from plugrad.kernels.transpose import transpose_rows

# A plan's columns: addresses (0 for no bias), widths, and OFFSET, the widths of the layers before, where a layer's
# values begin in a buffer of all layers' values, in units of the number of rows; TURNED: where its transposed weight
# begins.
WEIGHT, BIAS, INPUTS, OUTPUTS, OFFSET, TURNED, ACTIVATION = range(7)
FIELDS = 7

# Rows that go through all layers together. Two tiles high, so that even a batch of 32 rows makes work for two threads.
BLOCK = 16


@kernel
def forward_block(x, first, count, plan, buffer, row_stride, out):
    """Rows first to first+count through all layers: into `out` the last one's, into `buffer` the others'.

    Layer l's values of row r lie in buffer from (offset * row_stride + r * outputs) on, r counting from the buffer's
    first row.
    """
    size = x.itemsize
    last = plan.shape[0] - 1
    source = x.ctypes.data + first * x.shape[1] * size
    start = first if row_stride == x.shape[0] else 0
    for layer in range(last + 1):
        inputs, outputs, code = plan[layer, INPUTS], plan[layer, OUTPUTS], plan[layer, ACTIVATION]
        place = out if layer == last else buffer
        begin = first * outputs if layer == last else plan[layer, OFFSET] * row_stride + start * outputs
        target = place.ctypes.data + begin * size
        multiply_block(
            x, source, inputs, 1, plan[layer, WEIGHT], outputs, plan[layer, BIAS], 0,
            target, outputs, count, outputs, inputs, 1 if code == RELU else 0,
        )  # fmt: skip
        if code > RELU:
            activate(place[begin : begin + count * outputs].reshape((count, outputs)), 0, count, 0, outputs, code)
        source = target


@kernel
def stack_forward(x, plan, values, out):
    """out (rows · outputs of the last layer,) = all layers of x (rows, inputs), one after the other.

    values: gets what the layers before the last put out, for the gradients; empty where nobody asks for them.
    """
    rows = x.shape[0]
    hidden = plan[plan.shape[0] - 1, OFFSET]
    for block in prange((rows + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        count = min(BLOCK, rows - first)
        if values.size:
            forward_block(x, first, count, plan, values, rows, out)
        else:
            forward_block(x, first, count, plan, np.empty(BLOCK * hidden, x.dtype), BLOCK, out)


@kernel
def backward_block(first, count, plan, values, out, g, slopes, turned, to_x):
    """The loss's gradient with respect to what each layer puts in its activation, for a block of rows, into
    `slopes`.
    """
    rows = g.shape[0]
    size = g.itemsize
    last = plan.shape[0] - 1
    address = 0
    for layer in range(last, -1, -1):
        inputs, outputs, code = plan[layer, INPUTS], plan[layer, OUTPUTS], plan[layer, ACTIVATION]
        begin = plan[layer, OFFSET] * rows + first * outputs
        mine = slopes[begin : begin + count * outputs].reshape((count, outputs))
        if layer == last:
            value = out[first * outputs : (first + count) * outputs].reshape((count, outputs))
            if code == IDENTITY:
                address = g.ctypes.data + first * outputs * size
            else:
                differentiate(value, g[first : first + count], mine, 0, count, code)
                address = mine.ctypes.data
        else:
            if code != IDENTITY:
                value = values[begin : begin + count * outputs].reshape((count, outputs))
                differentiate(value, mine, mine, 0, count, code)
            address = mine.ctypes.data
        if layer > 0 or to_x.size:
            before = plan[layer - 1, OFFSET] * rows + first * inputs
            target = to_x.ctypes.data + first * inputs * size if layer == 0 else slopes.ctypes.data + before * size
            at = turned.ctypes.data + plan[layer, TURNED] * size
            multiply_block(turned, address, outputs, 1, at, inputs, 0, 0, target, inputs, count, inputs, outputs, 0)


@kernel
def weight_share(share, x, layer, plan, address, values, out_slopes, slopes):
    """One of SHARES equal parts of a layer's weight gradient, in whole tasks."""
    rows = x.shape[0]
    size = x.itemsize
    last = plan.shape[0] - 1
    inputs, outputs = plan[layer, INPUTS], plan[layer, OUTPUTS]
    source = x.ctypes.data if layer == 0 else values.ctypes.data + plan[layer - 1, OFFSET] * rows * size
    slope = out_slopes if layer == last else slopes.ctypes.data + plan[layer, OFFSET] * rows * size
    across = (outputs + TASK_COLUMNS - 1) // TASK_COLUMNS
    tasks = (inputs + TASK_ROWS - 1) // TASK_ROWS * across
    for task in range(share * tasks // SHARES, (share + 1) * tasks // SHARES):
        row, column = task // across * TASK_ROWS, task % across * TASK_COLUMNS
        target = address + (row * outputs + column) * size
        height, width = min(TASK_ROWS, inputs - row), min(TASK_COLUMNS, outputs - column)
        multiply_block(
            x, source + row * size, 1, inputs, slope + column * size, outputs, 0, 0,
            target, outputs, height, width, rows, 0,
        )  # fmt: skip


@kernel
def bias_share(share, kind, layer, plan, address, rows, out_slopes, slopes):
    """One of SHARES equal parts of a layer's bias gradient."""
    outputs = plan[layer, OUTPUTS]
    start = plan[layer, OFFSET] * rows * kind.itemsize
    at = out_slopes if layer == plan.shape[0] - 1 else slopes.ctypes.data + start
    summed, target = matrix_at(kind, at, rows, outputs), matrix_at(kind, address, 1, outputs)
    strips = (outputs + TASK_COLUMNS - 1) // TASK_COLUMNS
    for strip in range(share * strips // SHARES, (share + 1) * strips // SHARES):
        sum_rows(summed, target[0], strip * TASK_COLUMNS, min(outputs, (strip + 1) * TASK_COLUMNS))


@kernel
def turn_share(share, layer, plan, turned):
    """One of SHARES equal parts of transposing a layer's weight."""
    inputs, outputs, begin = plan[layer, INPUTS], plan[layer, OUTPUTS], plan[layer, TURNED]
    source = matrix_at(turned, plan[layer, WEIGHT], inputs, outputs)
    target = turned[begin : begin + inputs * outputs].reshape((outputs, inputs))
    turns = (inputs + TURN_ROWS - 1) // TURN_ROWS
    for turn in range(share * turns // SHARES, (share + 1) * turns // SHARES):
        transpose_rows(source, target, turn * TURN_ROWS, min(inputs, (turn + 1) * TURN_ROWS))


@kernel
def stack_backward(x, plan, targets, values, out, g, slopes, turned, to_x):
    """All gradients of a stack from g (rows, outputs), the loss's gradient with respect to its output.

    values, out: as stack_forward wrote them; slopes: scratch for rows · the sum of all
    outputs; turned: scratch for all weights; to_x (rows, inputs): written, or empty; targets (layers, 2): the addresses
    of each weight's and bias's gradient, 0 for one that nobody asks for.
    """
    rows = x.shape[0]
    layers = plan.shape[0]
    for share in prange(SHARES):
        for layer in range(0 if to_x.size else 1, layers):
            turn_share(share, layer, plan, turned)
    for block in prange((rows + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        backward_block(first, min(BLOCK, rows - first), plan, values, out, g, slopes, turned, to_x)
    final = plan[layers - 1, ACTIVATION] == IDENTITY
    out_slopes = g.ctypes.data if final else slopes.ctypes.data + plan[layers - 1, OFFSET] * rows * x.itemsize
    for share in prange(SHARES):
        for layer in range(layers):
            if targets[layer, 0]:
                weight_share(share, x, layer, plan, targets[layer, 0], values, out_slopes, slopes)
            if targets[layer, 1]:
                bias_share(share, x, layer, plan, targets[layer, 1], rows, out_slopes, slopes)
