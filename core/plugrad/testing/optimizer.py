"""The checker of optimizers."""

import copy
import math
import os

import numpy as np

from plugrad.optimizer import OptimizerRun
from plugrad.parameters import Parameter, ParameterStore
from plugrad.sparse import SparseGradient
from plugrad.testing import likely
from plugrad.testing.gradient import require, require_close, require_same_bits
from plugrad.testing.races import require_same_in_any_order, thread_count

LONG = 100_000


def check_optimizer(optimizer):
    """Try an optimizer.

    - It changes the values in place, makes a quadratic, a ravine and a noisy quadratic smaller, and leaves the
      gradients alone.
    - `memory` names what it keeps, all of it: resumed from values, memory and step it goes on with the same bits.
    - The zeros between parameters stay 0; zero gradients give finite values; a rate of 0 changes nothing.
    - On one and on two threads the bits are the same; float32 stays near float64.
    - It treats each element on its own: a vector in two stretches (parameter groups) becomes what it becomes whole; and
      a sparse parameter's rows become what they would in a vector, and those that a step did not use stay as they are.
      These two are not asked of one that says `by_parameter`.

    optimizer: an instance as configured for use. Raises AssertionError.
    """
    where = type(optimizer).__name__
    names = optimizer.memory
    well_formed = isinstance(names, tuple) and all(isinstance(n, str) for n in names) and len(set(names)) == len(names)
    require(well_formed, f"{where}: memory must be a tuple of different names, it is {names!r}")
    for dtype in (np.float32, np.float64):
        _check_descent(optimizer, dtype, where)
    _check_hard(optimizer, where)
    _check_resumed(optimizer, where)
    _check_still(optimizer, where)
    _check_bits(optimizer, where)
    _check_float32(optimizer, where)
    if not optimizer.by_parameter:
        _check_stretches(optimizer, where)
        _check_rows(optimizer, where)


class _Quadratic:
    """1/2 Σ a (v - t)² over the parameters of a small store, a between 1/2 and 2, or as `curvatures` says.

    noise: the deviation of what is added to each gradient.
    """

    def __init__(self, optimizer, dtype, curvatures=None, noise=0.0):
        rng = np.random.default_rng(19)
        arrays = [rng.normal(size=size).astype(dtype) for size in ((5, 3), (7,))]
        parameters = [Parameter(arrays[0]), Parameter(arrays[1], decay=False)]
        self.store = ParameterStore(parameters)
        self.run = OptimizerRun(copy.deepcopy(optimizer), self.store)
        drawn = [rng.uniform(0.5, 2.0, size=p.shape) if curvatures is None else rng.choice(curvatures, p.shape)
                 for p in parameters]  # fmt: skip
        self.weights, self.noise, self.rng = [w.astype(dtype) for w in drawn], noise, rng
        self.targets = [(3 * rng.normal(size=p.shape)).astype(dtype) for p in parameters]

    def value(self):
        terms = zip(self.store.parameters, self.weights, self.targets, strict=True)
        return sum(float((a * (p.data - t) ** 2).sum()) / 2 for p, a, t in terms)

    def steps(self, count):
        for _ in range(count):
            for p, a, t in zip(self.store.parameters, self.weights, self.targets, strict=True):
                p.gradient_memory[...] = a * (p.data - t)
                if self.noise:
                    p.gradient_memory += self.noise * self.rng.normal(size=p.shape).astype(p.dtype)
                p.grad = p.gradient_memory
            self.run.step()
        return self

    def padding(self):
        used = np.zeros(self.store.values.size, bool)
        for p in self.store.parameters:
            start = (p.data.ctypes.data - self.store.values.ctypes.data) // p.data.itemsize
            used[start : start + p.size] = True
        return self.store.values[~used]


def _check_descent(optimizer, dtype, where):
    problem = _Quadratic(optimizer, dtype)
    store = problem.store
    first, before = problem.value(), store.values.copy()
    problem.steps(1)
    if optimizer.learning_rate:
        changed = not np.array_equal(store.values, before)
        require(
            changed,
            f"{where}: update did not change the values in place (what it returns is not used)",
            "it makes a new array: write values[...] = or values -=",
        )
    gradients = store.gradients.copy()
    problem.run.optimizer.update(store.values, store.gradients, problem.run.memory, optimizer.learning_rate, 2)
    require_same_bits(store.gradients, gradients, f"{where}: update changed the gradients", likely.WROTE)
    problem.steps(200)
    last = problem.value()
    require(
        math.isfinite(last),
        f"{where}: on a quadratic it diverges, from {first:.6g} to {last:.6g}",
        "the learning rate of the example is too large, or the sign of its step is wrong",
    )
    went = f"{where}: a quadratic went from {first:.6g} to {last:.6g}"
    require(last < first or not optimizer.learning_rate, went, likely.DESCENT)
    require(
        not problem.padding().any(),
        f"{where}: it changed the zeros between parameters, whose gradient is 0",
        "a step is made without a gradient: divide by something that is not 0, or add nothing to it",
    )
    for name, vector in zip(optimizer.memory, problem.run.memory, strict=True):
        require(
            vector.any(),
            f"{where}: its memory {name!r} is never written to",
            "update does not change its memory in place, or does not need it",
        )


