"""Loops that threads share, run forwards and backwards: where iterations meet in one place, the results differ.

Two threads show a race now and then, and on a busy machine not at all; another order shows it every time. What it does
not show is memory that a kernel makes before its loop and writes to in each iteration.
"""

import functools

from plugrad.kernel import compiled, running
from plugrad.testing import likely
from plugrad.testing.gradient import require_same_bits

ROOMS = frozenset({"plugrad", "plugrad_layers", "plugrad_losses", "plugrad_optimizers", "plugrad_anomaly"})


ORDERS = ("forwards", "backwards", "odd first")


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
    import numpy as np

    def forwards(*bounds):
        return np.arange(*bounds).copy()

    def backwards(*bounds):
        return np.arange(*bounds)[::-1].copy()

    def odd_first(*bounds):
        numbers = np.arange(*bounds)
        return np.concatenate((numbers[1::2], numbers[::2]))

    return compiled(kernel, numba.njit(dict(zip(ORDERS, (forwards, backwards, odd_first), strict=True))[order]))
