"""The contract of losses: one number to make small."""

from dataclasses import dataclass

from plugrad.errors import PlugradError


@dataclass
class Loss:
    """Base of all losses. A subclass is a dataclass whose fields are its configuration."""

    def __call__(self, prediction, target):
        """The loss as a Tensor of one element.

        prediction: the model's output, a Tensor (batch, ...); target: what it should be, a Tensor or an array.
        """
        raise PlugradError(f"{type(self).__name__} does not define __call__(self, prediction, target)")
