"""Attention of a layer's packed projections: heads are read where the projection wrote them, and nothing is moved."""

import functools

import numpy as np

from plugrad import arena
from plugrad.errors import ShapeError
from plugrad.kernels.rotary import rotate
from plugrad.op import op
from plugrad.ops.arrays import plain
from plugrad.ops.attention import Attention, float_type
from plugrad.ops.positions import check_rotary, rotary_tables

_KEPT = np.array([[True] * 7, [True] * 4 + [False] * 3])


@functools.lru_cache(maxsize=64)
def _packed_places(batch, heads, length, parts, width):
    """For each of `parts` side by side in rows of parts·heads·width: the place of each (sample, head)'s matrix."""
    row = parts * heads * width
    place = np.add.outer(np.arange(batch) * (length * row), np.arange(heads) * width).ravel()
    return [(place + part * heads * width, row) for part in range(parts)]


def _head_width(name, x, parts, heads):
    if x.ndim != 3 or heads < 1 or x.shape[-1] % (parts * heads):
        raise ShapeError(f"{name}: expected (batch, length, {parts}·{heads}·n) for {heads} heads, got {x.shape}")
    return x.shape[-1] // (parts * heads)


class _Rotated:
    """Queries and keys turned by their positions; without a base, as they are."""

    def __init__(self, name, base, width, dtype):
        self.base, self.width, self.dtype = base, width, dtype
        if base is not None:
            check_rotary(name, width, base)

    def turn(self, x, segments, sign, out):
        """The first `segments` stretches of x's rows (batch, length, n), turned into out (batch, length, m)."""
        if x.size:
            tables = rotary_tables(x.shape[1], self.width, self.base, self.dtype)
            rows = x.reshape(-1, x.shape[2]), out.reshape(-1, out.shape[2])
            rotate(rows[0], *tables, segments, self.dtype.type(sign), rows[1])
        return out


@op(
    example=lambda rng: (rng.normal(size=(2, 5, 12)), {"heads": 2}),
    examples=(
        lambda rng: (rng.normal(size=(2, 7, 12)), {"heads": 1, "is_causal": True, "key_mask": _KEPT}),
        lambda rng: (rng.normal(size=(2, 5, 24)), {"heads": 2, "rotary_base": 100.0}),
        lambda rng: (rng.normal(size=(2, 5, 12)), {"heads": 2, "dropout_rate": 0.3, "dropout_key": (7, 1, 2)}),
    ),
)
def self_attention(
    projected, *, heads, is_causal=False, key_mask=None, rotary_base=None, dropout_rate=0.0, dropout_key=None
):  # fmt: skip
    """Attention of a sequence to itself, read from one projection and written heads side by side: nothing is moved.

    projected (batch, length, 3·width): queries, keys and values, in each of the three the heads side by side ->
    (batch, length, width). rotary_base: None, or the base of the rotary positions (see `rotary`) by which queries and
    keys are turned. The other options are those of `scaled_dot_product_attention` for (batch, heads).
    """
    name = "self_attention"
    dtype = float_type(name, projected)
    width = _head_width(name, projected, 3, heads)
    batch, length, _ = projected.shape
    x = plain(projected)
    packed = _packed_places(batch, heads, length, 3, width)
    (result,) = _packed_places(batch, heads, length, 1, width)
    pair = _packed_places(batch, heads, length, 2, width)
    rotated = _Rotated(name, rotary_base, width, dtype)
    if rotary_base is None:
        q = k = x.reshape(-1)
        layout = [*packed, result]
    else:
        q = k = rotated.turn(x, 2 * heads, 1, arena.empty((batch, length, 2 * heads * width), dtype)).reshape(-1)
        layout = [*pair, packed[2], result]
    sizes = (length, length, width, width)
    call = Attention(name, dtype, (batch, heads), sizes, layout, is_causal, None, dropout_rate, dropout_key)
    if key_mask is not None:
        call.set_key_mask(name, np.asarray(key_mask))
    out = arena.empty((batch, length, heads * width), dtype)
    logsum = call.forward(q, k, x.reshape(-1), out.reshape(-1))

    def backward(g, to_projected):
        flat = to_projected.reshape(-1)
        turned = flat if rotary_base is None else arena.empty((batch, length, 2 * heads * width), dtype).reshape(-1)
        g = plain(g, dtype).reshape(-1)
        call.backward(q, k, x.reshape(-1), out.reshape(-1), logsum, g, layout[:3], turned, turned, flat)
        if rotary_base is not None:
            rotated.turn(turned.reshape(batch, length, 2 * heads * width), 2 * heads, -1, to_projected)

    return out, backward


@op(
    example=lambda rng: (rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 7, 8)), {"heads": 2}),
    examples=(
        lambda rng: (rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 7, 8)), {"heads": 1, "key_mask": _KEPT}),
        lambda rng: (rng.normal(size=(2, 5, 8)), rng.normal(size=(2, 7, 16)), {"heads": 2, "rotary_base": 100.0}),
    ),
)
def cross_attention(
    query, projected, *, heads, is_causal=False, key_mask=None, rotary_base=None, dropout_rate=0.0, dropout_key=None
):  # fmt: skip
    """Attention of one sequence to another. query (batch, length, width); projected (batch, source, 2·width): keys and
    values, in each the heads side by side -> (batch, length, width). Options as for `self_attention`.
    """
    name = "cross_attention"
    dtype = float_type(name, query, projected)
    width = _head_width(name, query, 1, heads)
    batch, length, _ = query.shape
    if projected.ndim != 3 or projected.shape[0] != batch or projected.shape[2] != 2 * heads * width:
        raise ShapeError(
            f"{name}: expected projected ({batch}, source, {2 * heads * width}) for query {query.shape}, "
            f"got {projected.shape}"
        )
    source = projected.shape[1]
    q, x = plain(query), plain(projected)
    packed = _packed_places(batch, heads, source, 2, width)
    (queries,) = _packed_places(batch, heads, length, 1, width)
    rotated = _Rotated(name, rotary_base, width, dtype)
    k, keys = x, packed[0]
    if rotary_base is not None:
        q = rotated.turn(q, heads, 1, arena.empty(q.shape, dtype))
        k = rotated.turn(x, heads, 1, arena.empty((batch, source, heads * width), dtype))
        (keys,) = _packed_places(batch, heads, source, 1, width)
    layout = [queries, keys, packed[1], queries]
    sizes = (length, source, width, width)
    call = Attention(name, dtype, (batch, heads), sizes, layout, is_causal, None, dropout_rate, dropout_key)
    if key_mask is not None:
        call.set_key_mask(name, np.asarray(key_mask))
    out = arena.empty(query.shape, dtype)
    q, k, v = q.reshape(-1), k.reshape(-1), x.reshape(-1)
    logsum = call.forward(q, k, v, out.reshape(-1))

    def backward(g, to_query, to_projected):
        to_query = arena.empty(query.shape, dtype) if to_query is None else to_query
        to_projected = arena.empty(projected.shape, dtype) if to_projected is None else to_projected
        g, to_q, to_k = plain(g, dtype).reshape(-1), to_query, to_projected
        if rotary_base is not None:
            to_q = arena.empty(query.shape, dtype)
            to_k = arena.empty((batch, source, heads * width), dtype)
        call.backward(
            q,
            k,
            v,
            out.reshape(-1),
            logsum,
            g,
            layout[:3],
            to_q.reshape(-1),
            to_k.reshape(-1),
            to_projected.reshape(-1),
        )
        if rotary_base is not None:
            rotated.turn(to_q, heads, -1, to_query)
            rotated.turn(to_k, heads, -1, to_projected)

    return out, backward
