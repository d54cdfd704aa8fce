"""The losses that come with plugrad, registered through the hooks that every plugin uses."""

import plugrad as pg
from plugrad_losses.classification import BinaryCrossEntropy, CrossEntropy, Focal, Hinge, KLDivergence, SoftmaxFocal
from plugrad_losses.embedding import Cosine, InfoNCE, Triplet
from plugrad_losses.regression import MAE, MSE, GaussianNLL, Huber, LogCosh, PoissonNLL, Quantile, SmoothL1

_LOSSES = (
    MSE, MAE, Huber, SmoothL1, LogCosh, Quantile, GaussianNLL, PoissonNLL,
    CrossEntropy, BinaryCrossEntropy, Focal, SoftmaxFocal, KLDivergence, Hinge,
    Cosine, Triplet, InfoNCE,
)  # fmt: skip

__all__ = [
    "MAE", "MSE", "BinaryCrossEntropy", "Cosine", "CrossEntropy", "Focal", "GaussianNLL", "Hinge", "Huber", "InfoNCE",
    "KLDivergence", "LogCosh", "PoissonNLL", "Quantile", "SmoothL1", "SoftmaxFocal",
    "Triplet",
]  # fmt: skip


@pg.hookimpl
def register_losses():
    """Every loss of this package under its class's name."""
    return {loss.__name__: loss for loss in _LOSSES}
