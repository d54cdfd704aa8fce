"""The contract of learning-rate schedules: a factor for every step."""

from dataclasses import dataclass

from plugrad.errors import PlugradError


@dataclass
class Schedule:
    """Base of all schedules. A subclass is a dataclass whose fields are its configuration.

    A factor depends on the step, the planned steps, and the losses observed since `begin`, and on nothing else: a
    resumed training shows the losses of the epochs before, and goes on with the same rates.
    """

    def begin(self):
        """Forget all losses: a training begins. Those that do not look at losses have nothing to do."""

    def observe(self, epoch, loss):
        """Look at the loss of an epoch (1 for the first): the validation loss, or without one the training loss."""

    def __call__(self, step, steps):
        """The factor on the learning rate for step `step` (0 for the first) of `steps` planned ones."""
        raise PlugradError(f"{type(self).__name__} does not define __call__(self, step, steps)")
