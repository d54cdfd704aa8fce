"""What the current thread is doing: recording for gradients or not, training or not, being watched or not."""

import contextlib
import threading

from plugrad.errors import ShapeError

_MASK = (1 << 64) - 1


class Mode(threading.local):
    """The state that ops and layers look at; every thread has its own."""

    def __init__(self):
        self.recording = True
        self.training = None  # a RandomStream while training
        self.builder = None  # makes the parameters of layers met for the first time
        self.watch = None  # called with (layer, output) after every layer


mode = Mode()


class RandomStream:
    """Where the random numbers of one training step come from: (seed, step, number of the draw, element).

    Counter-based (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a number depends on its
    place alone, so the threads cannot change it and a resumed run needs no generator's state.
    """

    __slots__ = ("added", "draws", "seed", "step")

    def __init__(self, seed, step):
        self.seed, self.step, self.draws = seed & _MASK, step & 0xFFFFFFFF, 0
        self.added = None  # what layers add to the loss of this step

    def next_draw(self):
        """The key of the next draw in this step: (seed, step, draw)."""
        self.draws += 1
        return self.seed, self.step, self.draws


class _Setting(contextlib.ContextDecorator):
    """A context in which attributes of `mode` have other values; a class, since a generator costs 1 µs more a step."""

    def __init__(self, **values):
        self.values, self.before = values, []

    def __enter__(self):
        state, before = mode.__dict__, {}  # of this thread
        for name, value in self.values.items():
            before[name] = state[name]
            state[name] = value
        self.before.append(before)
        return value

    def __exit__(self, *failure):
        mode.__dict__.update(self.before.pop())


def no_grad():
    """A context in which nothing is recorded: for predictions, where no gradient will be asked for."""
    return _Setting(recording=False)


def recording():
    """A context in which ops are recorded, also inside `no_grad()`."""
    return _Setting(recording=True)


def training(seed=0, step=0):
    """A context in which layers behave as in training: dropout drops, normalisation uses and updates batch statistics.

    seed, step: with the same two, all random draws inside are the same.
    """
    return _Setting(training=RandomStream(seed, step))


def predicting():
    """A context in which layers behave as in prediction and nothing is recorded, also inside `training()`."""
    return _Setting(training=None, recording=False)


def watching(function):
    """A context in which function(layer, output) is called after every layer."""
    return _Setting(watch=function)


def building(builder):
    """A context in which layers met for the first time are built by builder.build(layer, inputs)."""
    return _Setting(builder=builder)


def add_loss(value):
    """Add to the loss of the training step that runs: a layer's own penalty, on its activations or its balance.

    value: a Tensor of one element, made by ops. Outside `training()` it is left aside, so a validation loss is that of
    the predictions alone. A loop of one's own adds it by `total_loss`.
    """
    if mode.training is not None:
        if getattr(value, "size", None) != 1:
            raise ShapeError(f"add_loss: expected a Tensor of one element, got {value!r}")
        mode.training.added = value if mode.training.added is None else mode.training.added + value


def total_loss(loss):
    """The loss and, in training, what layers have added to it since the step began; they are then forgotten."""
    stream = mode.training
    if stream is None or stream.added is None:
        return loss
    added, stream.added = stream.added, None
    return loss + added.reshape(loss.shape)


def is_training():
    """True inside `training()`."""
    return mode.training is not None
