"""Checks of a layer beyond its numbers: its outputs' memory, sizes of batches, masks, and what is saved of it."""

import contextlib
import copy
import dataclasses
import inspect

import numpy as np

from plugrad.errors import PlugradError
from plugrad.mode import predicting, recording, training
from plugrad.saved_model import assign_tensors, model_tensors
from plugrad.tensor import Tensor
from plugrad.testing import likely
from plugrad.testing.gradient import as_float, require, require_close, require_same_bits

SIZES = (2, 5, 17, 40)
"""Numbers of samples that are tried where hypothesis is not installed; with it, those and others up to MOST_SAMPLES."""
MOST_SAMPLES, EXAMPLES = 70, 8
TRAINED_STEPS = 3


def check_outputs(case):
    """An output is no parameter's memory, and a later call does not change an earlier one's."""
    for in_training in (False, True):
        layer = case.made(np.float64)
        batch = as_float(case.sample, np.float64)
        first = case.run(layer, batch, in_training).data
        kept = np.array(first)
        other = case.run(layer, np.ascontiguousarray(batch[::-1]), in_training).data
        overwritten = (
            f"{case.where} in {'training' if in_training else 'prediction'}: its second output overwrote the first"
        )
        require_same_bits(np.asarray(first), kept, overwritten, likely.ALIAS)
        for path, p in layer.named_parameters():
            shared = np.shares_memory(other, p.data)
            require(
                not shared, f"{case.where}: its output is the memory of {path}", "return a copy of it, or use an op"
            )


def check_sizes(case):
    """In batches of many sizes a sample's output stays the same, and the gradients of parameters add up."""
    if getattr(case.layer, "mixes_samples", False):
        return
    layer = case.made(np.float64)
    whole = as_float(case.sample, np.float64)
    outputs = case.run(layer, whole, in_training=False).data
    singles = [_gradients(case, layer, whole[i : i + 1]) for i in range(len(whole))]

    def try_size(count):
        chosen = np.arange(count) * 7 % len(whole)
        batch = np.ascontiguousarray(whole[chosen])
        what = f"{case.where}: a batch of {count} samples, its output"
        require_close(case.run(layer, batch, in_training=False).data, outputs[chosen], 1e-9, what, likely.MODE)
        for path, gradient in _gradients(case, layer, batch).items():
            expected = sum(singles[i][path] for i in chosen)
            what = f"{case.where}: the gradient of {path} for a batch of {count} samples, beside the sum over them"
            require_close(gradient, np.asarray(expected), 1e-9, what, "its sum over the samples leaves some out")

    _for_sizes(try_size)


def _gradients(case, layer, batch):
    """{path: gradient} of the parameters, for the sum of the outputs, in prediction."""
    layer.store.zero_grad()
    output = case.run(layer, batch, in_training=False)
    if output.tape is not None or output.requires_grad:
        output.backward(np.ones(output.shape, output.dtype))
    return {
        path: np.zeros(p.shape, p.dtype) if p.grad is None else np.array(p.grad)
        for path, p in layer.named_parameters()
        if not p.sparse
    }


def _for_sizes(try_size):
    for count in SIZES:
        try_size(count)
    with contextlib.suppress(ImportError):
        from hypothesis import HealthCheck, given, settings
        from hypothesis import strategies as st

        quiet = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck), "derandomize": True}
        given(st.integers(1, MOST_SAMPLES))(settings(max_examples=EXAMPLES, **quiet)(try_size))()


def check_mask(case):
    """What a mask (batch, length) leaves out changes no output that it keeps, and has no gradient.

    Tried where `forward` has an argument `mask` and a sample is (length, features) or a row of whole numbers; the mask
    is 1 for what counts, and leaves out positions at the end.
    """
    of_numbers = case.sample.ndim == 2 and case.sample.dtype.kind in "iu"
    masked = "mask" in inspect.signature(type(case.layer).forward).parameters
    if not masked or not (of_numbers or case.sample.ndim == 3) or case.sample.shape[1] < 2:
        return
    batch = as_float(case.sample, np.float64)
    lengths = np.maximum(batch.shape[1] - 1 - np.arange(len(batch)) % 2, 1)
    mask = np.arange(batch.shape[1]) < lengths[:, None]
    other = batch.copy()
    other[~mask] = batch[:, ::-1][~mask] if of_numbers else batch[~mask] * 3 + 1
    by_position = _by_position(case, batch)
    for in_training in (False, True):
        layer = case.made(np.float64)
        found = [_masked(layer, x, mask, in_training, by_position) for x in (batch, other)]
        outputs, gradients = zip(*found, strict=True)
        mode = "in training" if in_training else "in prediction"
        what = f"{case.where} {mode}: its output where the mask is 1, for other values where it is 0"
        require_close(outputs[1], outputs[0], 1e-9, what, likely.MASK)
        for gradient in gradients:
            largest = 0.0 if gradient is None else float(np.abs(gradient[~mask]).max(initial=0))
            wrong = f"{case.where} {mode}: the gradient of what is masked is up to {largest:.6g}, not 0"
            require(largest == 0, wrong, likely.MASK)
    _check_cut(case, batch, by_position)


def _by_position(case, batch):
    """Whether outputs have the positions as their second axis: another axis may be as long by chance."""
    if case.run(case.made(np.float64), batch, in_training=False).shape[:2] != batch.shape[:2]:
        return False
    short = np.ascontiguousarray(batch[:, :-1])
    try:
        return case.run(case.made(np.float64), short, in_training=False).shape[:2] == short.shape[:2]
    except PlugradError:
        return True


