"""A file that grows → findings as they come, with a state from which the next run goes on."""

import hashlib
import time

import numpy as np

from plugrad.errors import InputError, PlugradError
from plugrad_anomaly.follow import Follower
from plugrad_anomaly.stream_state import load_state, save_state

VERSION = 1
SAVE_SECONDS = 5.0  # a state is saved after findings at once, and otherwise so often


class Watch:
    """Scores what is added to a file.

    detector, threshold: as `saved.load` gives them. path: the file. state_path: where the state is kept, or None.
    model_path: the model's file, whose content tells whether a state belongs to it. from_start: score what is in the
    file already, where no state says otherwise.

    rows: how many rows were scored, of all runs with this state. lost: see `Follower`.

    Raises InputError for a state that belongs to another model or file, or is damaged.
    """

    def __init__(self, detector, threshold, path, model_path, state_path=None, from_start=False):
        self.detector, self.threshold, self.state_path = detector, threshold, state_path
        self.rows = 0
        with open(model_path, "rb") as file:
            self.about = {"version": VERSION, "model": hashlib.file_digest(file, "sha256").hexdigest()}
        advice = "remove it to begin anew"
        saved = load_state(state_path, advice) if state_path else None
        if saved is None:
            self.stream = detector.stream()
            self.follower = Follower(path, at_end=not from_start, boundary=self.stream.boundary)
        else:
            self._go_on(path, saved, advice)
        self.saved_at = time.monotonic()

    @property
    def lost(self):
        """How often a file that was not read to its end could not be found again."""
        return self.follower.lost

    def poll(self, settled=False):
        """(ScoredRows, their numbers from 1) for each batch of rows that closed; empty where nothing is new.

        settled: see `Follower.poll`.
        """
        found = []
        for chunk in self.follower.poll(settled):
            found += self._numbered(self.stream.add(self.stream.prepare(chunk)))
        return found

    def close_open_rows(self):
        """The same for rows that would wait for more lines: for a log that has gone quiet."""
        found = self.poll(settled=True) + self._numbered(self.stream.finish())
        self.stream = self.detector.stream()
        return found

    def save(self, at_once=True):
        """Save the state; at_once: also if it was saved a moment ago."""
        now = time.monotonic()
        if self.state_path is None or not (at_once or now - self.saved_at >= SAVE_SECONDS):
            return
        state, arrays = self.stream.state()
        about = self.about | {"rows": self.rows, "follower": self.follower.state(), "stream": state}
        try:
            save_state(self.state_path, about, arrays)
        except OSError as error:
            raise InputError(f"cannot be written ({error.strerror})", self.state_path) from None
        self.saved_at = now

    def _numbered(self, scored):
        numbers = np.arange(self.rows + 1, self.rows + 1 + scored.size)
        self.rows += scored.size
        above = scored.scores > self.threshold
        return [(scored.where(above), numbers[above].tolist())] if above.any() else []

    def _go_on(self, path, saved, advice):
        about, arrays = saved
        for name, value in self.about.items():
            if about.get(name) != value:
                raise InputError(f"belongs to another {name} of the model; {advice}", self.state_path)
        try:
            self.stream = self.detector.stream_from(about["stream"], arrays)
            self.follower = Follower(path, about["follower"], boundary=self.stream.boundary)
            self.rows = int(about["rows"])
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, PlugradError) as error:
            raise InputError(f"is damaged ({type(error).__name__}); {advice}", self.state_path) from None
