"""The conformance kit finds what authors get wrong, and says so."""

import importlib.metadata
import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from planted_mistakes import MISTAKES, RIGHT

import plugrad as pg
from plugrad import testing


def plugin_with(cls):
    """A plugin that registers one layer."""

    def register_layers():
        return {f"planted.{cls.__name__}": cls}

    return SimpleNamespace(register_layers=pg.hookimpl(register_layers), __name__=f"plugin_{cls.__name__}")


@pytest.mark.parametrize("cls", RIGHT, ids=lambda cls: cls.__name__)
def test_what_is_right_passes(cls):
    assert testing.check_plugin(plugin_with(cls)) == [f"planted.{cls.__name__}"]


@pytest.mark.parametrize("cls", MISTAKES, ids=lambda cls: cls.__name__)
def test_a_mistake_is_caught_and_named(cls):
    checked, mistake = MISTAKES[cls]
    with pytest.raises(AssertionError) as caught:
        testing.check_plugin(plugin_with(cls))
    text = str(caught.value)
    assert text.startswith(f"planted.{cls.__name__}: ")
    assert checked in text
    assert mistake in text
    assert "\n" not in text


FIXTURE = """
from dataclasses import dataclass
import plugrad as pg

@dataclass
class Wrong(pg.Layer):
    def forward(self, x):
        x.data[...] = 0
        return x * 2

def test_layer(plugrad_conformance):
    plugrad_conformance(Wrong)

@dataclass
class Raises(pg.Layer):
    def forward(self, x):
        raise ValueError("no such thing")

def test_raises(plugrad_conformance):
    plugrad_conformance(Raises)

def test_instance(plugrad_conformance):
    plugrad_conformance(pg.registry().get("losses", "Huber")(delta=0.5))
"""


def test_the_fixture_says_it_without_our_traceback(tmp_path):
    (tmp_path / "test_wrong.py").write_text(FIXTURE)
    found = any(p.name == "plugrad" for p in importlib.metadata.entry_points(group="pytest11"))
    by_hand = [] if found else ["-p", "plugrad_pytest"]
    command = [sys.executable, "-m", "pytest", "-q", *by_hand, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "2 failed, 1 passed" in done.stdout
    assert "Raises: ValueError: no such thing" in done.stdout
    assert "Wrong: it wrote into its input" in done.stdout
    assert "Likely: it works in place" in done.stdout
    assert "testing/layer.py" not in done.stdout


@dataclass
class Weighted(pg.Loss):
    """Cross-entropy, each sample times its class's weight."""

    class_weights: list | None = None

    def __call__(self, prediction, target):
        return pg.cross_entropy(prediction, target, weight=self.class_weights)


class WeightsForgotten(Weighted):
    def __call__(self, prediction, target):
        return pg.cross_entropy(prediction, target)


class WeightsNotDivided(Weighted):
    def __call__(self, prediction, target):
        weights = np.ones(3) if self.class_weights is None else np.array(self.class_weights) * 2.0
        taken = weights[target].astype(prediction.dtype)
        return pg.mean(pg.cross_entropy(prediction, target, reduction="none") * taken)


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (WeightsForgotten, "the gradient of a class whose weight is 0 is up to 0."),
        (WeightsNotDivided, "without class_weights it is "),
    ],
)
def test_weights_of_classes(loss, said):
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(6, 3)), np.array([0, 1, 2, 2, 1, 0])
    testing.check_loss(Weighted(), prediction, target)
    with pytest.raises(AssertionError, match=r"Likely: the weights are left out") as caught:
        testing.check_loss(loss(), prediction, target)
    assert said in str(caught.value)


@dataclass
class SumCalledMean(pg.Loss):
    """A sum that does not say so."""

    def __call__(self, prediction, target):
        return pg.sum((prediction - target) ** 2)


@dataclass
class Negative(pg.Loss):
    """It claims what does not hold."""

    nonnegative: ClassVar = True

    def __call__(self, prediction, target):
        return pg.mean(prediction * target) - 10


@dataclass
class BelowZeroAtItsBest(pg.Loss):
    """Not negative at most places."""

    nonnegative: ClassVar = True

    def __call__(self, prediction, target):
        return pg.mean((prediction - target) ** 2) - 0.1


@dataclass
class Drawn(pg.Loss):
    """Another one every time."""

    def __call__(self, prediction, target):
        return pg.mean((prediction - target) ** 2) * float(np.random.default_rng().random())


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (SumCalledMean, "the same batch twice over"),
        (Negative, "never negative"),
        (BelowZeroAtItsBest, "never negative, and is -0.1"),
        (Drawn, "of the same arrays it is .*random numbers that do not come"),
    ],
)
def test_what_a_loss_claims(loss, said):
    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError, match=said):
        testing.check_loss(loss(), rng.normal(size=(6, 3)), rng.normal(size=(6, 3)))


def test_what_pytest_imports_at_every_start_is_next_to_nothing():
    code = "import sys, plugrad_pytest; print([m for m in ('numpy', 'numba', 'plugrad') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_check_names_a_likely_mistake():
    """But those that say all there is to say: that an example is missing, or that it is not given as it must be."""
    import ast
    from pathlib import Path

    bare, plain = [], {"plugin.py", "fresh.py"}
    for path in Path(testing.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())) if path.name not in plain else ():
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
            if called in ARGUMENTS and len(node.args) < ARGUMENTS[called]:
                bare.append(f"{path.name}: {ast.unparse(node.args[-1])[:60]}")
    allowed = ("has no example", "give an input_shape", "tuple of different names", "expected a Tensor")
    assert [line for line in bare if not any(text in line for text in allowed)] == []


ARGUMENTS = {"require": 3, "require_close": 5, "require_same_bits": 4}
