"""The checker of layers."""

import contextlib
import copy
import dataclasses
import json

import numpy as np

from plugrad.configuration import describe, restore
from plugrad.errors import LookupFailed
from plugrad.mode import mode, predicting, recording, training
from plugrad.ops import concat, mse, reshape
from plugrad.plugins import registry
from plugrad.tensor import Tensor
from plugrad.testing import behaviour, likely, races
from plugrad.testing.gradient import (
    as_float,
    compare_gradient,
    require,
    require_close,
    require_same_bits,
)

FLOAT32_TOLERANCE = 1e-4
TRAINING_STEPS = 20


def check_layer(layer, input_shape=None, sample=None, tolerance=1e-6, names=None):
    """Try a layer with a batch.

    - Its gradients with respect to the input and every parameter agree with differences in float64, in prediction and
      in training; float32 gives nearly the same, and float32.
    - In prediction a sample's output does not depend on the rest of the batch; batches of one and of none work.
    - Made again from its configuration (by `describe` and `restore` where all its layers are registered, else from its
      fields) it gives the same bits.
    - Two runs with one seed give the same bits, on one thread and on two, and its input is not written to; a kernel's
      `prange` gives the same bits whichever iteration comes first.
    - Outputs are arrays of their own; batches of many sizes give what their samples give; samples of other shapes are
      refused by a ShapeError or an InputError, or float32 and float64 agree on them; where `forward` takes a
      `mask`, what it leaves out changes nothing; and saved after training and loaded, it predicts the same bits.
    - If it has parameters, a loss on one batch goes down in 20 steps.

    layer: an instance, which is copied and not changed. input_shape: one sample's shape, without the batch axis.
    sample: a batch in place of random numbers, whole numbers for instance; its first axis is the batch.
    names: the Registry to look up the configuration in; None for that of the installed plugins.

    Raises AssertionError for the first of these that does not hold.
    """
    drawn = sample is None
    if drawn:
        require(input_shape is not None, "check_layer: give an input_shape or a sample")
        sample = np.random.default_rng(5).normal(size=(3, *input_shape))
    case = Case(layer, np.asarray(sample), names or registry(), drawn)
    case.check_untouched()
    case.check_repeats()  # before the gradients: differences of what is drawn anew each time say nothing
    case.check_gradients(tolerance)
    case.check_float32()
    case.check_rows()
    case.check_fields()
    case.check_configuration()
    races.check_threads(case)
    behaviour.check_naive(case)
    behaviour.check_outputs(case)
    behaviour.check_sizes(case)
    behaviour.check_shapes(case)
    behaviour.check_mask(case)
    behaviour.check_saved(case)
    case.check_trains()


