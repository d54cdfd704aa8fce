"""Learning curves as a picture."""

import math

from plugrad.files import atomic_write

_OWN = {"epoch", "step", "loss", "validation_loss", "gradient_norm", "rate", "seconds"}


def draw(history, path, title):
    """Draw a History to `path`; the ending names the format, PNG if there is none."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metrics = [name for name in history.columns if name not in _OWN and not name.startswith("validation_")]
    panels = ["loss", *metrics, "gradient_norm", "rate"]
    panels = [name for name in panels if name in history.columns]
    figure = Figure(figsize=(4.6 * min(len(panels), 3), 3.6 * math.ceil(len(panels) / 3)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    epochs = history["epoch"]
    for place, name in enumerate(panels):
        axes = figure.add_subplot(math.ceil(len(panels) / 3), min(len(panels), 3), place + 1)
        _panel(axes, history, epochs, name)
    ending = str(path).rpartition(".")[2].lower()
    with atomic_write(path) as file:
        figure.savefig(file, format=ending if ending in ("png", "svg", "pdf") else "png", dpi=130)


def _panel(axes, history, epochs, name):
    marker = "o" if len(epochs) < 40 else None
    axes.plot(epochs, history[name], color="#1f6f8b", marker=marker, markersize=3, label="training")
    validation = f"validation_{name}"
    if validation in history.columns:
        axes.plot(epochs, history[validation], color="#d1495b", marker=marker, markersize=3, label="validation")
    if name in ("loss", "gradient_norm") and all(v > 0 for v in history[name] if not math.isnan(v)):
        axes.set_yscale("log")
    if history.best_epoch is not None and name == "loss":
        axes.axvline(history.best_epoch, color="#555555", linestyle=":", label=f"best: epoch {history.best_epoch}")
    if name == "loss" or validation in history.columns:
        axes.legend(frameon=False)
    axes.set_title(name.replace("_", " "))
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.25)
