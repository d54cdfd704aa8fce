"""The running mean of a model's weights."""

import contextlib

import numpy as np

from plugrad.kernels import optimizer as kernels


class WeightAverage:
    """An exponential moving average of all that is trained, and of running statistics (Polyak & Juditsky 1992).

    After step t: mean += (1 - d) * (weights - mean), d = min(decay, (1 + t) / (10 + t)): the means of the first steps
    forget the initial weights sooner. A sparse parameter is averaged whole at every step.

    model: initialised; what its store holds when this is made is averaged. decay: in [0, 1).
    """

    def __init__(self, model, decay):
        self.decay = decay
        store = model.store
        weights = [store.values[: store.gradients.size]]
        weights += [table.parameter.data.reshape(-1) for table in store.tables]
        self._weights = [(w, w.copy()) for w in weights]
        states = [state for _, state in model.named_states() if state.value.dtype.kind == "f"]
        self._states = [(state, np.array(state.value)) for state in states]

    def update(self, step):
        """Take the weights after a step (1 for the first) into the mean."""
        gain = 1 - min(self.decay, (1 + step) / (10 + step))
        for weights, mean in self._weights:
            kernels.average(weights, mean, weights.dtype.type(gain))
        for state, mean in self._states:
            mean += mean.dtype.type(gain) * (state.value - mean)

    def swap(self):
        """Exchange the model's weights and their mean."""
        for weights, mean in self._weights:
            kernels.swap(weights, mean)
        for state, mean in self._states:
            kept = np.array(mean)
            mean[...] = state.value
            state.value = kept

    @contextlib.contextmanager
    def applied(self):
        """A context in which the model has the mean for its weights."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    def named(self):
        """(name, array) for everything that is kept between steps."""
        yield "weights", self._weights[0][1]
        for number, (_, mean) in enumerate(self._weights[1:]):
            yield f"sparse.{number}", mean
        for number, (_, mean) in enumerate(self._states):
            yield f"state.{number}", mean
