"""Why a loss is no longer a number: the first place where it went wrong, and what to try."""

import numpy as np

from plugrad.errors import DivergedError
from plugrad.mode import no_grad, training, watching
from plugrad.tensor import Tensor


def explain(trainer, x, y, step, value):
    """The DivergedError for a batch whose loss is not finite.

    The forward pass is run once more with a watch on every layer: the random numbers of a step depend on its number
    alone, so it takes the same course, and a healthy training pays nothing for the watch.
    """
    bad = _bad_input(x, y) or _bad_parameter(trainer.model) or _bad_layer(trainer, x, step)
    where = bad or "every layer's output is finite: the loss itself overflows"
    advice = _advice(trainer, bad)
    return DivergedError(
        f"training diverged at step {step + 1} (epoch {trainer.epoch + 1}): the loss is {value}; {where}; {advice}"
    )


def _bad_input(x, y):
    for name, array in (("input", x), ("target", y)):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = np.argwhere(~np.isfinite(array))[0]
            return f"the {name} holds {array[tuple(row)]} (row {row[0]} of the batch)"
    return None


def _bad_parameter(model):
    for name, parameter in model.named_parameters():
        if not np.isfinite(parameter.data).all():
            layer, _, field = name.rpartition(".")
            return (
                f"the update before left values that are not finite in {field} of layer {layer or type(model).__name__}"
            )
    return None


def _bad_layer(trainer, x, step):
    found = []

    def look(layer, output):
        outputs = output if isinstance(output, tuple) else (output,)
        if not found and any(isinstance(o, Tensor) and not np.isfinite(o.data).all() for o in outputs):
            found.append(layer)

    with np.errstate(all="ignore"), no_grad(), training(trainer.seed, step), watching(look):
        trainer.model(x)
    return f"the first output that is not finite is that of layer {found[0].label}" if found else None


def _advice(trainer, bad):
    if bad and bad.startswith(("the input", "the target")):
        return "remove or fill such values before training"
    rate = trainer.optimizer.learning_rate
    tries = [f"try a smaller learning rate (it is {rate:g}; try {rate / 10:g})"]
    if trainer.clip_norm is None:
        tries.append("clip_norm=1")
    tries.append("inputs scaled to about -3..3")
    return ", ".join(tries)
