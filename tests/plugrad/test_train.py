"""The training loop: what it learns, when it stops, what it keeps, and that a resumed run is the same run."""

import math

import numpy as np
import pytest

import plugrad as pg
from plugrad.errors import DivergedError, InputError, ModelFileError, ShapeError
from plugrad.history import History
from plugrad_layers import BatchNorm, Dense, Dropout, Sequential
from plugrad_optimizers import SGD, Adam


def data(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 5)).astype(np.float32)
    return x, (x @ rng.normal(size=(5, 2)) + 0.1 * rng.normal(size=(rows, 2))).astype(np.float32)


def network():
    return Sequential([Dense(16, "relu"), BatchNorm(), Dropout(0.2), Dense(2)])


def weights(model):
    return {name: p.data.copy() for name, p in model.named_parameters()} | {
        name: s.value.copy() for name, s in model.named_states()
    }


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@pytest.mark.parametrize("batch_size", [1, 32, None])
def test_learns_with_single_samples_mini_batches_and_the_full_batch(batch_size):
    x, y = data(64)
    trainer = pg.Trainer(Sequential([Dense(2)]), optimizer=Adam(0.02), batch_size=batch_size, epochs=30)
    history = trainer.fit(x, y)
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert history["step"][-1] == 30 * math.ceil(64 / (batch_size or 64))


def test_the_inputs_are_the_targets_of_an_autoencoder():
    x, _ = data()
    history = pg.Trainer(Sequential([Dense(5)]), optimizer=Adam(0.01), epochs=20).fit(x)
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    x, y = data()
    runs = []
    for seed in (3, 3, 4):
        model = network()
        pg.Trainer(model, epochs=3, seed=seed, validation=0.2).fit(x, y)
        runs.append(weights(model))
    assert_same(runs[0], runs[1])
    assert not np.array_equal(runs[0]["layers.0.weight"], runs[2]["layers.0.weight"])


def test_one_and_two_threads_give_the_same_bits():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 200)).astype(np.float32)
    runs = []
    before = pg.get_threads()
    try:
        for threads in (1, min(2, before)):
            pg.set_threads(threads)
            model = Sequential([Dense(160, "relu"), Dropout(0.3), Dense(200)])
            pg.Trainer(model, epochs=3, batch_size=256, clip_norm=1.0, l2=1e-4).fit(x)
            runs.append(weights(model))
    finally:
        pg.set_threads(before)
    assert_same(*runs)


class Sparse(pg.Layer):
    """Adds the mean size of what passes through to the loss."""

    def forward(self, x):
        pg.add_loss(0.5 * pg.mean(pg.abs(x)))
        pg.add_loss(pg.reshape(0.25 * pg.mean(pg.abs(x)), (1, 1)))
        return x * 1.0


def test_what_layers_add_to_the_loss_is_trained_for_and_left_out_of_validation():
    x, y = data()
    model = Sequential([Dense(6, "tanh"), Sparse(), Dense(y.shape[1])]).initialize(x.shape[1:], seed=3)
    before = weights(model)
    history = pg.Trainer(model, optimizer=SGD(0.1), epochs=1, batch_size=len(x), shuffle=False).fit(x, y)
    first, _, last = (
        Sequential([Dense(6, "tanh"), Sparse(), Dense(y.shape[1])]).initialize(x.shape[1:], seed=3)
    ).layers
    hidden = first(x)
    loss = pg.mse(last(hidden), y) + 0.75 * pg.mean(pg.abs(hidden))
    loss.backward()
    assert history.rows[-1]["loss"] == pytest.approx(loss.item(), rel=1e-5)
    for path, layer in (("layers.0", first), ("layers.2", last)):
        got = before[f"{path}.weight"] - weights(model)[f"{path}.weight"]
        np.testing.assert_allclose(got, 0.1 * np.asarray(layer.weight.grad), atol=1e-6)
    with pg.recording():
        assert pg.total_loss(pg.mse(model(x), y)).item() == pg.mse(model(x), y).item()


def test_what_is_added_to_a_loss_is_one_number_and_of_one_step():
    with pg.training():
        with pytest.raises(ShapeError, match="add_loss: expected a Tensor of one element"):
            pg.add_loss(pg.abs(np.ones(3)))
        pg.add_loss(pg.sum(np.ones(3)))
        assert pg.total_loss(pg.sum(np.ones(2))).item() == 5
        assert pg.total_loss(pg.sum(np.ones(2))).item() == 2
    pg.add_loss(pg.abs(np.ones(3)))  # nothing is looked at where nothing is trained


