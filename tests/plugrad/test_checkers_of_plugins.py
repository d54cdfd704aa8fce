"""The checkers of what trains, and of whole plugins: each must fail on what it is there to find."""

import types
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from test_checkers import ForgetsField, Scale, WrongGradient, fails, made

import plugrad as pg
from plugrad import testing

# Losses, optimizers, initializers, schedules


def losses():
    square = made(lambda p, t: (np.mean((p - t) ** 2), (lambda g: g * (p - t) * 2 / p.size,)))
    wrong = made(lambda p, t: (np.mean((p - t) ** 2), (lambda g: g * (p - t) / p.size,)))
    wide = made(lambda p, t: (np.mean((p - t) ** 2, dtype=np.float64), (lambda g: g * (p - t) * 2 / p.size,)))
    return [
        (square, None),
        (wrong, "differences give"),
        (wide, "for a prediction in float32 it is float64"),
        (lambda p, t: p - t, "one element"),
        (lambda p, t: pg.sum(p - t) * np.inf, "of finite input"),
        (lambda p, t: np.mean(p.data - t), "one element"),
    ]


@pytest.mark.parametrize("number", range(6))
def test_check_loss(number):
    loss, match = losses()[number]
    p, t = np.random.default_rng(0).normal(size=(2, 3, 4))
    if match is None:
        testing.check_loss(loss, p, t)
    else:
        with fails(match):
            testing.check_loss(loss, p, t)


@dataclass
class Plain(pg.Optimizer):
    """Right: momentum in NumPy."""

    memory: ClassVar = ("velocity",)

    def update(self, values, gradients, memory, rate, step):
        memory[0][:] = memory[0] * values.dtype.type(0.5) + gradients
        values -= values.dtype.type(rate) * memory[0]


class Returns(Plain):
    def update(self, values, gradients, memory, rate, step):
        return values - rate * gradients


class Ascends(Plain):
    def update(self, values, gradients, memory, rate, step):
        super().update(values, -gradients, memory, rate, step)


class ChangesGradients(Plain):
    def update(self, values, gradients, memory, rate, step):
        super().update(values, gradients, memory, rate, step)
        gradients *= 2


class WritesPadding(Plain):
    def update(self, values, gradients, memory, rate, step):
        super().update(values, gradients, memory, rate, step)
        values += values.dtype.type(rate * 1e-6)


class NotFinite(Plain):
    def update(self, values, gradients, memory, rate, step):
        memory[0][:] += gradients * gradients
        with np.errstate(all="ignore"):
            values -= values.dtype.type(rate) * gradients / np.sqrt(memory[0])


class IgnoresRate(Plain):
    def update(self, values, gradients, memory, rate, step):
        super().update(values, gradients, memory, 0.01, step)


class HidesMemory(Plain):
    memory: ClassVar = ()
    hidden = None

    def update(self, values, gradients, memory, rate, step):
        if self.hidden is None:
            self.hidden = np.zeros_like(values)
        super().update(values, gradients, (self.hidden,), rate, step)


class NeverUses(Plain):
    memory: ClassVar = ("velocity", "nothing")


class WrongNames(Plain):
    memory: ClassVar = ["velocity"]


class OnThreads(Plain):
    def update(self, values, gradients, memory, rate, step):
        super().update(values, gradients, memory, rate * (1 + 0.001 * pg.get_threads()), step)


class Coarse(Plain):
    def update(self, values, gradients, memory, rate, step):
        super().update(values, gradients, memory, rate * (1.01 if values.dtype == np.float32 else 1), step)


class WholeVector(Plain):
    def update(self, values, gradients, memory, rate, step):
        size = gradients.dtype.type(np.sqrt(np.mean(gradients**2)) + 1e-12)
        super().update(values, gradients / size, memory, rate, step)


class CountsCalls(Plain):
    calls = 0

    def update(self, values, gradients, memory, rate, step):
        self.calls += 1
        super().update(values, gradients, memory, rate if self.calls == step else rate / 2, step)


class MovesAll(Plain):
    def finish(self, values, memory, step):
        if values.size == 21:  # the whole of the checker's table
            values[-3:] *= values.dtype.type(0.9)


def test_check_optimizer_passes():
    testing.check_optimizer(Plain())


@pytest.mark.parametrize(
    ("optimizer", "match"),
    [
        (Returns, "did not change the values in place"), (Ascends, "a quadratic went from|diverges"),
        (ChangesGradients, "changed the gradients"), (WritesPadding, "zeros between parameters"),
        (NotFinite, "zeros between parameters"), (IgnoresRate, "rate of 0"), (HidesMemory, "memory"),
        (NeverUses, "'nothing'"),
        (WrongNames, "tuple of different names"), (OnThreads, "2 threads"), (Coarse, "float32"),
        (WholeVector, "in two stretches"), (CountsCalls, "resumed from"), (MovesAll, "that no step used"),
    ],
)  # fmt: skip
def test_check_optimizer_fails(optimizer, match):
    with fails(match):
        testing.check_optimizer(optimizer())


