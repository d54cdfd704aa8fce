"""Schedules that lead to others, and one that looks at the loss."""

import functools
import math
from dataclasses import dataclass

import plugrad as pg
from plugrad.errors import InputError
from plugrad_optimizers.checks import check_count, check_positive, check_unit
from plugrad_optimizers.schedules import Constant


@dataclass
class WarmUp(pg.Schedule):
    """From near 0 up to 1 along a line, (step + 1) / warm, then another schedule for the steps that are left.

    Goyal et al. 2017. steps: how many steps that takes; None: `fraction` of the planned ones. then: a schedule, its
    registered name, or a mapping of "name" and fields; None stays at 1. Raises InputError for other values.
    """

    steps: int | None = None
    fraction: float = 0.05
    then: pg.Schedule | str | dict | None = None

    def __post_init__(self):
        if self.steps is not None:
            check_count("WarmUp", "steps", self.steps, 0)
        check_unit("WarmUp", "fraction", self.fraction)
        if not isinstance(self.then, pg.Schedule | str | dict | None):
            raise InputError(f"WarmUp: then must be a schedule or its name, got {type(self.then).__name__}")

    @functools.cached_property
    def _following(self):
        return Constant() if self.then is None else pg.registry().create("schedules", self.then)

    def begin(self):
        self._following.begin()

    def observe(self, epoch, loss):
        self._following.observe(epoch, loss)

    def __call__(self, step, steps):
        warm = math.ceil(self.fraction * steps) if self.steps is None else self.steps
        if step < warm:
            return (step + 1) / warm
        return self._following(step - warm, max(steps - warm, 1))


@dataclass
class ReduceOnPlateau(pg.Schedule):
    """Smaller by `factor` whenever the loss of `patience` epochs in a row was not the best by more than `min_delta`.

    The loss is the validation loss, or without validation that of the training. factor: in (0, 1). patience: a whole
    number from 1 (PyTorch waits one epoch more). cooldown: epochs after a reduction that do not count. floor: the
    smallest factor, in [0, 1]. InputError otherwise.
    """

    factor: float = 0.1
    patience: int = 10
    min_delta: float = 0.0
    cooldown: int = 0
    floor: float = 0.0

    def __post_init__(self):
        check_positive("ReduceOnPlateau", "factor", self.factor)
        if self.factor >= 1:
            raise InputError(f"ReduceOnPlateau: factor must be below 1, got {self.factor!r}")
        check_count("ReduceOnPlateau", "patience", self.patience, 1)
        check_count("ReduceOnPlateau", "cooldown", self.cooldown, 0)
        check_unit("ReduceOnPlateau", "floor", self.floor)
        if not (math.isfinite(self.min_delta) and self.min_delta >= 0):
            raise InputError(f"ReduceOnPlateau: min_delta must be a number >= 0, got {self.min_delta!r}")
        self.begin()

    def begin(self):
        self._now, self._best, self._waited, self._resting = 1.0, math.inf, 0, 0

    def observe(self, epoch, loss):
        if loss < self._best - (self.min_delta if math.isfinite(self._best) else 0):
            self._best, self._waited = loss, 0
        elif self._resting:
            self._waited = 0
        else:
            self._waited += 1
        self._resting = max(self._resting - 1, 0)
        if self._waited >= self.patience:
            self._now = max(self._now * self.factor, self.floor)
            self._waited, self._resting = 0, self.cooldown

    def __call__(self, step, steps):
        return self._now
