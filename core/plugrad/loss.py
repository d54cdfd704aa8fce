"""The contract of losses: one number to make small."""

from dataclasses import dataclass
from typing import ClassVar

from plugrad.errors import PlugradError


@dataclass
class Loss:
    """Base of all losses. A subclass is a dataclass whose fields are its configuration.

    What it claims, and the conformance kit checks: it is the mean over all elements, or their sum where it has a field
    `reduction` that is "sum"; `nonnegative` says that it is never below 0; `mixes_samples`, that a sample's part of it
    depends on the others of the batch.
    """

    nonnegative: ClassVar[bool] = False
    mixes_samples: ClassVar[bool] = False

    def __call__(self, prediction, target):
        """The loss as a Tensor of one element.

        prediction: the model's output, a Tensor (batch, ...); target: what it should be, a Tensor or an array.
        """
        raise PlugradError(f"{type(self).__name__} does not define __call__(self, prediction, target)")
