"""Parameter groups, means of weights, schedules that look at losses, sparse tables in a training; the range test."""

import numpy as np
import pytest

import plugrad as pg
from plugrad import model_file
from plugrad.average import WeightAverage
from plugrad.errors import DivergedError, InputError, ModelFileError
from plugrad_layers import BatchNorm, Dense, Dropout, Embedding, EmbeddingBag, Flatten, Sequential
from plugrad_optimizers import SGD, AdaGrad, Adam, Lookahead, Momentum, ReduceOnPlateau


def data(rows=160, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 5)).astype(np.float32)
    return x, (x @ rng.normal(size=(5, 2)) + 0.1 * rng.normal(size=(rows, 2))).astype(np.float32)


def tokens(rows=160, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 30, size=(rows, 6))
    return x, (x.sum(axis=1, keepdims=True) / 90 - 1).astype(np.float32)


def network():
    return Sequential([Dense(8, "relu"), BatchNorm(), Dropout(0.2), Dense(2)])


def words(sparse=True):
    return Sequential([EmbeddingBag(30, 4, sparse=sparse, padding_index=0), Dense(4, "tanh"), Dense(1)])


def weights(model):
    return {name: p.data.copy() for name, p in model.named_parameters()} | {
        name: s.value.copy() for name, s in model.named_states()
    }


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


# Resuming

GROUPS = [
    {"match": "layers.0.*", "learning_rate_factor": 0.5, "l2": 0.01},
    {"match": "*.bias", "frozen": True},
]
PLATEAU = {"name": "ReduceOnPlateau", "patience": 1, "factor": 0.5}


class Stop(pg.Callback):
    def on_epoch_end(self, trainer, row):
        if row["epoch"] == 4:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": Lookahead(Adam(0.02), steps=3)},
        {"optimizer": {"name": "RMSProp", "centred": True, "momentum": 0.5}},
        {"optimizer": "AMSGrad"}, {"optimizer": "NAdam"}, {"optimizer": "RAdam"}, {"optimizer": "Lion"},
        {"average": 0.9}, {"average": 0.9, "validation": 0.0},
        {"schedule": PLATEAU, "optimizer": Adam(0.3)},
        {"schedule": {"name": "WarmUp", "steps": 3, "then": PLATEAU}, "validation": 0.0},
        {"schedule": "OneCycle", "groups": GROUPS, "l1": 0.001},
        {"make": words, "optimizer": Lookahead("AdaGrad"), "average": 0.8, "clip_norm": 0.5, "l2": 0.01},
        {"make": words, "groups": GROUPS, "clip_value": 0.01},
    ],
    ids=lambda options: " ".join(getattr(value, "__name__", str(value)) for value in options.values())[:60],
)  # fmt: skip
def test_a_resumed_run_is_bit_equal_to_an_uninterrupted_one(tmp_path, options):
    options = dict(options)
    make = options.pop("make", network)
    x, y = tokens() if make is words else data()

    def trainer(folder):
        return pg.Trainer(make(), **{"epochs": 8, "validation": 0.25, "seed": 5, "checkpoint": folder} | options)

    whole = trainer(tmp_path / "whole")
    expected = whole.fit(x, y)
    first = trainer(tmp_path / "parts")
    first.callbacks.append(Stop())
    with pytest.raises(KeyboardInterrupt):
        first.fit(x, y)
    second = trainer(tmp_path / "parts")
    history = second.fit(x, y, resume=True)
    assert_same(weights(whole.model), weights(second.model))
    assert_same(dict(whole.run.named_memory()), dict(second.run.named_memory()))
    for name in ("last", "best"):
        if (tmp_path / f"whole/{name}.safetensors").exists():
            files = [model_file.read(tmp_path / f"{part}/{name}.safetensors").tensors for part in ("whole", "parts")]
            assert_same(*files)
    for column in ("epoch", "step", "loss", "gradient_norm", "rate"):
        assert expected[column] == history[column]
    if "schedule" in options:
        assert len(set(history["rate"])) > 1


@pytest.mark.parametrize(
    ("then", "now", "text"),
    [
        ({"average": 0.9}, {}, "average was 0.9, is None"),
        ({"groups": GROUPS[1:]}, {}, "groups was .*frozen=True"),
        ({"optimizer": Lookahead("SGD")}, {"optimizer": Lookahead("Momentum")}, "inner=SGD.*inner=Momentum"),
    ],
)
def test_resuming_with_other_settings_is_refused_and_named(tmp_path, then, now, text):
    x, y = data()
    pg.Trainer(network(), epochs=1, checkpoint=tmp_path, **then).fit(x, y)
    with pytest.raises(ModelFileError, match=text):
        pg.Trainer(network(), epochs=2, checkpoint=tmp_path, **now).fit(x, y, resume=True)


