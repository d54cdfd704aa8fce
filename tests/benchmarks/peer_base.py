"""What the frameworks share: the loops around a step and a forward pass."""

import contextlib
import time

# Sizes of batches that a framework may score rows in, tried on as many rows as the largest has.
SCORE_SIZES = (256, 1024, 4096, 16384)
SCORE_TRIES = 6


class Peer:
    """A framework with one case loaded. A subclass defines `load`, `reset`, `step`, `forward` and `arrays`.

    load(case, initial, batches, learning_rate) makes the model; a reset is back to the initial weights.
    step(x, y) trains on one batch and returns the loss, forward(x) the output; both take what `arrays` made.
    """

    version = ""

    def settle(self, result):
        """Wait until `result` is computed, where calls return earlier than that."""

    def predicting(self):
        """A context for predictions, entered once around many of them."""
        return contextlib.nullcontext()

    def arrays(self, array):
        """A NumPy array as the framework's own."""
        return array

    def numbers(self, result):
        """What `forward` returned as a NumPy array."""
        return result

    def training(self, steps):
        """That many training steps, batch after batch."""
        step, batches = self.step, self.batches
        result = None
        for i in range(steps):
            result = step(*batches[i % len(batches)])
        self.settle(result)

    def inference(self, steps):
        """The output for that many batches."""
        batches = self.batches
        with self.predicting():
            forward, result = self.forward, None
            for i in range(steps):
                result = forward(batches[i % len(batches)][0])
            self.settle(result)

    def losses(self, steps):
        """The losses of the first steps from the initial weights."""
        self.reset()
        return [self.step(*self.batches[i % len(self.batches)]).item() for i in range(steps)]

    def outputs(self):
        """The first batch's output from the initial weights."""
        self.reset()
        with self.predicting():
            return self.numbers(self.forward(self.batches[0][0])).ravel()

    def prepare_scoring(self, rows, out):
        """Take the rows to score and the array for what comes out, and find the size of batch that is quickest."""
        self.rows, self.out = rows, out
        times = {}
        for size in SCORE_SIZES:
            self.score_size = size
            times[size] = min(self._seconds(SCORE_SIZES[-1]) for _ in range(SCORE_TRIES))
        self.score_size = min(times, key=times.get)

    def scoring(self, steps):
        """All rows, that many times."""
        for _ in range(steps):
            self._score(len(self.rows))

    def _seconds(self, count):
        begin = time.perf_counter()
        self._score(count)
        return time.perf_counter() - begin

    def _score(self, count):
        size = self.score_size
        with self.predicting():
            for at in range(0, count, size):
                x = self.rows[at : at + size]
                self.out[at : at + len(x)] = self.numbers(self.forward(self.arrays(x)))
