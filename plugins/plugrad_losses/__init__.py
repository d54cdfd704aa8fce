"""The losses that come with plugrad, registered through the hooks that every plugin uses."""

import plugrad as pg
from plugrad_losses.classification import BinaryCrossEntropy, CrossEntropy
from plugrad_losses.regression import MAE, MSE, Huber

__all__ = ["MAE", "MSE", "BinaryCrossEntropy", "CrossEntropy", "Huber"]


@pg.hookimpl
def register_losses():
    """Every loss of this package under its class's name."""
    return {loss.__name__: loss for loss in (MSE, MAE, Huber, CrossEntropy, BinaryCrossEntropy)}