# Groups


def test_groups_change_rate_decay_and_penalties():
    x, y = data()
    y = y + 1
    groups = [
        {"match": "layers.0.weight", "learning_rate_factor": 0.25, "weight_decay": 0.5, "l1": 0.3, "l2": 0.2},
        pg.Group("layers.1.*", frozen=True),
    ]
    model = Sequential([Dense(3), Dense(4), Dense(2)]).initialize((5,))
    start = weights(model)
    trainer = pg.Trainer(
        model, optimizer=SGD(0.1, weight_decay=0.1), epochs=1, batch_size=None, groups=groups, l2=0.05, shuffle=False
    )
    # The gradient of the loss alone, from a plain step.
    plain = Sequential([Dense(3), Dense(4), Dense(2)]).initialize((5,))
    pg.Trainer(plain, optimizer=SGD(1.0), epochs=1, batch_size=None, shuffle=False).fit(x, y)
    gradient = {name: start[name] - value for name, value in weights(plain).items()}
    trainer.fit(x, y)
    after, close = weights(model), {"rtol": 1e-4, "atol": 1e-6}
    w = start["layers.0.weight"]
    slope = gradient["layers.0.weight"] + 0.3 * np.sign(w) + 0.2 * w
    np.testing.assert_allclose(after["layers.0.weight"], w * (1 - 0.025 * 0.5) - 0.025 * slope, **close)
    w = start["layers.2.weight"]
    slope = gradient["layers.2.weight"] + 0.05 * w
    np.testing.assert_allclose(after["layers.2.weight"], w * (1 - 0.1 * 0.1) - 0.1 * slope, **close)
    np.testing.assert_allclose(after["layers.2.bias"], -0.1 * gradient["layers.2.bias"], **close)
    for name in ("layers.1.weight", "layers.1.bias"):
        np.testing.assert_array_equal(after[name], start[name])


def test_each_group_is_one_stretch_and_what_is_frozen_has_no_gradient():
    x, y = data()
    seen = {}

    class Look(pg.Callback):
        def on_step_end(self, trainer, step, loss):
            store = trainer.model.store
            seen["parts"] = [(part.group.match, part.start, part.values.size) for part in store.parts]
            seen["sizes"] = store.values.size, store.gradients.size, trainer.run.memory[0].size
            seen["grad"] = trainer.model.layers[0].weight.grad

    groups = [{"match": "*.bias", "learning_rate_factor": 2.0}, {"match": "layers.0.*", "frozen": True}]
    model = Sequential([Dense(16), Dense(16), Dense(2)])
    pg.Trainer(model, epochs=1, groups=groups, callbacks=[Look()]).fit(x, y)
    assert seen["parts"] == [("*", 0, 256 + 32), ("*.bias", 288, 48)]
    assert seen["sizes"] == (336 + 80, 336, 336)
    assert seen["grad"] is None
    # Afterwards the model is as any other.
    assert len(model.store.parts) == 1
    before = model.layers[0].weight.data.copy()
    pg.Trainer(model, epochs=1).fit(x, y)
    assert not np.array_equal(model.layers[0].weight.data, before)


def test_a_frozen_first_layer_costs_no_backward():
    model = Sequential([Dense(3), Dense(2)])
    x, y = data()
    pg.Trainer(model, epochs=2, groups=[{"match": "layers.0.*", "frozen": True}], validation=0.2).fit(x, y)
    sparse = words()
    pg.Trainer(sparse, epochs=1, groups=[{"match": "*.table", "frozen": True}]).fit(*tokens())
    start = words().initialize((6,), sample=tokens()[0][:2])
    np.testing.assert_array_equal(sparse.layers[0].table.data, start.layers[0].table.data)


