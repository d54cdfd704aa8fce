"""Autoencoders out of registered layers, as data, and their training."""

import copy
import json

import numpy as np

import plugrad as pg
from plugrad.callbacks import Progress
from plugrad.errors import InputError, PlugradError
from plugrad.plugins import registry
from plugrad_anomaly.sequence import PADDING

# Several small ones, differently initialised: what one of them cannot rebuild by chance, the others can.
MEMBERS = 4
BATCH_SIZE = 64
LEARNING_RATE = 2e-3
# A member is trained for about as many steps whatever the number of rows, within these numbers of epochs.
STEPS = 10_000
LEAST_EPOCHS, MOST_EPOCHS = 3, 100
# A model of sequences costs more for each row: it learns from a sample of at most so many, in fewer steps.
SEQUENCE_STEPS, SEQUENCE_ROWS, SEQUENCE_EPOCHS = 1_200, 20_000, 40
KINDS = ("dense", "sequence")
# What a configuration may say beside the model: by a name, or a mapping of "name" and fields.
PARTS = {"model", "loss", "optimizer"}


def autoencoder(columns, code):
    """A dense autoencoder columns → 4·code → code → 4·code → columns, as a configuration of registered layers."""
    return {
        "layer": "Sequential",
        "layers": [
            {"layer": "Dense", "units": 4 * code, "activation": "relu"},
            {"layer": "Dense", "units": code, "activation": "relu"},
            {"layer": "Dense", "units": 4 * code, "activation": "relu"},
            {"layer": "Dense", "units": columns},
        ],
    }


def sequence_autoencoder(vocabulary, length, width=32, code=48):
    """An autoencoder of the order of tokens: attention encodes, a code holds all, a dense decoder foretells each token.

    Input int64 (batch, length) of tokens below `vocabulary` -> logits (batch, length, vocabulary).
    """
    return {
        "layer": "Sequential",
        "layers": [
            {"layer": "Embedding", "count": vocabulary, "width": width},
            {"layer": "LearnedPositions", "length": length},
            {"layer": "TransformerBlock", "heads": 2, "hidden": 2 * width},
            {"layer": "Flatten"},
            {"layer": "Dense", "units": code, "activation": "tanh"},
            {"layer": "Dense", "units": length * width, "activation": "relu"},
            {"layer": "Reshape", "shape": [length, width]},
            {"layer": "Dense", "units": vocabulary},
        ],
    }


