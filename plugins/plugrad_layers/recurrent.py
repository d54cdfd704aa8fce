"""Recurrent layers: LSTM, GRU and the simple one, stacked and in both directions."""

import math
from dataclasses import dataclass

import numpy as np

import plugrad as pg
from plugrad.errors import InputError, PlugradError, ShapeError

ACTIVATIONS = ("tanh", "relu")


@dataclass
class Recurrent(pg.Layer):
    """What the recurrent layers share; see LSTM. A subclass tells its gates, its states and the op that walks."""

    units: int
    layers: int = 1
    bidirectional: bool = False
    return_sequences: bool = True
    dropout: float = 0.0
    initializer: str | dict = "GlorotUniform"
    recurrent_initializer: str | dict = "Orthogonal"

    gates, states = 1, 1
    bias_names = ("bias",)

    def __post_init__(self):
        name = type(self).__name__
        for field in ("units", "layers"):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"{name}: {field} must be a whole number from 1, got {value!r}")
        for field in ("bidirectional", "return_sequences"):
            if not isinstance(getattr(self, field), bool):
                raise InputError(f"{name}: {field} must be true or false, got {getattr(self, field)!r}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"{name}: dropout must be in [0, 1), got {self.dropout!r}")

    def build(self, input_shape, rng):
        if len(input_shape) != 2:
            raise ShapeError(f"{type(self).__name__}: expected samples of shape (length, features), got {input_shape}")
        first = pg.registry().create("initializers", self.initializer)
        recurrent = pg.registry().create("initializers", self.recurrent_initializer)
        features = input_shape[1]
        for level in range(self.layers):
            for way in self._ways():
                for name, make, rows in (("weight", first, features), ("recurrent_weight", recurrent, self.units)):
                    # Each gate has a matrix of its own, whose fans and whose orthogonality are its own.
                    blocks = [make((rows, self.units), rng) for _ in range(self.gates)]
                    setattr(self, f"{name}_{level}{way}", pg.Parameter(np.concatenate(blocks, axis=1)))
                for name in self.bias_names:
                    setattr(self, f"{name}_{level}{way}", pg.Parameter(self._first_bias(), decay=False))
            features = self.units * len(self._ways())

    def _ways(self):
        """What the names of each direction's parameters end with."""
        return ("", "_reverse") if self.bidirectional else ("",)

    def _first_bias(self):
        return np.zeros(self.gates * self.units)

    def _walk(self, x, parameters, states, **options):
        raise PlugradError(f"{type(self).__name__} does not say which op walks over its sequences")

    def _direction(self, x, level, way, states, lengths, returns):
        names = ("weight", "recurrent_weight", *self.bias_names)
        parameters = [getattr(self, f"{name}_{level}{way}") for name in names]
        return self._walk(x, parameters, states, lengths=lengths, reverse=bool(way), returns=returns)

    def _level_input(self, x, level):
        """What a level is given of the output of the one before."""
        if not level or not self.dropout or not pg.is_training():
            return x
        return pg.dropout(x, self.dropout, pg.mode.training.next_draw())

    def forward(self, x, mask=None):
        lengths = self._lengths(x, mask)
        for level in range(self.layers):
            x = self._level_input(x, level)
            last = level == self.layers - 1 and not self.return_sequences
            parts = [
                self._direction(x, level, way, [None] * self.states, lengths, "last" if last else "sequence")
                for way in self._ways()
            ]
            x = parts[0] if len(parts) == 1 else pg.concat(parts, axis=-1)
        return x

    def run(self, x, state=None, mask=None):
        """The output for x, and the state after it: to go on from with what follows.

        x (batch, length, features), mask (batch, length) or None. state: what an earlier call returned, or None for
        zeros; a tuple of Tensors (batch, units), for each level its hidden state and, for an LSTM, its cell.
        Returns (output, state). The state has its gradient; for truncated backpropagation through time (Williams &
        Peng 1990) detach it between the stretches of a sequence:

            state = None
            for part in parts:                                      # (batch, length, features) each
                output, state = layer.run(part, state)
                loss(output, ...).backward()
                state = [s.detach() for s in state]

        Raises InputError for a bidirectional layer, whose way back would begin in the future.
        """
        name = type(self).__name__
        if self.bidirectional:
            raise InputError(f"{name}: run goes forward in time; a bidirectional layer has no state to go on from")
        if getattr(self, "weight_0", None) is None:
            raise PlugradError(f"{name} has no parameters yet: call initialize(input_shape) first")
        count = self.layers * self.states
        state = [None] * count if state is None else list(state)
        if len(state) != count:
            raise InputError(f"{name}: expected a state of {count} tensors, got {len(state)}")
        x = x if isinstance(x, pg.Tensor) else pg.Tensor(x)
        lengths, after = self._lengths(x, mask), []
        for level in range(self.layers):
            before = state[level * self.states : (level + 1) * self.states]
            x, *ends = self._direction(self._level_input(x, level), level, "", before, lengths, "state")
            after += ends
        return (x if self.return_sequences else after[-self.states]), tuple(after)

    def _lengths(self, x, mask):
        """How many positions at the beginning of each sequence a mask keeps; None without a mask."""
        if mask is None:
            return None
        kept = np.asarray(mask.data if isinstance(mask, pg.Tensor) else mask) != 0
        name = type(self).__name__
        if kept.shape != x.shape[:2]:
            raise ShapeError(f"{name}: expected a mask {x.shape[:2]} for an input {x.shape}, got {kept.shape}")
        late = (kept[:, 1:] > kept[:, :-1]).any(axis=1)
        if late.any():
            raise InputError(
                f"{name}: the mask of sequence {late.argmax()} keeps a position behind one that it leaves out; "
                "only padding at the end can be masked"
            )
        return kept.sum(axis=1)


@dataclass
class LSTM(Recurrent):
    """Long short-term memory over sequences (Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000).

    Input (batch, length, features) -> output (batch, length, units), or (batch, units), the last state of each
    sequence, without return_sequences; bidirectional layers put both directions side by side: 2 * units.
    A mask (batch, length) marks the positions to keep: padding at the end is not walked over, and its output is 0.

    units: width of the state. layers: how many lie on one another. bidirectional: walk from both ends (Schuster &
    Paliwal 1997). return_sequences: the states of all steps or the last one alone. dropout: the share of a layer's
    output that is dropped in training before the next one (Zaremba et al. 2014). initializer, recurrent_initializer:
    a registered initializer for each gate's matrix, by name or as a mapping of "name" and its fields.
    forget_bias: the forget gate's first bias; 1 keeps what is in the cell at first (Jozefowicz et al. 2015).

    Parameters: weight_<level> (features, 4 * units), recurrent_weight_<level> (units, 4 * units), bias_<level>
    (4 * units,), and the same with _reverse behind it, gates in the order i, f, g, o: PyTorch's weights transposed, its
    two biases added. `run` goes on from a state, for long sequences in parts.

    Raises InputError for a field out of range and for a mask with gaps, ShapeError for input of another shape.
    """

    forget_bias: float = 1.0

    gates, states = 4, 2

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.forget_bias, int | float) or not math.isfinite(self.forget_bias):
            raise InputError(f"LSTM: forget_bias must be a number, got {self.forget_bias!r}")

    def _first_bias(self):
        bias = super()._first_bias()
        bias[self.units : 2 * self.units] = self.forget_bias
        return bias

    def _walk(self, x, parameters, states, **options):
        return pg.lstm(x, *parameters, *states, **options)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(3, layers=2, bidirectional=True, dropout=0.25), (4, 2)


