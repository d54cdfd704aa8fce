"""Checks of the losses' fields; each raises InputError in one line."""

import math
from numbers import Real

from plugrad.errors import InputError


def number(loss, field, value, low=-math.inf, high=math.inf):
    """A finite number from `low` to `high`."""
    if isinstance(value, bool) or not isinstance(value, Real) or not (math.isfinite(value) and low <= value <= high):
        limits = "" if low == -math.inf else f" >= {low}" if high == math.inf else f" in [{low}, {high}]"
        raise InputError(f"{loss}: {field} must be a number{limits}, got {value!r}")


def positive(loss, field, value):
    """A finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not (math.isfinite(value) and value > 0):
        raise InputError(f"{loss}: {field} must be a number > 0, got {value!r}")


def whole(loss, field, value):
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{loss}: {field} must be a whole number, got {value!r}")


def shares(loss, field, values):
    """A list of numbers between 0 and 1, at least one."""
    if not isinstance(values, list | tuple) or not values:
        raise InputError(f"{loss}: {field} must be a list of numbers in (0, 1), got {values!r}")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < 1:
            raise InputError(f"{loss}: {field} must be numbers in (0, 1), got {value!r}")


def weights(loss, field, values):
    """None, or a list of finite numbers from 0."""
    if values is None:
        return
    if not isinstance(values, list | tuple) or not values:
        raise InputError(f"{loss}: {field} must be a list of numbers >= 0, or None, got {values!r}")
    for value in values:
        number(loss, field, value, low=0)
