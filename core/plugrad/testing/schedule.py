"""The checkers of initializers and schedules."""

import math

import numpy as np

from plugrad.schedule import Schedule
from plugrad.testing import likely
from plugrad.testing.gradient import require, require_same_bits


def check_initializer(initializer):
    """Try an initializer: finite floats of the shape asked for, the same for one seed, and from nothing but the seed.

    Raises AssertionError.
    """
    where = type(initializer).__name__
    for shape in ((64, 32), (8, 40), (3, 3, 4, 8), (7,)):
        first, second, other = (initializer(shape, np.random.default_rng(seed)) for seed in (1, 1, 2))
        floats = isinstance(first, np.ndarray) and first.dtype.kind == "f"
        require(
            floats,
            f"{where}: expected an array of floats, got {type(first).__name__}",
            "it returns a list, or whole numbers",
        )
        require(
            first.shape == shape,
            f"{where}: asked for shape {shape}, it made {first.shape}",
            "the shape is not passed on to the generator",
        )
        require(
            np.isfinite(first).all(),
            f"{where}: values that are not finite for shape {shape}",
            "it divides by a number of inputs that is 0",
        )
        require_same_bits(second, first, f"{where}: two draws with one seed, shape {shape}", likely.GENERATOR)
        constant = first.size == 1 or first.min() == first.max()
        varies = constant or not np.array_equal(first, other)
        require(varies, f"{where}: it does not draw from the generator it is given", likely.GENERATOR)


def check_schedule(schedule):
    """Try a schedule.

    - Factors are finite and at least 0 for every step, also beyond the planned ones, whatever was asked before.
    - After `begin` the losses observed earlier are forgotten; the same ones then give the same factors, for resuming.

    Raises AssertionError.
    """
    where = type(schedule).__name__
    _check_factors(schedule, where)
    if not isinstance(schedule, Schedule):  # a plain function has no eyes for losses
        return
    fresh = [schedule(step, 20) for step in range(20)]
    found = []
    for _ in range(2):
        schedule.begin()
        require(
            [schedule(step, 20) for step in range(20)] == fresh,
            f"{where}: begin() does not forget the losses",
            likely.OBSERVED,
        )
        for epoch in range(1, 31):
            schedule.observe(epoch, 1.0 if epoch < 5 else 2.0)
        found.append([schedule(step, 20) for step in range(20)])
    require(found[0] == found[1], f"{where}: the same losses give other factors the second time", likely.OBSERVED)
    _check_factors(schedule, where)
    schedule.begin()


def _check_factors(schedule, where):
    for steps in (1, 2, 10, 1000):
        asked = range(0, steps + 3, max(1, steps // 50))
        factors = [schedule(step, steps) for step in asked]
        for step, factor in zip(asked, factors, strict=True):
            well = isinstance(factor, int | float | np.floating) and math.isfinite(factor) and factor >= 0
            require(
                well,
                f"{where}: step {step} of {steps} has the factor {factor!r}; expected a finite number >= 0",
                "a division by the number of steps, or a step beyond the last one",
            )
        require(
            any(factors),
            f"{where}: of {steps} steps all have the factor 0",
            "the share of steps done is rounded to a whole number",
        )
        backwards = [schedule(step, steps) for step in reversed(asked)][::-1]
        require(
            backwards == factors,
            f"{where}: a step's factor depends on which steps were asked for before",
            "it counts its calls: use the step it is given",
        )
