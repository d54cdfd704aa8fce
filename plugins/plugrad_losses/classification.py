"""Losses for classes: how unlikely a model holds what was observed."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import plugrad as pg
from plugrad_losses.fields import number, weights, whole

_LOGITS = np.array([[0.3, -1.2, 0.8], [2.0, 0.1, -0.4], [-0.7, 0.6, 0.2]])
_SHARES = np.array([[0.0, 1.0, 1.0], [0.25, 0.0, 1.0], [1.0, 0.0, 0.5]])


@dataclass
class CrossEntropy(pg.Loss):
    """-log softmax(prediction)[target], averaged over the rows.

    prediction (batch, ..., classes): logits. target (batch, ...): whole numbers from 0, or (batch, ..., classes):
    probabilities. Raises InputError for a label outside the classes, ShapeError for other shapes.

    label_smoothing: the share, in [0, 1], that is spread evenly over all classes (Szegedy et al. 2016).
    class_weights: a factor >= 0 for each class, or None; labels are then averaged with them.
    ignore_index: the label of rows that count nothing.
    """

    nonnegative: ClassVar = True

    label_smoothing: float = 0.0
    class_weights: list | None = None
    ignore_index: int = -100

    def __post_init__(self):
        number("CrossEntropy", "label_smoothing", self.label_smoothing, 0, 1)
        weights("CrossEntropy", "class_weights", self.class_weights)
        whole("CrossEntropy", "ignore_index", self.ignore_index)

    def __call__(self, prediction, target):
        return pg.cross_entropy(
            prediction, target, weight=self.class_weights, ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )  # fmt: skip

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return cls(), _LOGITS, np.array([2, 0, 1])


@dataclass
class BinaryCrossEntropy(pg.Loss):
    """-target * log sigmoid(prediction) - (1 - target) * log(1 - sigmoid(prediction)), averaged over all elements.

    prediction: logits; target: 0, 1 or a probability; both (batch, ...), of one shape; ShapeError otherwise.

    pos_weight: a factor >= 0 for the first part, or a list of them along the last axis, or None; InputError otherwise.
    """

    nonnegative: ClassVar = True

    pos_weight: float | list | None = None

    def __post_init__(self):
        listed = self.pos_weight is None or isinstance(self.pos_weight, list | tuple)
        weights("BinaryCrossEntropy", "pos_weight", self.pos_weight if listed else [self.pos_weight])

    def __call__(self, prediction, target):
        return pg.binary_cross_entropy_with_logits(prediction, target, pos_weight=self.pos_weight)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return cls(), _LOGITS, _SHARES


@dataclass
class Focal(pg.Loss):
    """The logistic loss times (1 - p)**gamma, p being the probability given to the truth (Lin et al. 2017).

    prediction: logits; target: 0, 1 or between; both (batch, ...), of one shape; ShapeError otherwise. Averaged.

    alpha: what a target of 1 is weighted with, in [0, 1], 1 - alpha for 0; None: no weights. gamma: >= 0.
    """

    nonnegative: ClassVar = True

    alpha: float | None = 0.25
    gamma: float = 2.0

    def __post_init__(self):
        if self.alpha is not None:
            number("Focal", "alpha", self.alpha, 0, 1)
        number("Focal", "gamma", self.gamma, 0)

    def __call__(self, prediction, target):
        return pg.focal(prediction, target, alpha=-1.0 if self.alpha is None else self.alpha, gamma=self.gamma)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return cls(), _LOGITS, _SHARES


@dataclass
class SoftmaxFocal(pg.Loss):
    """Cross-entropy times (1 - p)**gamma, p = softmax(prediction)[target], averaged (Lin et al. 2017, many classes).

    prediction (batch, ..., classes): logits. target (batch, ...): whole numbers from 0. Raises InputError for a label
    outside the classes, ShapeError for other shapes.

    alpha: a factor >= 0 for each class, or None; labels are then averaged with them. gamma: >= 0, 0 for CrossEntropy.
    ignore_index: the label of rows that count nothing.
    """

    nonnegative: ClassVar = True

    alpha: list | None = None
    gamma: float = 2.0
    ignore_index: int = -100

    def __post_init__(self):
        weights("SoftmaxFocal", "alpha", self.alpha)
        number("SoftmaxFocal", "gamma", self.gamma, 0)
        whole("SoftmaxFocal", "ignore_index", self.ignore_index)

    def __call__(self, prediction, target):
        return pg.softmax_focal(prediction, target, self.alpha, self.gamma, self.ignore_index)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return cls(), _LOGITS, np.array([2, 0, 1])


@dataclass
class KLDivergence(pg.Loss):
    """The sum of target * log(target / softmax(prediction)) over the classes, averaged over the rows.

    prediction (batch, ..., classes): logits; target, of the same shape: probabilities; ShapeError otherwise.
    (Kullback & Leibler 1951.)
    """

    def __call__(self, prediction, target):
        divergence = pg.kl_div(pg.log_softmax(prediction), target, reduction="none")
        return pg.mean(pg.sum(divergence, axis=-1))

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return cls(), _LOGITS, np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.1, 0.8, 0.1]])


@dataclass
class Hinge(pg.Loss):
    """max(0, 1 - target * prediction), averaged; target 1 or -1 (Cortes & Vapnik 1995).

    Both (batch, ...), of one shape; ShapeError otherwise.
    """

    nonnegative: ClassVar = True

    def __call__(self, prediction, target):
        return pg.hinge(prediction, target)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return cls(), _LOGITS, np.array([[1.0, -1.0, -1.0], [1.0, 1.0, -1.0], [1.0, -1.0, 1.0]])
