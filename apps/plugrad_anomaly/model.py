"""Autoencoders out of registered layers, and their training."""

import numpy as np

import plugrad as pg
from plugrad.callbacks import Progress

# Several small ones, differently initialised: what one of them cannot rebuild by chance, the others can.
MEMBERS = 4
BATCH_SIZE = 64
LEARNING_RATE = 2e-3
# A member is trained for about as many steps whatever the number of rows, within these numbers of epochs.
STEPS = 10_000
LEAST_EPOCHS, MOST_EPOCHS = 3, 100


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


def train_autoencoders(fitted, held_out, seed=0, epochs=None, say=lambda text: None):
    """Train MEMBERS autoencoders on standardised rows; (one Layer that averages them, their Histories).

    fitted, held_out: float32 (rows, columns); the held-out rows choose the epoch whose weights are kept.
    seed: a whole number from 0; epochs: None chooses by the number of rows.
    """
    from plugrad.configuration import restore

    fitted, held_out = (np.ascontiguousarray(part) for part in (fitted, held_out))
    columns = fitted.shape[1]
    code = int(np.clip(columns // 3, 4, 16))
    steps_per_epoch = -(-len(fitted) // BATCH_SIZE)
    epochs = epochs or int(np.clip(STEPS // steps_per_epoch, LEAST_EPOCHS, MOST_EPOCHS))
    average = restore({"layer": "Average", "layers": [autoencoder(columns, code)] * MEMBERS})
    average.initialize((columns,), seed=seed)
    histories = []
    for number, member in enumerate(average.layers):
        member.initialize((columns,), seed=seed * MEMBERS + number)
        trainer = pg.Trainer(
            member, "MSE", {"name": "Adam", "learning_rate": LEARNING_RATE}, {"name": "Cosine"},
            epochs=epochs, batch_size=BATCH_SIZE, validation=(held_out, held_out), seed=seed * MEMBERS + number,
            callbacks=[Progress(f"autoencoder {number + 1} of {MEMBERS}")], progress=False,
        )  # fmt: skip
        histories.append(trainer.fit(fitted))
        say(f"autoencoder {number + 1} of {MEMBERS}: {epochs} epochs, {_last(histories[-1])}")
    return average.gather(), histories


def _last(history):
    best = history.rows[(history.best_epoch or len(history)) - 1]
    return f"held-out loss {best['validation_loss']:.4f} at epoch {best['epoch']} (training {best['loss']:.4f})"