def _check_cut(case, batch, by_position):
    """Padding that is masked gives what a batch without it gives, where the layer takes the shorter one."""
    length = batch.shape[1] - 1
    mask = np.arange(batch.shape[1]) < np.full((len(batch), 1), length)
    padded, _ = _masked(case.made(np.float64), batch, mask, False, by_position)
    short = np.ascontiguousarray(batch[:, :length])
    try:
        short, _ = _masked(case.made(np.float64), short, mask[:, :length], False, by_position)
    except PlugradError:
        return
    what = f"{case.where}: its output with one masked position at the end, beside that without the position"
    require_close(padded, short, 1e-9, what, likely.MASK)


def _masked(layer, batch, mask, in_training, by_position):
    """(the outputs that count, the gradient of the input or None)."""
    leaf = Tensor(batch, requires_grad=True) if batch.dtype.kind == "f" else batch
    with training(3, 5) if in_training else predicting(), recording():
        output = layer(leaf, Tensor(mask.astype(batch.dtype if batch.dtype.kind == "f" else np.float64)))
    kept = mask if by_position else slice(None)
    seed = np.random.default_rng(3).normal(size=output.shape)
    if by_position:
        seed[~mask] = 0
    if output.tape is not None:
        output.backward(seed)
    return np.array(output.data)[kept], leaf.grad if isinstance(leaf, Tensor) else None


def check_saved(case):
    """After some training, its parameters and states put into a fresh one make it predict the same bits."""
    trained, batch = case.made(np.float32), as_float(case.sample, np.float32)
    for _ in range(TRAINED_STEPS):
        case.run(trained, batch, in_training=True)
    again = case.made(np.float32, _fresh(case.layer))
    saved = {name: np.array(value) for name, value in model_tensors(trained)}
    assign_tensors(again, saved)
    expected = case.run(trained, batch, in_training=False).data
    got = case.run(again, batch, in_training=False).data
    what = f"{case.where}: trained, saved and loaded, its prediction"
    require_same_bits(np.asarray(got), np.asarray(expected), what, likely.STATE)


def _fresh(layer):
    """The layer as its fields make it, with layers in them likewise: nothing else of it is left."""
    made = copy.copy(layer)
    if not dataclasses.is_dataclass(layer):
        return made
    fields = {f.name: _fresh_value(getattr(layer, f.name)) for f in dataclasses.fields(layer) if f.init}
    return type(layer)(**fields)


def _fresh_value(value):
    from plugrad.layer import Layer

    if isinstance(value, Layer):
        return _fresh(value)
    if isinstance(value, list | tuple):
        return type(value)(_fresh_value(item) for item in value)
    return copy.deepcopy(value)


def check_naive(case):
    """Where a layer has a method `naive(x)`, the same by plain functions: it gives the same, in value and gradient."""
    if not hasattr(case.layer, "naive"):
        return
    layer, batch = case.made(np.float64), as_float(case.sample, np.float64)
    found = [case.results(layer, batch, False, run=run) for run in (None, layer.naive)]
    for name, array in found[0].items():
        what = f"{case.where}, {name}, beside that of its naive()"
        require_close(array, found[1][name], 1e-9, what, "the kernel or the naive form computes something else")


def speed_beside_naive(layer, sample, rows=4096, rounds=15):
    """How many times as quick as its `naive` a layer is, forth and back on so many samples; None where it has none."""
    import time

    if not hasattr(layer, "naive"):
        return None
    batch = np.resize(as_float(sample, np.float32), (rows, *sample.shape[1:]))
    made = copy.deepcopy(layer).initialize(batch.shape[1:], sample=batch)
    times = ([], [])
    for _ in range(rounds):  # in turn: what else the machine does slows both
        for seconds, run in zip(times, (made, made.naive), strict=True):
            begin = time.perf_counter()
            with training(0, 0):
                output = run(Tensor(batch, requires_grad=True))
            output.backward(np.ones(output.shape, output.dtype))
            seconds.append(time.perf_counter() - begin)
    return float(np.median(times[1]) / np.median(times[0]))


def check_shapes(case):
    """Samples of other shapes with as many axes: the layer refuses one by a ShapeError or InputError, or is right.

    In prediction, float32 gives nearly what float64 gives, in value and gradients, and a gradient has its own shape.
    """
    if case.sample.dtype.kind != "f":
        return
    axes = case.sample.ndim - 1

    def try_shape(shape):
        batch = np.random.default_rng(9).normal(size=(2, *shape))
        made = []
        for dtype in (np.float32, np.float64):
            layer = copy.deepcopy(case.layer)
            try:
                layer.initialize(shape, seed=11, dtype=dtype)
                made.append(case.results(layer, batch.astype(np.float32).astype(dtype), False))
            except PlugradError:
                return
        # A gradient may be 0 but for rounding, beside which nothing is near: the largest number of all is the measure.
        largest = max((float(np.abs(a).max(initial=0)) for a in made[1].values()), default=0.0)
        for name, array in made[0].items():
            apart = float(np.abs(array - made[1][name]).max(initial=0))
            what = f"{case.where} for samples of shape {shape}, {name} in float32 is up to {apart:.6g} off"
            require(not apart > 1e-3 * largest, what, "a size is taken for another, or a loop does not reach an end")

    for shape in ((1,) * axes, (2,) * axes, (7,) * axes, tuple(range(3, 3 + axes))):
        try_shape(shape)
    with contextlib.suppress(ImportError):
        from hypothesis import HealthCheck, given, settings
        from hypothesis import strategies as st

        quiet = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck), "derandomize": True}
        shapes = st.tuples(*[st.integers(1, 9)] * axes)
        given(shapes)(settings(max_examples=EXAMPLES, **quiet)(try_shape))()