@dataclass
class GRU(Recurrent):
    """Gated recurrent units over sequences (Cho et al. 2014), in the form of cuDNN and PyTorch.

    Input, output, fields and errors as of LSTM, without forget_bias. Parameters: weight_<level> (features, 3 * units),
    recurrent_weight_<level> (units, 3 * units), bias_<level> and recurrent_bias_<level> (3 * units,), gates in the
    order r, z, n: PyTorch's weights transposed.
    """

    gates = 3
    bias_names = ("bias", "recurrent_bias")

    def _walk(self, x, parameters, states, **options):
        return pg.gru(x, *parameters, *states, **options)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(3, bidirectional=True, return_sequences=False), (4, 2)


@dataclass
class RNN(Recurrent):
    """The simple recurrent layer h = activation(x · weight + h · recurrent_weight + bias) over sequences (Elman 1990).

    Input, output, fields and errors as of LSTM, without forget_bias. activation: "tanh" or "relu". Parameters:
    weight_<level> (features, units), recurrent_weight_<level> (units, units), bias_<level> (units,).
    """

    activation: str = "tanh"

    def __post_init__(self):
        super().__post_init__()
        if self.activation not in ACTIVATIONS:
            raise InputError(f"RNN: expected an activation among {', '.join(ACTIVATIONS)}, got {self.activation!r}")

    def _walk(self, x, parameters, states, **options):
        return pg.rnn(x, *parameters, *states, activation=self.activation, **options)

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls(3, layers=2), (4, 2)
