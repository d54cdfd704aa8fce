"""The contract of learning-rate schedules: a factor for every step."""

from dataclasses import dataclass

from plugrad.errors import PlugradError


@dataclass
class Schedule:
    """Base of all schedules. A subclass is a dataclass whose fields are its configuration. It keeps nothing between
    calls, so that a resumed training goes on with the same rates.
    """

    def __call__(self, step, steps):
        """The factor on the learning rate for step `step` (0 for the first) of `steps` planned ones."""
        raise PlugradError(f"{type(self).__name__} does not define __call__(self, step, steps)")