@pytest.mark.parametrize("schedule", [None, {"name": "Cosine"}])
def test_a_resumed_run_is_bit_equal_to_an_uninterrupted_one(tmp_path, schedule):
    x, y = data()

    def trainer(folder, epochs):
        return pg.Trainer(
            network(), optimizer=Adam(0.01, weight_decay=0.01), schedule=schedule, epochs=epochs, validation=0.2,
            patience=50, clip_norm=1.0, seed=5, checkpoint=folder,
        )  # fmt: skip

    whole = trainer(tmp_path / "whole", 8)
    expected = whole.fit(x, y)

    class Stop(pg.Callback):
        def on_epoch_end(self, trainer, row):
            if row["epoch"] == 4:
                raise KeyboardInterrupt

    first = trainer(tmp_path / "parts", 8)
    first.callbacks.append(Stop())
    with pytest.raises(KeyboardInterrupt):
        first.fit(x, y)
    second = trainer(tmp_path / "parts", 8)
    history = second.fit(x, y, resume=True)
    assert_same(weights(whole.model), weights(second.model))
    for a, b in zip(whole.run.memory, second.run.memory, strict=True):
        np.testing.assert_array_equal(a, b)
    for column in ("epoch", "step", "loss", "validation_loss", "gradient_norm", "rate"):
        assert expected[column] == history[column]
    assert (tmp_path / "whole/last.safetensors").exists()
    assert (tmp_path / "parts/best.safetensors").exists()


def test_five_epochs_and_five_more_are_ten(tmp_path):
    x, y = data()
    whole, parts = network(), network()
    pg.Trainer(whole, epochs=10, checkpoint=tmp_path / "a").fit(x, y)
    pg.Trainer(parts, epochs=5, checkpoint=tmp_path / "b").fit(x, y)
    resumed = network()
    pg.Trainer(resumed, epochs=10, checkpoint=tmp_path / "b").fit(x, y, resume=True)
    assert_same(weights(whole), weights(resumed))


def test_resuming_with_other_settings_is_refused_and_named(tmp_path):
    x, y = data()
    pg.Trainer(network(), epochs=2, checkpoint=tmp_path, seed=1).fit(x, y)
    with pytest.raises(ModelFileError, match="seed was 1, is 2"):
        pg.Trainer(network(), epochs=4, checkpoint=tmp_path, seed=2).fit(x, y, resume=True)


def test_the_model_ends_with_its_best_weights_also_after_an_interrupt():
    x, y = data(60)
    kept = {}

    class Watch(pg.Callback):
        def on_epoch_end(self, trainer, row):
            kept[row["epoch"]] = weights(trainer.model)
            if row["epoch"] == 12:
                raise KeyboardInterrupt

    model = Sequential([Dense(64, "relu"), Dense(2)])
    trainer = pg.Trainer(model, optimizer=Adam(0.1), epochs=50, validation=0.4, callbacks=[Watch()])
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(x, y)
    losses = trainer.history["validation_loss"]
    assert trainer.history.best_epoch == 1 + int(np.argmin(losses))
    assert_same(weights(model), kept[trainer.history.best_epoch])


def test_early_stopping_waits_for_patience_epochs():
    x, y = data(60)
    trainer = pg.Trainer(network(), optimizer=SGD(0.0), epochs=50, validation=0.3, patience=3, min_delta=1e9)
    history = trainer.fit(x, y)
    assert len(history) == 4  # the first is the best, three more do not improve on it by so much
    assert history.best_epoch == 1


def test_clipping_bounds_the_step():
    x, y = data()
    model = Sequential([Dense(2)]).initialize((5,))
    before = model.store.values.copy()
    pg.Trainer(model, optimizer=SGD(1.0), epochs=1, batch_size=None, clip_norm=1e-3).fit(x, y * 1000)
    assert np.linalg.norm(model.store.values - before) == pytest.approx(1e-3, rel=1e-3)
    before = model.store.values.copy()
    pg.Trainer(model, optimizer=SGD(1.0), epochs=1, batch_size=None, clip_value=1e-4).fit(x, y * 1000)
    assert abs(model.store.values - before).max() <= 1.01e-4


