"""Results that depend on threads, or on which iteration of a shared loop comes first: where they meet in one place.

Two threads show a race now and then, and on a busy machine not at all; another order shows it every time. What it does
not show is memory that a kernel makes before its loop and writes to in each iteration.
"""

import contextlib
import functools
import math
import os
import time

import numpy as np

from plugrad import threads
from plugrad.kernel import compiled, running
from plugrad.testing import likely
from plugrad.testing.gradient import require, require_same_bits

ROOMS = frozenset({"plugrad", "plugrad_layers", "plugrad_losses", "plugrad_optimizers", "plugrad_anomaly"})
# Numbers in the batch that is run on one and on two threads: enough for kernels to share the work.
LARGE, MOST_ROWS = 80_000, 20_000
# Runs on two threads: a quick layer is run often.
LEAST_RUNS, MOST_RUNS, RUN_SECONDS = 2, 60, 0.2
ORDERS = ("forwards", "backwards", "odd first")


def check_threads(case):
    """A large batch gives the same bits on one and on two threads, and in any order of a kernel's iterations."""
    rows = min(math.ceil(LARGE / max(math.prod(case.sample.shape[1:]), 1)), MOST_ROWS)
    batch = case.large_batch(rows)
    layer = case.made(np.float32)
    require_same_in_any_order(lambda: case.results(layer, batch, in_training=True), case.where)
    for path, p in layer.named_parameters():
        require(p.grad is not None, f"{case.where}: {path} got no gradient of {rows} samples", likely.UNUSED)
    if (os.cpu_count() or 1) < 2:
        return
    with thread_count(1):
        alone = case.results(layer, batch, in_training=True)
    begin = time.perf_counter()
    for number in range(MOST_RUNS):  # a race shows now and then
        if number >= LEAST_RUNS and time.perf_counter() - begin > RUN_SECONDS:
            break
        with thread_count(2):
            for name, array in case.results(layer, batch, in_training=True).items():
                what = f"{case.where}, {name} of {rows} samples on 2 threads"
                require_same_bits(array, alone[name], what, likely.RACE)


@contextlib.contextmanager
def thread_count(count):
    """A context in which kernels use `count` threads."""
    before = threads.get_threads()
    threads.set_threads(count)
    try:
        yield
    finally:
        threads.set_threads(before)


def iterations(order):
    """A context in which kernels with a `prange` run its iterations one by one, in one of ORDERS.

    Not plugrad's own: they are many to compile, and its tests look at them.
    """

    def form(kernel):
        own = kernel.function.__module__.partition(".")[0] in ROOMS
        return None if own else _ordered(kernel, order)

    return running(form)


def require_same_in_any_order(results, where):
    """The arrays that results() gives, {name: array}, are the same bits whichever iteration of a kernel comes first."""
    first, *others = ORDERS
    with iterations(first):
        expected = results()
    for order in others:
        with iterations(order):
            got = results()
        for name, array in got.items():
            what = f"{where}, {name} with the iterations of prange in another order"
            require_same_bits(array, expected[name], what, likely.RACE)


@functools.cache
def _ordered(kernel, order):
    """The serial form of a kernel, its shared loops in this order.

    The numbers of the iterations come from an array in either order: loops that the compiler sees as the same.
    """
    import numba

    def forwards(*bounds):
        return np.arange(*bounds).copy()

    def backwards(*bounds):
        return np.arange(*bounds)[::-1].copy()

    def odd_first(*bounds):
        numbers = np.arange(*bounds)
        return np.concatenate((numbers[1::2], numbers[::2]))

    return compiled(kernel, numba.njit(dict(zip(ORDERS, (forwards, backwards, odd_first), strict=True))[order]))
