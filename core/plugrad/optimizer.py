"""The contract of optimizers: one update of one vector; and an optimizer at work on a store."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, PlugradError
from plugrad.kernels import embedding as row_kernels
from plugrad.kernels import optimizer as kernels
from plugrad.parameters import aligned

# Elements of a sparse parameter that are updated at a time, and a row's at most more: the rows, with what the optimizer
# remembers of them, stay in the second-level cache between being gathered and being put back.
BLOCK_ELEMENTS = 32_768


@dataclass
class Optimizer:
    """Base of all optimizers. A subclass is a dataclass whose fields are its configuration.

    learning_rate: the step size that a schedule may scale.
    weight_decay: decoupled decay (Loshchilov & Hutter 2019): before a step every parameter that decays is multiplied by
        1 - rate * weight_decay.

    A subclass names in `memory` the vectors that it keeps between steps (zeros at first, saved in checkpoints), as a
    class attribute or, where it depends on the fields, a property; and it defines `update`. It keeps nothing else.

    Most treat each element on its own. One that must know which elements make up a matrix says `by_parameter = True`:
    then `update` is given each parameter by itself, values, gradients and memory in its shape (rows of sparse
    parameters still come as vectors).

    Sparse parameters need nothing more: `update` is given the rows that a step used, and their memory, as vectors. Rows
    that it did not use keep their values and memory and do not decay. SGD and AdaGrad thereby do what they would do
    without `sparse`; with a memory that fades (momentum, Adam) it is the "lazy" variant, which differs from the dense
    one in the rows that were not used.
    """

    learning_rate: float = 0.01
    weight_decay: float = 0.0
    memory: ClassVar[tuple[str, ...]] = ()
    by_parameter: ClassVar[bool] = False

    def __post_init__(self):
        if not (np.isfinite(self.learning_rate) and self.learning_rate >= 0):
            raise InputError(f"{type(self).__name__}: learning_rate must be a number >= 0, got {self.learning_rate}")
        if not (np.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise InputError(f"{type(self).__name__}: weight_decay must be a number >= 0, got {self.weight_decay}")

    def start(self, values, memory):
        """Prepare the memory, vectors of zeros, from the values before the first step. Most leave it as it is."""

    def update(self, values, gradients, memory, rate, step):
        """Change `values` in place, each element on its own: a vector may come whole or in stretches.

        values, gradients: vectors of the same length and float type, or with `by_parameter` arrays of one shape.
        memory: the arrays named in `memory`, in that order, changed in place. rate: this step's learning rate. step: 1
        for the first.
        """
        raise PlugradError(f"{type(self).__name__} does not define update")

    def finish(self, values, memory, step):
        """What concerns all elements after a step, also of sparse rows that it did not use. Most do nothing here."""


class OptimizerRun:
    """An optimizer at work on one flat store: its memory and how many steps it has made.

    memory: vectors as long as the store's gradients. table_memory: for each of the store's sparse parameters likewise.
    """

    def __init__(self, optimizer, store):
        self.optimizer, self.store = optimizer, store
        self.steps = 0
        names = optimizer.memory
        self.memory = tuple(aligned(store.gradients.size, store.gradients.dtype) for _ in names)
        self.table_memory = [
            tuple(aligned(t.parameter.size, t.parameter.dtype).reshape(t.parameter.shape) for _ in names)
            for t in store.tables
        ]
        # All that a step looks at, found once: for a small model a step is no more than a few calls.
        self._parts = [
            (part, *arrays, part.group.learning_rate_factor, 0.0 if number else part.group.weight_decay)
            for part in store.parts
            for number, arrays in enumerate(self._arrays(part))
        ]
        self._tables = [
            (table, table.parameter.data.reshape(-1), memory, tuple(m.reshape(-1) for m in memory))
            for table, memory in zip(store.tables, self.table_memory, strict=True)
        ]
        self._finishes = type(optimizer).finish is not Optimizer.finish

    def _arrays(self, part):
        """(values, gradients, memory) for each call of `update` that a part takes."""
        if not self.optimizer.by_parameter:
            yield part.values, part.gradients, tuple(m[part.stretch] for m in self.memory)
            return
        for first, parameter in self.store.in_part(part):
            place = slice(first, first + parameter.size)
            memory = tuple(m[place].reshape(parameter.shape) for m in self.memory)
            yield parameter.data, parameter.gradient_memory, memory

    def named_memory(self):
        """(name, array) for everything that is kept between steps."""
        yield from zip(self.optimizer.memory, self.memory, strict=True)
        for number, memory in enumerate(self.table_memory):
            for name, array in zip(self.optimizer.memory, memory, strict=True):
                yield f"{name}.sparse.{number}", array

    def step(self, rate=None):
        """One update from the gradients in the store; rate: instead of the optimizer's learning rate."""
        optimizer = self.optimizer
        rate = optimizer.learning_rate if rate is None else rate
        self.store.complete_gradients()
        if not self.steps:
            self._start()
        self.steps += 1
        for part, values, gradients, memory, factor, decay in self._parts:
            its_rate = rate * factor
            if decay is None:
                decay = optimizer.weight_decay
            if decay:
                part.shrink(1 - its_rate * decay)
            optimizer.update(values, gradients, memory, its_rate, self.steps)
            if self._finishes:
                optimizer.finish(values, memory, self.steps)
        for table, values, memory, vectors in self._tables:
            if table.parameter.grad is not None:
                self._update_rows(table, memory, rate * table.group.learning_rate_factor)
            if self._finishes:
                optimizer.finish(values, vectors, self.steps)

    def _start(self):
        for _, values, _, memory, _, _ in self._parts:
            self.optimizer.start(values, memory)
        for _, values, _, vectors in self._tables:
            self.optimizer.start(values, vectors)

    def _update_rows(self, table, memory, rate):
        """Gather the rows that have a gradient, update them as vectors, and put them back; some at a time."""
        parameter, gradient = table.parameter, table.parameter.grad
        arrays = (parameter.data, *memory)
        width, dtype = parameter.shape[1], parameter.dtype
        count = min(-(-BLOCK_ELEMENTS // max(width, 1)), parameter.shape[0])
        scratch = [arena.empty((count, width), dtype) for _ in arrays]
        decay = self.optimizer.weight_decay if table.group.weight_decay is None else table.group.weight_decay
        for first in range(0, len(gradient.rows), count):
            rows = gradient.rows[first : first + count]
            blocks = [block[: len(rows)] for block in scratch]
            for array, block in zip(arrays, blocks, strict=True):
                _by_block(row_kernels.take_rows, array, rows, block)
            values, *vectors = (block.reshape(-1) for block in blocks)
            if decay and parameter.decay:
                kernels.scale(values, dtype.type(1 - rate * decay))
            given = gradient.values[first : first + count].reshape(-1)
            self.optimizer.update(values, given, tuple(vectors), rate, self.steps)
            for array, block in zip(arrays, blocks, strict=True):
                _by_block(row_kernels.put_rows, array, rows, block)


def _by_block(kernel, array, rows, block):
    """Call a kernel in serial or parallel form by what it moves, not by the table, of which it looks at few rows."""
    (kernel.parallel if block.size >= BLOCK_ELEMENTS else kernel.serial)(array, rows, block)
