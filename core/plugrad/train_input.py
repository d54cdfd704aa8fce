"""What a Trainer checks and prepares before its first step: the settings, and the rows held out."""

import math

import numpy as np

from plugrad import arena
from plugrad.errors import InputError


def split_rows(x, y, validation, seed):
    """(training x, y, held-out x, y); the held-out ones None without validation."""
    if isinstance(validation, tuple):
        held_x, held_y = (np.asarray(part) for part in validation)
        return x, y, held_x, held_y
    if not validation:
        return x, y, None, None
    if len(x) < 2:
        raise InputError(f"cannot hold out a share of {validation} of {len(x)} row; give more rows or validation=0")
    from sklearn.model_selection import train_test_split

    held = max(1, round(len(x) * validation))
    train, test = train_test_split(np.arange(len(x)), test_size=min(held, len(x) - 1), random_state=seed)
    train.sort()
    test.sort()
    return x[train], y[train], x[test], y[test]


def check_settings(trainer):
    """Raise InputError for a setting of a Trainer that makes no sense."""
    whole = {"epochs": trainer.epochs, "batch_size": trainer.batch_size, "patience": trainer.patience}
    for name, value in whole.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < (name != "epochs")):
            raise InputError(f"{name} must be a whole number from {int(name != 'epochs')}, got {value!r}")
    if not isinstance(trainer.validation, tuple) and not 0 <= trainer.validation < 1:
        raise InputError(f"validation must be a share in [0, 1) or a pair (x, y), got {trainer.validation!r}")
    for name in ("clip_norm", "clip_value"):
        value = getattr(trainer, name)
        if value is not None and not value > 0:
            raise InputError(f"{name} must be a number > 0, got {value!r}")
    for name in ("l1", "l2", "min_delta"):
        if not (math.isfinite(getattr(trainer, name)) and getattr(trainer, name) >= 0):
            raise InputError(f"{name} must be a number >= 0, got {getattr(trainer, name)!r}")
    if trainer.average is not None and not 0 <= trainer.average < 1:
        raise InputError(f"average must be a share in [0, 1) or None, got {trainer.average!r}")


def take_rows(array, rows):
    """array[rows] in an array that a later step uses again; rows: whole numbers within the array."""
    out = arena.empty((len(rows), *array.shape[1:]), array.dtype)
    return np.take(array, rows, axis=0, out=out, mode="clip")  # "raise" would make a copy first
