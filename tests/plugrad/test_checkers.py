"""The checkers themselves: each must fail on what it is there to find."""

import os
import types
from dataclasses import dataclass

import numpy as np
import pytest

import plugrad as pg
from plugrad import testing
from plugrad.errors import PlugradError


def made(function, example=lambda rng: (rng.normal(size=(3, 4)),)):
    """An op that does not stay in the table of all ops."""
    made = pg.op(function, example=example, name="checked")
    pg.OPS.pop("checked")
    return made


def fails(match):
    return pytest.raises(AssertionError, match=match)


# check_gradient


def test_check_gradient_passes_and_fails():
    x = np.random.default_rng(0).normal(size=(2, 3))
    testing.check_gradient(pg.exp, x)
    testing.check_gradient(pg.multiply, x, x + 1)
    wrong = made(lambda x: (x * x, (lambda g: g * x,)))
    with fails(r"argument 0 at \(0, 0\) is .*, differences give"):
        testing.check_gradient(lambda x: wrong(x), x)


def test_check_gradient_finds_one_wrong_element_and_names_it():
    def one_off(x):
        factor = np.full(x.shape, 2.0)
        factor[1, 2] = 2.001
        return x * 2.0, (lambda g: g * factor,)

    with fails(r"argument 0 at \(1, 2\)"):
        testing.check_gradient(made(one_off), np.ones((2, 3)))


def test_check_gradient_of_chosen_arguments():
    wrong = made(lambda x, y: (x * y, (lambda g: g * y, lambda g: g * 0)))
    x = np.ones(3)
    testing.check_gradient(wrong, x, x + 1, argument=0)
    with fails("argument 1"):
        testing.check_gradient(wrong, x, x + 1)
    with fails("argument 1"):
        testing.check_gradient(wrong, x, x + 1, argument=(0, 1))


def test_check_gradient_needs_float64():
    with pytest.raises(PlugradError, match="argument 0 must be an array of float64, got float32"):
        testing.check_gradient(pg.exp, np.ones(3, np.float32))
    with pytest.raises(PlugradError, match="no array of floats"):
        testing.check_gradient(pg.exp, 1.0)


def test_check_gradient_of_a_small_gradient():
    scale = 1e-7
    testing.check_gradient(lambda x: pg.sum(x * scale), np.ones(4))
    wrong = made(lambda x: (x * scale, (lambda g: g * scale * 1.1,)))
    with fails("argument 0"):
        testing.check_gradient(wrong, np.ones(4))


# check_op


def test_check_op_passes():
    testing.check_op(made(lambda x: (x * x, (lambda g: 2 * g * x,))))


def writes_forward(x):
    x += 1
    return x * 2, (lambda g: g * 2,)


def writes_its_gradient(x):
    def back(g):
        g *= 2
        return g

    return x * 2, (back,)


def writes_its_saved_input(x):
    def back(g):
        x[...] = 0
        return g * 2

    return x * 2, (back,)


def good_for_one_backward(x):
    saved = [x.copy()]
    return x * x, (lambda g: 2 * g * (saved.pop() if saved else np.zeros_like(x)),)


def in_float64(x):
    return x * np.float64(2), (lambda g: g * 2,)


def wrong_only_in_float32(x):
    factor = x.dtype.type(2 if x.dtype == np.float64 else 2.01)
    return x * x.dtype.type(2), (lambda g: g * factor,)


def gradient_in_float64(x):
    return x * x.dtype.type(2), (lambda g: g.astype(np.float64) * 2,)


def of_memory_order(x):
    flat = x.ravel(order="K")
    return flat.reshape(x.shape) * 2, (lambda g: (g.ravel(order="K") * 2).reshape(x.shape),)


def of_gradient_order(x):
    return x * 2, (lambda g: (g.ravel(order="K") * 2).reshape(x.shape),)


def crashes_when_empty(x):
    return x * (2 + 0 * (1 // len(x))), (lambda g: g * 2,)


def crashes_backward_when_empty(x):
    def back(g):
        1 // len(x)
        return g * 2

    return x * 2, (back,)


def writes_the_same_gradient(x):
    def back(g):
        g[...] = g
        return g * 2

    return x * 2, (back,)


def writes_the_same(x):
    x[...] = x
    return x * 2, (lambda g: g * 2,)


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda x: (x * x, (lambda g: g * x,)), "differences give"),
        (writes_forward, "forward wrote into argument 0"),
        (writes_its_gradient, "wrote into the gradient it was given"),
        (writes_its_saved_input, "backward wrote into argument 0"),
        (good_for_one_backward, "at a second backward"),
        (in_float64, "float32 in, float64 out"),
        (wrong_only_in_float32, "gradient of argument 0 in float32"),
        (of_memory_order, "transposed inputs"),
        (of_gradient_order, "transposed gradient"),
        (crashes_when_empty, "no rows: ZeroDivisionError"),
        (crashes_backward_when_empty, "backward with no rows: ZeroDivisionError"),
        (writes_the_same, "read-only inputs: ValueError"),
        (writes_the_same_gradient, "ValueError: assignment destination is read-only"),
        (lambda x: (x * 2, (lambda g: (g * 2)[:1],)), "ShapeError: .* came back for an input of shape"),
    ],
)
def test_check_op_fails(function, match):
    with fails(match):
        testing.check_op(made(function))


