"""What can be hung into a training."""

import contextlib
import sys

from plugrad.compiling import shown_by


class Callback:
    """Base of all callbacks: every method may be left out. `trainer` is the Trainer; setting `trainer.stop` to True
    ends the training after the current epoch.
    """

    def on_train_start(self, trainer):
        """Before the first step; trainer.epochs, trainer.steps_per_epoch and trainer.model are set."""

    def on_step_end(self, trainer, step, loss):
        """After each update. step: 1 for the first of the training; loss: its value as a float."""

    def on_epoch_end(self, trainer, row):
        """After each epoch and its validation; `row` is the History's row, to which numbers may be added."""

    def on_train_end(self, trainer):
        """After the last epoch, however the training ended."""


class Progress(Callback):
    """A progress bar on standard error, with rate and time left; nothing where that is not a terminal."""

    def __init__(self, description="training"):
        self.description = description
        self.bar = None
        self.exit = contextlib.ExitStack()

    def on_train_start(self, trainer):
        if not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = [
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[shown]}"),
            TimeRemainingColumn(),
        ]
        self.bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self.bar.start()
        self.task = self.bar.add_task(self.description, total=trainer.epochs, completed=trainer.epoch, shown="")
        self.exit.enter_context(shown_by(lambda text: self.bar.update(self.task, shown=text or "")))

    def on_epoch_end(self, trainer, row):
        if self.bar is not None:
            rate = (row["step"] - trainer.first_step) / max(row["seconds"], 1e-9)
            held = f", validation {row['validation_loss']:.4g}" if "validation_loss" in row else ""
            self.bar.update(
                self.task, completed=row["epoch"], shown=f"loss {row['loss']:.4g}{held} · {rate:,.0f} steps/s"
            )

    def on_train_end(self, trainer):
        self.exit.close()
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
