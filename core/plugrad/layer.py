"""A Layer: fields that are its configuration, `build` that makes parameters, `forward` that uses them."""

import math
from typing import ClassVar

import numpy as np

from plugrad.errors import PlugradError, ShapeError
from plugrad.mode import building, mode, predicting
from plugrad.parameters import Parameter, ParameterStore, State
from plugrad.tensor import Tensor


class Layer:
    """Base of all layers. A subclass is a dataclass: its fields are what is saved as its configuration.

    Fields may hold numbers, texts, booleans, None, lists and dicts of these, and layers (or lists of layers). A
    subclass defines `forward(self, x, ...)` over Tensors and, where it has parameters, `build(self, input_shape, rng)`,
    which assigns `Parameter`s and `State`s, or lists of them, to attributes; input_shape is one sample's shape, without
    the batch axis.
    """

    version: ClassVar[int] = 1  # of its fields, see configuration.py
    mixes_samples: ClassVar[bool] = False  # in prediction, so that the conformance kit does not refuse it
    _name = None
    _built = False
    store = None

    def build(self, input_shape, rng):
        """Make the parameters for samples of `input_shape`, drawing from the numpy Generator `rng`."""

    def forward(self, x):
        """The layer's output for a batch."""
        raise PlugradError(f"{type(self).__name__} does not define forward(self, x)")

    def as_dense(self):
        """(weight, bias or None, activation) for a layer that is `plugrad.dense` of these on its input, else None.

        A container may compute a run of such layers by one call of `plugrad.dense_stack`.
        """
        return None

    def as_scaling(self):
        """(scale, shift, activation) for a layer that in prediction is activation(x * scale + shift), else None.

        scale, shift: arrays, one number for each feature of the last axis. activation: a name that `plugrad.dense`
        takes, or None. A container may let the layer before do this, by its `scaled`.
        """
        return None

    def scaled(self, x, scale, shift, activation):
        """activation(this layer's output * scale + shift) in one, for predictions; None for a layer that cannot."""
        return None

    def __call__(self, *inputs):
        if not self._built:
            if mode.builder is None:
                raise PlugradError(f"{self.label} has no parameters yet: call model.initialize(input_shape) first")
            mode.builder.build(self, inputs)
        try:
            if len(inputs) == 1 and isinstance(inputs[0], Tensor):
                output = self.forward(inputs[0])
            else:
                output = self.forward(*[x if isinstance(x, Tensor) or x is None else Tensor(x) for x in inputs])
        except ShapeError as error:
            if getattr(error, "layer", None) is None:  # the innermost layer is the one to name
                shapes = ", ".join(str(np.shape(x.data if isinstance(x, Tensor) else x)) for x in inputs)
                named = ShapeError(f"{self.label}, given {shapes}: {error}")
                named.layer = self
                raise named from None
            raise
        if mode.watch is not None:
            mode.watch(self, output)
        return output

    @property
    def label(self):
        """The layer's place in its model and its class, for messages: `layers.0 (Dense)`."""
        return f"{self._name} ({type(self).__name__})" if self._name else type(self).__name__

    def initialize(self, input_shape, seed=0, dtype=np.float32, sample=None, rng_limit=None):
        """Build this layer and those in it by one dry pass, and put all parameters in one flat store.

        input_shape: one sample's shape, without the batch axis. seed: decides the initial values.
        dtype: float32, or float64 for checking gradients. sample: a batch to pass instead of zeros (tokens).
        rng_limit: the most random numbers that one draw may ask for (when the configuration comes from a stranger).
        Returns the layer itself.
        """
        for path, layer in self.named_layers():
            layer._name = path
            layer._built = False
        batch = np.zeros((2, *input_shape), dtype) if sample is None else np.asarray(sample)
        with predicting(), building(_Builder(seed, np.dtype(dtype), rng_limit)):
            self(batch)
        unbuilt = [layer.label for _, layer in self.named_layers() if not layer._built]
        if unbuilt:
            raise PlugradError(
                f"the dry pass did not reach {', '.join(unbuilt)}: every layer in a field must be used by forward"
            )
        self.gather()
        self.input_shape, self.input_dtype = tuple(input_shape), batch.dtype
        return self

    def gather(self):
        """Put all parameters of this layer and those in it, with their present values, in one new flat store."""
        for path, layer in self.named_layers():
            layer._name = path
        self.store = ParameterStore(p for _, p in self.named_parameters())
        return self

    def named_layers(self, prefix=""):
        """(path, layer) for this layer and all layers in its fields, in order; this layer's own path is ''."""
        yield prefix, self
        for name, value in vars(self).items():
            if name == "store":
                continue
            for path, child in _children(name, value):
                yield from child.named_layers(f"{prefix}.{path}" if prefix else path)

    def _named(self, kind):
        for path, layer in self.named_layers():
            for name, value in _own(layer, kind):
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(self):
        """(path, Parameter) pairs, in order; a parameter used twice comes twice."""
        return self._named(Parameter)

    def named_states(self):
        """(path, State) pairs, in order."""
        return self._named(State)

    def predict(self, x, batch_size=4096):
        """The output for x as a NumPy array, in prediction mode, `batch_size` rows at a time."""
        x = np.asarray(x)
        with predicting():
            parts = [self(x[i : i + batch_size]).data for i in range(0, max(len(x), 1), batch_size)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @property
    def parameter_count(self):
        """How many numbers are trained, tied weights once."""
        return sum(p.size for p in {id(p): p for _, p in self.named_parameters()}.values())


def _children(name, value):
    if isinstance(value, Layer):
        yield name, value
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _children(f"{name}.{number}", item)


def _own(layer, kind):
    """(name, Parameter or State) of a layer's own attributes, those in lists by their number."""
    for name, value in vars(layer).items():
        if isinstance(value, kind):
            yield name, value
        elif isinstance(value, list | tuple):
            for number, item in enumerate(value):
                if isinstance(item, kind):
                    yield f"{name}.{number}", item


class _Builder:
    """Builds each layer when the dry pass first reaches it, with random numbers that depend on its place alone."""

    def __init__(self, seed, dtype, rng_limit):
        self.seed, self.dtype, self.rng_limit = seed, dtype, rng_limit

    def build(self, layer, inputs):
        layer._built = True
        place = np.frombuffer(f"{layer._name}".encode(), np.uint8)
        bits = np.random.Philox(np.random.SeedSequence([self.seed, *place.tolist()]))
        rng = np.random.Generator(bits) if self.rng_limit is None else _LimitedGenerator(bits, self.rng_limit)
        first = inputs[0]
        layer.build(tuple(np.shape(first.data if isinstance(first, Tensor) else first))[1:], rng)
        for _, parameter in _own(layer, Parameter):
            parameter.data = np.ascontiguousarray(parameter.data, dtype=self.dtype)
        for _, state in _own(layer, State):
            if state.value.dtype.kind == "f":
                state.value = state.value.astype(self.dtype)


class _LimitedGenerator(np.random.Generator):
    """A Generator that refuses a draw larger than a model file could hold, before it takes the memory."""

    def __init__(self, bits, limit):
        super().__init__(bits)
        self._limit = limit

    def _checked(self, size):
        count = math.prod(size) if isinstance(size, tuple | list) else int(size or 1)
        if count > self._limit:
            raise PlugradError(f"a layer asks for {count} values; the file holds {self._limit}")
        return size

    def normal(self, loc=0.0, scale=1.0, size=None):
        return super().normal(loc, scale, self._checked(size))

    def uniform(self, low=0.0, high=1.0, size=None):
        return super().uniform(low, high, self._checked(size))

    def standard_normal(self, size=None, *args, **kwargs):
        return super().standard_normal(self._checked(size), *args, **kwargs)

    def random(self, size=None, *args, **kwargs):
        return super().random(self._checked(size), *args, **kwargs)