def default_configuration(kind, sizes):
    """The configuration that is trained where none is given. sizes: see `filled`."""
    if kind == "sequence":
        return sequence_autoencoder(sizes["vocabulary"], sizes["length"])
    return autoencoder(sizes["columns"], int(np.clip(sizes["columns"] // 3, 4, 16)))


def read_configuration(path):
    """A configuration of a model from a JSON file. Raises InputError for one that is none."""
    try:
        with open(path, encoding="utf-8") as file:
            described = json.load(file)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path) from None
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON: {error.msg}", path, error.lineno) from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"is not JSON: {str(error)[:80]}", path) from None
    model = described.get("model") if isinstance(described, dict) and "layer" not in described else described
    if not isinstance(model, dict) or "layer" not in model or (model is not described and set(described) - PARTS):
        raise InputError(
            'expected a layer, as in {"layer": "Dense", "units": "columns"}, or {"model": a layer, "loss": …, '
            '"optimizer": …}; --show-config prints an example', path
        )  # fmt: skip
    for kind, name in (("losses", "loss"), ("optimizers", "optimizer")):
        try:
            registry().create(kind, described.get(name))
        except PlugradError as error:
            raise InputError(f"its {name}: {error}", path) from None
    return described


def parts_of(configuration, loss, optimizer):
    """(model, loss, optimizer) of a configuration, the last two as given where it says nothing of them."""
    if configuration is None or "layer" in configuration:
        return configuration, loss, optimizer
    return configuration["model"], configuration.get("loss", loss), configuration.get("optimizer", optimizer)


def filled(described, sizes):
    """A configuration in which texts that name a size of the data are replaced by it.

    sizes: {"columns": n} for a dense model, {"vocabulary": n, "length": n} for one of sequences.
    """
    if isinstance(described, dict):
        return {key: value if key == "layer" else filled(value, sizes) for key, value in described.items()}
    if isinstance(described, list):
        return [filled(item, sizes) for item in described]
    return sizes.get(described, described) if isinstance(described, str) else described


def build(described, kind, sizes, sample, seed):
    """An initialised Layer from a configuration.

    Raises InputError for a layer that is not registered, for fields it does not have, and where the model does not
    give what it must: rows as wide as its input, or a logit for each word of the vocabulary at each token.
    """
    from plugrad.configuration import restore

    expected = (*sample.shape, sizes["vocabulary"]) if kind == "sequence" else sample.shape
    try:
        layer = restore(filled(copy.deepcopy(described), sizes))
        layer.initialize(sample.shape[1:], seed=seed, sample=sample if kind == "sequence" else None)
        found = layer.predict(sample).shape
    except (PlugradError, TypeError, ValueError, AttributeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"the configuration makes no model: {said}") from None
    if found != expected:
        names = '"length", "vocabulary"' if kind == "sequence" else '"columns"'
        raise InputError(
            f"the configured model gives {found[1:]} for a row of {sample.shape[1:]}; expected {expected[1:]} "
            f"(a size may be given by name: {names})"
        )
    return layer


def train_autoencoders(fitted, held_out, seed=0, epochs=None, say=lambda text: None, configuration=None):
    """Train MEMBERS autoencoders on standardised rows; (one Layer that averages them, their Histories).

    fitted, held_out: float32 (rows, columns); the held-out rows choose the epoch whose weights are kept.
    seed: a whole number from 0; epochs: None chooses by the number of rows. configuration: of a member, None for the
    default; it may name a loss and an optimizer (see `parts_of`). Raises InputError for a configuration that makes no
    autoencoder of such rows.
    """
    from plugrad.configuration import restore

    fitted, held_out = (np.ascontiguousarray(part) for part in (fitted, held_out))
    sizes = sizes_of(fitted, held_out)
    adam = {"name": "Adam", "learning_rate": LEARNING_RATE}
    configuration, loss, optimizer = parts_of(configuration, "MSE", adam)
    configuration = configuration or default_configuration("dense", sizes)
    steps_per_epoch = -(-len(fitted) // BATCH_SIZE)
    epochs = epochs or int(np.clip(STEPS // steps_per_epoch, LEAST_EPOCHS, MOST_EPOCHS))
    members, histories = [], []
    for number in range(MEMBERS):
        member_seed = seed * MEMBERS + number
        member = build(configuration, "dense", sizes, fitted[:2], member_seed)
        trainer = pg.Trainer(
            member, loss, optimizer, {"name": "Cosine"},
            epochs=epochs, batch_size=BATCH_SIZE, validation=(held_out, held_out), seed=member_seed,
            callbacks=[Progress(f"autoencoder {number + 1} of {MEMBERS}")], progress=False,
        )  # fmt: skip
        histories.append(trainer.fit(fitted))
        say(f"autoencoder {number + 1} of {MEMBERS}: {epochs} epochs, {_last(histories[-1])}")
        members.append(member)
    average = restore({"layer": "Average", "layers": [filled(configuration, sizes)] * MEMBERS})
    average.initialize(fitted.shape[1:], seed=seed)
    average.layers = members
    return average.gather(), histories


def train_sequence(fitted, held_out, seed=0, epochs=None, say=lambda text: None, configuration=None):
    """Train one autoencoder of the order of tokens; (the Layer, [its History]).

    fitted, held_out: int64 (rows, length), see `sequence.tokens`. The other arguments and errors: as for
    `train_autoencoders`. Of more than SEQUENCE_ROWS rows a sample is learnt from, drawn by the seed.
    """
    sizes = sizes_of(fitted, held_out)
    fitted, held_out = _sample(fitted, SEQUENCE_ROWS, seed), _sample(held_out, SEQUENCE_ROWS // 10, seed)
    say(f"sequences of up to {sizes['length']} lines; learning from {len(fitted):,} of the rows")
    steps_per_epoch = -(-len(fitted) // BATCH_SIZE)
    epochs = epochs or int(np.clip(SEQUENCE_STEPS // steps_per_epoch, LEAST_EPOCHS, SEQUENCE_EPOCHS))
    adam = {"name": "Adam", "learning_rate": LEARNING_RATE}
    cross_entropy = {"name": "CrossEntropy", "ignore_index": PADDING}
    configuration, loss, optimizer = parts_of(configuration, cross_entropy, adam)
    layer = build(configuration or default_configuration("sequence", sizes), "sequence", sizes, fitted[:2], seed)
    trainer = pg.Trainer(
        layer, loss, optimizer, {"name": "Cosine"}, epochs=epochs, batch_size=BATCH_SIZE,
        validation=(held_out, held_out), seed=seed, clip_norm=1.0, callbacks=[Progress("model of sequences")],
        progress=False,
    )  # fmt: skip
    history = trainer.fit(fitted)
    say(f"model of sequences: {epochs} epochs, {_last(history)}")
    return layer, [history]


def sizes_of(fitted, held_out):
    """The sizes that a configuration may name, by the rows that are trained on."""
    if fitted.dtype.kind == "i":
        return {"vocabulary": int(max(fitted.max(), held_out.max())) + 1, "length": fitted.shape[1]}
    return {"columns": fitted.shape[1]}


def shown_configuration(described):
    """A configuration as the JSON text that --show-config prints."""
    return json.dumps(described, indent=2)


def _sample(rows, most, seed):
    if len(rows) <= most:
        return np.ascontiguousarray(rows)
    chosen = np.random.Generator(np.random.Philox(seed)).permutation(len(rows))[:most]
    return np.ascontiguousarray(rows[np.sort(chosen)])


def _last(history):
    best = history.rows[(history.best_epoch or len(history)) - 1]
    return f"held-out loss {best['validation_loss']:.4f} at epoch {best['epoch']} (training {best['loss']:.4f})"
