"""Models in files: the same bits elsewhere, and one clear line for a file that does not make a model."""

import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

import plugrad as pg
from plugrad import model_file
from plugrad.configuration import describe, restore
from plugrad.errors import ModelFileError, PluginError
from plugrad_layers import BatchNorm, Dense, Embedding, Flatten, LayerNorm, Residual, Sequential


def trained():
    x = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    model = Sequential([Dense(12, "relu"), BatchNorm(), Residual(Dense(12, "tanh")), LayerNorm(), Dense(3)])
    pg.Trainer(model, epochs=2).fit(x, x[:, :3])
    return model, x


@pytest.fixture
def saved(tmp_path):
    model, x = trained()
    path = tmp_path / "m.model"
    pg.save_model(path, model, {"threshold": 1.5}, {"hashes": np.arange(4, dtype=np.uint64)}, {"epochs": 2})
    return path, model, x


def changed(path, change):
    """The file again, with its metadata changed by a function; tensors as they are."""
    file = model_file.read(path)
    change(file.metadata)
    model_file.write(path, file.tensors, file.metadata)


def test_loading_gives_the_same_bits_and_everything_that_was_saved(saved):
    path, model, x = saved
    loaded = pg.load_model(path)
    np.testing.assert_array_equal(loaded.model.predict(x), model.predict(x))
    assert loaded.state == {"threshold": 1.5}
    assert loaded.training == {"epochs": 2}
    np.testing.assert_array_equal(loaded.arrays["hashes"], np.arange(4, dtype=np.uint64))
    assert describe(loaded.model) == describe(model)


def test_a_fresh_process_predicts_the_same_bits(saved, tmp_path):
    path, model, x = saved
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy as np, plugrad as pg\n"
        "np.save(sys.argv[3], pg.load_model(sys.argv[1]).model.predict(np.load(sys.argv[2])))"
    )
    subprocess.run([sys.executable, "-c", code, path, tmp_path / "x.npy", tmp_path / "y.npy"], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), model.predict(x))


def test_models_over_tokens_are_restored(tmp_path):
    model = Sequential([Embedding(10, 4), Flatten(), Dense(2)])
    tokens = np.array([[1, 2, 9], [0, 3, 4]])
    model.initialize((3,), sample=tokens)
    pg.save_model(tmp_path / "m", model)
    np.testing.assert_array_equal(pg.load_model(tmp_path / "m").model.predict(tokens), model.predict(tokens))


def test_tied_weights_are_stored_once(tmp_path):
    shared = Dense(4)
    model = Sequential([shared, shared]).initialize((4,))
    pg.save_model(tmp_path / "m", model)
    assert len(model_file.read(tmp_path / "m").tensors) == 2
    assert model.parameter_count == 20


def test_a_missing_plugin_is_named_with_its_distribution(saved):
    path, _, _ = saved

    def change(metadata):
        metadata["model"]["configuration"]["layers"][0]["layer"] = "rmsnorm.RMSNorm"
        metadata["plugins"] = [{"name": "plugrad-rmsnorm", "version": "0.1.0", "layers": ["rmsnorm.RMSNorm"]}]

    changed(path, change)
    with pytest.raises(
        ModelFileError, match=r"needs layer 'rmsnorm.RMSNorm' from plugrad-rmsnorm 0.1.0, which is not installed"
    ):
        pg.load_model(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("model"),
        lambda m: m["model"].pop("configuration"),
        lambda m: m["model"].update(configuration=[]),
        lambda m: m["model"].update(input_shape=[-1]),
        lambda m: m["model"].update(input_shape=[10**15]),
        lambda m: m["model"].update(dtype="float16"),
        lambda m: m["model"]["configuration"]["layers"][0].update(units=10**12),
        lambda m: m["model"]["configuration"]["layers"][0].update(units=500_000),
        lambda m: m["model"]["configuration"]["layers"][0].update(units=-3),
        lambda m: m["model"]["configuration"]["layers"][0].update(units="many"),
        lambda m: m["model"]["configuration"]["layers"][0].update(units=None),
        lambda m: m["model"]["configuration"]["layers"][0].update(colour="red"),
        lambda m: m["model"]["configuration"]["layers"][0].update(activation="explode"),
        lambda m: m["model"]["configuration"]["layers"][0].update(initializer="os.system"),
        lambda m: m["model"]["configuration"]["layers"].append({"layer": "__import__"}),
        lambda m: m["model"]["configuration"]["layers"].append(7),
        lambda m: m["model"]["configuration"].update(layers="Dense"),
    ],
)
def test_a_description_that_makes_no_model_is_one_clear_line(saved, change):
    path, _, _ = saved
    changed(path, change)
    with pytest.raises(ModelFileError) as caught:
        pg.load_model(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_tensors_that_do_not_fit_the_configuration_are_named(saved):
    path, _, _ = saved
    file = model_file.read(path)
    tensors = dict(file.tensors)
    tensors["layers.0.wieght"] = tensors.pop("layers.0.weight")
    model_file.write(path, tensors, file.metadata)
    with pytest.raises(ModelFileError, match=r"layers\.0\.we"):
        pg.load_model(path)


def test_a_configuration_is_plain_data_and_comes_back(saved):
    _, model, _ = saved
    described = json.loads(json.dumps(describe(model)))
    assert describe(restore(described)) == described


def test_what_cannot_be_saved_is_said_when_saving(tmp_path):
    @dataclass
    class Own(pg.Layer):
        size: int = 3

        def forward(self, x):
            return x

    model = Sequential([Own()]).initialize((2,))
    with pytest.raises(PluginError.__base__, match="Own"):
        pg.save_model(tmp_path / "m", model)
    assert not (tmp_path / "m").exists()