def test_without_groups_and_with_one_that_changes_nothing_the_bits_are_the_same():
    x, y = data()
    runs = []
    for groups in ([], [{"match": "layers.0.*"}]):
        model = network()
        pg.Trainer(model, epochs=2, groups=groups, clip_value=0.1).fit(x, y)
        runs.append(weights(model))
    assert_same(*runs)


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        ([{"match": "layers.9.*"}], r"'layers.9.\*' matches none .* left: layers.0.weight, layers.0.bias, layers.1.sc"),
        ([{"match": "*"}, {"match": "*.bias"}], r"'\*.bias' matches none of the parameters that are left: none"),
        ([{"match": "*", "frozen": True}], "every parameter is frozen"),
        ([{"match": "*", "rate": 1}], "has no field 'rate'; its fields: match, learning_rate_factor"),
        ([{"frozen": True}], "needs 'match'"),
        ([7], "expected a mapping"),
        ([{"match": 3}], "match must be a pattern"),
        ([{"match": "*", "l1": -1}], r"l1 of '\*' must be a number >= 0"),
        ([{"match": "*", "learning_rate_factor": None}], "learning_rate_factor .* must be a number"),
    ],
)
def test_groups_that_make_no_sense_are_refused(groups, text):
    with pytest.raises(InputError, match=text) as caught:
        pg.Trainer(network(), groups=groups).fit(*data())
    assert "\n" not in str(caught.value)


# The mean of the weights


def test_the_mean_of_the_weights_is_the_recurrence():
    model = network().initialize((5,))
    mean, rng = WeightAverage(model, 0.7), np.random.default_rng(0)
    expected = {name: value.astype(np.float64) for name, value in weights(model).items()}
    for step in range(1, 30):
        for _, p in model.named_parameters():
            p.data += rng.normal(size=p.shape).astype(np.float32)
        for _, state in model.named_states():
            state.value = state.value + np.float32(1)
        mean.update(step)
        d = min(0.7, (1 + step) / (10 + step))
        expected = {name: d * expected[name] + (1 - d) * value for name, value in weights(model).items()}
    raw = weights(model)
    with mean.applied():
        for name, value in weights(model).items():
            np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-4)
    assert_same(weights(model), raw)


@pytest.mark.parametrize("validation", [0.0, 0.25])
def test_the_mean_is_what_is_validated_kept_and_left_and_training_goes_on_without(validation, tmp_path):
    x, y = data()
    raw = {}

    class Keep(pg.Callback):
        def on_epoch_end(self, trainer, row):
            raw[trainer.average, row["epoch"]] = weights(trainer.model)

    models = {}
    for average in (None, 0.95):
        models[average] = network()
        trainer = pg.Trainer(
            models[average], optimizer=Adam(0.02), epochs=4, average=average, validation=validation, callbacks=[Keep()],
            checkpoint=tmp_path,
        )  # fmt: skip
        history = trainer.fit(x, y)
    for epoch in range(1, 5):
        assert_same(raw[None, epoch], raw[0.95, epoch])
    assert not np.array_equal(weights(models[0.95])["layers.0.weight"], raw[0.95, 4]["layers.0.weight"])
    if validation:
        loss = ((models[0.95].predict(trainer.held_x) - trainer.held_y) ** 2).mean()
        assert loss == pytest.approx(min(history["validation_loss"]), rel=1e-5)
        best = model_file.read(tmp_path / "best.safetensors").tensors
        np.testing.assert_array_equal(best["layers.0.weight"], models[0.95].layers[0].weight.data)
    last = model_file.read(tmp_path / "last.safetensors").tensors
    np.testing.assert_array_equal(last["layers.0.weight"], raw[0.95, 4]["layers.0.weight"])


def test_a_decay_of_nothing_averages_nothing():
    x, y = data()
    plain, averaged = network(), network()
    pg.Trainer(plain, epochs=2).fit(x, y)
    pg.Trainer(averaged, epochs=2, average=0.0).fit(x, y)
    for name, value in weights(averaged).items():
        np.testing.assert_allclose(value, weights(plain)[name], rtol=1e-6, atol=1e-7)
    for wrong in (1.0, -0.1, float("nan")):
        with pytest.raises(InputError, match="average must be a share"):
            pg.Trainer(network(), average=wrong)


# Sparse tables


@pytest.mark.parametrize("optimizer", [SGD(0.1), AdaGrad(0.1)])
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.1}, {"clip_value": 0.01}, {"average": 0.8}])
def test_a_sparse_table_learns_what_a_dense_one_does(optimizer, options):
    x, y = tokens()
    found = []
    for sparse in (True, False):
        model = words(sparse)
        history = pg.Trainer(model, optimizer=optimizer, epochs=3, validation=0.2, **options).fit(x, y)
        found.append((weights(model), history))
    for name, value in found[0][0].items():
        np.testing.assert_allclose(value, found[1][0][name], rtol=1e-4, atol=1e-5, err_msg=name)
    for column in ("loss", "validation_loss", "gradient_norm"):
        assert found[0][1][column] == pytest.approx(found[1][1][column], rel=1e-4)