@pytest.mark.parametrize(
    ("draw", "match"),
    [
        (lambda shape, rng: rng.normal(size=shape), None),
        (lambda shape, rng: np.ones(shape), None),
        (lambda shape, rng: np.random.normal(size=shape), "two draws with one seed"),
        (lambda shape, rng: np.arange(np.prod(shape), dtype=float).reshape(shape), "does not draw"),
        (lambda shape, rng: rng.normal(size=shape).T, "it made"),
        (lambda shape, rng: np.full(shape, np.nan), "not finite"),
        (lambda shape, rng: rng.integers(0, 5, size=shape), "array of floats"),
    ],
)
def test_check_initializer(draw, match):
    if match is None:
        testing.check_initializer(draw)
    else:
        with fails(match):
            testing.check_initializer(draw)


class Remembers(pg.Schedule):
    """Never forgets a loss."""

    now = 1.0

    def observe(self, epoch, loss):
        self.now *= 0.9

    def __call__(self, step, steps):
        return self.now


class Drifts(Remembers):
    """Forgets, but counts how often."""

    begun = 0

    def begin(self):
        self.begun, self.now = self.begun + 1, 1.0

    def observe(self, epoch, loss):
        self.now *= 1 - 0.01 * self.begun


def counting():
    calls = []
    return lambda step, steps: float(calls.append(step) or len(calls))


@pytest.mark.parametrize(
    ("schedule", "match"),
    [
        (lambda step, steps: 1 / (1 + step), None),
        (counting(), "asked for before"),
        (lambda step, steps: 1.0 - step, "number >= 0"),
        (lambda step, steps: float("nan"), "number >= 0"),
        (lambda step, steps: "1", "number >= 0"),
        (lambda step, steps: 0.0, "all have the factor 0"),
        (Remembers(), r"begin\(\) does not forget"),
        (Drifts(), "other factors the second time"),
    ],
)
def test_check_schedule(schedule, match):
    if match is None:
        testing.check_schedule(schedule)
    else:
        with fails(match):
            testing.check_schedule(schedule)


# check_plugin


def plugin(**hooks):
    """A plugin object whose hooks return the given mappings."""
    return types.SimpleNamespace(**{name: pg.hookimpl(_returning(name, value)) for name, value in hooks.items()})


def _returning(name, value):
    def hook():
        return value

    hook.__name__ = name
    return hook


@dataclass
class NeedsUnits(pg.Layer):
    units: int


@dataclass
class WithBatch(Scale):
    @classmethod
    def example(cls):
        return cls(), np.random.default_rng(0).normal(size=(2, 3))


@dataclass
class BadExample(Scale):
    @classmethod
    def example(cls):
        return cls()


def test_check_plugin_of_an_object():
    checked = testing.check_plugin(
        plugin(
            register_layers={"x.Scale": Scale, "x.WithBatch": WithBatch},
            register_optimizers={"x.Plain": Plain},
        )
    )
    assert checked == ["x.Scale", "x.WithBatch", "x.Plain"]


@pytest.mark.parametrize(
    ("hooks", "match"),
    [
        ({"register_layers": {"x.Wrong": WrongGradient}}, "^x.Wrong: .*differences give"),
        ({"register_layers": {"x.NeedsUnits": NeedsUnits}}, "it needs units: give the class a classmethod example"),
        ({"register_layers": {"x.BadExample": BadExample}}, "must give"),
        ({"register_layers": {"Scale": Scale}}, "package.Name"),
        ({"register_layers": {"x.Forgets": ForgetsField}}, "comes back as"),
        ({"register_optimizers": {"x.Ascends": Ascends}}, "^x.Ascends: "),
        ({"register_layerz": {}}, "unknown hook 'register_layerz'"),
        ({"register_layers": [Scale]}, "a mapping of names was expected"),
    ],
)
def test_check_plugin_fails(hooks, match):
    with fails(match):
        testing.check_plugin(plugin(**hooks))


def test_check_plugin_by_name():
    assert "MSE" in testing.check_plugin("losses")
    with fails("no installed plugin or distribution 'lossez'; plugins: .*losses"):
        testing.check_plugin("lossez")


def test_check_plugin_of_a_module():
    import plugrad_losses

    assert set(testing.check_plugin(plugrad_losses)) == set(plugrad_losses.register_losses())
