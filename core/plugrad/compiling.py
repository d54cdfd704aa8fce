"""What is said while kernels are compiled: on a new machine that takes seconds, and silence would look like a hang."""

import contextlib
import sys
import time
from importlib.util import find_spec

_ERASE = "\r\x1b[2K"


class _Watch:
    """Counts compilations, and says when one begins and when it is over."""

    def __init__(self):
        self.depth, self.count, self.began = 0, 0, None

    def on_start(self, event):
        """A compilation begins: of a kernel, or of one that it calls."""
        self.depth += 1
        if self.depth == 1:
            self.count += 1
            self.began = self.began or time.monotonic()
            name, seconds = event.data["dispatcher"].py_func.__name__, round(time.monotonic() - self.began)
            _shown[-1](f"compiling kernels, once for this machine: {name} (number {self.count}, {seconds} s)")

    def on_end(self, event):
        """A compilation is over, successful or not."""
        self.depth -= 1
        if self.depth == 0:
            _shown[-1](None)


def _line(text):
    """One line on standard error that the next one replaces; nothing where that is not a terminal."""
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write(_ERASE if text is None else f"{_ERASE}plugrad: {text}")
        sys.stderr.flush()


_shown = [_line]
_watch = None


def load_numba():
    """The module Numba, imported without SciPy: to ask for a BLAS while it starts took it a fifth of its start.

    It asks again when a function that needs one is compiled, as `np.dot` in a kernel does.
    """
    import numba

    if "numba.np.arraymath" not in sys.modules:
        from numba.np import linalg

        asked = getattr(linalg, "ensure_blas", None)
        linalg.ensure_blas = _require_scipy
        try:
            import numba.np.arraymath
        finally:
            linalg.ensure_blas = asked
    return numba


def _require_scipy():
    if find_spec("scipy") is None:
        raise ImportError("no SciPy")


def listen():
    """Begin to listen; called before the first kernel is made."""
    global _watch
    if _watch is None:
        from numba.core import event

        _watch = type("Watch", (_Watch, event.Listener), {})()
        event.register("numba:compile", _watch)


@contextlib.contextmanager
def shown_by(show):
    """A context in which show(text), and show(None) afterwards, take the place of the line on standard error."""
    _shown.append(show)
    try:
        yield
    finally:
        _shown.remove(show)
