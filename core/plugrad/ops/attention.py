"""Scaled dot-product attention (Vaswani et al. 2017)."""

import functools
import math

import numpy as np

from plugrad import arena
from plugrad.errors import InputError, ShapeError
from plugrad.kernels import attention as kernels
from plugrad.kernels.attention_backward import attention_backward
from plugrad.kernels.product import PARALLEL_WORK
from plugrad.op import op
from plugrad.ops.arrays import plain
from plugrad.ops.dropout import dropout_arguments
from plugrad.ops.matmul import places_of
from plugrad.tensor import as_data

_INTEGERS, _BOOLEANS = np.dtype(np.int64), np.dtype(bool)


class Attention:
    """One call: its sizes, its masks and its dropout, in the form that the kernels take; forward, then backward.

    lead: the axes before (length, width), whose product is the number of units, each a head of one sample.
    layout: for queries, keys, values and results (array (units,) of the elements before each unit's matrix, elements
    between its rows).
    """

    def __init__(self, name, dtype, lead, sizes, layout, is_causal, scale, rate, key):
        self.dtype, self.lead = dtype, lead
        self.length, self.source, self.width, self.value_width = sizes
        self.units = math.prod(lead)
        self.scale = dtype.type(1 / math.sqrt(self.width or 1) if scale is None else scale)
        seed, step, draw, threshold, self.keep = dropout_arguments(name, rate, key, dtype)
        self.random = np.array([seed, step, draw, threshold], np.uint64)
        self.bias, self.key_mask = np.empty(0, dtype), np.empty((0, 0), np.uint8)
        self.places = arena.empty((self.units, 5), _INTEGERS)
        self.places[:, kernels.BIAS_PLACE] = 0
        self.form = np.zeros(12, np.int64)
        group = self.units // lead[0] if lead and lead[0] else 1
        self.form[: kernels.Q_STEP] = sizes
        self.form[[kernels.CAUSAL, kernels.GROUP]] = bool(is_causal), max(group, 1)
        for column, (places, step) in enumerate(layout):
            self.places[:, column] = places
            self.form[kernels.Q_STEP + column] = step
        work = self.units * self.length * self.source * (self.width + self.value_width)
        self.shared = work >= PARALLEL_WORK
        self.scratch_shape = (kernels.SHARES, kernels.scratch_size(self.width, self.value_width))

    def set_bias(self, name, mask):
        """Take a mask that broadcasts to (*lead, length, source): booleans, False takes a key out, or addends."""
        full = (*self.lead, self.length, self.source)
        mask = mask.reshape((1,) * (2 - mask.ndim) + mask.shape)
        try:
            fits = np.broadcast_shapes(mask.shape, full) == full
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(f"{name}: mask {mask.shape} does not broadcast to {full}")
        if mask.dtype == bool:
            mask = np.where(mask, self.dtype.type(0), self.dtype.type(-np.inf))
        elif mask.dtype.kind != "f":
            raise InputError(f"{name}: expected a mask of booleans or floats, got {mask.dtype}")
        across = self.length == 1 or mask.shape[-2] > 1  # for each query its own
        mask = np.broadcast_to(mask, (*mask.shape[:-1], self.source))
        stored = plain(np.swapaxes(mask, -1, -2), self.dtype)
        self.bias = stored.reshape(-1)
        self.places[:, kernels.BIAS_PLACE] = places_of(stored, self.lead)
        self.form[[kernels.BIAS_STEP, kernels.BIAS_ACROSS]] = stored.shape[-1], across

    def set_key_mask(self, name, mask):
        """Take a mask (first axis of lead, source), 0 or False for keys that take no part."""
        expected = (self.lead[0] if self.lead else 1, self.source)
        if mask.shape != expected and not (not self.lead and mask.shape == expected[1:]):
            raise ShapeError(f"{name}: expected a key_mask {expected}, got {mask.shape}")
        kept = np.not_equal(mask.reshape(expected), mask.dtype.type(0), out=arena.empty(expected, _BOOLEANS))
        self.key_mask = kept.view(np.uint8)

    def forward(self, q, k, v, out):
        """The logarithms of the sums, after writing out. All four flat."""
        logsum = arena.empty((self.units, self.length), self.dtype)
        if not self.source:
            out.fill(0)
            return logsum
        run = kernels.attention_forward
        (run.parallel if self.shared else run.serial)(
            q, k, v, self.bias, self.key_mask, self.places, self.form, self.scale, self.random, self.keep,
            arena.empty(self.scratch_shape, self.dtype), out, logsum,
        )  # fmt: skip
        return logsum

    def backward(self, q, k, v, out, logsum, g, layout, to_q, to_k, to_v, with_bias=False):
        """Write the gradients, laid out as `layout` says; return the bias's (units, source, length) if asked for."""
        places, form = arena.empty(self.places.shape, _INTEGERS), self.form.copy()
        for column, (starts, step) in enumerate(layout):
            places[:, column] = starts
            form[kernels.Q_STEP + column] = step
        to_bias = arena.empty((self.units, self.source, self.length) if with_bias else (0, 0, 0), self.dtype)
        to_bias.fill(0)
        (attention_backward.parallel if self.shared else attention_backward.serial)(
            q, k, v, self.bias, self.key_mask, self.places, self.form, self.scale, self.random, self.keep,
            arena.empty(self.scratch_shape, self.dtype), out, logsum, g, places, form, to_q, to_k, to_v, to_bias,
        )  # fmt: skip
        return to_bias


