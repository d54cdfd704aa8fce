"""Checks of fields that several optimizers share."""

import math

from plugrad.errors import InputError


def check_share(owner, name, value):
    """Raise InputError unless `value` is in [0, 1), as a share of the past that is kept must be."""
    if not (math.isfinite(value) and 0 <= value < 1):
        raise InputError(f"{owner}: {name} must be in [0, 1), got {value!r}")


def check_positive(owner, name, value):
    """Raise InputError unless `value` is a number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{owner}: {name} must be a number > 0, got {value!r}")


def check_unit(owner, name, value):
    """Raise InputError unless `value` is in [0, 1]."""
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise InputError(f"{owner}: {name} must be in [0, 1], got {value!r}")


def check_count(owner, name, value, least):
    """Raise InputError unless `value` is a whole number from `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{owner}: {name} must be a whole number from {least}, got {value!r}")