def test_check_op_needs_an_example():
    op = pg.op(lambda x: (x, (lambda g: g,)), name="checked")
    pg.OPS.pop("checked")
    with fails("no example"):
        testing.check_op(op)


def test_check_op_tries_every_example():
    op = pg.op(
        lambda x, twice=False: (x * 2 if twice else x, (lambda g: g,)), name="checked",
        examples=(lambda rng: (rng.normal(size=3),), lambda rng: (rng.normal(size=3), {"twice": True})),
    )  # fmt: skip
    pg.OPS.pop("checked")
    with fails("example 1"):
        testing.check_op(op)


# check_layer


@dataclass
class Scale(pg.Layer):
    """A layer that does everything right."""

    factor: float = 2.0

    def build(self, input_shape, rng):
        self.weight = pg.Parameter(rng.normal(size=input_shape[-1]))

    def forward(self, x):
        return x * self.weight * self.factor


def test_check_layer_passes_and_changes_nothing():
    layer = Scale()
    testing.check_layer(layer, (4,))
    assert vars(layer) == {"factor": 2.0}
    testing.check_layer(layer, sample=np.random.default_rng(0).normal(size=(2, 3, 4)))


class WrongGradient(Scale):
    def forward(self, x):
        return made(lambda x, w: (x * w, (lambda g: g * w, lambda g: g * x * 1.01)))(x, self.weight)


class WrongInTraining(Scale):
    def forward(self, x):
        slope = 1.01 if pg.is_training() else 1.0
        return made(lambda x, w: (x * w, (lambda g: g * w * slope, lambda g: g * x)))(x, self.weight)


class WritesInput(Scale):
    def forward(self, x):
        x.data[...] = np.abs(x.data)
        return x * self.weight


class InFloat64(Scale):
    def forward(self, x):
        return x * self.weight * np.float64(3)


class InexactInFloat32(Scale):
    def forward(self, x):
        return x * self.weight * (1.0 if x.dtype == np.float64 else 1.01)


class MixesSamples(Scale):
    def forward(self, x):
        return x * self.weight - pg.mean(x, axis=0, keepdims=True)


class NotForOne(Scale):
    def forward(self, x):
        return pg.squeeze(x * self.weight)


class Random(Scale):
    def forward(self, x):
        return x * self.weight * (1 + (1e-6 * np.random.random() if x.dtype == np.float32 else 0.0))


@dataclass
class ForgetsField(Scale):
    def __post_init__(self):
        self.factor = self.factor * 2


class ChangesField(Scale):
    def build(self, input_shape, rng):
        super().build(input_shape, rng)
        self.factor = float(self.factor + 1)


class UnusedParameter(Scale):
    def build(self, input_shape, rng):
        super().build(input_shape, rng)
        self.other = pg.Parameter(np.ones(3))


class NoTensor(Scale):
    def forward(self, x):
        return x.data


class DropsAll(Scale):
    def forward(self, x):
        return x * self.weight * 0


class WrongPenalty(Scale):
    def forward(self, x):
        pg.add_loss(pg.mean(self.weight * self.weight.data))  # half of the gradient is missing
        return x * self.weight


class Threaded(Scale):
    def forward(self, x):
        return x * self.weight * (1 + 0.001 * pg.get_threads())


@pytest.mark.parametrize(
    ("layer", "match"),
    [
        (WrongGradient, "gradient of weight .* differences give"),
        (WrongInTraining, "in training: the gradient of the input"),
        (WritesInput, "wrote into its input"),
        (InFloat64, "for a float32 input it is float64"),
        (InexactInFloat32, "output in float32"),
        (MixesSamples, "alone, beside the same in a batch"),
        (NotForOne, "alone, beside the same in a batch"),
        (Random, "bits differ"),
        (ForgetsField, "made again"),
        (ChangesField, "changes its fields"),
        (UnusedParameter, "other got no gradient"),
        (NoTensor, "must return a Tensor"),
        (WrongPenalty, "in training: the gradient of weight"),
        (DropsAll, "in 20 steps the loss"),
    ],
)
def test_check_layer_fails(layer, match):
    with fails(match):
        testing.check_layer(layer(), (4,))


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_check_layer_fails_for_bits_that_depend_on_threads():
    with fails("on 2 threads"):
        testing.check_layer(Threaded(), (4,))


@pytest.fixture
def registry_of():
    """(classes) -> a Registry of the installed plugins and these layers."""

    def make(*classes):
        names = pg.Registry()

        @pg.hookimpl
        def register_layers():
            return {f"checked.{cls.__name__}": cls for cls in classes}

        names.register(types.SimpleNamespace(register_layers=register_layers), "checked")
        return names

    return make


def test_check_layer_through_a_saved_configuration(registry_of):
    names = registry_of(Scale, ForgetsField, ChangesField, Holds)
    testing.check_layer(Scale(3.0), (4,), names=names)
    with fails("comes back as"):
        testing.check_layer(ForgetsField(), (4,), names=names)
    with fails("changes its fields"):
        testing.check_layer(ChangesField(), (4,), names=names)
    with pytest.raises(PlugradError, match=r"Holds\.what holds a complex"):
        testing.check_layer(Holds(1j), (4,), names=names)


@dataclass
class Holds(pg.Layer):
    what: complex = 1j

    def forward(self, x):
        return x


def test_check_layer_needs_a_dataclass():
    class Plain(pg.Layer):
        def forward(self, x):
            return x * 2

    with fails("not a dataclass"):
        testing.check_layer(Plain(), (4,))
