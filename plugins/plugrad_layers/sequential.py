"""Layers one after another."""

import inspect
from dataclasses import dataclass

import plugrad as pg
from plugrad.errors import InputError, ShapeError
from plugrad_layers.dense import Dense

# Weights of consecutive dense layers are read anew for every block of rows: they should fit into the second-level
# cache.
STACK_BYTES = 1 << 20


def takes_mask(layer):
    """Whether a layer's forward is `forward(x, mask, ...)`."""
    return list(inspect.signature(layer.forward).parameters)[1:2] == ["mask"]


def _folded(layer, following, x):
    """The output of two layers of which the second only scales, by one call; None where that cannot be."""
    scaling = following.as_scaling()
    if scaling is None or not layer._built:
        return None
    try:
        return layer.scaled(x, *scaling)
    except ShapeError:  # the layer itself says where it happened
        return None


def _run(layers, arrays, activations, x):
    """The output of consecutive dense layers; one alone, or one that x does not fit, goes its usual way."""
    if len(layers) == 1 or x.shape[-1:] != arrays[0].shape[:1]:
        for layer in layers:
            x = layer(x)
        return x
    return pg.dense_stack(x, *arrays, activations=tuple(activations))


@dataclass
class Sequential(pg.Layer):
    """Each layer on the output of the one before. Input: the first's -> output: the last's; no layers: the identity.

    `mask` is passed on to those layers whose forward takes one. Raises InputError for a list that holds something else.
    """

    layers: list

    def __post_init__(self):
        if not isinstance(self.layers, list | tuple):
            raise InputError(f"Sequential: expected a list of layers, got {type(self.layers).__name__}")
        for number, layer in enumerate(self.layers):
            if not isinstance(layer, pg.Layer):
                raise InputError(f"Sequential: number {number} of its layers is a {type(layer).__name__}, not a layer")

    def forward(self, x, mask=None):
        if mask is None and pg.mode.watch is None and pg.mode.builder is None:
            return self._in_stacks(x)
        for layer in self.layers:
            # Looked up only where there is a mask: the signature costs more than a small layer's arithmetic.
            x = layer(x, mask) if mask is not None and takes_mask(layer) else layer(x)
        return x

    def _in_stacks(self, x):
        """The same as layer by layer, with consecutive dense layers computed by one call.

        In prediction a layer that does no more than scale and shift is computed by the one before where that can.
        """
        waiting, arrays, activations, size = [], [], [], 0
        folding = not pg.mode.recording and pg.mode.training is None
        folded = None
        for layer, following in zip(self.layers, [*self.layers[1:], None], strict=False):
            if layer is folded:
                folded = None
                continue
            dense = layer.as_dense()
            if dense is None:
                x = _run(waiting, arrays, activations, x) if waiting else x
                waiting, arrays, activations, size = [], [], [], 0
                both = _folded(layer, following, x) if folding and following is not None else None
                x, folded = (layer(x), None) if both is None else (both, following)
                continue
            weight = dense[0].data
            size += weight.nbytes
            if size > STACK_BYTES and waiting:
                x = _run(waiting, arrays, activations, x)
                waiting, arrays, activations, size = [], [], [], weight.nbytes
            waiting.append(layer)
            arrays += dense[:2]
            activations.append(dense[2])
        return _run(waiting, arrays, activations, x) if waiting else x

    @classmethod
    def example(cls):
        """What `plugrad.testing.check_plugin` tries this layer with."""
        return cls([Dense(5, activation="silu"), Dense(2)]), (3,)
