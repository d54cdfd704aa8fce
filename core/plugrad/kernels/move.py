"""Copies of boxes of elements, and their transposes, which add: what rolling, tiling and padding are made of.

A box is a row of whole numbers: where it begins in the target and in the source, then its lengths, then its steps in
the target, then those in the source. A step may be 0 (the same element again) or negative. Nothing checks that a box
lies within its arrays.
"""

import numpy as np

from plugrad.kernel import kernel, prange

# Elements that one task copies, about.
TASK = 16384


@kernel
def _start(box, rank, plane):
    """Where plane number `plane` of a box begins in target and source; planes run over all axes but the last two."""
    to, frm = box[0], box[1]
    for axis in range(rank - 3, -1, -1):
        length = box[2 + axis]
        place = plane % length
        plane //= length
        to += place * box[2 + rank + axis]
        frm += place * box[2 + 2 * rank + axis]
    return to, frm


@kernel
def copy_boxes(boxes, tasks, source, target):
    """Every box copied from source to target, both flat; no two boxes share an element of the target.

    tasks (n, 3): a box's number and the rows of it that one thread takes; rows run over all axes but the last.
    """
    rank = (boxes.shape[1] - 2) // 3
    for task in prange(tasks.shape[0]):
        box, row, end = boxes[tasks[task, 0]], tasks[task, 1], tasks[task, 2]
        rows, length = box[rank], box[1 + rank]
        row_to, step_to, row_from, step_from = box[2 * rank], box[2 * rank + 1], box[3 * rank], box[3 * rank + 1]
        while row < end:
            first = row % rows
            count = min(rows - first, end - row)
            to, frm = _start(box, rank, row // rows)
            for k in range(first, first + count):
                t, s = to + k * row_to, frm + k * row_from
                if step_to == 1 and step_from == 1:
                    a, b = source[s : s + length], target[t : t + length]
                    for j in range(b.size):
                        b[j] = a[j]
                elif step_to == 1 and step_from == 0:
                    value, b = source[s], target[t : t + length]
                    for j in range(b.size):
                        b[j] = value
                else:
                    for j in range(length):
                        target[np.uintp(t + j * step_to)] = source[np.uintp(s + j * step_from)]
            row += count


@kernel
def add_boxes(boxes, source, target):
    """Every box added the other way: from the places that `copy_boxes` writes to those that it reads.

    On one thread and in order, since boxes may meet there.
    """
    rank = (boxes.shape[1] - 2) // 3
    for number in range(boxes.shape[0]):
        box = boxes[number]
        rows, length = box[rank], box[1 + rank]
        row_from, step_from, row_to, step_to = box[2 * rank], box[2 * rank + 1], box[3 * rank], box[3 * rank + 1]
        planes = 1
        for axis in range(rank - 2):
            planes *= box[2 + axis]
        for plane in range(planes):
            frm, to = _start(box, rank, plane)
            for k in range(rows):
                t, s = to + k * row_to, frm + k * row_from
                if step_to == 1 and step_from == 1:
                    a, b = source[s : s + length], target[t : t + length]
                    for j in range(b.size):
                        b[j] += a[j]
                elif step_to == 0 and step_from == 1:
                    total, a = target[t], source[s : s + length]
                    for j in range(a.size):
                        total += a[j]
                    target[t] = total
                else:
                    for j in range(length):
                        target[np.uintp(t + j * step_to)] += source[np.uintp(s + j * step_from)]
