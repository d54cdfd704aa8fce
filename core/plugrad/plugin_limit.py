"""A time limit for code of plugins: one that hangs must not hang all others with it."""

import threading

from plugrad.errors import InputError
from plugrad.plugin_check import Fault

VARIABLE, SECONDS = "PLUGRAD_PLUGIN_TIMEOUT", 4.0


def limit_of(environ):
    """Seconds that a plugin may take to be imported and to answer its hooks. Raises InputError for another text."""
    text = environ.get(VARIABLE, "")
    try:
        seconds = float(text) if text else SECONDS
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise InputError(f"{VARIABLE} is {text[:40]!r}; a number of seconds above 0 was expected")
    return seconds


class Limited:
    """Runs a function in a thread of its own, and gives up waiting for it after some seconds.

    Python cannot end a thread, so one that hangs stays behind, idle, until the process ends; it is a daemon, and does
    not keep the process from ending. What it might still return is not used.
    """

    def __init__(self, function, seconds):
        self._function, self._seconds, self._outcome = function, seconds, None
        self._thread = threading.Thread(target=self._run, name="plugrad-plugin", daemon=True)

    def _run(self):
        try:
            self._outcome = True, self._function()
        except BaseException as error:  # it is raised again where it was called
            self._outcome = False, error

    def runs_here(self):
        """Whether it is the function that asks."""
        return threading.current_thread() is self._thread

    def result(self):
        """What the function returns, or raises; Fault when it has not ended in time."""
        self._thread.start()
        self._thread.join(self._seconds)
        if self._outcome is None:
            raise Fault(f"its import did not end within {self._seconds:g} s ({VARIABLE} sets the limit)")
        good, value = self._outcome
        if not good:
            raise value
        return value
