"""The optimizers and schedules that come with plugrad, registered through the hooks that every plugin uses."""

import plugrad as pg
from plugrad_optimizers.adagrad import AdaGrad
from plugrad_optimizers.adam import Adam, AdamW
from plugrad_optimizers.rmsprop import RMSProp
from plugrad_optimizers.schedules import Constant, Cosine, Step, WarmUp
from plugrad_optimizers.sgd import SGD, Momentum, Nesterov

__all__ = [
    "SGD", "AdaGrad", "Adam", "AdamW", "Constant", "Cosine", "Momentum", "Nesterov", "RMSProp", "Step", "WarmUp",
]  # fmt: skip


@pg.hookimpl
def register_optimizers():
    """Every optimizer of this package under its class's name."""
    return {o.__name__: o for o in (SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam, AdamW)}


@pg.hookimpl
def register_schedules():
    """Every schedule of this package under its class's name."""
    return {s.__name__: s for s in (Constant, Step, Cosine, WarmUp)}
