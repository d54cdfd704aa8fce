"""How many threads the kernels use, and which of Numba's threading layers carries them.

The number never changes a result: whether a kernel runs in parallel is decided by the size of its work alone,
and the work is cut in pieces that do not depend on the number of threads.
"""

import contextlib
import os
import threading
from importlib.util import find_spec

from plugrad.errors import InputError

SPINS = "3000"

_requested = None
_forked = False
_local = threading.local()
_workqueue_lock = None


def set_threads(count):
    """Use `count` threads (1 to the number of cores) for all kernels from now on, in every thread of the process."""
    global _requested
    limit = os.cpu_count() or 1
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= limit:
        raise InputError(f"number of threads must be a whole number from 1 to {limit}, got {count!r}")
    _requested = count


def get_threads():
    """The number of threads that kernels may use: what was set, else PLUGRAD_THREADS, else the number of cores."""
    global _requested
    if _requested is None:  # read once: looking into the environment costs more than a small kernel
        text = os.environ.get("PLUGRAD_THREADS", "").strip() or str(os.cpu_count() or 1)
        if not text.isdecimal() or int(text) < 1:
            raise InputError(f"PLUGRAD_THREADS must be a whole number from 1, got {text!r}")
        _requested = min(int(text), os.cpu_count() or 1)
    return _requested


def choose_layer():
    """Pick Numba's threading layer before its first parallel call; a choice the user has made stands.

    The omp layer enters a parallel region in some 3 µs, workqueue in some 140 µs, so omp wherever libgomp is there.
    """
    global _workqueue_lock
    from numba import config

    # GNU OpenMP's threads wait for each other by spinning, for milliseconds if need be. On a machine that is busy with
    # other work that made a training a hundred times slower; after some 30 µs of it they do better to sleep.
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS
    if config.THREADING_LAYER == "default":
        config.THREADING_LAYER = "omp" if find_spec("numba.np.ufunc.omppool") and _loads("omppool") else "workqueue"
    if config.THREADING_LAYER == "workqueue" and _workqueue_lock is None:
        _workqueue_lock = threading.RLock()  # the workqueue layer ends the process when two threads enter it


def _loads(module):
    try:
        __import__(f"numba.np.ufunc.{module}")
    except ImportError:  # the layer is shipped, but the system's libgomp is not there
        return False
    return True


@contextlib.contextmanager
def alone():
    """Within it, kernels that this thread calls run on it alone: for work that threads of its own share already."""
    before = getattr(_local, "alone", False)
    _local.alone = True
    try:
        yield
    finally:
        _local.alone = before


def parallel_allowed():
    """False within `alone`, and in a child made by fork(): GNU OpenMP would end one that enters a parallel region."""
    return not (_forked or getattr(_local, "alone", False))


def parallel_call(function, args):
    """Call a kernel that was compiled for parallel running, with the number of threads asked for."""
    wanted = _requested or get_threads()
    if getattr(_local, "threads", None) != wanted:  # Numba keeps the number per thread
        import numba

        numba.set_num_threads(min(wanted, numba.config.NUMBA_NUM_THREADS))
        _local.threads = wanted
    if _workqueue_lock is None:
        return function(*args)
    with _workqueue_lock:
        return function(*args)


def _after_fork():
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
