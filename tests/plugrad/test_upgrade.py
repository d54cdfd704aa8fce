"""Layers whose fields have changed since a model was saved."""

import dataclasses
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

import plugrad as pg
import plugrad_layers as layers
from plugrad.configuration import describe, restore
from plugrad.errors import InputError, ModelFileError
from plugrad.plugins import Registry, registry


@dataclass
class Old(pg.Layer):
    """x · factor, as the first version had it."""

    factor: float = 2.0

    def forward(self, x):
        return x * self.factor


@dataclass
class New(pg.Layer):
    """x · scale + shift; what was called factor is a percentage now."""

    version: ClassVar[int] = 3
    percent: float = 100.0
    shift: float = 0.0

    @classmethod
    def upgrade(cls, config, version):
        if version == 1:
            config = {"percent": 100 * config["factor"]}
        return {**config, "shift": 0.0}

    def forward(self, x):
        return x * (self.percent / 100) + self.shift


def names_with(cls):
    found = Registry()
    hook = pg.hookimpl(lambda: {"scales.Scale": cls})
    hook.__name__ = "register_layers"
    found.register(SimpleNamespace(register_layers=pg.hookimpl(hook)), "scales")
    return found


def model(inner):
    return layers.Sequential([layers.Dense(3), layers.Sequential([inner])])


def test_an_older_configuration_is_upgraded_wherever_it_stands():
    saved = describe(model(Old(2.5)), names_with(Old))
    again = restore(saved, names_with(New))
    assert again.layers[1].layers[0] == New(percent=250.0, shift=0.0)
    described = describe(again, names_with(New))["layers"][1]["layers"][0]
    assert described == {"layer": "scales.Scale", "layer_version": 3, "percent": 250.0, "shift": 0.0}
    assert restore(described, names_with(New)) == New(250.0)
    assert New.upgrade({"percent": 7.0}, 2) == {"percent": 7.0, "shift": 0.0}


def test_a_model_file_of_an_older_version_predicts_as_it_did(tmp_path, monkeypatch):
    names = names_with(Old)
    monkeypatch.setattr("plugrad.saved_model.registry", lambda: names)
    monkeypatch.setattr("plugrad.configuration.registry", lambda: names)
    first = model(Old(2.5)).initialize((4,))
    pg.save_model(tmp_path / "m", first)
    names = names_with(New)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    assert pg.load_model(tmp_path / "m").model.predict(x).tobytes() == first.predict(x).tobytes()
    names = names_with(dataclasses.make_dataclass("Plain", [], bases=(Old,), namespace={"version": 2}))
    with pytest.raises(
        ModelFileError, match=r"saved by version 1 of layer 'scales.Scale'; scales has version 2, and no"
    ):
        pg.load_model(tmp_path / "m")


def test_a_newer_configuration_says_what_to_install():
    saved = {"layer": "scales.Scale", "layer_version": 4, "percent": 1.0}
    with pytest.raises(
        InputError, match=r"saved by version 4 of layer 'scales.Scale', the installed scales has version 3"
    ):
        restore(saved, names_with(New))


@pytest.mark.parametrize("version", [0, -1, 1.0, True, "2", None])
def test_a_version_that_is_none(version):
    with pytest.raises(InputError, match="a whole number from 1 was expected"):
        restore({"layer": "Dense", "layer_version": version, "units": 3}, registry())


@pytest.mark.parametrize("result", [None, [], {"percent": object()}, {"percent": float("nan")}, {1: 2}])
def test_what_an_upgrade_must_give(result, monkeypatch):
    monkeypatch.setattr(New, "upgrade", classmethod(lambda cls, config, version: result))
    with pytest.raises(InputError, match=r"upgrade\(\) of layer 'scales.Scale'"):
        restore({"layer": "scales.Scale", "factor": 1.0}, names_with(New))


def test_an_upgrade_that_fails_is_one_line():
    with pytest.raises(InputError, match=r"^upgrade\(\) of layer 'scales.Scale' failed: KeyError: 'factor'$"):
        restore({"layer": "scales.Scale"}, names_with(New))
