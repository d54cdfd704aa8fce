"""What this machine can do at most, as measured: products in the caches, and copies in memory."""

import time

import numpy as np

import plugrad as pg
from plugrad.kernel import kernel, prange

# Rows, depth and columns of products that lie in the first and second cache, and are long beside the call.
PRODUCTS = ((256, 256, 64), (256, 256, 256), (1024, 64, 64), (512, 128, 128))
COPIED_MEGABYTES = 64
SECONDS = 0.3


@kernel
def copy(source, target):
    """target = source, in pieces."""
    piece = 1 << 16
    for p in prange((source.size + piece - 1) // piece):
        a, b = source[p * piece : (p + 1) * piece], target[p * piece : (p + 1) * piece]
        for i in range(a.size):
            b[i] = a[i]


def _best(run):
    """The least seconds of many runs."""
    run()
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        begin = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - begin)
    return best


def measure_machine():
    """{"gflops": of the best product in float32, "copy_gigabytes": read and written in a second}."""
    rng = np.random.default_rng(0)
    rates = []
    for rows, depth, columns in PRODUCTS:
        a, b = (rng.normal(size=shape).astype(np.float32) for shape in ((rows, depth), (depth, columns)))
        rates.append(2 * rows * depth * columns / _best(lambda a=a, b=b: pg.matmul(a, b)) / 1e9)
    source = np.ones(COPIED_MEGABYTES << 18, np.float32)
    target = np.empty_like(source)
    return {"gflops": max(rates), "copy_gigabytes": 2 * source.nbytes / _best(lambda: copy(source, target)) / 1e9}