@functools.lru_cache(maxsize=64)
def _one_after_another(units, size):
    return np.arange(units) * size


def float_type(name, *arrays):
    dtype = arrays[0].dtype
    if dtype.char not in "fd" or any(a.dtype != dtype for a in arrays):
        raise InputError(f"{name}: expected float32 or float64, the same for all, got {[str(a.dtype) for a in arrays]}")
    return dtype


def _qkv(rng, *lead, length=5, source=7, width=4, value_width=4):
    return tuple(rng.normal(size=(*lead, *size)) for size in ((length, width), (source, width), (source, value_width)))


_KEPT = np.array([[True] * 7, [True] * 4 + [False] * 3])


@op(
    example=lambda rng: _qkv(rng, 2, 3),
    examples=(
        lambda rng: (*_qkv(rng, 2, 1, length=70, source=66), {"is_causal": True}),
        lambda rng: (*_qkv(rng, 2), rng.normal(size=(5, 7)), {"scale": 0.7}),
        lambda rng: (*_qkv(rng, 2, 3, value_width=6), rng.normal(size=(2, 1, 1, 7)), {"key_mask": _KEPT}),
        lambda rng: (*_qkv(rng, 2), rng.random(size=(5, 7)) < 0.6),
        lambda rng: (*_qkv(rng, 2, length=9), {"dropout_rate": 0.3, "dropout_key": (7, 1, 2)}),
    ),
    name="scaled_dot_product_attention",
)
def _attention(
    query, key, value, mask=None, is_causal=False, scale=None, dropout_rate=0.0, dropout_key=None, key_mask=None
):  # fmt: skip
    name = "scaled_dot_product_attention"
    dtype = float_type(name, query, key, value)
    lead = query.shape[:-2]
    fits = min(query.ndim, key.ndim, value.ndim) >= 2 and lead == key.shape[:-2] == value.shape[:-2]
    if not fits or query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            f"{name}: expected query (..., length, width), key (..., source, width) and value (..., source, n), "
            f"got {query.shape}, {key.shape} and {value.shape}"
        )
    (length, width), (source, value_width) = query.shape[-2:], value.shape[-2:]
    layout = [
        (_one_after_another(math.prod(lead), rows * columns), columns)
        for rows, columns in ((length, width), (source, width), (source, value_width), (length, value_width))
    ]
    sizes = (length, source, width, value_width)
    call = Attention(name, dtype, lead, sizes, layout, is_causal, scale, dropout_rate, dropout_key)
    if mask is not None:
        call.set_bias(name, np.asarray(mask))
    if key_mask is not None:
        call.set_key_mask(name, np.asarray(key_mask))
    out = arena.empty((*lead, length, value_width), dtype)
    q, k, v = (plain(x).reshape(-1) for x in (query, key, value))
    flat = out.reshape(-1)
    logsum = call.forward(q, k, v, flat)

    def backward(g, to_query, to_key, to_value, to_mask=None, *_):
        outs = [
            (arena.empty(x.shape, dtype) if to_x is None else to_x).reshape(-1)
            for x, to_x in ((query, to_query), (key, to_key), (value, to_value))
        ]
        g = plain(g, dtype).reshape(-1)
        to_bias = call.backward(q, k, v, flat, logsum, g, layout[:3], *outs, with_bias=to_mask is not None)
        if to_mask is not None:
            _sum_into(np.swapaxes(to_bias.reshape(*lead, source, length), -1, -2), to_mask)

    return out, backward


def _sum_into(array, target):
    """target = array summed over the axes along which target was broadcast."""
    extra = array.ndim - target.ndim
    axes = tuple(range(extra)) + tuple(
        extra + i for i, size in enumerate(target.shape) if size == 1 != array.shape[extra + i]
    )
    target[...] = array.sum(axis=axes).reshape(target.shape)


def scaled_dot_product_attention(
    query, key, value, mask=None, is_causal=False, scale=None, dropout_rate=0.0, dropout_key=None, key_mask=None
):  # fmt: skip
    """softmax(scale · query·keyᵀ + mask) · value, in memory that grows with the length and not with its square.

    query (..., length, width), key (..., source, width), value (..., source, n), their leading axes the same, (batch,
    heads) for instance -> (..., length, n). All float32 or all float64.

    mask: broadcasts to (..., length, source); booleans, False for keys that a query does not see, or floats, which are
    added to the scores and have a gradient (that of a whole score matrix, in memory of its size). key_mask: (batch,
    source), batch being the first leading axis: 0 or False for keys that nobody sees, padding for instance.
    is_causal: query i sees the keys 0 to i alone. scale: 1 / sqrt(width) if None. A query that sees no key gets 0.

    dropout_rate, dropout_key: each weight is set to 0 with this probability and the others divided by 1 - rate; the
    key is (seed, step, draw). Random words are taken unit by unit (matrix by matrix along the leading axes), in a unit
    for 64 queries at a time (the last of them up to a multiple of 4), and for these key by key.

    Raises ShapeError for shapes that do not fit, InputError for other types and a rate outside [0, 1). The method is
    FlashAttention-2's (Dao 2023).
    """
    return _attention(
        query, key, value, mask, is_causal=is_causal, scale=scale, dropout_rate=dropout_rate, dropout_key=dropout_key,
        key_mask=as_data(key_mask),
    )  # fmt: skip