class Case:
    """A layer, a batch for it, and ways to run the two together.

    drawn: whether the batch is of random numbers, so that any others will do.
    """

    def __init__(self, layer, sample, names, drawn):
        self.layer, self.sample, self.names, self.drawn = layer, sample, names, drawn
        self.where = type(layer).__name__

    def made(self, dtype, layer=None, stir=True):
        """An initialised copy; `stir` moves its parameters off their first values, which are often 0 or 1."""
        made = copy.deepcopy(self.layer if layer is None else layer)
        with _no_draws(self.where):
            made.initialize(self.sample.shape[1:], seed=11, dtype=dtype, sample=as_float(self.sample, dtype))
        rng = np.random.default_rng(13)
        for p in made.store.parameters if stir else ():
            p.data += (0.1 * rng.normal(size=p.shape)).astype(dtype)
        return made

    def large_batch(self, rows):
        """So many samples in float32: those of the batch over and over, or new ones."""
        shape = (rows, *self.sample.shape[1:])
        if self.drawn:
            return np.random.default_rng(19).normal(size=shape).astype(np.float32)
        return np.resize(as_float(self.sample, np.float32), shape)

    def run(self, layer, batch, in_training):
        """The output, recorded; in training always with the same seed and step."""
        with _no_draws(self.where), training(3, 5) if in_training else predicting(), recording():
            output = layer(batch)
        require(
            isinstance(output, Tensor),
            f"{self.where}: forward must return a Tensor, got {type(output).__name__}",
            "it uses .data or NumPy where a function of plugrad would do",
        )
        return output

    def run_with_penalty(self, layer, batch, in_training):
        """The output; where the layer adds to the loss, in one row with that behind it."""
        with training(3, 5) if in_training else predicting(), recording():
            output = layer(batch)
            penalty = mode.training.added if in_training else None
            return output if penalty is None else concat([reshape(output, (-1,)), reshape(penalty, (1,))])

    def results(self, layer, batch, in_training, run=None):
        """{name: array}: the output, and for a fixed random seed gradient those of the input and of the parameters.

        run: another function of the batch than the layer itself.
        """
        layer.store.zero_grad()
        leaf = Tensor(batch, requires_grad=True) if batch.dtype.kind == "f" else batch
        with _kept_states(layer):
            output = self.run(run or layer, leaf, in_training)
        found = {"output": np.array(output.data)}
        seed = np.random.default_rng(3).normal(size=output.shape).astype(output.dtype)
        if output.tape is not None or output.requires_grad:
            output.backward(seed)
        if isinstance(leaf, Tensor) and leaf.grad is not None:
            found["gradient of the input"] = np.array(leaf.grad)
        for path, p in layer.named_parameters():
            if p.grad is not None:
                found[f"gradient of {path}"] = np.array(p.grad)
        return found

    def check_untouched(self):
        layer = self.made(np.float64)
        for in_training in (False, True):
            batch = as_float(self.sample, np.float64)
            self.results(layer, batch, in_training)
            require_same_bits(
                batch, as_float(self.sample, np.float64), f"{self.where}: it wrote into its input", likely.WROTE
            )

    def check_gradients(self, tolerance):
        layer = self.made(np.float64)
        batch = as_float(self.sample, np.float64)
        self.run(layer, batch, in_training=True)  # moves running statistics off their first values
        leaves = [(path, p) for path, p in layer.named_parameters()]
        if batch.dtype.kind == "f":
            batch = Tensor(batch, requires_grad=True)
            leaves.insert(0, ("the input", batch))
        for in_training in (False, True):
            where = f"{self.where} in {'training' if in_training else 'prediction'}"
            with _kept_states(layer):
                if leaves:
                    compare_gradient(
                        lambda t=in_training: self.run_with_penalty(layer, batch, t), leaves, tolerance, where, False
                    )

    def check_float32(self):
        narrow, wide = self.made(np.float32), self.made(np.float64)
        for (_, p), (_, q) in zip(narrow.named_parameters(), wide.named_parameters(), strict=True):
            q.data[...] = p.data
        for (_, s), (_, t) in zip(narrow.named_states(), wide.named_states(), strict=True):
            t.value = s.value.astype(t.value.dtype)
        batch = as_float(self.sample, np.float32)
        for in_training in (False, True):
            got = self.results(narrow, batch.copy(), in_training)
            expected = self.results(wide, as_float(batch, np.float64), in_training)
            for name, array in got.items():
                what = f"{self.where}, {name} in float32"
                narrow_enough = array.dtype.kind != "f" or array.dtype == np.float32
                require(narrow_enough, f"{what}: for a float32 input it is {array.dtype}", likely.LEAK)
                require_close(array, expected[name], FLOAT32_TOLERANCE, what, likely.INEXACT)

    def check_rows(self):
        layer = self.made(np.float64)
        batch = as_float(self.sample, np.float64)
        whole = self.run(layer, batch, in_training=False).data
        require(
            whole.shape[:1] == batch.shape[:1],
            f"{self.where}: of {len(batch)} samples it makes {whole.shape}",
            "the first axis, the samples, is reshaped or summed away",
        )
        one = self.run(layer, batch[:1], in_training=False).data
        if not getattr(self.layer, "mixes_samples", False):
            what = f"{self.where}: the output for a sample alone, beside the same in a batch of {len(batch)}"
            require_close(one, whole[:1], 1e-9, what, likely.MODE)
        none = self.run(layer, batch[:0], in_training=False).data
        require(
            none.shape == (0, *whole.shape[1:]),
            f"{self.where}: of an empty batch it makes an output {none.shape}",
            likely.EMPTY,
        )
        with _kept_states(layer):
            one = self.run(layer, batch[:1], in_training=True)
        require(
            one.shape == (1, *whole.shape[1:]),
            f"{self.where}: of one sample in training it makes {one.shape}",
            "a squeeze, or a reshape, takes an axis of length 1 away",
        )

    def check_fields(self):
        """Building and running leave the fields as they were: they are what is saved."""
        require(
            dataclasses.is_dataclass(self.layer),
            f"{self.where} is not a dataclass: its fields cannot be saved",
            "@dataclass is missing above the class",
        )
        layer, batch = copy.deepcopy(self.layer), as_float(self.sample, np.float32)
        before = repr(layer)
        self.results(layer.initialize(batch.shape[1:], sample=batch), batch, in_training=True)
        changed = f"{self.where}: being used changes its fields, from {before} to {layer!r}"
        require(repr(layer) == before, changed, likely.FIELDS)

    def check_configuration(self):
        before = self._described(self.layer)
        first = self.made(np.float32)
        if before is None:
            names = [field.name for field in dataclasses.fields(self.layer) if field.init]
            again = type(self.layer)(**{name: copy.deepcopy(getattr(self.layer, name)) for name in names})
        else:
            text = json.dumps(before, allow_nan=False)
            again = restore(json.loads(text), self.names)
            now = json.dumps(self._described(again))
            require(now == text, f"{self.where}: its configuration {text} comes back as {now}", likely.FIELDS)
        second = self.made(np.float32, again)
        shapes = [[p.shape for p in made.store.parameters] for made in (first, second)]
        others = f"{self.where}: made again from its configuration, its parameters are {shapes[1]}, not {shapes[0]}"
        require(shapes[0] == shapes[1], others, likely.FIELDS)
        for in_training in (False, True):
            self._same(first, second, in_training, "made again from its configuration", likely.FIELDS)

    def _described(self, layer):
        try:
            return describe(layer, self.names)
        except LookupFailed:  # an author's test may run before anything is registered
            return None

    def _same(self, first, second, in_training, what, mistake, batch=None):
        batch = as_float(self.sample, np.float32) if batch is None else batch
        expected = self.results(first, batch.copy(), in_training)
        got = self.results(second, batch.copy(), in_training)
        require(got.keys() == expected.keys(), f"{self.where}, {what}: other parameters get a gradient", likely.FIELDS)
        for name, array in got.items():
            require_same_bits(array, expected[name], f"{self.where}, {what}, {name}", mistake)

    def check_repeats(self):
        for in_training in (False, True):
            one, two = self.made(np.float32), self.made(np.float32)
            self._same(one, two, in_training, "a second run with one seed", likely.RANDOM)
            # Of one layer too: a generator of its own begins alike in two.
            self._same(one, one, in_training, "a second run of it with one seed", likely.RANDOM)

    def check_trains(self):
        layer = self.made(np.float64, stir=False)
        if not layer.store.parameters:
            return
        batch = as_float(self.sample, np.float64)
        target = np.random.default_rng(17).normal(size=self.run(layer, batch, in_training=True).shape)

        def loss():
            return mse(self.run(layer, batch, in_training=True), target)

        rate, first = 1.0, loss().item()
        now = first
        for _ in range(TRAINING_STEPS):
            layer.store.zero_grad()
            loss().backward()
            layer.store.complete_gradients()
            before = [(p, p.data.copy(), np.asarray(p.grad)) for p in layer.store.parameters if p.grad is not None]
            # Against the gradient some step is downhill, if it is the gradient.
            while rate > 1e-9:
                for p, values, gradient in before:
                    p.data[...] = values - rate * gradient
                after = loss().item()
                if after < now:
                    now, rate = after, rate * 2
                    break
                rate /= 2
        what = f"{self.where}: in {TRAINING_STEPS} steps the loss on one batch"
        require(now < first, f"{what} went from {first:.6g} to {now:.6g}", likely.DESCENT)


@contextlib.contextmanager
def _no_draws(where):
    """A context in which a layer that draws random numbers while it predicts is told so."""
    try:
        yield
    except AttributeError as error:
        if "next_draw" not in str(error):
            raise
        checked = f"{where}: in prediction it asks for random numbers, pg.mode.training is None there"
        raise AssertionError(likely.message(checked, likely.MODE)) from error


@contextlib.contextmanager
def _kept_states(layer):
    before = [(state, state.value) for _, state in layer.named_states()]
    copies = [np.array(value) for _, value in before]
    try:
        yield
    finally:
        for (state, _), value in zip(before, copies, strict=True):
            state.value = value
