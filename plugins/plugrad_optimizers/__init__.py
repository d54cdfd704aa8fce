"""The optimizers and schedules that come with plugrad, registered through the hooks that every plugin uses."""

import plugrad as pg
from plugrad_optimizers.adagrad import AdaGrad
from plugrad_optimizers.adam import Adam, AdamW, AMSGrad, NAdam, RAdam
from plugrad_optimizers.lion import Lion
from plugrad_optimizers.lookahead import Lookahead
from plugrad_optimizers.phases import ReduceOnPlateau, WarmUp
from plugrad_optimizers.rmsprop import RMSProp
from plugrad_optimizers.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    Linear,
    OneCycle,
    Polynomial,
    Step,
)
from plugrad_optimizers.sgd import SGD, Momentum, Nesterov

_OPTIMIZERS = (
    SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam, AdamW, AMSGrad, NAdam, RAdam, Lion, Lookahead,
)  # fmt: skip
_SCHEDULES = (
    Constant, Step, Exponential, Linear, Polynomial, Cosine, CosineRestarts, OneCycle, WarmUp, ReduceOnPlateau,
)  # fmt: skip

__all__ = [
    "SGD", "AMSGrad", "AdaGrad", "Adam", "AdamW", "Constant", "Cosine", "CosineRestarts", "Exponential", "Linear",
    "Lion", "Lookahead", "Momentum", "NAdam", "Nesterov", "OneCycle", "Polynomial", "RAdam", "RMSProp",
    "ReduceOnPlateau", "Step", "WarmUp",
]  # fmt: skip


@pg.hookimpl
def register_optimizers():
    """Every optimizer of this package under its class's name."""
    return {optimizer.__name__: optimizer for optimizer in _OPTIMIZERS}


@pg.hookimpl
def register_schedules():
    """Every schedule of this package under its class's name."""
    return {schedule.__name__: schedule for schedule in _SCHEDULES}