def test_a_model_of_nothing_but_a_sparse_table():
    x = np.random.default_rng(0).integers(0, 9, size=(40, 3))
    model = Sequential([Embedding(9, 2, sparse=True), Flatten()])
    history = pg.Trainer(model, optimizer=Momentum(0.5), epochs=10).fit(x, np.ones((40, 6), np.float32))
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_a_sparse_table_is_saved_and_loaded(tmp_path):
    x, y = tokens()
    model = words()
    pg.Trainer(model, epochs=1).fit(x, y)
    pg.save_model(tmp_path / "m", model)
    loaded = pg.load_model(tmp_path / "m").model
    assert loaded.layers[0].sparse
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


def test_a_sparse_table_that_diverges_is_named():
    x, y = tokens()
    model = words().initialize((6,), sample=x[:2])
    model.layers[0].table.data[3, 1] = np.inf
    with np.errstate(all="ignore"), pytest.raises(DivergedError, match=r"not finite in table of layer layers\.0"):
        pg.Trainer(model).fit(x, y)


# Schedules that look at the loss


def test_reduce_on_plateau_by_name():
    x, y = data()
    schedule = ReduceOnPlateau(factor=0.5, patience=2)
    trainer = pg.Trainer(network(), optimizer=SGD(0.0), schedule=schedule, epochs=7, validation=0.2, min_delta=10.0)
    trainer.optimizer.learning_rate = 1e-12  # so small that the loss stays, but for its rounding
    schedule.min_delta = 1.0
    assert trainer.fit(x, y)["rate"] == pytest.approx([1e-12] * 3 + [5e-13] * 2 + [2.5e-13] * 2)
    assert pg.Trainer(network(), schedule="ReduceOnPlateau").schedule == ReduceOnPlateau()


def test_a_mere_function_is_a_schedule(tmp_path):
    def half(step, steps):
        return 0.5

    x, y = data()
    for epochs in (1, 1):
        trainer = pg.Trainer(network(), optimizer=SGD(0.1), schedule=half, epochs=epochs, checkpoint=tmp_path)
        assert trainer.fit(x, y, resume=True)["rate"] == [0.05]


# The range test


def test_the_range_test_finds_a_rate_that_learns_and_puts_everything_back(tmp_path):
    x, y = data()
    model = network().initialize((5,))
    before = weights(model)
    found = pg.find_learning_rate(model, x, y, optimizer="SGD", low=1e-5, high=100, steps=80, batch_size=16)
    assert_same(weights(model), before)
    assert len(found.rates) == len(found.losses) == len(found.raw_losses) <= 80
    assert found.rates[0] == pytest.approx(1e-5)
    assert 1e-3 < found.suggestion < 2
    assert found.losses[-1] > 2 * found.losses.min()  # it went on until it was clear
    again = pg.find_learning_rate(model, x, y, optimizer="SGD", low=1e-5, high=100, steps=80, batch_size=16)
    np.testing.assert_array_equal(found.raw_losses, again.raw_losses)
    history = pg.Trainer(model, optimizer=SGD(found.suggestion), epochs=10).fit(x, y)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    found.plot(tmp_path / "range.png")
    assert (tmp_path / "range.png").read_bytes().startswith(b"\x89PNG")


def test_the_range_test_of_a_fresh_model_over_sparse_tokens():
    x, y = tokens()
    model = words()
    found = pg.find_learning_rate(model, x, y, optimizer="AdaGrad", steps=40)
    start = words().initialize((6,), sample=x[:2])
    assert_same(weights(model), weights(start))
    assert np.isfinite(found.losses).all()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"low": 0}, "expected 0 < low < high"), ({"low": 1, "high": 0.1}, "expected 0 < low < high"),
        ({"steps": 1}, "steps must be a whole number from 2"), ({"batch_size": 0}, "batch_size must be"),
        ({"y": np.ones((3, 2))}, "160 inputs and 3 targets"), ({"y": np.full((160, 2), np.nan)}, "not finite before"),
    ],
)  # fmt: skip
def test_the_range_test_refuses_what_it_cannot_use(options, text):
    x, y = data()
    with pytest.raises(InputError, match=text):
        pg.find_learning_rate(network(), x, **{"y": y} | options)