def _check_hard(optimizer, where):
    """A ravine, a hundred times as steep across as along, and gradients with noise of their own size."""
    problems = {
        "a ravine": _Quadratic(optimizer, np.float64, curvatures=(0.01, 1.0)),
        "a quadratic with noisy gradients": _Quadratic(optimizer, np.float64, noise=1.0),
    }
    for name, problem in problems.items():
        first = problem.value()
        last = problem.steps(300).value()
        went = f"{where}: on {name} the loss went from {first:.6g} to {last:.6g} in 300 steps"
        require(last < first or not optimizer.learning_rate, went, likely.DESCENT)


def _check_resumed(optimizer, where):
    whole = _Quadratic(optimizer, np.float32).steps(10)
    half = _Quadratic(optimizer, np.float32).steps(5)
    resumed = _Quadratic(optimizer, np.float32)
    resumed.store.values[:] = half.store.values
    for vector, saved in zip(resumed.run.memory, half.run.memory, strict=True):
        vector[:] = saved
    resumed.run.steps = half.run.steps
    resumed.steps(5)
    what = f"{where}: resumed from values, memory and step"
    require_same_bits(resumed.store.values, whole.store.values, what, likely.MEMORY)


def _state(optimizer, dtype, size):
    rng = np.random.default_rng(23)
    values, gradients = (rng.normal(size=size).astype(dtype) for _ in range(2))
    memory = tuple(np.zeros(size, dtype) for _ in optimizer.memory)
    optimizer.start(values, memory)
    return values, gradients, memory


def _advance(optimizer, values, gradients, memory, rate, step):
    optimizer.update(values, gradients, memory, rate, step)
    optimizer.finish(values, memory, step)


def _check_still(optimizer, where):
    values, gradients, memory = _state(optimizer, np.float32, 50)
    before = values.copy()
    _advance(copy.deepcopy(optimizer), values, gradients, memory, 0.0, 1)
    require_same_bits(
        values,
        before,
        f"{where}: a learning rate of 0 changed the values",
        "a part of the step is not multiplied by the rate it is given",
    )
    values, _, memory = _state(optimizer, np.float32, 50)
    one = copy.deepcopy(optimizer)
    for step in (1, 2, 3):
        _advance(one, values, np.zeros_like(values), memory, optimizer.learning_rate, step)
    require(
        np.isfinite(values).all(),
        f"{where}: gradients of 0 give values that are not finite",
        "it divides by a memory that is 0: add an epsilon",
    )


def _after_steps(optimizer, dtype, size):
    values, gradients, memory = _state(optimizer, dtype, size)
    one = copy.deepcopy(optimizer)
    for step in (1, 2, 3):
        _advance(one, values, gradients, memory, optimizer.learning_rate, step)
        require(values.dtype == dtype, f"{type(optimizer).__name__}: the type of the values changed", likely.LEAK)
    return values


def _check_bits(optimizer, where):
    require_same_in_any_order(lambda: {"values": _after_steps(optimizer, np.float32, LONG)}, where)
    if (os.cpu_count() or 1) < 2:
        return
    found = []
    for count in (1, 2):
        with thread_count(count):
            found.append(_after_steps(optimizer, np.float32, LONG))
    require_same_bits(found[1], found[0], f"{where} on 2 threads", likely.RACE)


def _check_float32(optimizer, where):
    narrow, wide = (_after_steps(optimizer, dtype, 50) for dtype in (np.float32, np.float64))
    require_close(narrow, wide, 1e-5, f"{where} in float32", likely.INEXACT)


def _check_stretches(optimizer, where):
    whole = _after_steps(optimizer, np.float32, 200)
    values, gradients, memory = _state(optimizer, np.float32, 200)
    one = copy.deepcopy(optimizer)
    for step in (1, 2, 3):
        for part in (slice(0, 64), slice(64, 200)):
            kept = tuple(vector[part] for vector in memory)
            _advance(one, values[part], gradients[part], kept, optimizer.learning_rate, step)
    require_same_bits(
        values,
        whole,
        f"{where}: a vector updated in two stretches is not what it is whole",
        "it looks at the whole vector (a norm, a mean): say by_parameter, or treat each element on its own",
    )


def _check_rows(optimizer, where):
    """A table of which a step uses some rows, beside a flat parameter that holds just these rows."""
    rng = np.random.default_rng(31)
    used, start = np.array([1, 4, 5]), rng.normal(size=(7, 3)).astype(np.float32)
    table, flat = Parameter(start.copy(), sparse=True), Parameter(start[used])
    stores = [ParameterStore([table]), ParameterStore([flat])]
    runs = [OptimizerRun(copy.deepcopy(optimizer), store) for store in stores]
    for _ in range(6):
        gradient = rng.normal(size=(3, 3)).astype(np.float32)
        table.grad = SparseGradient(used, gradient.copy(), table.shape)
        flat.gradient_memory[...] = gradient
        flat.grad = flat.gradient_memory
        for run in runs:
            run.step()
    require_close(
        table.data[used],
        flat.data,
        1e-6,
        f"{where}: rows of a sparse parameter, beside a dense one of them",
        "a memory is used by its place, not by what it is given",
    )
    others = np.setdiff1d(np.arange(7), used)
    require_same_bits(
        table.data[others],
        start[others],
        f"{where}: rows of a sparse parameter that no step used",
        "finish() changes rows that a step did not use",
    )
