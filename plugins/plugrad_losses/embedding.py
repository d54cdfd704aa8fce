"""Losses for embeddings: which vectors should lie near each other."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import plugrad as pg
from plugrad.errors import ShapeError
from plugrad_losses.fields import positive


def _example(loss, several):
    prediction = np.random.default_rng(41).normal(size=(4, several, 5))
    return loss, prediction, np.zeros(4)


def _parts(loss, prediction, count):
    shape = np.shape(prediction)
    if len(shape) != 3 or shape[1] != count:
        raise ShapeError(f"{loss}: expected a prediction (batch, {count}, width), got {shape}")
    return [pg.getitem(prediction, (slice(None), place)) for place in range(count)]


@dataclass
class Cosine(pg.Loss):
    """1 - the cosine of the angle between prediction and target along the last axis, averaged over the rest.

    Both (batch, ..., width), of one shape; ShapeError otherwise.
    """

    nonnegative: ClassVar = True

    def __call__(self, prediction, target):
        if np.shape(prediction) != np.shape(target):
            raise ShapeError(
                f"Cosine: prediction {np.shape(prediction)} and target {np.shape(target)} must have the same shape"
            )
        return 1 - pg.mean(pg.cosine_similarity(prediction, target))

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        prediction = np.array([[0.3, -1.2, 0.8], [2.0, 0.1, -0.4]])
        return cls(), prediction, np.array([[1.0, -0.5, 0.1], [0.2, 0.3, 0.9]])


@dataclass
class Triplet(pg.Loss):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) with Euclid's d, averaged (Schroff et al. 2015).

    prediction (batch, 3, width): anchors, positives and negatives; ShapeError otherwise. The target is not looked at.

    margin: a number > 0. swap: measure the negative from the positive where it is nearer to that (Balntas et al. 2016).
    """

    nonnegative: ClassVar = True

    margin: float = 1.0
    swap: bool = False

    def __post_init__(self):
        positive("Triplet", "margin", self.margin)

    def __call__(self, prediction, target):
        return pg.triplet(*_parts("Triplet", prediction, 3), margin=self.margin, swap=self.swap)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return _example(cls(margin=3.0), 3)


@dataclass
class InfoNCE(pg.Loss):
    """Each query should be nearer to its own key than to the other keys of the batch (van den Oord et al. 2018).

    prediction (batch, 2, width): queries and keys; ShapeError otherwise. The target is not looked at.

    temperature: what cosines are divided by, > 0. symmetric: also from keys to queries (Radford et al. 2021).
    """

    nonnegative: ClassVar = True
    mixes_samples: ClassVar = True

    temperature: float = 0.1
    symmetric: bool = True

    def __post_init__(self):
        positive("InfoNCE", "temperature", self.temperature)

    def __call__(self, prediction, target):
        queries, keys = _parts("InfoNCE", prediction, 2)
        return pg.info_nce(queries, keys, temperature=self.temperature, symmetric=self.symmetric)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this loss with."""
        return _example(cls(), 2)
