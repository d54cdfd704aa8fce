"""plugrad: a small compiled autograd engine in which every layer, loss and optimizer is a plugin.

    import plugrad as pg

What an author of plugins needs stands here; Numba, pandas and scikit-learn are imported when first used.
"""

import importlib

from plugrad.groups import Group
from plugrad.initializer import Initializer, fans
from plugrad.kernel import kernel, prange
from plugrad.layer import Layer
from plugrad.loss import Loss
from plugrad.mode import add_loss, is_training, mode, no_grad, predicting, recording, total_loss, training
from plugrad.op import OPS, grad, op, value_and_grad
from plugrad.ops import *  # noqa: F403 - their names are `ops.__all__`
from plugrad.ops import __all__ as _op_names
from plugrad.optimizer import Optimizer
from plugrad.parameters import Parameter, State
from plugrad.schedule import Schedule
from plugrad.sparse import SparseGradient
from plugrad.tensor import Tensor
from plugrad.threads import get_threads, set_threads

__version__ = "0.1.0"

_LATE = {
    "Trainer": "plugrad.train",
    "Callback": "plugrad.callbacks",
    "History": "plugrad.history",
    "find_learning_rate": "plugrad.range_test",
    "Registry": "plugrad.plugins",
    "registry": "plugrad.plugins",
    "hookimpl": "plugrad.hookspecs",
    "command": "plugrad.commands",
    "save_model": "plugrad.saved_model",
    "load_model": "plugrad.saved_model",
    "testing": None,
}

__all__ = [  # noqa: F405
    "OPS", "Callback", "Group", "History", "Initializer", "Layer", "Loss", "Optimizer", "Parameter", "Registry",
    "Schedule", "SparseGradient", "State", "Tensor", "Trainer", "add_loss", "command", "fans", "find_learning_rate",
    "get_threads", "grad", "hookimpl", "is_training", "kernel", "load_model", "mode", "no_grad", "op", "prange",
    "predicting", "recording", "registry", "save_model", "set_threads", "testing", "total_loss", "training",
    "value_and_grad", *_op_names,
]  # fmt: skip


def __getattr__(name):
    if name not in _LATE:
        raise AttributeError(f"module 'plugrad' has no attribute {name!r}")
    if _LATE[name] is None:
        return importlib.import_module(f"plugrad.{name}")
    return getattr(importlib.import_module(_LATE[name]), name)
