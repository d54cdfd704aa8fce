"""The learning-rate range test: which rates a model learns with, from one short run."""

import math
from dataclasses import dataclass

import numpy as np

from plugrad.errors import InputError
from plugrad.files import atomic_write
from plugrad.mode import no_grad, total_loss, training
from plugrad.optimizer import OptimizerRun
from plugrad.plugins import registry

# The smoothed loss is a running mean that keeps this share of the past.
SMOOTHING = 0.8
# The slope of the loss is looked for in windows of this share of the steps.
WINDOW = 0.15
# The run ends when the smoothed loss is above its lowest by so many times what it was at first (or has fallen by):
# larger rates can only be worse.
BLOWN_UP = 3.0


@dataclass
class RateRange:
    """What a range test found. rates: those tried; raw_losses: the loss of each step.

    losses: these smoothed, after taking out by how much each step's batch was harder than others before the first step.
    suggestion: the rate around which the loss falls most steeply over the logarithm of the rate; NaN if it never
    falls. For a schedule with a peak (OneCycle) a rate up to ten times larger may do.
    """

    rates: np.ndarray
    losses: np.ndarray
    raw_losses: np.ndarray
    suggestion: float

    def plot(self, path, title="Learning-rate range test"):
        """Draw the losses over the rate to a picture; the ending names the format, PNG if there is none."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.plot(self.rates, self.raw_losses, color="#9db8c2", linewidth=0.8, label="loss of the step")
        axes.plot(self.rates, self.losses, color="#1f6f8b", label="smoothed")
        if math.isfinite(self.suggestion):
            axes.axvline(self.suggestion, color="#d1495b", linestyle=":", label=f"steepest: {self.suggestion:.2g}")
        # A single step far beyond the others would leave them a flat line.
        lowest, highest = float(self.losses.min()), float(self.losses.max())
        margin = 0.1 * (highest - lowest) + 1e-9
        axes.set_ylim(lowest - margin, highest + margin)
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss")
        axes.set_title(title)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
        ending = str(path).rpartition(".")[2].lower()
        with atomic_write(path) as file:
            figure.savefig(file, format=ending if ending in ("png", "svg", "pdf") else "png", dpi=130)


def find_learning_rate(
    model, x, y=None, loss="MSE", optimizer="Adam", low=1e-7, high=10.0, steps=100, batch_size=32, seed=0
):
    """Train for a few steps with a rate that grows from step to step, and tell how the loss went: a RateRange.

    Smith 2017, "Cyclical learning rates for training neural networks". The weights and running statistics are put back.

    model: a Layer, initialised or not. x (rows, ...), y (rows, ...): as for Trainer.fit. loss, optimizer: objects,
    registered names, or {"name": ..., fields}. low, high: the first and the last rate; each is the one before times
    one factor. steps: at most so many; the run ends when the loss has clearly blown up. seed: decides initial weights
    and batches.

    Raises InputError for data or numbers that cannot be used.
    """
    x = np.asarray(x)
    y = x if y is None else np.asarray(y)
    _check(x, y, low, high, steps, batch_size)
    loss, optimizer = registry().create("losses", loss), registry().create("optimizers", optimizer)
    if not model._built:
        model.initialize(x.shape[1:], seed=seed, sample=x[:2] if x.dtype.kind in "iu" else None)
    dtype = model.store.values.dtype
    x, y = (np.ascontiguousarray(a, dtype) if a.dtype.kind == "f" else a for a in (x, y))
    kept = [(p, p.data.copy()) for p in model.store.parameters]
    states = [(state, np.array(state.value)) for _, state in model.named_states()]
    rates = np.geomspace(low, high, steps)
    try:
        raw, smoothed = _run(model, x, y, loss, optimizer, rates, batch_size, seed)
    finally:
        for p, values in kept:
            p.data[...] = values
        for state, value in states:
            state.value = value
        model.store.zero_grad()
    rates = rates[: len(raw)]
    return RateRange(rates, smoothed, raw, _steepest(rates, smoothed))


def _run(model, x, y, loss, optimizer, rates, batch_size, seed):
    """(losses, these freed of the differences between batches and smoothed) of the steps that were made."""
    batches = _batches(len(x), batch_size, seed)
    batches = [next(batches) for _ in rates]

    def evaluate(step):
        with training(seed, step):
            return total_loss(loss(model(x[batches[step]]), y[batches[step]]))

    with no_grad():
        before = np.array([evaluate(step).item() for step in range(len(rates))])
    if not np.isfinite(before).all():
        raise InputError("find_learning_rate: the loss is not finite before the first step; look at the data")
    run = OptimizerRun(optimizer, model.store)
    raw, smoothed, mean = [], [], 0.0
    usual = before.mean()
    for step, rate in enumerate(rates):
        model.store.zero_grad()
        value = evaluate(step)
        if not math.isfinite(value.item()):
            break
        raw.append(value.item())
        # A batch that was hard at first stays so in proportion to what is left of the loss.
        left = min(abs(smoothed[-1] / usual), 1.0) if smoothed and usual else 1.0
        freed = raw[-1] - left * (before[step] - usual)
        mean = SMOOTHING * mean + (1 - SMOOTHING) * freed
        smoothed.append(mean / (1 - SMOOTHING ** (step + 1)))
        lowest = min(smoothed)
        if smoothed[-1] - lowest > BLOWN_UP * max(abs(smoothed[0]), smoothed[0] - lowest):
            break
        value.backward()
        run.step(float(rate))
    return np.array(raw), np.array(smoothed)


def _batches(count, batch_size, seed):
    """Rows for step after step, in a new order for every pass."""
    size, epoch = min(batch_size, count), 0
    while True:
        order = np.random.Generator(np.random.Philox([seed, epoch])).permutation(count)
        for start in range(0, count - size + 1, size):
            yield order[start : start + size]
        epoch += 1


def _steepest(rates, losses):
    """The rate around which the loss falls most steeply.

    Only what goes below all before counts: coming back from a step that was too long is steep as well. The slope is
    that of a line through a window of steps: between two steps it would be the batches'.
    """
    lowest = np.minimum.accumulate(losses)
    width = max(3, round(len(losses) * WINDOW))
    if len(losses) < width:
        return math.nan
    x = np.log(rates[:width])
    x -= x.mean()  # the steps are evenly spaced in it, so every window has the same
    slopes = np.lib.stride_tricks.sliding_window_view(lowest, width) @ x
    place = int(np.argmin(slopes))
    return float(math.sqrt(rates[place] * rates[place + width - 1])) if slopes[place] < 0 else math.nan


def _check(x, y, low, high, steps, batch_size):
    if len(x) != len(y) or not len(x):
        raise InputError(f"expected as many targets as inputs, at least one; got {len(x)} inputs and {len(y)} targets")
    if not (math.isfinite(low) and math.isfinite(high) and 0 < low < high):
        raise InputError(f"find_learning_rate: expected 0 < low < high, got {low!r} and {high!r}")
    for name, value, least in (("steps", steps, 2), ("batch_size", batch_size, 1)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InputError(f"find_learning_rate: {name} must be a whole number from {least}, got {value!r}")
