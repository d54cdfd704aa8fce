"""Groups of parameters that are trained differently: another rate, other penalties, or not at all."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase

from plugrad.errors import InputError


@dataclass(frozen=True)
class Group:
    """How the parameters whose path matches a pattern are trained; None leaves what the Trainer and optimizer say.

    match: a pattern of shell style for paths such as `layers.0.weight`: `*` stands for any text, also with dots.
    learning_rate_factor: multiplies the learning rate, after the schedule.
    weight_decay, l1, l2: take the place of the optimizer's weight decay and the Trainer's penalties; as those, they
        reach only parameters that decay (weights, not biases).
    frozen: True leaves the parameters as they are, and their gradients are not even computed. Running statistics, which
        are no parameters, go on.

    Raises InputError for values below 0.
    """

    match: str
    learning_rate_factor: float = 1.0
    weight_decay: float | None = None
    l1: float | None = None
    l2: float | None = None
    frozen: bool = False

    def __post_init__(self):
        if not isinstance(self.match, str):
            raise InputError(f"groups: match must be a pattern of parameter paths, got {self.match!r}")
        for name in ("learning_rate_factor", "weight_decay", "l1", "l2"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and math.isfinite(value) and value >= 0
            if not number and not (value is None and name != "learning_rate_factor"):
                raise InputError(f"groups: {name} of {self.match!r} must be a number >= 0, got {value!r}")


REST = Group("*")
"""The group of parameters that no other takes."""


def as_groups(given):
    """A list of Group from Groups and mappings of their fields. Raises InputError for anything else."""
    return [_as_group(item) for item in given]


def _as_group(item):
    if isinstance(item, Group):
        return item
    if not isinstance(item, Mapping):
        raise InputError(f"groups: expected a mapping of 'match' and what to change, got {item!r}")
    known = [field.name for field in fields(Group)]
    unknown = [name for name in item if name not in known]
    if unknown or "match" not in item:
        fault = f"has no field {unknown[0]!r}" if unknown else "needs 'match'"
        raise InputError(f"groups: a group {fault}; its fields: {', '.join(known)}")
    return Group(**item)


def assign(groups, model):
    """{id of a parameter: its Group}: the first that matches one of its paths; those that no group takes are left out.

    Raises InputError for a group that takes no parameter, naming the paths there are, or if nothing is left to train.
    """
    named = list(model.named_parameters())
    chosen = {}
    for group in groups:
        taken = [p for path, p in named if id(p) not in chosen and fnmatchcase(path, group.match)]
        if not taken:
            left = ", ".join(path for path, p in named if id(p) not in chosen) or "none"
            raise InputError(f"groups: {group.match!r} matches none of the parameters that are left: {left}")
        chosen |= {id(p): group for p in taken}
    if named and all(id(p) in chosen and chosen[id(p)].frozen for _, p in named):
        raise InputError("groups: every parameter is frozen, nothing is left to train")
    return chosen
