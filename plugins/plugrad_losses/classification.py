"""Losses for classes: how unlikely a model holds what was observed."""

from dataclasses import dataclass

import numpy as np

import plugrad as pg

_LOGITS = np.array([[0.3, -1.2, 0.8], [2.0, 0.1, -0.4], [-0.7, 0.6, 0.2]])


@dataclass
class CrossEntropy(pg.Loss):
    """-log softmax(prediction)[target], averaged over the rows.

    prediction (batch, ..., classes): logits. target (batch, ...): whole numbers from 0, or (batch, ..., classes):
    probabilities. Raises InputError for a label outside the classes, ShapeError for other shapes.
    """

    def __call__(self, prediction, target):
        return pg.cross_entropy(prediction, target)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return cls(), _LOGITS, np.array([2, 0, 1])


@dataclass
class BinaryCrossEntropy(pg.Loss):
    """-target * log sigmoid(prediction) - (1 - target) * log(1 - sigmoid(prediction)), averaged over all elements.

    prediction: logits; target: 0, 1 or a probability; both (batch, ...), of one shape; ShapeError otherwise.
    """

    def __call__(self, prediction, target):
        return pg.binary_cross_entropy_with_logits(prediction, target)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return cls(), _LOGITS, np.array([[0.0, 1.0, 1.0], [0.25, 0.0, 1.0], [1.0, 0.0, 0.5]])