@pytest.mark.parametrize("penalty", [{"l1": 0.5}, {"l2": 0.5}, {"optimizer": Adam(0.01, weight_decay=0.5)}])
def test_penalties_shrink_weights_and_leave_biases(penalty):
    x, y = data()
    plain, shrunk = Sequential([Dense(2)]), Sequential([Dense(2)])
    pg.Trainer(plain, **{"optimizer": Adam(0.01)}, epochs=40).fit(x, y + 3)
    pg.Trainer(shrunk, **{"optimizer": Adam(0.01), **penalty}, epochs=40).fit(x, y + 3)
    assert abs(shrunk.layers[0].weight.data).sum() < 0.9 * abs(plain.layers[0].weight.data).sum()
    assert abs(shrunk.layers[0].bias.data).min() > 1


def test_a_loss_that_is_not_finite_names_step_layer_and_remedy(tmp_path):
    x, y = data()
    model = Sequential([Dense(8, "relu"), Dense(2)])
    with np.errstate(all="ignore"), pytest.raises(DivergedError) as caught:
        pg.Trainer(model, optimizer=SGD(1e30), epochs=3, checkpoint=tmp_path, shuffle=False).fit(x, y)
    text = str(caught.value)
    assert "step " in text
    assert "layers." in text
    assert "learning rate" in text
    assert "clip_norm" in text
    assert caught.value.exit_status == 4


def test_a_layer_that_overflows_is_the_one_named():
    x, y = data()
    model = Sequential([Dense(4, "relu"), Dense(2)]).initialize((5,))
    model.layers[1].weight.data[:] = 3e38
    with np.errstate(all="ignore"), pytest.raises(DivergedError, match=r"layer layers\.1 \(Dense\)"):
        pg.Trainer(model).fit(x, y)


def test_bad_input_rows_are_named():
    x, y = data()
    x[7, 2] = np.nan
    with pytest.raises(DivergedError, match=r"the input holds nan \(row 7 of the batch\)"):
        pg.Trainer(network(), shuffle=False).fit(x, y)


def test_metrics_and_callbacks_see_every_epoch_and_step():
    x, y = data(100)
    seen = []

    class Count(pg.Callback):
        def on_step_end(self, trainer, step, loss):
            seen.append(step)

        def on_epoch_end(self, trainer, row):
            row["own"] = 1.5
            trainer.stop = row["epoch"] == 2

    metrics = {"mae": lambda p, t: abs(p - t).mean()}
    history = pg.Trainer(network(), epochs=9, validation=0.2, metrics=metrics, callbacks=[Count()]).fit(x, y)
    assert len(history) == 2
    assert seen == list(range(1, 7))
    assert history["own"] == [1.5, 1.5]
    assert history["mae"][0] > 0
    assert history["validation_mae"][0] > 0


def test_the_schedule_sets_the_rate():
    x, y = data(64)
    trainer = pg.Trainer(network(), optimizer=Adam(0.1), schedule="Cosine", epochs=4)
    rates = trainer.fit(x, y)["rate"]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0.05 > 0.03 > rates[-1]


def test_the_history_survives_csv_and_is_drawn(tmp_path):
    x, y = data(80)
    trainer = pg.Trainer(network(), epochs=3, validation=0.25, metrics={"mae": lambda p, t: abs(p - t).mean()})
    history = trainer.fit(x, y)
    history.to_csv(tmp_path / "history.csv")
    assert History.from_csv(tmp_path / "history.csv").rows == history.rows
    history.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="is not a history"):
        History.from_csv(tmp_path / "other.csv")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number from 1"),
        ({"epochs": -1}, "epochs must be a whole number from 0"),
        ({"validation": 1.5}, "validation must be a share"),
        ({"clip_norm": 0}, "clip_norm must be a number > 0"),
        ({"l1": -1}, "l1 must be a number >= 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        pg.Trainer(network(), **settings)


def test_data_that_do_not_fit_are_refused():
    x, y = data()
    with pytest.raises(InputError, match="200 inputs and 10 targets"):
        pg.Trainer(network()).fit(x, y[:10])
    with pytest.raises(pg.errors.ShapeError, match=r"layers\.3 \(Dense\)|mse"):
        pg.Trainer(network()).fit(x, y[:, :1])
