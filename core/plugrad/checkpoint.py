"""Checkpoints: the state of a training after an epoch, from which it goes on as if it had never stopped."""

import math
from pathlib import Path

import numpy as np

from plugrad import model_file
from plugrad.configuration import describe
from plugrad.errors import ModelFileError
from plugrad.saved_model import assign_tensors, model_tensors

LAST, BEST = "last.safetensors", "best.safetensors"
_MEMORY, _MEAN = "optimizer.", "average."


def save_checkpoint(folder, name, trainer, weights):
    """Write everything that the next epoch depends on: weights, running statistics, optimizer, counters, history.

    weights: name -> array, the model's tensors or those of its best epoch.
    """
    tensors = {**weights, **_own_arrays(trainer)}
    progress = {
        "epoch": trainer.epoch,
        "steps": trainer.run.steps,
        "best_loss": trainer.best_loss if math.isfinite(trainer.best_loss) else None,
        "best_epoch": trainer.best_epoch,
        "waited": trainer.waited,
        "stopped": trainer.stop,
        "history": [[[k, _plain(v)] for k, v in row.items()] for row in trainer.history],
        "settings": trainer.settings(),
    }
    metadata = {"model": {"configuration": describe(trainer.model)}, "training": progress}
    Path(folder).mkdir(parents=True, exist_ok=True)
    model_file.write(Path(folder) / name, tensors, metadata)


def load_checkpoint(folder, trainer):
    """Put a trainer into the state of the checkpoint `last` of a folder.

    Raises ModelFileError if there is none, it belongs to another model, or it was made with other settings (seed, batch
    size, learning rate, …): going on with others would be neither the old training nor a new one.
    """
    path = Path(folder) / LAST
    header = model_file.open_model(path)
    progress = header.metadata.get("training", {})
    if header.metadata.get("model", {}).get("configuration") != describe(trainer.model):
        raise ModelFileError("belongs to a model with another configuration", path)
    now = trainer.settings()
    then = progress.get("settings", {})
    changed = [f"{k} was {then.get(k)!r}, is {v!r}" for k, v in now.items() if then.get(k) != v]
    if changed:
        raise ModelFileError(f"was made with other settings: {'; '.join(changed)}", path)
    _assign(trainer, header, path)
    best = Path(folder) / BEST
    if progress["best_epoch"] is not None and best.exists():
        own = _own_arrays(trainer)
        trainer.best_tensors = {n: v for n, v in model_file.read(best).tensors.items() if n not in own}
    trainer.epoch, trainer.run.steps = progress["epoch"], progress["steps"]
    trainer.best_loss = math.inf if progress["best_loss"] is None else progress["best_loss"]
    trainer.best_epoch, trainer.waited, trainer.stop = progress["best_epoch"], progress["waited"], progress["stopped"]
    trainer.history.rows = [{k: _number(v) for k, v in row} for row in progress["history"]]
    for row in trainer.history:
        trainer.observe(row)


def _assign(trainer, header, path):
    expected = {name: (array.shape, array.dtype) for name, array in model_tensors(trainer.model)}
    own = _own_arrays(trainer)
    expected |= {name: (array.shape, array.dtype) for name, array in own.items()}
    model_file.match(expected, header.tensors, path)
    tensors = header.load()
    assign_tensors(trainer.model, tensors)
    for name, array in own.items():
        array[...] = tensors[name]


def _own_arrays(trainer):
    """{name: array} of what the training itself keeps: the optimizer's memory, the running mean of the weights."""
    kept = {_MEMORY + name: array for name, array in trainer.run.named_memory()}
    if trainer.mean is not None:
        kept |= {_MEAN + name: array for name, array in trainer.mean.named()}
    return kept


def _plain(value):
    """A number as JSON can hold it: it has no NaN or infinity."""
    return value if isinstance(value, int) or math.isfinite(value) else repr(float(value))


def _number(value):
    return float(value) if isinstance(value, str) else value


def copy_tensors(model):
    """A copy of all of a model's tensors by name."""
    return {name: np.array(array) for name, array in model_tensors(model)}
