"""The list of operations to walk backwards.

A tape begins where an op takes parameters (leaves) and grows as ops take its results; when an op takes results of
two tapes, they become one. Entries stand in the order of execution, so walking backwards is a loop over a list. There
is no global tape: results that nobody keeps take their tape with them, and threads do not meet.
"""

import numpy as np

from plugrad import arena
from plugrad.errors import PlugradError, ShapeError
from plugrad.kernels.add import add
from plugrad.sparse import SparseGradient


class Tape:
    """Entries in the order of execution; `merged` is (the tape that took this one in, by how much numbers moved).

    An entry is one executed op: (its name, where its inputs came from, their shapes, its gradient functions). An input
    came from the entry of that number, or is itself the leaf Tensor, or is None without a gradient. A tuple: an object
    with names would take as long to make as the rest of the record.
    """

    __slots__ = ("entries", "merged")

    def __init__(self):
        self.entries = []
        self.merged = None


def locate(tensor):
    """The tape that holds a tensor now, and the number of the entry that made it."""
    tape, number = tensor.tape, tensor.number
    if tape.merged is None:
        return tape, number
    while tape.merged is not None:
        tape, shift = tape.merged
        number += shift
    tensor.tape, tensor.number = tape, number
    return tape, number


def merge(first, second):
    """Append one tape to another. Neither has used the other's results, so any order of the two is one of execution."""
    if len(first.entries) < len(second.entries):
        first, second = second, first
    shift = len(first.entries)
    for entry in second.entries:
        if entry is not None:
            inputs = entry[1]
            inputs[:] = [i + shift if type(i) is int else i for i in inputs]
    first.entries += second.entries
    second.entries = []
    second.merged = (first, shift)
    return first


def backward(tape, last, seed, retain):
    """Walk back from entry `last`, adding into the `grad` of every leaf.

    Each entry is forgotten once it has been walked, so that its arrays are free for the rest of the walk,
    unless `retain` is true.
    """
    entries = tape.entries
    waiting = [None] * (last + 1)  # gradient with respect to the result of each entry, as far as known
    owned = [False] * (last + 1)  # whether that array is ours to add into, not an op's or another entry's
    waiting[last] = seed
    for number in range(last, -1, -1):
        gradient = waiting[number]
        if gradient is None:
            continue
        entry = entries[number]
        if entry is None:
            raise PlugradError(
                "backward was called a second time on the same result; pass retain=True to the first call"
            )
        waiting[number] = None
        name, inputs, shapes, gradients = entry
        if type(gradients) is tuple:
            for target, shape, function in zip(inputs, shapes, gradients):  # noqa: B905 - there may be more inputs
                if target is not None:
                    given = function(gradient)
                    if given.shape != shape:
                        given = _fitted(given, shape, name)
                    _add(target, given, waiting, owned)
        else:
            _write_together(inputs, shapes, gradients, gradient, waiting, owned)
        if not retain:
            entries[number] = None


def _write_together(inputs, shapes, function, gradient, waiting, owned):
    """Let one function write the gradients of all inputs, leaves' straight into their own memory."""
    outs, rest = [], []
    for target, shape in zip(inputs, shapes):  # noqa: B905 - made together, in a hot path
        if target is None:
            outs.append(None)
        elif type(target) is int or target.grad is not None or target.gradient_memory is None:
            out = arena.empty(shape, gradient.dtype)
            outs.append(out)
            rest.append((target, out))
        else:
            # Taken at once, so that a leaf which is two inputs of this op gives its memory to the first alone.
            target.grad = target.gradient_memory
            outs.append(target.grad)
    function(gradient, *outs)
    for target, out in rest:
        if type(target) is int and waiting[target] is None:
            waiting[target], owned[target] = out, True
        else:
            _add(target, out, waiting, owned)


def _add(target, gradient, waiting, owned):
    """Add a gradient to what is known of an entry's, or into a leaf's `grad`."""
    if type(target) is not int:
        add_to_leaf(target, gradient)
    else:
        if type(gradient) is SparseGradient:  # the op that made this table takes arrays
            gradient = np.asarray(gradient)
        known = waiting[target]
        if known is None:
            waiting[target] = gradient
        elif owned[target]:
            add(known, gradient, out=known)
        else:
            waiting[target] = add(known, gradient)
            owned[target] = True


def add_to_leaf(leaf, gradient):
    """Add a gradient into a leaf's `grad`, which lies in its flat store's memory if it has one."""
    if leaf.grad is not None:
        leaf.grad += gradient
    elif leaf.gradient_memory is None:
        sparse = type(gradient) is SparseGradient
        leaf.grad = gradient if sparse else np.array(gradient, dtype=leaf.data.dtype)
    else:
        np.copyto(leaf.gradient_memory, gradient)
        leaf.grad = leaf.gradient_memory


def _fitted(gradient, shape, name):
    """Undo broadcasting: sum a gradient over the axes along which its input was repeated."""
    extra = gradient.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + i for i, size in enumerate(shape) if size == 1 and gradient.shape[extra + i] != 1
    )
    try:
        return gradient.sum(axis=axes).reshape(shape)
    except (ValueError, IndexError):
        raise ShapeError(
            f"{name}: a gradient of shape {gradient.shape} came back for an input of shape {shape}"
        ) from None
