"""The training loop: forward, loss, backward, update, and what keeps it honest."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from plugrad import checkpoint as checkpoints
from plugrad.average import WeightAverage
from plugrad.callbacks import Callback, Progress
from plugrad.diverged import explain
from plugrad.errors import InputError
from plugrad.groups import Group, as_groups, assign
from plugrad.history import History
from plugrad.layer import Layer
from plugrad.loss import Loss
from plugrad.mode import total_loss, training
from plugrad.optimizer import Optimizer, OptimizerRun
from plugrad.parameters import ParameterStore
from plugrad.plugins import registry
from plugrad.saved_model import model_tensors
from plugrad.schedule import Schedule
from plugrad.tensor import Tensor
from plugrad.train_input import check_settings, split_rows, take_rows

# The norm of the gradient is taken at this many steps of an epoch; at each one it would be a twentieth of the time.
NORMS_PER_EPOCH = 20


@dataclasses.dataclass
class Trainer:
    """Trains a model by gradient descent; `fit` gives the History.

    model: a Layer, initialised or not. loss, optimizer, schedule: objects, registered names, or {"name": ..., fields}.
    epochs: passes over the training rows. batch_size: rows a step; 1 for single samples, None for the full batch.
    validation: the share of rows held out at random (by scikit-learn's train_test_split), or (x, y), or 0 for none.
    patience: stop after this many epochs without a validation loss better by `min_delta`; None: never. With validation,
        the model ends with the weights of its best epoch, whatever ended the training.
    clip_norm, clip_value: limits on the norm of all gradients together, and on each gradient.
    l1, l2: penalties l1 * sum|w| + l2/2 * sum(w**2), on the parameters that decay; decoupled decay is the optimizer's.
    groups: Groups, or mappings of their fields, for parameters that are trained otherwise or not at all, for instance
        {"match": "layers.0.*", "learning_rate_factor": 0.1}; a parameter belongs to the first that matches its path.
    average: a decay such as 0.999 makes the model that is validated, kept as best and left at the end one with the
        running mean of the weights (see WeightAverage); training goes on with the weights themselves.
    metrics: name -> function(prediction, target) -> number, over NumPy arrays.
    checkpoint: a folder that gets `last` and `best` after each epoch, from which fit(resume=True) goes on bit-equal.
    seed: decides initial weights, split, order and dropout. progress: None shows it where standard error is a terminal.
    """

    model: Layer
    loss: Loss | str | dict = "MSE"
    optimizer: Optimizer | str | dict = "Adam"
    schedule: Schedule | str | dict | None = None
    epochs: int = 20
    batch_size: int | None = 32
    validation: float | tuple = 0.0
    patience: int | None = None
    min_delta: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    groups: list[Group | dict] = dataclasses.field(default_factory=list)
    average: float | None = None
    shuffle: bool = True
    seed: int = 0
    metrics: dict[str, Callable] = dataclasses.field(default_factory=dict)
    callbacks: list[Callback] = dataclasses.field(default_factory=list)
    checkpoint: str | Path | None = None
    progress: bool | None = None

    def __post_init__(self):
        names = registry()
        self.loss = names.create("losses", self.loss)
        self.optimizer = names.create("optimizers", self.optimizer)
        self.schedule = None if self.schedule is None else names.create("schedules", self.schedule)
        self.groups = as_groups(self.groups)
        check_settings(self)
        self.stop = False

    def fit(self, x, y=None, resume=False):
        """Train on inputs x (rows, ...) and targets y (rows, ...); without y the inputs are the targets.

        resume: go on from the checkpoint `last`, if there is one. Returns the History. Raises DivergedError when the
        loss is no longer finite, InputError for data that cannot be used.
        """
        x = np.asarray(x)
        y = x if y is None else np.asarray(y)
        if len(x) != len(y) or not len(x):
            raise InputError(
                f"expected as many targets as inputs, at least one; got {len(x)} inputs and {len(y)} targets"
            )
        self._start(x, y)
        if resume and self.checkpoint and (Path(self.checkpoint) / checkpoints.LAST).exists():
            checkpoints.load_checkpoint(self.checkpoint, self)
        callbacks = [*self.callbacks, *([Progress()] if self.progress is not False else [])]
        for callback in callbacks:
            callback.on_train_start(self)
        try:
            while self.epoch < self.epochs and not self.stop:
                self._epoch(callbacks)
        finally:
            if self.best_tensors is not None:
                checkpoints.assign_tensors(self.model, self.best_tensors)
            elif self.mean is not None:
                self.mean.swap()
            if self.model.store.grouped:
                self.model.gather()  # whoever trains it next trains all of it
            self.history.best_epoch = self.best_epoch
            for callback in callbacks:
                callback.on_train_end(self)
        return self.history

    def settings(self):
        """What decides the course of a training besides model and data; a resumed one must have the same."""
        names = ("batch_size", "patience", "min_delta", "clip_norm", "clip_value", "l1", "l2")
        names += ("average", "shuffle", "seed")
        parts = {"loss": self.loss, "optimizer": self.optimizer, "schedule": self.schedule, "groups": self.groups}
        described = {k: None if v is None else getattr(v, "__qualname__", repr(v)) for k, v in parts.items()}
        if self.schedule is not None:
            described["epochs"] = self.epochs  # a schedule may depend on the planned number of steps
        return {**{name: getattr(self, name) for name in names}, **described, "rows": len(self.x)}

    def _start(self, x, y):
        """Split the rows, build the model, and set every counter to its beginning."""
        self.x, self.y, self.held_x, self.held_y = split_rows(x, y, self.validation, self.seed)
        if not self.model._built:
            self.model.initialize(
                self.x.shape[1:], seed=self.seed, sample=self.x[:2] if self.x.dtype.kind in "iu" else None
            )
        if self.groups or self.model.store.grouped:
            named = (p for _, p in self.model.named_parameters())
            self.model.store = ParameterStore(named, assign(self.groups, self.model))
        dtype = self.model.store.values.dtype
        if self.x.dtype.kind == "f":
            self.x, self.held_x = (None if a is None else np.ascontiguousarray(a, dtype) for a in (self.x, self.held_x))
        if self.y.dtype.kind == "f":
            self.y, self.held_y = (None if a is None else np.ascontiguousarray(a, dtype) for a in (self.y, self.held_y))
        self.rows_per_step = min(self.batch_size or len(self.x), len(self.x))
        self.steps_per_epoch = -(-len(self.x) // self.rows_per_step)
        self.run = OptimizerRun(self.optimizer, self.model.store)
        self.mean = None if self.average is None else WeightAverage(self.model, self.average)
        self.penalized = bool(self.l1 or self.l2 or any(group.l1 or group.l2 for group in self.groups))
        if isinstance(self.schedule, Schedule):
            self.schedule.begin()
        self.history = History()
        self.epoch, self.first_step, self.waited, self.stop = 0, 0, 0, False
        self.best_loss, self.best_epoch, self.best_tensors = math.inf, None, None

    def _epoch(self, callbacks):
        """One pass over the training rows, its validation, its row in the history, its checkpoint."""
        began, self.first_step = time.perf_counter(), self.run.steps
        order = np.arange(len(self.x))
        if self.shuffle:
            order = np.random.Generator(np.random.Philox([self.seed, self.epoch])).permutation(order)
        total, norms = 0.0, []
        for start in range(0, len(order), self.rows_per_step):
            rows = order[start : start + self.rows_per_step]
            loss = self._step(take_rows(self.x, rows), take_rows(self.y, rows), norms)
            total += loss * len(rows)
            for callback in callbacks:
                callback.on_step_end(self, self.run.steps, loss)
        self.epoch += 1
        row = {"epoch": self.epoch, "step": self.run.steps, "loss": total / len(order)}
        with self._shown():
            row |= self._validate()
        row |= {"gradient_norm": sum(norms) / len(norms), "rate": self._rate(self.run.steps - 1)}
        row["seconds"] = time.perf_counter() - began
        for callback in callbacks:
            callback.on_epoch_end(self, row)
        self.history.rows.append(row)
        self.observe(row)
        self._keep_best(row)

    def observe(self, row):
        """Show a row of the history to the schedule, unless it is a mere function; resuming shows those of before."""
        if isinstance(self.schedule, Schedule):
            self.schedule.observe(row["epoch"], row.get("validation_loss", row["loss"]))

    def _step(self, x, y, norms):
        """Forward, loss, backward, update on one batch; the loss as a float."""
        store, step = self.model.store, self.run.steps
        store.zero_grad()
        with training(self.seed, step):
            loss = total_loss(self.loss(self.model(x), y))
        value = loss.item()
        if not math.isfinite(value):
            raise explain(self, x, y, step, value)
        loss.backward()
        store.complete_gradients()
        if self.penalized:
            store.penalize(self.l1, self.l2)
        if self.clip_value is not None:
            store.clip_value(self.clip_value)
        if self.clip_norm is not None:
            norms.append(store.clip_norm(self.clip_norm))
        elif step % max(1, self.steps_per_epoch // NORMS_PER_EPOCH) == 0 or not norms:
            norms.append(store.gradient_norm())
        self.run.step(self._rate(step))
        if self.mean is not None:
            self.mean.update(self.run.steps)
        return value

    def _rate(self, step):
        rate = self.optimizer.learning_rate
        return rate if self.schedule is None else rate * self.schedule(step, self.epochs * self.steps_per_epoch)

    def _shown(self):
        """A context in which the model has the weights that count: their running mean, if there is one."""
        return contextlib.nullcontext() if self.mean is None else self.mean.applied()

    def _validate(self):
        """Validation loss, and all metrics on held-out and on as many training rows."""
        found = {}
        if self.held_x is not None:
            prediction = self.model.predict(self.held_x)
            found["validation_loss"] = float(self.loss(Tensor(prediction), self.held_y).item())
            for name, metric in self.metrics.items():
                found[f"validation_{name}"] = float(metric(prediction, self.held_y))
        if self.metrics:
            count = len(self.x) if self.held_x is None else min(len(self.x), max(len(self.held_x), 1000))
            prediction = self.model.predict(self.x[:count])
            for name, metric in self.metrics.items():
                found[name] = float(metric(prediction, self.y[:count]))
        return found

    def _keep_best(self, row):
        """Remember the best weights, decide whether to stop, write the checkpoints."""
        monitored = row.get("validation_loss")
        better = monitored is not None and monitored < self.best_loss - (self.min_delta if self.best_epoch else 0)
        if better:
            self.best_loss, self.best_epoch, self.waited = monitored, self.epoch, 0
            with self._shown():
                self.best_tensors = checkpoints.copy_tensors(self.model)
        elif monitored is not None:
            self.waited += 1
            self.stop = self.stop or (self.patience is not None and self.waited >= self.patience)
        if self.checkpoint is not None:
            if better:
                checkpoints.save_checkpoint(self.checkpoint, checkpoints.BEST, self, self.best_tensors)
            checkpoints.save_checkpoint(self.checkpoint, checkpoints.LAST, self, dict(model_tensors(self.model)))
